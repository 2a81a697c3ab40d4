"""Judge: an LLM that grades a text by rubrics."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Iterator, MutableMapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from ..errors import ConfigError, JudgeError, unknown
from ..guard import Guard, Inspection
from ..judging.asking import Judged, asker
from ..judging.endpoint import Endpoint, Structured, check, several
from ..judging.privacy import Numbered, default, without
from ..judging.prompt import Case
from ..judging.rubrics import check_share, rubrics
from ..queries import Ask
from ..text import Text
from ..verdict import Finding

__all__ = ["Judge"]

_CONTEXT = frozenset({"retrieved", "tool", "function"})
_LONGEST = 50_000


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Judge(Guard):
    """An LLM that grades a text by rubrics; a low mark is a finding over all of it.

    The text is sent as data, between delimiters that are random each time, and only a
    reply of exactly the form that was asked for counts. Anything else raises a
    JudgeError, which blocks unless ``on_error="allow"`` says otherwise.

    Args:
        rubrics: Names of ready rubrics, sentences that say what a good text does, or
            Rubric objects; one or several. All are answered by one call.
        llm: A client of the OpenAI shape, sync or async, or a function, sync or async,
            of the list of messages that gives the reply as a string or a chat
            completion. None asks ``base_url``.
        model: The model to ask. With a function it only names it, for a cache.
        base_url: The address of an OpenAI-compatible endpoint; None is the one that
            ``OPENAI_BASE_URL`` names, or OpenAI's.
        key_env: The environment variable that holds the key. It is read when asking. A
            variable that is named here has to be there; OPENAI_API_KEY, which is the
            default, may be missing where an address is given.
        threshold: Risk from which a text is found, 0 to 1. Grades 1 to 5 are 0, 0.25,
            0.5, 0.75 and 1 (of a quality 1 to 0); log-probabilities give what lies
            between.
        topics: What ``off_topic`` allows.
        context: What ``groundedness`` and ``faithfulness`` hold the text against;
            without it the retrieved and tool texts of the history.
        reference: An answer that is known to be right, which the text is held against
            by every rubric that it touches, ``correctness`` above all.
        other: Another answer to the same question, for ``preference``.
        redact: What is taken out before the text leaves: True is ``PII() | Secrets()``,
            False nothing, a guard what it finds.
        structured: ``prefer`` asks by a JSON Schema, and where the endpoint refuses it
            in JSON mode, then by words alone. ``require`` asks by schema only, ``off``
            by words only. A reply is checked alike in all three.
        timeout: Seconds for one answer, waits and retries included.
        retries: How often to ask again after HTTP 408, 409, 429 or 5xx or a broken
            connection; not after a reply that does not count.
        concurrency: Calls at one time, of all judges with this endpoint: on threads,
            and on each event loop.
        prices: Price of a million tokens read and of a million written, for
            ``verdict.usage``.
        cache: Where answers are kept, by keyed hash: None, ``"memory"`` (the last 1,024
            of this process), or a mapping of strings to strings.
        cache_key: At least 16 secret bytes, for a mapping that others share or that
            outlives the process. Not in the repr.
        longest: Characters of text, question and context together that may be sent;
            more is an error, never cut.

    Raises:
        ConfigError: An argument is of the wrong type or out of range.
    """

    rubrics: Any
    _: KW_ONLY
    llm: Any = field(default=None, repr=False)
    model: str | None = None
    base_url: str | None = field(default=None, repr=False)
    key_env: str = "OPENAI_API_KEY"
    threshold: float = 0.5
    topics: tuple[str, ...] = ()
    context: str | tuple[str, ...] = field(default=(), repr=False)
    reference: str | None = field(default=None, repr=False)
    other: str | None = field(default=None, repr=False)
    redact: Guard | bool = True
    structured: Structured = "prefer"
    timeout: float = 5.0
    retries: int = 2
    concurrency: int = 8
    prices: tuple[float, float] | None = None
    cache: MutableMapping[str, str] | Literal["memory"] | None = field(
        default=None, repr=False, compare=False
    )
    cache_key: bytes | None = field(default=None, repr=False)
    longest: int = _LONGEST

    def __post_init__(self) -> None:
        # First, because its labels are theirs.
        object.__setattr__(self, "rubrics", rubrics(self.rubrics))
        super().__post_init__()
        check(self.llm, self.model, self.base_url)
        check_share("threshold", self.threshold)
        object.__setattr__(self, "topics", several("topics", self.topics))
        if not self.topics and any("topics" in r.needs for r in self.rubrics):
            raise ConfigError('off_topic needs the allowed topics: topics=("...",)')
        context = (self.context,) if isinstance(self.context, str) else self.context
        object.__setattr__(self, "context", several("context", context))
        for name in ("reference", "other"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise ConfigError(f"{name} must be a text, or left out")
        redact: object = self.redact
        key_env: object = self.key_env
        if not isinstance(redact, bool | Guard):
            raise ConfigError("redact must be True, False or a guard")
        known = ("prefer", "require", "off")
        if self.structured not in known:
            raise unknown("structured", self.structured, known)
        # The value is not repeated: it may be the key itself.
        if not (isinstance(key_env, str) and _VARIABLE.fullmatch(key_env)):
            raise ConfigError("key_env must be the name of an environment variable")
        if not _is_number(self.timeout) or self.timeout <= 0:
            raise ConfigError("timeout must be a number of seconds")
        for name, least in (("retries", 0), ("concurrency", 1), ("longest", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(f"{name} must be a whole number, {least} or more")
        if self.prices is not None:
            object.__setattr__(self, "prices", _pair(self.prices))
        self._check_cache()

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(rubric.label for rubric in self.rubrics)

    def inspect(self, text: Text) -> Inspection:
        """Take out what must not leave, and ask about every reading."""
        numbered = Numbered()
        said = yield from self._private(text, numbered)
        asked = [reading.text for reading in said.readings]
        if not any(one.strip() for one in asked) and self._risks_only:
            return
        question, context = yield from self._company(text, numbered)
        beside: list[str | None] = []
        for one in (self.reference, self.other):
            kept = one and (yield from self._bare(one, "assistant", numbered))
            beside.append(kept or None)
        company = [question or "", *context, *(one or "" for one in beside)]
        length = sum(map(len, [*asked, *company]))
        if length > self.longest:
            raise JudgeError(
                self.name,
                "context",
                f"there are {length} characters to send and longest is {self.longest}; "
                "put a MaxLength before the judge, or raise longest",
            )
        ask = asker(self._endpoint, self.rubrics, self.topics)
        names = ", ".join(rubric.name for rubric in self.rubrics)
        answers = yield tuple(
            Ask(ask, names, Case(one, text.role, question, context, *beside).written())
            for one in asked
        )
        yield from self._findings(answers, len(text.original))

    @property
    def _risks_only(self) -> bool:
        return all(rubric.kind == "risk" for rubric in self.rubrics)

    @property
    def _endpoint(self) -> Endpoint:
        names = Endpoint.__dataclass_fields__
        return Endpoint(**{name: getattr(self, name) for name in names})

    def _company(
        self, text: Text, numbered: Numbered
    ) -> Generator[Any, Any, tuple[str | None, tuple[str, ...]]]:
        """What the text is graded against, as far as a rubric needs it."""
        needs = {need for rubric in self.rubrics for need in rubric.needs}
        question, context = None, []
        if "question" in needs:
            asked = [said for role, said in text.history if role == "user"]
            if asked:
                question = yield from self._bare(asked[-1], "user", numbered)
        if "context" in needs:
            found = [said for role, said in text.history if role in _CONTEXT]
            for one in self.context or found:
                bare = yield from self._bare(one, "retrieved", numbered)
                context.append(bare)
        return question, tuple(context)

    def _bare(
        self, said: str, role: str, numbered: Numbered
    ) -> Generator[Any, Any, str]:
        private = yield from self._private(Text(said, role), numbered)
        return private.clean.text

    def _private(self, text: Text, numbered: Numbered) -> Generator[Any, Any, Text]:
        """The text without what must not leave."""
        guard = self.redact
        if guard is False:
            return text
        found: list[Finding] = []
        for part in (default() if guard is True else guard).parts:
            steps = part.inspect(text)
            answer: Any = None
            while True:
                try:
                    item = steps.send(answer)
                except StopIteration:
                    break
                if isinstance(item, Finding):
                    found.append(item)
                    answer = None
                else:
                    answer = yield item
        return Text(without(text.original, found, numbered), text.role)

    def _findings(self, answers: tuple[Judged, ...], length: int) -> Iterator[Finding]:
        worst: dict[str, float] = {}
        for answer in answers:
            if not isinstance(answer, Judged):
                raise JudgeError(self.name, "reply", "the answer is of no judge")
            if answer.fault is not None:
                raise JudgeError(self.name, answer.fault.kind, answer.fault.reason)
            for name, risk in answer.scores:
                worst[name] = max(risk, worst.get(name, 0.0))
        for rubric in self.rubrics:
            if rubric.name not in worst:
                raise JudgeError(self.name, "reply", f"{rubric.name} was not graded")
            limit = self.threshold if rubric.threshold is None else rubric.threshold
            if worst[rubric.name] >= limit:
                yield Finding(rubric.label, worst[rubric.name], 0, length)

    def _check_cache(self) -> None:
        cache: object = self.cache
        known = cache is None or cache == "memory"
        if not known and not isinstance(cache, MutableMapping):
            raise ConfigError(
                'cache must be None, "memory" or a mapping of strings to strings'
            )
        if not known and self.model is None:
            raise ConfigError(
                "a cache of your own needs model=: it tells the answers of one model "
                "from those of another"
            )
        key: object = self.cache_key
        if key is not None and (not isinstance(key, bytes) or len(key) < 16):
            raise ConfigError("cache_key must be at least 16 bytes, such as 32 random")


def _is_number(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type] # a number


def _pair(prices: object) -> tuple[float, ...]:
    pair = tuple(prices) if isinstance(prices, tuple | list) else ()
    if len(pair) != 2 or not all(_is_number(p) and p >= 0 for p in pair):
        raise ConfigError(
            "prices must be two numbers: a million tokens read, a million written"
        )
    return pair
