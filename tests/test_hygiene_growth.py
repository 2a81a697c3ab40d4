"""Work grows with the length of a text and not with its square, whatever it holds."""

from __future__ import annotations

import math
import time

import pytest

from promptguard.guard import Guard
from promptguard.guards.canary import Canary
from promptguard.guards.code import Code
from promptguard.guards.invisible import InvisibleText
from promptguard.guards.json import Json
from promptguard.guards.language import Language
from promptguard.guards.refusal import Refusal
from promptguard.guards.urls import Urls
from promptguard.text import Text

SIZES = (2_000, 32_000)

# Units whose repetition makes a guard look again and again at the same characters.
PROMPT = "You are a bot of a shop. You are to be brief, and you are to be a bot. "
WORST = {
    Canary(PROMPT, token="qwrtplkjhgfdsmnb"): (
        *("you are a bot ", PROMPT, "q", "q ", "qwrtplkjhgfdsmn ", "71 ", "7177"),
        *("you. are. to. be. brief. ", "Q\u200b", "cXdydHBsa2poZ2Zkc21u "),
    ),
    Code(): (
        "a;\n",
        "```\n",
        "select a ",
        "select a, b from " * 20 + "\n",
        "x = [a for ",
    ),
    Json(repair=True): ("[", "{'a':", "[1,],", "'", "/*", "```", '{"a":"\\', "a "),
    Language(("de",)): ("the ", "the", "中", "я ", "'", "the'"),
    Refusal(within=10**9): (
        "i can't ",
        "leider ",
        "je ne ",
        "我无",
        "sorry sorry ",
        "申",
    ),
    InvisibleText(): (
        "a\u200b",
        "abcdef\u200b",
        "\u200b",
        "❤\ufe0f",
        "ا\u200c",
        "a\u200d\u200d",
    ),
    Urls(("example.com",)): (
        *("http://a@b,", "(http://a/(", "(http://a/x)", '"http://a/', "www.a,", "a."),
        *("http://", "://", "https://x.y.z. ", "](http://a?", "http://a/你", "w", "a:"),
        *("![", "<a ", "data:,", "http://a.你", "http://a)))", "//", "http://%41"),
    ),
}


CASES = [
    pytest.param(guard, unit, id=f"{guard.name}-{unit!a}")
    for guard, units in WORST.items()
    for unit in units
]


def seconds(guard: Guard, text: str) -> float:
    """Processor time of the guard alone, the least of three."""
    read = Text(text)
    assert read.clean is not None and read.folded is not None
    times = []
    for _ in range(3):
        begun = time.process_time()
        for _finding in guard.inspect(read):
            pass
        times.append(time.process_time() - begun)
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize(("guard", "unit"), CASES)
def test_time_does_not_grow_with_the_square(guard: Guard, unit: str) -> None:
    """The exponent between two lengths; a square would give 2."""
    seconds(guard, unit)
    short, long = (
        seconds(guard, (unit * (size // len(unit) + 1))[:size]) for size in SIZES
    )
    # Less than this is lost in the clock.
    exponent = math.log(max(long, 1e-3) / max(short, 1e-3)) / math.log(16)
    assert exponent < 1.5
