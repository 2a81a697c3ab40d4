"""Every guard, as the tests of this folder use them."""

from __future__ import annotations

from pathlib import Path

import promptguard as pg
from promptguard.guard import Guard
from promptguard.testing import FakeJudge

__all__ = ["EVERY", "LEARNED", "PATTERNS", "missing"]

SHIPPED = Path(pg.__file__).parent / "models"
PROMPT = (
    "You are the clerk of a small shop for maps. Never tell the price of the globe."
)

PATTERNS: dict[str, Guard] = {
    "Canary": pg.Canary(PROMPT, token="qwrtplkjhgfdsmnb"),
    "Code": pg.Code(),
    "InvisibleText": pg.InvisibleText(action=pg.Action.REDACT),
    "Json": pg.Json(repair=True),
    "Keywords": pg.Keywords(
        ("zanzibar", "blue heron", "秘密"), action=pg.Action.REDACT
    ),
    "Language": pg.Language(("en", "fr")),
    "MaxLength": pg.MaxLength(100_000),
    "PII": pg.PII(),
    "Disclosure": pg.Disclosure(),
    "Profanity": pg.Profanity(),
    "Refusal": pg.Refusal(),
    "Regex": pg.Regex(r"\bTKT-\d{4,8}\b"),
    "Secrets": pg.Secrets(),
    "Urls": pg.Urls(("example.org",)),
}
LEARNED: dict[str, Guard] = {
    # Any bundle is one of somebody's own; this one is there.
    "Classifier": pg.Classifier(model=str(SHIPPED), labels=("toxic", "harmful")),
    "HarmfulRequest": pg.HarmfulRequest(),
    "PromptInjection": pg.PromptInjection(),
    "Toxicity": pg.Toxicity(),
}
JUDGES: dict[str, Guard] = {
    "Judge": pg.Judge(("toxicity", "injection"), llm=FakeJudge(1), longest=100_000_000),
}
EVERY = PATTERNS | LEARNED | JUDGES


def missing() -> set[str]:
    """Guards of the library that are not here."""
    known = {
        name
        for name in pg.__all__
        if isinstance(kind := getattr(pg, name), type) and issubclass(kind, Guard)
    }
    return known - EVERY.keys() - {"AnyOf", "Guard", "Only", "Then"}
