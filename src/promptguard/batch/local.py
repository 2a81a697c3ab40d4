"""A check of a file on all cores of one machine."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import ConfigError
from .check import TYPES, Check
from .files import Table, reading, table
from .journal import Journal
from .workers import Workers, cores

__all__ = ["Summary", "check_file"]

Shown = Callable[[Iterable[None], int], Iterable[None]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a batch.

    Args:
        rows: How many texts there are.
        before: How many of them an earlier run had checked.
        actions: How many came to each action, as pairs, the most frequent first.
        labels: The same for the labels of the worst findings.
        errors: How many could not be checked; they count as blocked, too.
        ended: Processes that ended before their work was done, and were replaced.
    """

    rows: int
    before: int
    actions: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, int], ...]
    errors: int
    ended: int


def check_file(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    check: Check,
    *,
    column: str = "text",
    workers: int | None = None,
    rows: int = 256,
    shown: Shown | None = None,
) -> Summary:
    """Check the texts of a file, and write its rows with the verdicts behind them.

    Memory does not grow with the file. ``out`` is there when it is whole. Until then
    ``out.journal`` has the verdicts so far: the same call goes on from there.

    Args:
        source: A file that ends with .parquet, .csv or .jsonl, or a folder of Parquet
            files, which are read in the order of their names.
        out: The file to write, of the same kind.
        check: What is done to each text.
        column: The column that has the texts.
        workers: Processes, each with a model of its own; None takes as many as there
            are cores for the threads of the check, 0 works in this process.
        rows: Texts that a process is given at a time.
        shown: Is given what happens once for each row, and how many there are; for a
            progress bar.

    Raises:
        ConfigError: The file cannot be read, has no such column or a row that is
            wrong; ``out`` is there, or belongs to another run.
        ModelError: A model file is missing or altered.
        MissingExtra: It is Parquet, and pyarrow is not installed.
    """
    if rows < 1:
        raise ConfigError("rows must be a whole number of at least 1")
    if workers is None:
        workers = max(1, cores() // check.threads)
    if workers < 0:
        raise ConfigError("workers must be a whole number, 0 for this process alone")
    target = Path(out)
    texts = table(source, column)
    check.absent_from(texts.names)
    _free(target, texts)
    total = texts.count()
    path = target.with_name(f"{target.name}.journal")
    of = {
        "file": texts.sha256(),
        "column": column,
        "check": _told(check),
        "version": _version(),
    }
    with Journal(path, of) as journal, Workers(check, workers) as processes:
        before = journal.done
        if before > total:
            raise ConfigError(f"{path} has more rows than {source}; remove it")

        def steps() -> Iterator[None]:
            for told in processes.rows(texts.texts(before, rows)):
                journal.add(told)
                yield from (None for _ in told)

        if before < total:
            for _ in steps() if shown is None else shown(steps(), total - before):
                pass
        if journal.done != total:
            raise ConfigError(f"{source} has changed while it was checked")
        summary = _written(texts, target, check, journal, before, processes.ended)
        journal.remove()
    return summary


def _free(out: Path, texts: Table) -> None:
    if out.suffix.lower() != texts.suffix:
        raise ConfigError(f"{out} must end with {texts.suffix}, as what it is made of")
    if out.exists():
        raise ConfigError(f"{out} is there already; move it, or name another file")
    if not out.parent.is_dir():
        raise ConfigError(f"{out} cannot be written: there is no such folder")


def _written(
    texts: Table, out: Path, check: Check, journal: Journal, before: int, ended: int
) -> Summary:
    """The rows with what was told of each, in a file that is there when it is whole."""
    names = list(check.types)
    places = {
        name: names.index(check.prefix + name) for name in TYPES if name != "redacted"
    }
    actions: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    errors = 0

    def counted() -> Iterator[list[Any]]:
        nonlocal errors
        for row in journal.rows():
            actions[row[places["action"]]] += 1
            if row[places["label"]] is not None:
                labels[row[places["label"]]] += 1
            errors += row[places["error"]] is not None
            yield row

    # Who has the journal is the only one that writes it.
    part = out.with_name(f".{out.name}.part")
    try:
        # It holds texts: its owner alone may read it.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT, 0o600))
        texts.write(part, check.types, counted())
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return Summary(
        rows=journal.done,
        before=before,
        actions=tuple(actions.most_common()),
        labels=tuple(labels.most_common()),
        errors=errors,
        ended=ended,
    )


def _told(check: Check) -> str:
    """A digest of the check, and of the models that its guards name.

    A model that was trained anew in its old folder gives other verdicts.
    """
    digest = sha256(repr(check).encode())
    for part in check.guards:
        for guard in (part, getattr(part, "guard", None)):
            model = getattr(guard, "model", None)
            named = Path(model) / "bundle.json" if isinstance(model, str) else None
            if named is not None and named.is_file():
                with reading(named):
                    digest.update(named.read_bytes())
    return digest.hexdigest()


def _version() -> str:
    try:
        return version("promptguard-llm")
    except PackageNotFoundError:
        # Run from the source, without having been installed.
        return "unknown"
