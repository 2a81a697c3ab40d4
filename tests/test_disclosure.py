"""Disclosure: a name or a number beside somebody's health, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import promptguard as pg
from promptguard.drivers import drive
from promptguard.placeholders import Placeholders
from promptguard.sentences import gate_of
from promptguard.stream import Gate
from promptguard.testing import check_guard
from promptguard.text import Text

GUARD = pg.Disclosure()
REDACTING = pg.Disclosure(action=pg.Action.REDACT)

DISCLOSES = {
    "a known name": "Oliver is seven and has autism.",
    "an unknown name": "Xiomara has epilepsy.",
    "a title": "Mrs. Adeyemi was diagnosed with Parkinson's disease.",
    "kin and a name": "Our son, Stellan, is deaf.",
    "kin behind a name": "Ursula, my mother-in-law, takes a blood thinner.",
    "a pronoun": "Mateo hid under the table. He is autistic.",
    "her and him": "Josie met Pavel. His epilepsy got worse.",
    "a later name": "Because of her asthma Hana sat by the window.",
    "a possessive": "Kofi's asthma is worse in the autumn. He has an inhaler.",
    "a narrator": "My name is Caleb. I love trains. I have ADHD.",
    "a signature": "I have lupus and cannot come.\n\nYours, Noreen",
    "the one who speaks": '"I have spina bifida," said Hana.',
    "the reader": "Dear Ms. Lee, your biopsy shows melanoma.",
    "a record": "Name: Harriet Osei. Hemoglobin A1c 8.4 %.",
    "a number": "MRN: 00482913. Schizophrenia, stable on olanzapine.",
    "a mail address": "I have lupus. Write to ann.k@mail.example, please.",
    "a date of birth": "DOB 03/12/1971, presents with type 2 diabetes.",
    "a profession": "Dr. Patel was diagnosed with lupus.",
    "a medicine by its ending": "Wyatt takes lurasazepine at night.",
    "a broken bone": "Sanjay broke his wrist.",
    "capitals": "Willa lives with MS.",
}
QUIET = {
    "nobody's health": "Leo is having his teeth cleaned. He likes the fish.",
    "no name": "I have autism. I wear my headphones when it is loud.",
    "people in general": "Many autistic people like maps. Ask Joan at the desk.",
    "an expert": "Dr. Hollis, who treats children with epilepsy, has a tip.",
    "an expert who says": "Prof. Whitcombe says that autism is misread.",
    "a topic": "Paul read a book about diabetes.",
    "a charity": "Emma's charity raises money for cystic fibrosis.",
    "somebody else's name": "I have asthma. My best friend is called Jo.",
    "an illness with a name": "Hashimoto's thyroiditis is as common as gout.",
    "an illness in capitals": "Hypophosphatasia has many forms. Moyamoya is rare.",
    "an animal": "Our dog Biscuit has diabetes. Benny the bear has a broken leg.",
    "advice": "If you have depression, call Anna on 116 123.",
    "a house": "The Maple Street Hospital opened a diabetes ward.",
    "a shared mailbox": "I have a rash. Write to info@clinic.example.",
    "a verb": "Ms. Cole will add two chairs and the aids for the play.",
    "another language": "Frau Pugh hatte einen Tumor, und die Ärzte in Berlin haben "
    "ihr erst nach drei Monaten gesagt, dass die Operation nicht mehr möglich ist, "
    "weil es zu spät war.",
}


@pytest.mark.parametrize("text", DISCLOSES.values(), ids=DISCLOSES)
def test_health_beside_a_name_is_found(text: str) -> None:
    verdict = GUARD.check(text, role="assistant")
    assert verdict.blocked
    assert {f.label for f in verdict.findings} == {"disclosure", "health", "identity"}


@pytest.mark.parametrize("text", QUIET.values(), ids=QUIET)
def test_what_is_no_disclosure_is_quiet(text: str) -> None:
    assert not GUARD.check(text, role="assistant").findings


def test_findings_say_which_facts_and_where() -> None:
    text = "Today Mateo stays in. He has asthma. Mateo reads to Nurse Kelly."
    found = {(f.label, text[f.start : f.end]) for f in GUARD.check(text).findings}
    assert found == {
        ("identity", "Mateo"),
        ("health", "asthma"),
        ("disclosure", "Mateo stays in. He has asthma"),
    }
    places = [f.start for f in GUARD.check(text).findings if f.label == "identity"]
    assert places == [6, text.rindex("Mateo")]


@pytest.mark.parametrize(
    "text",
    [
        "M\u200bateo has a\u200bsthma.",
        "Mateo has ａｓｔｈｍａ.",
        "Mateo has \u0430sthma.",
        "Mateo has a s t h m a.",
        "Mat\u00e9o has asthm\u00e0.",
    ],
)
def test_disguises_are_undone(text: str) -> None:
    verdict = REDACTING.check(text)
    assert verdict.action is pg.Action.REDACT
    assert verdict.text.startswith("<IDENTITY_1:") and verdict.text.endswith(text[-7:])


def test_a_redaction_takes_every_mention_out_and_leaves_the_rest() -> None:
    text = "Mateo has asthma. Mateo's coach, Mr. Brandt, knows. Ask Mateo."
    verdict = REDACTING.check(text)
    token = verdict.text[: verdict.text.index(" has")]
    assert token.startswith("<IDENTITY_1:")
    assert verdict.text == text.replace("Mateo", token)
    masked = pg.Disclosure(action=pg.Action.REDACT, operator=lambda label, value: "[?]")
    assert masked.check(text).text == text.replace("Mateo", "[?]")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("MATEO GARCIA HAS ASTHMA. HE USES AN INHALER.", "MATEO GARCIA"),
        ("TODAY MATEO STAYS AT HOME. HE HAS ASTHMA.", "MATEO"),
        ("Note this.\nTOM WAS DIAGNOSED WITH DIABETES", "TOM"),
    ],
)
def test_in_capitals_a_name_ends_before_the_verb(text: str, name: str) -> None:
    findings = GUARD.check(text).findings
    assert {text[f.start : f.end] for f in findings if f.label == "identity"} == {name}


def test_a_text_in_capitals_about_nobody_is_quiet() -> None:
    text = "ASTHMA IS COMMON. DR. HOLLIS SAYS THAT CHILDREN WITH ASTHMA LIKE MAPS."
    assert not GUARD.check(text).findings


def test_actions_can_be_given_by_label() -> None:
    guard = pg.Disclosure(action=pg.Action.FLAG)
    assert guard.check("Mateo has asthma.").action is pg.Action.FLAG
    with pytest.raises(pg.ConfigError, match="label of Disclosure"):
        pg.Disclosure(actions={"name": pg.Action.FLAG})


def test_it_keeps_the_rules_of_guards() -> None:
    check_guard(GUARD, [*DISCLOSES.values(), *QUIET.values()])
    check_guard(REDACTING, [*DISCLOSES.values()])


_PIECES = st.sampled_from(
    "Mateo|Mia|Dr. Rao|Mrs. Bell|My name is Tom|I|she|his|the patient|people|you"
    "|Dear Ann|has|is|takes|with|about|said|asthma|deaf|insulin|headache|MRN: 48291"
    "|a@b.example|.|, |. |\n|; |\"|'s|(|)|<IDENTITY_1:0123456789abcdef>".split("|")
)
_TEXTS = st.lists(_PIECES, max_size=24).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(_TEXTS)
def test_redacting_changes_names_alone_and_twice_is_once(text: str) -> None:
    verdict = REDACTING.check(text)
    spans = sorted((f.start, f.end) for f in verdict.findings if f.label == "identity")
    done, at = 0, 0
    for start, end in spans:
        if start < done:
            continue
        kept = text[done:start]
        assert verdict.text.startswith(kept, at)
        at = verdict.text.index(">", at + len(kept)) + 1
        done = end
    assert verdict.text[at:] == text[done:]
    assert REDACTING.check(verdict.text).text == verdict.text


def test_a_stream_is_blocked_before_the_name_and_the_fact_are_both_out() -> None:
    text = "We went to the park. It was sunny there, and the ducks were loud. " * 2
    story = f"{text}Then Mateo got tired. {text}He has asthma. {text}"
    gate = gate_of(GUARD, Placeholders())
    out = ""
    with pytest.raises(pg.Blocked) as caught:
        for at in range(0, len(story), 7):
            gate.feed(story[at : at + 7])
            out += _run(gate.release())
        out += _run(gate.release(end=True))
    assert story.startswith(out) and "asthma" not in out
    labels = {f.label for f in caught.value.verdict.findings}
    assert labels == {"disclosure", "health", "identity"}


def test_a_stream_is_redacted_as_the_whole_text() -> None:
    placeholders = Placeholders()
    story = "Mateo likes ducks. " + "They are loud. " * 40 + "Mateo has asthma."
    gate = gate_of(REDACTING, placeholders)
    assert isinstance(gate, Gate)
    out = ""
    for at in range(0, len(story), 11):
        gate.feed(story[at : at + 11])
        out += _run(gate.release())
    out += _run(gate.release(end=True))
    token = out[: out.index(" likes")]
    assert out == story.replace("Mateo", token) and token.startswith("<IDENTITY_1:")


def test_what_stands_far_apart_is_not_tied() -> None:
    filler = "The ducks were loud. " * 200
    assert not GUARD.check(f"My name is Tom. {filler} I have asthma.").findings


def test_plain_text_is_let_through_by_a_look_at_its_words() -> None:
    from promptguard.guards._disclosure import facts

    text = Text("Tom and his sister went to the lake and fed the ducks. " * 20)
    assert not facts.worth(text.clean.text, text.folded.text)


def _run(checks: object) -> str:
    """Drive a gate's checks to their end; gives what it lets out."""
    try:
        engine = next(checks)  # type: ignore[call-overload]
        while True:
            engine = checks.send(drive(engine))  # type: ignore[attr-defined]
    except StopIteration as stop:
        return str(stop.value)
