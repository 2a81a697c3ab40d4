"""All that looks for values, as far as it is asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..._signs import Signs, kinds
from . import births, machines, mail, phones, wallets
from .candidates import Candidate
from .chains import Group, chains
from .numbers import Numbers
from .tables import rules

__all__ = ["Finders"]

_WORTH = re.compile(r"[\d@]")
_KINDS = kinds("0@")

Finder = Callable[[str, int], Iterator[Candidate]]
ChainFinder = Callable[[str, list[Group]], Iterator[Candidate]]
_BY_ENTITY: dict[str, Finder] = {
    births.ENTITY: births.births,
    machines.IP: machines.ip_addresses,
    machines.MAC: machines.mac_addresses,
}


@dataclass(eq=False, slots=True)
class Finders:
    """What looks for some entities.

    Args:
        entities: Their names.
        named: Those that were asked for by name.
        countries: Whose telephone numbers; empty for all.
    """

    entities: frozenset[str]
    named: frozenset[str]
    countries: frozenset[str]
    _in_chains: tuple[ChainFinder, ...] = field(init=False, repr=False)
    _others: tuple[Finder, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        in_chains: list[ChainFinder] = []
        chosen = tuple(rule for rule in rules() if rule.entity in self.entities)
        if chosen:
            in_chains.append(Numbers(chosen, self.named).find)
        if phones.ENTITY in self.entities:
            named = phones.ENTITY in self.named
            in_chains.append(phones.Phones(self.countries, named).find)
        if wallets.ENTITY in self.entities:
            in_chains.append(wallets.wallets)
        self._in_chains = tuple(in_chains)
        self._others = tuple(
            find for entity, find in _BY_ENTITY.items() if entity in self.entities
        )

    @staticmethod
    def worth(text: str, signs: Signs | None = None) -> bool:
        """False where nothing can be found, which takes next to no time to see.

        Args:
            text: A reading.
            signs: What it has besides small letters, where that is known.
        """
        if signs is None:
            return _WORTH.search(text) is not None or mail.may_be_spoken(text)
        if not signs.kinds.isdisjoint(_KINDS):
            return True
        return mail.may_be_spoken(text, not signs.kinds.isdisjoint(mail.BRACKETS))

    def find(self, text: str, at: int) -> Iterator[Candidate]:
        """Everything that may be a value, from a position on."""
        if self._in_chains:
            for groups in chains(text, at):
                for find_in in self._in_chains:
                    yield from find_in(text, groups)
        for find in self._others:
            yield from find(text, at)
        if "@" in text:
            if mail.ENTITY in self.entities:
                yield from mail.addresses(text, at)
                if not text.isascii() and (latin := mail.in_latin(text)) != text:
                    yield from mail.addresses(latin, at)
            if mail.URL_ENTITY in self.entities:
                yield from mail.credentials(text, at)
        if mail.ENTITY in self.entities and mail.may_be_spoken(text):
            yield from mail.spoken(text, at)
