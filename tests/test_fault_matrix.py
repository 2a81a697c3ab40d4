"""Every fault in every guard, wherever a text goes and however it is waited for.

Not one cell lets its text go on: the call ends with one of our errors, the function
that was guarded is not called with the text, and nothing of an answer comes out.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import promptguard as pg
from promptguard import Ask, Classify, Finding, Guard, Text
from promptguard.guarded import guarded

# JSON, English and harmless, so that every guard lets it through.
CANARY = '"The bakery opens at seven, and the bread is best while it is warm."'

# Those that cannot be made without an argument.
GUARDS: dict[str, Guard] = {
    "AnyOf": pg.Keywords(("absent",)) | pg.PII(),
    "Classifier": pg.Classifier(model=str(Path(pg.__file__).parent / "models")),
    "Canary": pg.Canary("You are a careful gardener who never speaks of orchids."),
    "Keywords": pg.Keywords(("absent",)),
    "Language": pg.Language(("en",)),
    "MaxLength": pg.MaxLength(1000),
    "Only": pg.PII().only("user", "tool", "function", "retrieved", "assistant"),
    "Regex": pg.Regex("absent"),
    "Then": pg.PromptInjection(band=(0.2, 0.9)).then(pg.Keywords(("absent",))),
}
# Judges ask somebody else's LLM; their faults have tests of their own.
OTHERS = {"Guard", "Judge"}
for _name in set(pg.__all__) - GUARDS.keys() - OTHERS:
    _kind = getattr(pg, _name)
    if isinstance(_kind, type) and issubclass(_kind, Guard):
        GUARDS[_name] = _kind()


def answers(value: object) -> Callable[[str, str], Any]:
    return lambda rubric, text: value


def hangs(rubric: str, text: str) -> str:
    threading.Event().wait(5)
    return "safe"


def judged(answer: Any) -> float:
    """What a guard makes of a judge's reply: it must be a share."""
    score = json.loads(answer)["score"]
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise TypeError("score")
    return score


@dataclass(frozen=True)
class Fault:
    """What goes wrong once a guard has begun."""

    name: str
    folder: str = ""

    def __call__(self, text: Text) -> Iterator[Any]:
        end = len(text.original)
        match self.name:
            case "raise":
                raise ValueError(text.original)
            case "timeout":
                yield Ask(hangs, "", text.original)
            case "bad JSON":
                answer = yield Ask(answers('{"score": 0'), "", text.original)
                yield Finding("x", judged(answer), 0, end)
            case "NaN":
                answer = yield Ask(answers('{"score": NaN}'), "", text.original)
                yield Finding("x", judged(answer), 0, end)
            case "None":
                answer = yield Ask(answers(None), "", text.original)
                yield Finding("x", judged(answer), 0, end)
            case "wrong type":
                answer = yield Ask(answers('{"score": "0"}'), "", text.original)
                yield Finding("x", judged(answer), 0, end)
            case "cancelled":
                raise asyncio.CancelledError
            case "missing model" | "corrupt model":
                yield Classify(self.folder, text.original, text.role)
            case "dead thread":
                yield Ask(dies, "", text.original)
            case "recursion":
                yield from self(text)
            case "out of memory":
                raise MemoryError


def dies(rubric: str, text: str) -> str:
    raise SystemExit  # what ends a thread


FAULTS = (
    "raise",
    "timeout",
    "bad JSON",
    "NaN",
    "None",
    "wrong type",
    "cancelled",
    "missing model",
    "corrupt model",
    "dead thread",
    "recursion",
    "out of memory",
)


def faulty(guard: Guard, fault: Fault) -> Guard:
    """The guard with the fault inside its inspection, at the end of it."""
    if isinstance(guard, pg.AnyOf):
        return replace(guard, guards=(guard.guards[0], faulty(guard.guards[1], fault)))
    kind = type(guard)

    class Faulty(kind):  # type: ignore[misc,valid-type]  # one for each guard
        def inspect(self, text: Text) -> Any:
            yield from super().inspect(text)
            yield from fault(text)

    fields = {name: getattr(guard, name) for name in kind.__dataclass_fields__}
    broken = object.__new__(Faulty)
    for name, value in fields.items():
        object.__setattr__(broken, name, value)
    return broken


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    missing = tmp_path_factory.mktemp("models") / "nowhere"
    corrupt = tmp_path_factory.mktemp("corrupt")
    shipped = Path(pg.__file__).parent / "models"
    for path in shipped.iterdir():
        data = path.read_bytes()
        (corrupt / path.name).write_bytes(data[: len(data) // 2])
    return {"missing model": str(missing), "corrupt model": str(corrupt)}


class Place:
    """Where the text is: in the input, in the output, or in what a tool gave."""

    def __init__(self, name: str, guard: Guard, budget: float | None) -> None:
        self.out: list[str] = []
        self.options: dict[str, Any] = {"budget": budget}
        self.options["output" if name == "output" else "input"] = guard
        self.given: dict[str, Any] = {"prompt": CANARY}
        if name == "tool":
            self.given = {"messages": [{"role": "tool", "content": CANARY}]}

    def called(self, kwargs: dict[str, Any]) -> str:
        if "input" in self.options:
            self.out.append(str(kwargs))
        return CANARY

    def sync(self) -> None:
        ask = guarded(lambda **kwargs: self.called(kwargs), **self.options)
        self.out.append(ask(**self.given))

    def coroutine(self) -> None:
        async def ask(**kwargs: Any) -> str:
            return self.called(kwargs)

        async def main() -> None:
            self.out.append(await guarded(ask, **self.options)(**self.given))

        asyncio.run(main())

    def stream(self) -> None:
        def ask(**kwargs: Any) -> Iterator[str]:
            yield from self.called(kwargs)

        for piece in guarded(ask, **self.options)(**self.given):
            self.out.append(piece)

    def astream(self) -> None:
        async def ask(**kwargs: Any) -> Any:
            for piece in self.called(kwargs):
                yield piece

        async def main() -> None:
            async for piece in guarded(ask, **self.options)(**self.given):
                self.out.append(piece)

        asyncio.run(main())


WAYS = (Place.sync, Place.coroutine, Place.stream, Place.astream)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["input", "output", "tool"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_fault_lets_a_text_go_on(fault, place, way, folders):
    passed = []
    for name, guard in GUARDS.items():
        broken = faulty(guard, Fault(fault, folders.get(fault, "")))
        cell = Place(place, broken, 0.02 if fault == "timeout" else None)
        try:
            way(cell)
        except pg.PromptGuardError as error:
            if CANARY not in str(error) and "".join(cell.out) in ("", "called"):
                continue
        passed.append(name)
    assert passed == []


def test_the_matrix_has_the_guards_of_the_library():
    assert {"PII", "PromptInjection", "Secrets", "Json"} <= GUARDS.keys()


def test_without_a_fault_every_cell_is_let_through():
    """So that the matrix is not empty because nothing passes anyway."""

    @dataclass(frozen=True)
    class Fine(Fault):
        def __call__(self, text: Text) -> Iterator[Any]:
            yield from ()

    for name, guard in GUARDS.items():
        for place in ("input", "output", "tool"):
            for way in WAYS:
                cell = Place(place, faulty(guard, Fine("fine")), None)
                way(cell)
                assert CANARY in "".join(cell.out), (name, place, way)
