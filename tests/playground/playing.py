"""Requests to a playground."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from promptguard.playground.server import Playground


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    playground: Playground,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    **headers: str,
) -> Answer:
    """One request; a body that is bytes goes out as it is."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if body is not None else {}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    address = playground.server_address
    connection = http.client.HTTPConnection(*address[:2], timeout=120)  # type: ignore[arg-type]
    try:
        connection.request(
            "GET" if body is None else "POST",
            f"/{playground.token if token is None else token}/{path}",
            None if body is None else data,
            sent,
        )
        got = connection.getresponse()
        named = {name.lower(): value for name, value in got.getheaders()}
        return Answer(got.status, named, got.read())
    finally:
        connection.close()
