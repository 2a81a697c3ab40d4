"""A window of traffic beside a reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .. import ConfigError
from ..errors import nearest
from . import quality as qualities
from .checks import Moved, decisions, histograms, inputs
from .figures import holm
from .labels import Labelled, Labels
from .profile import Profile, Side
from .report import VERDICTS, Check, Histogram, Quality, Report, Window
from .samples import Sample
from .telling import told
from .thresholds import Thresholds

__all__ = ["INPUTS", "compare"]

INPUTS = (
    *("length", "coverage", "role", "language", "script"),
    *("vocabulary", "characters", "classifier"),
)
"""The checks that look at texts, and not at what guards made of them."""


def compare(
    current: Sample,
    reference: Sample | Profile,
    *,
    labels: Labels | None = None,
    thresholds: Thresholds | None = None,
) -> Report:
    """Compare a window of traffic with a reference.

    Args:
        current: The window.
        reference: Another window, or the profile of one.
        labels: What people said of texts of either.
        thresholds: What is taken for drift; None is what is shipped.

    Raises:
        ConfigError: A window is too small, or no label belongs to a text of it.
    """
    thresholds = thresholds or Thresholds.load()
    labelled: Labelled = {} if labels is None else labels.of(current)
    if isinstance(reference, Sample):
        before = {} if labels is None else labels.of(reference)
        reference = Profile.of(reference, before)
    if labels is not None:
        _known_labels(labels, labelled, current, reference)
    profile = Profile.of(current, labelled)
    _large_enough(profile, reference, thresholds)
    notes = [*_notes(profile, reference, labels, current)]
    found: list[Moved] = []
    drawn: list[Histogram] = []
    for group, side in profile.sides.items():
        other = reference.sides.get(group)
        if other is None or min(side.requests, other.requests) < thresholds.requests:
            notes.append(
                f"{group}: not compared; a window has fewer than "
                f"{thresholds.requests} requests with such texts"
            )
            continue
        found += inputs(group, other, side, current.of(group), thresholds)
        found += decisions(group, other, side)
        drawn += histograms(group, other, side)
        if min(side.read, other.read) < thresholds.requests:
            notes.append(
                f"{group}: words, letters, language and script were not compared; too "
                "few texts were kept so that they can be read"
            )
    rows: list[Quality] = []
    weighed: dict[str, qualities.Weighed] = {}
    for label, known in profile.known.items():
        rows += qualities.measured("current", label, known, thresholds.labelled)
        if (before_ := reference.known.get(label)) is None:
            notes.append(
                f"{label}: no labels in the reference; nothing to compare with"
            )
            continue
        rows += qualities.measured("reference", label, before_, thresholds.labelled)
        found += qualities.moved(label, before_, known, thresholds)
        weighed[label] = qualities.meaning(
            label, reference, current, labelled, thresholds
        )
        if (row := weighed[label].quality) is not None:
            rows.append(row)
        if (moved := weighed[label].check) is not None:
            found.append(moved)
    checks = [*_judged(found, thresholds)]
    now = [row for row in rows if row.window == "current"]
    checks += qualities.bounds(now, thresholds)
    checks.sort(key=lambda check: -VERDICTS.index(check.verdict))
    verdict = max((c.verdict for c in checks), key=VERDICTS.index, default="pass")
    covariate = any(
        c.name in INPUTS and c.group != "output" and c.verdict != "pass" for c in checks
    )
    concept = any(c.name == "concept" and c.verdict != "pass" for c in checks)
    kind = {
        (False, False): "none",
        (True, False): "covariate",
        (False, True): "concept",
        (True, True): "both",
    }[covariate, concept]
    return Report(
        verdict,
        kind,
        told(kind, checks, rows, weighed),
        _window(profile),
        _window(reference),
        tuple(checks),
        tuple(rows),
        tuple(notes),
        tuple(drawn),
    )


def _judged(found: Sequence[Moved], thresholds: Thresholds) -> Iterable[Check]:
    on = [moved for moved in found if moved.name in thresholds.limits]
    for moved, adjusted in zip(on, holm([m.p for m in on]), strict=True):
        limit = thresholds.limits[moved.name]
        verdict = "pass"
        if adjusted <= thresholds.false_alarms and moved.value >= limit.warn:
            verdict = "fail" if moved.value >= limit.fail else "warn"
        yield Check(
            moved.name,
            moved.group,
            moved.statistic,
            moved.value,
            limit.warn,
            limit.fail,
            verdict,
            moved.p,
            adjusted,
            moved.texts,
            moved.reference,
            moved.current,
        )


def _large_enough(profile: Profile, reference: Profile, thresholds: Thresholds) -> None:
    for name, of in (("window", profile), ("reference", reference)):
        most = max((side.requests for side in of.sides.values()), default=0)
        if most < thresholds.requests:
            raise ConfigError(
                f"{of.source}: the {name} has {most} requests with texts of one "
                f"direction, and {thresholds.requests} are needed; widen it, or lower "
                "`requests` in [verdict] of the thresholds"
            )


def _known_labels(
    labels: Labels, labelled: Labelled, current: Sample, reference: Profile
) -> None:
    if not labelled and not reference.known:
        raise ConfigError(
            f"{labels.source}: no label belongs to a text of either window; an id is "
            "the key or id of a request, a dash and the position of the text, as "
            "`promptguard traffic export` has them"
        )
    guarded = {label for _, label in current.findings}
    guarded |= {label for side in reference.sides.values() for _, label in side.found}
    for label in labels.names:
        near = nearest(label, guarded - {*labels.names})
        if label not in guarded and near is not None:
            raise ConfigError(
                f"{labels.source}: no guard found {label!r} in either window; did you "
                f"mean {near!r}? Found: {', '.join(sorted(guarded))}"
            )


def _notes(
    profile: Profile, reference: Profile, labels: Labels | None, current: Sample
) -> Iterable[str]:
    for name, of in (("window", profile), ("reference", reference)):
        kept = _kept(of.sides.values())
        unread = {k: n for k, n in kept.items() if k in ("hashed", "none", "failed")}
        if unread:
            parts = ", ".join(f"{n:,} {k}" for k, n in sorted(unread.items()))
            yield (
                f"{name}: {sum(unread.values()):,} of {sum(kept.values()):,} texts "
                f"were not kept ({parts}); of them only length, role, scores and "
                "decisions were looked at"
            )
    one, other = (
        {k for k in _kept(of.sides.values()) if k in ("whole", "redacted")}
        for of in (profile, reference)
    )
    if one != other and one and other:
        yield (
            f"the window keeps texts {' and '.join(sorted(one))}, the reference "
            f"{' and '.join(sorted(other))}: placeholders of what was redacted count "
            "as words, and may look like drift"
        )
    if labels is not None and (known := labels.matched(current)) < len(labels.values):
        yield (f"{known:,} of {len(labels.values):,} labelled texts are in this window")
    if labels is not None and labels.disputed:
        yield (
            f"{labels.disputed:,} labels were left out: as many annotators said yes as "
            "no"
        )


def _kept(sides: Iterable[Side]) -> dict[str, int]:
    kept: dict[str, int] = {}
    for side in sides:
        for name, count in side.columns["kept"].items():
            kept[name] = kept.get(name, 0) + count
    return kept


def _window(profile: Profile) -> Window:
    sides = profile.sides.values()
    kept = _kept(sides)
    read = sum(sum(side.columns["language"].values()) for side in sides)
    first, last = map(Window.moment, (profile.first, profile.last))
    texts = sum(side.texts for side in sides)
    return Window(profile.source, first, last, profile.requests, texts, read, kept)
