"""Made-up personal data with right check digits, and ways to disguise it.

The check digits are computed here, apart from the library's, from the same published
rules: what both get wrong alike would not be seen.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["FORMS", "VALUES", "Form", "account", "card", "luhn", "mail", "phone"]

Maker = Callable[[random.Random], str]
Disguise = Callable[[str], str]
DIGITS = "0123456789"


# --- values ------------------------------------------------------------------------


def card(chance: random.Random) -> str:
    """A number with an issuer's prefix and Luhn's digit, bare or in groups of four."""
    body = chance.choice(("4", "51", "55", "2221", "6011", "37", "3530"))
    size = 15 if body == "37" else 16
    body += digits(chance, size - 1 - len(body))
    value = next(body + d for d in DIGITS if luhn(body + d))
    if size == 16 and chance.random() < 0.5:
        value = chance.choice(" -").join(value[i : i + 4] for i in range(0, 16, 4))
    return value


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(char), 10)) for char in number[-2::-2])
    return (sum(map(int, number[::-2])) + sum(doubled)) % 10 == 0


def account(chance: random.Random) -> str:
    """A German or British account number (ISO 13616-1)."""
    country, bank, size = chance.choice((("DE", "", 18), ("GB", "WEST", 14)))
    body = bank + digits(chance, size)
    moved = "".join(str(int(char, 36)) for char in f"{body}{country}00")
    value = f"{country}{98 - int(moved) % 97:02}{body}"
    if chance.random() < 0.5:
        value = " ".join(value[i : i + 4] for i in range(0, len(value), 4))
    return value


def mail(chance: random.Random) -> str:
    name = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(4, 9)))
    return f"{name}.{chance.choice(('lee', 'roy'))}@{name[::-1]}.{chance.choice(ENDS)}"


ENDS = ("com", "org", "net", "de", "co.uk")


def phone(chance: random.Random) -> str:
    """A number of New York, Oakland or San Francisco, or one of London."""
    area, line = chance.choice(("212", "415", "646")), chance.randint(0, 9999)
    if chance.random() < 0.3:
        return f"+44 20 7{chance.randint(100, 999)} {line:04}"
    # The second and third digit of an exchange are not both 1.
    exchange = 10 * chance.randint(23, 89) + chance.choice((0, 2, 4, 5, 6, 7, 8))
    return f"+1 {area} {exchange} {line:04}"


def address(chance: random.Random) -> str:
    first = chance.choice((52, 81, 91, 193, 203))
    return ".".join(map(str, (first, *(chance.randint(1, 254) for _ in range(3)))))


def us_ssn(chance: random.Random) -> str:
    """42 U.S.C. 405; SSA, randomisation: no 000, 666 or 9.., no zero group."""
    area = chance.choice((*range(1, 666), *range(667, 900)))
    group, serial = chance.randint(1, 99), chance.randint(1, 9999)
    return f"{area:03}-{group:02}-{serial:04}"


def uk_nhs(chance: random.Random) -> str:
    """NHS Data Dictionary: eleven less the weighted sum modulo eleven, never ten."""
    while True:
        body = chance.choice("4679") + digits(chance, 8)
        total = sum(int(d) * w for d, w in zip(body, range(10, 1, -1), strict=True))
        last = -total % 11
        if last < 10:
            return f"{body[:3]} {body[3:6]} {body[6:]}{last}"


def es_nif(chance: random.Random) -> str:
    """Real Decreto 1553/2005: a letter by the number modulo 23."""
    number = chance.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def pl_pesel(chance: random.Random) -> str:
    """The Polish register of persons: a date of birth, and weights 1 3 7 9."""
    date = f"{chance.randint(40, 99):02}{chance.randint(1, 12):02}"
    body = f"{date}{chance.randint(1, 28):02}{digits(chance, 4)}"
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    total = sum(int(d) * w for d, w in zip(body, weights, strict=True))
    return f"{body}{-total % 10}"


def br_cpf(chance: random.Random) -> str:
    """Receita Federal: two check digits modulo eleven."""
    body = digits(chance, 9)
    for _ in range(2):
        size = len(body) + 1
        total = sum(int(d) * (size - i) for i, d in enumerate(body))
        body += str(-total % 11 % 10)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def nl_bsn(chance: random.Random) -> str:
    """Wet algemene bepalingen burgerservicenummer: the test of eleven."""
    while True:
        body = chance.choice("1234") + digits(chance, 7)
        total = sum(int(d) * w for d, w in zip(body, range(9, 1, -1), strict=True))
        if total % 11 < 10:
            return f"{body}{total % 11}"


def fr_nir(chance: random.Random) -> str:
    """INSEE: sex, date and place of birth, and 97 less the rest modulo 97."""
    body = f"{chance.choice('12')}{chance.randint(40, 99):02}"
    body += f"{chance.randint(1, 12):02}{chance.randint(1, 95):02}{digits(chance, 6)}"
    body = body.replace("20", "21", 1) if body[5:7] == "20" else body
    key = f"{97 - int(body) % 97:02}"
    sizes, parts, at = (1, 2, 2, 2, 3, 3), [], 0
    for size in sizes:
        parts.append(body[at : at + size])
        at += size
    return " ".join((*parts, key))


def in_aadhaar(chance: random.Random) -> str:
    """UIDAI: Verhoeff's digit (1969) over the dihedral group of order ten."""
    body = chance.choice("23456789") + digits(chance, 10)
    state = 0
    for place, char in enumerate(reversed(body + "0")):
        number = int(char)
        for _ in range(place % 8):
            number = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[number]
        state = _turned(state, number)
    value = f"{body}{next(d for d in range(10) if _turned(state, d) == 0)}"
    return f"{value[:4]} {value[4:8]} {value[8:]}"


def _turned(one: int, two: int) -> int:
    """The product of two symmetries of a pentagon."""
    if one < 5:
        return (one + two) % 5 if two < 5 else (one + two) % 5 + 5
    return (one - two) % 5 + 5 if two < 5 else (one - two) % 5


def digits(chance: random.Random, size: int) -> str:
    return "".join(chance.choices(DIGITS, k=size))


@dataclass(frozen=True)
class Value:
    """How values of an entity are made, and what is said before them."""

    make: Maker
    said: str = "You can use"


VALUES: Mapping[str, Value] = {
    "CREDIT_CARD": Value(card),
    "IBAN_CODE": Value(account),
    "PHONE_NUMBER": Value(phone),
    "EMAIL_ADDRESS": Value(mail),
    "IP_ADDRESS": Value(address),
    "US_SSN": Value(us_ssn, "My social security number is"),
    "UK_NHS": Value(uk_nhs, "My NHS number is"),
    "ES_NIF": Value(es_nif, "Mi DNI es"),
    "PL_PESEL": Value(pl_pesel, "Mój numer PESEL to"),
    "BR_CPF": Value(br_cpf, "Meu CPF é"),
    "NL_BSN": Value(nl_bsn, "Mijn BSN is"),
    "FR_NIR": Value(fr_nir, "Mon numéro de sécurité sociale est"),
    "IN_AADHAAR": Value(in_aadhaar, "My Aadhaar number is"),
}


# --- disguises ---------------------------------------------------------------------


def wide(value: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)


def between(sign: str) -> Disguise:
    """One sign between all letters and digits, in place of the separators."""

    def apply(value: str) -> str:
        plus = value[: value.startswith("+")]
        return plus + sign.join(char for char in value if char.isalnum())

    return apply


def apart(sign: str) -> Disguise:
    """An unseen sign between all characters."""
    return lambda value: sign.join(value)


def behind(sign: str) -> Disguise:
    """A mark on each digit and letter."""
    return lambda value: "".join(c + sign if c.isalnum() else c for c in value)


def grouped(sign: str) -> Disguise:
    """The separators of the value, or groups of four, with another sign."""

    def apply(value: str) -> str:
        if any(c in " -." for c in value):
            return "".join(sign if c in " -." else c for c in value)
        return sign.join(value[i : i + 4] for i in range(0, len(value), 4))

    return apply


def zero(code: int) -> Disguise:
    """Digits of another script, by its zero."""
    return lambda value: value.translate({48 + i: code + i for i in range(10)})


def signs(old: str, new: str) -> Disguise:
    return lambda value: value.translate(
        str.maketrans(dict(zip(old, new, strict=True)))
    )


def words(at: str, dot: str) -> Disguise:
    return lambda value: value.replace("@", at).replace(".", dot)


def keycaps(value: str) -> str:
    return "".join(c + "\ufe0f\u20e3" if c in DIGITS else c for c in value)


def styled(name: str) -> Disguise:
    """Letters and digits of a style, such as MATHEMATICAL BOLD."""

    def apply(value: str) -> str:
        out = []
        for char in value:
            kind = unicodedata.name(char, "")
            for old, new in (("LATIN ", f"{name} "), ("DIGIT", f"{name} DIGIT")):
                kind = kind.replace(old, new).replace(" LETTER", "")
            try:
                out.append(unicodedata.lookup(kind) if char.isalnum() else char)
            except KeyError:
                out.append(char)
        return "".join(out)

    return apply


@dataclass(frozen=True)
class Form:
    """A disguise, of what, and whether it uses words for signs."""

    name: str
    apply: Disguise
    entities: tuple[str, ...]
    words: bool = False

    def text(self, entity: str, chance: random.Random) -> tuple[str, int, int]:
        """A sentence with a disguised value, and where its visible part stands."""
        value = self.apply(VALUES[entity].make(chance))
        before = f"{VALUES[entity].said} "
        seen = [i for i, c in enumerate(value) if unicodedata.category(c) != "Cf"]
        start = len(before)
        return f"{before}{value} for it.", start + seen[0], start + seen[-1] + 1


ALL = tuple(VALUES)
NUMBERS = tuple(name for name in VALUES if name not in ("EMAIL_ADDRESS", "IP_ADDRESS"))
# In these a dot or a space is part of how the value is told from other numbers.
CODES = tuple(name for name in NUMBERS if name != "PHONE_NUMBER")
LETTERED = ("IBAN_CODE", "EMAIL_ADDRESS", "ES_NIF")
MAIL = ("EMAIL_ADDRESS",)
ADDRESS = ("IP_ADDRESS",)

FORMS: tuple[Form, ...] = (
    Form("as it is", str, ALL),
    Form("full-width", wide, ALL),
    Form("bold digits and letters", styled("MATHEMATICAL BOLD"), ALL),
    Form("monospace digits and letters", styled("MATHEMATICAL MONOSPACE"), ALL),
    Form("Arabic-Indic digits", zero(0x660), (*NUMBERS, *ADDRESS)),
    Form("Devanagari digits", zero(0x966), (*NUMBERS, *ADDRESS)),
    Form("superscript digits", signs(DIGITS, "⁰¹²³⁴⁵⁶⁷⁸⁹"), (*NUMBERS, *ADDRESS)),
    Form("circled digits", signs(DIGITS, "⓪①②③④⑤⑥⑦⑧⑨"), (*NUMBERS, *ADDRESS)),
    Form("keycaps", keycaps, NUMBERS),
    Form("zero-width space between", apart("\u200b"), ALL),
    Form("zero-width joiner between", apart("\u200d"), ALL),
    Form("word joiner between", apart("\u2060"), ALL),
    Form("soft hyphen between", apart("\u00ad"), ALL),
    Form("variation selector between", apart("\ufe0e"), ALL),
    Form("tag between", apart("\U000e0041"), ALL),
    Form("marks on top", behind("\u0336"), NUMBERS),
    Form("bidi marks around", lambda v: f"\u202d{v}\u202c", ALL),
    Form("spaced digits", between(" "), NUMBERS),
    Form("no-break spaces between", between("\u00a0"), NUMBERS),
    Form("thin spaces between", between("\u2009"), NUMBERS),
    Form("dashes between", between("-"), NUMBERS),
    Form("dots between", between("."), NUMBERS),
    Form("underscores between", between("_"), NUMBERS),
    Form("dotted groups", grouped("."), NUMBERS),
    Form("middle-dotted groups", grouped("·"), NUMBERS),
    Form("slashed groups", grouped("/"), NUMBERS),
    Form("groups with long dashes", grouped("–"), NUMBERS),
    Form("groups with spaced dashes", grouped(" - "), NUMBERS),
    Form("groups with figure spaces", grouped("\u2007"), NUMBERS),
    Form("look-alike letters", signs("aeopcxAEOPCTBMHK", "аеорсхАЕОРСТВМНК"), LETTERED),
    Form("full-width @", signs("@", "＠"), MAIL),
    Form("small @", signs("@", "﹫"), MAIL),
    Form("circled a", signs("@", "ⓐ"), MAIL),
    Form("ideographic stops", signs(".", "。"), (*MAIL, *ADDRESS)),
    Form("one-dot leaders", signs(".", "․"), (*MAIL, *ADDRESS)),
    Form("spaces around @ and dots", words(" @ ", " . "), MAIL),
    Form("[.]", words("@", "[.]"), (*MAIL, *ADDRESS)),
    Form("[at] [dot]", words("[at]", "[dot]"), MAIL, True),
    Form("(at) (dot)", words(" (at) ", " (dot) "), MAIL, True),
    Form("{at} {dot}", words("{at}", "{dot}"), MAIL, True),
    Form("at dot", words(" at ", " dot "), MAIL, True),
    Form("AT DOT", words(" AT ", " DOT "), MAIL, True),
    Form("_at_ _dot_", words("_at_", "_dot_"), MAIL, True),
    Form("-at- -dot-", words("-at-", "-dot-"), MAIL, True),
    Form("(at), plain dots", words("(at)", "."), MAIL, True),
    Form("arroba punto", words(" arroba ", " punto "), MAIL, True),
    Form("dot in an address", words("@", " dot "), ADDRESS, True),
)
