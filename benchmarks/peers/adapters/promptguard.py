"""This library, from this repository."""

from __future__ import annotations

from ..peer import Find, Missing, Peer
from ..texts import EXPRESSION, HOSTS, WORDS

FIVE = tuple("EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE IP_ADDRESS".split())


def _finder(
    name: str, *values: object, role: str = "user", **arguments: object
) -> Find:
    import promptguard as pg

    if name not in pg.__all__:
        raise Missing(f"{name} is not in this version")
    guard = getattr(pg, name)(*values, **arguments)

    def find(text: str) -> list[tuple[int, int, str]]:
        findings = guard.check(text, role=role).findings
        return [(f.start, f.end, f.label) for f in findings]

    return find


PEER = Peer(
    imports="promptguard",
    tasks={
        "pii": lambda: _finder("PII"),
        "pii_common": lambda: _finder("PII", entities=FIVE),
        "secrets": lambda: _finder("Secrets"),
        "profanity": lambda: _finder("Profanity"),
        "injection": lambda: _finder("PromptInjection"),
        "injection_user": lambda: _finder("PromptInjection"),
        "injection_tool": lambda: _finder("PromptInjection", role="tool"),
        "tokens": lambda: _finder("PromptInjection"),
        "regex": lambda: _finder("Regex", EXPRESSION),
        "keywords": lambda: _finder("Keywords", WORDS),
        "invisible": lambda: _finder("InvisibleText"),
        "urls": lambda: _finder("Urls", HOSTS),
    },
    note="check(text): the whole text; it also redacts what it finds",
)
