"""Where requests go that may: an OpenAI-compatible endpoint, or a scripted model."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import httpx2 as httpx

from .bodies import dumped
from .errors import Refused
from .settings import Settings

__all__ = ["Answer", "Events", "HttpUpstream", "Upstream"]

# What the caller may see of the upstream's headers: how much is left, and when.
_PASSED = re.compile(
    r"retry-after|x-ratelimit-(?:limit|remaining|reset)"
    r"(?:-(?:(?:input|output|project)-)?(?:requests|tokens))?"
)
_AMOUNT = re.compile(r"\d[\d.:+TZmsh-]{0,31}")
# The codes and types of OpenAI's errors are made of these words; others may say
# anything.
_WORDS = frozenset(
    "above access array billing blocked body conflict content context deployment does "
    "duplicate empty error exceeded exist expected field file filter format found "
    "hard image insufficient integer internal invalid item key length limit long max "
    "message messages missing model not number object operation organization out "
    "overloaded parameter parse permission policy prompt quota range rate reached "
    "request requested required response schema server service size state stream "
    "string temperature timeout token tokens too tool type unavailable unknown "
    "unprocessable unsupported url user value violation".split()
)
# The fields of a request, as an error names the one that it is about.
_PARAMS = frozenset(
    "audio background content dimensions encoding_format frequency_penalty function "
    "function_call functions include input instructions json_schema logit_bias "
    "logprobs max_completion_tokens max_output_tokens max_tokens messages metadata "
    "modalities model n name parallel_tool_calls parameters prediction "
    "presence_penalty previous_response_id prompt reasoning reasoning_effort "
    "response_format role schema seed service_tier stop store stream stream_options "
    "suffix temperature text tool_call_id tool_calls tool_choice tools top_logprobs "
    "top_p truncation type user".split()
)
# What a provider says of a request that it refuses; everything else is its own trouble.
_CALLERS = frozenset({400, 404, 409, 413, 422})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Args:
        value: The JSON of it.
        raw: The bytes it was read from.
        headers: Those that the caller may see.
    """

    value: dict[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Events(Protocol):
    """The events of a stream: JSON, and the lines they were read from."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Those that the caller may see."""

    def __aiter__(self) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
        """Give each event with its bytes."""


class Upstream(Protocol):
    """Answers requests."""

    async def ask(self, method: str, path: str, body: Any, key: str | None) -> Answer:
        """A whole answer.

        Raises:
            Refused: There is none.
        """

    def stream(self, path: str, body: Any, key: str | None) -> Any:
        """A stream as an async context manager, that closes the connection.

        Raises:
            Refused: There is none.
        """

    async def close(self) -> None:
        """Give back what it holds."""


class HttpUpstream:
    """An endpoint that speaks the protocol of OpenAI.

    Args:
        settings: Its address, the key, and how long it may take.
    """

    def __init__(self, settings: Settings) -> None:
        timeout = httpx.Timeout(
            settings.upstream_seconds, connect=settings.connect_seconds
        )
        limits = httpx.Limits(
            max_connections=settings.max_requests, max_keepalive_connections=64
        )
        self._address = settings.upstream
        self._most = settings.max_answer
        self._depth = settings.max_depth
        # No redirects: the key and the texts go to the address that was given. No
        # proxies and no .netrc of the environment, for the same reason.
        self._client = httpx.AsyncClient(
            timeout=timeout, limits=limits, follow_redirects=False, trust_env=False
        )
        secret = settings.upstream_key
        self._key = None if secret is None else secret.get_secret_value()

    async def ask(self, method: str, path: str, body: Any, key: str | None) -> Answer:
        """A whole answer of the endpoint."""
        request = self._request(method, path, body, key)
        try:
            response = await self._client.send(request, stream=True)
            try:
                raw = await self._whole(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _trouble(error) from None
        if response.status_code != 200:
            raise _refusal(response.status_code, response.headers, raw)
        return Answer(_object(raw), raw, _passed(response.headers))

    @asynccontextmanager
    async def stream(
        self, path: str, body: Any, key: str | None
    ) -> AsyncIterator[Events]:
        """A stream of the endpoint."""
        request = self._request("POST", path, body, key)
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _trouble(error) from None
        try:
            if response.status_code != 200:
                try:
                    raw = await self._whole(response)
                except httpx.HTTPError:
                    raw = b""
                raise _refusal(response.status_code, response.headers, raw)
            kind = response.headers.get("content-type", "")
            if not kind.startswith("text/event-stream"):
                raise Refused(
                    502, "upstream_unreadable", "The upstream did not send a stream."
                )
            yield _HttpEvents(response, self._most)
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _request(self, method: str, path: str, body: Any, key: str | None) -> Any:
        # Of what the caller sent as headers nothing goes on.
        headers = {"accept-encoding": "identity", "user-agent": "promptguard"}
        key = self._key if self._key is not None else key
        if key:
            headers["authorization"] = f"Bearer {key}"
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = dumped(body)
        address = self._address + path.removeprefix("/v1")
        return self._client.build_request(
            method, address, headers=headers, content=content
        )

    async def _whole(self, response: Any) -> bytes:
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > self._most:
                raise Refused(
                    502,
                    "upstream_too_large",
                    "The answer of the upstream is too large.",
                )
        return bytes(data)


class _HttpEvents:
    def __init__(self, response: Any, most: int) -> None:
        self.headers = _passed(response.headers)
        self._response = response
        self._most = most

    async def __aiter__(self) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
        try:
            async for data, raw in _events(self._response.aiter_raw(), self._most):
                if data == "[DONE]":
                    return
                yield _object(data), raw
        except httpx.HTTPError as error:
            raise _trouble(error) from None


async def _events(
    chunks: AsyncIterator[bytes], most: int
) -> AsyncIterator[tuple[str, bytes]]:
    """The data of server-sent events, each with its bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    left = ""
    lines: list[str] = []
    async for chunk in chunks:
        left += decoder.decode(chunk)
        if len(left) + sum(map(len, lines)) > most:
            raise Refused(
                502, "upstream_too_large", "An event of the upstream is too large."
            )
        *whole, left = left.split("\n")
        for line in whole:
            line = line.removesuffix("\r")
            if line:
                lines.append(line)
                continue
            data = "\n".join(
                said.removeprefix("data:").removeprefix(" ")
                for said in lines
                if said.startswith("data:")
            )
            names = [said for said in lines if said.startswith("event:")]
            lines = []
            if data:
                head = f"{names[-1]}\n" if names else ""
                yield data, f"{head}data: {data}\n\n".encode()


def _object(raw: bytes | str) -> dict[str, Any]:
    """The JSON of an answer, in which no key stands twice."""
    try:
        value = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        value = None
    if type(value) is not dict:
        raise Refused(502, "upstream_unreadable", "The upstream did not send JSON.")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError
    return made


def _no_number(name: str) -> NoReturn:
    raise ValueError


def _trouble(error: Exception) -> Refused:
    """What a caller gets when the upstream does not answer."""
    if isinstance(error, httpx.TimeoutException):
        return Refused(504, "upstream_timeout", "The upstream took too long.")
    return Refused(502, "upstream_unreachable", "The upstream cannot be reached.")


def _refusal(status: int, headers: Any, raw: bytes) -> Refused:
    """What a caller gets when the upstream refuses.

    Its words stay here: they may repeat the prompt, or a part of the key.
    """
    said: dict[str, str] = {}
    try:
        error = json.loads(raw)["error"]
        said = {k: v for k, v in error.items() if isinstance(v, str) and _told(k, v)}
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        pass
    kind, param = said.get("type", ""), said.get("param")
    code = said.get("code") or kind or "upstream_error"
    wait = None
    if status in _CALLERS:
        message = f"The upstream refused the request ({code})."
    elif status == 429:
        message = "The upstream has too many requests."
        wait = _wait(headers.get("retry-after", ""))
    else:
        kind, param = "", None
        code, message = "upstream_error", "The upstream failed."
        if status in (401, 403):
            code = "upstream_key"
            message = "The upstream does not take the key of this service."
        elif status == 504:
            code, message = "upstream_timeout", "The upstream took too long."
    shown = status if status in (*_CALLERS, 429, 504) else 502
    return Refused(
        shown,
        code,
        message,
        kind=kind,
        param=param,
        retry_after=wait,
        upstream=status,
    )


def _wait(header: str) -> float | None:
    try:
        return min(3600.0, max(0.0, float(header)))
    except ValueError:
        return None


def _passed(headers: Any) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if _PASSED.fullmatch(name.lower()) and _AMOUNT.fullmatch(value)
    }


def _told(key: str, said: str) -> bool:
    """Whether a code, a type or a parameter of an error is one as they are known."""
    if len(said) > 64:
        return False
    if key == "param":
        steps = re.split(r"[.\[\]]+", said.rstrip("]"))
        return all(step.isdecimal() or step in _PARAMS for step in steps)
    return _WORDS.issuperset(said.split("_"))
