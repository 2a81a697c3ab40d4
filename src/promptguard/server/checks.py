"""The guards themselves over HTTP: check, redact, restore."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .. import Action, ConfigError, Guard, PromptGuardError, Verdict
from ..adapters.served import check_texts
from .conversations import Conversations
from .errors import Refused
from .limits import Places, Retries
from .reloading import Held
from .settings import Settings
from .visit import Visit

__all__ = [
    "CheckAnswer",
    "CheckRequest",
    "Checks",
    "RedactAnswer",
    "RedactRequest",
    "RestoreAnswer",
    "RestoreRequest",
]

Role = Literal[
    "system", "developer", "user", "assistant", "tool", "function", "retrieved"
]
Direction = Literal["input", "output"]
Model = TypeVar("Model", bound=BaseModel)

# As pydantic calls a field that a model does not have.
_UNKNOWN = "extra_forbidden"
_NAME = re.compile(r"[A-Za-z_]{1,40}")


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True
    )


class Item(_Strict):
    """A text and whose it is."""

    text: str = Field(repr=False)
    role: Role = "user"


class _Texts(_Strict):
    text: str | None = Field(None, repr=False, description="One text.")
    texts: list[str | Item] | None = Field(
        None, repr=False, description="Several texts, in place of one."
    )
    role: Role | None = Field(
        None, description="Whose the texts are: user, or of an output assistant."
    )
    direction: Direction = Field(
        "input", description="Whether the texts go to a model or come from one."
    )

    @model_validator(mode="after")
    def _either(self) -> _Texts:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give text or texts")
        return self

    @property
    def items(self) -> list[tuple[str, str]]:
        """Each text with its role."""
        role = self.role or ("user" if self.direction == "input" else "assistant")
        given = [self.text] if self.texts is None else self.texts
        return [
            (item.text, item.role) if isinstance(item, Item) else (item or "", role)
            for item in given
        ]


class CheckRequest(_Texts):
    """Texts to look at."""


class RedactRequest(_Texts):
    """Texts out of which values are to be taken."""

    conversation: str | None = Field(
        None, description="The conversation they belong to; without it a new one."
    )


class RestoreRequest(_Strict):
    """Texts into which the values of a conversation are to be put back."""

    conversation: str = Field(description="As redact has given it.")
    text: str | None = Field(None, repr=False)
    texts: list[str] | None = Field(None, repr=False)

    @model_validator(mode="after")
    def _either(self) -> RestoreRequest:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give text or texts")
        return self


class FindingAnswer(BaseModel):
    """One thing that a guard saw."""

    guard: str
    label: str
    score: float = Field(description="Calibrated probability, 0 to 1.")
    start: int = Field(description="First character, counted in code points.")
    end: int = Field(description="One past the last character.")
    action: Literal["allow", "flag", "redact", "block"]


class VerdictAnswer(BaseModel):
    """What came of checking one text."""

    action: Literal["allow", "flag", "redact", "block"]
    blocked: bool
    flagged: bool
    coverage: float = Field(description="Share of the text that could be looked at.")
    degraded: bool = Field(description="A guard failed, and the text may go on.")
    dry_run: bool
    findings: list[FindingAnswer]
    timings: dict[str, float] = Field(description="Seconds in each guard.")
    text: str | None = Field(
        None, description="The text to go on with, where something was redacted."
    )


class CheckAnswer(BaseModel):
    """A verdict for each text, in their order."""

    object: Literal["check"] = "check"
    action: Literal["allow", "flag", "redact", "block"]
    verdicts: list[VerdictAnswer]


class RedactAnswer(BaseModel):
    """The texts without the values; one that is blocked is null."""

    object: Literal["redaction"] = "redaction"
    conversation: str
    texts: list[str | None]
    verdicts: list[VerdictAnswer]


class RestoreAnswer(BaseModel):
    """The texts with the values."""

    object: Literal["restoration"] = "restoration"
    conversation: str
    texts: list[str]


class Checks:
    """Answers the requests of the guard API.

    Args:
        settings: Of the service.
        held: Whose guards look.
        places: How many requests are checked at a time.
        retries: Who tries again what was blocked.
        conversations: What was taken out, by conversation.
    """

    def __init__(
        self,
        settings: Settings,
        held: Held,
        places: Places,
        retries: Retries,
        conversations: Conversations,
    ) -> None:
        self._settings = settings
        self._held = held
        self._places = places
        self._retries = retries
        self._conversations = conversations

    async def check(self, request: Request, body: dict[str, Any]) -> CheckAnswer:
        """A verdict for each text."""
        asked = valid(CheckRequest, body)
        verdicts = await self._verdicts(request.state.visit, asked)
        worst = max((v.action for v in verdicts), default=Action.ALLOW)
        return CheckAnswer(
            action=_name(worst), verdicts=[_told(verdict) for verdict in verdicts]
        )

    async def redact(self, request: Request, body: dict[str, Any]) -> RedactAnswer:
        """The texts without what must not go on, and the conversation that has it."""
        asked = valid(RedactRequest, body)
        visit: Visit = request.state.visit
        name = asked.conversation
        if name is None:
            name, talk = self._conversations.begin(visit.client)
        else:
            talk = self._conversations.get(visit.client, name)
        verdicts = await self._verdicts(visit, asked, talk)
        texts = [None if v.blocked and not v.dry_run else v.text for v in verdicts]
        told = [_told(verdict) for verdict in verdicts]
        return RedactAnswer(conversation=name, texts=texts, verdicts=told)

    async def restore(self, request: Request, body: dict[str, Any]) -> RestoreAnswer:
        """The texts with what was taken out."""
        asked = valid(RestoreRequest, body)
        visit: Visit = request.state.visit
        talk = self._conversations.get(visit.client, asked.conversation)
        texts = [asked.text or ""] if asked.texts is None else asked.texts
        self._limit([(text, "") for text in texts])
        return RestoreAnswer(
            conversation=asked.conversation, texts=[talk.restore(t) for t in texts]
        )

    def forget(self, request: Request, name: str) -> None:
        """Forget a conversation."""
        self._conversations.end(request.state.visit.client, name)

    async def _verdicts(
        self, visit: Visit, asked: _Texts, talk: Any = None
    ) -> tuple[Verdict, ...]:
        items = asked.items
        self._limit(items)
        policy, direction = self._held.policy, asked.direction
        guard: Guard | None = getattr(policy, direction)
        async with self._places.place():
            begun = time.perf_counter()
            try:
                verdicts = await check_texts(guard, items, policy, talk)
            except ConfigError as error:
                raise Refused(400, "unreadable", str(error)) from None
            except PromptGuardError:
                message = "A guard failed, and nothing was decided."
                raise Refused(500, "guard_failed", message) from None
            spent = time.perf_counter() - begun
        setattr(visit, direction, spent)
        visit.checked(verdicts, direction, [role for _, role in items])
        for verdict in verdicts:
            if verdict.blocked and direction == "input":
                alike = self._retries.blocked(visit.client, verdict.original)
                visit.retries = max(visit.retries, alike)
        return verdicts

    def _limit(self, items: list[tuple[str, str]]) -> None:
        settings = self._settings
        if len(items) > settings.max_texts:
            message = f"There are more than {settings.max_texts} texts."
            raise Refused(413, "too_many_texts", message)
        if sum(len(text) for text, _ in items) > settings.max_characters:
            message = f"The texts have more than {settings.max_characters} characters."
            raise Refused(413, "too_large", message)


def valid(model: type[Model], body: dict[str, Any]) -> Model:
    """The body as what it has to be.

    Raises:
        Refused: It is not; what is wrong is told without any of it.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        wrong = _wrong(error)
        where = ".".join(_steps(model, wrong))
        said = wrong["msg"].removeprefix("Value error, ")
        if wrong["type"] == _UNKNOWN:
            owner = Item if len(wrong["loc"]) > 1 else model
            said = f"there is no such field; known are {', '.join(owner.model_fields)}"
        message = f"{where}: {said}." if where else f"{said}."
        raise Refused(422, "invalid_request", message, param=where or None) from None


def _wrong(error: ValidationError) -> Any:
    """What to tell first; of an item the trouble in it, not that it is no string."""
    # Any: a dict with other keys for each type of trouble.
    all_ = error.errors(include_input=False, include_url=False)
    place = all_[0]["loc"][:2]
    return max(
        (wrong for wrong in all_ if wrong["loc"][:2] == place),
        key=lambda wrong: len(wrong["loc"]),
    )


def _steps(model: type[BaseModel], wrong: Any) -> Iterator[str]:
    """The way to it, in names of the API, and at the end perhaps the caller's."""
    *steps, last = wrong["loc"] or ("",)
    for step in steps:
        if isinstance(step, int) or step in model.model_fields:
            yield str(step)
    if wrong["type"] == _UNKNOWN:
        # What does not look like the name of a field may be a text.
        if _NAME.fullmatch(last):
            yield last
    elif isinstance(last, int) or last in {*model.model_fields, *Item.model_fields}:
        yield str(last)


def _told(verdict: Verdict) -> VerdictAnswer:
    return VerdictAnswer(
        action=_name(verdict.action),
        blocked=verdict.blocked,
        flagged=verdict.flagged,
        coverage=verdict.coverage,
        degraded=verdict.degraded,
        dry_run=verdict.dry_run,
        findings=[
            FindingAnswer(
                guard=finding.guard,
                label=finding.label,
                score=finding.score,
                start=finding.start,
                end=finding.end,
                action=_name(finding.action or Action.ALLOW),
            )
            for finding in verdict.findings
        ],
        timings=dict(verdict.timings),
        text=verdict.text if verdict.action is Action.REDACT else None,
    )


def _name(action: Action) -> Any:
    return action.name.lower()
