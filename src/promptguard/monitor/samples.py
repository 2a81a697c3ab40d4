"""A window of traffic as arrays: what its checks look at, without its texts."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .. import ConfigError
from .features import FAMILIES, SIZE, Read, length_bin
from .figures import Floats

__all__ = ["Builder", "Column", "Sample", "Text"]

_CHANGES = ("flag", "redact", "block")


@dataclass(frozen=True, slots=True)
class Text:
    """A kept text, as it is put into a sample; ``text`` is in no repr.

    Args:
        key: Of its request, unique in a database.
        request: The id of the request, as the client had it.
        position: Its place in the request.
        time: When the request came, in seconds since the epoch, where that is known.
        about: direction, role, action, coverage, length, kept.
        text: The text, or None where it was not kept.
        findings: guard, label, score and action of what was found in it.
    """

    key: str
    request: str
    position: int
    time: float | None
    about: Mapping[str, Any]
    text: str | None = field(repr=False)
    findings: tuple[tuple[str, str, float, str], ...]


@dataclass(frozen=True, eq=False)
class Column:
    """A value for each text, out of a few: ``names[codes[n]]``."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]

    def take(self, rows: NDArray[np.intp]) -> Column:
        """The values of these texts."""
        return Column(self.codes[rows], self.names)

    def counts(self, where: NDArray[np.bool_] | None = None) -> dict[str, int]:
        """How often each value is there."""
        codes = self.codes if where is None else self.codes[where]
        found = np.bincount(codes, minlength=len(self.names))
        return {n: int(c) for n, c in zip(self.names, found, strict=True) if c}

    def equal(self, name: str) -> NDArray[np.bool_]:
        """Which texts have this value."""
        if name not in self.names:
            return np.zeros(len(self.codes), bool)
        return np.asarray(self.codes == self.names.index(name))


@dataclass(frozen=True, eq=False)
class Sample:
    """The texts of a window, as numbers; none of the texts themselves.

    Args:
        source: Where they are from, in words.
        ids: Key, request and position of each text.
        request: Of each text, the number of its request.
        columns: direction, role, kept, action, language and script of each.
        length: Its characters.
        coverage: The share of it that guards could look at.
        read: True where the text itself could be looked at.
        starts: Where the buckets of each text begin in ``buckets``, and their end.
        buckets: The buckets of all texts.
        findings: Of each guard and label: the texts, the highest score and the worst
            action (1 flag, 2 redact, 3 block) in each.
        first: The time of the oldest.
        last: The time of the newest.
    """

    source: str
    ids: tuple[tuple[str, str, int], ...]
    request: NDArray[np.int32]
    columns: Mapping[str, Column]
    length: NDArray[np.int32]
    coverage: Floats
    read: NDArray[np.bool_]
    starts: NDArray[np.int64]
    buckets: NDArray[np.uint16]
    findings: Mapping[tuple[str, str], tuple[NDArray[np.intp], Floats, Floats]]
    first: float | None = None
    last: float | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Sample({self.source!r}, texts={len(self)}, requests={self.requests})"

    @cached_property
    def requests(self) -> int:
        """How many requests the texts are of."""
        return len(np.unique(self.request))

    @cached_property
    def half(self) -> NDArray[np.bool_]:
        """Two halves of the requests, by the hash of their keys: the same each time."""
        return np.array([crc32(key.encode()) & 1 for key, _, _ in self.ids], bool)

    @cached_property
    def weight(self) -> Floats:
        """What each text counts, so that every request that was read counts for one."""
        counts = np.bincount(self.request[self.read], minlength=1)
        weight = np.zeros(len(self))
        weight[self.read] = 1 / counts[self.request[self.read]]
        return weight

    @cached_property
    def owner(self) -> NDArray[np.int32]:
        """Of each bucket, the number of its text."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

    @cached_property
    def values(self) -> NDArray[np.float32]:
        """The value of each bucket: a text has length 1 in each family."""
        values = np.empty(len(self.buckets), np.float32)
        for family in FAMILIES:
            own = (self.buckets >= family.start) & (self.buckets < family.stop)
            counts = np.bincount(self.owner[own], minlength=len(self))
            values[own] = 1 / np.sqrt(counts[self.owner[own]])
        return values

    def sums(self, weight: Floats) -> Floats:
        """The weighted sum of the texts' buckets."""
        values = self.values * weight[self.owner]
        return np.asarray(np.bincount(self.buckets, values, SIZE), float)

    def scores(self, direction: Floats) -> Floats:
        """Each text's product with a vector over the buckets."""
        products = self.values * direction[self.buckets]
        return np.asarray(np.bincount(self.owner, products, len(self)), float)

    def take(self, rows: Iterable[int] | NDArray[Any]) -> Sample:
        """The sample of these texts alone."""
        chosen = np.asarray(rows, dtype=np.intp)
        place = np.full(len(self), -1, np.intp)
        place[chosen] = np.arange(len(chosen))
        sizes = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        begins = np.repeat(self.starts[chosen] - starts[:-1], sizes)
        findings = {}
        for name, (texts, scores, actions) in self.findings.items():
            kept = place[texts] >= 0
            if kept.any():
                where = place[texts[kept]]
                order = np.argsort(where)
                parts = (where, scores[kept], actions[kept])
                findings[name] = (
                    parts[0][order],
                    parts[1][order],
                    parts[2][order],
                )
        return Sample(
            self.source,
            tuple(self.ids[n] for n in chosen),
            self.request[chosen],
            {name: column.take(chosen) for name, column in self.columns.items()},
            self.length[chosen],
            self.coverage[chosen],
            self.read[chosen],
            starts,
            self.buckets[begins + np.arange(int(starts[-1]))],
            findings,
            self.first,
            self.last,
        )

    def of(self, direction: str) -> Sample:
        """The texts of one direction."""
        return self.take(np.flatnonzero(self.columns["direction"].equal(direction)))


class Builder:
    """Makes a sample out of texts, one by one; it keeps none of them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._reader = Read()
        self._ids: list[tuple[str, str, int]] = []
        self._requests: dict[str, int] = {}
        self._request = array("i")
        self._values: dict[str, dict[str, int]] = {}
        self._codes: dict[str, array[int]] = {}
        self._length, self._coverage, self._read = array("i"), array("d"), array("b")
        self._starts, self._buckets = array("q", [0]), array("H")
        self._findings: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._times: list[float] = []

    def add(self, text: Text) -> None:
        """Put a text in."""
        about, place = text.about, len(self._ids)
        self._ids.append((text.key, text.request, text.position))
        number = self._requests.setdefault(text.key, len(self._requests))
        self._request.append(number)
        length = int(about["length"])
        self._length.append(length)
        coverage = about.get("coverage")
        self._coverage.append(1.0 if coverage is None else float(coverage))
        language = script = "not read"
        if text.text is not None:
            buckets, language, script = self._reader.text(text.text)
            self._buckets.frombytes(buckets.tobytes())
        self._read.append(text.text is not None)
        role = str(about.get("role") or "unknown")
        beside = self._reader.about(
            role=role, length=length_bin(length), language=language, script=script
        )
        self._buckets.frombytes(beside.tobytes())
        self._starts.append(len(self._buckets))
        for name, value in (
            ("direction", about.get("direction") or "unknown"),
            ("role", role),
            ("kept", about.get("kept") or "unknown"),
            ("action", about["action"]),
            ("language", language),
            ("script", script),
        ):
            known = self._values.setdefault(name, {})
            codes = self._codes.setdefault(name, array("i"))
            codes.append(known.setdefault(str(value), len(known)))
        self._found(place, text.findings)
        if text.time is not None:
            self._times[:] = (
                min([text.time, *self._times]),
                max([text.time, *self._times]),
            )

    def _found(
        self, place: int, findings: Iterable[tuple[str, str, float, str]]
    ) -> None:
        worst: dict[tuple[str, str], tuple[float, int]] = {}
        for guard, label, score, action in findings:
            step = _CHANGES.index(action) + 1 if action in _CHANGES else 0
            before = worst.get((guard, label), (0.0, 0))
            worst[guard, label] = max(before[0], score), max(before[1], step)
        for name, (score, step) in worst.items():
            made = self._findings.setdefault(name, (array("q"), array("d"), array("d")))
            for column, value in zip(made, (place, score, step), strict=True):
                column.append(value)

    def sample(self) -> Sample:
        """The sample of what was put in.

        Raises:
            ConfigError: It is empty.
        """
        if not self._ids:
            raise ConfigError(
                f"{self._source}: there are no texts in this window; widen it with "
                "--since and --until (or their --reference- twins), or see with "
                "`promptguard traffic stats` what was kept"
            )
        columns = {
            name: Column(np.array(codes, np.int32), tuple(self._values[name]))
            for name, codes in self._codes.items()
        }
        return Sample(
            self._source,
            tuple(self._ids),
            np.array(self._request, np.int32),
            columns,
            np.array(self._length, np.int32),
            np.array(self._coverage, float),
            np.array(self._read, bool),
            np.array(self._starts, np.int64),
            np.frombuffer(self._buckets, np.uint16)
            if len(self._buckets)
            else np.empty(0, np.uint16),
            {
                name: (np.array(a, np.intp), np.array(b, float), np.array(c, float))
                for name, (a, b, c) in self._findings.items()
            },
            *(self._times or (None, None)),
        )
