"""alt-profanity-check: a linear model over bags of words (scikit-learn)."""

from __future__ import annotations

from ..peer import Find, Peer


def profanity() -> Find:
    from profanity_check import predict

    def find(text: str) -> list[tuple[int, int, str]]:
        return [(0, len(text), "profanity")] if predict([text])[0] else []

    return find


PEER = Peer(
    requirements=("alt-profanity-check==1.9.1",),
    imports="profanity_check",
    tasks={"profanity": profanity},
    note="predict: yes or no; a learned model, of which the word list is a by-product",
)
