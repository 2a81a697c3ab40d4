"""NeMo Guardrails: the rail that needs no model, through its flows."""

from __future__ import annotations

import json

from ..peer import Find, Peer
from ..texts import EXPRESSION


def regex() -> Find:
    from nemoguardrails import LLMRails, RailsConfig

    settings = {
        "models": [],
        "rails": {
            "config": {"regex_detection": {"input": {"patterns": [EXPRESSION]}}},
            "input": {"flows": ["regex check input"]},
        },
    }
    # JSON is YAML.
    rails = LLMRails(RailsConfig.from_content(yaml_content=json.dumps(settings)))

    def find(text: str) -> list[tuple[int, int, str]]:
        result = rails.check([{"role": "user", "content": text}])
        return [(0, len(text), "found")] if result.status == "blocked" else []

    return find


PEER = Peer(
    requirements=("nemoguardrails==0.24.1",),
    imports="nemoguardrails",
    tasks={"regex": regex},
    note="LLMRails.check with the regex rail of its library and no model",
)
