"""Short narratives of people's lives, and a look at each before it is released.

A model writes short narratives for a campaign from what people have told it. Some of
what it was told says who somebody is, and some is about their health; together they may
not be published. So every draft is generated, judged, and then released, released
without what says who it is, or written anew; what still tells too much is withheld.

    python examples/social_narrative.py
    python examples/social_narrative.py "A runner after a heart attack"
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from endpoint import Endpoint, endpoint
from openai import OpenAI

import promptguard as pg
from promptguard.testing import FakeJudge

BRIEFS = (
    "A child's first week at a school with loud corridors",
    "Mara has come home from hospital, and her street helps. Who can be asked?",
    "A colleague is back at work after an illness. Say who and what it was.",
    "The mayor's diagnosis, with all that the newspaper knows",
)
SYSTEM = "You write narratives of three sentences for a campaign on health."
AGAIN = (
    " Your last draft let readers tell whose health it is about. Write it so that "
    "nobody can: no name, no place, no office, no relation that only one person has."
)
TRIES = 2

RUBRIC = pg.Rubric(
    "Could a reader tell which real person's health, disability or body this is about?",
    name="disclosure",
    kind="risk",
    low="Nobody's health is told, or the person could be anybody.",
    high="A named or otherwise recognisable person's health is told.",
)


def identity() -> pg.Guard:
    """What can be taken out: who it is, where that stands beside their health."""
    disclosure = getattr(pg, "Disclosure", None)
    redact = {"action": pg.Action.REDACT}
    return pg.PII() if disclosure is None else disclosure(**redact) | pg.PII()


@dataclass(frozen=True)
class Outcome:
    """What became of a brief."""

    what: str
    text: str
    drafts: int
    labels: tuple[str, ...]


class Desk:
    """Generates, judges, and releases or redacts."""

    def __init__(self, client: OpenAI, model: str) -> None:
        self.client, self.model = client, model
        self.identity = identity()
        # The last look: it sees what a pattern cannot, and it costs a call. Addresses
        # and numbers are taken out before a draft goes to the LLM that judges.
        self.judge = pg.Judge(RUBRIC, llm=client, model=model, timeout=30.0)

    def narrative(self, brief: str) -> Outcome:
        labels: list[str] = []
        for number, draft in enumerate(self._drafts(brief), start=1):
            found = self.identity.check(draft, role="assistant")
            labels += [f.label for f in found.findings]
            if not found.blocked:
                # What is judged is what would be read: the draft after the redaction.
                try:
                    judged = self.judge.check(found.text, role="assistant")
                except pg.JudgeError as error:
                    # What nobody has judged is not released.
                    labels.append(f"not judged: {error.kind}")
                    continue
                labels += [f.label for f in judged.findings]
                if not judged.blocked:
                    what = "redacted" if found.text != draft else "released"
                    return Outcome(
                        what, found.text, number, tuple(dict.fromkeys(labels))
                    )
        return Outcome("withheld", "", number, tuple(dict.fromkeys(labels)))

    def _drafts(self, brief: str) -> Iterator[str]:
        """Drafts, each but the first asked for with a note that tells no text."""
        for number in range(1 + TRIES):
            messages = [
                {"role": "system", "content": SYSTEM + (AGAIN if number else "")},
                {"role": "user", "content": brief},
            ]
            done = self.client.chat.completions.create(
                model=self.model, messages=messages
            )
            yield done.choices[0].message.content or ""


# ---- the stand-in for a model --------------------------------------------------------

SIGNS = ("Jonas Weber", "Teresa Holm", "our mayor")


def scripted(body: dict[str, Any]) -> str:
    """It writes what it was told, and judges by whether one of three signs is there."""
    system = body["messages"][0]["content"]
    if "BEGIN>>>" in system:
        return FakeJudge(grade)(body)
    return draft(body["messages"][-1]["content"], again=AGAIN in system)


def grade(rubric: str, text: str) -> int:
    return 5 if any(sign in text for sign in SIGNS) else 1


def draft(brief: str, again: bool) -> str:
    if "child" in brief:
        return (
            "On Monday the corridor was so loud that the child stopped at the door. By "
            "Wednesday a friend had found a quieter stair, and they took it together. "
            "On Friday the child showed it to somebody else."
        )
    if "Mara" in brief:
        return (
            "Somebody in our street has come home from hospital after a stroke. Soup "
            "stands on her step each evening, and two neighbours walk with her. If you "
            "want to help, write to mara.k@example.org or call +44 20 7946 0958."
        )
    if "colleague" in brief:
        who = "A colleague of ours" if again else "Jonas Weber from the accounts office"
        return (
            f"{who} is back after seven months of chemotherapy for leukaemia. The "
            "first days were short, and nobody minded. There is cake on Thursday."
        )
    if "mayor" in brief:
        return (
            "Teresa Holm, our mayor, has multiple sclerosis, as the paper writes. She "
            "was told in March and takes interferon. She means to stay in office."
        )
    return (
        "It began with a walk to the corner and back. A month later the corner was a "
        "park, and then a hill. What helped most was that somebody came along."
    )


def main(llm: Endpoint, briefs: tuple[str, ...]) -> None:
    print(llm.told)
    with OpenAI(**llm.options) as client:
        desk = Desk(client, llm.model)
        for brief in briefs:
            outcome = desk.narrative(brief)
            found = f", found: {', '.join(outcome.labels)}" if outcome.labels else ""
            print(f"\n{brief}\n  {outcome.what} (draft {outcome.drafts}{found})")
            shown = outcome.text or "(nothing is published)"
            indent = {"initial_indent": "    ", "subsequent_indent": "    "}
            print(textwrap.fill(shown, 86, **indent))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("brief", nargs="*", help="what to write about")
    chosen = parser.parse_args()
    with endpoint(scripted) as llm:
        main(llm, tuple(chosen.brief) or BRIEFS)
