"""The support desk: prompt variants, guards in and out, judge scores, one log line.

What a request goes through:

    message -> guards in -> the model -> guards out -> answer -> (later) judge -> log
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from log import Log
from openai import AsyncOpenAI, OpenAIError

import promptguard as pg

SETTINGS = tomllib.loads(
    Path(__file__).with_name("settings.toml").read_text(encoding="utf-8")
)
SESSIONS = 1_000
TURNS = 8


@dataclass
class Session:
    """What is kept of a customer's conversation, in memory only."""

    conversation: pg.Conversation = field(default_factory=pg.Conversation)
    messages: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Said:
    """What came of a message."""

    answer: str
    outcome: str
    variant: str
    labels: tuple[str, ...]
    row: dict[str, Any] = field(repr=False)


class Variant:
    """One system prompt, with the function that asks the model in its name."""

    def __init__(self, name: str, system: str, client: AsyncOpenAI, model: str) -> None:
        self.name = name
        canary = pg.Canary(system.strip())
        self.system = canary.prompt
        self.client, self.model = client, model
        # Personal data is taken out on the way in and put back into the answer; the
        # model never sees it, and neither does whoever runs the model.
        self.ask = pg.guarded(
            input=pg.PromptInjection(fpr=0.01) | pg.PII() | pg.MaxLength(4_000),
            output=pg.Secrets() | canary | pg.Urls(allow=("kettles.example.com",)),
            restore=True,
        )(self._ask)

    async def _ask(self, messages: list[dict[str, str]], timing: Timing) -> Any:
        begun = perf_counter()
        try:
            return await self.client.chat.completions.create(
                model=self.model,
                messages=[{"role": "system", "content": self.system}, *messages],
            )
        finally:
            timing.model = perf_counter() - begun


@dataclass
class Timing:
    """Seconds that the model took; None while it has not been asked."""

    model: float | None = None


class Desk:
    """The desk of one process.

    Args:
        client: Where the model is.
        model: Its name.
        log: Where a line goes for each message; it holds no text.
    """

    def __init__(self, client: AsyncOpenAI, model: str, log: Log) -> None:
        self.model, self.log = model, log
        self.replies: Mapping[str, str] = SETTINGS["replies"]
        self.prices = (SETTINGS["prices"]["read"], SETTINGS["prices"]["written"])
        self.variants = [
            Variant(name, told["system"], client, model)
            for name, told in sorted(SETTINGS["variants"].items())
        ]
        # It scores and stops nothing: threshold 0 has every rubric report its score.
        self.judge = pg.Judge(
            ("relevance", "helpfulness", "tone"),
            llm=client,
            model=model,
            threshold=0.0,
            action=pg.Action.FLAG,
            prices=self.prices,
            timeout=30.0,
        )
        self.sessions: OrderedDict[str, Session] = OrderedDict()

    def warmup(self) -> None:
        """Load the model of the guards before the first customer waits for it."""
        (pg.PromptInjection() | pg.PII() | pg.Secrets()).warmup()

    def variant_of(self, session: str) -> Variant:
        number = hashlib.sha256(session.encode()).digest()[0]
        return self.variants[number % len(self.variants)]

    async def answer(self, session: str, message: str) -> Said:
        """Answer a customer; the judge is asked later, see ``note``."""
        variant = self.variant_of(session)
        talk = self._session(session)
        asked = {"role": "user", "content": message}
        row = self._row(session, variant)
        timing, begun = Timing(), perf_counter()
        labels: tuple[str, ...] = ()
        try:
            with pg.capture() as verdicts, talk.conversation:
                done = await variant.ask([*talk.messages, asked], timing)
            outcome, answer = "answered", done.choices[0].message.content or ""
            self._tokens(row, done.usage)
            talk.messages += [asked, {"role": "assistant", "content": answer}]
            del talk.messages[: -2 * TURNS]
        except pg.Blocked:
            # What was blocked on the way in never reached the model.
            outcome = "blocked_in" if timing.model is None else "blocked_out"
            answer = self.replies["blocked"]
        except (pg.PromptGuardError, OpenAIError) as error:
            # A guard that breaks lets nothing through, and neither does a model.
            outcome, answer = "failed", self.replies["failed"]
            row["error"] = type(error).__name__
        seconds = perf_counter() - begun
        labels = tuple(dict.fromkeys(f.label for v in verdicts for f in v.findings))
        row |= {"outcome": outcome, "labels": labels}
        row |= {"ms": round(1000 * seconds, 1)}
        row["model_ms"] = round(1000 * (timing.model or 0.0), 1)
        row["guard_ms"] = round(row["ms"] - row["model_ms"], 1)
        return Said(answer, outcome, variant.name, labels, row)

    async def note(self, message: str, said: Said) -> None:
        """Have an answer judged, and write the line of the log."""
        row = dict(said.row)
        if said.outcome == "answered":
            try:
                verdict = await self.judge.acheck(
                    said.answer, role="assistant", history=[("user", message)]
                )
            except pg.PromptGuardError as error:
                row["judge_error"] = type(error).__name__
            else:
                row["scores"] = _scores(verdict, self.judge)
                row["judge_cost"] = sum(u.cost or 0.0 for _, u in verdict.usage)
        self.log.add(row)

    def _session(self, name: str) -> Session:
        talk = self.sessions.setdefault(name, Session())
        self.sessions.move_to_end(name)
        while len(self.sessions) > SESSIONS:
            self.sessions.popitem(last=False)
        return talk

    def _row(self, session: str, variant: Variant) -> dict[str, Any]:
        return {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "session": hashlib.sha256(session.encode()).hexdigest()[:12],
            "variant": variant.name,
            "model": self.model,
        }

    def _tokens(self, row: dict[str, Any], usage: Any) -> None:
        if usage is None:
            return
        read, written = usage.prompt_tokens, usage.completion_tokens
        row["tokens_read"], row["tokens_written"] = read, written
        cost = read * self.prices[0] + written * self.prices[1]
        row["cost"] = round(cost / 1_000_000, 8)


def _scores(verdict: pg.Verdict, judge: pg.Judge) -> dict[str, float]:
    """How good the answer is by each rubric, 0 to 1: a finding tells the risk."""
    names = {rubric.label: rubric.name for rubric in judge.rubrics}
    return {names[f.label]: round(1 - f.score, 2) for f in verdict.findings}
