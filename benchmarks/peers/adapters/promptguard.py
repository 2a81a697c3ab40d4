"""This library, from this repository."""

from __future__ import annotations

from ..peer import Find, Missing, Peer


def _finder(name: str, **arguments: object) -> Find:
    import promptguard as pg

    if name not in pg.__all__:
        raise Missing(f"{name} is not in this version")
    guard = getattr(pg, name)(**arguments)

    def find(text: str) -> list[tuple[int, int, str]]:
        return [(f.start, f.end, f.label) for f in guard.check(text).findings]

    return find


def pii() -> Find:
    return _finder("PII")


def pii_common() -> Find:
    five = "EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE IP_ADDRESS"
    return _finder("PII", entities=tuple(five.split()))


def secrets() -> Find:
    return _finder("Secrets")


def profanity() -> Find:
    return _finder("Profanity")


PEER = Peer(
    imports="promptguard",
    tasks={
        "pii": pii,
        "pii_common": pii_common,
        "secrets": secrets,
        "profanity": profanity,
    },
    note="check(text): it also redacts what it finds",
)
