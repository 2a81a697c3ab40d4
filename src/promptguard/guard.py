"""Guard, the one type everything is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ._costs import Limit
from .engine import Engine
from .errors import ConfigError, unknown
from .queries import Query
from .text import Text
from .verdict import Action, Finding, Verdict

if TYPE_CHECKING:
    from .combining import AnyOf, Then

__all__ = ["Guard", "Inspection", "snake"]

Inspection = Generator[Finding | Query | tuple[Query, ...], Any, None]
"""What ``inspect`` returns. A finding is sent None, a query its answer, and a tuple
of queries the tuple of their answers."""

# Something of all kinds, so that tables are read and patterns are made.
WARM_UP = (
    "Warm-up: password = x1, <b>joe@example.org</b>, https://example.org/ 42, "
    "+1 212 555 0123, 1984-03-12, 4111 1111 1111 1111, DE89 3704 0044 0532 0130 00, "
    "123e4567-e89b-12d3-a456-426614174000, \u041f\u0440\u0438\u0432\u0435\u0442\u200b."
)

History = Sequence[tuple[str, str]]

_Drive = Callable[[Engine], tuple[Verdict, ...]]
_Emit = Callable[[tuple[Verdict, ...]], tuple[Verdict, ...]]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Looks for one kind of thing in a text. Write ``inspect``; the rest is here.

    Guards hold configuration and nothing else: they compare, hash and pickle by
    value, and one guard may be shared by any number of threads.

    Args:
        name: Tells two guards of a kind apart; by default the class in snake case.
        action: What a finding leads to unless it says otherwise.
        actions: The same for findings of some labels alone, as in
            ``PII(actions={"EMAIL_ADDRESS": Action.FLAG})``; kept as pairs.

    Raises:
        ConfigError: The name or an action is of the wrong type, or the guard has no
            such label.
    """

    name: str = ""
    action: Action = Action.BLOCK
    actions: Mapping[str, Action] | tuple[tuple[str, Action], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigError(f"name must be a string, not {type(self.name).__name__}")
        if not isinstance(self.action, Action):
            known = ", ".join(f"Action.{action.name}" for action in Action)
            raise ConfigError(f"action must be one of {known}")
        if not self.name:
            object.__setattr__(self, "name", snake(type(self).__name__))
        if self.actions != ():
            object.__setattr__(self, "actions", self._actions(self.actions))

    @property
    def known_labels(self) -> frozenset[str] | None:
        """What its findings can be called; None where that cannot be listed."""
        return None

    def action_of(self, label: str) -> Action:
        """What a finding of this label leads to unless it says otherwise."""
        return dict(self.actions).get(label, self.action)

    @property
    def reach(self) -> int | None:
        """Longest match in characters of the folded reading, lookaround included.

        A guard that has a reach asks no queries and reports only findings that
        begin at or after ``text.start``; in return a stream is held back no further
        than that. None means that the guard needs the whole text.
        """
        return None

    def undecided(self, text: str) -> int:
        """Where a finding may begin that more text could still make or change.

        A stream is let go up to here. By default everything within the reach of the
        end is undecided; a guard that can tell that nothing of the kind has begun, by
        the characters that are there, holds less.

        Args:
            text: A reading, as far as it is certain; what follows is not known.

        Returns:
            A position in it. Every finding that begins before it is there already, and
            stays as it is whatever may follow.
        """
        return max(0, len(text) - (self.reach or len(text)))

    @property
    def window(self) -> int | None:
        """Characters around a sentence that are enough to judge it in a stream.

        For a guard without a reach: instead of the whole text at its end it is shown
        the answer sentence by sentence, each after so many characters of what came
        before. None means that it needs the whole text.
        """
        return None

    @property
    def across(self) -> bool:
        """True when what it looks for may begin in one turn and end in the next.

        Then a Conversation has it look at the last turns together as well. By default
        guards with a reach do; one that judges a text as a whole does not.
        """
        return self.reach is not None

    @property
    def parts(self) -> tuple[Guard, ...]:
        """The guards that run side by side; a single guard is its own only part."""
        return (self,)

    @property
    def in_order(self) -> bool:
        """True when the parts begin in their order, whatever they cost."""
        return False

    def inspect(self, text: Text) -> Inspection:
        """Yield findings, and queries whose answers are sent back."""
        raise ConfigError(
            f"{type(self).__name__} has no inspect method; "
            "write one that yields Finding objects"
        )
        yield

    def settles(self, finding: Finding) -> bool:
        """True when a finding of this guard needs no second opinion (see Then)."""
        return False

    def check(
        self,
        text: str,
        role: str = "user",
        history: History = (),
        *,
        budget: Limit = None,
    ) -> Verdict:
        """Check one text.

        Args:
            text: Any string; it is never changed.
            role: ``user``, ``tool``, ``function``, ``retrieved``, ``assistant``,
                ``system`` or ``developer``.
            history: Earlier (role, text) pairs of the conversation.
            budget: Seconds after which a guard that still waits for a model or an LLM
                has failed; None sets no limit.

        Raises:
            ConfigError: The text is not a string, or the role is unknown.
            GuardError: A guard broke, or the budget ran out.
            ModelError: A model file is missing or altered.
        """
        drive, emit = _driving()
        texts = (Text(text, role, tuple(history)),)
        return emit(drive(Engine(self, texts, budget=budget)))[0]

    def check_batch(
        self,
        texts: Iterable[str],
        role: str = "user",
        history: History = (),
        *,
        budget: Limit = None,
    ) -> tuple[Verdict, ...]:
        """Check several texts; each verdict is what ``check`` would have given.

        Args:
            texts: The texts.
            role: Whose they are.
            history: Earlier (role, text) pairs of the conversation.
            budget: Seconds for all of them together; see ``check``.
        """
        drive, emit = _driving()
        return emit(drive(self._engine(texts, role, history, budget)))

    async def acheck(
        self,
        text: str,
        role: str = "user",
        history: History = (),
        *,
        budget: Limit = None,
    ) -> Verdict:
        """Check one text without blocking the event loop."""
        return (await self.acheck_batch((text,), role, history, budget=budget))[0]

    async def acheck_batch(
        self,
        texts: Iterable[str],
        role: str = "user",
        history: History = (),
        *,
        budget: Limit = None,
    ) -> tuple[Verdict, ...]:
        """Check several texts without blocking the event loop."""
        from .drivers import adrive
        from .hooks import emit

        return emit(await adrive(self._engine(texts, role, history, budget)))

    def warmup(self) -> None:
        """Load what the first check would load. LLMs are not called.

        Raises:
            ModelError: A model file is missing or altered.
            ConfigError: The model has no such label or rate.
        """
        from .drivers import warm

        warm(Engine(self, (Text(WARM_UP),)))

    def only(self, *roles: str) -> Guard:
        """The guard for texts of these roles alone: ``PII().only("tool")``."""
        from .combining import Only

        return Only(self, roles)

    def then(self, second: Guard) -> Then:
        """A guard that asks ``second`` only where this one is unsure."""
        from .combining import Then

        return Then(self, second)

    def __or__(self, other: Guard) -> AnyOf:
        if not isinstance(other, Guard):
            return NotImplemented
        from .combining import AnyOf

        return AnyOf(self.parts + other.parts)

    def _actions(self, given: object) -> tuple[tuple[str, Action], ...]:
        """Actions by label as pairs, so that the guard can be hashed."""
        pairs = tuple(given.items()) if isinstance(given, Mapping) else given
        if not isinstance(pairs, tuple) or not all(
            isinstance(pair, tuple)
            and len(pair) == 2
            and isinstance(pair[0], str)
            and isinstance(pair[1], Action)
            for pair in pairs
        ):
            raise ConfigError(
                'actions must be by label: actions={"EMAIL_ADDRESS": Action.FLAG}'
            )
        known = self.known_labels
        for name, _ in pairs:
            if known is not None and name not in known:
                raise unknown(f"label of {type(self).__name__}", name, known)
        return tuple(dict(pairs).items())

    def _engine(
        self,
        texts: Iterable[str],
        role: str,
        history: History,
        budget: Limit,
    ) -> Engine:
        given: object = texts
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError("texts must be several strings; for one use check()")
        past = tuple(history)
        return Engine(self, [Text(text, role, past) for text in texts], budget=budget)


@cache
def _driving() -> tuple[_Drive, _Emit]:
    # Loaded by the first check; a statement in each would look them up every time.
    from .drivers import drive
    from .hooks import emit

    return drive, emit


def snake(name: str) -> str:
    """The name of a class as guards are called: ``prompt_injection``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
