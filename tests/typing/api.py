"""Read by mypy and never run: the types that a user meets."""

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import promptguard as pg

guard = pg.PromptInjection(fpr=0.01) | pg.InvisibleText()
assert_type(guard, pg.AnyOf)
assert_type(guard.then(pg.MaxLength(1000)), pg.Then)
assert_type(guard.check("text", role="tool"), pg.Verdict)
assert_type(guard.check_batch(["a", "b"]), tuple[pg.Verdict, ...])


# Bare and with arguments, the decorator gives back the signature it was given.
@pg.guarded(input=guard)
def ask(prompt: str, *, temperature: float = 0.0) -> str:
    return prompt


@pg.guarded(input=guard, output=pg.Keywords(("word",)), on_error="block")
async def ask_later(prompt: str) -> int:
    return len(prompt)


@pg.guarded(output=guard)
def stream(prompt: str) -> Iterator[str]:
    yield prompt


@pg.guarded(output=guard)
async def stream_later(prompt: str) -> AsyncIterator[str]:
    yield prompt


class Bot:
    @pg.guarded(input=guard)
    def answer(self, prompt: str) -> str:
        return prompt


assert_type(ask("text", temperature=0.5), str)
assert_type(stream("text"), Iterator[str])
assert_type(stream_later("text"), AsyncIterator[str])
assert_type(Bot().answer("text"), str)


async def main() -> None:
    assert_type(await ask_later("text"), int)
    assert_type(await guard.acheck("text"), pg.Verdict)
    assert_type(await guard.acheck_batch(["a"]), tuple[pg.Verdict, ...])


assert_type(pg.PII(operator=pg.Mask()).check("text"), pg.Verdict)
pg.PII(operator=lambda label, value: label)
pg.PII(operator=lambda value: value)  # type: ignore[arg-type, misc]

judge = pg.Judge(("tone", pg.Rubric("Is it kind?", name="kind")), model="m")
assert_type(judge.check("text").usage, tuple[tuple[str, pg.Usage], ...])
assert_type(guard.then(judge), pg.Then)
assert_type(pg.evaluate({"a": ["b"]}, "tone", model="m").table(), str)


ask(3)  # type: ignore[arg-type]
ask("text", heat=1.0)  # type: ignore[call-arg]
guard | "not a guard"  # type: ignore[operator]
pg.PromptInjection(0.01)  # type: ignore[call-arg, arg-type]

with pg.capture() as verdicts:
    assert_type(verdicts, list[pg.Verdict])

verdict = guard.check("text").raise_if_blocked()
assert_type(verdict, pg.Verdict)
assert_type(verdict.action, pg.Action)
assert_type(verdict.findings[0].score, float)
assert_type(verdict.timings, tuple[tuple[str, float], ...])
verdict.action = pg.Action.ALLOW  # type: ignore[misc]
