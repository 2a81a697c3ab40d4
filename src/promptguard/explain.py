"""A verdict for people: the text, with what was found marked in it.

The text is somebody else's, and a terminal does what it is told. So whatever is not a
plain character is written out as an escape, marks are signs that the text does not
hold, and each of its lines begins with a bar of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from unicodedata import category

from ._unicode import IGNORABLE, SPACES, one_of
from .verdict import Action, Finding, Verdict

__all__ = ["explained", "visible"]

_COLOURS = {
    Action.ALLOW: "1",
    Action.FLAG: "30;46",
    Action.REDACT: "30;43",
    Action.BLOCK: "1;97;41",
}
_BAR = "  | "
# Of a stretch that is longer, its two ends are shown.
_PLAIN, _MARKED = 400, 1200
# More marks than this over one letter reach into the lines above and below.
_MARKS = 3


def explained(verdict: Verdict, *, colour: bool = False) -> str:
    """The text with its findings marked, what they are, and what is left of it.

    Args:
        verdict: A verdict that still has its text.
        colour: Colour the findings by what they lead to; for a terminal.
    """
    text, findings = verdict.original, verdict.findings
    lines = [verdict.action.name.lower()]
    lines += _barred(_marked(text, findings, colour))
    width = len(str(len(findings)))
    for number, finding in enumerate(findings, start=1):
        action = finding.action or Action.ALLOW
        did = _painted(f"{action.name.lower():6}", action, colour)
        lines.append(
            f"  {number:>{width}}  {did}  {finding.label} {finding.score:.2f} "
            f"at {finding.start}..{finding.end} ({finding.guard})"
        )
    if verdict.action is Action.REDACT:
        lines.append("  what goes on:")
        lines += _barred("".join(_shortened(verdict.text, _MARKED, colour)))
    if verdict.coverage < 1:
        lines.append(f"  coverage: {verdict.coverage:.2f} of the text was looked at")
    if verdict.degraded:
        lines.append("  a guard failed, and the text goes on without it")
    took = ", ".join(f"{name} {1000 * s:.1f} ms" for name, s in verdict.timings)
    if took:
        lines.append(f"  took: {took}")
    return "\n".join(lines)


def visible(text: str, *, colour: bool = False) -> str:
    """The text with everything written out that a terminal would not just show.

    Line feeds stay. Controls, invisible characters, surrogates and stacks of combining
    marks become escapes such as ``\\x1b``.

    Args:
        text: Any string.
        colour: Reverse the escapes, so that they are told from typed ones.
    """
    if text.isascii() and text.isprintable():
        return text
    unseen = _unseen()
    said: list[str] = []
    marks = 0
    for sign in text:
        marks = marks + 1 if category(sign).startswith("M") else 0
        plain = sign.isprintable() and marks <= _MARKS and not unseen.match(sign)
        said.append(sign if plain or sign == "\n" else _escaped(sign, colour))
    return "".join(said)


@cache
def _unseen() -> re.Pattern[str]:
    return re.compile(one_of(IGNORABLE, SPACES))


def _escaped(sign: str, colour: bool) -> str:
    number = ord(sign)
    said = f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    if number > 0xFFFF:
        said = f"\\U{number:08x}"
    return f"\x1b[7m{said}\x1b[27m" if colour else said


def _marked(text: str, findings: tuple[Finding, ...], colour: bool) -> str:
    """The text, with numbers where findings begin and end."""
    runs = [len(run) for run in re.findall(r"\[+|\]+", text)]
    often = 1 if colour else 1 + max(runs, default=0)
    opening, closing = "[" * often, "]" * often
    begins: dict[int, list[int]] = {}
    for number, finding in enumerate(findings, start=1):
        begins.setdefault(finding.start, []).append(number)
    places = sorted({0, len(text), *begins, *(finding.end for finding in findings)})
    said: list[str] = []
    # In the order in which they were opened: the last is closed first.
    inside: list[int] = []
    for start, end in pairwise([*places, len(text)]):
        ending = [n for n in reversed(inside) if findings[n - 1].end == start]
        inside = [n for n in inside if findings[n - 1].end != start]
        beginning = sorted(begins.get(start, ()), key=lambda n: -findings[n - 1].end)
        empty = [n for n in reversed(beginning) if findings[n - 1].end == start]
        inside += [n for n in beginning if findings[n - 1].end > start]
        said += [_end(n, findings[n - 1], closing, colour) for n in ending]
        if not colour:
            said += [f"{opening}{n}:" for n in beginning]
        said += [_end(n, findings[n - 1], closing, colour) for n in empty]
        if not inside:
            said += _shortened(text[start:end], _PLAIN, colour)
            continue
        worst = max(findings[n - 1].action or Action.ALLOW for n in inside)
        for piece in _shortened(text[start:end], _MARKED, colour):
            # A colour that runs over a line end would colour the bar as well.
            lines = (_painted(line, worst, colour) for line in piece.split("\n"))
            said.append("\n".join(lines))
    return "".join(said)


def _end(number: int, finding: Finding, closing: str, colour: bool) -> str:
    if not colour:
        return f":{number}{closing}"
    return _painted(f"[{number}]", finding.action or Action.ALLOW, colour)


def _shortened(text: str, most: int, colour: bool) -> Iterator[str]:
    """A stretch as it is shown, in pieces."""
    if len(text) <= most:
        yield visible(text, colour=colour)
        return
    half = most // 2
    yield visible(text[:half], colour=colour)
    said = f"... {len(text) - 2 * half:,} more characters ..."
    yield f"\x1b[2m{said}\x1b[22m" if colour else said
    yield visible(text[-half:], colour=colour)


def _painted(said: str, action: Action, colour: bool) -> str:
    if not colour or not said:
        return said
    return f"\x1b[{_COLOURS[action]}m{said}\x1b[0m"


def _barred(said: str) -> list[str]:
    return [_BAR + line for line in said.split("\n")]
