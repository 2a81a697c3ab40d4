"""Guards for applications that call LLMs, with everything they need in the wheel.

import promptguard as pg

@pg.guarded(input=pg.PromptInjection())
def ask(prompt: str) -> str: ...
"""

import typing as _typing

from ._costs import Budget
from .clients import guard_client
from .combining import AnyOf, Only, Then
from .engine import Engine, Step
from .errors import (
    Blocked,
    ConfigError,
    GuardError,
    JudgeError,
    MissingExtra,
    ModelError,
    PromptGuardError,
)
from .guard import Guard
from .guarded import guarded
from .hooks import capture, on_verdict
from .operators import Hash, Mask, Remove
from .placeholders import Placeholders
from .queries import Ask, Classify
from .text import Text
from .tools import guard_tool
from .verdict import Action, Finding, Usage, Verdict

if _typing.TYPE_CHECKING:
    from .conversation import Conversation
    from .guards.canary import Canary
    from .guards.classifier import Classifier, HarmfulRequest, PromptInjection, Toxicity
    from .guards.code import Code
    from .guards.disclosure import Disclosure
    from .guards.invisible import InvisibleText
    from .guards.json import Json
    from .guards.judge import Judge
    from .guards.language import Language
    from .guards.pii import PII
    from .guards.profanity import Profanity
    from .guards.refusal import Refusal
    from .guards.secrets import Secrets
    from .guards.text import Keywords, MaxLength, Regex
    from .guards.urls import Urls
    from .handlers import escalate, reask, replace
    from .judging.rubrics import Rubric
    from .measure.grades import evaluate
    from .policy import Policy

__all__ = [  # noqa: RUF022  (as sorted() has it)
    "Action",
    "AnyOf",
    "Ask",
    "Blocked",
    "Budget",
    "Canary",
    "Classifier",
    "Classify",
    "Code",
    "ConfigError",
    "Conversation",
    "Disclosure",
    "Engine",
    "Finding",
    "Guard",
    "GuardError",
    "HarmfulRequest",
    "Hash",
    "InvisibleText",
    "Json",
    "Judge",
    "JudgeError",
    "Keywords",
    "Language",
    "Mask",
    "MaxLength",
    "MissingExtra",
    "ModelError",
    "Only",
    "PII",
    "Placeholders",
    "Policy",
    "Profanity",
    "PromptGuardError",
    "PromptInjection",
    "Refusal",
    "Regex",
    "Remove",
    "Rubric",
    "Secrets",
    "Step",
    "Text",
    "Then",
    "Toxicity",
    "Urls",
    "Usage",
    "Verdict",
    "capture",
    "escalate",
    "evaluate",
    "guard_client",
    "guard_tool",
    "guarded",
    "on_verdict",
    "reask",
    "replace",
]


# The guards are loaded by name, so that a program pays for those it uses.
_GUARDS = {
    "Canary": "canary",
    "Classifier": "classifier",
    "Code": "code",
    "Disclosure": "disclosure",
    "HarmfulRequest": "classifier",
    "InvisibleText": "invisible",
    "Json": "json",
    "Judge": "judge",
    "Keywords": "text",
    "Language": "language",
    "MaxLength": "text",
    "PII": "pii",
    "Profanity": "profanity",
    "PromptInjection": "classifier",
    "Refusal": "refusal",
    "Regex": "text",
    "Secrets": "secrets",
    "Toxicity": "classifier",
    "Urls": "urls",
}
# These are loaded by name as well: a program that only checks texts needs none.
_LATER = {
    "Conversation": "conversation",
    "Policy": "policy",
    "Rubric": "judging.rubrics",
    "escalate": "handlers",
    "evaluate": "measure.grades",
    "reask": "handlers",
    "replace": "handlers",
}


def __getattr__(name: str) -> _typing.Any:
    module = f"guards.{_GUARDS[name]}" if name in _GUARDS else _LATER.get(name)
    if module is not None:
        from importlib import import_module

        value = getattr(import_module(f".{module}", __name__), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("promptguard-llm")
    else:
        import sys

        # With both, Python itself says which name was probably meant.
        module_here = sys.modules[__name__]
        said = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(said, name=name, obj=module_here)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
