"""guardrails-ai: its engine around one validator, for it has none of its own."""

from __future__ import annotations

import re

from ..peer import Find, Peer
from ..texts import EXPRESSION


def regex() -> Find:
    from typing import Any

    import guardrails
    from guardrails.classes.validation.validation_result import FailResult, PassResult

    guardrails.settings.disable_tracing = True
    pattern = re.compile(EXPRESSION)

    @guardrails.register_validator(name="benchmarks/expression", data_type="string")
    class Expression(guardrails.Validator):
        def _validate(self, value: Any, metadata: dict[str, Any]) -> Any:
            if pattern.search(value):
                return FailResult(error_message="found")
            return PassResult()

    guard = guardrails.Guard().use(Expression(on_fail="noop"))

    def find(text: str) -> list[tuple[int, int, str]]:
        passed = guard.validate(text).validation_passed
        return [] if passed else [(0, len(text), "found")]

    return find


PEER = Peer(
    requirements=("guardrails-ai==0.11.0",),
    imports="guardrails",
    tasks={"regex": regex},
    note="Guard.validate with a validator of three lines: every other one is a package "
    "or a download of its own; tracing off",
)
