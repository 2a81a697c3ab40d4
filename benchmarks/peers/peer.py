"""What an adapter says about a peer. It is read without the peer being installed."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from . import adapters

__all__ = ["OURS", "TASKS", "UNTIMED", "Find", "Missing", "Peer", "Span", "peers"]

# Start, end and label; a peer that says yes or no about a text gives all of it.
Span = tuple[int, int, str]
Find = Callable[[str], Sequence[Span]]

OURS = "promptguard"
TASKS = {
    "injection": "prompt injection, learned",
    "pii": "PII, all that is on by default",
    "pii_common": "mail, phone, card, IBAN, IP",
    "secrets": "secrets",
    "profanity": "profanity",
    "invisible": "invisible characters",
    "urls": "links to other hosts",
    "keywords": "three keywords",
    "regex": "a regular expression",
}
# Timed by tokens, or for the sake of what is found; random weights find nothing.
UNTIMED = ("tokens", "injection_user", "injection_tool")


class Missing(Exception):
    """The peer as it is installed does not do a task; the message goes into a table."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A library, how it is installed, and what it does of the tasks.

    Args:
        requirements: What pip installs, with versions; nothing for promptguard, which
            is installed from this repository.
        first: What has to be installed before, by itself: ``("torch==2.13.0",)``.
        imports: The module that a user imports.
        tasks: For each task a function that makes the finder: it may take as long as
            it likes; the finder is what is timed.
        prepare: A module that its environment runs once, with a folder to write to.
        note: What a reader has to know to judge the figures.
    """

    imports: str
    tasks: Mapping[str, Callable[[], Find]]
    requirements: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    prepare: str = ""
    note: str = ""
    name: str = field(default="", init=False)


def peers() -> dict[str, Peer]:
    """All adapters by name, promptguard first."""
    found: dict[str, Peer] = {}
    for module in pkgutil.iter_modules(adapters.__path__):
        peer = importlib.import_module(f"{adapters.__name__}.{module.name}").PEER
        name = module.name.replace("_", "-")
        object.__setattr__(peer, "name", name)
        found[name] = peer
    return {OURS: found.pop(OURS), **dict(sorted(found.items()))}
