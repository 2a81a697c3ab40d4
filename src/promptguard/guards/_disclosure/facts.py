"""What a text says of somebody's health or body, and numbers that name a person."""

from __future__ import annotations

import re
from typing import NamedTuple

from .._pii.candidates import best
from .._pii.chains import VEIL
from .._pii.finders import Finders
from .passage import Passage
from .tables import health

__all__ = ["Fact", "facts", "identifiers", "worth"]


class Fact(NamedTuple):
    """Something that is said; positions in a passage.

    Args:
        start: Where it begins.
        end: Where it ends.
        strong: It is one by itself. If not: health that counts of a person in the same
            sentence, or an identifier by which somebody is reached, not told.
    """

    start: int
    end: int
    strong: bool


# How heavy, how tall, how old a heart: what is measured of a body.
_LABORATORY = re.compile(
    r"\b(?:bmi|body mass index|(?:hemoglobin |haemoglobin )?(?:a1c|hba1c)"
    r"|blood pressure|heart rate|inr|blood sugar"
    r"|glucose|cholesterol|ferritin|creatinine|h(?:a)?emoglobin|platelets|psa"
    r"|tsh)\b[^.!?\n\d]{0,24}\d+(?:[.,/]\d+)*(?: ?%)?"
)
_MEASURES = re.compile(
    r"\b(?:weigh(?:s|ed|ing|t)?|height|pulse|temperature|iq"
    r"|tall)\b[^.!?\n\d]{0,24}\d+(?:[.,/]\d+)*"
    r"|\b\d+(?:[.,]\d+)? ?(?:kg|kilos?|pounds|lbs?|stone|cm|feet|ft)\b(?= (?:tall"
    r"|heavy|in weight))"
    r"|\b\d+(?:[.,]\d+)? ?(?:mg|mcg|units|milligrams?|micrograms?)\b"
    r"|\b(?:lost|gained|has gained|put on) [\w.]+ ?(?:kg|kilos?|pounds|lbs?|stone)\b"
)
_BROKEN = re.compile(
    r"\b(?:broke|broken|fractured|breaks|sprained|twisted|tore|dislocated|amputated"
    r"|injured)"
    r" (?:his|her|their|my|the|your|a|an|one|both)"
    r" (?:\w+ )?(?:arms?|legs?|wrist|ankle|hip|foot|neck|ribs?|collarbone|nose|finger"
    r"|toe|shoulder"
    r"|elbow|knee|ligament|skull|jaw|back)\b"
)

# A number that stands for a person beside what it is called.
_NUMBERED = re.compile(
    r"\b(?:mrn|medical record(?: number| no\.?)?|(?:patient|member|client|case|chart"
    r"|hospital|insurance"
    r"|policy|subscriber|beneficiary|health card|nhs|medicare|medicaid|student"
    r"|employee|file|record|account)"
    r" ?(?:number|no\.?|id|#|identifier)|id(?: number| no\.?)?|dob|d\.o\.b\."
    r"|date of birth|ssn)"
    r"(?: is| was)?[ :#=.]{1,4}((?=[a-z-]{0,6}\d)[a-z0-9][a-z0-9./-]{3,18}[a-z0-9])"
)
_ADDRESS = re.compile(
    r"\b\d{1,5}[A-Za-z]? (?:[A-Z][\w'.]+ ){1,3}(?:Street|St|Road|Rd|Lane|Ln|Avenue|Ave"
    r"|Drive|Dr|Court"
    r"|Ct|Way|Place|Close|Boulevard|Blvd|Terrace|Crescent|Square|Row|Hill|Gardens)\b"
)
_HANDLE = re.compile(r"(?<![\w@.])@[A-Za-z_]\w{2,30}\b(?!\.\w)")
_TELEPHONE = re.compile(
    r"\b(?:call|phone|text|tel|telephone|ring|mobile|cell|reach"
    r"|number)\b[^.!?\n]{0,30}?"
    r"(\+?\(?\d[\d() -]{5,16}\d)"
)
# Nobody's own mailbox.
_SHARED = re.compile(
    r"(?:info|support|office|contact|hello|help|sales|press|admin|team|enquiries"
    r"|service|no-?reply)@",
    re.I,
)
_TOLD = ("EMAIL_ADDRESS", "PHONE_NUMBER")
_NO_PERSON = frozenset(
    "IP_ADDRESS MAC_ADDRESS URL_CREDENTIALS CRYPTO US_NPI MEDICAL_LICENSE DE_LANR "
    "AU_ABN AU_ACN SG_UEN IN_GSTIN KR_BRN BR_CNPJ US_EIN ABA_ROUTING_NUMBER "
    "SE_ORGANISATIONSNUMMER IT_VAT_CODE".split()
)
_WORD = re.compile("[a-z]+")
_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,5}(?![A-Za-z])")
# Short for many things; a condition behind such a word.
_AMBIGUOUS = frozenset("ADD BPD CF CP GAD MS ODD PDA SAD SMA SPD STI".split())
_HAS = re.compile(
    r"\b(?:has|had|have|with|for|and|or|of|from|his|her|my|their|severe|mild|to) \Z"
)


def worth(clean: str, folded: str) -> bool:
    """False where nothing can be said of health, which takes little time to see.

    Args:
        clean: A clean reading.
        folded: The same, folded.
    """
    table = health()
    seen = set(_WORD.findall(folded))
    if not table.telling.isdisjoint(seen):
        return True
    if any(word.endswith(table.endings) for word in seen):
        return True
    return not table.capitals.isdisjoint(_CAPITALS.findall(clean))


def facts(passage: Passage) -> list[Fact]:
    """What is said of health, in order; none inside another."""
    table = health()
    lower = passage.lower
    found = [Fact(*m.span(), True) for m in table.strong.finditer(lower)]
    found += (Fact(*m.span(), True) for m in _BROKEN.finditer(lower))
    found += (Fact(*m.span(), True) for m in _LABORATORY.finditer(lower))
    found += (Fact(*m.span(), False) for m in _MEASURES.finditer(lower))
    found += (Fact(*m.span(), False) for m in table.weak.finditer(lower))
    for match in _CAPITALS.finditer(passage.text):
        before = lower[max(0, match.start() - 8) : match.start()]
        sure = match[0] not in _AMBIGUOUS or _HAS.search(before)
        if match[0] in table.capitals and sure:
            found.append(Fact(*match.span(), True))
    for match in _WORD.finditer(lower):
        word = match[0]
        if word.endswith(table.endings) and word not in table.harmless:
            found.append(Fact(*match.span(), True))
    return _outermost(found)


def identifiers(passage: Passage, finders: Finders) -> list[Fact]:
    """Numbers and addresses that name one person, in order."""
    text = passage.text
    found = []
    if Finders.worth(text):
        for one in best(finders.find(text, 0)):
            if one.entity in _NO_PERSON or _SHARED.match(text, one.start):
                continue
            found.append(Fact(one.start, one.end, one.entity not in _TOLD))
        found += (Fact(*m.span(1), True) for m in _NUMBERED.finditer(passage.lower))
        found += (Fact(*m.span(1), False) for m in _TELEPHONE.finditer(passage.lower))
        found += (Fact(*m.span(), False) for m in _ADDRESS.finditer(text))
        found += (Fact(*m.span(), False) for m in _HANDLE.finditer(text))
    return _outermost([fact for fact in found if VEIL not in text[slice(*fact[:2])]])


def _outermost(found: list[Fact]) -> list[Fact]:
    found.sort(key=lambda fact: (fact.start, -fact.end, not fact.strong))
    kept: list[Fact] = []
    for fact in found:
        if not kept or fact.start >= kept[-1].end:
            kept.append(fact)
        elif fact.end > kept[-1].end:
            kept[-1] = Fact(kept[-1].start, fact.end, kept[-1].strong or fact.strong)
    return kept
