"""What is kept of a record: the rows, and how much of the texts."""

from __future__ import annotations

import hmac
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal, cast, get_args

from .. import (
    PII,
    Action,
    Code,
    ConfigError,
    Engine,
    Finding,
    Guard,
    HarmfulRequest,
    InvisibleText,
    Json,
    Language,
    MaxLength,
    Profanity,
    PromptInjection,
    Refusal,
    Secrets,
    Text,
    Toxicity,
    Verdict,
)
from ..prices import Prices
from ..records import Checked, Direction, Latency, Outcome, Record, Said

__all__ = ["Keeping", "Rows", "Texts"]

Texts = Literal["redacted", "hashed", "whole", "none"]
"""How much of the texts is kept."""

# Neither is known to PostgreSQL; both become one character, so that places stay.
_STRANGE = re.compile("[\x00\ud800-\udfff]")


_OUTCOMES: dict[Action, Outcome] = {
    Action.ALLOW: "allowed",
    Action.FLAG: "flagged",
    Action.REDACT: "redacted",
    Action.BLOCK: "blocked",
}
# Beyond what is kept of a text, so that a value across the end is seen.
_AHEAD = 1000
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one record."""

    request: dict[str, Any]
    texts: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]


@cache
def passages() -> frozenset[str]:
    """Labels that say something of a passage, and are not what a value is called."""
    guards: tuple[Guard, ...] = (
        *(PromptInjection(), HarmfulRequest(), Toxicity(), Profanity(), Refusal()),
        *(Code(), InvisibleText(), Json(), Language(("en",)), MaxLength(1)),
    )
    return frozenset().union(*(guard.known_labels or () for guard in guards))


@dataclass(frozen=True)
class Keeping:
    """Makes rows of records.

    Args:
        texts: ``redacted``: without what the guards found but for passages, and
            without what ``redact`` finds. ``hashed``: an HMAC alone. ``whole``: as it
            came. ``none``: its length alone.
        key: Of the HMAC; with it a digest is kept beside redacted and whole texts too.
        redact: Looks for values to take out, on top of what was found before.
        labels: More labels that mark passages, such as the names of rubrics: what they
            mark is not taken out.
        most: How many characters of a text are kept.
        prices: What models cost.
    """

    texts: Texts = "redacted"
    key: bytes | None = None
    redact: Guard | None = None
    labels: frozenset[str] = frozenset()
    most: int = 100_000
    prices: Prices | None = None

    def __post_init__(self) -> None:
        if self.texts not in get_args(Texts):
            raise ConfigError(f"texts must be one of {', '.join(get_args(Texts))}")
        if self.texts == "hashed" and not self.key:
            raise ConfigError(
                "texts='hashed' needs key=, some secret bytes: without a key, short "
                "texts are found by trying"
            )
        if self.key is not None and len(self.key) < 16:
            raise ConfigError("key must be at least 16 bytes")
        if self.most < 1:
            raise ConfigError("most must be at least 1")

    @cached_property
    def _redact(self) -> Guard:
        return PII() | Secrets() if self.redact is None else self.redact

    def rows(self, record: Record, key: str, run: str) -> Rows:
        """The rows of a record."""
        texts: list[dict[str, Any]] = []
        findings: list[dict[str, Any]] = []
        said = record.texts if len(record.texts) == len(record.checks) else ()
        for position, check in enumerate(record.checks):
            where = {"key": key, "position": position}
            text, found = self._text(check, said[position] if said else None)
            texts.append(where | text)
            findings += [where | row for row in found]
        return Rows(self._request(record, key, run), tuple(texts), tuple(findings))

    def _request(self, record: Record, key: str, run: str) -> dict[str, Any]:
        took, cost = record.latency, None
        if self.prices is not None:
            cost = self.prices.cost(record.model, record.tokens_in, record.tokens_out)
        return {
            "key": key,
            "run": run,
            "request": _short(record.id),
            "time": record.time,
            "endpoint": _short(record.endpoint),
            "model": _short(record.model),
            "caller": _short(record.caller),
            "stream": record.stream,
            "status": record.status,
            "outcome": record.outcome,
            "error": _short(record.error),
            "retries": record.retries,
            "seconds": took.total,
            "seconds_input": took.input,
            "seconds_upstream": took.upstream,
            "seconds_output": took.output,
            "seconds_first": took.first,
            "upstream_status": record.upstream_status,
            "tokens_in": _count(record.tokens_in),
            "tokens_out": _count(record.tokens_out),
            "cost": cost,
            "currency": self.prices.currency if self.prices and cost else None,
        }

    def _text(
        self, check: Checked, said: Said | None
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        kept, cuts = self._kept(check, said)
        costs = [usage.cost for _, usage in check.usage if usage.cost is not None]
        row = {
            "direction": check.direction,
            "role": check.role,
            "action": check.action.name.lower(),
            "coverage": check.coverage,
            "degraded": check.degraded,
            "dry_run": check.dry_run,
            "length": check.length,
            "timings": {name: round(seconds, 6) for name, seconds in check.timings},
            "judge_tokens": sum(
                usage.prompt_tokens + usage.completion_tokens
                for _, usage in check.usage
            ),
            "judge_cost": sum(costs) if costs else None,
            **kept,
        }
        text = kept["text"]
        found = []
        for number, finding in enumerate(check.findings):
            start = end = None
            if text is not None:
                # What lies beyond the part that is kept has no place in it.
                last = min(cuts.place(finding.end, True), len(text))
                first = cuts.place(finding.start)
                if first <= last:
                    start, end = first, last
            found.append(
                {
                    "number": number,
                    "guard": _short(finding.guard, 100),
                    "label": _short(finding.label, 100),
                    "action": (finding.action or check.action).name.lower(),
                    "score": finding.score,
                    "start": finding.start,
                    "end": finding.end,
                    "kept_start": start,
                    "kept_end": end,
                }
            )
        return row, found

    def _kept(self, check: Checked, said: Said | None) -> tuple[dict[str, Any], _Cuts]:
        kept: dict[str, Any] = {"kept": "none", "text": None, "digest": None}
        cuts = _Cuts(())
        if said is None or self.texts == "none":
            return kept, cuts
        if self.key is not None:
            data = said.original.encode("utf-8", "surrogatepass")
            kept["digest"] = hmac.new(self.key, data, "sha256").hexdigest()
        kept["kept"] = self.texts
        if self.texts == "whole":
            kept["text"] = _clean(said.original[: self.most])
        elif self.texts == "redacted":
            try:
                cuts = _Cuts(self._values(check, said))
            except Exception:
                # Nothing is known of what is in it, so it is not kept.
                kept["kept"] = "failed"
            else:
                end = min(len(said.original), self.most)
                text = cuts.redacted(said.original[: self.most + _AHEAD])
                kept["text"] = _clean(text[: cuts.place(end, True)])
        return kept, cuts

    def _values(self, check: Checked, said: Said) -> list[Finding]:
        """What is to be taken out of a text."""
        text = said.original[: self.most + _AHEAD]
        engine = Engine(self._redact, (Text(text, said.role),))
        engine.start()
        (verdict,) = engine.verdicts
        passing = passages() | self.labels
        before = [finding for finding in check.findings if finding.label not in passing]
        redacted = [f for f in check.findings if f.action is Action.REDACT]
        return [*verdict.findings, *before, *redacted]


class _Cuts:
    """Places that are taken out of a text, and what stands there instead."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self._cuts: list[tuple[int, int, str]] = []
        for found in sorted(findings, key=lambda f: (f.start, -f.end)):
            if found.start >= found.end:
                continue
            if self._cuts and found.start < self._cuts[-1][1]:
                start, end, token = self._cuts.pop()
                self._cuts.append((start, max(end, found.end), token))
            else:
                self._cuts.append((found.start, found.end, _token(found.label)))
        self._starts = [start for start, _, _ in self._cuts]
        self._shifts = [0]
        for start, end, token in self._cuts:
            self._shifts.append(self._shifts[-1] + len(token) - (end - start))

    def redacted(self, text: str) -> str:
        """The text with a word for each place."""
        parts, last = [], 0
        for start, end, token in self._cuts:
            parts += [text[last:start], token]
            last = end
        return "".join((*parts, text[last:]))

    def place(self, position: int, end: bool = False) -> int:
        """Where a position is in what ``redacted`` gives."""
        number = bisect_right(self._starts, position - end)
        if number:
            start, stop, token = self._cuts[number - 1]
            if position < stop or (end and position <= stop):
                # Inside of what was taken out: the whole word stands for it.
                return start + self._shifts[number - 1] + (len(token) if end else 0)
        return position + self._shifts[number]


def record_of(verdict: Verdict, request: str, when: float) -> Record:
    """The record of a verdict that no service made, but a call of the library.

    A verdict does not say which way its text went, nor whose it was.
    """
    longest = max((seconds for _, seconds in verdict.timings), default=0.0)
    return Record(
        id=request,
        time=when - longest,
        endpoint="",
        outcome=_OUTCOMES[verdict.action],
        checks=(Checked.of(verdict, cast(Direction, "unknown"), "unknown"),),
        latency=Latency(longest, longest),
        texts=(Said("input", "user", verdict.original, verdict.text),),
    )


def _token(label: str) -> str:
    word = re.sub(r"[^A-Z0-9]+", "_", label.upper()).strip("_")
    return f"<{word or 'VALUE'}>"


def _clean(text: str) -> str:
    return _STRANGE.sub("\ufffd", text)


def _count(number: int | None) -> int | None:
    """A count as far as a column goes: an upstream may say anything."""
    return None if number is None else max(0, min(number, _LARGEST))


def _short(text: str, most: int = 200) -> str:
    return _clean(text[:most])
