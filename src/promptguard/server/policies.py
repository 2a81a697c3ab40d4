"""The policy of a service: read when it starts, and when it is reloaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import (
    AnyOf,
    Classifier,
    ConfigError,
    Guard,
    HarmfulRequest,
    Judge,
    Only,
    Policy,
    PromptInjection,
    Then,
    Toxicity,
)
from ..text import ROLES
from .settings import Settings

__all__ = ["BUILT_IN", "DRY_RUN", "load", "settled", "told"]

BUILT_IN = "built in"
"""What the policy is called that is used where there is no file."""

DRY_RUN = "dry run: nothing is blocked or redacted"
"""What whoever runs the service must not find out by themselves."""

_BUILT_IN = Path(__file__).parent.parent / "data" / "policy.toml"

# To say what a model has to do is what a system message is for.
_LEARNED = (PromptInjection, HarmfulRequest, Toxicity, Classifier, Judge)


def settled(settings: Settings) -> Settings:
    """The settings with the file that is the policy for the life of a service.

    What is found by name is looked for once: with another file in its place, or the
    policy that is built in, a service would guard less than it did and not say so.
    """
    if settings.policy is not None:
        return settings
    try:
        found = Policy.find()
    except ConfigError:
        found = _BUILT_IN
    return settings.model_copy(update={"policy": found})


def load(settings: Settings) -> Policy:
    """The policy that the settings name, for texts of anybody.

    Raises:
        ConfigError: There is something wrong with it; all of it is told, with lines.
    """
    file = settled(settings).policy
    policy = Policy.load(file)
    if file == _BUILT_IN:
        policy = replace(policy, source=BUILT_IN)
    if settings.route is not None:
        policy = policy.route(settings.route)
    if policy.input is None or not settings.trust:
        return policy
    others = tuple(role for role in ROLES if role not in settings.trust)
    parts = tuple(
        part.only(*others) if _learned(part) else part for part in policy.input.parts
    )
    return replace(policy, input=parts[0] if len(parts) == 1 else AnyOf(parts))


def _learned(guard: Guard) -> bool:
    if isinstance(guard, Only):
        return _learned(guard.guard)
    if isinstance(guard, Then):
        return any(map(_learned, (*guard.first.parts, *guard.second.parts)))
    return isinstance(guard, _LEARNED)


def told(policy: Policy) -> dict[str, Any]:
    """What a policy does, without what a caller could make use of.

    No words, patterns or thresholds: whoever knows them writes around them.
    """
    return {
        "input": _guards(policy.input),
        "output": _guards(policy.output, ("assistant",)),
        "on_error": policy.on_error,
        "restore": policy.restore,
        "dry_run": policy.dry_run,
    }


def _guards(
    guard: Guard | None, known: tuple[str, ...] = ROLES
) -> list[dict[str, Any]]:
    rows = []
    for part in () if guard is None else guard.parts:
        roles = known
        while isinstance(part, Only):
            roles = tuple(role for role in roles if role in part.roles)
            part = part.guard
        kind, action = part, part.action
        while isinstance(kind, Then):
            kind = kind.first
            action = kind.action
        rows.append(
            {
                "name": part.name,
                "kind": type(kind).__name__,
                "action": action.name.lower(),
                "roles": list(roles),
            }
        )
    return rows
