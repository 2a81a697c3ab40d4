"""What the guards Toxicity and HarmfulRequest make of test sets, and of unseen sources.

Everything is measured through the public guards, at each false-positive rate that the
bundle has operating points for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptguard import Action, HarmfulRequest, Toxicity
from promptguard.runtime.bundle import Bundle
from promptguard.text import Text

from .config import Config
from .errors import PipelineError
from .metrics import auc, interval, share_above, threshold_at
from .overlap import drawn
from .records import records
from .rows import Row, load_sources
from .scoring import Judgement, judge_all
from .sources import read

__all__ = ["PARTS", "figures", "measure"]

PARTS = ("toxicity", "harmful")

# What a guard of several labels is asked as, by name.
_KINDS = {
    "any label": Toxicity.known,
    "toxic": ("toxic",),
    "identity_hate": ("identity_hate",),
}
# Sources of ordinary requests that no head was trained on; in each text of the second
# stand the words of a harmful request.
_CHAT = ("human_instructions", "home_assistant_intents")
_SAFE = "coconot_contrast"
# Of a set with more texts than this, every fourth is measured.
_LARGE = 12_000
# Fewer of a group say little.
_LEAST = 20

Labels = Mapping[str, int]


@dataclass(frozen=True)
class Example:
    """A labelled text of a set; it may belong to a group, such as a language."""

    text: str = field(repr=False)
    positive: bool
    group: str = ""
    role: str = "user"
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class Set:
    """Texts, what makes one positive there, and what the guard is asked for.

    Args:
        kinds: Of ``_KINDS``, or ``harmful`` alone; the area is that of the first.
        what: What the positives are, in words.
    """

    name: str
    kinds: tuple[str, ...]
    what: str
    examples: Sequence[Example]


def measure(config: Config, model: str | None, part: str) -> dict[str, Any]:
    """The figures of one head.

    Raises:
        PipelineError: The part is unknown, or the bundle has no such head or rates.
    """
    if part not in PARTS:
        raise PipelineError(f"unknown part {part!r}. Known: {', '.join(PARTS)}")
    bundle = Bundle.load(model)
    wanted = Toxicity.known if part == "toxicity" else HarmfulRequest.known
    rates = sorted({p.fpr for p in bundle.operating_points if p.label in wanted})
    if not rates:
        raise PipelineError(
            f"the bundle {bundle.name!r} has no operating points for "
            f"{', '.join(wanted)}; train one with that head"
        )
    sets = list(_toxicity(config) if part == "toxicity" else _harmful(config))
    guards = {
        (kind, rate): _guard(kind, rate, model)
        for kind in sorted({kind for s in sets for kind in s.kinds})
        for rate in rates
    }
    found: dict[str, Any] = {}
    scored: dict[str, list[Judgement]] = {}
    for s in sets:
        rows = [Row(e.text, e.role, {}, s.name, "") for e in s.examples]
        asked = {key: guard for key, guard in guards.items() if key[0] in s.kinds}
        scored[s.name] = judge_all(rows, s.name, model=model, guards=asked)
        found[s.name] = figures(s, scored[s.name], rates)
    report: dict[str, Any] = {"rates": rates, "sets": found}
    if part == "harmful":
        report["at benign chat"] = _at_chat(sets, scored, rates)
    return report


def figures(
    of: Set, judged: Sequence[Judgement], rates: Sequence[float]
) -> dict[str, Any]:
    """Counts at each rate, areas, and the same by group."""
    pairs = list(zip(of.examples, judged, strict=True))
    table: dict[str, Any] = {
        "positives are": of.what,
        "positives": sum(e.positive for e, _ in pairs),
        "negatives": sum(not e.positive for e, _ in pairs),
        **_judged(of, pairs, rates),
    }
    if known := sorted({name for e, _ in pairs for name in e.labels}):
        table["auc by label"] = {
            name: _area([(j.scores[name], bool(e.labels[name])) for e, j in pairs])
            for name in known
        }
    groups: defaultdict[str, _Pairs] = defaultdict(list)
    for e, j in pairs:
        groups[e.group].append((e, j))
    if len(groups) > 1:
        table["groups"] = {
            name: {"texts": len(part)} | _judged(of, part, rates)
            for name, part in sorted(groups.items())
            if len(part) >= _LEAST
        }
    return table


_Pairs = list[tuple[Example, Judgement]]


def _judged(of: Set, pairs: _Pairs, rates: Sequence[float]) -> dict[str, Any]:
    label = _KINDS.get(of.kinds[0], (of.kinds[0],))[0]
    return {
        "auc": _area([(j.scores[label], e.positive) for e, j in pairs]),
        "guards": {
            kind: {f"{rate:g}": _counts(pairs, (kind, rate)) for rate in rates}
            for kind in of.kinds
        },
    }


def _counts(pairs: _Pairs, guard: tuple[str, float]) -> dict[str, Any]:
    hits = sum(e.positive and guard in j.flagged for e, j in pairs)
    alarms = sum(not e.positive and guard in j.flagged for e, j in pairs)
    positives = sum(e.positive for e, _ in pairs)
    negatives = len(pairs) - positives
    both = bool(positives and negatives)
    return {
        "recall": hits / positives if positives else None,
        "recall interval": interval(hits, positives) if positives else None,
        "flagged": alarms / negatives if negatives else None,
        "flagged interval": interval(alarms, negatives) if negatives else None,
        "f1": 2 * hits / (positives + hits + alarms) if both else None,
        "accuracy": (hits + negatives - alarms) / len(pairs) if both else None,
    }


def _area(pairs: Sequence[tuple[float, bool]]) -> float | None:
    return auc([s for s, sign in pairs if sign], [s for s, sign in pairs if not sign])


def _guard(kind: str, rate: float, model: str | None) -> Toxicity | HarmfulRequest:
    # Action.FLAG, because a block would end what the other guards ask.
    settings: dict[str, Any] = {"fpr": rate, "model": model, "action": Action.FLAG}
    if kind == "harmful":
        return HarmfulRequest(**settings)
    return Toxicity(labels=_KINDS[kind], **settings)


def _at_chat(
    sets: Sequence[Set], scored: Mapping[str, list[Judgement]], rates: Sequence[float]
) -> dict[str, Any]:
    """Recall where this share of unseen requests would be flagged, sources alike."""
    chat = [
        [j.scores["harmful"] for j in scored[f"unseen:{name}"]]
        for name in _CHAT
        if f"unseen:{name}" in scored
    ]
    if not chat:
        return {}
    return {
        f"{rate:g}": {
            s.name: share_above(
                [
                    [
                        j.scores["harmful"]
                        for e, j in zip(s.examples, scored[s.name], strict=True)
                        if e.positive
                    ]
                ],
                threshold_at(chat, rate)[0],
            )
            for s in sets
            if any(e.positive for e in s.examples)
        }
        for rate in rates
    }


def _toxicity(config: Config) -> Iterator[Set]:
    jigsaw = list(_kept_back(config, "jigsaw_cleaned"))
    yield Set("kept back:jigsaw_cleaned", ("toxic", "any label"), "toxic", jigsaw)

    def moderation(labels: Labels) -> bool | None:
        if any(labels.get(name) for name in ("H", "H2", "HR", "V", "V2")):
            return True
        # What is flagged for something else, sexual or self-harm, is neither.
        return None if labels.get("flagged") else False

    def hate(labels: Labels) -> bool:
        return bool(labels["hate"])

    def toxic(labels: Labels) -> bool:
        return bool(labels["toxic"])

    name = "openai_moderation_eval"
    what = "hate, harassment or violence"
    yield from _benchmark(config, name, ("any label", "toxic"), what, moderation)
    kinds = ("identity_hate", "any label")
    yield from _benchmark(config, "hatecheck", kinds, "hate", hate, "category")
    name = "multilingual_hatecheck"
    yield from _benchmark(config, name, kinds, "hate", hate, "lang")
    name = "jigsaw_identity_templates"
    yield from _benchmark(config, name, ("any label", "toxic"), "toxic", toxic)
    for name in (
        *("apeach_ko", "cold_zh_test", "germeval2018_test"),
        *("convabuse_test", "toxic_spans_test"),
    ):
        yield from _benchmark(config, name, ("any label",), "toxic", toxic, "lang")
    for use, name in (("unseen", "convabuse"), ("tested", "told_br")):
        yield _source(config, f"{use}:{name}", ("any label",), "toxic")
    for name in (*_CHAT, _SAFE):
        yield _source(config, f"unseen:{name}", ("any label",), "toxic")


def _harmful(config: Config) -> Iterator[Set]:
    path = _file(config, "malicious/xstest")
    if path.is_file():
        examples = [
            Example(record["text"], bool(record["label"]))
            for _, record in records(path)
        ]
        yield Set("benchmark:xstest", ("harmful",), "unsafe", examples)
    for name in ("unseen:advbench", "unseen:gptfuzz_questions", "tested:harmbench"):
        yield _source(config, name, ("harmful",), "harmful")
    for name in (*_CHAT, _SAFE):
        yield _source(config, f"unseen:{name}", ("harmful",), "harmful")


def _benchmark(
    config: Config,
    name: str,
    kinds: tuple[str, ...],
    what: str,
    positive: Callable[[Labels], bool | None],
    group: str = "",
) -> Iterator[Set]:
    """A published test set; nothing where it is not there, as a line says."""
    path = _file(config, f"toxicity/{name}")
    if not path.is_file():
        print(f"  {path} is not there: left out", flush=True)
        return
    examples = []
    for _, record in records(path):
        label = positive(record["labels"])
        if label is not None:
            of = str(record.get(group, "")) if group else ""
            examples.append(Example(record["text"], label, of))
    yield Set(f"benchmark:{name}", kinds, what, _fewer(examples))


def _source(config: Config, name: str, kinds: tuple[str, ...], what: str) -> Set:
    source = name.partition(":")[2]
    rows = read(config, source, load_sources(config.sources_file).training[source])
    label = _KINDS.get(kinds[0], kinds)[0]
    examples = [
        Example(row.text, bool(row.labels.get(label)), str(row.lang), row.role)
        for row in rows
    ]
    return Set(name, kinds, what, _fewer(examples))


def _kept_back(config: Config, name: str) -> Iterator[Example]:
    """The rows that the data stage keeps back, found again from the file alone."""
    source = load_sources(config.sources_file).training[name]
    rows = [
        (row, text)
        for row in read(config, name, source)
        if (text := Text(row.text, row.role).clean.text.strip())
    ]
    places = drawn([text for _, text in rows], source.test)
    for place in sorted(places):
        row = rows[place][0]
        labels = {n: v for n, v in row.labels.items() if n in Toxicity.known}
        yield Example(row.text, bool(labels["toxic"]), "", row.role, labels)


def _fewer(examples: Sequence[Example]) -> Sequence[Example]:
    return examples[::4] if len(examples) > _LARGE else examples


def _file(config: Config, name: str) -> Path:
    return Path(config.data_root) / "benchmarks" / f"{name}.jsonl.gz"
