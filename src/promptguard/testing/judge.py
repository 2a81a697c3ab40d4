"""FakeJudge: a judge with a script, for testing an application that asks one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FakeJudge"]

_NONCE = re.compile(r"<<<([0-9a-f]+) BEGIN>>>")
_MARK = re.compile(r"by the sign (.) so that")
_RUBRIC = re.compile(r'^- "([a-z0-9_]+)": ', re.MULTILINE)


@dataclass(frozen=True)
class FakeJudge:
    """An LLM that grades as it is told, and otherwise does what a judge is asked to.

    It is a script for ``ChatServer(FakeJudge(5))`` and a function for
    ``Judge(..., llm=FakeJudge(5))``.

    Args:
        grade: The grade of everything, 1 to 5, or a function of the rubric's name and
            the text that gives it.
    """

    grade: int | Callable[[str, str], int] = 1

    def __call__(self, asked: Any) -> str:
        """The reply to a list of messages, or to the body of a request."""
        messages = asked["messages"] if isinstance(asked, Mapping) else asked
        system, user = (message["content"] for message in messages)
        nonce, mark = _NONCE.search(system), _MARK.search(system)
        assert nonce is not None and mark is not None, "this is no judge's prompt"
        begin, end = (f"<<<{nonce[1]} {word}>>>" for word in ("BEGIN", "END"))
        block = user.partition(begin)[2].partition(end)[0]
        text = re.sub(
            rf"{re.escape(mark[1])}(\s?)", _unmarked, json.loads(block)["text"]
        )
        grades = {
            name: self.grade(name, text) if callable(self.grade) else self.grade
            for name in _RUBRIC.findall(system)
        }
        return json.dumps({"nonce": nonce[1], "grades": grades})


def _unmarked(space: re.Match[str]) -> str:
    return space[1] or " "
