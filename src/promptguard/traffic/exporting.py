"""Exports of kept texts: JSON lines, Parquet, tasks of Label Studio."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast
from xml.sax.saxutils import quoteattr

from .. import ConfigError, MissingExtra
from .reading import Kept, Request
from .times import shown

__all__ = ["FORMATS", "export", "labelling"]

Texts = Iterable[tuple[Request, Kept]]

_ROWS = 1000
_ABOUT = (
    *("endpoint", "model", "caller", "stream", "status", "outcome", "error"),
    *("seconds", "seconds_input", "seconds_upstream", "seconds_output"),
    *("tokens_in", "tokens_out", "cost", "currency"),
)
_TEXT = (
    *("position", "direction", "role", "action", "coverage", "degraded", "dry_run"),
    *("length", "kept", "digest"),
)
_FOUND = ("guard", "label", "action", "score", "start", "end", "kept_start", "kept_end")


def export(texts: Texts, form: str, out: str) -> int:
    """Write texts into a file, whole or not at all, and return how many.

    Args:
        texts: What to write.
        form: One of ``FORMATS``.
        out: The file; ``-`` is standard output.

    Raises:
        ConfigError: The file cannot be written.
        MissingExtra: The format needs a package that is not installed.
    """
    return FORMATS[form](texts, out)


def row_of(request: Request, text: Kept) -> dict[str, Any]:
    """A text as a row: what is known of it, of its request, and what was found.

    Fields are called as ``promptguard calibrate`` reads them: ``text`` and ``role``.
    """
    row: dict[str, Any] = {
        "id": request.about["request"],
        "key": request.about["key"],
        "time": shown(request.about["time"]),
        "text": text.text,
    }
    row |= {name: text.about[name] for name in _TEXT}
    row |= {name: request.about[name] for name in _ABOUT}
    row["findings"] = [
        {name: getattr(found, name) for name in _FOUND} for found in text.findings
    ]
    return row


def _json_lines(texts: Texts, out: str) -> int:
    count = 0
    with _text_file(out) as file:
        for request, text in texts:
            row = row_of(request, text)
            if row["role"] == "unknown":
                # Who reads rows knows roles, and may have one for those without.
                del row["role"]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _parquet(texts: Texts, out: str) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    number, whole, word, flag = pa.float64(), pa.int64(), pa.string(), pa.bool_()
    types = {
        **dict.fromkeys(("seconds", "seconds_input", "seconds_upstream"), number),
        **dict.fromkeys(("seconds_output", "coverage", "cost", "score"), number),
        **dict.fromkeys(("status", "tokens_in", "tokens_out", "position"), whole),
        **dict.fromkeys(("length", "start", "end", "kept_start", "kept_end"), whole),
        **dict.fromkeys(("stream", "degraded", "dry_run"), flag),
        "time": pa.timestamp("us", tz="UTC"),
    }

    def fields(names: Iterable[str]) -> list[Any]:
        return [(name, types.get(name, word)) for name in names]

    found = pa.list_(pa.struct(fields(_FOUND)))
    columns = ("id", "key", "time", "text", *_TEXT, *_ABOUT)
    schema = pa.schema([*fields(columns), ("findings", found)])
    count = 0
    with _file(out) as file, pq.ParquetWriter(file, schema) as writer:
        for rows in _pages(texts):
            for (request, _), row in rows:
                row["time"] = int(request.about["time"] * 1_000_000)
            made = pa.Table.from_pylist([row for _, row in rows], schema=schema)
            writer.write_table(made)
            count += len(rows)
    return count


def _pages(texts: Texts) -> Iterator[list[tuple[tuple[Request, Kept], dict[str, Any]]]]:
    page = []
    for request, text in texts:
        page.append(((request, text), row_of(request, text)))
        if len(page) == _ROWS:
            yield page
            page = []
    if page:
        yield page


def _label_studio(texts: Texts, out: str) -> int:
    """Tasks with what the guards found as predictions, for people to correct.

    Places are counted in characters, as Label Studio counts them in tasks.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        model = f"promptguard {version('promptguard-llm')}"
    except PackageNotFoundError:
        model = "promptguard"
    count = 0
    with _text_file(out) as file:
        file.write("[")
        for request, text in texts:
            if text.text is None:
                continue
            task = json.dumps(_task(request, text, model), ensure_ascii=False)
            file.write(f"{',' if count else ''}\n{task}")
            count += 1
        file.write("\n]\n")
    return count


def _task(request: Request, text: Kept, model: str) -> dict[str, Any]:
    assert text.text is not None
    where = f"{request.about['key']}-{text.about['position']}"
    action = {"choices": [text.about["action"]]}
    result: list[dict[str, Any]] = [
        _mark(f"{where}-action", "action", "choices", action)
    ]
    for number, found in enumerate(text.findings):
        start, end = found.kept_start, found.kept_end
        if start is None or end is None or start >= end:
            continue
        value = {
            "start": start,
            "end": end,
            "text": text.text[start:end],
            "labels": [found.label],
        }
        mark = _mark(f"{where}-{number}", "label", "labels", value)
        result.append(mark | {"score": found.score})
    data = {"text": text.text, "id": request.about["request"], "key": where}
    data["time"] = shown(request.about["time"])
    data |= {name: text.about[name] for name in ("direction", "role", "action", "kept")}
    data |= {name: request.about[name] for name in ("endpoint", "model", "outcome")}
    score = max((found.score for found in text.findings), default=0.0)
    prediction = {"model_version": model, "score": score, "result": result}
    return {"data": data, "predictions": [prediction]}


def _mark(name: str, control: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "from_name": control,
        "to_name": "text",
        "type": kind,
        "value": value,
    }


def labelling(labels: Iterable[str], asked: Iterable[str] = ()) -> str:
    """The labelling interface of Label Studio that the tasks are made for.

    Args:
        labels: What spans can be marked as.
        asked: Labels that are asked about the whole text: yes, no, or unsure.
    """
    names = sorted(set(labels)) or ["injection"]
    lines = [f"    <Label value={quoteattr(name)}/>" for name in names]
    choices = [
        f'    <Choice value="{name}"/>' for name in ("allow", "flag", "redact", "block")
    ]
    return "\n".join(
        [
            "<View>",
            '  <Header value="$endpoint $direction $role $time"/>',
            '  <Labels name="label" toName="text">',
            *lines,
            "  </Labels>",
            '  <Text name="text" value="$text"/>',
            '  <Choices name="action" toName="text" choice="single">',
            *choices,
            "  </Choices>",
            *(line for name in asked for line in _question(name)),
            "</View>",
            "",
        ]
    )


def _question(name: str) -> list[str]:
    """A question about the whole text, whose answers come back under its name."""
    named = f"name={quoteattr(name)}"
    answers = (f'    <Choice value="{answer}"/>' for answer in ("yes", "no", "unsure"))
    return [
        f"  <Header value={quoteattr(f'Is this {name}?')}/>",
        f'  <Choices {named} toName="text" choice="single-radio" required="true">',
        *answers,
        "  </Choices>",
    ]


FORMATS: dict[str, Callable[[Texts, str], int]] = {
    "jsonl": _json_lines,
    "parquet": _parquet,
    "label-studio": _label_studio,
}
"""What texts can be written as."""


@contextmanager
def _text_file(out: str) -> Iterator[IO[str]]:
    import io

    if out == "-":
        yield sys.stdout
        return
    with _file(out) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        yield cast("IO[str]", text)
        text.flush()
        text.detach()


@contextmanager
def _file(out: str) -> Iterator[Any]:
    """A file that is there when it is whole, and that its owner alone may read."""
    if out == "-":
        raise ConfigError("this format is not for standard output; name a file")
    path = Path(out)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Any: what a file opened by its descriptor is, of bytes.
        mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(part, mode, 0o600), "wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
