"""A model and a judge with a script, on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from promptguard.experiments import Variant
from promptguard.testing import FakeJudge, Reply

PLAIN = Variant("plain", prompt="{question}")
GOOD = Variant("good", system="Be of use.", prompt="{question}")


def graded(rubric: str, text: str) -> int:
    """What the scripted judge thinks: a sentence with a reason is good."""
    if rubric == "preference":
        return 5 if "because" in text else 1
    return 5 if "because" in text else 2


class Script:
    """What the server says: a model by its system message, and a judge."""

    def __init__(self) -> None:
        self.grade: Callable[[str, str], int] = graded
        self.answers: list[dict[str, Any]] = []
        self.judged: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], str | Reply] = self.usual
        self.judge: Callable[[dict[str, Any]], str | Reply] = self.fair

    def __call__(self, body: dict[str, Any]) -> str | Reply:
        if "BEGIN>>>" in body["messages"][0]["content"]:
            self.judged.append(body)
            return self.judge(body)
        self.answers.append(body)
        return self.answer(body)

    def usual(self, body: dict[str, Any]) -> str | Reply:
        number = body["messages"][-1]["content"].rpartition(" ")[2]
        if body["messages"][0]["content"] == "Be of use.":
            said = f"{number}, because that is how it is counted."
        else:
            said = f"Perhaps {number} or so."
        return Reply(content=said, tokens=(20, 10))

    def fair(self, body: dict[str, Any]) -> str | Reply:
        return Reply(content=FakeJudge(self.grade)(body), tokens=(300, 30))


def asked(body: dict[str, Any]) -> str:
    """What a request asks."""
    return str(body["messages"][-1]["content"])
