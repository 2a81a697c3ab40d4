"""Which guard the command line checks with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .guard import Guard
    from .policy import Policy

__all__ = ["add_options", "guard_name", "guard_names", "guard_of", "policy_of"]

# Of these has to be said what they look for, or with which model.
_TOLD = frozenset("canary classifier judge keywords language max_length regex".split())


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that name whose texts they are, and the guards."""
    from .text import ROLES

    command.add_argument(
        "--role",
        default="user",
        choices=ROLES,
        metavar="ROLE",
        help=f"whose text it is: {', '.join(ROLES)} (default: user)",
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument(
        "--guard",
        action="append",
        type=guard_name,
        choices=guard_names(),
        metavar="NAME",
        help="check with this guard, as it comes; may be given several times",
    )
    what.add_argument(
        "--policy",
        metavar="FILE",
        help="check as a policy says: its input guards, or for the role assistant its "
        "output guards",
    )
    command.add_argument("--route", metavar="NAME", help="the policy's route to follow")
    strictness = command.add_mutually_exclusive_group()
    strictness.add_argument(
        "--fpr",
        type=float,
        metavar="RATE",
        help="share of benign texts that may be stopped: 0.001, 0.005, 0.01, 0.02 or "
        "0.05 (default: 0.01)",
    )
    strictness.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="stop a text from this probability on, 0 to 1",
    )
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder, or a model's name on the Hub (default: the shipped one)",
    )
    command.add_argument(
        "--revision",
        metavar="COMMIT",
        help="of a model on the Hub: the id of a commit, a tag or a branch",
    )
    command.add_argument(
        "--calibration",
        metavar="FILE",
        help="operating points of your own, as calibrate writes them",
    )


def guard_of(chosen: argparse.Namespace) -> Guard:
    """The guard that the options name."""
    from . import InvisibleText, PromptInjection
    from .combining import AnyOf

    if chosen.revision is not None and chosen.model is None:
        chosen.parser.error("--revision goes with --model, the name on the Hub")
    if chosen.route is not None and chosen.policy is None:
        chosen.parser.error("--route goes with --policy, the file that has it")
    given = {
        name: getattr(chosen, name)
        for name in ("fpr", "threshold", "model", "revision", "calibration")
        if getattr(chosen, name) is not None
    }
    named = chosen.guard is not None or chosen.policy is not None
    if named and given:
        chosen.parser.error(
            f"--{next(iter(given))} is for the guards that run without --guard and "
            "--policy; say it in a policy"
        )
    if chosen.policy is not None:
        return _of_policy(chosen)
    if chosen.guard is not None:
        return AnyOf(tuple(_named(name) for name in dict.fromkeys(chosen.guard)))
    return PromptInjection(**given) | InvisibleText()


def guard_names() -> list[str]:
    """The guards that need nothing said about them, as a policy names them."""
    return sorted(_kinds().keys() - _TOLD)


def _kinds() -> dict[str, str]:
    from . import _GUARDS
    from .guard import snake

    return {snake(name): name for name in _GUARDS}


def guard_name(given: str) -> str:
    """The name of a guard, as it was given.

    Raises:
        argparse.ArgumentTypeError: The guard would not know what to look for.
    """
    if given in _TOLD:
        raise argparse.ArgumentTypeError(
            f"{given} has to be told what to look for; do that in a policy and pass it "
            "with --policy"
        )
    return given


def _named(name: str) -> Guard:
    import promptguard

    guard: Guard = getattr(promptguard, _kinds()[name])()
    return guard


def policy_of(chosen: argparse.Namespace) -> Policy:
    """The policy that the options name, or its route."""
    from . import Policy

    policy = Policy.load(chosen.policy)
    return policy if chosen.route is None else policy.route(chosen.route)


def _of_policy(chosen: argparse.Namespace) -> Guard:
    from . import ConfigError

    policy = policy_of(chosen)
    side = "output" if chosen.role == "assistant" else "input"
    guard = policy.output if chosen.role == "assistant" else policy.input
    if guard is None:
        raise ConfigError(
            f"{chosen.policy} has no {side} guards, which texts of the role "
            f"{chosen.role} are checked with"
        )
    return guard
