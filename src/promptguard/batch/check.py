"""What is done to each text of a batch: ``Check``, from texts to columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .. import (
    Action,
    AnyOf,
    Budget,
    ConfigError,
    Finding,
    Guard,
    Policy,
    PromptGuardError,
    Verdict,
)
from ..errors import unknown
from ..text import ROLES

__all__ = ["ABSENT", "TYPES", "Check", "Row"]

TYPES = {
    "flagged": bool,
    "blocked": bool,
    "action": str,
    "label": str,
    "score": float,
    "spans": str,
    "coverage": float,
    "redacted": str,
    "error": str,
}
"""The columns that are added, in their order, and what they hold."""

Row = tuple[Any, ...]
"""What is told of a text: the values of these columns."""

ABSENT = ...
"""Stands for the text of a row that has no field of that name at all."""

_NONCE = re.compile(r"<[A-Z][A-Z0-9_]*_[0-9]+(:[0-9a-f]{16})>")


@dataclass(frozen=True)
class Check:
    """A guard, and what is told of each text that it checks, as columns.

    A text that cannot be checked ends nothing: its row counts as blocked, with the
    reason in the column ``error``. The guards run in the order in which they are
    written, whatever they cost, so that every process finds the same in a blocked text.

    Args:
        guard: A guard; or a policy, whose guards for the role are meant. Nothing waits
            for an answer here: of a policy only these and the budget count.
        role: Whose texts they are.
        prefix: How the names of the columns begin.
        redacted: Add the text as a redaction leaves it, where there is one. Its tokens
            have no nonce, since nobody can restore them: ``<EMAIL_ADDRESS_1>``.
        threads: Texts that are checked at once in a process. They share its model:
            where memory is short, fewer processes of several threads.
        budget: How long the guards may take for a text.

    Raises:
        ConfigError: There is no such role, or the policy has no guards for it.
    """

    guard: Guard | Policy
    role: str = "user"
    prefix: str = "verdict_"
    redacted: bool = False
    threads: int = 1
    budget: Budget | float | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise unknown("role", self.role, ROLES)
        if type(self.threads) is not int or self.threads < 1:
            raise ConfigError("threads must be a whole number of at least 1")
        if not isinstance(self.prefix, str):
            raise ConfigError("prefix must be a string, such as 'verdict_'")
        if not isinstance(self.guard, Guard | Policy):
            kind = type(self.guard).__name__
            raise ConfigError(f"Check takes a guard or a policy, not {kind}")
        guard = self.guard
        if isinstance(guard, Policy):
            chosen = guard.output if self.role == "assistant" else guard.input
            if chosen is None:
                raise ConfigError(
                    f"{guard.source or 'the policy'} has no guards for texts of the "
                    f"role {self.role}"
                )
            if self.budget is None:
                object.__setattr__(self, "budget", guard.budget)
            guard = chosen
        # As one that is fixed: its order must not depend on what a process measured.
        object.__setattr__(self, "guard", AnyOf(guard.parts, in_order=True))

    @property
    def types(self) -> dict[str, type]:
        """The names of the columns with what they hold."""
        return {
            self.prefix + name: kind
            for name, kind in TYPES.items()
            if self.redacted or name != "redacted"
        }

    def absent_from(self, names: Iterable[str]) -> None:
        """See that a table has none of the columns as yet.

        Raises:
            ConfigError: It has.
        """
        if taken := sorted(self.types.keys() & set(names)):
            raise ConfigError(
                f"the table has columns of these names already: {', '.join(taken)}; "
                "choose another prefix"
            )

    def warmup(self) -> None:
        """Load what the first text would load.

        Raises:
            ModelError: A model file is missing or altered.
            ConfigError: The model has no such label or rate.
        """
        self._guard.warmup()

    def columns(self, texts: Sequence[object]) -> dict[str, list[Any]]:
        """The columns for some texts; equal texts are asked about once.

        Args:
            texts: The texts. A null is checked as an empty text; what is no string
                besides is told of in ``error``.

        Raises:
            ConfigError: The guard cannot be asked at all.
        """
        rows = self.rows(texts)
        return {
            name: [row[place] for row in rows] for place, name in enumerate(self.types)
        }

    def rows(self, texts: Sequence[object]) -> list[Row]:
        """The same, text by text."""
        read = ["" if text is None else text for text in texts]
        distinct = list(dict.fromkeys(t for t in read if isinstance(t, str)))
        if self.threads == 1 or len(distinct) < 2:
            told = [self._row(text) for text in distinct]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                told = list(pool.map(self._row, distinct))
        known = dict(zip(distinct, told, strict=True))
        return [
            known[text]
            if isinstance(text, str)
            else self.undecided(
                "there is no text" if text is ABSENT else "not a string"
            )
            for text in read
        ]

    def undecided(self, reason: str) -> Row:
        """The row of a text that could not be checked."""
        return self._made(blocked=True, action=Action.BLOCK, coverage=0.0, error=reason)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The guards that run, in their order."""
        return self._guard.parts

    @property
    def _guard(self) -> Guard:
        assert isinstance(self.guard, Guard)
        return self.guard

    def _row(self, text: str) -> Row:
        try:
            verdict = self._guard.check(text, self.role, budget=self.budget)
        except ConfigError:
            # Not of this text: every other one would say the same.
            raise
        except PromptGuardError as error:
            return self.undecided(f"{type(error).__name__}: {error}")
        worst = max(
            verdict.findings, key=lambda f: (f.action or 0, f.score), default=None
        )
        return self._made(
            blocked=verdict.blocked,
            action=verdict.action,
            label=None if worst is None else worst.label,
            score=None if worst is None else worst.score,
            spans=json.dumps([_span(finding) for finding in verdict.findings]),
            coverage=verdict.coverage,
            redacted=_redacted(verdict),
        )

    def _made(
        self,
        *,
        blocked: bool,
        action: Action,
        label: str | None = None,
        score: float | None = None,
        spans: str = "[]",
        coverage: float,
        redacted: str | None = None,
        error: str | None = None,
    ) -> Row:
        flagged = action > Action.ALLOW
        row: Row = flagged, blocked, action.name.lower(), label, score, spans, coverage
        return (*row, redacted, error) if self.redacted else (*row, error)


def _span(finding: Finding) -> dict[str, Any]:
    return {
        "guard": finding.guard,
        "label": finding.label,
        "score": finding.score,
        "start": finding.start,
        "end": finding.end,
        "action": (finding.action or Action.ALLOW).name.lower(),
    }


def _redacted(verdict: Verdict) -> str | None:
    """The redacted text with tokens that are the same in every run."""
    if verdict.action is not Action.REDACT:
        return None
    text = verdict.text
    # A look-alike that somebody typed has a nonce too, and keeps it.
    typed = set(_NONCE.findall(verdict.original))
    for nonce in set(_NONCE.findall(text)) - typed:
        text = text.replace(f"{nonce}>", ">")
    return text
