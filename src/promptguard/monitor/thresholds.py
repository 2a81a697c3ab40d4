"""What is taken for drift: thresholds from a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .. import ConfigError
from ..errors import unknown

__all__ = ["Limit", "Thresholds", "shipped"]

_QUALITY = {"least": ("precision", "recall", "f1"), "most": ("fpr",)}
_SHARES = ("concept", "coverage", "fpr", "length", "precision", "recall", "score")


@dataclass(frozen=True, slots=True)
class Limit:
    """From where on a check warns, and fails."""

    warn: float
    fail: float


@dataclass(frozen=True)
class Thresholds:
    """What is taken for drift.

    Args:
        false_alarms: Of windows in which nothing has changed, the share that may be
            flagged by any check.
        requests: How many requests a window must have, and a group within it.
        labelled: How many labelled texts.
        limits: By check; one that is off is not there.
        least: Quality that must be reached, by figure.
        most: Quality that must not be passed, by figure.
    """

    false_alarms: float
    requests: int
    labelled: int
    limits: Mapping[str, Limit]
    least: Mapping[str, float]
    most: Mapping[str, float]

    @classmethod
    def load(cls, path: str | None = None) -> Thresholds:
        """The shipped thresholds, with what a file says otherwise.

        Raises:
            ConfigError: The file cannot be read, or says something that is not known.
        """
        data = tomllib.loads(shipped())
        if path is not None:
            for table, values in _read(path).items():
                if table not in data:
                    raise _at(path, unknown("table", table, data))
                if not isinstance(values, dict):
                    raise ConfigError(f"{path}: {table!r} must be a table: [{table}]")
                known = {*data[table], *_QUALITY.get(table, ())}
                known |= {"off"} if "warn" in known else set()
                for name in values:
                    if name not in known:
                        raise _at(path, unknown(f"key in [{table}]", name, known))
                data[table] |= values
        return _made(data, path or "the shipped thresholds")


@cache
def shipped() -> str:
    """The file of the shipped thresholds."""
    path = Path(__file__).parents[1] / "data" / "drift.toml"
    return path.read_text(encoding="utf-8")


def _read(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        # Of TOML, and of UTF-8. The first says where; the file holds no prompts.
        raise ConfigError(f"{path}: this is no TOML: {error}") from None


def _at(path: str, error: ConfigError) -> ConfigError:
    return ConfigError(f"{path}: {error}")


def _made(data: Mapping[str, Any], path: str) -> Thresholds:
    limits = {}
    for name, table in data.items():
        if "warn" not in table or table.get("off"):
            continue
        warn, fail = (
            _number(table[n], f"{path}: [{name}] {n}") for n in ("warn", "fail")
        )
        least = 0.5 if name in ("vocabulary", "characters", "classifier") else 0.0
        if not least <= warn <= fail or (name in _SHARES and fail > 1):
            raise ConfigError(
                f"{path}: [{name}] needs {least} <= warn <= fail"
                f"{' <= 1' if name in _SHARES else ''}"
            )
        limits[name] = Limit(warn, fail)
    verdict = data["verdict"]
    alarms = _number(verdict["false_alarms"], f"{path}: [verdict] false_alarms")
    if not 0 < alarms <= 0.5:
        raise ConfigError(f"{path}: [verdict] false_alarms must be in (0, 0.5]")
    counts: list[int] = []
    for name in ("requests", "labelled"):
        value = verdict[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 20:
            raise ConfigError(f"{path}: [verdict] {name} must be at least 20")
        counts.append(value)
    bounds: list[dict[str, float]] = []
    for table in ("least", "most"):
        bound = {
            n: _number(v, f"{path}: [{table}] {n}") for n, v in data[table].items()
        }
        if not all(0 <= value <= 1 for value in bound.values()):
            raise ConfigError(f"{path}: [{table}] holds shares, from 0 to 1")
        bounds.append(bound)
    requests, labelled = counts
    return Thresholds(alarms, requests, labelled, limits, bounds[0], bounds[1])


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{what} must be a number")
    return float(value)
