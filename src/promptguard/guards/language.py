"""Language: a text in another language than it should be."""

from __future__ import annotations

import string
import tomllib
from bisect import bisect_right
from collections import Counter
from dataclasses import KW_ONLY, dataclass
from functools import cache
from pathlib import Path

from ..errors import ConfigError, unknown
from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Finding

__all__ = ["CODES", "Language", "told"]

CODES = tuple(
    "af am ar bg bn ca cs da de el en es et fa fi fr gu he hi hr hu hy id it ja ka "
    "km kn ko lo lt lv ml mr my nb ne nl pa pl pt ro ru si sk sl sq sr sv sw ta te "
    "th tl tr uk ur vi zh".split()
)
"""The languages that are told apart, by their ISO 639-1 codes."""

# Letters of a script, and different small words of a language, from which on a text is
# decided; and how many times more of them than an allowed language has.
_LEAST_LETTERS = 12
_LEAST_WORDS = 3
_MARGIN = 1.5
# Of the words of any text in a language, this share at least are small words.
_LEAST_SHARE = 0.1
# Japanese has kana between its ideographs, Chinese has none.
_KANA = 0.05
# Fewer ideographs, three each, may be a Japanese heading.
_PLAIN_HAN = 60
# Names of products and the like are Latin in any language.
_LATIN = "latin"
# One letter in so many in a script of an allowed language, and the text is let through.
_OWN = 5
_EDGES = ".,;:!?()[]{}<>\"'«»„“”‘…।،؟؛-*_`#|/"


@dataclass(frozen=True)
class Language(Guard):
    """A text that is not in one of the allowed languages, told by script and words.

    The label is ``language_`` and the ISO 639-1 code of what the text seems to be in.
    A text that is too short or of which that cannot be told is let through: there is no
    finding. A stream is held to its end.

    Args:
        allow: Codes of the languages that a text may be in, such as ``("en", "de")``.

    Raises:
        ConfigError: There is none, or one is not known.
    """

    allow: tuple[str, ...]
    _: KW_ONLY

    def __post_init__(self) -> None:
        super().__post_init__()
        given: object = self.allow
        if isinstance(given, str) or not isinstance(given, tuple | list) or not given:
            raise ConfigError('allow must be several codes: Language(("en", "de"))')
        object.__setattr__(self, "allow", tuple(given))
        for code in self.allow:
            if code not in CODES:
                raise unknown("language", code, CODES)

    @property
    def known_labels(self) -> frozenset[str]:
        return frozenset(f"language_{code}" for code in CODES)

    def inspect(self, text: Text) -> Inspection:
        """Compare what the clean reading is written in with what is allowed."""
        code = _other(text.clean.text, self.allow)
        if code is not None:
            yield Finding(f"language_{code}", 1.0, 0, len(text.original))


def told(text: str) -> tuple[str | None, str | None]:
    """The script of most letters of a text and its language, where they can be told."""
    letters = _letters(text)
    name, most = letters.most_common(1)[0]
    return (name if most else None), _other(text, (), letters)


_NO_LETTERS = dict.fromkeys(map(ord, string.ascii_letters))


def _other(
    text: str, allow: tuple[str, ...], letters: Counter[str] | None = None
) -> str | None:
    """The language of a text, if it is plainly none of the allowed."""
    letters = _letters(text) if letters is None else letters
    name, most = letters.most_common(1)[0]
    if most < _LEAST_LETTERS or 2 * most <= letters.total():
        return None
    if name == "han" and "ja" in allow and most < _PLAIN_HAN:
        return None
    table = _table()
    languages = table.languages[name]
    here = [code for code in languages if code in allow]
    counts, kinds, total = _counts(text, languages)
    best = max(languages, key=lambda code: counts[code])
    if name != _LATIN and not here:
        return best
    if best in allow or kinds[best] < _LEAST_WORDS:
        return None
    if counts[best] < _LEAST_SHARE * total:
        return None
    if name == _LATIN and not here:
        # Code, names and addresses are Latin in a text of any language.
        own = (n for n in letters if any(code in allow for code in table.languages[n]))
        if _OWN * sum(letters[n] for n in own) >= letters.total():
            return None
    likely = max((counts[code] for code in here), default=0)
    return best if counts[best] >= _MARGIN * likely else None


def _letters(text: str) -> Counter[str]:
    """The letters of each script in a text, each counted by what it says."""
    table = _table()
    letters = Counter({_LATIN: 0})
    if text.isascii():
        times = len(text) - len(text.translate(_NO_LETTERS))
        letters[_LATIN] = times * table.weights[_LATIN]
        return letters
    for char, times in Counter(text).items():
        name = table.script(char)
        if name is not None:
            letters[name] += times * table.weights[name]
    if letters["kana"] >= _KANA * (letters["kana"] + letters["han"]):
        letters["kana"] += letters.pop("han", 0)
    return letters


def _counts(
    text: str, languages: tuple[str, ...]
) -> tuple[Counter[str], Counter[str], int]:
    """Small words of each language in a text, different ones, and words altogether."""
    counts: Counter[str] = Counter()
    if len(languages) == 1:
        return counts, counts, 0
    known = _table().words
    # What is elided stands before an apostrophe.
    spaced = text.lower().replace("'", " ").replace("\u2019", " ")
    found = Counter(word.strip(_EDGES) for word in spaced.split())
    kinds: Counter[str] = Counter()
    for word, times in found.items():
        # A single letter may be an option, a column or a variable.
        for code in known.get(word, ()) if len(word) > 1 or word > "z" else ():
            counts[code] += times
            kinds[code] += 1
    return counts, kinds, found.total() - found[""]


class _Table:
    """What data/languages.toml says, for looking it up."""

    def __init__(self) -> None:
        path = Path(__file__).parents[1] / "data" / "languages.toml"
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        self.languages: dict[str, tuple[str, ...]] = {}
        self.weights: dict[str, int] = {}
        self.words: dict[str, list[str]] = {}
        ranges: list[tuple[int, int, str]] = []
        for name, script in data["scripts"].items():
            self.languages[name] = tuple(script["languages"].split())
            self.weights[name] = script["weight"]
            for item in script["points"].split():
                first, _, last = item.partition("-")
                ranges.append((int(first, 16), int(last or first, 16), name))
        ranges.sort()
        self._starts = [first for first, _, _ in ranges]
        self._ranges = ranges
        for code, words in data["words"].items():
            for word in words.split():
                self.words.setdefault(word, []).append(code)

    def script(self, char: str) -> str | None:
        """The script of a letter; None for what is none or of another script."""
        at = bisect_right(self._starts, ord(char)) - 1
        if at < 0 or ord(char) > self._ranges[at][1]:
            return None
        return self._ranges[at][2]


@cache
def _table() -> _Table:
    return _Table()
