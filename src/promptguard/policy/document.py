"""What a policy file can say, and everything that is wrong with one that cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from ..errors import ConfigError, nearest
from .catalogue import Strict, find, in_code_only, keys_of, known, options
from .files import KeyPath, Source, Wrong

__all__ = ["SECTIONS", "Budget", "Document", "OnBlock", "Part", "checked"]

M = TypeVar("M", bound=BaseModel)

SECTIONS = ("input", "user", "tool", "retrieved", "output")

Entries = dict[str, dict[str, Any]]


class OnBlock(Strict):
    """What happens to a text that is blocked. An empty table: Blocked is raised."""

    replace: Annotated[
        str | None, Field(description="The answer in place of the blocked one.")
    ] = None
    reask: Annotated[
        int | None,
        Field(ge=1, le=10, description="How often to ask the model again, before."),
    ] = None


class Budget(Strict):
    """How long the guards may take over one call, and what happens after that."""

    seconds: Annotated[
        float, Field(gt=0, description="Seconds over the arguments, and the answer.")
    ]
    then: Annotated[
        Literal["block", "flag", "allow"],
        Field(description="What a guard leads to that is not done by then."),
    ] = "block"


class Part(Strict):
    """What a policy says as a whole, and again for one route."""

    on_block: Annotated[
        OnBlock | None, Field(description="What happens to a text that is blocked.")
    ] = None
    on_error: Annotated[
        Literal["block", "allow"] | None,
        Field(description="What happens to a text when a guard breaks."),
    ] = None
    restore: Annotated[
        bool | None,
        Field(description="Put redacted values back into the text of the answer."),
    ] = None
    dry_run: Annotated[
        bool | None, Field(description="Report, and change nothing.")
    ] = None
    budget: Budget | None = None
    input: Annotated[
        Entries | None, Field(description="Guards for all that goes to the model.")
    ] = None
    user: Annotated[
        Entries | None, Field(description="Guards for the user's own words.")
    ] = None
    tool: Annotated[
        Entries | None, Field(description="Guards for what tools return.")
    ] = None
    retrieved: Annotated[
        Entries | None, Field(description="Guards for documents and pages.")
    ] = None
    output: Annotated[
        Entries | None, Field(description="Guards for what the model answers.")
    ] = None


class Document(Part):
    """A policy file."""

    schema_: Annotated[
        str | None, Field(alias="$schema", description="For editors; not read.")
    ] = None
    routes: Annotated[
        dict[str, Part] | None,
        Field(description="Policies by name; what one leaves out is as above."),
    ] = None


_CREDENTIAL = re.compile(
    r"(?i)(?:.*_)?(?:api_?key|key|token|secret|passw(?:or)?d|credentials?|authorization)"
)
_MISSING = " is missing"
# A table that says this and nothing else needs no options.
_OFF = {"enabled": False}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_USER_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]*@")
# What may look like a key and is none: it says what is to be let through or found.
_NO_KEYS = frozenset({"allow", "pattern", "words"})


def checked(source: Source) -> tuple[Document | None, list[Wrong]]:
    """The file as a document, and everything that is wrong with it.

    The options of guards are checked here as well; whether a guard takes them is known
    when it is made.
    """
    keys = list(_keys_in(source.data))
    document, wrongs = _read(Document, source.data, ())
    entries = [*_entries(source.data)]
    running = {path[-1] for path, entry in entries if entry != _OFF} | {*known()}
    for path, entry in entries:
        if entry != _OFF:
            wrongs += _entry(entry, path)
        elif path[-1] not in running:
            wrongs.append(Wrong("there is no guard of this name to switch off", path))
    # That a key is unknown matters less than that it is in the file.
    told = {wrong.path for wrong in keys}
    wrongs = keys + [wrong for wrong in wrongs if wrong.path not in told]
    return (None if wrongs else document), wrongs


def kind_of(entry: dict[str, Any], path: KeyPath) -> str:
    """The name of the guard that an entry is about."""
    return str(entry.get("guard", path[-1]))


def _entries(data: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The entries of all sections, as far as they are tables."""
    parts: list[tuple[KeyPath, Any]] = [((), data)]
    routes = data.get("routes")
    if isinstance(routes, dict):
        parts += [(("routes", name), part) for name, part in routes.items()]
    for path, part in parts:
        for section in SECTIONS:
            entries = part.get(section) if isinstance(part, dict) else None
            for name, entry in entries.items() if isinstance(entries, dict) else ():
                if isinstance(entry, dict):
                    yield (*path, section, name), entry


def _entry(entry: dict[str, Any], path: KeyPath) -> Iterator[Wrong]:
    named = entry.get("guard", path[-1])
    if not isinstance(named, str):
        yield Wrong("must be the name of a guard", (*path, "guard"))
        return
    try:
        guard = find(named)
    except ConfigError as error:
        hint = ""
        if "guard" not in entry and path[-1] != "then":
            hint = '. A name of your own needs guard = "...", the kind of guard it is'
        where = (*path, "guard") if "guard" in entry else path
        yield Wrong(f"{error}{hint}", where)
        return
    _, wrongs = _read(options(guard), entry, path)
    if entry.get("enabled") is False:
        wrongs = [wrong for wrong in wrongs if not wrong.said.endswith(_MISSING)]
    code = {(*path, name) for name in in_code_only(guard)}
    for wrong in wrongs:
        if wrong.path in code:
            yield Wrong("can be given in code only", wrong.path)
        else:
            yield wrong
    second = entry.get("then")
    if isinstance(second, dict):
        if "guard" not in second:
            yield Wrong("guard is missing: the kind of guard", (*path, "then"))
        else:
            yield from _entry(second, (*path, "then"))


def _read(
    model: type[M], data: dict[str, Any], path: KeyPath
) -> tuple[M | None, list[Wrong]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    wrongs: dict[KeyPath, list[str]] = {}
    for found in errors:
        kind, loc = found["type"], found["loc"]
        where = _real(data, loc[:-1] if kind == "missing" else loc)
        if where[-1:] == ("operator",):
            said = 'must be "mask", "remove", { mask = 4 } or { hash_env = "NAME" }'
        elif kind == "missing":
            said = f"{loc[-1]}{_MISSING}"
        elif kind == "extra_forbidden":
            said = _unknown_key(model, where)
        else:
            said = _said(dict(found))
        wrongs.setdefault((*path, *where), []).append(said)
    return None, [
        Wrong(" or ".join(dict.fromkeys(said)).replace(" or must be ", " or "), where)
        for where, said in wrongs.items()
    ]


_SAID = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_type": "must be a table",
    "string_type": "must be a string",
}


def _said(error: dict[str, Any]) -> str:
    """What pydantic says of a value, in the words of the file."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        given, expected = error.get("input"), context["expected"]
        names = re.findall(r"'([^']*)'", expected)
        near = nearest(given, names) if isinstance(given, str) else None
        hint = f"; did you mean {near!r}?" if near is not None else ""
        return f"must be {expected}{hint}"
    if kind in ("too_long", "too_short"):
        size = context.get("max_length", context.get("min_length"))
        return f"must have {size} values"
    known = _SAID.get(kind)
    return known or str(error["msg"]).replace("Input should be", "must be")


def _real(data: Any, loc: tuple[str | int, ...]) -> KeyPath:
    """The part of pydantic's way to a value that is keys: it also names types."""
    path: list[str | int] = []
    for step in loc:
        known = isinstance(data, dict) and step in data
        if not known and not (isinstance(data, list) and isinstance(step, int)):
            continue
        data = data[step]
        path.append(step)
    return tuple(path)


def _unknown_key(model: type[BaseModel], path: KeyPath) -> str:
    """What to say of a key that a table does not know."""
    table: type[BaseModel] = model
    for step in path[:-1]:
        if table is Document and step == "routes":
            table = Part
        elif issubclass(table, Part) and step == "budget":
            table = Budget
        elif issubclass(table, Part) and step == "on_block":
            table = OnBlock
    names = sorted(keys_of(table) - {"$schema"})
    near = nearest(path[-1], names)
    hint = f"; did you mean {near!r}?" if near is not None else "."
    return f"unknown key{hint} Known: {', '.join(names)}"


def _keys_in(data: Any, path: KeyPath = ()) -> Iterator[Wrong]:
    """Where the file holds a key or a password, which it must not."""
    items: Any = ()
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    else:
        yield from _key_in(data, path)
    for step, value in items:
        yield from _keys_in(value, (*path, step))


def _key_in(value: object, path: KeyPath) -> Iterator[Wrong]:
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    if name in _NO_KEYS:
        return
    remedy = (
        "a key does not belong in a policy file: put it into an environment variable "
        'and name that, as in key_env = "OPENAI_API_KEY"'
    )
    text = value if isinstance(value, str) else ""
    if name.endswith("_env"):
        if not _VARIABLE.fullmatch(text) or _is_secret(text):
            yield Wrong(f"is not the name of an environment variable; {remedy}", path)
    elif _USER_IN_URL.search(text) or _is_secret(text):
        yield Wrong(f"holds a password or a key; {remedy}", path)
    elif _CREDENTIAL.fullmatch(name) and name != "token":
        yield Wrong(remedy, path)


def _is_secret(value: str) -> bool:
    if len(value) < 16:
        return False
    from .. import Secrets

    return bool(Secrets(entropy=False).check(value).findings)
