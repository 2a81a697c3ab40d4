"""Spans and points of time, as people write them."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime

from .. import ConfigError

__all__ = ["moment", "seconds", "shown"]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([smhdw])")


def seconds(value: str | float, what: str) -> float:
    """A span of time in seconds: ``"30d"``, ``"12h"``, or a number of them.

    Raises:
        ConfigError: It is no such thing, or not above 0.
    """
    number: float
    if isinstance(value, str):
        match = _SPAN.fullmatch(value.strip().lower())
        number = float(match[1]) * _UNITS[match[2]] if match else math.nan
    else:
        number = math.nan if isinstance(value, bool) else float(value)
    if not 0 < number < math.inf:
        raise ConfigError(
            f'{what} must be a span of time such as "30d", "12h" or "90m"'
        )
    return number


def moment(value: str, what: str) -> float:
    """A point of time in seconds since the epoch: ISO 8601, or ``24h`` for that ago.

    A time without a zone is UTC.

    Raises:
        ConfigError: It is neither.
    """
    if _SPAN.fullmatch(value.strip().lower()):
        return time.time() - seconds(value, what)
    try:
        read = datetime.fromisoformat(value.strip())
    except ValueError:
        raise ConfigError(
            f'{what} must be a time such as "2026-01-31T12:00" or a span such as "24h"'
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def shown(when: float) -> str:
    """A point of time in UTC, to the millisecond."""
    read = datetime.fromtimestamp(when, UTC)
    return read.isoformat(timespec="milliseconds").replace("+00:00", "Z")
