"""Presidio's recognisers of forms, with the engine of its own that loads no model."""

from __future__ import annotations

from ..peer import Find, Peer


def _finder(entities: list[str] | None) -> Find:
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    # It would look for a newer list of top-level domains on the network, text by text.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=()).extract_str
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "no_op"}])
    nlp.load()
    engine = AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])

    def find(text: str) -> list[tuple[int, int, str]]:
        results = engine.analyze(text, language="en", entities=entities)
        return [(r.start, r.end, r.entity_type) for r in results]

    return find


def pii() -> Find:
    return _finder(None)


def pii_common() -> Find:
    five = "EMAIL_ADDRESS PHONE_NUMBER CREDIT_CARD IBAN_CODE IP_ADDRESS"
    return _finder(five.split())


PEER = Peer(
    requirements=("presidio-analyzer==2.2.366", "presidio-anonymizer==2.2.366"),
    imports="presidio_analyzer",
    tasks={"pii": pii, "pii_common": pii_common},
    note="AnalyzerEngine with NoOpNlpEngine: no names, no context words; finds only",
)
