"""From a document to the guards it speaks of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._costs import Budget
from ..combining import AnyOf
from ..errors import ConfigError, PromptGuardError
from ..guard import Guard
from ..handlers import reask, replace
from ..operators import Hash, Mask, Remove
from ..text import ROLES
from ..verdict import Action
from . import Policy
from .catalogue import find
from .document import SECTIONS, Document, Part, checked, kind_of
from .files import KeyPath, Source, Wrong

__all__ = ["Entry", "Made", "made"]

# The roles of the sections that speak of some of the texts that go to the model.
_ROLES = {"user": ("user",), "tool": ("tool", "function"), "retrieved": ("retrieved",)}
# A path that begins with a dot is seen from the file and not from the process.
_PATHS = frozenset({"calibration", "model"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One guard of a policy.

    Args:
        section: Where it is written.
        path: The keys that lead to it.
        guard: The guard, or None where it is switched off.
        roles: The roles of the texts it looks at.
        kind: What a file calls such guards.
    """

    section: str
    path: KeyPath
    guard: Guard | None
    roles: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Made:
    """A file as a policy, and how it came to that.

    Args:
        policy: The policy, if nothing is wrong with the file.
        entries: Its guards, by the name of the route; "" is that of the file itself.
        wrongs: What is wrong with it.
    """

    policy: Policy | None
    entries: Mapping[str, tuple[Entry, ...]]
    wrongs: tuple[Wrong, ...] = ()


def made(source: Source, *, keys: bool = True) -> Made:
    """Make the policy of a file.

    Args:
        source: The file.
        keys: An environment variable that is named and not set is wrong, too.
    """
    document, wrongs = checked(source)
    if document is None:
        return Made(None, {}, tuple(wrongs))
    maker = _Maker(source, keys)
    routes = document.routes or {}
    policies, entries = {}, {}
    for name in ("", *routes):
        above = routes[name] if name else document
        path: KeyPath = ("routes", name) if name else ()
        entries[name] = maker.entries(document, above, path)
        policies[name] = maker.policy(document, above, path, entries[name], source)
    policy = policies.pop("")
    if maker.wrongs:
        return Made(None, entries, tuple(maker.wrongs))
    made_routes = tuple((name, made) for name, made in policies.items())
    return Made(Policy(**_fields(policy), routes=made_routes), entries)


def _fields(policy: Policy) -> dict[str, Any]:
    names = set(Policy.__dataclass_fields__) - {"routes"}
    return {name: getattr(policy, name) for name in names}


class _Maker:
    """Makes guards, and notes what cannot be made."""

    def __init__(self, source: Source, keys: bool) -> None:
        self._source = source
        self._keys = keys
        self._guards: dict[KeyPath, Guard | None] = {}
        self.wrongs: list[Wrong] = []

    def policy(
        self,
        document: Document,
        part: Part,
        path: KeyPath,
        entries: tuple[Entry, ...],
        source: Source,
    ) -> Policy:
        def said(name: str) -> Any:
            own = getattr(part, name)
            return getattr(document, name) if own is None else own

        on_block = said("on_block")
        handler: Any = None
        if on_block is not None and on_block.replace is not None:
            handler = replace(on_block.replace)
        budget = said("budget")
        output = _joined(entries, "output")
        if on_block is not None and on_block.reask is not None:
            handler = reask(on_block.reask, then=handler)
            if output is None:
                where = (*path, "on_block", "reask")
                said_so = "has no meaning without output guards"
                self.wrongs.append(Wrong(said_so, where))
        policy = Policy(
            input=_joined(entries, *(s for s in SECTIONS if s != "output")),
            output=output,
            on_block=handler,
            on_error=said("on_error") or "block",
            restore=bool(said("restore")),
            dry_run=bool(said("dry_run")),
            budget=None if budget is None else Budget(budget.seconds, budget.then),
            source=source.name,
        )
        if policy.input is None and policy.output is None and not self.wrongs:
            self.wrongs.append(
                Wrong("checks nothing: name a guard, as in [input.pii]", path)
            )
        if policy.restore and policy.input is None:
            self.wrongs.append(
                Wrong("has no meaning without input guards", (*path, "restore"))
            )
        return policy

    def entries(
        self, document: Document, part: Part, path: KeyPath
    ) -> tuple[Entry, ...]:
        """The guards of a part: its own, and those above that it does not replace."""
        found: dict[str, dict[str, tuple[KeyPath, dict[str, Any]]]] = {}
        for section in SECTIONS:
            found[section] = {}
            for layer, way in ((document, ()), (part, path)):
                for name, entry in (getattr(layer, section) or {}).items():
                    found[section][name] = (*way, section, name), entry
        return tuple(self._placed(found))

    def _placed(
        self, found: dict[str, dict[str, tuple[KeyPath, dict[str, Any]]]]
    ) -> Iterator[Entry]:
        for section, entries in found.items():
            for name, (path, entry) in entries.items():
                roles = _ROLES.get(section, ROLES)
                if section == "input":
                    taken = [r for s, r in _ROLES.items() if name in found[s]]
                    roles = tuple(r for r in ROLES if not any(r in t for t in taken))
                elif section == "output":
                    roles = ("assistant",)
                kind = kind_of(entry, path)
                yield Entry(section, path, self._guard(entry, path), roles, kind)

    def _guard(self, entry: dict[str, Any], path: KeyPath) -> Guard | None:
        if path not in self._guards:
            guard = None
            if entry.get("enabled", True):
                guard = self._made(entry, path, str(path[-1]))
            self._guards[path] = guard
        return self._guards[path]

    def _made(self, entry: dict[str, Any], path: KeyPath, name: str) -> Guard | None:
        given = {
            key: value
            for key, value in entry.items()
            if key not in ("enabled", "guard", "then")
        }
        try:
            kind = find(kind_of(entry, path))
            options = {k: self._value(k, v, (*path, k)) for k, v in given.items()}
            if path[-1] != "then":
                options["name"] = name
            guard: Guard = kind(**options)
        except Wrong as wrong:
            self.wrongs.append(wrong)
            return None
        except PromptGuardError as error:
            said = str(error)
            named = next((k for k in given if said.startswith(f"{k} ")), None)
            self.wrongs.append(Wrong(said, path if named is None else (*path, named)))
            return None
        second = entry.get("then")
        if second is None:
            return guard
        after = self._made(second, (*path, "then"), name)
        return None if after is None else guard.then(after)

    def _value(self, key: str, value: Any, path: KeyPath) -> Any:
        """An option as the guard takes it."""
        if key == "action":
            return Action[value.upper()]
        if key == "actions":
            return {label: Action[action.upper()] for label, action in value.items()}
        if key == "operator":
            return self._operator(value, path)
        if key.endswith("_env"):
            self._variable(value, path)
        if key in _PATHS and isinstance(value, str) and value.startswith("."):
            return str(Path(self._source.folder, value))
        return _frozen(value)

    def _operator(self, value: Any, path: KeyPath) -> Any:
        if value == "mask":
            return Mask()
        if value == "remove":
            return Remove()
        if "mask" in value:
            return Mask(value["mask"])
        key = self._variable(value["hash_env"], (*path, "hash_env"))
        # Without the key there is nothing to hash with, and nothing is run, either.
        return Remove() if key is None else Hash(key.encode())

    def _variable(self, name: str, path: KeyPath) -> str | None:
        """The value of an environment variable."""
        value = os.environ.get(name)
        if not value and self._keys:
            raise Wrong(f"the environment variable {name} is not set", path)
        return value or None


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _joined(entries: tuple[Entry, ...], *sections: str) -> Guard | None:
    """The guards of some sections, side by side, each for its roles."""
    guards: list[Guard] = []
    for entry in entries:
        guard = entry.guard
        if entry.section in sections and guard is not None and entry.roles:
            limited = entry.section != "output" and entry.roles != tuple(ROLES)
            guards.append(guard.only(*entry.roles) if limited else guard)
    if len(guards) < 2:
        return guards[0] if guards else None
    return AnyOf(tuple(guards))


def refused(source: Source, wrongs: tuple[Wrong, ...]) -> ConfigError:
    """The error for a file with something wrong in it."""
    return ConfigError("\n".join(source.told(wrongs)))
