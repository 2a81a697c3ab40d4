"""A model folder: read, checked against its own hashes, and never more than that."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ModelError
from ..queries import OperatingPoint, OperatingPoints
from ..text import READING_VERSION

__all__ = ["FORMAT", "NEEDED", "Bundle", "digest_of", "statement"]

T = TypeVar("T")

FORMAT = 1
NEEDED = ("model.onnx", "tokenizer.json")
_SHIPPED = Path(__file__).parent.parent / "models"
# The key of an ONNX tensor whose values lie in another file.
_OUTSIDE = b"\x0a\x08location"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What a model folder holds. The bytes are those whose hashes were checked.

    Args:
        path: The folder.
        name: What the model is called.
        heads: Labels by output of the model, in the order of its columns.
        token_heads: The same of the outputs that tell every token: tags, of which the
            first is ``O``, and then come ``B-`` and ``I-`` of each label.
        window: Tokens in a window, frame tokens included.
        overlap: Tokens that neighbouring windows share.
        operating_points: Measured thresholds.
        digest: SHA-256 over everything bundle.json states, hashes of files included.
    """

    path: Path
    name: str
    heads: tuple[tuple[str, tuple[str, ...]], ...]
    window: int
    overlap: int
    operating_points: tuple[OperatingPoint, ...]
    digest: str
    model: bytes = field(repr=False)
    tokenizer: bytes = field(repr=False)
    token_heads: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def load(cls, path: str | None = None) -> Bundle:
        """Read a folder, or the model that the library ships.

        Raises:
            ModelError: A file is missing, altered, or not for this library.
        """
        folder = _SHIPPED if path is None else Path(path)
        table = statement(path)
        if (form := table.get("format", int)) != FORMAT:
            raise table.wrong(f"has format {form}; this library reads {FORMAT}")
        stated = table.get("digest", str)
        if stated != digest_of(table.values):
            raise table.wrong("does not match its own digest: it has been altered")
        reading = table.get("reading", int)
        if reading != READING_VERSION:
            raise table.wrong(
                f"was made for texts read in version {reading}; this library reads "
                f"them in version {READING_VERSION}"
            )
        content = _files(folder, table)
        if _OUTSIDE in content["model.onnx"]:
            raise ModelError(
                f"{folder / 'model.onnx'} keeps weights in another file, which is not "
                "supported; export it as one file"
            )
        window, overlap = table.get("window", int), table.get("overlap", int)
        if not 8 <= window <= 8192 or not 0 <= overlap < window - 2:
            raise table.wrong(f"has a window of {window} with an overlap of {overlap}")
        return cls(
            path=folder,
            name=table.get("name", str),
            heads=_heads(table),
            window=window,
            overlap=overlap,
            operating_points=read_points(table),
            digest=stated,
            model=content["model.onnx"],
            tokenizer=content["tokenizer.json"],
            token_heads=_token_heads(table),
        )


def statement(path: str | None) -> Table:
    """What the bundle.json of a folder states, or that of the model that is shipped.

    Raises:
        ModelError: There is no such folder, no bundle in it, or it cannot be read.
    """
    folder = _SHIPPED if path is None else Path(path)
    file = folder / "bundle.json"
    if path is not None and _absent(file):
        where = "" if folder.is_absolute() else f" in {Path.cwd()}"
        if not folder.is_dir():
            what = f"there is no folder {folder}{where}"
        else:
            what = f"there is no bundle in {folder}{where}: it holds no bundle.json"
        raise ModelError(f"{what}; name the folder of a whole bundle, or make it anew")
    return Table.read(file, _REMEDY)


def _absent(file: Path) -> bool:
    """True for what is not there, rather than there and not to be read."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def digest_of(values: dict[str, Any]) -> str:
    """SHA-256 of what a bundle.json states, whatever its layout."""
    stated = {key: value for key, value in values.items() if key != "digest"}
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Table:
    """An object of a JSON file, with errors that name the file and what to do."""

    values: dict[str, Any]
    file: Path
    remedy: str

    @classmethod
    def read(cls, file: Path, remedy: str) -> Table:
        """The object that a file holds.

        Raises:
            ModelError: The file cannot be read, or does not hold an object.
        """
        try:
            values = json.loads(_read(file, remedy))
        except (ValueError, RecursionError):
            raise ModelError(f"{file} is not JSON; {remedy}") from None
        if not isinstance(values, dict):
            raise ModelError(f"{file} does not hold a table; {remedy}")
        return cls(values, file, remedy)

    def get(self, key: str, kind: type[T]) -> T:
        value = self.values.get(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.wrong(f"has no {key!r} that is a {kind.__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.wrong(f"has a {key!r} that is not a number")
        return value

    def below(self, value: Any) -> Table:
        if not isinstance(value, dict):
            raise self.wrong("has a value where a table belongs")
        return Table(value, self.file, self.remedy)

    def wrong(self, what: str) -> ModelError:
        return ModelError(f"{self.file} {what}; {self.remedy}")


_REMEDY = (
    "install promptguard-llm again, or make the bundle anew if it is one of your own"
)


def _read(file: Path, remedy: str = _REMEDY) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}; {remedy}") from None


def _files(folder: Path, table: Table) -> dict[str, bytes]:
    """Content of every file the bundle names, each equal to its hash."""
    stated = table.below(table.get("files", dict))
    for name in NEEDED:
        if name not in stated.values:
            raise table.wrong(f"does not name {name}")
    content = {}
    for name in stated.values:
        if name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            raise table.wrong(f"names {name!r}, which is not a file of its folder")
        data = _read(folder / name)
        if hashlib.sha256(data).hexdigest() != stated.get(name, str):
            raise ModelError(
                f"{folder / name} is not the file that bundle.json was made for: it "
                f"has been altered or cut short; {_REMEDY}"
            )
        content[name] = data
    return content


_Heads = tuple[tuple[str, tuple[str, ...]], ...]


def _heads(table: Table) -> _Heads:
    heads = _lists(table, "heads")
    if not heads:
        raise table.wrong("has no heads")
    return heads


def _token_heads(table: Table) -> _Heads:
    """Heads over tokens; older bundles have none and do not say so."""
    heads = _lists(table, "token_heads") if "token_heads" in table.values else ()
    for name, tags in heads:
        labels = [tag[2:] for tag in tags[1::2]]
        stated = ("O", *(f"{part}-{label}" for label in labels for part in "BI"))
        if tags != stated or not all(labels) or len({*labels}) < len(labels):
            raise table.wrong(f"has a token head {name!r} whose tags are not O, B-, I-")
    return heads


def _lists(table: Table, key: str) -> _Heads:
    heads = []
    for name, labels in table.get(key, dict).items():
        if not isinstance(labels, list) or not labels:
            raise table.wrong(f"has a head {name!r} without a list of labels")
        if not all(isinstance(label, str) and label for label in labels):
            raise table.wrong(f"has a head {name!r} with a label that is no name")
        heads.append((name, tuple(labels)))
    return tuple(heads)


def read_points(table: Table) -> tuple[OperatingPoint, ...]:
    """The operating points that a table lists."""
    points = []
    for value in table.get("operating_points", list):
        row = table.below(value)
        point = OperatingPoint(
            label=row.get("label", str),
            role=row.get("role", str),
            windows=row.get("windows", int),
            fpr=row.get("fpr", float),
            threshold=row.get("threshold", float),
        )
        if point.role not in ("user", "tool") or point.windows < 1:
            raise table.wrong("has an operating point for no role or no length")
        points.append(point)
    return OperatingPoints(points)
