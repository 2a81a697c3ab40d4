"""Json: an answer that a program can read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from typing import Any, NoReturn

from ..errors import ConfigError, MissingExtra
from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Action, Finding
from ._json_repair import repairs

__all__ = ["Json"]


@dataclass(frozen=True)
class Json(Guard):
    """A text that is not JSON (RFC 8259), or not of the shape it should have.

    Keys that occur twice, NaN and infinities, which Python reads and others do not, are
    refused. Labels: ``json`` and ``json_schema``; with ``repair`` also
    ``json_repaired``, and ``json_cut`` where the text had ended too early. A stream is
    held to its end.

    Args:
        schema: A pydantic model, or a JSON Schema as a mapping or as JSON, which needs
            the extra ``json``; a reference to another document is not followed.
        repair: Mend what is nearly JSON, if the outcome is of the right shape: a code
            fence and words around it, comments, commas before a closing bracket, other
            quotes, an end that is missing. The places are redacted, whatever the
            action, so that the answer that goes on is JSON.

    Raises:
        ConfigError: The schema is none of these, or not a schema.
        MissingExtra: jsonschema is needed and not installed; at the first check.
    """

    schema: Any = None
    _: KW_ONLY
    repair: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.repair, bool):
            raise ConfigError("repair must be True or False")
        schema = self.schema
        if isinstance(schema, Mapping | bool):
            try:
                # As text it can be hashed.
                schema = json.dumps(schema, sort_keys=True, allow_nan=False)
            except (TypeError, ValueError):
                raise ConfigError("schema is a mapping, but not of JSON") from None
            object.__setattr__(self, "schema", schema)
        elif isinstance(schema, str):
            try:
                _read(schema)
            except (ValueError, RecursionError):
                raise ConfigError("schema is a string, but not JSON") from None
        elif schema is not None and not _is_model(schema):
            raise ConfigError(
                "schema must be a pydantic model or a JSON Schema, not "
                f"{type(schema).__name__}"
            )

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset({"json", "json_cut", "json_repaired", "json_schema"})

    def inspect(self, text: Text) -> Inspection:
        """Read the original, and check its shape."""
        original = text.original
        # A schema that cannot be used is told at once, and not with the first JSON.
        validator = _validator(self.schema) if isinstance(self.schema, str) else None
        label = self._wrong(original, validator)
        if label == "json" and self.repair:
            edits = repairs(original)
            if edits is not None:
                label = self._wrong(_edited(original, edits), validator)
            if edits and label is None:
                for edit in edits:
                    kind = "json_cut" if edit.cut else "json_repaired"
                    span = edit.start, edit.end
                    put = Put(edit.new)
                    yield Finding(kind, 1.0, *span, action=Action.REDACT, operator=put)
                return
        if label is not None:
            yield Finding(label, 1.0, 0, len(original))

    def _wrong(self, text: str, validator: Any) -> str | None:
        try:
            value = _read(text)
        except (ValueError, RecursionError):
            return "json"
        if validator is not None:
            return None if validator.is_valid(value) else "json_schema"
        if self.schema is not None:
            try:
                self.schema.model_validate_json(text)
            except ValueError:
                # pydantic's own error is one.
                return "json_schema"
        return None


@dataclass(frozen=True, slots=True)
class Put:
    """An operator that puts the same in place of any value."""

    new: str

    def __call__(self, label: str, value: str) -> str:
        return self.new

    def __repr__(self) -> str:
        return f"Put({len(self.new)} characters)"


def _edited(text: str, edits: Any) -> str:
    parts, last = [], 0
    for edit in edits:
        parts += [text[last : edit.start], edit.new]
        last = edit.end
    return "".join([*parts, text[last:]])


def _read(text: str) -> Any:
    return json.loads(
        text,
        object_pairs_hook=_members,
        parse_constant=_refuse,
        parse_float=_finite,
    )


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key occurs twice")
    return members


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError("no number of JSON")


def _is_model(schema: object) -> bool:
    return isinstance(schema, type) and callable(
        getattr(schema, "model_validate_json", None)
    )


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    try:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import validator_for
        from referencing import Registry
    except ImportError as error:
        raise MissingExtra("jsonschema", "json") from error
    known = json.loads(schema)
    kind = validator_for(known)
    try:
        kind.check_schema(known)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise ConfigError(f"schema is not a JSON Schema, at {place}") from None
    # Without a registry jsonschema would fetch what a schema refers to.
    return kind(known, registry=Registry())
