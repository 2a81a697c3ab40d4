"""Mail addresses, also written out in words, and names with passwords in URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ..._lookalikes import CLOSE, LATIN, letters
from ..._signs import kinds
from .candidates import Candidate
from .chains import SIGN, STARS, VEIL
from .tables import read

__all__ = [
    "BRACKETS",
    "addresses",
    "credentials",
    "in_latin",
    "may_be_spoken",
    "signs",
    "spoken",
]

ENTITY = "EMAIL_ADDRESS"
URL_ENTITY = "URL_CREDENTIALS"

# RFC 5321, section 4.5.3.1: a local part of 64 octets, a path of 256 with its brackets.
MOST_LOCAL = 64
MOST = 254

# The characters of a dot-atom (RFC 5322, section 3.2.3), and letters of any script
# (RFC 6531), but for those that are more often around an address than in it.
_LOCAL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]")
_LATIN_LOCAL = re.compile(rf"(?:{SIGN}|[_.!#$%&'*+/=?^`{{|}}~-])")
_EDGE = "\"'`{|}.,;:!?/=*#$%&^~"
# What was redacted counts as letters.
_END = rf"(?![a-z0-9{VEIL}]|{STARS})"
_ENDING = (
    rf"(?:[a-z]{{2,24}}{_END}|xn--[\w-]{{2,59}}"
    rf"|(?:(?![a-z])[^\W\d_]){{2,24}}(?!{SIGN}|{VEIL}|{STARS}))"
)
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"


def in_latin(text: str) -> str:
    """The text with look-alikes of Latin letters as these, one for one."""
    return text.translate(_alike())


@cache
def _alike() -> dict[int, str]:
    return letters(LATIN, CLOSE)


def addresses(text: str, at: int) -> Iterator[Candidate]:
    """Addresses with an @, from a position on; it may have a space beside it."""
    sign = text.find("@", at)
    while sign >= 0:
        found = _address(text, sign)
        if found is not None:
            yield found
        sign = text.find("@", sign + 1)


def _address(text: str, sign: int) -> Candidate | None:
    spaced = text[sign - 1 : sign] == " "
    match = (_spaced() if spaced else _domain()).match(text, sign + 1)
    if match is None:
        return None
    end = match.end()
    start = sign - 1 if spaced else sign
    local = _local_start(text, start)
    if local < start and text[local - 1 : local] in _APART:
        # A dot before may be written as oddly as the sign or the dots behind it.
        local = _further(text, local, _spaced_dot if spaced else _bracketed_dot())
    if local == start or end - local > MOST:
        return None
    if text[local - 1 : local] == ":" and _in_url(text, sign):
        return None
    return Candidate(ENTITY, local, end, 0.99)


def _local_start(text: str, end: int) -> int:
    start = end
    # A word of a script without spaces may stand right before a Latin name.
    local = _LOCAL if text[end - 1 : end] > "\u0dff" else _LATIN_LOCAL
    while start > max(0, end - MOST_LOCAL):
        if not local.match(text, start - 1) and not _STOP.match(text, start - 2):
            break
        start -= 1
    while start < end and text[start] in _EDGE:
        start += 1
    return start


# A full stop of Chinese or Japanese ends a sentence, but between these it is a dot.
_STOP = re.compile("[a-zA-Z0-9][\u3002\uff61][a-zA-Z0-9]")
# What stands right behind a dot that is not just a dot.
_APART = (" ", "]", ")", "}", ">")
_spaced_dot = re.compile(r"(?<!\w)\w{1,30} \. \Z")


@cache
def _bracketed_dot() -> re.Pattern[str]:
    word = _either(" ".join(_spoken_words("dot")))
    dot = rf" ?[\[({{<] ?(?:\.|{word}) ?[\])}}>] ?"
    return re.compile(rf"(?<!\w)\w{{1,30}}{dot}\Z", re.IGNORECASE)


def _further(text: str, end: int, more: re.Pattern[str]) -> int:
    """Where a local part begins that has dots before its last word, up to three."""
    start = end
    for _ in range(3):
        match = more.search(text, max(0, start - 44), start)
        if match is None or end - match.start() > MOST_LOCAL:
            break
        start = match.start()
    return start


@cache
def _domain() -> re.Pattern[str]:
    """A domain right after the @; its dots may be in brackets or words."""
    dot = r"[.\u3002\uff61]"
    near = r"\. (?=(?:com|org|net|edu|gov|co|ac|uk|au|nz)\b)"
    other = rf"(?:{dot}| \. |{near}|{_written_dot()})"
    return re.compile(
        rf"(?:{_LABEL}{dot}){{1,8}}{_ENDING}"
        rf"|(?:{_LABEL}{other}){{1,8}}(?:{_endings()}){_END}",
        re.IGNORECASE,
    )


@cache
def _spaced() -> re.Pattern[str]:
    """A domain after an @ between spaces, which more often stands for a word."""
    other = rf"(?:[.\u3002\uff61]| \. |{_written_dot()})"
    return re.compile(rf" (?:{_LABEL}{other}){{1,8}}(?:{_endings()}){_END}")


@cache
def _endings() -> str:
    return _either(read("pii-words")["mail"]["endings"])


def _either(words: str) -> str:
    return "|".join(map(re.escape, sorted(words.split())))


@cache
def _spoken_words(sign: str) -> tuple[str, ...]:
    """Words for the sign, language by language."""
    return tuple(pair[sign] for pair in read("pii-words")["mail"]["spoken"])


@cache
def signs() -> frozenset[str]:
    """The words for the signs of an address, in any language, in small letters.

    Of a word with a hyphen its first part.
    """
    words = " ".join((*_spoken_words("at"), *_spoken_words("dot"))).lower()
    return frozenset(word.partition("-")[0] for word in words.split())


def _written_dot(words: str | None = None) -> str:
    """A dot in brackets, or a word for it."""
    word = _either(words or " ".join(_spoken_words("dot")))
    return rf"(?: ?[\[({{<] ?(?:\.|{word}) ?[\])}}>] ?|[ _-](?:{word})[ _-])"


def may_be_spoken(text: str, brackets: bool = True) -> bool:
    """False where no address is written in words, which takes little time to see.

    Args:
        text: A reading.
        brackets: It may have one of ``BRACKETS``.
    """
    if brackets and _BRACKETS.search(text):
        return True
    lower = text.lower()
    return any([_alone(dot, lower) for dot in _dots() if dot in lower])


def _alone(word: str, text: str) -> bool:
    """True where the word stands between spaces or what serves as such."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if text[at - 1 : at] in _BLANK and text[end : end + 1] in _BLANK:
            return True
        at = text.find(word, end)
    return False


_BLANK = (" ", "_", "-")
BRACKETS = kinds("[({<")
# What may stand in brackets for a sign.
_BRACKETS = re.compile(r"[\[({<] ?[@.\w-]{1,11} ?[\])}>]")


@cache
def _dots() -> tuple[str, ...]:
    return tuple(dict.fromkeys(" ".join(_spoken_words("dot")).split()))


@cache
def _hint() -> re.Pattern[str]:
    """What stands for the @."""
    at = _either(" ".join(_spoken_words("at")))
    return re.compile(
        rf"[\[({{<] ?(?:@|{at}) ?[\])}}>]|[ _-](?:{at})[ _-]", re.IGNORECASE
    )


@cache
def _spoken() -> re.Pattern[str]:
    """What stands for the @, and the domain behind it.

    A bare word such as "at" is an ordinary one: a dot in brackets or in a word of the
    same language has to follow.
    """
    ways = [
        _after_at(
            rf" ?[\[({{<] ?(?:@|{_either(' '.join(_spoken_words('at')))}) ?[\])}}>] ?",
            None,
        )
    ]
    for at, dot in zip(_spoken_words("at"), _spoken_words("dot"), strict=True):
        ways.append(_after_at(rf"[ _-](?:{_either(at)})[ _-]", dot))
    return re.compile("|".join(ways), re.IGNORECASE)


def _after_at(at: str, dots: str | None) -> str:
    written = _written_dot(dots)
    dot = rf"(?:[.\u3002\uff61]| \. |{written})"
    ending = rf"(?:{_endings()}){_END}"
    if dots is None:
        return rf"{at}(?:{_LABEL}{dot}){{1,8}}{ending}"
    return rf"{at}(?:{_LABEL}{dot}){{0,7}}{_LABEL}{written}{ending}"


def spoken(text: str, at: int) -> Iterator[Candidate]:
    """Addresses such as "joe (at) example (dot) com"."""
    for hint in _hint().finditer(text, at):
        for before in (hint.start() - 1, hint.start()):
            match = _spoken().match(text, max(0, before))
            if match is None or match.start() > hint.start():
                continue
            start = _spoken_start(text, match.start())
            if start < match.start() and match.end() - start <= MOST:
                yield Candidate(ENTITY, start, match.end(), 0.85)
                break


@cache
def _more() -> re.Pattern[str]:
    """Words of a local part before a dot in words, from its end."""
    return re.compile(rf"(?<!\w)\w{{1,30}}{_written_dot()}\Z", re.IGNORECASE)


def _spoken_start(text: str, end: int) -> int:
    start = _local_start(text, end)
    return start if start == end else _further(text, start, _more())


# RFC 3986, section 3.2.1: the user information, with a password after a colon.
_CREDENTIALS = re.compile(
    r"://(?P<both>(?!\*\*\*)[^\s/?#@:\x00]{0,100}:[^\s/?#\x00]{1,100})@(?=[\w\[])"
)


def _in_url(text: str, sign: int) -> bool:
    """True where the @ ends the credentials of a URL: what is before it is no name."""
    found = _CREDENTIALS.finditer(text, max(0, sign - 210), sign + 2)
    return any(match.end() == sign + 1 for match in found)


def credentials(text: str, at: int) -> Iterator[Candidate]:
    """The name and password of a URL that has both."""
    for match in _CREDENTIALS.finditer(text, at):
        yield Candidate(URL_ENTITY, *match.span("both"), 0.95)
