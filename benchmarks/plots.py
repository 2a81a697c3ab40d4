"""Draws the pictures of the documents.

    python -m benchmarks.plots            write them into docs/pictures
    python -m benchmarks.plots --check    say which are out of date, and fail

Figures are drawn from the files under results/ and from nowhere else; the picture of a
stream is what a guarded stream does while it is drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promptguard as pg

from . import queueplots, scaleplots
from .drawing import COLOURS, INK, QUIET, Drawing, Line, bars, chart
from .pages import result

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

CHUNKS = (
    *("Thank you for your call this morning. ", "We have looked into it, and "),
    *("the booking is yours. The card ", "4111 11", "11 1111", " 1111 was "),
    *("charged on Monday, and the receipt ", "went to ann@exam", "ple.org the "),
    *("same day. If anything is missing, ", "tell us which day suits you best. "),
    *("Our shop is open from nine to five, ", "and somebody will be there for you."),
)
MARK = "#f7d9c6"
VALUES = ("4111 1111 1111 1111", "ann@example.org")


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    chosen = parser.parse_args()
    drawn = dict(pictures())
    old = [path for path, text in drawn.items() if _read(path) != text]
    for path in old:
        if chosen.check:
            print(f"out of date: {path.name}", file=sys.stderr)
        else:
            path.write_text(drawn[path], encoding="utf-8")
            print(f"written: {path.name}")
    return 1 if chosen.check and old else 0


def pictures() -> Iterator[tuple[Path, str]]:
    """Each picture that can be drawn, and what its file should say."""
    for name, draw in {"architecture": architecture, "hold-back": hold_back}.items():
        yield PICTURES / f"{name}.svg", str(draw())
    for name, (source, plot) in PLOTS.items():
        found = result(source)
        if found is not None:
            yield PICTURES / f"{name}.svg", str(plot(found))


def architecture() -> Drawing:
    """The way of one call."""
    drawing = Drawing(760, 330, "The way of one call through the guards")

    def box(x: float, y: float, width: float, words: str, under: str, n: int) -> None:
        drawing.rectangle(x, y, width, 58, "#ffffff", COLOURS[n], 8)
        drawing.text(x + width / 2, y + 25, words, 14, INK, "middle", bold=True)
        drawing.text(x + width / 2, y + 43, under, 11, QUIET, "middle")

    box(20, 40, 130, "your call", "arguments", 0)
    box(200, 40, 150, "texts and roles", "found by their shape", 2)
    box(400, 40, 150, "input guards", "one engine, one run", 4)
    box(600, 40, 140, "your LLM", "any client", 0)
    box(20, 230, 130, "your code", "the same type", 0)
    box(200, 230, 150, "restored", "where it was asked", 2)
    box(400, 230, 150, "output guards", "streams: held back", 4)
    for start, end in ((150, 200), (350, 400), (550, 600)):
        drawing.line([(start + 4, 69), (end - 4, 69)], QUIET, arrow=True)
    drawing.line([(670, 98), (670, 259), (554, 259)], QUIET, arrow=True)
    for start, end in ((400, 350), (200, 150)):
        drawing.line([(start - 4, 259), (end + 4, 259)], QUIET, arrow=True)
    drawing.line([(475, 98), (475, 140)], QUIET, arrow=True)
    drawing.line([(475, 230), (475, 192)], QUIET, arrow=True)
    drawing.rectangle(386, 142, 178, 48, "#ffffff", COLOURS[4], 8)
    drawing.text(475, 162, "BLOCK", 13, COLOURS[4], "middle", bold=True)
    drawing.text(475, 179, "on_block decides", 11, QUIET, "middle")
    drawing.line([(386, 166), (85, 166), (85, 226)], QUIET, dash="4 4", arrow=True)
    drawing.text(575, 60, "REDACT", 10, QUIET, "middle")
    drawing.text(680, 180, "answer", 11, QUIET)
    drawing.text(
        240, 158, "nothing is sent, or nothing comes back", 11, QUIET, "middle"
    )
    drawing.text(
        20,
        316,
        "Every verdict goes to hooks and capture(); no log line holds the text.",
        11,
        QUIET,
    )
    return drawing


def hold_back() -> Drawing:
    """What has come of a stream, what is held, and what has left, chunk by chunk."""
    states = streamed()
    whole = "".join(CHUNKS)
    left, step, top = 20, 19, 118
    drawing = Drawing(
        760, top + step * len(states) + 54, "An answer that streams through PII"
    )
    drawing.text(20, 28, "An answer that streams through PII()", 16, INK, bold=True)
    drawing.text(
        20,
        47,
        "A row for each chunk that comes; the last row is the end of the stream.",
        11,
        QUIET,
    )
    for x, colour, words in (
        (20, COLOURS[2], "has left, redacted"),
        (170, COLOURS[1], "is held"),
        (260, MARK, "a card number, an address"),
    ):
        drawing.rectangle(x, 60, 11, 11, colour, round=2)
        drawing.text(x + 17, 70, words, 12)
    scale = (drawing.width - 2 * left) / len(whole)
    bottom = top + step * len(states)
    for value in VALUES:
        start = whole.index(value)
        x, width = left + start * scale, len(value) * scale
        drawing.rectangle(x, top - 8, width, bottom - top + 8, MARK)
        drawing.text(x + width / 2, top - 14, value, 10.5, COLOURS[4], "middle")
    for number, (came, went) in enumerate(states):
        y = top + number * step
        drawing.rectangle(left, y, went * scale, 11, COLOURS[2], round=2)
        drawing.rectangle(
            left + went * scale, y, (came - went) * scale, 11, COLOURS[1], round=2
        )
    for name, count in (("0", 0), (f"{len(whole)} characters", len(whole))):
        anchor = "end" if count else "start"
        drawing.text(left + count * scale, bottom + 16, name, 11, QUIET, anchor)
    drawing.text(
        20,
        bottom + 38,
        "Ordinary words go after a line or so; what may be part of a value stays until "
        "it is known.",
        11,
        QUIET,
    )
    return drawing


def streamed() -> list[tuple[int, int]]:
    """Characters that have come and that have left, after each chunk."""
    came = 0
    went = 0
    states = []

    # A mask is as long as what it covers, so that places can be compared.
    @pg.guarded(output=pg.PII(operator=pg.Mask()))
    def answer(prompt: str) -> Iterator[str]:
        nonlocal came
        for chunk in CHUNKS:
            came += len(chunk)
            yield chunk
            states.append((came, went))

    for chunk in answer("Is my booking safe?"):
        went += len(chunk)
    return [*states, (came, went)]


def latency(found: Any) -> Drawing:
    """Time of a check, by guard."""
    times: dict[str, list[float]] = {}
    for row in found["results"]["Per call"]:
        guard = row["what"]
        if guard.startswith("check: "):
            times.setdefault(_short(guard), []).append(row["µs median"])
    rows = sorted(times.items(), key=lambda row: row[1])
    model = found["results"]["PromptInjection().check beside a bare session run"]
    for row in model:
        rows.append(
            (f"the model, {row['tokens']} tokens", [1000 * row["check ms median"]])
        )
    return bars(
        "Time of a check",
        f"Microseconds, logarithmic; {_where(found)}",
        ("100 characters", "1,000 characters"),
        rows,
        "µs",
    )


def held_back(found: Any) -> Drawing:
    """Characters that guards hold of a stream."""
    rows = [
        (row["guard"], (row["prose, median"], row["with values, most"]))
        for row in found["results"]["Characters held back, chunks of 4"]
    ]
    return bars(
        "Characters held back of a stream",
        f"Chunks of four characters, logarithmic; {_where(found)}",
        ("prose, median", "text full of values, the most"),
        rows,
        "characters",
    )


def operating_points(found: Any) -> Drawing:
    """Recall and share of benign texts flagged, at each of the five rates."""
    lines = []
    for name, guard in (("harmful", "HarmfulRequest"), ("toxicity", "Toxicity")):
        report = result(f"quality-{name}") or {"sets": {}}
        for heading, one in report["sets"].items():
            rates = next(iter(one["guards"].values())).values()
            points = [(rate.get("flagged"), rate.get("recall")) for rate in rates]
            if all(None not in point for point in points):
                lines.append(Line(f"{heading.partition(':')[2]}: {guard}", points))
    return chart(
        "Five rates, set by set",
        "At fpr = 0.001, 0.005, 0.01, 0.02, 0.05: what is found, and what is "
        "flagged of the set's own benign texts",
        lines[: len(COLOURS)],
        "benign texts of the set that are flagged",
        "positives that are found",
        low=1e-2,
    )


def roc(found: Any) -> Drawing:
    """ROC curves of PromptInjection."""
    lines = [
        Line(one["name"], one["points"], "6 4" if one["kind"] == "benchmark" else "")
        for one in found["results"]["curves"]
    ]
    return chart(
        "PromptInjection: attacks found for benign texts flagged",
        "Every set weighs the same. Solid: sources kept out of training; dashed: "
        "public test sets",
        lines,
        "benign texts flagged",
        "attacks found",
        dots=False,
    )


def peers(found: Any) -> Drawing:
    """How many times as long other libraries take for the same work."""
    rows = [
        (f"{row['peer']}: {heading.removeprefix('Time of a call: ')}", row)
        for heading, section in found["results"].items()
        if heading.startswith("Time of a call: ")
        for row in section
        if row["characters"] == 1000 and row.get("times ours median")
    ]
    return bars(
        "Beside other libraries, 1,000 characters",
        f"Times as long as promptguard for the same text, logarithmic; {_where(found)}",
        ("median of the ratios",),
        [(name, (row["times ours median"],)) for name, row in rows],
        "times",
        left=330,
    )


PLOTS: dict[str, tuple[str, Callable[[Any], Drawing]]] = {
    "latency": ("latency", latency),
    "held-back": ("streaming", held_back),
    "operating-points": ("quality-harmful", operating_points),
    "roc": ("curves", roc),
    "peers": ("peers", peers),
    "lengths": ("scale", scaleplots.lengths),
    "threads": ("scale", scaleplots.threads),
    "queue": ("queueing", queueplots.queue),
}


def _short(what: str) -> str:
    return what.removeprefix("check: ").replace(
        "all of these but 2,000 words", "all of them"
    )


def _where(found: Any) -> str:
    machine = found["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {found['date']}"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
