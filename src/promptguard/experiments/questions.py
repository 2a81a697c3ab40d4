"""Questions, out of a file of JSON lines or CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import ConfigError

__all__ = ["FIELDS", "Question", "read_questions"]

FIELDS = ("question", "id", "reference", "context")
# What a cell of a table may hold at most: a page, not the 128 KiB of the module csv.
_CELL = 10_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and what is known about it.

    Args:
        id: Its name within the file.
        question: What is asked.
        reference: An answer that is right. The judge sees it, the model never does.
        context: Documents that the answer may draw on. Both see them.
    """

    id: str
    question: str = field(repr=False)
    reference: str | None = field(default=None, repr=False)
    context: tuple[str, ...] = field(default=(), repr=False)


def read_questions(
    path: str | Path,
    *,
    fields: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> tuple[Question, ...]:
    """Read questions.

    Args:
        path: A file whose name ends in ``.csv``, or one of JSON lines. A row has
            ``question`` and may have ``id``, ``reference`` and ``context``, which in
            JSON is a text or a list of texts.
        fields: What these are called in the file, where they are called otherwise.
        limit: Read only so many, the first ones.

    Raises:
        ConfigError: The file cannot be read, a row is not as it must be, two have the
            same id, or there is none. The message has the place and never the text.
    """
    file = Path(path)
    names = dict(zip(FIELDS, FIELDS, strict=True)) | dict(fields or {})
    read = _of_csv if file.suffix.lower() == ".csv" else _of_json_lines
    found: dict[str, Question] = {}
    try:
        for line, row in read(file):
            if limit is not None and len(found) >= limit:
                break
            place = f"{file.name}:{line}"
            question = _question(row, names, place, len(found) + 1)
            if question.id in found:
                raise ConfigError(f"{place}: the id of another question stands here")
            found[question.id] = question
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    if not found:
        raise ConfigError(f"{path}: there is no question in it")
    return tuple(found.values())


def _of_json_lines(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row: object = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise ConfigError(
                    f"{file.name}:{number}: no JSON object; every line holds one"
                )
            yield number, row


def _of_csv(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(_CELL)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        try:
            for row in rows:
                yield rows.line_num, row
        except csv.Error:
            raise ConfigError(f"{file.name}:{rows.line_num}: no row of CSV") from None


def _question(
    row: Mapping[str, Any], names: Mapping[str, str], place: str, number: int
) -> Question:
    asked = row.get(names["question"])
    if not isinstance(asked, str) or not asked.strip():
        # What does not look like a name may be text; csv names what is too much None.
        seen = [key for key in map(str, row) if key.isidentifier() and len(key) < 30]
        has = f"; the row has {', '.join(seen[:8])}" if seen else ""
        raise ConfigError(
            f"{place}: {names['question']!r} must be a text{has}; say which one it is: "
            "--field question=NAME"
        )
    named = row.get(names["id"])
    if named is None or named == "":
        named = number
    if isinstance(named, bool) or not isinstance(named, str | int):
        raise ConfigError(f"{place}: {names['id']!r} must be a text or a number")
    reference = row.get(names["reference"]) or None
    if reference is not None and not isinstance(reference, str):
        raise ConfigError(f"{place}: {names['reference']!r} must be a text")
    context = row.get(names["context"]) or ()
    several = (context,) if isinstance(context, str) else context
    if not isinstance(several, list | tuple) or not all(
        isinstance(one, str) and one.strip() for one in several
    ):
        raise ConfigError(f"{place}: {names['context']!r} must be a text or several")
    if reference is not None and not reference.strip():
        reference = None
    return Question(str(named), asked, reference, tuple(several))
