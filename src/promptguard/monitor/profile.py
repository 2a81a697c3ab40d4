"""A reference: statistics of a window of traffic, and never its texts."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ConfigError
from .features import LENGTHS, length_bin
from .figures import Flags, Floats
from .labels import Labelled
from .samples import Sample
from .storing import Halves, bins, count, number, packed, unpacked

__all__ = ["Found", "Known", "Profile", "Side", "judged"]

KIND, VERSION = "promptguard-profile", 1
"""What such a file says first; another version is refused."""

COVERAGES = 21
SCORES = 20
"""Bins of shares and of scores."""
MOMENTS = 2
COLUMNS = ("role", "kept", "action")
READ_COLUMNS = ("language", "script")
"""What is counted by text, and of those that were read."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a guard found under a label.

    Args:
        flagged: Texts in which it found it.
        blocked: Texts that it blocked for it.
        scores: The highest score in each text, in bins.
    """

    flagged: int
    blocked: int
    scores: Floats


@dataclass(frozen=True, eq=False)
class Side:
    """The texts of one direction.

    Args:
        texts: How many they are.
        requests: Of how many requests.
        lengths: Texts by length, in bins.
        coverages: Texts by the share that guards could look at, in bins.
        columns: Texts by role, kept and action; of those read, by language and script.
        found: By guard and label.
        halves: The buckets of what was read.
    """

    texts: int
    requests: int
    lengths: Floats
    coverages: Floats
    columns: Mapping[str, Mapping[str, int]]
    found: Mapping[tuple[str, str], Found]
    halves: Halves = field(repr=False)

    @property
    def scale(self) -> float:
        """Requests a text: texts of one request are not independent."""
        return self.requests / self.texts if self.texts else 1.0

    @property
    def read(self) -> float:
        """Requests of which a text could be looked at."""
        return self.halves[0][1] + self.halves[1][1]


@dataclass(frozen=True, eq=False)
class Known:
    """The labelled texts of a label.

    Args:
        counts: By language: true and false positives, false and true negatives.
        moments: Means over those found: the score, its square.
        found: The buckets of those read in which the label was found.
        unfound: The buckets of the others.
    """

    counts: Mapping[str, tuple[int, int, int, int]]
    moments: tuple[float, ...]
    found: Halves = field(repr=False)
    unfound: Halves = field(repr=False)

    def total(self, language: str | None = None) -> tuple[int, int, int, int]:
        """The counts of a language, or of all."""
        rows = [n for name, n in self.counts.items() if language in (None, name)]
        tp, fp, fn, tn = (sum(row[n] for row in rows) for n in range(4))
        return tp, fp, fn, tn


@dataclass(frozen=True, eq=False)
class Profile:
    """Statistics of a window, to compare another with.

    Args:
        source: Where it is from, in words.
        sides: By direction.
        known: By label.
        requests: How many requests: one may have texts of both directions, or of one.
        first: The time of the oldest request.
        last: The time of the newest.
    """

    source: str
    sides: Mapping[str, Side]
    known: Mapping[str, Known]
    requests: int
    first: float | None = None
    last: float | None = None

    @classmethod
    def of(cls, sample: Sample, labelled: Labelled | None = None) -> Profile:
        """The profile of a sample, and of what is known of its texts."""
        directions = sorted(sample.columns["direction"].counts())
        return cls(
            sample.source,
            {name: _side(sample.of(name)) for name in directions},
            {
                label: _known(sample, label, rows, values)
                for label, (rows, values) in (labelled or {}).items()
            },
            sample.requests,
            sample.first,
            sample.last,
        )

    def save(self, path: str) -> None:
        """Write it into a file, whole or not at all.

        Raises:
            ConfigError: It cannot be written.
        """
        file = Path(path)
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(self.to_dict(), indent=1) + "\n", "utf-8")
            part.replace(file)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str) -> Profile:
        """Read a file that ``save`` wrote.

        Raises:
            ConfigError: It is none, or of another version.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError:
            data = None
        if not isinstance(data, dict) or data.get("kind") != KIND:
            raise ConfigError(
                f"{path}: this is no profile; `promptguard monitor --save-reference` "
                "writes one"
            )
        if data.get("version") != VERSION:
            raise ConfigError(
                f"{path}: the profile is of version {data.get('version')}, and this "
                f"promptguard knows version {VERSION}; save it anew"
            )
        try:
            return cls._from(data)
        except (
            *(AttributeError, KeyError, OverflowError, TypeError, ValueError),
            zlib.error,
        ):
            raise ConfigError(
                f"{path}: the profile is not whole; save it anew"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """What the file holds: counts, and sums of buckets in base64."""
        return {
            "kind": KIND,
            "version": VERSION,
            "source": self.source,
            "requests": self.requests,
            "first": self.first,
            "last": self.last,
            "sides": {
                name: {
                    "texts": side.texts,
                    "requests": side.requests,
                    "lengths": side.lengths.tolist(),
                    "coverages": side.coverages.tolist(),
                    "columns": {n: dict(c) for n, c in side.columns.items()},
                    "found": [
                        {
                            "guard": guard,
                            "label": label,
                            "flagged": found.flagged,
                            "blocked": found.blocked,
                            "scores": found.scores.tolist(),
                        }
                        for (guard, label), found in side.found.items()
                    ],
                    "halves": packed(side.halves),
                }
                for name, side in self.sides.items()
            },
            "known": {
                label: {
                    "counts": {n: list(c) for n, c in known.counts.items()},
                    "moments": list(known.moments),
                    "found": packed(known.found),
                    "unfound": packed(known.unfound),
                }
                for label, known in self.known.items()
            },
        }

    @classmethod
    def _from(cls, data: Mapping[str, Any]) -> Profile:
        sides = {
            name: Side(
                count(side["texts"], 1),
                count(side["requests"], 1),
                bins(side["lengths"], LENGTHS),
                bins(side["coverages"], COVERAGES),
                {
                    name: {str(n): count(c) for n, c in side["columns"][name].items()}
                    for name in (*COLUMNS, *READ_COLUMNS)
                },
                {
                    (str(f["guard"]), str(f["label"])): Found(
                        count(f["flagged"]),
                        count(f["blocked"]),
                        bins(f["scores"], SCORES),
                    )
                    for f in side["found"]
                },
                unpacked(side["halves"]),
            )
            for name, side in data["sides"].items()
        }
        known = {
            label: Known(
                {name: _four(row) for name, row in of["counts"].items()},
                tuple(bins(of["moments"], MOMENTS).tolist()),
                unpacked(of["found"]),
                unpacked(of["unfound"]),
            )
            for label, of in data["known"].items()
        }
        if not sides or not all(map(_adds_up, sides.values())):
            raise ValueError
        each = [side.requests for side in sides.values()]
        # Before it was written down, no more than this was known of it.
        requests = count(data.get("requests", max(each)), 1)
        if not max(each) <= requests <= sum(each):
            raise ValueError
        first, last = number(data["first"]), number(data["last"])
        return cls(str(data["source"]), sides, known, requests, first, last)


def _side(sample: Sample) -> Side:
    bins = np.array([length_bin(int(n)) for n in sample.length], np.intp)
    # To the nearest: a character that was left out of a page is no loss of coverage.
    covered = np.rint(np.clip(sample.coverage, 0, 1) * (COVERAGES - 1))
    columns = {n: sample.columns[n].counts() for n in COLUMNS}
    for name in READ_COLUMNS:
        columns[name] = sample.columns[name].counts(sample.read)
    return Side(
        len(sample),
        sample.requests,
        np.bincount(bins, minlength=LENGTHS).astype(float),
        np.bincount(covered.astype(np.intp), minlength=COVERAGES).astype(float),
        columns,
        {
            name: Found(
                int((actions > 0).sum()), int((actions == 3).sum()), score_bins(scores)
            )
            for name, (rows, scores, actions) in sorted(sample.findings.items())
        },
        halves(sample),
    )


def score_bins(scores: Floats) -> Floats:
    """Scores from 0 to 1, in bins."""
    places = np.clip(scores * SCORES, 0, SCORES - 1).astype(np.intp)
    return np.bincount(places, minlength=SCORES).astype(float)


def halves(sample: Sample) -> Halves:
    """By half of the requests: the sum of the buckets, and how many were read."""
    made = []
    for half in (False, True):
        weight = sample.weight * (sample.half == half)
        made.append((sample.sums(weight), float(round(weight.sum(), 6))))
    return made[0], made[1]


def judged(sample: Sample, label: str, rows: NDArray[np.intp]) -> tuple[Flags, Floats]:
    """In which of these texts the label was found, and moments of the score by text."""
    found, scores = np.zeros(len(sample), bool), np.zeros(len(sample))
    for (_, name), (texts, highest, actions) in sample.findings.items():
        if name == label:
            # What a guard saw and let through was not found to be anything.
            found[texts[actions > 0]] = True
            scores[texts] = np.maximum(scores[texts], highest)
    return found[rows], np.stack([scores[rows], scores[rows] ** 2], axis=1)


def _known(sample: Sample, label: str, rows: NDArray[np.intp], values: Flags) -> Known:
    (found, moments), true = judged(sample, label, rows), values
    column = sample.columns["language"].take(rows)
    counts = {}
    for name in sorted(column.counts()):
        here = column.equal(name)
        counts[name] = _four(
            [
                (here & found & true).sum(),
                (here & found & ~true).sum(),
                (here & ~found & true).sum(),
                (here & ~found & ~true).sum(),
            ]
        )
    means = moments[found].mean(axis=0) if found.any() else np.zeros(MOMENTS)
    return Known(
        counts,
        tuple(float(mean) for mean in means),
        halves(sample.take(rows[found])),
        halves(sample.take(rows[~found])),
    )


def _four(row: Any) -> tuple[int, int, int, int]:
    tp, fp, fn, tn = (count(int(value)) for value in row)
    return tp, fp, fn, tn


def _adds_up(side: Side) -> bool:
    """True when every text of a side is counted where it must be."""
    counts = [sum(side.columns[name].values()) for name in COLUMNS]
    counts += [int(side.lengths.sum()), int(side.coverages.sum())]
    found = all(f.blocked <= f.flagged <= side.texts for f in side.found.values())
    return {*counts} == {side.texts} and side.requests <= side.texts and found
