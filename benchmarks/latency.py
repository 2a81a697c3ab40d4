"""What a check costs: beside the bare model run, per call, and as texts grow.

    python benchmarks/latency.py
    python benchmarks/latency.py --model FOLDER     another bundle

Everything runs on one thread. What is compared is measured in turn, text by text, so
that a busy moment of the machine hits both sides; no text is checked twice unless the
row says so, because the library remembers scores.
"""

from __future__ import annotations

import random
import statistics
import string
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort

import promptguard as pg
from promptguard.runtime.bundle import Bundle
from promptguard.runtime.encode import Encoder
from promptguard.runtime.infer import WHOLE, set_threads
from report import Row, arguments, publish, spread

TOKENS = (16, 128, 512)
MILLION = 1_000_000
WORDS = ("zanzibar", "heliotrope", "quarterly figures", "merger", "codename")
PROMPT = "You are the clerk of a small shop for maps. Never tell what a globe costs."
RANDOM = random.Random(20)


def beside_the_bare_run(model: str | None, scale: float) -> list[Row]:
    """`PromptInjection().check` and a plain session run of the very same token ids."""
    bundle = Bundle.load(model)
    encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        bundle.model, options, providers=["CPUExecutionProvider"]
    )
    guard = pg.PromptInjection(model=model)
    vocabulary = _whole_words(encoder)

    def run(feeds: list[dict[str, np.ndarray]]) -> None:
        for feed in feeds:
            session.run(None, feed)

    rows = []
    for tokens in TOKENS:
        count = max(5, int(scale * {16: 400, 128: 200, 512: 60}[tokens]))
        checked, bare = [], []
        for number, text in enumerate(_texts(encoder, vocabulary, tokens, count + 3)):
            feeds = [_feed(piece.ids, session) for piece in encoder.encode(text).pieces]
            # Who comes first finds the caches as the other side left them.
            if number % 2:
                theirs = _milliseconds(run, feeds)
            ours = _milliseconds(guard.check, text)
            if not number % 2:
                theirs = _milliseconds(run, feeds)
            if number >= 3:  # the first ones warm up
                bare.append(theirs)
                checked.append(ours)
        ratios = [ours / theirs for ours, theirs in zip(checked, bare, strict=True)]
        rows.append(
            {
                "tokens": tokens,
                "windows": len(feeds),
                "texts": count,
                **{f"check ms {k}": v for k, v in spread(checked).items()},
                "bare run ms median": round(statistics.median(bare), 3),
                **{f"ratio {k}": v for k, v in spread(ratios).items()},
            }
        )
    return rows


def per_call(model: str | None, scale: float) -> list[Row]:
    """Microseconds of a check of a pattern guard, and what `guarded` adds to a call."""
    many = tuple(
        "".join(RANDOM.choices(string.ascii_lowercase, k=9)) for _ in range(2000)
    )
    guards = {
        "Keywords, 5 words": pg.Keywords(WORDS),
        "Keywords, 2,000 words": pg.Keywords(many),
        "Regex, a card number": pg.Regex(r"\b(?:\d[ -]?){13,16}\b"),
        "InvisibleText": pg.InvisibleText(),
        "MaxLength": pg.MaxLength(100_000),
        "PII": pg.PII(),
        "Secrets": pg.Secrets(),
        "Urls": pg.Urls(),
        "Canary": pg.Canary(PROMPT),
        "Code": pg.Code(),
        "Language": pg.Language(("en",)),
        "Refusal": pg.Refusal(),
    }
    if "Profanity" in pg.__all__:
        guards["Profanity"] = pg.Profanity()
    # One check, and one reading of the text, for all of them.
    everything = [guard for name, guard in guards.items() if "2,000" not in name]
    guards["all of these but 2,000 words"] = pg.AnyOf(tuple(everything))
    rows = []
    for name, guard in guards.items():
        for length in (100, 1000):
            texts = [_prose(length) for _ in range(20)]
            for text in texts:
                guard.check(text)
            times = [
                1000 * _milliseconds(guard.check, text)
                for _ in range(max(2, int(scale * 50)))
                for text in texts
            ]
            rows.append({"what": f"check: {name}", "characters": length, **_us(times)})
    rows.append(
        {"what": "guarded call, Keywords", "characters": 100, **_us(_added(scale))}
    )
    rows.append(
        {"what": "streamed chunk, Keywords", "characters": 4, **_us(_chunks(scale))}
    )
    injection = pg.PromptInjection(model=model)
    text = _prose(100)
    injection.check(text)
    count = max(20, int(scale * 1000))
    again = [1000 * _milliseconds(injection.check, text) for _ in range(count)]
    rows.append({"what": "PromptInjection, same text", "characters": 100, **_us(again)})
    return rows


def as_texts_grow(scale: float) -> list[Row]:
    """Milliseconds for 0.25, 0.5 and 1 million characters; four times is linear."""
    keywords = pg.Keywords(WORDS)
    kinds: dict[str, Callable[[int], str]] = {
        "prose": _prose,
        "full width": lambda n: (
            "".join(chr(ord(c) + 0xFEE0) for c in "wide") * (n // 4)
        ),
        "zero-width between letters": lambda n: "a\u200b" * (n // 2),
        "combining marks": lambda n: "e" + "\u0301\u0323\u0345" * (n // 3),
        "one word": lambda n: "a" * n,
        "no letters": lambda n: "\U000e0041" * n,
    }
    steps: dict[str, Callable[[str], object]] = {
        "clean reading": lambda text: pg.Text(text).clean,
        "Keywords": keywords.check,
        "InvisibleText": pg.InvisibleText().check,
    }
    rows = []
    rounds = 1 if scale < 1 else 5
    for kind, make in kinds.items():
        texts = [make(MILLION // part) for part in (4, 2, 1)]
        for step, function in steps.items():
            best = [
                min(_milliseconds(function, text) for _ in range(rounds))
                for text in texts
            ]
            row: Row = {"text": kind, "step": step}
            row |= dict(zip(("ms 0.25 M", "ms 0.5 M", "ms 1 M"), best, strict=True))
            row["1 M / 0.25 M"] = round(best[2] / best[0], 2)
            rows.append(row)
    return rows


def _added(scale: float) -> Iterator[float]:
    """Microseconds that the decorator adds to one call, in blocks of a hundred."""

    def bare(prompt: str) -> str:
        return prompt

    guarded = pg.guarded(input=pg.Keywords(WORDS))(bare)
    prompt = _prose(100)
    for _ in range(max(3, int(scale * 50))):
        with_guard = _milliseconds(lambda: [guarded(prompt) for _ in range(100)])
        without = _milliseconds(lambda: [bare(prompt) for _ in range(100)])
        yield 1000 * (with_guard - without) / 100


def _chunks(scale: float) -> Iterator[float]:
    """Microseconds that a guarded stream adds to one chunk of four characters."""
    text = _prose(4000)
    pieces = [text[at : at + 4] for at in range(0, len(text), 4)]

    def bare(prompt: str) -> Iterator[str]:
        yield from pieces

    guarded = pg.guarded(output=pg.Keywords(WORDS))(bare)
    for _ in range(max(3, int(scale * 20))):
        with_guard = _milliseconds(lambda: list(guarded("x")))
        without = _milliseconds(lambda: list(bare("x")))
        yield 1000 * (with_guard - without) / len(pieces)


def _whole_words(encoder: Encoder) -> list[str]:
    """Words that the tokenizer reads as one token each."""
    source = Path(__file__).parents[1] / "docs"
    text = " ".join(path.read_text(encoding="utf-8") for path in source.glob("*.md"))
    words = {word for word in text.lower().split() if word.isalpha() and len(word) > 2}
    return sorted(word for word in words if len(encoder.tokens(word)[0]) == 1)


def _texts(
    encoder: Encoder, vocabulary: list[str], tokens: int, count: int
) -> Iterator[str]:
    """Texts of exactly so many tokens, the two frame tokens included."""
    for _ in range(count):
        text = " ".join(RANDOM.choices(vocabulary, k=tokens - 2))
        assert len(encoder.tokens(text)[0]) == tokens - 2
        yield text


def _feed(ids: tuple[int, ...], session: ort.InferenceSession) -> dict[str, np.ndarray]:
    values = np.array((ids,), np.int64)
    feed = {
        "input_ids": values,
        "attention_mask": np.ones_like(values),
        "token_type_ids": np.zeros_like(values),
    }
    if any(value.name == WHOLE for value in session.get_inputs()):
        # As a check has it: the pass ends early where the text is clear.
        feed[WHOLE] = np.array(False)
    return feed


def _prose(length: int) -> str:
    words = "please send the report for last month to the office before noon".split()
    return " ".join(RANDOM.choices(words, k=length // 3 + 2))[:length]


def _milliseconds(function: Callable[..., object], *arguments: object) -> float:
    begun = time.perf_counter()
    function(*arguments)
    return 1000 * (time.perf_counter() - begun)


def _us(times: Iterator[float] | list[float]) -> Row:
    values = list(times)
    facts = {f"µs {key}": value for key, value in spread(values, 1).items()}
    return {**facts, "runs": len(values)}


def main() -> None:
    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("--model", metavar="FOLDER", help="a bundle; default: shipped")
    chosen = parser.parse_args()
    scale = 0.02 if chosen.quick else 1.0
    set_threads(1)
    sections = {
        "PromptInjection().check beside a bare session run": beside_the_bare_run(
            chosen.model, scale
        ),
        "Per call": per_call(chosen.model, scale),
        "As texts grow": as_texts_grow(scale),
    }
    publish("latency", "Latency", sections, chosen)


if __name__ == "__main__":
    main()
