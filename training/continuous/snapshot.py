"""What a model is made from: code, settings, texts, labels. Told without any text."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import PipelineError
from ..files import digest, write_atomically
from ..labels.raters import Resolved
from ..names import files as name_files
from ..sources import files

__all__ = ["File", "Snapshot", "share_changed", "taken"]

_TRAINING = Path(__file__).parents[1]
_LIBRARY = ("text.py", "decode.py", "_*.py", "runtime/*.py")
# What a run writes to, and what decides about its result, makes no other model.
_ELSEWHERE = ("build", "release", "publish", "continuous", "gate", "evaluate")
_INTERNAL = ("file", "options", "data_root", "encoder", "start")
# Hashes of lines that are kept of a file: enough to tell a hundredth.
_SKETCH = 256


@dataclass(frozen=True)
class File:
    """A file of texts.

    Args:
        sha256: Of the file.
        lines: How many it has.
        sketch: The smallest hashes of its lines (Broder 1997): two files have as large
            a share of these in common as they have of their lines.
    """

    sha256: str
    lines: int
    sketch: tuple[int, ...]


@dataclass(frozen=True)
class Snapshot:
    """What a model is made from.

    Args:
        code: The hash of each file of code, by its name.
        settings: The hash of the configuration, as far as it makes the model.
        data: The files of the sources, by name.
        labels: What was decided about captured texts, by request and place.
        sizes: Texts to train on, and how many of them are attacks; empty before.
    """

    code: Mapping[str, str]
    settings: str
    data: Mapping[str, File]
    labels: Mapping[str, int]
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Differs when anything of it does, but for sizes, which follow."""
        data = {name: file.sha256 for name, file in self.data.items()}
        told = [dict(self.code), self.settings, data, dict(self.labels)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def write(self, path: Path) -> None:
        """Keep it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(dataclasses.asdict(self)).encode())

    @classmethod
    def read(cls, path: Path) -> Snapshot:
        """What was kept.

        Raises:
            PipelineError: This is no such file.
        """
        try:
            table: dict[str, Any] = json.loads(path.read_bytes())
            data = {
                name: File(one["sha256"], one["lines"], tuple(one["sketch"]))
                for name, one in table.pop("data").items()
            }
            return cls(**table, data=data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise PipelineError(
                f"{path} does not say what a model was made from; delete it, and the "
                "registry is asked"
            ) from None


def taken(config: Config, resolved: Iterable[Resolved]) -> Snapshot:
    """What a model would be made from now.

    Raises:
        PipelineError: A file is not there.
    """
    return Snapshot(
        code={name: digest(path) for name, path in sorted(_code())},
        settings=_settings(config),
        data=dict(sorted(_data(config))),
        labels={each.text: each.value for each in resolved},
    )


def share_changed(was: File | None, now: File | None) -> float:
    """Lines that are new, other or gone, of the larger of two files, about."""
    if was is None or now is None:
        return 1.0
    if was.sha256 == now.sha256:
        return 0.0
    known = set(was.sketch) & set(now.sketch)
    smallest = heapq.nsmallest(_SKETCH, set(was.sketch) | set(now.sketch))
    alike = sum(one in known for one in smallest) / len(smallest) if smallest else 1.0
    # Of the union, a share alike is in both; the rest is in one of them.
    union = (was.lines + now.lines) / (1 + alike)
    most = max(was.lines, now.lines, 1)
    return min(1.0, (union - alike * union) / most)


def _code() -> Iterator[tuple[str, Path]]:
    import promptguard

    for path in _TRAINING.rglob("*.py"):
        inside = path.relative_to(_TRAINING).parts[0]
        # Neither what is made for tests nor what decides makes another model.
        if inside not in ("testing", "continuous", "traffic", "labels"):
            yield f"training/{path.relative_to(_TRAINING).as_posix()}", path
    for path in _TRAINING.glob("*.toml"):
        if path.stem not in ("sources", "names"):
            yield f"training/{path.name}", path
    library = Path(promptguard.__file__).parent
    for pattern in _LIBRARY:
        for path in library.glob(pattern):
            yield f"promptguard/{path.relative_to(library).as_posix()}", path


def _settings(config: Config) -> str:
    table = dataclasses.asdict(config)
    for name in (*_ELSEWHERE, *_INTERNAL):
        del table[name]
    # Where the tables lie is not what they say: they are among the data.
    del table["data"]["sources"], table["names"]["table"]
    table["encoder"] = digest(config.encoder_folder() / "model.safetensors")
    table["start"] = digest(Path(config.start) / "bundle.json") if config.start else ""
    text = json.dumps(table, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _data(config: Config) -> Iterator[tuple[str, File]]:
    for path in dict.fromkeys([*files(config), *name_files(config)]):
        yield _name(config, path.resolve()), _file(path)


def _name(config: Config, path: Path) -> str:
    """Where a file lies in the data folder or beside its table: both may be moved."""
    for folder in (Path(config.data_root), config.sources_file.parent):
        if path.is_relative_to(folder.resolve()):
            return path.relative_to(folder.resolve()).as_posix()
    return f"{path.parent.name}/{path.name}"


def _file(path: Path) -> File:
    lines, hashes = 0, set[int]()
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as content:
        for line in content:
            lines += 1
            hashes.add(
                int.from_bytes(hashlib.blake2b(line, digest_size=6).digest(), "big")
            )
            if len(hashes) > 20 * _SKETCH:
                hashes = set(heapq.nsmallest(_SKETCH, hashes))
    return File(digest(path), lines, tuple(heapq.nsmallest(_SKETCH, hashes)))
