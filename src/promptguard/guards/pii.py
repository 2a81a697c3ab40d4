"""PII: what points to a person, told by its form; names, told by a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..errors import ConfigError, unknown
from ..guard import Guard, Inspection
from ..queries import Name
from ..text import Reading, Text
from ..verdict import Action, Finding, Operator
from ._learned import check_model, check_rate
from ._pii.allowing import Allowed, allows, check_allowed
from ._pii.candidates import Candidate, best, veiled
from ._pii.finders import Finders
from ._pii.names import NAMES, check_names, named
from ._pii.readings import readings
from ._pii.tables import countries, country_of
from ._pii.tail import undecided

__all__ = ["PII"]

# The longest value is a mail address of 254 characters. A context word may stand 80
# characters before a value or 40 after it, and what is beside a value may decide.
REACH = 400

_SHORT = {"EMAIL": "EMAIL_ADDRESS", "IBAN": "IBAN_CODE", "PHONE": "PHONE_NUMBER"}
# Presidio finds these, and they have no form.
_FORMLESS = ("DATE_TIME", "NRP", "TITLE")
FPR = 0.05


@dataclass(frozen=True, kw_only=True)
class PII(Guard):
    """Personal data that can be told by its form: numbers, addresses, dates of birth.

    Check digits, issuers' prefixes, lengths and context words decide; nothing is
    learned and nothing is downloaded. What is found is redacted. Names have no form: a
    model tells those, where ``entities`` asks for them.

    Args:
        entities: What to look for, by name: ``("EMAIL_ADDRESS", "US_SSN")``. None
            means what belongs to no country. Of an entity that you name, a right check
            digit is enough; otherwise a weak one needs a context word near it.
            ``PERSON``, ``LOCATION`` and ``ORGANIZATION`` ask the model, in the same run
            as other guards that ask it; a stream is then held to its end.
        countries: Countries (ISO 3166-1, ``("DE", "FR")``) whose numbers are looked for
            too, and whose telephone numbers are. None means all, or with ``entities``
            none.
        allow: Values that are never reported: strings that are the whole value,
            compiled patterns that match all of it, and a ``Path`` to a file of both:
            one a line, patterns between slashes, comments behind a #. A file is read
            once, on first use.
        operator: What stands in place of a value: a function of its label and itself,
            such as ``Mask()``, ``Hash(key=...)`` or ``Remove()``. None means a
            placeholder, which can be restored.
        fpr: Share of short texts without a name of a kind in which one is found all the
            same: 0.001, 0.005, 0.01, 0.02 or 0.05.
        model: Folder of another bundle, or with ``revision`` its name on the Hub; None
            is the model that is shipped. Both are for names alone.
        revision: Commit, tag or branch to load from the Hub.

    Raises:
        ConfigError: An entity or a country is unknown, or a pattern can take
            exponential time; on first use, a file cannot be read, or a line is bad.
        ModelError: Names are asked for, and the model does not tell them: at once of
            the model that is shipped, of another one by ``warmup`` or on first use.
    """

    action: Action = Action.REDACT
    entities: tuple[str, ...] | None = None
    countries: tuple[str, ...] | None = None
    allow: tuple[Allowed, ...] = ()
    operator: Operator | None = None
    fpr: float = FPR
    model: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.actions, Mapping):
            full = {_SHORT.get(name, name): act for name, act in self.actions.items()}
            object.__setattr__(self, "actions", full)
        super().__post_init__()
        for field in ("entities", "countries", "allow"):
            object.__setattr__(self, field, _several(field, getattr(self, field)))
        if self.entities is not None:
            named = tuple(_SHORT.get(entity, entity) for entity in self.entities)
            for entity in named:
                _check_entity(entity)
            object.__setattr__(self, "entities", named)
        for country in self.countries or ():
            if country not in countries():
                raise unknown("country", country, countries())
        for place, value in enumerate(self.allow):
            check_allowed(place, value)
        operator: object = self.operator
        made = callable(operator) and not isinstance(operator, type)
        if operator is not None and not made:
            raise ConfigError(
                "operator must be a function of a label and a value, such as Mask()"
            )
        check_rate(self.fpr)
        check_model(self.model, self.revision)
        check_names(self.names, self.model)

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(country_of()).union(NAMES)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the entities that the model is asked for."""
        return tuple(entity for entity in self.entities or () if entity in NAMES)

    @property
    def reach(self) -> int | None:
        return None if self.names else REACH

    def undecided(self, text: str) -> int:
        return super().undecided(text) if self.names else undecided(text, REACH)

    @property
    def across(self) -> bool:
        return True

    def inspect(self, text: Text) -> Inspection:
        """Find values in every reading of the text, and names where asked for."""
        for reading in readings(text):
            for found in self._found(reading, text):
                start, end = reading.span(found.start, found.end)
                if start >= text.start:
                    yield Finding(
                        found.entity, found.score, start, end, operator=self.operator
                    )
        if self.names:
            yield from self._named(text)

    def _named(self, text: Text) -> Inspection:
        asked = self.names, self.fpr, self.model, self.revision
        for reading in text.readings:
            for name in (yield from named(reading, text, *asked)):
                start, end = reading.span(name.start, name.end)
                allowed = self.allow and self._allowed(name, reading, text)
                if end > text.start and not allowed:
                    yield Finding(
                        name.label, name.score, start, end, operator=self.operator
                    )

    def _found(self, reading: Reading, text: Text) -> Iterator[Candidate]:
        seen = reading.text
        names_alone = self.names and self.names == self.entities and not self.countries
        if names_alone or not Finders.worth(seen, reading.signs):
            return
        at = max(0, reading.position(text.start) - REACH)
        finders = _finders(self.entities, self.countries)
        for found in best(finders.find(veiled(seen), at)):
            if not self.allow or not self._allowed(found, reading, text):
                yield found

    def _allowed(self, found: Candidate | Name, reading: Reading, text: Text) -> bool:
        start, end = reading.span(found.start, found.end)
        values = reading.text[found.start : found.end], text.original[start:end]
        return any(allows(self.allow, value) for value in values)


@lru_cache(maxsize=64)
def _finders(
    entities: tuple[str, ...] | None, countries: tuple[str, ...] | None
) -> Finders:
    """What looks for the entities; kept, because making it takes a while."""
    known = country_of()
    chosen = {name for name, country in known.items() if not country}
    if entities is not None:
        chosen = set(entities).difference(NAMES)
    if countries is not None or entities is None:
        chosen |= {
            name
            for name, country in known.items()
            if country and (countries is None or country in countries)
        }
    return Finders(
        entities=frozenset(chosen),
        named=frozenset(entities or ()),
        countries=frozenset(countries or ()),
    )


def _several(field: str, given: object) -> tuple[object, ...] | None:
    if given is None and field != "allow":
        return None
    if not isinstance(given, tuple | list | set | frozenset):
        raise ConfigError(f'{field} must be several: {field}=("one", "two")')
    return tuple(given)


def _check_entity(entity: object) -> None:
    known = {*country_of(), *NAMES}
    if entity in _FORMLESS:
        raise ConfigError(
            f"{entity} cannot be told by its form, and the model does not tell it. "
            f"Known: {', '.join(sorted(known))}"
        )
    if entity not in known:
        raise unknown("entity", entity, known)
