"""Operating points that a user measured, in place of those of the bundle."""

from __future__ import annotations

from pathlib import Path

from ..errors import ConfigError
from ..queries import OperatingPoint
from ..text import READING_VERSION
from .bundle import Table, read_points

__all__ = ["load_calibration"]

FORMAT = 1
_REMEDY = "measure it anew: promptguard calibrate"


def load_calibration(path: str, digest: str) -> tuple[OperatingPoint, ...]:
    """The operating points of a file that ``promptguard calibrate`` wrote.

    Args:
        path: The file.
        digest: The digest of the bundle that they are for.

    Raises:
        ModelError: The file is missing, or is not such a file.
        ConfigError: They were measured with another bundle, or with texts read in
            another way, so that their rates would not hold.
    """
    table = Table.read(Path(path), _REMEDY)
    if (form := table.get("format", int)) != FORMAT:
        raise table.wrong(f"has format {form}; this library reads {FORMAT}")
    if (measured := table.get("bundle", str)) != digest:
        raise ConfigError(
            f"{path} was measured with another model (bundle {measured[:12]}; this "
            f"one is {digest[:12]}); {_REMEDY}, or name the model it was made with"
        )
    if (reading := table.get("reading", int)) != READING_VERSION:
        raise ConfigError(
            f"{path} was measured on texts read in version {reading}; this library "
            f"reads them in version {READING_VERSION}; {_REMEDY}"
        )
    points = read_points(table)
    if not points:
        raise table.wrong("has no operating points")
    if not all(0 < p.fpr < 1 and 0 <= p.threshold <= 1 for p in points):
        raise table.wrong("has an operating point that is no rate or no probability")
    return points
