"""Where the examples find a model; every one of them asks here.

With OPENAI_API_KEY it is the endpoint of OPENAI_BASE_URL, or OpenAI's own, and the
model of OPENAI_MODEL. Without a key it is a server on this machine that speaks the same
protocol and says what a script tells it to; the guards are the real ones either way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from openai import APIError

from promptguard.testing import ChatServer, Reply

Script = Callable[[dict[str, Any]], str | Reply]


@dataclass(frozen=True)
class Endpoint:
    """What a client is told: ``OpenAI(base_url=..., api_key=...)``."""

    base_url: str | None
    api_key: str = field(repr=False)
    model: str
    scripted: bool

    @property
    def told(self) -> str:
        """Who answers, in a line to print."""
        if self.scripted:
            return (
                "Talking to a scripted server on this machine; set OPENAI_API_KEY for "
                "a real model.\nThe guards are the real ones either way."
            )
        where = self.base_url or "the default address of openai"
        return f"Talking to {self.model} at {where}."

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of a client."""
        return {"base_url": self.base_url, "api_key": self.api_key}


@contextmanager
def endpoint(script: Script | str = "Hello.") -> Iterator[Endpoint]:
    """The endpoint to talk to, for ``with endpoint(script) as model:``.

    Args:
        script: What the server on this machine answers, if it is that one.
    """
    key = os.environ.get("OPENAI_API_KEY")
    model = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
    if key:
        try:
            yield Endpoint(os.environ.get("OPENAI_BASE_URL"), key, model, False)
        except APIError as error:
            status = getattr(error, "status_code", None)
            said = type(error).__name__ + (f", HTTP {status}" if status else "")
            sys.exit(
                f"The endpoint gave no answer ({said}); check OPENAI_API_KEY, "
                "OPENAI_BASE_URL and OPENAI_MODEL."
            )
        return
    with ChatServer(script, models=(model,)) as server:
        yield Endpoint(server.base_url, "none", model, True)
