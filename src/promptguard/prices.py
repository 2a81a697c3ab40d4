"""What models cost: a table that the user owns, read from TOML.

    currency = "USD"

    [models]                      # a price is for a million tokens
    "gpt-4o-mini" = { in = 0.15, out = 0.60 }
    "local/*" = { in = 0, out = 0 }

No price is shipped: they change, and a wrong one is worse than none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .errors import ConfigError, unknown

__all__ = ["Price", "Prices"]

_PER = 1_000_000
_KEYS = ("in", "out")


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of a model cost.

    Args:
        model: The model's name, or a pattern with ``*`` for several.
        tokens_in: Price of a million tokens of prompts.
        tokens_out: Price of a million tokens of answers.
    """

    model: str
    tokens_in: float
    tokens_out: float


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table.

    Args:
        models: The prices. A model's own name goes before patterns, a longer pattern
            before a shorter one.
        currency: What the prices are in; it is only ever shown.
    """

    models: tuple[Price, ...] = ()
    currency: str = "USD"

    @classmethod
    def read(cls, path: str | Path) -> Prices:
        """The table of a TOML file.

        Raises:
            ConfigError: The file cannot be read, or does not hold prices.
        """
        import tomllib

        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is not TOML: {error}") from None
        try:
            return cls._of(data)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Prices:
        for key in data:
            if key not in ("currency", "models"):
                raise unknown("key", key, ("currency", "models"))
        currency, models = data.get("currency", "USD"), data.get("models", {})
        if not isinstance(currency, str) or not 0 < len(currency) <= 10:
            raise ConfigError('currency must be a short name, such as "USD"')
        if not isinstance(models, dict):
            raise ConfigError("models must be a table of prices by model")
        return cls(tuple(_price(name, row) for name, row in models.items()), currency)

    def of(self, model: str) -> Price | None:
        """The price of a model, or None if the table does not have it."""
        fitting = [price for price in self.models if fnmatchcase(model, price.model)]
        exact = [price for price in self.models if price.model == model]
        return max(exact or fitting, key=lambda p: len(p.model), default=None)

    def cost(
        self, model: str, tokens_in: int | None, tokens_out: int | None
    ) -> float | None:
        """What so many tokens cost; None without a price or without a count."""
        price = self.of(model)
        if price is None or (tokens_in is None and tokens_out is None):
            return None
        read, written = tokens_in or 0, tokens_out or 0
        return (read * price.tokens_in + written * price.tokens_out) / _PER


def _price(model: str, row: object) -> Price:
    if not isinstance(row, dict):
        raise ConfigError(
            f"models.{model!r} must be a table: {{ in = 0.5, out = 1.5 }}"
        )
    for key in row:
        if key not in _KEYS:
            raise unknown(f"key of models.{model!r}", key, _KEYS)
    values = []
    for key in _KEYS:
        value = row.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"models.{model!r}.{key} must be a number")
        if not 0 <= value < math.inf:
            raise ConfigError(f"models.{model!r}.{key} must be 0 or more")
        values.append(float(value))
    return Price(model, *values)
