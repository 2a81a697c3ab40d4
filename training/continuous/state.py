"""Where a run is, on disk: what was decided, and what became of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import PipelineError
from ..files import write_atomically
from .triggers import Trigger

__all__ = ["OUTCOMES", "State"]

OUTCOMES = {
    "": "the challenger may take over",
    "promoted": "the challenger has taken over",
    "refused": "the champion stays",
    "unchanged": "the training gave the champion once more",
}
"""What may come of a run."""


@dataclass(frozen=True)
class State:
    """One run.

    Args:
        id: Of the run: what it begins from gives it.
        at: When it was decided, in seconds since the epoch.
        champion: The version that the challenger is held against; empty for none.
        triggers: Why it was decided.
        made_from: What tells the code, the data and the labels from others.
        outcome: Of ``OUTCOMES``.
        why: What the outcome rests on.
        version: The version that was promoted.
        refused: What earlier runs began from that were refused: they are not repeated.
    """

    id: str
    at: float
    champion: str
    triggers: tuple[Trigger, ...]
    made_from: str = ""
    outcome: str = ""
    why: tuple[str, ...] = ()
    version: str = ""
    refused: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Nothing of it is left to do."""
        return self.outcome != ""

    def ended(self, outcome: str, why: tuple[str, ...], version: str = "") -> State:
        """The same run when it is over."""
        refused = self.refused
        if outcome in ("refused", "unchanged"):
            refused = (*(x for x in refused if x != self.id), self.id)[-100:]
        return replace(self, outcome=outcome, why=why, version=version, refused=refused)

    def write(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> State | None:
        """What was kept; None where nothing was.

        Raises:
            PipelineError: The file is damaged.
        """
        try:
            table: dict[str, Any] = json.loads(path.read_bytes())
            found = tuple(
                Trigger(one["name"], one["fired"], tuple(one["why"]))
                for one in table.pop("triggers")
            )
            for name in ("why", "refused"):
                table[name] = tuple(table[name])
            return cls(**table, triggers=found)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise PipelineError(
                f"{path} does not say where the last run was; delete it, and the next "
                "one begins anew: what is promoted stays so"
            ) from None
