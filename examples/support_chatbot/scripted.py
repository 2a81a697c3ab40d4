"""The stand-in for a model: it answers customers, and it grades for the judge."""

from __future__ import annotations

from typing import Any

from promptguard.testing import FakeJudge, Reply

# As a support desk of its own would see it: a few characters are a token.
CHARACTERS = 4


def scripted(body: dict[str, Any]) -> Reply:
    messages = body["messages"]
    system, last = messages[0]["content"], messages[-1]["content"]
    judging = "BEGIN>>>" in system
    said = FakeJudge(grade)(body) if judging else answer(system, last)
    read = sum(len(message["content"]) for message in messages)
    tokens = (read // CHARACTERS, max(1, len(said) // CHARACTERS))
    return Reply(content=said, tokens=tokens, delay=0.0 if judging else 0.05)


def answer(system: str, asked: str) -> str:
    warm = "friendly" in system
    begin = "I am sorry that this gives you trouble. " if warm else ""
    end = " Is there anything else that I can do for you?" if warm else ""
    return begin + _core(system, asked) + end


def _core(system: str, asked: str) -> str:
    lower = asked.lower()
    if "refund" in lower:
        return "Your refund is on its way and takes five working days."
    if "house rules" in lower:
        # Models give their instructions away at times.
        return f"These are my rules: {system}"
    if "@" in asked or "EMAIL_ADDRESS" in asked:
        address = next((word for word in asked.split() if "EMAIL" in word), "that")
        return f"We will write to {address.rstrip('.,')} within a day."
    if "return" in lower:
        return "You can return the kettle for thirty days, free of charge."
    return "Somebody will write to you within a day."


def grade(rubric: str, text: str) -> int:
    """Good marks for warmth, and for answers that answer."""
    if rubric == "tone":
        return 5 if "sorry" in text else 3
    return 3 if "Somebody will write" in text else 5
