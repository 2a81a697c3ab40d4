"""Guards for applications that call LLMs, with everything they need in the wheel.

import promptguard as pg

@pg.guarded(input=pg.PromptInjection())
def ask(prompt: str) -> str: ...
"""

import typing as _typing

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
from .hooks import capture, on_verdict
from .operators import Hash, Mask, Remove
from .placeholders import Placeholders
from .queries import Ask, Classify
from .text import Text
from .verdict import Action, Finding, Verdict

if _typing.TYPE_CHECKING:
    from .guards.canary import Canary
    from .guards.classifier import HarmfulRequest, PromptInjection, Toxicity
    from .guards.code import Code
    from .guards.invisible import InvisibleText
    from .guards.json import Json
    from .guards.language import Language
    from .guards.pii import PII
    from .guards.refusal import Refusal
    from .guards.secrets import Secrets
    from .guards.text import Keywords, MaxLength, Regex
    from .guards.urls import Urls

__all__ = [  # noqa: RUF022  (as sorted() has it)
    "Action",
    "AnyOf",
    "Ask",
    "Blocked",
    "Canary",
    "Classify",
    "Code",
    "ConfigError",
    "Engine",
    "Finding",
    "Guard",
    "GuardError",
    "HarmfulRequest",
    "Hash",
    "InvisibleText",
    "Json",
    "Keywords",
    "Language",
    "Mask",
    "MaxLength",
    "MissingExtra",
    "ModelError",
    "PII",
    "Placeholders",
    "PromptGuardError",
    "PromptInjection",
    "Refusal",
    "Regex",
    "Remove",
    "Secrets",
    "Step",
    "Text",
    "Then",
    "Toxicity",
    "Urls",
    "Verdict",
    "capture",
    "guarded",
    "on_verdict",
]


# The guards are loaded by name, so that a program pays for those it uses.
_GUARDS = {
    "Canary": "canary",
    "Code": "code",
    "HarmfulRequest": "classifier",
    "InvisibleText": "invisible",
    "Json": "json",
    "Keywords": "text",
    "Language": "language",
    "MaxLength": "text",
    "PII": "pii",
    "PromptInjection": "classifier",
    "Refusal": "refusal",
    "Regex": "text",
    "Secrets": "secrets",
    "Toxicity": "classifier",
    "Urls": "urls",
}


def __getattr__(name: str) -> _typing.Any:
    if name in _GUARDS:
        from importlib import import_module

        value = getattr(import_module(f".guards.{_GUARDS[name]}", __name__), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("promptguard-llm")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
