"""The JSON Schema of policy files, with which an editor completes and checks them."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError
from ..guard import snake
from .catalogue import find, known, options
from .document import SECTIONS, Document

__all__ = ["schema"]

_REF = "#/$defs/{model}"
# An entry that switches a guard off needs nothing else.
_OFF = {
    "type": "object",
    "required": ["enabled"],
    "properties": {"enabled": {"const": False}},
    "additionalProperties": False,
}


def schema() -> tuple[dict[str, Any], list[str]]:
    """The schema (draft 2020-12), and the guards that are missing in it, with why.

    It knows the guards of the library and those of installed packages.
    """
    made = Document.model_json_schema(ref_template=_REF)
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "promptguard policy"
    defs = made.setdefault("$defs", {})
    missing: list[str] = []
    names: dict[str, str] = {}
    for name in known():
        try:
            guard = find(name)
        except ConfigError as error:
            missing.append(str(error))
            continue
        table = options(guard).model_json_schema(ref_template=_REF)
        defs.update(table.pop("$defs", {}))
        table["title"] = name
        table["description"] = _first_line(guard.__doc__)
        names[name] = f"guard_{snake(guard.__name__)}_{len(names)}"
        defs[names[name]] = _without_null(table)
    refs = {name: {"$ref": f"#/$defs/{ref}"} for name, ref in names.items()}
    own = {
        "type": "object",
        "required": ["guard"],
        "properties": {"guard": {"enum": sorted(names)}},
        "allOf": [
            {"if": {"properties": {"guard": {"const": name}}}, "then": ref}
            for name, ref in refs.items()
        ],
    }
    defs["switched_off"] = _OFF
    off = {"$ref": "#/$defs/switched_off"}
    defs["entries"] = {
        "description": "Guards by name.",
        "type": "object",
        "properties": {
            name: {"anyOf": [ref, off]} if "required" in defs[names[name]] else ref
            for name, ref in refs.items()
        },
        "additionalProperties": {"anyOf": [own, off]},
    }
    for table in (made, defs["Part"]):
        for section in SECTIONS:
            said = table["properties"][section].get("description")
            table["properties"][section] = {
                "$ref": "#/$defs/entries",
                "description": said,
            }
    return _without_null(made), missing


def _first_line(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0].replace("``", "`")


def _without_null(table: Any) -> Any:
    """The schema without null, which stands in no policy, and without defaults."""
    if isinstance(table, list):
        return [_without_null(item) for item in table]
    if not isinstance(table, dict):
        return table
    made = {
        key: _without_null(value)
        for key, value in table.items()
        if not (key == "default" and value is None)
    }
    choices = made.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        left = [choice for choice in choices if choice != {"type": "null"}]
        del made["anyOf"]
        made |= left[0] if len(left) == 1 else {"anyOf": left}
    return made
