"""check_guard: whether a guard keeps the promises that the engine and users rely on."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
import types
from collections.abc import Callable, Iterable, Iterator

from ..drivers import drive
from ..engine import Engine
from ..errors import Blocked, PromptGuardError
from ..guard import Guard
from ..placeholders import Placeholders
from ..stream import Gate
from ..text import ROLES, Text
from ..verdict import Finding, Verdict

__all__ = ["check_guard"]

_CANARY = "canary-8f1d"
_ODD = (
    "",
    " ",
    "\x00",
    "a\x00b\x1b[31mred",
    "\ud800 lone",
    "\udc00",
    "e" + "\u0301" * 40,
    "\u202ereversed\u202c zero\u200bwidth \ufeff",
    "\U0001f469\u200d\U0001f4bb \U000e0041\U000e0042 \uff46\uff55\uff4c\uff4c",
    "<|im_start|>system [CLS] <s> </s>",
    "مرحبا 你好 здравствуйте नमस्ते",
    "line\r\nline\ttab\u2028line",
    "{" * 300 + '"' * 300,
    f"{_CANARY} Please ignore this: call +1 202 555 0143 or mail joe@example.com.",
)
_FILLER = "The quick brown fox jumps over the lazy dog, and nothing else happens. "


def check_guard(guard: Guard, texts: Iterable[str] = (), *, long: int = 20_000) -> None:
    """Assert that a guard keeps the rules that guards live by.

    Call it in a test of every guard you write:

        check_guard(MyGuard(), ["a text it finds something in", "one it does not"])

    Args:
        guard: The guard.
        texts: Texts that mean something to it. The more of what it finds they hold,
            the more is checked.
        long: Characters of the longest text it is given.

    Raises:
        AssertionError: A rule is broken; the message says which, by which guard.
    """
    rules = _Rules(guard)
    rules.is_a_value()
    own = tuple(texts)
    samples = (*own, *_ODD)
    for text in samples:
        rules.finds_the_same_twice(text, "user")
    for text in (*own, _ODD[-1]):
        for role in ROLES:
            rules.finds_the_same_twice(text, role)
    rules.finds_the_same_twice((_FILLER * (long // len(_FILLER) + 1))[:long], "user")
    rules.says_nothing_of_the_text(samples)
    rules.keeps_its_reach(samples)


class _Rules:
    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.who = getattr(guard, "name", "") or type(guard).__name__

    def require(self, kept: bool, rule: str) -> None:
        if not kept:
            raise AssertionError(f"guard {self.who!r} {rule}")

    def is_a_value(self) -> None:
        """Frozen, hashable, picklable, equal to its copies."""
        guard = self.guard
        self.require(isinstance(guard, Guard), "is not a promptguard.Guard")
        self.require(dataclasses.is_dataclass(guard), "is not a dataclass")
        for field in dataclasses.fields(guard):
            try:
                setattr(guard, field.name, getattr(guard, field.name))
            except dataclasses.FrozenInstanceError:
                continue
            self.require(
                False, f"lets {field.name!r} be set: write @dataclass(frozen=True)"
            )
        try:
            same = hash(guard) == hash(copy.copy(guard))
        except TypeError:
            same = False
        self.require(same, "cannot be hashed: use tuples and frozen values in fields")
        twins: dict[str, Callable[[], object]] = {
            "copy.copy": lambda: copy.copy(guard),
            "copy.deepcopy": lambda: copy.deepcopy(guard),
            "dataclasses.replace": lambda: dataclasses.replace(guard),
            "pickle": lambda: pickle.loads(pickle.dumps(guard)),
        }
        for way, make in twins.items():
            try:
                equal = make() == guard
            except Exception as error:
                raise AssertionError(
                    f"guard {self.who!r} cannot be copied by {way}: "
                    f"{type(error).__name__}"
                ) from None
            self.require(equal, f"differs from its copy by {way}")
        reach = guard.reach
        self.require(
            type(reach) in (int, type(None)) and (reach is None or reach > 0),
            "has a reach that is neither None nor a positive number of characters",
        )
        inspection = guard.inspect(Text(""))
        self.require(
            isinstance(inspection, types.GeneratorType),
            "has an inspect that is not a generator function: yield the findings",
        )
        inspection.close()

    def finds_the_same_twice(self, text: str, role: str) -> None:
        first, second = self.verdict(text, role), self.verdict(text, role)
        self.require(
            (first.findings, first.coverage) == (second.findings, second.coverage),
            f"gives two verdicts on one {_what(text)}: let nothing but text and "
            "configuration decide",
        )
        for finding in first.findings:
            label: object = finding.label
            self.require(
                isinstance(label, str) and label != "",
                "yields a finding without a label",
            )
            known = self.guard.known_labels
            self.require(
                known is None or label in known,
                "yields a label that is not in its known_labels",
            )

    def says_nothing_of_the_text(self, samples: Iterable[str]) -> None:
        """Reprs and labels are logged; the text may be the secret."""
        for text in samples:
            verdict = self.verdict(text, "user")
            said = repr(verdict) + repr(Blocked(verdict))
            self.require(
                _CANARY not in said
                and not any(
                    len(text[f.start : f.end]) > 8 and text[f.start : f.end] in said
                    for f in verdict.findings
                ),
                "puts the text into a finding: use a fixed label",
            )

    def keeps_its_reach(self, samples: Iterable[str]) -> None:
        """Streams rely on reach and on text.start."""
        if self.guard.reach is None:
            return
        chance = random.Random(0)
        for sample in samples:
            for text in (sample, _FILLER + sample + " " + _FILLER, sample + sample):
                whole = self.verdict(text, "assistant")
                self.starts_where_told(text, whole, chance)
                for sizes in _sizes(chance):
                    self.streams_alike(text, whole, sizes)

    def starts_where_told(
        self, text: str, whole: Verdict, chance: random.Random
    ) -> None:
        places = {f.start for f in whole.findings} | {f.end for f in whole.findings}
        places |= {chance.randrange(len(text) + 1) for _ in range(3)}
        for start in places:
            engine = Engine(self.guard, (Text(text, "assistant", start=start),))
            found = self.driven(engine, text).findings
            self.require(
                all(finding.start >= start for finding in found),
                "reports a finding before text.start: scan with "
                "pattern.finditer(reading.text, reading.position(text.start))",
            )

    def streams_alike(self, text: str, whole: Verdict, sizes: Iterator[int]) -> None:
        gate = Gate(self.guard, Placeholders())
        at = 0
        try:
            while at < len(text):
                size = next(sizes)
                gate.feed(text[at : at + size])
                self.stepped(gate)
                at += size
            self.stepped(gate, end=True)
        except Blocked as blocked:
            start = min(_blocks(whole.findings), default=len(text))
            self.require(
                min(_blocks(blocked.verdict.findings)) == start,
                "blocks a stream at another place than the whole text: its reach is "
                "too short, or text.start is not honoured",
            )
            return
        # A text with several readings may hold the same finding in each of them.
        streamed, found = set(gate.verdict().findings), set(whole.findings)
        self.require(
            not whole.blocked and streamed == found,
            "finds something else in a stream than in the whole text: its reach must "
            "be the longest match in characters, with all it looks at on both sides",
        )

    def stepped(self, gate: Gate, end: bool = False) -> None:
        steps = gate.release(end)
        verdicts: tuple[Verdict, ...] | None = None
        while True:
            try:
                engine = steps.send(verdicts)  # type: ignore[arg-type] # first None
            except StopIteration:
                return
            engine.start()
            self.require(
                not engine.pending,
                "has a reach and asks a query: one that asks needs the whole text",
            )
            verdicts = engine.verdicts

    def verdict(self, text: str, role: str) -> Verdict:
        return self.driven(Engine(self.guard, (Text(text, role),)), text)

    def driven(self, engine: Engine, text: str) -> Verdict:
        try:
            return drive(engine)[0]
        except PromptGuardError as error:
            raise AssertionError(
                f"guard {self.who!r} breaks on a {_what(text)}: {error}"
            ) from error


def _what(text: str) -> str:
    if len(text) > 40:
        return f"text of {len(text)} characters that begins {text[:40]!a}"
    return f"text {text!a}"


def _blocks(findings: Iterable[Finding]) -> list[int]:
    return [
        f.start for f in findings if f.action is not None and f.action.name == "BLOCK"
    ]


def _sizes(chance: random.Random) -> Iterator[Iterator[int]]:
    """Ways to cut a text: character by character, in two, at random."""

    def repeat(size: int) -> Iterator[int]:
        while True:
            yield size

    def anyhow(most: int) -> Iterator[int]:
        while True:
            yield chance.randint(1, most)

    yield repeat(1)
    yield repeat(1_000_000)
    yield anyhow(5)
    yield anyhow(40)
