"""A scripted model and judge on the loopback interface, and a file of questions."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scripted_model import Script

from promptguard import Judge
from promptguard.experiments import Question, Target
from promptguard.testing import ChatServer


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def server(script: Script) -> Iterator[ChatServer]:
    with ChatServer(script) as running:
        yield running


@pytest.fixture
def target(server: ChatServer) -> Target:
    return Target("a-model", base_url=server.base_url, retries=0)


@pytest.fixture
def judge(server: ChatServer) -> Judge:
    rubrics = ("helpfulness", "clarity", "faithfulness")
    return Judge(rubrics, base_url=server.base_url, model="a-judge", retries=0)


@pytest.fixture
def questions() -> tuple[Question, ...]:
    return tuple(Question(f"q{n}", f"What is {n}") for n in range(5))


@pytest.fixture
def file(tmp_path, questions):
    path = tmp_path / "questions.jsonl"
    rows = [{"id": q.id, "question": q.question} for q in questions]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path
