"""Whom a judge asks: a client of the OpenAI shape, an address, or any function."""

from __future__ import annotations

import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from ..errors import ConfigError, MissingExtra
from ..shapes import get
from ..verdict import Usage
from .cache import Memory
from .faults import UNREADABLE, Fault
from .prompt import Prompt
from .reply import schema

if TYPE_CHECKING:
    import asyncio

__all__ = ["Answer", "Endpoint", "Manner", "State", "answer", "state"]

Structured = Literal["prefer", "require", "off"]
Kind = Literal["address", "client", "async client", "function", "async function"]

_KEY_ENV = "OPENAI_API_KEY"
# Nonce and braces, and what a grade takes; a reasoning model thinks before it writes.
_TOKENS, _PER_GRADE, _THINKING = 120, 24, 4096
# The grades are five of them; the rest may be white space and quotes.
_TOP_LOGPROBS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Whom to ask, and how long and how often. Equal ones share limits and caches.

    Args are those of ``Judge``.
    """

    llm: Any = field(default=None, repr=False)
    model: str | None = None
    base_url: str | None = field(default=None, repr=False)
    key_env: str = _KEY_ENV
    structured: Structured = "prefer"
    timeout: float = 5.0
    retries: int = 2
    concurrency: int = 8
    prices: tuple[float, float] | None = None
    cache: MutableMapping[str, str] | Literal["memory"] | None = field(
        default=None, repr=False, compare=False
    )
    cache_key: bytes | None = field(default=None, repr=False)

    @property
    def named(self) -> tuple[str, ...]:
        """What tells whom it asks from whom others ask, for the names in a cache."""
        address = self.base_url or str(getattr(self.llm, "base_url", ""))
        return self.kind, address, self.model or ""

    @property
    def kind(self) -> Kind:
        """What ``llm`` is, by its shape."""
        if self.llm is None:
            return "address"
        create = _create(self.llm)
        if create is None:
            return "async function" if _is_async(self.llm) else "function"
        # The methods of openai's async client are plain functions that return
        # coroutines; that it is one shows in how it is closed.
        if hasattr(self.llm, "__aenter__") or _is_async(create):
            return "async client"
        return "client"

    def request(self, prompt: Prompt, names: tuple[str, ...], manner: Manner) -> Any:
        """The arguments of ``chat.completions.create`` for a prompt."""
        return {
            "model": self.model,
            "messages": prompt.messages,
            **manner.options(names),
        }

    def usage(self, completion: Any) -> Usage:
        """What an answer took, as far as the endpoint says."""
        told = get(completion, "usage")
        took = []
        for name in ("prompt_tokens", "completion_tokens"):
            count = get(told, name) if told is not None else None
            took.append(count if type(count) is int and count >= 0 else 0)
        cost = None
        if self.prices is not None and told is not None:
            cost = sum(n * p for n, p in zip(took, self.prices, strict=True)) / 1e6
        return Usage(1, took[0], took[1], cost)


@dataclass(frozen=True, slots=True)
class Manner:
    """The options of a request, less those that the endpoint was found not to take."""

    form: Literal["json_schema", "json_object", "text"] = "json_schema"
    logprobs: bool = True
    temperature: bool = True
    limit: Literal["max_tokens", "max_completion_tokens", ""] = "max_tokens"

    def options(self, names: tuple[str, ...]) -> dict[str, Any]:
        """The arguments beside model and messages."""
        options: dict[str, Any] = {}
        if self.form == "json_schema":
            format = {"name": "grades", "strict": True, "schema": schema(names)}
            options["response_format"] = {"type": self.form, "json_schema": format}
        elif self.form == "json_object":
            options["response_format"] = {"type": self.form}
        if self.logprobs:
            options |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        if self.temperature:
            options["temperature"] = 0
        if self.limit:
            most = _TOKENS + _PER_GRADE * len(names)
            thinking = self.limit == "max_completion_tokens"
            options[self.limit] = most + _THINKING if thinking else most
        return options

    def without(self, option: str, structured: Structured) -> Manner | None:
        """The next thing to try when the endpoint does not take an option.

        Args:
            option: Its name, or "" where the endpoint does not say.
            structured: ``require`` keeps the schema.
        """
        if option in ("logprobs", "top_logprobs") and self.logprobs:
            return replace(self, logprobs=False)
        if option == "temperature" and self.temperature:
            return replace(self, temperature=False)
        if option == "max_tokens" and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if option == "max_completion_tokens" and self.limit == option:
            return replace(self, limit="")
        lesser: Manner | None = None
        if self.form == "json_schema":
            lesser = replace(self, form="json_object")
        elif self.form == "json_object":
            lesser = replace(self, form="text")
        if structured == "require":
            lesser = None
        if option in ("response_format", "json_schema"):
            return lesser
        if self.logprobs:
            return replace(self, logprobs=False)
        if self.temperature and self.limit == "max_tokens":
            return replace(self, temperature=False, limit="max_completion_tokens")
        return lesser


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        content: What the judge said.
        logprobs: Its log-probabilities, as the endpoint gives them, or None.
        usage: What it took.
        fault: Why the content does not count, or None.
    """

    content: str = field(default="", repr=False)
    logprobs: Any = field(default=None, repr=False)
    usage: Usage = field(default_factory=Usage)
    fault: Fault | None = None


def answer(completion: Any, endpoint: Endpoint) -> Answer:
    """Read a chat completion, or what a function returned."""
    if isinstance(completion, str) and endpoint.kind in ("function", "async function"):
        return Answer(completion, usage=Usage(1))
    usage = endpoint.usage(completion)
    choices = get(completion, "choices")
    if not isinstance(choices, list | tuple) or len(choices) != 1:
        return Answer(usage=usage, fault=UNREADABLE)
    choice = choices[0]
    message, finish = get(choice, "message"), get(choice, "finish_reason")
    content = get(message, "content")
    if get(message, "refusal") or finish == "content_filter":
        fault = Fault("refusal", "the judge refused to grade the text")
    elif finish == "length":
        fault = Fault("reply", "the judge's reply was cut off before its end")
    elif not isinstance(content, str) or get(message, "tool_calls"):
        fault = UNREADABLE
    else:
        return Answer(content, get(choice, "logprobs"), usage)
    return Answer(usage=usage, fault=fault)


class State:
    """What an endpoint was found to be, and what runs on it now."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.manner = Manner("text" if endpoint.structured == "off" else "json_schema")
        self.slots = threading.BoundedSemaphore(endpoint.concurrency)
        self.memory = Memory()
        self.prepared: set[tuple[str, ...]] = set()
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[Any, asyncio.Semaphore] = WeakKeyDictionary()
        self._client: Any = None

    def loop_slots(self) -> asyncio.Semaphore:
        """The slots of the running event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        with self._lock:
            slots = self._loops.get(loop)
            if slots is None:
                slots = asyncio.Semaphore(self._endpoint.concurrency)
                self._loops[loop] = slots
            return slots

    def call(
        self, prompt: Prompt, names: tuple[str, ...], manner: Manner, seconds: float
    ) -> Callable[[], Any]:
        """What to call for one request; it gives a completion or an awaitable."""
        endpoint = self._endpoint
        if endpoint.kind in ("function", "async function"):
            return partial(endpoint.llm, prompt.messages)
        client = endpoint.llm if endpoint.llm is not None else self._made()
        if hasattr(client, "with_options"):
            # We retry ourselves: within the time that is left, and no more than asked.
            client = client.with_options(max_retries=0, timeout=seconds)
        create = _create(client)
        assert create is not None
        return partial(create, **endpoint.request(prompt, names, manner))

    def prepare(self, names: tuple[str, ...]) -> None:
        """Load the libraries that asking for these grades takes.

        Raises:
            MissingExtra: openai is not installed, and an address is to be asked.
            ConfigError: The environment has no key for OpenAI's own address.
        """
        if names not in self.prepared:
            schema(names)
            if self._endpoint.kind == "address":
                self._made()
            self.prepared.add(names)

    def retire(self) -> None:
        """Close the connections once nobody can be using them any more."""
        if self._client is not None:
            from ..drivers import begin_on_own_loop

            begin_on_own_loop(_closed(self._client, self._endpoint.timeout + 1.0))

    def _made(self) -> Any:
        """The client for an address. It lives on the library's own event loop."""
        with self._lock:
            if self._client is None:
                self._client = _client(self._endpoint)
            return self._client


class _States:
    """The states of the last endpoints; anew after a fork, which threads and
    connections do not survive."""

    SIZE = 64

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._states: OrderedDict[Endpoint, State] = OrderedDict()

    def __call__(self, endpoint: Endpoint) -> State:
        if self._pid != os.getpid():
            self._lock, self._states = threading.Lock(), OrderedDict()
            self._pid = os.getpid()
        left: State | None = None
        with self._lock:
            found = self._states.get(endpoint)
            if found is None:
                found = self._states[endpoint] = State(endpoint)
                if len(self._states) > self.SIZE:
                    _, left = self._states.popitem(last=False)
            self._states.move_to_end(endpoint)
        if left is not None:
            left.retire()
        return found


state = _States()


def _client(endpoint: Endpoint) -> Any:
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise MissingExtra("openai", "openai") from error
    key = os.environ.get(endpoint.key_env)
    own = endpoint.base_url is not None or "OPENAI_BASE_URL" in os.environ
    if not key and not (own and endpoint.key_env == _KEY_ENV):
        raise ConfigError(
            f"the environment has no {endpoint.key_env}; set it to the endpoint's key, "
            "name another variable with key_env, or pass a client as llm"
        )
    # Servers of one's own take any key, but the client sends none without one.
    return AsyncOpenAI(api_key=key or "none", base_url=endpoint.base_url)


async def _closed(client: Any, seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)
    await client.close()


def _create(client: Any) -> Callable[..., Any] | None:
    completions = getattr(getattr(client, "chat", None), "completions", None)
    create = getattr(completions, "create", None)
    return create if callable(create) else None


def _is_async(function: Any) -> bool:
    while isinstance(function, partial):
        function = function.func
    called = getattr(function, "__call__", None)  # noqa: B004 - not asking if callable
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def check(llm: object, model: object, base_url: object) -> None:
    """See that an endpoint is named, and once only.

    Raises:
        ConfigError: It is not.
    """
    for name, value in (("model", model), ("base_url", base_url)):
        if value is not None and (not isinstance(value, str) or not value):
            raise ConfigError(f"{name} must be a string, or left out")
    if llm is None and model is None:
        raise ConfigError(
            "a judge needs somebody to ask: model= (with base_url= for an endpoint "
            "other than OpenAI's), or llm= with a client or a function of the messages"
        )
    if llm is None:
        return
    if base_url is not None:
        raise ConfigError("llm knows its own address: pass llm or base_url, not both")
    client = _create(llm) is not None
    if not client and not callable(llm):
        raise ConfigError(
            f"llm must be a client of the OpenAI shape or a function of the messages, "
            f"not {type(llm).__name__}"
        )
    if client and model is None:
        raise ConfigError("pass model= too: a client does not say which to ask")
    try:
        hash(llm)
    except TypeError:
        raise ConfigError("llm must be hashable: guards are values") from None


def several(what: str, given: object) -> tuple[str, ...]:
    """Strings, as a tuple.

    Raises:
        ConfigError: They are not.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError(f'{what} must be several: {what}=("one", "two")')
    if not all(isinstance(one, str) and one.strip() for one in given):
        raise ConfigError(f"{what} must be strings that are not empty")
    return tuple(given)
