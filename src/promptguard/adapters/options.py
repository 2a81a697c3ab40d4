"""What guard_client was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._costs import Limit
from ..engine import OnError
from ..guard import Guard

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of ``guard_client``."""

    input: Guard | None
    output: Guard | None
    on_block: Any
    on_error: OnError
    restore: bool
    unguarded: tuple[str, ...]
    dry_run: bool = False
    budget: Limit = None

    def leaves_out(self, endpoint: str) -> bool:
        """True when the caller said that no guard is to look at an endpoint."""
        return any(
            endpoint == name or endpoint.startswith(f"{name}/")
            for name in self.unguarded
        )
