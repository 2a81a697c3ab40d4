"""The sources stage: every source as one file of rows, and a list of what went in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from .config import Config
from .errors import PipelineError
from .faults import Unreachable
from .fetch import Wanted, fetch
from .labelled import both_classes, read_labelled
from .rows import (
    Row,
    Source,
    load_sources,
    read_published,
    read_source,
    write_rows,
)
from .stage import digest, write_atomically

__all__ = ["INVENTORY", "Found", "files", "find", "inputs", "make", "read", "written"]

INVENTORY = "inventory.json"


@dataclass(frozen=True)
class Found:
    """The files of a source, by the name they have in the table.

    Args:
        files: Where they lie; the name is the path in the data set, or the last part.
        commit: Of the data set on the Hub; empty for files of this machine.
    """

    files: Mapping[str, Path]
    commit: str = ""


def files(config: Config, names: Collection[str] | None = None) -> list[Path]:
    """Every file of this machine that the stage reads, or those of some sources.

    Raises:
        PipelineError: One is missing that the Hub does not have either.
    """
    paths = [
        path
        for name, source in _used(config).items()
        if names is None or name in names
        for path in _local(config, name, source).values()
        if path.is_file() or not source.hub
    ]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise PipelineError(
            f"{missing[0]} is not there ({len(missing)} of {len(paths)} files are "
            "missing); the data lives outside this repository: point --data at it"
        )
    pinned = [config.pinned_file] if config.pinned_file else []
    return [*paths, *config.tables, *pinned] if names is None else paths


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write NAME.jsonl.gz for each source that is used, and ``inventory.json``."""
    if config.pinned_file:
        see_pinned(config)
    inventory: dict[str, Any] = {}
    seen: dict[str, list[Row]] = {}
    for name, source in _used(config).items():
        found = find(config, name, source)
        rows = seen[name] = list(_rows(config, source, name, found))
        if not rows:
            raise PipelineError(
                f"source {name!r}: no row in {', '.join(found.files)}; set "
                'use = "drop", or restore the file'
            )
        path = out / f"{name}.jsonl.gz"
        write_rows(path, rows)
        inventory[name] = _entry(source, found) | {
            "rows sha256": digest(path),
            "rows": dict(sorted(Counter(_label(row) for row in rows).items())),
        }
    if config.task:
        both_classes(config, seen)
    table = {"table": digest(config.sources_file), "sources": inventory}
    text = json.dumps(table, indent=1) + "\n"
    write_atomically(out / INVENTORY, text.encode())
    total = sum(sum(entry["rows"].values()) for entry in inventory.values())
    published = sum(entry["from"] != "local" for entry in inventory.values())
    print(f"{total:,} rows of {len(inventory)} sources, {published} from the Hub")


def find(config: Config, name: str, source: Source) -> Found:
    """The files of a source, from this machine or from the Hub, as they should be.

    Raises:
        Unreachable: The Hub does not answer, and there is no file here.
        PipelineError: There is nothing, or a file is not the one the table states.
    """
    here = {n: p for n, p in _local(config, name, source).items() if p.is_file()}
    found = Found(here)
    if source.hub and (config.sources.prefer == "hub" or not here):
        try:
            found = _from_hub(name, source)
        except Unreachable as error:
            if not here:
                missing = next(iter(_local(config, name, source).values()))
                raise Unreachable(
                    f"{error}, and {missing} is not there; go online, or point --data "
                    "at the data folder"
                ) from None
            print(f"  {error}: taken from {next(iter(here.values()))}", flush=True)
    elif not here:
        missing = next(iter(_local(config, name, source).values()))
        raise PipelineError(
            f"source {name!r}: {missing} is not there; the data lives outside this "
            "repository: point --data at it"
        )
    pinned = _pinned(config.pinned_file).get(name, {}) if config.pinned_file else {}
    for file, path in found.files.items():
        stated = pinned.get(file) or source.sha256.get(file)
        if stated and (actual := digest(path)) != stated:
            raise PipelineError(
                f"source {name!r}: {path} is not the file that "
                f"{(config.pinned_file or config.sources_file).name} states (SHA-256 "
                f"{actual}, not {stated}); restore it, or look at what changed and "
                "state the new hash"
            )
    return found


def read(config: Config, name: str, source: Source) -> Iterator[Row]:
    """The rows of a source, the same wherever its files come from.

    Raises:
        PipelineError: As ``find``, or a line of a file is not as it has to be.
    """
    yield from _rows(config, source, name, find(config, name, source))


def _rows(config: Config, source: Source, name: str, found: Found) -> Iterator[Row]:
    if config.task:
        for path in found.files.values():
            yield from read_labelled(path, name, source, config)
        return
    reader = read_published if found.commit else read_source
    wanted = {label for known in config.heads.values() for label in known}
    clean = {label: 0 for head in source.clean for label in config.heads.get(head, ())}
    for path in found.files.values():
        for row in reader(path, source):
            labels = row.labels | clean if row.benign else row.labels
            # A run with fewer heads learns less of the same table.
            labels = {name: value for name, value in labels.items() if name in wanted}
            yield replace(row, source=name, labels=labels)


def written(folder: Path) -> dict[str, dict[str, Any]]:
    """What the stage wrote into its folder, by source.

    Raises:
        PipelineError: It has not run.
    """
    try:
        inventory = json.loads((folder / INVENTORY).read_bytes())
    except (OSError, ValueError):
        raise PipelineError(
            f"{folder / INVENTORY} cannot be read; run the stage sources first"
        ) from None
    found: dict[str, dict[str, Any]] = inventory["sources"]
    return found


def inputs(folder: Path) -> list[dict[str, Any]]:
    """Every file that went in, by hash and licence: what a bundle states."""
    return [
        {
            "name": name,
            "file": file,
            "sha256": value,
            "licences": entry["licences"],
            "use": entry["use"],
        }
        for name, entry in written(folder).items()
        for file, value in entry["files"].items()
    ]


def _entry(source: Source, found: Found) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "use": source.use,
        "licences": list(source.licences),
        "origin": source.origin,
        "from": source.hub if found.commit else "local",
        "files": {name: digest(path) for name, path in found.files.items()},
    }
    if found.commit:
        entry |= {"revision": source.revision, "commit": found.commit}
    return entry


def _label(row: Row) -> str:
    return "attack" if row.positive else "benign"


def _used(config: Config) -> dict[str, Source]:
    """The sources that tell something about a head of the run."""
    labels = {label for known in config.heads.values() for label in known}
    return {
        name: source
        for name, source in load_sources(config.sources_file).training.items()
        if source.use != "drop"
        and (not source.marks or labels.intersection(source.marks))
    }


def _local(config: Config, name: str, source: Source) -> dict[str, Path]:
    """Ours lie beside the table, others in the data folder."""
    if source.files:
        folder = Path(source.beside or config.sources_file.parent)
        found = sorted(folder.glob(source.files))
        if config.pinned_file:
            stated = _pinned(config.pinned_file).get(name, {})
            found = [folder / file for file in sorted(stated)]
        if not found:
            raise PipelineError(
                f"source {name!r}: no file matches {folder / source.files}; restore "
                "them, or correct files"
            )
        return {path.relative_to(folder).as_posix(): path for path in found}
    file = f"{name}.jsonl.gz"
    return {file: Path(config.data_root) / source.folder / file}


def see_pinned(config: Config) -> None:
    """See that the table is the one that the pinned bundle was made with.

    Raises:
        PipelineError: It is another one, or names sources that the bundle does not.
    """
    assert config.pinned_file is not None
    stated = _made_from(config.pinned_file)["table"]
    if (actual := digest(config.sources_file)) != stated:
        raise PipelineError(
            f"{config.sources_file} is not the table that {config.pinned_file} was "
            f"made with (SHA-256 {actual}, not {stated}); with [sources] pinned goes "
            "a copy of that table, which the history of the repository has"
        )


@cache
def _made_from(bundle: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(bundle.read_bytes())["made_from"]
        _ = found["table"], found["sources"]
    except (OSError, ValueError, LookupError, TypeError):
        raise PipelineError(
            f"[sources] pinned: {bundle} is no bundle.json that states what it was "
            "made from"
        ) from None
    return found


@cache
def _pinned(bundle: Path) -> dict[str, dict[str, str]]:
    """The files of a bundle and their hashes, by source."""
    found: dict[str, dict[str, str]] = {}
    for entry in _made_from(bundle)["sources"]:
        found.setdefault(entry["name"], {})[entry["file"]] = entry["sha256"]
    return found


def _from_hub(name: str, source: Source) -> Found:
    fetched = fetch(
        Wanted(
            source=name,
            repository=source.hub,
            revision=source.revision,
            files=source.data_files,
        )
    )
    files = {file: Path(path) for file, path in fetched.files.items()}
    return Found(files, fetched.commit)
