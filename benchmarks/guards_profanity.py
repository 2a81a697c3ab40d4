"""How well Profanity finds profanity, and what it takes for it."""

from __future__ import annotations

import gzip
import json
import math
import re
import time
from collections.abc import Iterable
from pathlib import Path

from promptguard import Guard, Keywords, Profanity
from promptguard.guards._wordlists import TOPICS
from report import Row


def profanity(folder: Path, quick: bool) -> tuple[str, dict[str, list[Row]]]:
    """Two filters' own tests, words that only look profane, and ordinary text.

    The tests are kept apart by whether the whole text is an entry of a public word
    list. The filters call much profane that the default severity is not after, and some
    that no severity is, but a topic: what is in a list is found with all topics because
    their words come from these lists.
    """
    most = 100 if quick else None
    tests = read(folder / "filter_test_suites.jsonl.gz")[:most]
    develop = folder.parents[1] / "profanity"
    innocent = {
        name: [str(row["text"]) for row in read(develop / f"{name}.jsonl.gz")[:most]]
        for name in ("dictionary_scunthorpe", "rustrict_false_positives")
    }
    medical = folder.parents[1] / "phi" / "medquad_general.jsonl.gz"
    innocent["medquad_general"] = [str(row["text"]) for row in read(medical)[:most]]
    settings: dict[str, Guard] = {
        "Profanity(severity=1)": Profanity(severity=1),
        "Profanity()": Profanity(),
        "Profanity(severity=1), all topics": Profanity(severity=1, topics=TOPICS),
    }
    judged: list[Row] = []
    spared: list[Row] = []
    innocent |= ordinary(folder.parents[1] / "injection", most)
    for setting, guard in settings.items():
        for listed in (0, 1):
            rows = [row for row in tests if row["in_lexicon"] == listed]
            right = {}
            row: Row = {"in a public list": listed, "guard": setting}
            for label, kind, share in (
                (1, "profane", "recall"),
                (0, "innocent", "flagged"),
            ):
                texts = [str(one["text"]) for one in rows if one["label"] == label]
                found = sum(guard.check(text).flagged for text in texts)
                row[kind] = len(texts)
                row.update(share_of(share, found, len(texts)))
                if texts:
                    wrong = len(texts) - found if label else found
                    right[label] = 1 - wrong / len(texts)
            # One innocent text tells nothing.
            balanced = len(right) == 2 and listed == 0
            row["balanced accuracy"] = (
                round(sum(right.values()) / 2, 4) if balanced else None
            )
            judged.append(row)
        for name, texts in innocent.items():
            found = sum(guard.check(text).flagged for text in texts)
            row = {"set": name, "guard": setting, "texts": len(texts)}
            row.update(share_of("flagged", found, len(texts)))
            spared.append(row)
    return "Profanity on public test sets", {
        "filter_test_suites, what two filters expect of themselves": judged,
        "Entries of public English lists (the words come from them)": shares_of_lists(
            develop, settings
        ),
        "Texts without profanity (used in development as well)": spared,
        "Microseconds of processor time for a check of 1,000 characters": speed(
            folder.parents[1], settings, quick
        ),
    }


def shares_of_lists(folder: Path, settings: dict[str, Guard]) -> list[Row]:
    """What share of other tools' lists is found: what their users are used to."""
    rows: list[Row] = []
    for name in ("ldnoobw", "leo_words", "surge_profanity_en", "rustrict_words"):
        entries = [
            str(row["text"])
            for row in read(folder / f"{name}.jsonl.gz")
            if row["lang"] == "en"
        ]
        row: Row = {"list": name, "entries": len(entries)}
        for setting, guard in settings.items():
            found = sum(guard.check(entry).flagged for entry in entries)
            row[setting] = round(found / len(entries), 3)
        rows.append(row)
    return rows


def ordinary(folder: Path, most: int | None) -> dict[str, list[str]]:
    """News, questions to a bank, recipes and laws, in parts of 1,000 characters."""
    texts = {}
    for name in ("wikinews_en", "banking77", "recipes", "german_laws", "xquad"):
        parts = [
            text[at : at + 1000]
            for row in read(folder / f"{name}.jsonl.gz")[: most or 800]
            if isinstance(text := row.get("text"), str)
            for at in range(0, len(text), 1000)
        ]
        texts[f"{name}, by 1,000 characters"] = parts[: most or 1000]
    return texts


def speed(folder: Path, settings: dict[str, Guard], quick: bool) -> list[Row]:
    """The best of several rounds over texts that differ, beside a guard of two words.

    The folded reading is made for every guard that asks for it, once; Keywords does
    little else.
    """
    news = "\n".join(
        str(row["text"]) for row in read(folder / "injection" / "wikinews_en.jsonl.gz")
    )
    plain = " ".join(re.findall(r"[A-Za-z]+[,.]?", news))
    kinds = {
        "letters and full stops": plain,
        "news, with numbers and quotes": news,
    }
    rows: list[Row] = []
    for kind, text in kinds.items():
        parts = [text[at : at + 1000] for at in range(0, 100_000, 1000)]
        row: Row = {"text": kind}
        for name, guard in {
            **settings,
            "Keywords, two words": Keywords(("zanzibar", "heliotrope")),
        }.items():
            rounds = []
            for _ in range(2 if quick else 15):
                began = time.process_time()
                for part in parts:
                    guard.check(part)
                rounds.append(1e6 * (time.process_time() - began) / len(parts))
            row[name] = round(min(rounds))
        rows.append(row)
    for size in (10_000, 100_000, 1_000_000):
        text = (plain * (size // len(plain) + 1))[:size]
        row = {"text": f"{size:,} characters, per 1,000"}
        for name, guard in settings.items():
            rounds = []
            for _ in range(2 if quick else 5):
                began = time.process_time()
                guard.check(text)
                rounds.append(1e9 * (time.process_time() - began) / size)
            row[name] = round(min(rounds))
        rows.append(row)
    return rows


def read(path: Path) -> list[dict[str, object]]:
    """The rows of a file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def share_of(name: str, part: int, whole: int) -> Iterable[tuple[str, object]]:
    """A share, and its interval of 95 % by Wilson's formula (1927)."""
    if not whole:
        return [(name, None), (f"{name} 95 %", None)]
    z, p = 1.96, part / whole
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    half /= 1 + z * z / whole
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return [(name, round(p, 4)), (f"{name} 95 %", f"{low:.3f}..{high:.3f}")]
