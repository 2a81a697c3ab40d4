"""The model that MLflow serves: texts in, verdicts out, through the public guard.

MLflow keeps a copy of this file beside the bundle and runs it when the model is
loaded, so it imports nothing of the training. Requests hold ``inputs``, a list of
texts, and may hold ``params``: ``role``, ``fpr``, and ``capture`` false to keep a
request out of the record.

With ``PROMPTGUARD_CAPTURE=FILE`` in the environment, or ``capture`` in the model's
configuration, texts and verdicts are recorded in that SQLite file.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import BaseModel

from promptguard import Action, Classifier, ConfigError, PromptInjection, Verdict

__all__ = ["PARAMS", "Answer", "Capture", "Found", "Served"]

PARAMS: dict[str, Any] = {"role": "user", "fpr": 0.01, "capture": True}
"""What a request may set, with what holds if it does not."""

_TABLE = """
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    bundle TEXT NOT NULL,
    role TEXT NOT NULL,
    fpr REAL NOT NULL,
    text TEXT NOT NULL,
    blocked INTEGER NOT NULL,
    score REAL NOT NULL,
    answer TEXT NOT NULL
)
"""
_INSERT = """
INSERT INTO verdicts (at, bundle, role, fpr, text, blocked, score, answer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


class Found(BaseModel):
    """A finding: positions are characters of the text that was sent."""

    label: str
    score: float
    start: int
    end: int


class Answer(BaseModel):
    """A verdict, without the text.

    Args:
        action: ``allow`` or ``block``.
        blocked: Whether it is ``block``.
        score: The highest score of the text's windows, flagged or not.
        coverage: Share of the text that the model knows.
        findings: What reached the threshold.
        bundle: Digest of the bundle that decided.
    """

    action: str
    blocked: bool
    score: float
    coverage: float
    findings: list[Found]
    bundle: str


class Capture:
    """A record of texts and verdicts in an SQLite file that only its owner reads.

    Every request is one transaction on a connection of its own, so any number of
    threads and processes may write. A record that cannot be written is logged and
    lost; the verdict is given all the same.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(
        self,
        texts: Sequence[str],
        answers: Sequence[Answer],
        role: str,
        fpr: float,
    ) -> None:
        """Add a row for each text."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        rows = [
            (
                now,
                answer.bundle,
                role,
                fpr,
                # A lone surrogate has no UTF-8.
                text.encode("utf-8", "replace").decode(),
                answer.blocked,
                answer.score,
                answer.model_dump_json(),
            )
            for text, answer in zip(texts, answers, strict=True)
        ]
        try:
            # Made before SQLite does, because its journals take over the mode.
            os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self.file, timeout=10)) as database, database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute(_TABLE)
                database.executemany(_INSERT, rows)
        except (OSError, sqlite3.Error) as error:
            # Its message could hold a value.
            logging.getLogger("promptguard.served").error(
                "%d verdicts were given but not recorded in %s (%s)",
                len(rows),
                self.file,
                type(error).__name__,
            )


class Served(PythonModel):
    """Answers a list of texts with a list of verdicts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle, so that the first request waits for nothing."""
        self._folder = str(context.artifacts["bundle"])
        stated = json.loads((Path(self._folder) / "bundle.json").read_bytes())
        self._digest = stated["digest"]
        told = [label for labels in stated["heads"].values() for label in labels]
        # A bundle that does not tell injections was made for a task of its own.
        self._injection = "injection" in told
        settings = context.model_config or {}
        file = os.environ.get("PROMPTGUARD_CAPTURE") or settings.get("capture")
        self._capture = Capture(Path(file)) if file else None
        self._guard().warmup()

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[str],
        params: dict[str, Any] | None = None,
    ) -> list[Answer]:
        """The verdict on each text.

        Raises:
            PromptGuardError: A parameter is not one, or a text cannot be checked.
        """
        chosen = PARAMS | (params or {})
        role, fpr = str(chosen["role"]), float(chosen["fpr"])
        if isinstance(model_input, str):
            raise ConfigError("inputs must be a list of texts")
        guard = self._guard(fpr=fpr)
        # Beside it, the score of what is not flagged; the model runs once for both.
        every = self._guard(threshold=0.0, action=Action.FLAG, name="score")
        texts = list(model_input)
        verdicts = (guard | every).check_batch(texts, role)
        answers = [self._answer(verdict) for verdict in verdicts]
        if self._capture is not None and chosen["capture"]:
            self._capture.write(texts, answers, role, fpr)
        return answers

    def _guard(self, **settings: Any) -> PromptInjection | Classifier:
        kind = PromptInjection if self._injection else Classifier
        return kind(model=self._folder, **settings)

    def _answer(self, verdict: Verdict) -> Answer:
        found = [finding for finding in verdict.findings if finding.guard != "score"]
        scores = [
            f.score
            for f in verdict.findings
            if f.label == "injection" or not self._injection
        ]
        action = max((finding.action or Action.ALLOW for finding in found), default=0)
        return Answer(
            action=Action(action).name.lower(),
            blocked=verdict.blocked,
            score=max(scores, default=0.0),
            coverage=verdict.coverage,
            findings=[
                Found(label=f.label, score=f.score, start=f.start, end=f.end)
                for f in found
            ],
            bundle=self._digest,
        )


set_model(Served())
