"""What comes back from Label Studio: its JSON export, into labels.

The export is a list of tasks, each with its ``data`` and its ``annotations``; see
https://labelstud.io/guide/export. An annotation that was skipped says nothing. One that
cannot be understood is told, and does not keep the others from coming in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PipelineError
from .records import Label

__all__ = ["Imported", "read_studio"]

_ANSWERS = {"yes": 1, "no": 0}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an export held.

    Args:
        labels: One for each text and annotator.
        skipped: Annotations that were skipped, or answer ``unsure``.
        empty: Tasks that nobody has annotated, and annotations without an answer.
        problems: What could not be understood, by its place; never a text.
    """

    labels: tuple[Label, ...]
    skipped: int
    empty: int
    problems: tuple[str, ...]


class _Malformed(Exception):
    """A task or an annotation is not as it has to be."""


def read_studio(path: Path, label: str) -> Imported:
    """Read an export of Label Studio, ``JSON`` (not ``JSON-MIN`` or ``CSV``).

    An annotator says yes by answering the question that the interface asks about the
    label, or by marking a span with it; no by answering so, or by the action ``allow``.

    Args:
        path: The file.
        label: What was asked.

    Raises:
        PipelineError: The file cannot be read, or is no list of tasks.
    """
    try:
        tasks = json.loads(path.read_bytes())
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise PipelineError(
            f"{path} is not JSON; export it anew, in the format JSON"
        ) from None
    if not isinstance(tasks, list):
        raise PipelineError(f"{path} is no list of tasks; export it in the format JSON")
    found: dict[tuple[Any, ...], Label] = {}
    skipped = empty = 0
    problems: list[str] = []
    for number, task in enumerate(tasks, 1):
        place = f"task {number}"
        try:
            where = _where(task)
            annotations = _annotations(task)
        except _Malformed as error:
            problems.append(f"{place}: {error}")
            continue
        empty += not annotations
        for order, annotation in enumerate(annotations, 1):
            try:
                said = _said(annotation, label)
                if said is None:
                    skipped += 1
                    continue
                who, when = _who(annotation), _when(annotation)
            except _Malformed as error:
                problems.append(f"{place}, annotation {order}: {error}")
                continue
            if said < 0:
                empty += 1
                continue
            made = Label(where, label, said, who, when)
            key = where, who
            # Somebody who came back to a task meant what was said last.
            if key not in found or found[key].at <= when:
                found[key] = made
    return Imported(tuple(found.values()), skipped, empty, tuple(problems))


def _where(task: Any) -> str:
    """The text that a task is about: its request, a dash, and its place there."""
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        raise _Malformed("has no data")
    name, key = data.get("id"), data.get("key")
    if not isinstance(name, str) or not name or not isinstance(key, str):
        raise _Malformed("its data has no id and key, as an export of traffic gives")
    _, _, position = key.rpartition("-")
    if not position.isdecimal():
        raise _Malformed("its key does not end in a position")
    return f"{name}-{position}"


def _annotations(task: Mapping[str, Any]) -> list[Any]:
    found = task.get("annotations")
    if not isinstance(found, list):
        raise _Malformed("has no annotations; export it in the format JSON")
    return found


def _said(annotation: Any, label: str) -> int | None:
    """1 and 0 for yes and no, -1 for no answer, None where it was skipped."""
    if not isinstance(annotation, dict):
        raise _Malformed("is no object")
    if annotation.get("was_cancelled"):
        return None
    result = annotation.get("result")
    if not isinstance(result, list):
        raise _Malformed("has no result")
    answers = set(_choices(result, label))
    if answers == {"unsure"}:
        return None
    if len(answers) > 1 or not answers <= {*_ANSWERS, "unsure"}:
        raise _Malformed(f"its answer about {label!r} is not yes, no or unsure")
    marked = any(label in names for names in _values(result, "labels"))
    allowed = set(_choices(result, "action")) == {"allow"}
    if answers:
        value = _ANSWERS[answers.pop()]
        if marked and not value:
            raise _Malformed(f"says no to {label!r}, and marks a span with it")
        return value
    if marked and allowed:
        raise _Malformed(f"allows the text, and marks a span as {label!r}")
    return 1 if marked else 0 if allowed else -1


def _values(
    result: list[Any], kind: str, control: str | None = None
) -> Iterator[list[str]]:
    for part in result:
        if not isinstance(part, dict) or not isinstance(part.get("value"), dict):
            raise _Malformed("a part of its result is no object with a value")
        if part.get("type") != kind or control not in (None, part.get("from_name")):
            continue
        names = part["value"].get(kind)
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise _Malformed(f"a part of its result has no {kind}")
        yield names


def _choices(result: list[Any], control: str) -> Iterator[str]:
    for names in _values(result, "choices", control):
        yield from names


def _who(annotation: Mapping[str, Any]) -> str:
    """A number, or an object with one, as exports have it; no e-mail address."""
    given = annotation.get("completed_by")
    if isinstance(given, dict):
        given = given.get("id")
    if isinstance(given, bool) or not isinstance(given, int | str) or given == "":
        raise _Malformed("does not say who made it (completed_by)")
    return f"label-studio:{given}"


def _when(annotation: Mapping[str, Any]) -> str:
    when = annotation.get("updated_at") or annotation.get("created_at") or ""
    if not isinstance(when, str):
        raise _Malformed("its time is no text")
    return when
