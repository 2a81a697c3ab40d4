"""openai-guardrails: those of its checks that ask no model."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ..peer import Find, Missing, Peer
from ..texts import HOSTS, WORDS


def _finder(check: Callable[[str], Coroutine[Any, Any, Any]]) -> Find:
    def find(text: str) -> list[tuple[int, int, str]]:
        # The checks are coroutines that wait for nothing: no loop is paid for.
        try:
            check(text).send(None)
        except StopIteration as done:
            found = done.value.tripwire_triggered
            return [(0, len(text), "found")] if found else []
        raise RuntimeError("the check waits for something")

    return find


def secrets() -> Find:
    from guardrails.checks.text.secret_keys import SecretKeysCfg, secret_keys

    config = SecretKeysCfg(threshold="balanced")
    return _finder(lambda text: secret_keys(None, text, config))


def keywords() -> Find:
    from guardrails.checks.text.keywords import KeywordCfg
    from guardrails.checks.text.keywords import keywords as check

    config = KeywordCfg(keywords=list(WORDS))
    return _finder(lambda text: check(None, text, config))


def urls() -> Find:
    from guardrails.checks.text.urls import URLConfig
    from guardrails.checks.text.urls import urls as check

    config = URLConfig(url_allow_list=list(HOSTS), allow_subdomains=True)
    return _finder(lambda text: check(None, text, config))


def pii_common() -> Find:
    from guardrails.checks.text.pii import PIIConfig, PIIEntity, pii

    names = "EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE IP_ADDRESS"
    entities = [PIIEntity[name] for name in names.split()]
    find = _finder(lambda text: pii(None, text, PIIConfig(entities=entities)))
    try:
        find("nobody")
    except RuntimeError:
        reason = "PII needs spaCy's en_core_web_sm, which is on no package index"
        raise Missing(reason) from None
    return find


PEER = Peer(
    requirements=("openai-guardrails==0.3.6",),
    imports="guardrails",
    tasks={
        "secrets": secrets,
        "keywords": keywords,
        "urls": urls,
        "pii_common": pii_common,
    },
    note="the checks as functions, without a client around them: yes or no",
)
