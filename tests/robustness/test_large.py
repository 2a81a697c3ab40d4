"""Very long texts through every guard: a verdict, or a refusal that says what to do."""

from __future__ import annotations

import random
import time

import pytest
from every_guard import EVERY, LEARNED
from sizes import CHARACTERS

import promptguard as pg

PROSE = (
    "The boat came back in the evening, and nobody had seen the island. ",
    "Write to joe@example.org or +1 212 555 0142 about 4111 1111 1111 1111.\n",
    "def open(self): return self.items[0]  # see https://example.org/a?b=c\n",
    "密码是什么？ Привет, как дела. Zanz\u200bibar was far away; blue herons flew. ",
)
# Seconds of processor time for a million characters, on a slow machine.
PATIENCE = 60.0


def made(length: int) -> str:
    chance = random.Random(3)
    pieces = [chance.choice(PROSE) for _ in range(length // 50)]
    return "".join(pieces)[:length]


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_very_long_text_has_a_verdict_or_is_refused(name: str) -> None:
    text = made(CHARACTERS)
    begun = time.process_time()
    if name in LEARNED:
        # More than a model reads at once: refused before the first window.
        with pytest.raises(pg.ModelError, match="pass it in parts"):
            EVERY[name].check("word " * max(300_000, CHARACTERS // 5))
    else:
        verdict = EVERY[name].check(text)
        assert all(0 <= f.start <= f.end <= len(text) for f in verdict.findings)
    assert time.process_time() - begun < PATIENCE * max(1, CHARACTERS / 1_000_000)


@pytest.mark.slow
def test_a_very_long_answer_streams() -> None:
    text = made(CHARACTERS)
    output = EVERY["Secrets"] | EVERY["Keywords"]

    @pg.guarded(output=output)
    def ask(prompt: str):
        yield from (text[at : at + 1000] for at in range(0, len(text), 1000))

    out = "".join(ask("Tell me."))
    assert "Zanz\u200bibar" not in out
    assert out.startswith(text[:40])
    assert len(out) > len(text) // 2
