"""Variants of a prompt: templates, and the messages that they make of a question."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from .. import ConfigError, MissingExtra
from ..errors import unknown
from .questions import Question

__all__ = ["STARTER", "Variant", "read_variants", "starter_variants"]

STARTER = Path(__file__).with_name("variants.toml")
_KEYS = (
    *("about", "system", "prompt", "with_context", "examples"),
    *("answer_after", "temperature"),
)
# {{ and }} are braces; a name in braces that is none of ours is a slip of the pen.
_PLACE = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")
_PLACES = ("question", "context")
_NAME = re.compile(r"[\w][\w. +-]{0,59}")


@dataclass(frozen=True)
class Variant:
    """One way to put questions to a model.

    Args:
        name: What it is called in tables.
        about: What it tries.
        system: The system message; empty is none.
        prompt: The user message, with ``{question}`` in it.
        with_context: The user message where a question has documents, with
            ``{question}`` and ``{context}``; by default the documents stand before
            ``prompt``.
        examples: Questions with answers, which go before as turns of the conversation.
        answer_after: Where the model reasons first: the words before its answer. Only
            what stands after the last of them is graded.
        temperature: Instead of the experiment's.

    Raises:
        ConfigError: A name or template is not as it must be.
    """

    name: str
    _: KW_ONLY
    about: str = ""
    system: str = field(default="", repr=False)
    prompt: str = field(default="{question}", repr=False)
    with_context: str = field(default="", repr=False)
    examples: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    answer_after: str = ""
    temperature: float | None = None

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(
                "the name of a variant must be of letters, digits, spaces and . + - _, "
                "60 at most"
            )
        for key in ("about", "system", "prompt", "with_context", "answer_after"):
            if not isinstance(getattr(self, key), str):
                raise ConfigError(f"variant {self.name!r}: {key} must be a text")
        if not self.with_context:
            whole = "Documents:\n{context}\n\n" + self.prompt
            object.__setattr__(self, "with_context", whole)
        wanted = {"system": (), "prompt": ("question",), "with_context": _PLACES}
        for key, places in wanted.items():
            used = [match[1] for match in _PLACE.finditer(getattr(self, key))]
            for place in used:
                if place is not None and place not in places:
                    raise unknown(f"place of {key} in {self.name!r}", place, _PLACES)
            for place in places:
                if place not in used:
                    raise ConfigError(
                        f"variant {self.name!r}: {key} has no {{{place}}} in it"
                    )
        given: object = self.temperature
        if given is not None and (
            isinstance(given, bool)
            or not isinstance(given, int | float)
            or not 0 <= given <= 2
        ):
            raise ConfigError(f"variant {self.name!r}: temperature must be 0 to 2")

    def messages(self, asked: Question) -> list[dict[str, str]]:
        """The messages of a request. The reference is in none of them."""
        said = [{"role": "system", "content": _filled(self.system, asked)}]
        for question, answer in self.examples:
            said.append({"role": "user", "content": question})
            said.append({"role": "assistant", "content": answer})
        template = self.with_context if asked.context else self.prompt
        said.append({"role": "user", "content": _filled(template, asked)})
        return said if self.system else said[1:]

    def answer(self, reply: str) -> str:
        """What of a reply is the answer: all of it where the words are missing."""
        if not self.answer_after:
            return reply
        return reply.rpartition(self.answer_after)[2].strip() or reply


def read_variants(path: str | Path) -> tuple[Variant, ...]:
    """The variants of a file of TOML, or of YAML where its name says so.

    Raises:
        ConfigError: The file cannot be read or does not hold variants.
        MissingExtra: It is YAML, and pyyaml is not installed.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    try:
        return _of(_parsed(text, file))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def starter_variants() -> tuple[Variant, ...]:
    """The variants that are shipped: to begin with, not to end with."""
    return read_variants(STARTER)


def _parsed(text: str, file: Path) -> object:
    if file.suffix.lower() not in (".yaml", ".yml"):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"is not TOML: {error}") from None
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "yaml") from None
    try:
        parsed: object = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError("is not YAML") from None
    return parsed


def _of(data: object) -> tuple[Variant, ...]:
    table = data.get("variants") if isinstance(data, Mapping) else None
    if not isinstance(table, Mapping) or not table:
        raise ConfigError("it must hold variants, such as [variants.zero-shot]")
    for key in data if isinstance(data, Mapping) else ():
        if key != "variants":
            raise unknown("key", key, ("variants",))
    return tuple(_variant(name, row) for name, row in table.items())


def _variant(name: Any, row: object) -> Variant:
    if not isinstance(row, Mapping):
        raise ConfigError(f"variant {name!r} must be a table")
    for key in row:
        if key not in _KEYS:
            raise unknown(f"key of variant {name!r}", key, _KEYS)
    examples = row.get("examples", ())
    pairs = []
    for one in examples if isinstance(examples, list | tuple) else (None,):
        question = one.get("question") if isinstance(one, Mapping) else None
        answer = one.get("answer") if isinstance(one, Mapping) else None
        if not isinstance(question, str) or not isinstance(answer, str):
            raise ConfigError(
                f"variant {name!r}: examples must be several, each with a question and "
                "an answer"
            )
        pairs.append((question, answer))
    return Variant(**{**row, "name": name, "examples": tuple(pairs)})


def _filled(template: str, asked: Question) -> str:
    """The template with the question in it; what is filled in is not read again."""
    documents = "\n\n".join(f"[{n}] {text}" for n, text in enumerate(asked.context, 1))
    values = {"question": asked.question, "context": documents}
    return _PLACE.sub(lambda m: values[m[1]] if m[1] else m[0][0], template)
