"""Records and verdicts as guards and services make them."""

from __future__ import annotations

import time

from promptguard import PII, Keywords, Secrets, Verdict
from promptguard.records import Checked, Latency, Record, Said

CANARY = "canary7713"
TEXT = f"Mail {CANARY}@example.com about heliotrope {CANARY}, please."
GUARD = PII() | Secrets() | Keywords(("heliotrope",))


def record_of(text: str | Verdict, request: str = "req-1", **fields: object) -> Record:
    """The record of a request with this one text in it, as a service makes it."""
    verdict = GUARD.check(text) if isinstance(text, str) else text
    made = {
        "id": request,
        "time": time.time(),
        "endpoint": "/v1/chat/completions",
        "model": "gpt-4o-mini",
        "outcome": "blocked" if verdict.blocked else "allowed",
        "status": 403 if verdict.blocked else 200,
        "error": "content_filter" if verdict.blocked else "",
        "checks": (Checked.of(verdict, "input", "user"),),
        "latency": Latency(0.25, 0.01, 0.2, 0.0),
        "upstream_status": 200,
        "tokens_in": 1000,
        "tokens_out": 500,
        "texts": (Said("input", "user", verdict.original, verdict.text),),
    }
    return Record(**made | fields)
