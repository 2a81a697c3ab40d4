"""The guards that a policy can name, and the options that a file can give them.

Beside those of the library these are the guards of installed packages that declare an
entry point in the group ``promptguard.guards``:

    [project.entry-points."promptguard.guards"]
    shouting = "acme_guards:Shouting"
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

import promptguard

from ..combining import AnyOf, Only, Then
from ..errors import ConfigError, unknown
from ..guard import Guard, snake
from ..verdict import Action, Operator

__all__ = ["GROUP", "Actions", "Strict", "built_in", "find", "known", "options"]

GROUP = "promptguard.guards"
"""The group of entry points in which packages declare guards."""

# What an entry says beside the options of its guard.
OWN = frozenset({"enabled", "guard", "name", "then"})
Actions = Literal["allow", "flag", "redact", "block"]


class Strict(BaseModel):
    """A table of a policy file: no unknown keys, and nothing converted."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )


# A parameter may be called like something that pydantic's models have: schema.
_OF = "of_"


class Options(Strict):
    """What a file can say of a guard."""

    model_config = ConfigDict(alias_generator=lambda name: name.removeprefix(_OF))


class MaskOf(Strict):
    """Stars, and the last characters of the value."""

    mask: Annotated[int, Field(ge=0, le=4, description="How many characters stay.")]


class HashOf(Strict):
    """A keyed hash of the value."""

    hash_env: Annotated[
        str, Field(description="The environment variable that holds the key.")
    ]


Operators = Literal["mask", "remove"] | MaskOf | HashOf


def built_in() -> dict[str, str]:
    """The library's own guards: what a file calls them, and their class."""
    return {snake(name): name for name in promptguard._GUARDS}


def declared() -> dict[str, list[EntryPoint]]:
    """The guards of installed packages, by name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def known() -> list[str]:
    """Every name that a policy can use."""
    return sorted({*built_in(), *declared()})


def find(name: str) -> type[Guard]:
    """The guard of a name.

    Raises:
        ConfigError: There is none, several packages have one, or it cannot be loaded.
    """
    own = built_in().get(name)
    if own is not None:
        guard: type[Guard] = getattr(promptguard, own)
        return guard
    points = declared().get(name, [])
    if not points:
        raise _no_guard(name)
    if len({point.value for point in points}) > 1:
        raise ConfigError(
            f"several installed packages have a guard {name!r}: "
            f"{', '.join(sorted(map(_package, points)))}; uninstall all but one"
        )
    point = points[0]
    try:
        loaded: Any = point.load()
    except Exception as error:
        raise ConfigError(
            f"the guard {name!r} of {_package(point)} cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from None
    if not (isinstance(loaded, type) and issubclass(loaded, Guard)):
        raise ConfigError(
            f"the guard {name!r} of {_package(point)} is not a subclass of "
            "promptguard.Guard"
        )
    return loaded


def package_of(name: str) -> str | None:
    """The package that brings a guard, or None for those of the library."""
    points = [] if name in built_in() else declared().get(name, [])
    return _package(points[0]) if points else None


def options(guard: type[Guard]) -> type[BaseModel]:
    """What a file can say of a guard, as a pydantic model.

    A parameter that no file can hold, such as a function, is left out. None is not
    written: leaving a key out means the default.
    """
    kind: Any = guard
    return _options(kind)


@cache
def _options(guard: Any) -> type[BaseModel]:
    hints = get_type_hints(guard)
    told = _told(guard)
    made: dict[str, Any] = {
        "guard": (str | None, Field(None, description="The kind of guard it is.")),
        "enabled": (bool, Field(True, description="False switches it off here.")),
        "then": (
            dict[str, Any] | None,
            Field(None, description="A second guard, asked where this one is unsure."),
        ),
        "action": (Actions, Field(None, description="What a finding leads to.")),
        "actions": (
            dict[str, Actions],
            Field(None, description="The same for findings of some labels alone."),
        ),
    }
    for field in fields(guard):
        if field.name in OWN or field.name in made or not field.init:
            continue
        kind = _in_a_file(hints[field.name])
        if kind is None:
            continue
        required = field.default is MISSING and field.default_factory is MISSING
        said = Field(... if required else None, description=told.get(field.name))
        made[field.name] = (kind, said)
    named: dict[str, Any] = {f"{_OF}{name}": said for name, said in made.items()}
    return create_model(f"{guard.__name__}Options", __base__=Options, **named)


def in_code_only(guard: type[Guard]) -> set[str]:
    """The parameters of a guard that no file can give."""
    names = {field.name for field in fields(guard) if field.init}
    return names - keys_of(options(guard)) - OWN


def keys_of(model: type[BaseModel]) -> set[str]:
    """The keys that a table can have."""
    return {field.alias or name for name, field in model.model_fields.items()}


def _in_a_file(hint: Any) -> Any:
    """The type as a file can hold it, or None."""
    if hint == Operator:
        return Operators
    if hint is Any or hint in (bool, float, int, str):
        return hint
    if hint is Action:
        return Actions
    kind, inner = get_origin(hint), get_args(hint)
    if kind is Literal:
        return hint
    if kind is Annotated:
        return _in_a_file(inner[0])
    if kind in (Union, types.UnionType):
        kinds = [made for made in map(_in_a_file, inner) if made is not None]
        return Union[tuple(kinds)] if kinds else None  # noqa: UP007 - from a tuple
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        made = _in_a_file(Union[inner])  # noqa: UP007 - from a tuple
        size = len(inner)
        several = list[made]  # type: ignore[valid-type] # made at run time
        return Annotated[several, Field(min_length=size, max_length=size)]
    if kind in (tuple, list, set, frozenset, Sequence, Iterable):
        made = _in_a_file(inner[0])
        return None if made is None else list[made]  # type: ignore[valid-type] # as above
    if kind in (dict, Mapping) and inner[0] is str:
        made = _in_a_file(inner[1])
        return None if made is None else dict[str, made]  # type: ignore[valid-type] # as above
    return None


def _told(guard: type[Guard]) -> dict[str, str]:
    """What the docstrings say about the parameters."""
    found: dict[str, str] = {}
    for kind in reversed(guard.__mro__):
        doc = inspect.cleandoc(kind.__doc__ or "")
        args = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)*)", doc, re.MULTILINE)
        if args is None:
            continue
        entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", args[1], re.MULTILINE)
        for name, said in entries:
            found[name] = " ".join(said.replace("``", "`").split())
    return found


def _package(point: EntryPoint) -> str:
    dist = point.dist
    return "a package" if dist is None else f"{dist.name} {dist.version}"


def _no_guard(name: str) -> ConfigError:
    for other in (AnyOf, Only, Then):
        if name in (other.__name__, snake(other.__name__)):
            return ConfigError(
                f"{name!r} is not named in a file: guards side by side run together"
            )
    names = known()
    if snake(name) in names:
        return ConfigError(f"unknown guard {name!r}; did you mean {snake(name)!r}?")
    return unknown("guard", name, names)
