"""Whatever breaks, no text goes on, and nothing that is said about it shows it."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import promptguard as pg
from promptguard import Action, Ask, Classify, Finding, Guard, GuardError, Text
from promptguard.guarded import guarded
from promptguard.testing import FakeGuard

CANARY = "canary-secret-5150"


@dataclass(frozen=True, kw_only=True)
class Broken(Guard):
    """Breaks in the way that is asked for."""

    fault: str
    span: int | None = None
    action: Action = field(default=Action.REDACT)

    @property
    def reach(self) -> int | None:
        return self.span

    def inspect(self, text: Text) -> Any:
        if self.fault == "not a generator":
            return [Finding("x", 1.0, 0, 1)]
        if self.fault == "none instead of a generator":
            return None
        if self.fault == "raises before it starts":
            raise ValueError(text.original)
        return self.steps(text)

    def steps(self, text: Text) -> Any:
        said, end = text.original, len(text.original)
        match self.fault:
            case "raises":
                raise ValueError(f"cannot read {said}")
            case "raises with a chain":
                try:
                    raise KeyError(said)
                except KeyError as error:
                    raise RuntimeError(said) from error
            case "recursion":
                yield from self.steps(text)
            case "memory":
                raise MemoryError(said)
            case "stop iteration":
                raise StopIteration(said)
            case "yields a string":
                yield said
            case "yields none":
                yield None
            case "yields an empty tuple":
                yield ()
            case "yields a list of queries":
                yield [Ask(str, "", said)]
            case "score is nan":
                yield Finding("x", float("nan"), 0, end)
            case "score is none":
                yield Finding("x", None, 0, end)  # type: ignore[arg-type]
            case "score above one":
                yield Finding("x", 1.5, 0, end)
            case "score is a string":
                yield Finding("x", "1.0", 0, end)  # type: ignore[arg-type]
            case "span outside":
                yield Finding("x", 1.0, 0, end + 1)
            case "span reversed":
                yield Finding("x", 1.0, end, 0) if end else None
            case "action is a string":
                yield Finding("x", 1.0, 0, end, action="block")  # type: ignore[arg-type]
            case "missing model":
                yield Classify("/no/such/model", said, "user")
            case "llm raises":
                yield Ask(raising, "", said)
            case "llm answers nonsense":
                answer = yield Ask(nonsense, "", said)
                yield Finding("x", float(answer), 0, end)
            case "llm is not a function":
                yield Ask(None, "", said)  # type: ignore[arg-type]


def raising(rubric: str, text: str) -> str:
    raise ConnectionError(f"no answer about {text}")


def nonsense(rubric: str, text: str) -> str:
    return f"I think {text} is fine"


FAULTS = [
    "not a generator",
    "none instead of a generator",
    "raises before it starts",
    "raises",
    "raises with a chain",
    "recursion",
    "memory",
    "stop iteration",
    "yields a string",
    "yields none",
    "yields an empty tuple",
    "yields a list of queries",
    "score is nan",
    "score is none",
    "score above one",
    "score is a string",
    "span outside",
    "span reversed",
    "action is a string",
    "missing model",
    "llm raises",
    "llm answers nonsense",
    "llm is not a function",
]
SLOW = {"missing model", "llm raises", "llm answers nonsense", "llm is not a function"}


def run_whole(guards: dict[str, Any], out: list[str]) -> None:
    out.append(guarded(lambda prompt: called(out, prompt), **guards)(CANARY))


def run_async(guards: dict[str, Any], out: list[str]) -> None:
    async def ask(prompt: str) -> str:
        return called(out, prompt)

    async def main() -> None:
        out.append(await guarded(ask, **guards)(CANARY))

    asyncio.run(main())


def run_stream(guards: dict[str, Any], out: list[str]) -> None:
    def ask(prompt: str) -> Iterator[str]:
        yield from called(out, prompt)

    out.extend(guarded(ask, **guards)(CANARY))


def run_async_stream(guards: dict[str, Any], out: list[str]) -> None:
    async def ask(prompt: str) -> Any:
        for piece in called(out, prompt):
            yield piece

    async def main() -> None:
        async for piece in guarded(ask, **guards)(CANARY):
            out.append(piece)

    asyncio.run(main())


def called(out: list[str], prompt: str) -> str:
    out.append("called")
    return prompt


WAYS = [run_whole, run_async, run_stream, run_async_stream]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__[4:])
faults = pytest.mark.parametrize("fault", FAULTS)


def said_about(error: BaseException) -> str:
    """All that an error report could show of an error, chained ones too."""
    said, seen, todo = "", set(), [error]
    while todo:
        error = todo.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        said += repr(error) + str(error) + str(vars(error)) + str(error.args)
        said += "".join(traceback.format_exception(error))
        todo += [error.__cause__, error.__context__]  # type: ignore[list-item]
    return said


@faults
@ways
@pytest.mark.parametrize("place", ["input", "output"])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside others"])
def test_a_guard_that_breaks_lets_nothing_through(fault, way, place, beside, caplog):
    caplog.set_level(logging.DEBUG)
    spans: list[int | None] = [None]
    if place == "output" and "stream" in way.__name__ and fault not in SLOW:
        spans.append(8)
    for span in spans:
        guard: Guard = Broken(fault=fault, span=span)
        if beside:
            guard = FakeGuard(name="fine", word="zzz") | guard
        out: list[str] = []
        with pytest.raises(pg.PromptGuardError) as raised:
            way({place: guard}, out)
        assert out == ([] if place == "input" else ["called"])
        assert CANARY not in said_about(raised.value)
        assert CANARY not in caplog.text
        assert CANARY not in str(pickle.loads(pickle.dumps(raised.value)).__dict__)


@faults
@ways
@pytest.mark.parametrize("place", ["input", "output"])
def test_on_error_allow_goes_on_and_says_so(fault, way, place, caplog):
    caplog.set_level(logging.DEBUG)
    out: list[str] = []
    guard = FakeGuard(name="fine", word="zzz") | Broken(fault=fault)
    with pg.capture() as verdicts:
        way({place: guard, "on_error": "allow"}, out)
    assert "".join(out) == "called" + CANARY
    assert [verdict.degraded for verdict in verdicts] == [True]
    assert verdicts[0].coverage == 0.0
    assert "CRITICAL" in caplog.text
    assert CANARY not in caplog.text


@ways
@pytest.mark.parametrize("first", [True, False], ids=["block first", "fault first"])
def test_a_block_is_not_lost_when_another_guard_breaks(way, first):
    block, fault = FakeGuard(word=CANARY), Broken(fault="raises")
    for on_error in ("block", "allow"):
        guard = block | fault if first else fault | block
        out: list[str] = []
        with pytest.raises(pg.Blocked):
            way({"input": guard, "on_error": on_error}, out)
        with pytest.raises(pg.Blocked):
            way({"output": guard, "on_error": on_error}, out)
        assert CANARY not in "".join(out)


def test_a_guard_that_breaks_in_the_middle_ends_the_stream_there():
    @dataclass(frozen=True, kw_only=True)
    class Later(Guard):
        reach = 4

        def inspect(self, text: Text) -> Any:
            if "fox" in text.original:
                raise ValueError(text.original)
            yield from ()

    words = "The quick brown fox jumps over the lazy dog".split(" ")
    out: list[str] = []
    with pytest.raises(GuardError):
        for piece in guarded(lambda p: iter(f"{w} " for w in words), output=Later())(
            "p"
        ):
            out.append(piece)
    assert "The quick brown ".startswith("".join(out))


@dataclass(frozen=True, kw_only=True)
class Finds(Guard):
    """Finds the canary."""

    def inspect(self, text: Text) -> Any:
        start = text.original.find(CANARY)
        if start >= 0:
            yield Finding("canary", 1.0, start, start + len(CANARY))


@pytest.mark.parametrize("action", list(Action), ids=lambda action: action.name)
@ways
def test_nothing_that_is_said_about_a_call_shows_its_text(action, way, caplog, capfd):
    """Logs, reprs, errors, pickles and warnings, for every action."""
    caplog.set_level(logging.DEBUG)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    said = ""
    try:
        with warnings.catch_warnings(record=True) as caught, pg.capture() as verdicts:
            warnings.simplefilter("always")
            for place in ("input", "output"):
                try:
                    way({place: Finds(action=action)}, [])
                except pg.Blocked as error:
                    logging.getLogger().exception("blocked")
                    said += said_about(error)
                    said += repr(error.verdict) + str(error.verdict)
                    said += pickle.dumps(error).decode("latin-1")
            gc.collect()
        said += "".join(str(warning.message) for warning in caught)
        for verdict in verdicts:
            said += repr(verdict) + str(verdict.timings)
            said += pickle.dumps(verdict).decode("latin-1")
    finally:
        logging.getLogger().removeHandler(handler)
    said += stream.getvalue() + caplog.text + "".join(capfd.readouterr())
    assert CANARY not in said
    assert len(verdicts) == 2


def test_objects_that_hold_text_do_not_show_it():
    from promptguard.arguments import read
    from promptguard.testing import Reply, ToolCall

    found = read((), {"messages": [{"role": "user", "content": CANARY}]})
    stream = guarded(lambda p: iter([CANARY]), output=FakeGuard())("p")
    shown = [
        found,
        found.parts,
        Text(CANARY),
        Text(CANARY).clean,
        Ask(str, "", CANARY),
        Classify(None, CANARY, "user"),
        Reply(content=CANARY, tool_calls=(ToolCall("f", json.dumps(CANARY)),)),
        stream,
        FakeGuard(word=CANARY),
    ]
    for value in shown:
        assert CANARY not in repr(value), type(value).__name__


def test_errors_of_unknown_shapes_do_not_show_what_they_saw():
    ask = guarded(lambda **k: k["answer"], input=FakeGuard(), output=FakeGuard())
    for call in (
        {"prompt": [CANARY, CANARY.encode()]},
        {"messages": [{"content": CANARY}]},
        {"messages": [{"role": CANARY, "content": ""}]},
        {"messages": [{"role": "user", "content": [{"type": CANARY}]}]},
        {"prompt": "p", "answer": {CANARY: CANARY}},
        {"prompt": "p", "answer": CANARY.encode()},
        {"prompt": "p", "answer": {"choices": [{CANARY: CANARY}]}},
    ):
        with pytest.raises(pg.ConfigError) as raised:
            ask(**call)
        assert CANARY not in said_about(raised.value)
