"""More narratives, written by any LLM behind an OpenAI-compatible address.

    python -m training simulate --base-url http://127.0.0.1:8000/v1 --model NAME \\
        --topics "dentist,haircut" --out narratives.jsonl

A line is written as soon as an answer is there, so that the same command goes on where
it was interrupted. An answer counts only if its facts stand in its text and its label
fits them; what does not count is asked for again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .errors import PipelineError
from .narratives import Fact, Narrative

__all__ = ["Order", "simulate"]

_SYSTEM = """\
You write short texts of the kind that an assistant generates: social narratives for
autistic readers, notes, letters, messages, notices. 40 to 120 words, in plain English,
each unlike the others in form. All people are invented. Answer with JSON alone:
{"text": "...", "facts": [{"text": "...", "kind": "name" or "identifier" or "health"}]}
where each fact is copied from the text character by character.
"""
_WITH = (
    "Topic: {topic}. The text tells of one person, by name or by a number of theirs, "
    "and says something of this person's health or body. List those parts as facts."
)
_WITHOUT = (
    "Topic: {topic}. The text tells of nobody's health by name: a narrator without a "
    "name, people in general, or named people of whose health nothing is said. It may "
    "well speak of illness in general. Give no facts."
)
# How often one narrative is asked for before it is left out.
_TRIES = 3
_KINDS = {"name": "name", "identifier": "identifier", "health": "health"}


@dataclass(frozen=True)
class Order:
    """What to ask for, and of whom.

    Args:
        base_url: Of the endpoint.
        model: Its name there.
        topics: What the narratives are about.
        count: How many of each topic, half of them with a disclosure.
        temperature: Of the sampling.
    """

    base_url: str
    model: str
    topics: tuple[str, ...]
    count: int = 10
    temperature: float = 1.0

    @property
    def keys(self) -> Iterator[tuple[str, int, int]]:
        """Topic, label and number of each narrative."""
        for topic in self.topics:
            for number in range(self.count):
                yield topic, (number + 1) % 2, number


def simulate(order: Order, out: Path) -> tuple[int, int]:
    """Ask for what the file does not have yet; gives what was written and left out.

    Args:
        order: What to ask for.
        out: A file of JSON lines, which is added to.

    Raises:
        PipelineError: The client is not installed, the endpoint does not answer, or
            the file is no such file.
    """
    done = _done(out)
    missing = [key for key in order.keys if key not in done]
    if not missing:
        return 0, 0
    written = left = 0
    with _client(order.base_url) as client, out.open("a", encoding="utf-8") as lines:
        for key in missing:
            row = _asked(client, order, key)
            if row is None:
                left += 1
                continue
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            lines.flush()
            written += 1
    return written, left


def _done(out: Path) -> set[tuple[str, int, int]]:
    """What a file has already. A last line that was cut off is taken away."""
    if not out.exists():
        return set()
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        out.write_bytes(whole)
    found = set()
    for number, line in enumerate(whole.decode("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            found.add((row["topic"], row["disclosure"], row["provenance"]["number"]))
        except (ValueError, KeyError, TypeError):
            raise PipelineError(
                f"{out}, line {number}: not a simulated narrative; "
                "name another file with --out"
            ) from None
    return found


def _client(base_url: str) -> Any:
    try:
        import openai
    except ImportError:
        raise PipelineError(
            "simulate needs the openai client: pip install 'promptguard-llm[openai]'"
        ) from None
    # Servers of one's own want no key, the client wants one.
    key = os.environ.get("OPENAI_API_KEY", "none")
    return openai.OpenAI(base_url=base_url, api_key=key, max_retries=2)


def _asked(
    client: Any, order: Order, key: tuple[str, int, int]
) -> dict[str, Any] | None:
    import openai

    topic, label, number = key
    prompt = (_WITH if label else _WITHOUT).format(topic=topic)
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"{prompt} This is number {number + 1}."},
    ]
    for attempt in range(_TRIES):
        try:
            answer = client.chat.completions.create(
                model=order.model, messages=messages, temperature=order.temperature
            )
        except openai.OpenAIError as error:
            raise PipelineError(
                f"the endpoint did not answer ({type(error).__name__}); what is "
                "written is kept, the same command goes on from here"
            ) from None
        narrative = _read(answer.choices[0].message.content or "", topic, label)
        if narrative is not None:
            return _row(narrative, order, number, attempt, answer, messages)
    return None


def _row(
    narrative: Narrative,
    order: Order,
    number: int,
    attempt: int,
    answer: Any,
    messages: Iterable[object],
) -> dict[str, Any]:
    asked = json.dumps([*messages], ensure_ascii=False).encode()
    return {
        "text": narrative.text,
        "topic": narrative.topic,
        "disclosure": narrative.disclosure,
        "facts": [vars(fact) for fact in narrative.facts],
        "lang": "en",
        "made": "simulated",
        "provenance": {
            "model": order.model,
            "answered_by": answer.model,
            "base_url": order.base_url,
            "temperature": order.temperature,
            "prompt_sha256": hashlib.sha256(asked).hexdigest(),
            "number": number,
            "attempt": attempt,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _read(reply: str, topic: str, label: int) -> Narrative | None:
    """The narrative of an answer; None if it is none or its label does not fit."""
    start, end = reply.find("{"), reply.rfind("}") + 1
    try:
        given = json.loads(reply[start:end])
        text, listed = given["text"].strip(), given.get("facts") or []
        facts: list[Fact] = []
        for fact in listed:
            kind = _KINDS[fact["kind"]]
            facts += _places(text, fact["text"], kind)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    kinds = {fact.kind for fact in facts}
    if not text or bool(label) != bool(kinds):
        return None
    if label and not ("health" in kinds and kinds & {"name", "identifier"}):
        return None
    ordered = sorted(facts, key=lambda fact: (fact.start, -fact.end))
    kept: list[Fact] = []
    for fact in ordered:
        if not kept or fact.start >= kept[-1].end:
            kept.append(fact)
    return Narrative(text, topic, label, tuple(kept), made="simulated")


def _places(text: str, value: str, kind: str) -> list[Fact]:
    """Everywhere that a fact stands.

    Raises:
        ValueError: Nowhere.
    """
    found, at = [], text.index(value)
    if not value.strip():
        raise ValueError("an empty fact")
    while at >= 0:
        found.append(Fact(at, at + len(value), kind, True))
        at = text.find(value, at + len(value))
    return found
