"""Guards for applications that call LLMs, with everything they need in the wheel.

import promptguard as pg

@pg.guarded(input=pg.PromptInjection())
def ask(prompt: str) -> str: ...
"""

from .engine import Engine, Step
from .errors import (
    Blocked,
    ConfigError,
    GuardError,
    MissingExtra,
    ModelError,
    PromptGuardError,
)
from .guard import AnyOf, Guard, Then
from .guarded import guarded
from .guards.classifier import PromptInjection
from .guards.invisible import InvisibleText
from .guards.text import Keywords, MaxLength, Regex
from .hooks import capture, on_verdict
from .placeholders import Placeholders
from .queries import Ask, Classify
from .text import Text
from .verdict import Action, Finding, Verdict

__all__ = [
    "Action",
    "AnyOf",
    "Ask",
    "Blocked",
    "Classify",
    "ConfigError",
    "Engine",
    "Finding",
    "Guard",
    "GuardError",
    "InvisibleText",
    "Keywords",
    "MaxLength",
    "MissingExtra",
    "ModelError",
    "Placeholders",
    "PromptGuardError",
    "PromptInjection",
    "Regex",
    "Step",
    "Text",
    "Then",
    "Verdict",
    "capture",
    "guarded",
    "on_verdict",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("promptguard-llm")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
