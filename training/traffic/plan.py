"""What is sent: requests by number, the same for the same plan, with drift in a share.

A request depends on the seed and its number alone, so that a run that was stopped goes
on with the requests that it had not sent.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..compose import Phrases
from ..errors import PipelineError
from ..records import records
from ..rows import ATTACK_CATEGORIES, INJECTION, Source
from . import drift

__all__ = ["OWN", "Item", "Plan", "Pool", "items"]

_TRAINING = Path(__file__).parents[1]
OWN = tuple(_TRAINING / "data" / name for name in ("attacks", "benign", "everyday"))
"""The rows of our own, which are there without any data folder."""

PHRASES = _TRAINING / "phrases.toml"
_ROLES = frozenset({"user", "tool"})


@dataclass(frozen=True, slots=True)
class Item:
    """One request that is to be sent.

    Args:
        number: Its place in the plan.
        text: What is sent.
        role: Whose words it is.
        truth: What is true of it, by label.
        origin: The file that it comes from, or ``synthetic``.
        category: Of the row that it comes from.
        lang: Its language (ISO 639-1), where known.
        drift: The kind of drift that it has; empty for none.
    """

    number: int
    text: str = field(repr=False)
    role: str
    truth: dict[str, int]
    origin: str
    category: str
    lang: str
    drift: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which requests are sent.

    Args:
        requests: How many.
        seed: Seeds everything that is drawn.
        drift: ``vocabulary``, ``language``, ``obfuscation`` or ``family``; empty means
            none.
        share: Of the requests, how many have it.
        attacks: Share of attacks among the requests without drift, and among those
            whose drift is not a family of attacks.
        synthetic: Share of the requests that are made from our own wordings.
        base: Languages of the requests without drift; empty means all.
        language: The one that ``language`` brings.
        family: The category of attacks that ``family`` brings; requests without drift
            have none of it.
        longest: Characters; longer texts are not sent.
        roles: Whose words are sent: ``user``, and ``tool`` for what tools return.
    """

    requests: int = 500
    seed: int = 0
    drift: str = ""
    share: float = 0.5
    attacks: float = 0.1
    synthetic: float = 0.2
    base: tuple[str, ...] = ("en",)
    language: str = "de"
    family: str = "prompt_leak"
    longest: int = 2000
    roles: tuple[str, ...] = ("user",)

    def __post_init__(self) -> None:
        if self.requests < 1 or self.longest < 1:
            raise PipelineError("traffic: requests and longest must be at least 1")
        for name in ("share", "attacks", "synthetic"):
            if not 0 <= getattr(self, name) <= 1:
                raise PipelineError(f"traffic: {name} is a share from 0 to 1")
        if self.drift and self.drift not in drift.KINDS:
            raise PipelineError(
                f"traffic: no drift {self.drift!r}. Known: {', '.join(drift.KINDS)}"
            )
        if self.drift == "language" and (not self.base or self.language in self.base):
            raise PipelineError(
                f"traffic: {self.language!r} is among the languages without drift "
                f"({', '.join(self.base) or 'all'}); name another one with --language"
            )
        if self.drift == "family" and self.family not in ATTACK_CATEGORIES:
            raise PipelineError(
                f"traffic: no family {self.family!r} of attacks. Known: "
                f"{', '.join(sorted(ATTACK_CATEGORIES))}"
            )
        if not self.roles or not _ROLES.issuperset(self.roles):
            raise PipelineError("traffic: roles are user and tool")

    @property
    def stated(self) -> dict[str, Any]:
        """Whatever the requests depend on but their number, as JSON has it."""
        stated = {k: v for k, v in asdict(self).items() if k != "requests"}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in stated.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    text: str = field(repr=False)
    role: str
    truth: dict[str, int]
    origin: str
    category: str
    lang: str

    @property
    def attack(self) -> bool:
        return self.truth[INJECTION] == 1


class Pool:
    """Texts to draw requests from.

    Args:
        paths: Files of JSON lines, or folders of them. A line has ``text`` and
            ``label`` (1 for an attack), and may have ``category``, ``lang`` and
            ``role``. Test sets may be sent; what came of them must not be trained on,
            and ``python -m training labels merge`` sees to that.

    Raises:
        PipelineError: A file cannot be read, or a line is not as it has to be.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._rows = [row for path in paths for row in _read(path)]
        if not self._rows:
            raise PipelineError(
                f"traffic: no texts in {', '.join(map(str, paths)) or 'nothing'}"
            )

    @cached_property
    def digest(self) -> str:
        """A hash of the texts, with their labels: other texts are other requests."""
        whole = hashlib.sha256()
        for row in self._rows:
            line = f"{row.role} {row.truth[INJECTION]} {row.lang} {row.text}\n"
            whole.update(line.encode("utf-8", "surrogatepass"))
        return whole.hexdigest()[:16]

    def drawn(self, plan: Plan) -> _Drawn:
        """The texts that a plan draws from."""
        return _Drawn(self._rows, plan)


def items(plan: Plan, pool: Pool) -> Iterator[Item]:
    """The requests of a plan, in order."""
    drawn = pool.drawn(plan)
    for number in range(plan.requests):
        yield drawn.item(number)


class _Drawn:
    def __init__(self, rows: Sequence[_Row], plan: Plan) -> None:
        self._plan = plan
        self._groups: defaultdict[tuple[str, bool], list[_Row]] = defaultdict(list)
        for row in rows:
            if row.role not in plan.roles or len(row.text) > plan.longest:
                continue
            # One kind of drift at a time: a new family does not bring a language.
            if not plan.base or row.lang in plan.base:
                new = plan.drift == "family" and row.category == plan.family
                self._groups["family" if new else "", row.attack].append(row)
            elif plan.drift == "language" and row.lang == plan.language:
                self._groups["language", row.attack].append(row)
        self._check()

    def _check(self) -> None:
        plan = self._plan
        for attack, share in ((True, plan.attacks), (False, 1 - plan.attacks)):
            kind = "attacks" if attack else "benign texts"
            wanted = [("", "without drift")]
            if plan.drift == "language" and plan.share:
                wanted.append(("language", f"in {plan.language!r}"))
            for name, what in wanted:
                if share and not self._groups[name, attack]:
                    raise PipelineError(
                        f"traffic: there are no {kind} {what}; give other files with "
                        "--data, or other settings"
                    )
        if plan.drift == "family" and plan.share and not self._groups["family", True]:
            raise PipelineError(
                f"traffic: there are no attacks of the family {plan.family!r} of at "
                f"most {plan.longest:,} characters in these languages; name another "
                "one with --family"
            )

    @cached_property
    def _phrases(self) -> Phrases:
        return Phrases(PHRASES)

    def item(self, number: int) -> Item:
        plan, rng = self._plan, random.Random(f"{self._plan.seed}:request:{number}")
        kind = plan.drift if rng.random() < plan.share else ""
        attack = kind == "family" or rng.random() < plan.attacks
        # Of a new language and of a new family there are no wordings of our own.
        pool = kind if kind in ("language", "family") else ""
        made = rng.random() < plan.synthetic and not pool and "user" in plan.roles
        row = (
            self._made(rng, attack) if made else rng.choice(self._groups[pool, attack])
        )
        text = row.text
        if kind == "vocabulary":
            text = drift.vocabulary(text, rng)
        elif kind == "obfuscation":
            text = drift.obfuscation(text, rng)
        return Item(
            number, text, row.role, row.truth, row.origin, row.category, row.lang, kind
        )

    def _made(self, rng: random.Random, attack: bool) -> _Row:
        phrases = self._phrases
        text = phrases.override(rng) if attack else phrases.question(rng)
        category = "direct_injection" if attack else "benign_chat"
        return _Row(text, "user", {INJECTION: int(attack)}, "synthetic", category, "en")


def _read(path: Path) -> Iterator[_Row]:
    files = [path]
    if path.is_dir():
        files = sorted((*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")))
    for file in files:
        for place, record in records(file):
            yield _row(place, record, file.name.partition(".")[0])


def _row(place: str, record: dict[str, Any], origin: str) -> _Row:
    text, label = record.get("text"), record.get("label")
    if not isinstance(text, str) or not text.strip():
        raise PipelineError(f"{place}: 'text' has to be a text")
    if type(label) is not int or label not in (0, 1):
        raise PipelineError(f"{place}: 'label' has to be 0 or 1")
    category = str(record.get("category") or "")
    role = record.get("role") or Source().role_of(category)
    if role not in _ROLES:
        raise PipelineError(f"{place}: 'role' has to be user or tool")
    lang = str(record.get("lang") or "en")
    return _Row(text, role, {INJECTION: label}, origin, category, lang)
