"""The files of an experiment: its report and its figures."""

from __future__ import annotations

from pathlib import Path

from .. import ConfigError
from ..measure.writing import write_json
from .page import page
from .results import Results
from .tables import as_markdown
from .tracking import figures

__all__ = ["write"]


def write(results: Results, folder: str | Path) -> tuple[Path, ...]:
    """Write report and figures beside the answers, and say which files these are.

    Raises:
        ConfigError: They cannot be written.
    """
    place = Path(folder)
    texts = {"report.html": page(results), "report.md": as_markdown(results)}
    for name, text in texts.items():
        try:
            (place / name).touch(0o600)
            # A lone surrogate of an answer has no UTF-8.
            (place / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            reason = f"cannot be written: {error.strerror}"
            raise ConfigError(f"{place / name}: {reason}") from None
    told = results.experiment.settings() | {"figures": figures(results)}
    write_json(str(place / "results.json"), told, private=True)
    return tuple(place / name for name in (*texts, "results.json"))
