"""Time grows with the length of a text, whatever it holds: for every shipped pattern.

Each pattern of the package is read by Python's own parser, and texts are made of its
repeats (``pumping``); the guard that it belongs to reads them, and so do units that
somebody thought of. The exponent between two lengths is 1 for work in proportion and 2
for a square; the limit is 1.2. A busy machine only ever makes it look worse, so that a
figure over the limit is measured again, on longer texts.
"""

from __future__ import annotations

import inspect
import math
import re
import time
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import pytest
from pumping import Pump, pumps

from promptguard.guard import Guard
from promptguard.guards._secrets_table import table
from promptguard.guards.canary import Canary
from promptguard.guards.code import Code
from promptguard.guards.disclosure import Disclosure
from promptguard.guards.invisible import InvisibleText
from promptguard.guards.json import Json
from promptguard.guards.language import Language
from promptguard.guards.pii import PII
from promptguard.guards.profanity import Profanity
from promptguard.guards.refusal import Refusal
from promptguard.guards.secrets import Secrets
from promptguard.guards.text import Keywords, MaxLength, Regex
from promptguard.guards.urls import Urls
from promptguard.text import Text

LIMIT = 1.2
SIZES = (2_000, 16_000)
TRIES = 3
# Less than this is lost in the clock.
LEAST = 2e-4

PROMPT = "You are a bot of a shop. You are to be brief, and you are to be a bot. "
GUARDS: dict[str, Guard] = {
    "Canary": Canary(PROMPT, token="qwrtplkjhgfdsmnb"),
    "Code": Code(),
    "Disclosure": Disclosure(),
    "InvisibleText": InvisibleText(),
    "Json": Json(repair=True),
    "Keywords": Keywords(("zanzibar", "blue heron", "a b c", "秘密")),
    "Language": Language(("de",)),
    "MaxLength": MaxLength(10),
    "PII": PII(),
    "Profanity": Profanity(),
    "Refusal": Refusal(within=10**9),
    "Regex": Regex(r"\b(?:\d[ -]?){13,16}\b"),
    "Secrets": Secrets(),
    "Urls": Urls(("example.com",)),
}

# Which guard reads with the patterns of a module. The others are not for finding
# anything in texts of any length, or are the readings, which every guard makes.
OWNERS = {
    "_backtracking": None,
    "_disclosure": "Disclosure",
    "_finders": "Profanity",
    "_hosts": "Urls",
    "_json_repair": "Json",
    "_keywords": "Keywords",
    "_lexicon": "Profanity",
    "_learned": None,
    "_links": "Urls",
    "_masked": "Profanity",
    "_pii": "PII",
    "_profanity": "Profanity",
    "_regex": None,
    "_respelling": None,
    "_secrets": "Secrets",
    "_trie": None,
    "_wordlists": None,
    "canary": "Canary",
    "classifier": None,
    "code": "Code",
    "disclosure": "Disclosure",
    "invisible": "InvisibleText",
    "json": "Json",
    "judge": None,
    "language": "Language",
    "pii": "PII",
    "profanity": "Profanity",
    "refusal": "Refusal",
    "secrets": "Secrets",
    "text": "Keywords",
    "urls": "Urls",
}

# Units whose repetition makes a guard look again and again at the same characters.
COMMON = (
    *("a", "7", " ", "\n", "a ", "7 ", "a1", "A1 B ", "12-", "1234 ", "4111 1111 "),
    *("@", "a@b.", "a at b dot ", "(at)", "a.", ":", "a1:", "://a:b", "http://a@b,"),
    *("-----BEGIN ", "-----END ", "key=", "key = '", "token: ", "AKIA", "eyJ", "sk-"),
    *(
        "<A_1:0123456789abcde",
        '"',
        "'",
        "\\n",
        "\\",
        '" + "',
        "{",
        "[",
        "(",
        "<",
        "%41",
    ),
    *("中", "é", "\u200b", "e\u0301", "5\u0336", "\ufe0f", "a\b", "\x1b[", "ﷺ", "Ａ"),
    *("phone +1 212 555 01 ", "born 1.2.19", "passport ssn A1234567 ", "password is "),
)
OWN = {
    "Canary": (
        *("you are a bot ", PROMPT, "q", "q ", "qwrtplkjhgfdsmn ", "71 ", "7177"),
        *("you. are. to. be. brief. ", "Q\u200b", "cXdydHBsa2poZ2Zkc21u "),
    ),
    "Code": ("a;\n", "```\n", "select a ", "select a, b from " * 20 + "\n", "x = [a "),
    "Disclosure": (
        *("Mia has asthma. ", "Mia ", "asthma ", "he has asthma. ", "my ", "asthma, "),
        *("Dear Mia, you have asthma. ", '"I have asthma," said Mia. ', "X has MS. "),
        *("MRN: 12345 asthma. ", "people with asthma. ", "Mia, my aunt, ", "Mc "),
    ),
    "InvisibleText": ("a\u200b", "abcdef\u200b", "❤\ufe0f", "ا\u200c", "a\u200d\u200d"),
    "Json": ("[", "{'a':", "[1,],", "'", "/*", "```", '{"a":"\\', "a "),
    "Keywords": ("zanziba", "z.a.n.z.", "a b ", "blue hero"),
    "Language": ("the ", "the", "中", "я ", "'", "the'"),
    "PII": (
        *("phone +1 212 555 01 ", "born 1.2.19", "passport ssn A1234567 ", "://a:b"),
        "1BoatSLRHtKNngkdXEeobR76b53LETtpy ",
        "4111 1111 1111 1111 ",
    ),
    "Refusal": ("i can't ", "leider ", "je ne ", "我无", "sorry sorry ", "申"),
    "Urls": (
        *("http://a@b,", "(http://a/(", "(http://a/x)", '"http://a/', "www.a,", "a."),
        *("http://", "://", "https://x.y.z. ", "](http://a?", "http://a/你", "w", "a:"),
        *("![", "<a ", "data:,", "http://a.你", "http://a)))", "//", "http://%41"),
    ),
}


def modules() -> Iterator[ModuleType]:
    """The modules of the guards, in order."""
    package = import_module("promptguard.guards")
    for found in walk_packages(package.__path__, "promptguard.guards."):
        yield import_module(found.name)


def owner(module: ModuleType) -> str | None:
    """The guard of a module, by the longest beginning of its name that is listed."""
    name = module.__name__.split(".")[2]
    fits = [known for known in OWNERS if name == known or name.startswith(known + "_")]
    assert fits, f"{name}: say in OWNERS which guard reads with its patterns"
    return OWNERS[max(fits, key=len)]


def patterns(module: ModuleType) -> Iterator[re.Pattern[str]]:
    """The patterns of a module: its own, and those that it makes on first use."""
    for value in vars(module).values():
        yield from _in(value)
        made_here = getattr(value, "__module__", None) == module.__name__
        cached = made_here and hasattr(value, "cache_info")
        if cached and not inspect.signature(value).parameters:
            yield from _in(value())


def _in(value: object, depth: int = 3) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif depth and isinstance(value, dict):
        for part in value.values():
            yield from _in(part, depth - 1)
    elif depth and isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _in(part, depth - 1)
    elif depth and type(value).__module__.startswith("promptguard."):
        names = getattr(value, "__slots__", ()) or vars(value)
        for name in names:
            yield from _in(getattr(value, name, None), depth - 1)


@cache
def shipped() -> dict[str, list[Pump]]:
    """The texts of each guard, from all patterns of its modules."""
    found: dict[str, dict[Pump, None]] = {}
    for module in modules():
        name = owner(module)
        if name is None or name not in GUARDS:
            continue
        for pattern in patterns(module):
            found.setdefault(name, {}).update(dict.fromkeys(pumps(pattern)))
    return {name: list(texts) for name, texts in found.items()}


def seconds(work: Callable[[str], object], text: str, times: int) -> float:
    """Processor time, the least of some runs."""
    least = math.inf
    for _ in range(times):
        begun = time.process_time()
        work(text)
        least = min(least, time.process_time() - begun)
    return least


def exponent(
    work: Callable[[str], object], pump: Pump, sizes: tuple[int, int] = SIZES
) -> float:
    """Of the time between two lengths; the least of some tries if it is too large."""
    least = math.inf
    for attempt in range(TRIES):
        short, long = (size << attempt for size in sizes)
        taken = [
            max(LEAST, seconds(work, pumped(pump, length), times + 2 * attempt))
            for length, times in ((short, 2), (long, 1))
        ]
        least = min(least, math.log(taken[1] / taken[0]) / math.log(long / short))
        if least <= LIMIT:
            break
    return least


def pumped(pump: Pump, length: int) -> str:
    before, again, behind = pump
    return before + again * (length // len(again) + 1) + behind


def read(guard: Guard) -> Callable[[str], object]:
    return lambda text: [*guard.inspect(Text(text))]


def too_fast(work: Callable[[str], object], texts: list[Pump]) -> dict[str, float]:
    """The texts on which the time grows too fast, and the exponents."""
    measured = {ascii(pump)[:120]: exponent(work, pump) for pump in texts}
    return {pump: found for pump, found in measured.items() if found > LIMIT}


@pytest.mark.slow
@pytest.mark.parametrize("name", GUARDS)
def test_units_that_somebody_thought_of(name: str) -> None:
    units = dict.fromkeys((*COMMON, *OWN.get(name, ())))
    assert not too_fast(read(GUARDS[name]), [("", unit, "") for unit in units])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(shipped()))
def test_repeats_of_every_shipped_pattern(name: str) -> None:
    assert not too_fast(read(GUARDS[name]), shipped()[name])


@pytest.mark.slow
def test_repeats_of_every_kind_of_secret() -> None:
    # A row is tried where its keyword stands.
    texts = {
        (before, keyword + again, behind)
        for row in table(None).rows
        for keyword in row.keywords[:1]
        for before, again, behind in (("", "", ""), *pumps(row.compiled)[:3])
    }
    assert len(texts) > 600
    assert not too_fast(read(GUARDS["Secrets"]), sorted(texts))


@pytest.mark.slow
def test_what_may_be_the_body_of_a_private_key() -> None:
    head, end = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    units = (
        "QUJD",
        "QUJD-",
        "QUJDQUJDQUJDQUJD\n",
        "\\n",
        "%2BQUJD",
        "// QUJD\n",
        "Ab: ",
    )
    pumps = [(head, unit, behind) for unit in units for behind in ("", end)]
    assert not too_fast(read(GUARDS["Secrets"]), pumps)


@pytest.mark.slow
def test_reading_a_text() -> None:
    def work(text: str) -> object:
        read = Text(text)
        return read.readings, read.foldings, read.settled(len(text))

    found = dict.fromkeys(("", unit, "") for unit in COMMON)
    for name in ("_cleaning", "_folding", "_settling", "_skeleton", "_unicode"):
        for pattern in patterns(import_module(f"promptguard.{name}")):
            found.update(dict.fromkeys(pumps(pattern)))
    assert not too_fast(work, list(found))


def test_a_square_is_seen() -> None:
    """What the others rest on: a pattern that does look again is found out."""
    slow = re.compile(r"a+b")
    assert ("", "a", "\x01") in pumps(slow)
    some, sizes = ("", "a", "\x01"), (1_000, 4_000)
    assert exponent(lambda text: slow.search(text), some, sizes) > 1.5
    assert exponent(lambda text: re.search("b", text), some, sizes) < LIMIT


def test_every_module_with_patterns_has_an_owner() -> None:
    for module in modules():
        owner(module)
    assert sum(map(len, shipped().values())) > 300
