"""Policy files as text: TOML, JSON or YAML, and the line on which a key stands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MissingExtra

__all__ = ["KeyPath", "Source", "Wrong", "dotted", "parse", "read"]

KeyPath = tuple[str | int, ...]
MOST_BYTES = 1 << 20
# A few lines of YAML can stand for any number of values.
MOST_NODES = 100_000
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Wrong(Exception):
    """One thing that is wrong with a file, and where.

    Args:
        said: What it is, without the values of the file.
        path: The keys that lead to it.
        line: Its line, where the path does not tell.
    """

    def __init__(self, said: str, path: KeyPath = (), line: int | None = None) -> None:
        self.said = said
        self.path = path
        self.line = line
        super().__init__(said)


@dataclass(frozen=True, slots=True)
class Source:
    """The content of a file.

    Args:
        name: The file, as the caller named it.
        data: What it holds.
        line: The line of a key, or None where it has none of its own.
        folder: What paths in the file that begin with a dot are relative to.
    """

    name: str
    data: dict[str, Any]
    line: Callable[[KeyPath], int | None]
    folder: Path = Path()

    def told(self, wrongs: Iterable[Wrong]) -> list[str]:
        """What is wrong, with the file, the line and the keys before it, by line."""
        lines = [(self._line(wrong), wrong) for wrong in wrongs]
        told = []
        for line, wrong in sorted(lines, key=lambda pair: pair[0] or 0):
            where = self.name if line is None else f"{self.name}, line {line}"
            keys = f"{dotted(wrong.path)}: " if wrong.path else ""
            told.append(f"{where}: {keys}{wrong.said}")
        return told

    def _line(self, wrong: Wrong) -> int | None:
        """The line of what is wrong, or of what it stands in."""
        path, line = wrong.path, wrong.line
        while line is None and path:
            line = self.line(path)
            path = path[:-1]
        return line


def dotted(path: KeyPath) -> str:
    """Keys as they are written in a sentence: ``input.pii.actions``."""
    return ".".join(str(step) for step in path)


def read(path: Path) -> Source:
    """Read a policy file.

    Raises:
        ConfigError: It cannot be read, or is not of the format its name says.
        MissingExtra: It is YAML, and the extra ``yaml`` is not installed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such policy file; `promptguard policy init` writes "
            "one to start from"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"{path}: is larger than a policy can be (1 MiB)")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: is not UTF-8") from None
    return parse(text, str(path), path.suffix, path.parent)


def parse(text: str, name: str, suffix: str, folder: Path = Path()) -> Source:
    """Read the text of a policy file.

    Args:
        text: What the file holds.
        name: What the file is called in errors.
        suffix: ``.toml``, ``.json``, ``.yaml`` or ``.yml``.
        folder: See Source.

    Raises:
        ConfigError: It is not of this format.
    """
    readers = {".toml": _toml, ".json": _json, ".yaml": _yaml, ".yml": _yaml}
    reader = readers.get(suffix.lower())
    if reader is None:
        known = ", ".join(readers)
        raise ConfigError(f"{name}: a policy file ends with one of {known}")
    try:
        data, line = reader(text)
    except Wrong as wrong:
        where = name if wrong.line is None else f"{name}, line {wrong.line}"
        raise ConfigError(f"{where}: {wrong.said}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deep") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{name}: holds no table of keys and values")
    return Source(name, data, line, folder)


Read = tuple[Any, Callable[[KeyPath], int | None]]


def _toml(text: str) -> Read:
    try:
        lines = text.replace("\r\n", "\n").split("\n")
        return tomllib.loads(text), partial(_toml_line, lines)
    except ValueError as error:
        at = _AT.search(str(error))
        last = text.count("\n") + 1
        line = int(at[1]) if at is not None and at[1] else last
        raise Wrong(f"is not TOML: {_AT.sub('', str(error))}", line=line) from None


def _toml_line(lines: list[str], path: KeyPath) -> int | None:
    """Where a key is written: the shortest beginning of the file that has it.

    tomllib tells no lines. A beginning that ends within a value cannot be read, and is
    made longer until it can, so that the line found is the first of the statement.
    """

    def has(count: int) -> bool:
        for end in range(count, len(lines) + 1):
            try:
                data: Any = tomllib.loads("\n".join(lines[:end]))
            except ValueError:
                continue
            return _holds(data, path)
        return False

    if not path or not has(len(lines)):
        return None
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        if has(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _holds(data: Any, path: KeyPath) -> bool:
    for step in path:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _json(text: str) -> Read:
    lines: dict[KeyPath, int] = {}

    def refuse(constant: str) -> Any:
        raise Wrong(f"{constant} is no number of JSON")

    try:
        data = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Wrong(f"is not JSON: {error.msg}", line=error.lineno) from None
    except ValueError:
        raise Wrong("holds a number that is too long") from None
    for path, line in _json_keys(text):
        if path in lines:
            raise Wrong(f"the key {dotted(path)!r} stands there twice", line=line)
        lines[path] = line
    return data, lines.get


def _json_keys(text: str) -> Iterator[tuple[KeyPath, int]]:
    """The keys of a JSON text that can be read, and their lines."""
    path: list[str | int] = []
    kinds: list[str] = []
    wants_key = False
    for token in _JSON_TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            kinds.append(sign)
            path.append("" if sign == "{" else 0)
            wants_key = sign == "{"
        elif sign in "}]":
            kinds.pop()
            path.pop()
        elif sign == ",":
            wants_key = kinds[-1] == "{"
            place = path[-1]
            if isinstance(place, int):
                path[-1] = place + 1
        elif wants_key and sign != ":":
            path[-1] = json.loads(sign)
            wants_key = False
            yield tuple(path), text.count("\n", 0, token.start()) + 1


def _yaml(text: str) -> Read:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("yaml", "yaml") from None
    lines: dict[KeyPath, int] = {}
    count = 0

    def walk(node: Any, path: KeyPath, above: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        if node in above or count > MOST_NODES:
            said = "repeats itself without an end"
            raise Wrong(said, line=node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*path, index), (*above, node))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                line = key.start_mark.line + 1
                if key.tag == "tag:yaml.org,2002:merge":
                    continue
                if key.tag != "tag:yaml.org,2002:str":
                    raise Wrong("a key must be a string; put it in quotes", line=line)
                way = (*path, key.value)
                if way in lines:
                    said = f"the key {dotted(way)!r} stands there twice"
                    raise Wrong(said, line=line)
                lines[way] = line
                walk(value, way, (*above, node))

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        walk(root, (), ())
        return yaml.safe_load(text), lines.get
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be read"
        line = None if mark is None else mark.line + 1
        raise Wrong(f"is not YAML: {problem}", line=line) from None
    except ValueError:
        raise Wrong("is not YAML: a value cannot be read") from None
