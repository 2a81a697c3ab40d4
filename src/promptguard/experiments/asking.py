"""Asking a model: the requests of an experiment, and what came of them."""

from __future__ import annotations

import os
import time
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from .. import ConfigError, MissingExtra
from ..judging.faults import fault
from .journal import Journal, key_of
from .questions import Question
from .variants import Variant

__all__ = ["Answer", "Asker", "Target"]

_KEY_ENV = "OPENAI_API_KEY"
# What makes one request fail makes all of them fail.
_FOR_ALL = frozenset({"key", "model"})


@dataclass(frozen=True)
class Target:
    """The model that is asked, and how.

    Args:
        model: Its name.
        base_url: The address of an OpenAI-compatible endpoint; None is the one that
            ``OPENAI_BASE_URL`` names, or OpenAI's.
        key_env: The environment variable that holds the key. OPENAI_API_KEY, which is
            the default, may be missing where an address is given.
        temperature: Sent with each request; None sends none, for models that take none.
        seed: Sent with each request, more by one for each further sample; None sends
            none. An endpoint need not keep to it.
        max_tokens: Tokens that an answer may have; None leaves it to the endpoint.
        timeout: Seconds for one attempt.
        retries: How often to ask again after HTTP 408, 409, 429 or 5xx, a broken
            connection or a time-out.
        concurrency: Requests at one time.
    """

    model: str
    _: KW_ONLY
    base_url: str | None = None
    key_env: str = _KEY_ENV
    temperature: float | None = 0.0
    seed: int | None = None
    max_tokens: int | None = None
    timeout: float = 60.0
    retries: int = 3
    concurrency: int = 8

    def __post_init__(self) -> None:
        model: object = self.model
        if not isinstance(model, str) or not model:
            raise ConfigError("model must be the name of a model")
        for name, least in (("retries", 0), ("concurrency", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(f"{name} must be a whole number, {least} or more")
        if not self.timeout > 0:
            raise ConfigError("timeout must be a number of seconds")

    def client(self, *, asynchronous: bool = False) -> Any:
        """The client of the official SDK that asks it.

        Raises:
            MissingExtra: openai is not installed.
            ConfigError: The environment has no key, and the address is OpenAI's.
        """
        try:
            from openai import AsyncOpenAI, OpenAI
        except ImportError:
            raise MissingExtra("openai", "openai") from None
        key = os.environ.get(self.key_env)
        own = self.base_url is not None or "OPENAI_BASE_URL" in os.environ
        if not key and not (own and self.key_env == _KEY_ENV):
            raise ConfigError(
                f"the environment has no {self.key_env}; set it to the endpoint's key, "
                "or name another variable with key_env"
            )
        kind = AsyncOpenAI if asynchronous else OpenAI
        return kind(
            api_key=key or "none",
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=self.retries,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model made of a question.

    Args:
        variant: The name of the variant that it was asked by.
        question: The id of the question.
        sample: Which of several answers to the same question, from 0.
        text: The answer, without the reasoning before it; empty where there is none.
        reply: All that the model wrote.
        refused: Whether the endpoint said that the model refused.
        cut: Whether it was cut off at ``max_tokens``.
        error: Why there is no answer, or "": ``timeout``, ``rate``, ``server``,
            ``unreachable``, ``request``, ``context``, ``refusal``, ``empty`` ...
        seconds: From the request to the whole answer, attempts that failed included.
        tokens_in: Tokens of the prompt, as far as the endpoint says.
        tokens_out: Tokens of the reply.
        again: Whether it was there already, from an earlier run.
    """

    variant: str
    question: str
    sample: int = 0
    text: str = field(default="", repr=False)
    reply: str = field(default="", repr=False)
    refused: bool = False
    cut: bool = False
    error: str = ""
    seconds: float = 0.0
    tokens_in: int | None = None
    tokens_out: int | None = None
    again: bool = False


class Asker:
    """Asks a model, and asks nothing twice.

    Args:
        target: The model.
        journal: What was answered before, and where new answers go.
    """

    def __init__(self, target: Target, journal: Journal) -> None:
        self._target = target
        self._journal = journal
        self._client = target.client()

    def __call__(self, variant: Variant, asked: Question, sample: int) -> Answer:
        """The answer to a question, asked by a variant.

        Raises:
            ConfigError: The endpoint refuses the key or does not know the model.
        """
        request = self._request(variant, asked, sample)
        key = key_of(self._target.base_url, request, sample)
        row = self._journal.get(key)
        again = row is not None
        if row is None:
            row = {
                "key": key,
                "variant": variant.name,
                "question": asked.id,
                "sample": sample,
                **self._answered(request),
            }
            self._journal.put(row)
        reply = row["reply"]
        return Answer(
            variant.name,
            asked.id,
            sample,
            variant.answer(reply),
            reply,
            row["refused"],
            row["finish"] == "length",
            row["error"],
            row["seconds"],
            row["tokens_in"],
            row["tokens_out"],
            again,
        )

    def close(self) -> None:
        """Close the connections; what is being asked fails."""
        self._client.close()

    def _request(
        self, variant: Variant, asked: Question, sample: int
    ) -> dict[str, Any]:
        target, temperature = self._target, self._target.temperature
        if variant.temperature is not None:
            temperature = variant.temperature
        messages = variant.messages(asked)
        request: dict[str, Any] = {"model": target.model, "messages": messages}
        if temperature is not None:
            request["temperature"] = temperature
        if target.seed is not None:
            request["seed"] = target.seed + sample
        if target.max_tokens is not None:
            request["max_tokens"] = target.max_tokens
        return request

    def _answered(self, request: dict[str, Any]) -> dict[str, Any]:
        begun, completion, wrong = time.monotonic(), None, None
        try:
            completion = self._client.chat.completions.create(**request)
        except Exception as raised:
            wrong = fault(raised)
        if wrong is not None and wrong.kind in _FOR_ALL:
            # Not chained: the message of a client's error may repeat the prompt.
            raise ConfigError(f"asking {self._target.model}: {wrong.reason}")
        row = _read(completion) | {"seconds": round(time.monotonic() - begun, 4)}
        return row if wrong is None else row | {"error": wrong.kind}


def _read(completion: Any) -> dict[str, Any]:
    """What a completion says; that it is of the SDK's type is not relied on."""
    choices = getattr(completion, "choices", None) or [None]
    message = getattr(choices[0], "message", None)
    content, refusal = (getattr(message, name, None) for name in ("content", "refusal"))
    said = [one for one in (content, refusal) if isinstance(one, str) and one.strip()]
    usage = getattr(completion, "usage", None)
    counts = [
        count if type(count) is int and count >= 0 else None
        for count in (
            getattr(usage, name, None)
            for name in ("prompt_tokens", "completion_tokens")
        )
    ]
    finish = getattr(choices[0], "finish_reason", None) or ""
    filtered = finish == "content_filter"
    return {
        "reply": said[0] if said else "",
        "refused": bool(refusal) or filtered,
        "finish": finish,
        "error": "" if said else "refusal" if filtered else "empty",
        "tokens_in": counts[0],
        "tokens_out": counts[1],
    }
