"""What guards make of a text, told in full: for the page, as JSON.

A verdict says what happens to a text. Here every guard looks to its end, also behind a
block, and the scores of the models are told beside what they led to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any

from .. import (
    Action,
    AnyOf,
    Classify,
    Finding,
    Guard,
    HarmfulRequest,
    Judge,
    Only,
    Policy,
    PromptGuardError,
    PromptInjection,
    Text,
    Then,
    Toxicity,
)
from ..guard import Inspection
from ..queries import Scores

__all__ = ["ROLES", "Choice", "choices", "look"]

ROLES = ("user", "tool", "retrieved", "assistant")
LEARNED = (PromptInjection, HarmfulRequest, Toxicity)

# These say something of an answer alone, or need a model's answer of some form.
_AT_FIRST_OFF = frozenset({"code", "json", "refusal"})
_RATES = (0.001, 0.005, 0.01, 0.02, 0.05)


@dataclass(frozen=True, slots=True)
class Choice:
    """A guard that the page offers for texts of one role.

    Args:
        guard: The guard.
        on: Whether it is chosen at first.
    """

    guard: Guard
    on: bool

    @property
    def asks(self) -> bool:
        """True when it sends the text to an LLM."""
        return _asks(self.guard)

    def described(self) -> dict[str, Any]:
        """What the page is told of it."""
        inner = _inner(self.guard)
        about = (type(inner).__doc__ or "").strip().partition("\n")[0]
        return {
            "name": self.guard.name,
            "kind": type(inner).__name__,
            "about": about,
            "on": self.on,
            "asks": self.asks,
        }


def choices(policy: Policy | None, role: str) -> tuple[Choice, ...]:
    """The guards that are offered for a role: those of a policy, or all there are.

    Args:
        policy: Where its guards come from; None offers every guard that needs no
            words, address or other argument.
        role: Whose texts they are for.
    """
    if policy is None:
        guards: Iterable[Guard] = _without_arguments()
    else:
        side = policy.output if role == "assistant" else policy.input
        guards = () if side is None else side.parts
    off = _AT_FIRST_OFF if policy is None else frozenset()
    offered = [
        Choice(guard, on=guard.name not in off and not _asks(guard))
        for guard in guards
        if not (isinstance(guard, Only) and role not in guard.roles)
    ]
    # Those with a model first, and what is off at the end.
    offered.sort(key=lambda c: (not c.on, not isinstance(_inner(c.guard), LEARNED)))
    return tuple(offered)


def look(guards: Iterable[Guard], text: str, role: str) -> dict[str, Any]:
    """What the guards make of a text.

    Args:
        guards: At least one guard.
        text: The text.
        role: Whose it is.

    Raises:
        ConfigError: The role is unknown.
    """
    seen = [_Seen(guard) for guard in guards]
    watched = AnyOf(tuple(_Watched(name=one.guard.name, seen=one) for one in seen))
    begun = perf_counter()
    verdict = watched.check(text, role)
    seconds = perf_counter() - begun
    read = Text(text, role)
    told = [one.told(read, verdict.timings) for one in seen]
    return {
        "length": len(text),
        "seconds": seconds,
        "guards": told,
        "readings": [*_readings(read)],
        "undecoded": read.undecoded,
        "redacted": verdict.text,
    }


class _Seen:
    """What one guard did while it looked. It is a value only to be found again."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.findings: list[Finding] = []
        self.scores: list[tuple[str, Scores]] = []
        self.coverage = 1.0
        self.error = ""

    def found(self, finding: Finding) -> Finding:
        """Note a finding; what is passed on never ends what other guards do."""
        action = finding.action
        if action is None:
            action = self.guard.action_of(finding.label)
        self.findings.append(
            Finding(
                finding.label,
                finding.score,
                finding.start,
                finding.end,
                finding.guard or self.guard.name,
                action,
            )
        )
        passed = Action.REDACT if action is Action.REDACT else Action.ALLOW
        return Finding(
            finding.label,
            finding.score,
            finding.start,
            finding.end,
            action=passed,
            operator=finding.operator,
        )

    def answered(self, query: object, answer: object) -> None:
        """Note what a model said."""
        queries = query if isinstance(query, tuple) else (query,)
        answers = answer if isinstance(query, tuple) else (answer,)
        assert isinstance(answers, tuple)
        for one, said in zip(queries, answers, strict=True):
            if isinstance(one, Classify) and isinstance(said, Scores):
                self.scores.append((one.text, said))
                self.coverage = min(self.coverage, said.coverage)

    def told(
        self, text: Text, timings: tuple[tuple[str, float], ...]
    ) -> dict[str, Any]:
        """All of it, for the page."""
        name = self.guard.name
        findings = sorted(
            dict.fromkeys(self.findings), key=lambda f: (f.start, f.end, f.label)
        )
        return {
            "name": name,
            "seconds": sum(s for timed, s in timings if timed == name),
            "coverage": 0.0 if self.error else self.coverage,
            "error": self.error,
            "findings": [
                {
                    "label": finding.label,
                    "score": finding.score,
                    "start": finding.start,
                    "end": finding.end,
                    "action": (finding.action or Action.ALLOW).name.lower(),
                }
                for finding in findings
            ],
            "scores": [*self._scored(text)],
        }

    def _scored(self, text: Text) -> Iterator[dict[str, Any]]:
        """The scores of each label that a threshold decides about."""
        guard = _inner(self.guard)
        if not isinstance(guard, LEARNED) or not self.scores:
            return
        readings = {r.text: r for r in (*text.readings, *text.decoded)}
        labels = dict.fromkeys(
            label
            for _, scores in self.scores
            for window in scores.windows
            for label, _ in window.scores
            if label in guard.known_labels
        )
        for label in labels:
            runs = []
            for said, scores in self.scores:
                reading = readings[said]
                windows = [
                    (
                        dict(window.scores)[label],
                        *reading.span(window.start, window.end),
                    )
                    for window in scores.windows
                ]
                # A threshold that follows from a rate depends on the number of windows,
                # so each reading has its own.
                run = {
                    "reading": reading.name,
                    "windows": windows,
                    "threshold": _threshold(guard, label, text.role, scores),
                    "rates": [*_rates(scores, label, text.role)],
                }
                runs.append(run)
            action = guard.action_of(label).name.lower()
            yield {"label": label, "action": action, "runs": runs}


@dataclass(frozen=True, kw_only=True)
class _Watched(Guard):
    """A guard that is watched: it finds what it finds, and nothing ends it early."""

    seen: _Seen = field(repr=False)

    def inspect(self, text: Text) -> Inspection:
        seen = self.seen
        steps = seen.guard.inspect(text)
        answer: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                if thrown is None:
                    item = steps.send(answer)
                else:
                    item, thrown = steps.throw(thrown), None
                answer = None
                if isinstance(item, Finding):
                    yield seen.found(item)
                    continue
                try:
                    answer = yield item
                except Exception as error:
                    thrown = error
                else:
                    seen.answered(item, answer)
        except StopIteration:
            return
        except PromptGuardError as error:
            seen.error = str(error)
        except Exception as error:
            # Its message may hold the text.
            seen.error = f"guard {seen.guard.name!r} broke: {type(error).__name__}"


def _readings(text: Text) -> Iterator[dict[str, Any]]:
    """What the guards read; the original itself is known to the page."""
    for reading in (*text.readings, *text.decoded):
        yield {
            "name": reading.name,
            "text": reading.text,
            "same": reading.text == text.original,
        }


def _threshold(guard: Any, label: str, role: str, scores: Scores) -> float:
    """The probability from which the guard finds a label."""
    stated = guard.threshold
    if isinstance(stated, tuple):
        stated = dict(stated).get(label)
    if stated is None:
        stated = scores.threshold(label, role, guard.fpr)
    if guard.band is not None:
        stated = min(stated, guard.band[1])
    return float(stated)


def _rates(scores: Scores, label: str, role: str) -> Iterator[tuple[float, float]]:
    """The rates that were measured for the model, each with its threshold."""
    for rate in _RATES:
        try:
            threshold = scores.threshold(label, role, rate)
        except PromptGuardError:
            continue
        if math.isfinite(threshold):
            yield rate, threshold


def _without_arguments() -> Iterator[Guard]:
    """Every guard of the package that can be made without being told anything."""
    promptguard = import_module("promptguard")
    # The one that most people come for stands first.
    names = sorted(promptguard.__all__, key=lambda name: name != "PromptInjection")
    for name in names:
        kind = getattr(promptguard, name)
        if not isinstance(kind, type) or not issubclass(kind, Guard) or kind is Guard:
            continue
        make: Callable[[], Guard] = kind
        try:
            yield make()
        except (TypeError, PromptGuardError):
            continue


def _inner(guard: Guard) -> Guard:
    while isinstance(guard, Only):
        guard = guard.guard
    return guard


def _asks(guard: Guard) -> bool:
    guard = _inner(guard)
    if isinstance(guard, Then):
        return any(map(_asks, (*guard.first.parts, *guard.second.parts)))
    return isinstance(guard, Judge)
