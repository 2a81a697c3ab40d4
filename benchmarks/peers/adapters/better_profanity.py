"""better-profanity with its own word list."""

from __future__ import annotations

from ..peer import Find, Peer


def profanity() -> Find:
    from better_profanity import profanity as library

    library.load_censor_words()

    def find(text: str) -> list[tuple[int, int, str]]:
        found = library.contains_profanity(text)
        return [(0, len(text), "profanity")] if found else []

    return find


PEER = Peer(
    requirements=("better-profanity==0.7.0",),
    imports="better_profanity",
    tasks={"profanity": profanity},
    note="contains_profanity: yes or no",
)
