"""What a policy does, in words, and what somebody may not expect of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from .._costs import Budget
from ..combining import Then
from ..guard import Guard
from ..handlers import Reask, Replace
from ..verdict import Action
from . import Policy
from .building import Entry, Made
from .catalogue import package_of
from .files import KeyPath, Source, Wrong

__all__ = ["told", "warnings"]

_TITLES = {
    "input": "goes to the model",
    "user": "the user's own words",
    "tool": "tool results",
    "retrieved": "documents and pages",
    "output": "comes from the model",
}


def told(policy: Policy, entries: tuple[Entry, ...]) -> Iterator[str]:
    """What a policy does, line by line."""
    yield ""
    yield f"a blocked text    {_block(policy.on_block)}"
    broken = "blocks" if policy.on_error == "block" else "goes on, and is logged"
    yield f"a guard breaks    {broken}"
    budget = policy.budget
    if isinstance(budget, Budget):
        yield f"time budget       {budget.seconds:g} s, then {budget.then}"
    if policy.restore:
        yield "redacted values   are put back into the text of the answer"
    if policy.dry_run:
        yield "dry run           nothing is changed"
    for section, title in _TITLES.items():
        rows = [entry for entry in entries if entry.section == section]
        if not rows:
            continue
        yield ""
        yield f"[{section}] {title}"
        width = max(len(str(entry.path[-1])) for entry in rows)
        for entry in rows:
            yield f"  {entry.path[-1]!s:<{width}}  {_entry(entry)}"


def _block(handler: Any) -> str:
    match handler:
        case None:
            return "raises Blocked"
        case Replace():
            return "another text in its place"
        case Reask(times, then):
            often = "once" if times == 1 else f"{times} times"
            return f"asks the model again, {often}; then {_block(then)}"
    return "is handled by a function"


def _entry(entry: Entry) -> str:
    guard = entry.guard
    if guard is None:
        return "switched off"
    first = guard.first if isinstance(guard, Then) else guard
    words = [first.action.name.lower()]
    words += [f"{name}: {act.name.lower()}" for name, act in _actions(first)]
    said = [", ".join(words), *_strictness(first)]
    if isinstance(guard, Then):
        # Without a band, a model's guard settles nothing by itself.
        banded = getattr(guard.first, "band", True) is not None
        when = "where it is unsure" if banded else "whatever it finds (it has no band)"
        said.append(f"{when}, {guard.second.name} decides")
    if entry.section == "input" and "tool" not in entry.roles:
        said.append("not for tool results")
    if entry.section == "input" and "retrieved" not in entry.roles:
        said.append("not for documents")
    if entry.section == "input" and "user" not in entry.roles:
        said.append("not for the user's words")
    if entry.section == "output":
        reach = guard.reach
        if reach is not None:
            said.append(f"streams are held back by {reach} characters")
        elif guard.window is not None:
            said.append("streams are held back to the ends of sentences")
        else:
            said.append("streams are held to their end")
    package = package_of(entry.kind)
    if package is not None:
        said.append(f"from {package}")
    return "; ".join(said)


def _strictness(guard: Guard) -> Iterator[str]:
    threshold, rate = getattr(guard, "threshold", None), getattr(guard, "fpr", None)
    if threshold is not None:
        yield f"from {threshold:g} on"
    elif rate is not None:
        yield f"at a false-positive rate of {rate:g}"


def _actions(guard: Guard) -> tuple[tuple[str, Action], ...]:
    given = guard.actions
    return given if isinstance(given, tuple) else tuple(given.items())


def warnings(source: Source, done: Made) -> list[Wrong]:
    """What a reader of the file may not expect."""
    assert done.policy is not None
    found: list[Wrong] = []
    for route, entries in done.entries.items():
        policy = done.policy.route(route) if route else done.policy
        path: KeyPath = ("routes", route) if route else ()
        found += _about(policy, entries, path)
    found += _variables(source.data, ())
    # What holds for the whole file is not told again for its routes.
    seen = {wrong.said for wrong in found if wrong.path[:1] != ("routes",)}
    once = {(wrong.path, wrong.said): wrong for wrong in found}.values()
    return [w for w in once if w.path[:1] != ("routes",) or w.said not in seen]


def _about(
    policy: Policy, entries: tuple[Entry, ...], path: KeyPath
) -> Iterator[Wrong]:
    if policy.dry_run:
        yield Wrong("nothing is blocked or redacted", (*path, "dry_run"))
    if policy.on_error == "allow":
        yield Wrong("a guard that breaks lets the text go on", (*path, "on_error"))
    if isinstance(policy.budget, Budget) and policy.budget.then != "block":
        where = (*path, "budget", "then")
        yield Wrong("a guard that is late lets the text go on", where)
    if isinstance(policy.on_block, Reask):
        where = (*path, "on_block", "reask")
        yield Wrong("functions that stream cannot follow this policy", where)
    running = [entry for entry in entries if entry.guard is not None and entry.roles]
    for role, title in (
        ("user", "the user's own words are"),
        ("tool", "tool results are"),
        ("retrieved", "documents and pages are"),
    ):
        inside = (e for e in running if e.section != "output")
        if not any(role in entry.roles for entry in inside):
            yield Wrong(f"{title} not checked", path)
    if not any(entry.section == "output" for entry in running):
        yield Wrong("what the model answers is not checked", path)
    for entry in entries:
        if entry.guard is None:
            yield Wrong("is switched off", (*entry.path, "enabled"))
        elif not entry.roles:
            said = "never runs: narrower sections have a guard of this name each"
            yield Wrong(said, entry.path)
        elif max((entry.guard.action, *dict(_actions(entry.guard)).values())) is (
            Action.ALLOW
        ):
            yield Wrong("changes nothing: its action is allow", entry.path)


def _variables(data: Any, path: KeyPath) -> Iterator[Wrong]:
    """Environment variables that are named and not set here."""
    if isinstance(data, dict):
        for key, value in data.items():
            way = (*path, key)
            if isinstance(value, str) and str(key).endswith("_env"):
                if not os.environ.get(value):
                    yield Wrong(f"{value} is not set here; at a start it must be", way)
            else:
                yield from _variables(value, way)
