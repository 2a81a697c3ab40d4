"""Profanity: what it finds, what it leaves alone, and what it makes of both."""

from __future__ import annotations

import pickle
import random
import re
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptguard.errors import ConfigError
from promptguard.guard import Guard
from promptguard.guards import _finders
from promptguard.guards._profanity import search
from promptguard.guards._wordlists import LANGUAGES, TOPICS, entries, innocent, topical
from promptguard.guards.profanity import Profanity
from promptguard.placeholders import Placeholders
from promptguard.stream import Gate
from promptguard.testing import check_guard
from promptguard.text import Text
from promptguard.verdict import Action


def found(guard: Guard, text: str) -> list[str]:
    """What the guard found, in the caller's own characters."""
    return [text[f.start : f.end] for f in guard.check(text).findings]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("oh fuck it", ["fuck"]),
        ("FUCKING hell", ["FUCKING"]),
        ("you motherfucker.", ["motherfucker"]),
        ("such bullshit, shitty as ever", ["bullshit", "shitty"]),
        ("fuuuuuck", ["fuuuuuck"]),
        ("a fuuck and a shitt", ["fuuck", "shitt"]),
        ("bitchesss", ["bitchesss"]),
        ("sh1t and b1tch", ["sh1t", "b1tch"]),
        ("sh!t, b!tch!", ["sh!t", "b!tch"]),
        ("an a$$hole", ["a$$hole"]),
        ("f*ck, f**k and n****r", ["f*ck", "f**k", "n****r"]),
        ("f@ggot", ["f@ggot"]),
        ("f.u.c.k and fu.ck", ["f.u.c.k", "fu.ck"]),
        ("s h i t", ["s h i t"]),
        ("f_u_c_k f-u-c-k", ["f_u_c_k", "f-u-c-k"]),
        ("fu ck", ["fu ck"]),
        ("f\u200bu\u200bck", ["f\u200bu\u200bck"]),
        ("fսck fuсk", ["fսck", "fuсk"]),
        ("ｆｕｃｋ 𝓯𝓾𝓬𝓴", ["ｆｕｃｋ", "𝓯𝓾𝓬𝓴"]),
        ("f̶u̶c̶k̶", ["f̶u̶c̶k̶"]),
        ("a **fuck** in bold", ["fuck"]),
        ("fuck's sake", ["fuck"]),
        ("dickface cockhead assclowns", ["dickface", "cockhead", "assclowns"]),
        ("cunting cunts", ["cunting", "cunts"]),
        ("f--k it, what a b---h", ["f--k", "b---h"]),
        ("such an a*****e", ["a*****e"]),
        ("bi,tch", ["bi,tch"]),
        ("xxbitchxx and bullshit123", ["xxbitchxx", "bullshit123"]),
        ("youareadick", ["youareadick"]),
        ("a fu cker, a pus sy", ["fu cker", "pus sy"]),
        ("a rimjob, a rim job", ["rimjob", "rim job"]),
        ("5!ut, $#!t", ["5!ut", "$#!t"]),
        ("your ass, nice boobs", ["ass", "boobs"]),
        ("他妈的fuck你", ["他妈的", "fuck"]),
        ("son of\na bitch", ["son of\na bitch", "bitch"]),
        ("such a s h i t", ["s h i t"]),
        ("u r a d.i.c.k", ["d.i.c.k"]),
        ("f(u)ck and bi[t]ch", ["f(u)ck", "bi[t]ch"]),
        ("sh'it, cu'nt", ["sh'it", "cu'nt"]),
        ("oh sh**, what bit**", ["sh**", "bit**"]),
        ("c🍆ck and sh💩t", ["c🍆ck", "sh💩t"]),
        ("nniiggggeerr", ["nniiggggeerr"]),
        ("shlt, bltch", ["shlt", "bltch"]),
        ("whatbitchesthese, myassholefriend", ["whatbitchesthese", "myassholefriend"]),
    ],
)
def test_english_is_found_in_its_disguises(text: str, parts: list[str]) -> None:
    assert found(Profanity(), text) == parts


@pytest.mark.parametrize(
    ("language", "text", "parts"),
    [
        ("ar", "يا ابن الشرموطة", ["ابن الشرموطة", "الشرموطة"]),
        ("cs", "ty čuráku, do píči", ["čuráku", "do píči"]),
        ("da", "din møgluder", ["møgluder"]),
        ("de", "Du Hurensohn, verpiss dich!", ["Hurensohn", "verpiss"]),
        ("de", "Die Scheißkarre, SCHEISSE", ["Scheißkarre", "SCHEISSE"]),
        ("es", "vete a la mierda, cabrón", ["vete a la mierda", "mierda", "cabrón"]),
        ("fa", "مادرجنده", ["مادرجنده"]),
        ("fi", "haista vittu", ["haista vittu", "vittu"]),
        ("fr", "espèce d'enculé de merde", ["enculé", "merde"]),
        ("hi", "तू मादरचोद है, madarchod", ["मादरचोद", "madarchod"]),
        ("hu", "baszd meg, kurva", ["baszd meg", "kurva"]),
        ("it", "che stronzo, vaffanculo", ["stronzo", "vaffanculo"]),
        ("ja", "このクソ野郎、パチンコ", ["クソ野郎"]),
        ("ko", "야 이 개새끼야", ["개새끼"]),
        ("nl", "godverdomme, klootzak", ["godverdomme", "klootzak"]),
        ("no", "din jævla drittsekk", ["jævla", "drittsekk"]),
        ("pl", "kurwa, wypierdalaj", ["kurwa", "wypierdalaj"]),
        ("pt", "filho da puta, caralho", ["filho da puta", "puta", "caralho"]),
        ("ru", "Иди в пизду, блядь", ["пизду", "блядь"]),
        ("sv", "jävla horunge", ["jävla", "horunge"]),
        ("th", "ไอ้เหี้ย", ["ไอ้เหี้ย"]),
        ("tr", "orospu çocuğu", ["orospu çocuğu", "orospu"]),
        ("uk", "пішов на хуй, курва", ["хуй", "курва"]),
        ("zh", "你这个大傻逼", ["大傻逼"]),
    ],
)
def test_each_language_by_name(language: str, text: str, parts: list[str]) -> None:
    verdict = Profanity(languages=(language,)).check(text)
    spans = [text[f.start : f.end] for f in verdict.findings]
    assert set(parts) <= set(spans)
    # Nothing beside them.
    rest = [span for span in spans if not any(p in span or span in p for p in parts)]
    assert rest == []


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe, Penistone, Lightwater, Clitheroe and Middlesex",
        "They assess the class, assume a passive mass and assassinate Picasso.",
        "Dickens, Dickinson, Moby Dick, Philip K. Dick and Dick Van Dyke",
        "a cockpit, a cocktail, a peacock, a cockroach, Hancock and Cockburn",
        "a title, a titanic appetite, a blue tit, tit for tat",
        "shiitake mushrooms, a Matsushita radio, Mr Yamashita and Harshit",
        "Hello shell, a nutshell; the analyst analyses the document.",
        "spices, spicy, spick and span, a chink in the armour",
        "a therapist, circumstance, cumulative, cucumber, accumulate",
        "a bass, a bassoon, grass, brass, glass, molasses, an ambassador",
        "mustard, custard, bustard, leotard, a retardant",
        "snigger, niggard, niggling, Niger and Nigeria",
        "pussy willow, a pussyfooting Pussy Riot",
        "foreach ($hits as $hit) { $hit->id = $hit; }",
        "Homo sapiens; a Maine coon; retarder; the Wankel engine",
        "Road D490, part A55, d1 c0 b1 mp3, 3x4, a*b*c, x=f(k)",
        "joe@ss.com and www.as.s.example/fu/ck",
        "Schubert und Schumann, Marsch, Barsch, ein dicker Fisch, bitte",
        "Das hat gotten, ten and Göttingen nothing to do with it.",
        "страхуйте, психуя, хуанхэ, Небанальный",
        "他妈妈的手、我操作、パチンコ店、カウンター",
        "le train a du retard",
        "We are Fuchs, Fukuda, Fukushima, Fukui and Essex.",
        "Günter aß Kräuter, çok güzel, phục vụ, Båstad, indikator",
        "Manassas, Onassis, Poornima, Pollack, Leitch and a barometer",
        "prices, spaces, a nonce, git, i18n, i18next and a11y",
        "f_{k} = 4x^3 and well--known, it--is",
        "Killing people, hate speech and white power are no swear words.",
        "gay, lesbian, jewish, asian, transgender, a black guy, my wife",
        "chicken breasts, sexual health, penis, anus, breast cancer, rape",
        "who're they? We're, you'll see; class(es), her(s) and th(is)",
        "**what to di** and *as**, int** p; a b c d e; i a m h e r e; a.s.a.p.",
        "Dido, tittle-tattle and the cat 🐈 sat on the mat 🔥🔥",
    ],
)
def test_the_innocent_are_left_alone(text: str) -> None:
    assert found(Profanity(), text) == []


def test_what_is_ordinary_elsewhere_needs_its_language() -> None:
    text = "fan av slut; bite; polla"
    assert found(Profanity(), "Jag är ett fan") == []
    assert found(Profanity(severity=1, languages=("sv",)), "fan också") == ["fan"]
    assert found(Profanity(languages=("fr",)), text) == ["bite"]
    assert found(Profanity(languages=("es",)), text) == ["polla"]


def test_accents_count_where_they_make_the_word() -> None:
    turkish = Profanity(languages=("tr",))
    assert found(turkish, "götten, gotten, GÖT") == ["götten", "GÖT"]


def test_severity_is_a_threshold_and_the_label() -> None:
    text = "damn this shit, you cunt"
    labels = {
        severity: [f.label for f in Profanity(severity=severity).check(text).findings]
        for severity in (1, 2, 3)
    }
    assert labels == {
        1: ["mild profanity", "strong profanity", "severe profanity"],
        2: ["strong profanity", "severe profanity"],
        3: ["severe profanity"],
    }


def test_own_words_are_found_whatever_the_severity() -> None:
    guard = Profanity(severity=3, words=("heck", "frobni*", "*zorg*", "jumping jacks"))
    text = "h3ck, frobnicate, megazorgs, Jumping  Jacks, checked, shit"
    assert found(guard, text) == ["h3ck", "frobnicate", "megazorgs", "Jumping  Jacks"]
    assert {f.label for f in guard.check(text).findings} == {"listed word"}
    assert found(Profanity(languages=(), words=("heck",)), "heck, fuck") == ["heck"]


def test_allowed_words_and_phrases_are_left_alone() -> None:
    guard = Profanity(allow=("shit", "holy fuck", "bitchin*"))
    text = "shit, shitty, holy fuck, fuck, bitching, bitch, sh!t"
    assert found(guard, text) == ["shitty", "fuck", "bitch"]
    assert found(Profanity(allow=("傻逼人",)), "傻逼人和傻逼") == ["傻逼"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("such a knob jockies' bar", "knob jockies"),
        ("you spearchuck ers", "spearchuck ers"),
        ("that is an assw hole", "assw hole"),
    ],
)
def test_a_long_word_torn_where_no_word_ends_is_found(text: str, part: str) -> None:
    assert found(Profanity(), text) == [part]


@pytest.mark.parametrize(
    "text",
    ["she bakes her pies", "my foot job pays", "the hose job", "a beat off the drum"],
)
def test_a_compound_apart_may_be_words_in_their_plain_sense(text: str) -> None:
    assert found(Profanity(), text) == []


def test_a_plain_word_torn_in_two_is_no_swear_word() -> None:
    assert found(Profanity(severity=1), "hard on, fell late, jack offer") == []


def test_accents_make_another_word() -> None:
    guard = Profanity(severity=1)
    assert found(guard, "Er aß viel, ass!") == ["ass"]


@pytest.mark.parametrize("shift", range(0, 16, 2))
def test_a_torn_word_is_found_wherever_a_long_text_is_parted(shift: int) -> None:
    edge = 1 << 16
    text = "a " * ((edge - 14 + shift) // 2) + "fu cker" + " a" * 40
    assert found(Profanity(), text) == ["fu cker"]


def test_the_second_look_finds_what_the_first_did() -> None:
    """What is remembered of words changes nothing."""
    text = "a cockpit, a fuckhead, fuuuck, fu cker, sh!t"
    guard = Profanity(words=("zorg",))
    first = [(f.start, f.end, f.label) for f in guard.check(text).findings]
    again = [(f.start, f.end, f.label) for f in guard.check(text).findings]
    assert first == again and len(first) == 4


def test_an_allowed_beginning_does_not_hide_the_rest() -> None:
    assert found(Profanity(), "assumefuckers") == ["assumefuckers"]


def test_redaction_covers_every_character_of_the_word() -> None:
    verdict = Profanity().check("Oh f u c k, what sh!t.")
    assert verdict.action is Action.REDACT
    assert verdict.text == "Oh *******, what ****."
    assert Profanity(mask="█").check("shit").text == "████"


def test_without_a_mask_there_are_placeholders() -> None:
    text = Profanity(mask=None).check("what a shit and a shit").text
    assert re.fullmatch(r"what a (<STRONG_PROFANITY_1:[0-9a-f]{16}>) and a \1", text)


def test_block_instead() -> None:
    assert Profanity(action=Action.BLOCK).check("shit").blocked


def test_where_masks_disagree_a_placeholder_is_written() -> None:
    both = Profanity() | Profanity(name="other", mask="#")
    assert both.check("shit happens").text.startswith("<STRONG_PROFANITY_1:")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"severity": 0}, r"1 \(mild\), 2 \(strong\), 3 \(severe\)"),
        ({"severity": True}, "severity must be"),
        ({"languages": "en"}, "languages must be several"),
        (
            {"languages": ("eng",)},
            "unknown language 'eng'; did you mean 'en'.*Known: a",
        ),
        ({"languages": ()}, "no language and no words"),
        ({"words": "heck"}, "words must be several"),
        ({"words": ("ok", "")}, "words: word 1, '', cannot"),
        ({"words": ("a*b",)}, "only at its start or end"),
        ({"words": (3,)}, "words: word 0 is a int"),
        ({"allow": ("**",)}, "allow: word 0"),
        ({"mask": "ab"}, "mask must be one visible sign"),
        ({"mask": "x"}, "mask must be one visible sign"),
        ({"mask": '"'}, "mask must be one visible sign"),
        ({"mask": ""}, "mask must be one visible sign"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Profanity(**options)  # type: ignore[arg-type]


def test_words_come_from_a_file(tmp_path) -> None:
    path = tmp_path / "allow.txt"
    path.write_text("# ours\nshit   # fine here\n\nholy fuck\nbitch*\n", "utf-8-sig")
    assert Profanity.read(path) == ("shit", "holy fuck", "bitch*")
    assert found(Profanity(allow=Profanity.read(path)), "shit, holy fuck, cunt") == [
        "cunt"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\ntwo, three\n", "line 2: not a word or phrase"),
        (b"one\n\n***\n", "line 3: not a word or phrase"),
        (b"one\nb\xff\n", "line 2: not UTF-8"),
        (b"a*b\n", "line 1: not a word"),
        (b"x" * 300, "line 1: 300 characters"),
    ],
)
def test_a_bad_line_of_a_file_is_named(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"words.txt, {message}"):
        Profanity.read(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the word list .*none\.txt"):
        Profanity.read(tmp_path / "none.txt")


def test_the_languages_are_the_files_and_each_states_where_it_is_from() -> None:
    folder = files("promptguard") / "data" / "profanity"
    names = {path.name for path in folder.iterdir() if path.name.endswith(".toml")}
    assert names == {f"{language}.toml" for language in LANGUAGES}
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        table = tomllib.loads(text)
        assert table["licence"] and table["language"]
        for source in table["sources"]:
            assert source["licence"] in {
                "CC-BY-4.0",
                "MIT",
                "MIT OR Apache-2.0",
                "WTFPL",
            } or (source["title"] == "Written for this library")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_listed_word_is_found_by_its_language(language: str) -> None:
    guard = Profanity(severity=1, languages=(language,))
    spared = {entry.text.casefold() for entry in innocent(language)}
    missed = [
        entry.text
        for entry in entries(language, False)
        if not entry.joins
        and entry.text.casefold() not in spared
        and not guard.check(f"{entry.text}").flagged
    ]
    assert missed == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_innocent_is_left_alone_by_its_language(language: str) -> None:
    guard = Profanity(severity=1, languages=(language,))
    wrong = [
        entry.text for entry in innocent(language) if guard.check(entry.text).flagged
    ]
    assert wrong == []


def test_a_used_guard_is_still_a_value() -> None:
    guard = Profanity(words=("heck",))
    guard.check("heck")
    copy = pickle.loads(pickle.dumps(guard))
    assert copy == guard and hash(copy) == hash(guard) and vars(copy) == vars(guard)


SAMPLES = [
    "what the fuck, you a$$hole; sh!t and f*ck and f u c k, son of a bitch",
    "Scunthorpe, Moby Dick, holy shit, fuuuuck\nand\tmotherfucker",
    "他妈的, パチンコ, चूतिया, блядь на хуй and Hurensohn, Scheiße",
    "s\b\b\bshit f\u200buck ｓｈｉｔ b1tch $hit = 3 and $hit",
    "Nothing of the kind is in this one, or so it seems at first sight.",
]


@pytest.mark.parametrize(
    "guard",
    [
        Profanity(),
        Profanity(severity=1, mask=None),
        Profanity(action=Action.BLOCK),
        Profanity(languages=("de", "ru"), words=("first sight",), allow=("moby",)),
    ],
    ids=["default", "mild", "block", "own"],
)
def test_the_guard_keeps_the_rules(guard: Guard) -> None:
    check_guard(guard, SAMPLES, long=3_000)


@pytest.mark.parametrize("mask", "+$\u2022?!@&#\u2588|\u00d7*%~_")
def test_a_mask_is_no_letter_in_disguise(mask: str) -> None:
    guard = Profanity(mask=mask)
    once = guard.check("-it(ass\U0001f642").text
    assert once == f"-it({mask * 3}\U0001f642"
    assert guard.check(once).text == once
    # Somebody else's sign still is one.
    assert guard.check("a$$").text == mask * 3
    assert guard.check("sh!!t").text == mask * 5


@pytest.mark.parametrize("mask", "+$|")
def test_redacting_twice_with_another_mask_changes_nothing_more(mask: str) -> None:
    guard, chance = Profanity(mask=mask, severity=1), random.Random(mask)
    for _ in range(250):
        parts = (chance.choice(BESIDE) for _ in range(chance.randint(1, 9)))
        text = "".join(part + chance.choice(("", "", " ")) for part in parts)
        once = guard.check(text).text
        assert guard.check(once).text == once


BESIDE = (
    "fuck shit bitch ass cker f*ck sh!t a$$ it( -it ( ) + ++ $ | ! * ' . - _ \n s "
    "\U0001f642 \U0001f595 class son of a hole hell er ing sh ck 1 xx"
).split(" ")
PIECES = st.sampled_from(
    "fuck shit bitch ass fu ck f*ck sh!t a$$ f.u.c.k f u c k $hit class Dick Moby "
    "son of a bitch holy хуй блядь на 他妈的 傻逼 チンコ パ scheiße hell o fuuuck * ** "
    "! . , - _ \u200b \n 1 n****r mother er ing Scunthorpe cker pus sy f--k -- xx aß "
    "bi,tch shit12 99 power white jack".split(" ")
)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from(["", " ", " ", "\n"]))).map(
    lambda pairs: "".join(part + gap for part, gap in pairs)
)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_spans_point_into_the_text_and_redaction_changes_nothing_else(text) -> None:
    verdict = Profanity().check(text)
    assert len(verdict.text) == len(text)
    inside = {at for f in verdict.findings for at in range(f.start, f.end)}
    for at, (before, after) in enumerate(zip(text, verdict.text, strict=True)):
        assert after == ("*" if at in inside else before)


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_redacting_twice_changes_nothing_more(text) -> None:
    guard = Profanity()
    once = guard.check(text).text
    assert guard.check(once).text == once


@given(TEXTS, st.lists(st.integers(1, 30), min_size=1))
@settings(max_examples=80, deadline=None)
def test_a_stream_is_redacted_like_the_whole_text(text, sizes) -> None:
    guard = Profanity()
    gate = Gate(guard, Placeholders())
    out, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        gate.feed(text[at : at + size])
        out.append(released(gate))
        at, turn = at + size, turn + 1
    out.append(released(gate, end=True))
    assert "".join(out) == guard.check(text).text


def released(gate: Gate, end: bool = False) -> str:
    steps = gate.release(end)
    verdicts = None
    while True:
        try:
            engine = steps.send(verdicts)
        except StopIteration as done:
            return str(done.value)
        engine.start()
        verdicts = engine.verdicts


@given(TEXTS | st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_the_extra_fast_finds_the_same(text: str) -> None:
    pytest.importorskip("ahocorasick_rs", reason="the extra fast is not installed")
    look = search(1, None, (), ())
    stems = look.lexicon.openers
    folded = Text(text).folded.text
    finders = [
        _finders.finder(look.lexicon, way(stems))
        for way in (_finders.pattern, _finders.automaton)
    ]
    plain, fast = (
        {
            (start, end, look.lexicon.judge(folded[start:end]))
            for start, end in find(folded, 0)
            if look.lexicon.judge(folded[start:end])
        }
        for find in finders
    )
    assert plain == fast


WORST = {
    "letters": "fuc",
    "masked": "f*",
    "stars": "*a",
    "stretched": "aab",
    "compound": "ass",
    "pieces": "my ass ",
    "half": "son of a ",
    "torn": "fu cker ",
    "dashed": "f--",
    "numbered": "shit1 ",
    "separators": "f.",
    "signs": "$hi",
    "katakana": "パチンコ",
    "cyrillic": "хуе",
}


@pytest.mark.parametrize("unit", WORST.values(), ids=WORST)
def test_work_grows_with_the_length_of_the_text(unit: str) -> None:
    """Counted in calls and lines of the interpreter, so that no clock is asked."""
    guard = Profanity()
    guard.check(unit)

    def work(size: int) -> int:
        text = Text(unit * (size // len(unit)))
        text.folded, text.clean  # noqa: B018
        return counted(lambda: list(guard.inspect(text)))

    small, large = work(2_000), work(8_000)
    assert large <= 5 * small + 2_000


def counted(call) -> int:
    import sys

    lines = 0

    def trace(frame, event, argument):
        nonlocal lines
        lines += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def labels(guard: Profanity, text: str) -> list[tuple[str, str]]:
    return [(f.label, text[f.start : f.end]) for f in guard.check(text).findings]


def test_topics_are_found_if_asked_for_and_are_no_profanity() -> None:
    text = "my girlfriend's heroin, 天安门, fuck"
    assert labels(Profanity(), text) == [("strong profanity", "fuck")]
    assert labels(Profanity(topics=("drugs",)), text) == [
        ("topic word", "heroin"),
        ("strong profanity", "fuck"),
    ]
    guard = Profanity(topics=("romance", "politics"), languages=("en", "zh"))
    assert [part for _, part in labels(guard, text)] == ["girlfriend", "天安门", "fuck"]
    only = Profanity(topics=("politics",), languages=("en",))
    assert [part for _, part in labels(only, text)] == ["fuck"]


def test_a_topic_goes_through_disguises_and_is_redacted() -> None:
    guard = Profanity(topics=("drugs",))
    assert guard.check("some c o c a i n e, her\u200boin, ｈｅｒｏｉｎ").text == (
        "some *************, *******, ******"
    )
    assert not guard.check("a heroine, heroines and 8==d").flagged


def test_what_is_allowed_is_no_topic_word() -> None:
    guard = Profanity(topics=("romance",), allow=("my wife",))
    assert labels(guard, "my wife, a wife") == [("topic word", "wife")]


def test_what_is_profane_and_of_a_topic_is_profane() -> None:
    for severity in (1, 2):
        guard = Profanity(severity=severity, topics=TOPICS)
        assert ("severe profanity", "nigger") in labels(guard, "a nigger")
        assert "topic word" not in dict(labels(guard, "a nigger"))


def test_an_unknown_topic_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="did you mean 'drugs'"):
        Profanity(topics=("drug",))
    with pytest.raises(ConfigError, match="several"):
        Profanity(topics="drugs")  # type: ignore[arg-type]


def test_topics_keep_the_rules_of_guards() -> None:
    guard = Profanity(topics=TOPICS)
    check_guard(guard, ["my girlfriend takes heroin", "the gestapo, s h i t, 天安门 x"])


def test_every_topic_of_a_list_has_a_name() -> None:
    folder = files("promptguard") / "data" / "profanity"
    for language in LANGUAGES:
        text = (folder / f"{language}.toml").read_text(encoding="utf-8")
        assert set(tomllib.loads(text).get("topics", {})) <= set(TOPICS), language
    assert all([*topical("en", topic)] for topic in TOPICS)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_word_of_a_topic_is_found_by_it(topic: str) -> None:
    for language in ("en", "zh"):
        guard = Profanity(severity=3, topics=(topic,), languages=(language,))
        words = [entry.text for entry in topical(language, topic)]
        assert [word for word in words if not guard.check(word).flagged] == []
