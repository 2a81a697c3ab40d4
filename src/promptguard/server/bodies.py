"""Bodies: read within limits, parsed once, and written again from what was parsed."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from typing import Any, NoReturn

from .errors import Refused

__all__ = ["LARGE", "aparsed", "dumped", "parsed", "read"]

LARGE = 2**16
"""From so many bytes on a body takes too long for an event loop."""

# Nobody says more with one request; each value costs time, however small it is.
MOST_VALUES = 50_000

_SURROGATE = re.compile("[\ud800-\udfff]")


async def read(
    chunks: AsyncIterator[bytes], headers: dict[str, str], most: int, seconds: float
) -> bytes:
    """The bytes of a request's body.

    Args:
        chunks: The body as it comes.
        headers: The headers by their names in small letters.
        most: Bytes that it may have.
        seconds: How long it may take to come.

    Raises:
        Refused: It is too large, too slow, or not JSON by its headers.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, "not_json", "The body must be application/json.")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        # Nothing that is small on the wire and large in memory.
        raise Refused(415, "compressed", "The body must not be compressed.")
    too_large = Refused(413, "too_large", f"The body has more than {most} bytes.")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise Refused(408, "too_slow", "The body took too long to come.") from None
    return bytes(body)


def parsed(data: bytes, depth: int) -> dict[str, Any]:
    """The object that a body is.

    Raises:
        Refused: It is not JSON as everybody reads it: a key twice, a number that is
            none, half a character, nesting without end.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise Refused(400, "not_utf8", "The body is not UTF-8.") from None
    except RecursionError:
        raise _too_deep(depth) from None
    except ValueError:
        # The error would quote the body.
        raise Refused(400, "not_json", "The body is not JSON.") from None
    if type(value) is not dict:
        raise Refused(400, "not_an_object", "The body must be a JSON object.")
    _checked(value, depth)
    return value


async def aparsed(data: bytes, depth: int) -> dict[str, Any]:
    """The same without blocking the event loop."""
    if len(data) < LARGE:
        return parsed(data, depth)
    return await asyncio.to_thread(parsed, data, depth)


def dumped(value: Any) -> bytes:
    """A value as JSON, the shortest way."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        # Readers differ in which of two they take, so a guard might read another one.
        raise Refused(400, "duplicate_key", "An object of the body has a key twice.")
    return made


def _no_number(name: str) -> NoReturn:
    raise Refused(400, "not_json", "The body holds a number that JSON does not have.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Refused(400, "not_json", "The body holds a number that is too large.")
    return number


def _checked(value: Any, depth: int) -> None:
    level = [value]
    count = 0
    for _ in range(depth):
        count += len(level)
        if count > MOST_VALUES:
            message = f"The body has more than {MOST_VALUES} values."
            raise Refused(413, "too_many_values", message)
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if not item.isascii() and _SURROGATE.search(item):
                    raise Refused(
                        400, "not_unicode", "The body holds half a character."
                    )
            elif isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
        if not below:
            return
        level = below
    raise _too_deep(depth)


def _too_deep(depth: int) -> Refused:
    return Refused(400, "too_deep", f"The body is nested deeper than {depth} levels.")
