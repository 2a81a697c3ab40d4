"""Check digits that fit no general scheme, by the country that gives them out.

Values come without separators, letters in upper case, in the shape of their table row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from .checks import CHECKS, Check, luhn, total, valid_date

__all__ = ["NATIONAL"]

Parameters = Mapping[str, Any]


def any_date(year: str, month: str, day: str) -> bool:
    """True when a date with two digits of the year exists in some century."""
    return any(valid_date(c + int(year), int(month), int(day)) for c in (1900, 2000))


def birth(value: str, p: Parameters) -> bool:
    """The value begins with a birth date, and passes its other checks.

    ``order`` says how it is written: ``ymd``, ``dmy`` or ``Ymd`` (four digits of the
    year); ``more`` is a number that may have been added to the day or the month.
    """
    at, parts = int(p.get("at", 0)), {}
    for field in p["order"]:
        size = 4 if field == "Y" else 2
        parts[field.lower()] = value[at : at + size]
        at += size
    year, month, day = int(parts["y"]), int(parts["m"]), int(parts["d"])
    for more in (0, *p.get("more_days", ())):
        for extra in (0, *p.get("more_months", ())):
            if _exists(year, month - extra, day - more, len(parts["y"]) == 4):
                check = p.get("then")
                return check is None or CHECKS[check["kind"]](value, check)
    return False


def _exists(year: int, month: int, day: int, full: bool) -> bool:
    if full:
        return 1850 <= year <= date.today().year and valid_date(year, month, day)
    return any_date(f"{year:02}", str(month), str(day))


def de_tax_id(value: str, p: Parameters) -> bool:
    """Germany, Steuer-Identifikationsnummer (§ 139b AO; BZSt, Aufbau der IdNr).

    Of the first ten digits one stands there twice or three times, not three times in a
    row, and no other more than once; MOD 11,10 of ISO/IEC 7064.
    """
    body = value[:-1]
    counts = sorted(Counter(body).values())
    repeats = counts[-1] in (2, 3) and (len(counts) == 1 or counts[-2] == 1)
    tripled = any(body[i] == body[i + 1] == body[i + 2] for i in range(8))
    return repeats and not tripled and CHECKS["mod_11_10"](value, p)


def de_insured(value: str, p: Parameters) -> bool:
    """Germany, Krankenversichertennummer (§ 290 SGB V): a letter and nine digits.

    The letter counts as its place in the alphabet in two digits; every second digit is
    doubled, and the digits of the products are added.
    """
    digits = f"{ord(value[0]) - 64:02}{value[1:-1]}"
    return _digit_sum(digits, (1, 2) * 5) % 10 == int(value[-1])


def de_pension(value: str, p: Parameters) -> bool:
    """Germany, Versicherungsnummer (§ 147 SGB VI; VKVV § 2, § 4).

    The day may have 50 added where numbers ran out.
    """
    day = int(value[2:4])
    if not any_date(value[6:8], value[4:6], str(day - 50 if day > 50 else day)):
        return False
    digits = f"{value[:8]}{ord(value[8]) - 64:02}{value[9:11]}"
    return _digit_sum(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)) % 10 == int(
        value[-1]
    )


def _digit_sum(digits: str, weights: tuple[int, ...]) -> int:
    products = (int(d) * weight for d, weight in zip(digits, weights, strict=False))
    return sum(product // 10 + product % 10 for product in products)


def es_social(value: str, p: Parameters) -> bool:
    """Spain, Número de la Seguridad Social: the last two digits modulo 97.

    (Tesorería General; Wikipedia, Número de la Seguridad Social.) A number below ten
    million is written without its leading zero before the division.
    """
    province, number, key = value[:2], value[2:10], int(value[10:])
    body = province + (number[1:] if number[0] == "0" else number)
    return int(body) % 97 == key


def fr_tax(value: str, p: Parameters) -> bool:
    """France, numéro fiscal de référence (SPI): ten digits, then these modulo 511."""
    return int(value[:10]) % 511 == int(value[10:])


_ODD = "BAKPLCQDREVOSFTGUHMINJWZYX"


def it_fiscal(value: str, p: Parameters) -> bool:
    """Italy, codice fiscale (D.M. 23 December 1976; Wikipedia, Italian fiscal code).

    The letters at odd places count by a table, those at even places by the alphabet.
    """
    sum_ = 0
    for place, char in enumerate(value[:-1]):
        index = int(char) if char.isdigit() else ord(char) - 65
        sum_ += index if place % 2 else _ODD.index(chr(65 + index))
    return chr(65 + sum_ % 26) == value[-1]


def pl_birth(value: str, p: Parameters) -> bool:
    """Poland, PESEL (Act on population registration, art. 15): date and check digit.

    The century is coded in the month: 80 for 18.., 20 for 20.. and so on.
    """
    month = int(value[2:4])
    century = {4: 1800, 0: 1900, 1: 2000, 2: 2100, 3: 2200}[month // 20]
    if not valid_date(century + int(value[:2]), month % 20, int(value[4:6])):
        return False
    return total(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def pt_card(value: str, p: Parameters) -> bool:
    """Portugal, Cartão de Cidadão: Luhn with letters as 10 to 35.

    Eight digits and their check digit, two characters of the version, another check
    digit (Wikipedia (pt), Cartão de Cidadão).
    """
    sum_ = 0
    for place, char in enumerate(reversed(value)):
        number = int(char, 36)
        if place % 2:
            number = number * 2 - 9 * (number > 4)
        sum_ += number
    return sum_ % 10 == 0


_FI = "0123456789ABCDEFHJKLMNPRSTUVWXY"


def fi_identity(value: str, p: Parameters) -> bool:
    """Finland, henkilötunnus (Decree 128/2010): date, century, number modulo 31."""
    digits = "".join(value[:6] + value[-4:-1])
    if not any_date(value[4:6], value[2:4], value[:2]):
        return False
    return _FI[int(digits) % 31] == value[-1]


def se_person(value: str, p: Parameters) -> bool:
    """Sweden, personnummer and samordningsnummer (SFS 1991:481, § 18), with Luhn.

    A coordination number has 60 added to the day.
    """
    short = value[-10:]
    day = int(short[4:6])
    day -= 60 if day > 60 else 0
    if len(value) == 12:
        real = _exists(int(value[:4]), int(short[2:4]), day, True)
    else:
        real = any_date(short[:2], short[2:4], str(day))
    return real and luhn(short)


def no_birth(value: str, p: Parameters) -> bool:
    """Norway, fødselsnummer and D-nummer (Folkeregisterforskriften, § 2-2): two digits.

    A D number has 40 added to the day; synthetic ones have 40 or 80 on the month.
    """
    day, month = int(value[:2]), int(value[2:4])
    day, month = day - 40 * (day > 40), month - 40 * (month // 40)
    if not any_date(value[4:6], str(month), str(day)):
        return False
    return (
        total(value, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and total(value, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def kr_resident(value: str, p: Parameters) -> bool:
    """South Korea, resident and foreigner registration number: a date, a check digit.

    Numbers given out or changed from October 2020 on, ``new`` ones, have no check digit
    (Enforcement Rule of the Resident Registration Act; Wikipedia, Resident registration
    number).
    """
    century = 2000 if value[6] in "3478" else 1900
    if not valid_date(century + int(value[:2]), int(value[2:4]), int(value[4:6])):
        return False
    sum_ = total(value[:12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    base = 13 if value[6] in "5678" else 11
    return bool(p.get("new")) or (base - sum_ % 11) % 10 == int(value[12])


def kr_business(value: str, p: Parameters) -> bool:
    """South Korea, business registration number (National Tax Service)."""
    sum_ = total(value[:9], (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(value[8]) * 5 // 10
    return (10 - sum_ % 10) % 10 == int(value[9])


_SG = {"S": (0, "JZIHGFEDCBA"), "T": (4, "JZIHGFEDCBA")}
_SG |= {"F": (0, "XWUTRQPNMLK"), "G": (4, "XWUTRQPNMLK"), "M": (3, "XWUTRQPNJLK")}


def sg_identity(value: str, p: Parameters) -> bool:
    """Singapore, NRIC and FIN (Wikipedia, National Registration Identity Card).

    A letter by the weighted sum modulo 11, shifted by the series.
    """
    more, letters = _SG[value[0]]
    place = (total(value[1:8], (2, 7, 6, 5, 4, 3, 2)) + more) % 11
    return letters[place] == value[8]


_UEN = "ABCDEFGHJKLMNPQRSTUVWX0123456789"


def sg_entity(value: str, p: Parameters) -> bool:
    """Singapore, UEN in its three forms (ACRA; Wikipedia, Unique Entity Number)."""
    if len(value) == 9:
        place = total(value[:8], (10, 4, 9, 3, 8, 2, 7, 1)) % 11
        return "XMKECAWLJDB"[place] == value[8]
    if value[0].isdigit():
        place = total(value[:9], (10, 8, 6, 4, 9, 7, 5, 3, 1)) % 11
        return "ZKCMDNERGWH"[place] == value[9]
    weights = (4, 3, 5, 3, 10, 2, 2, 5, 7)
    sum_ = sum(_UEN.index(char) * w for char, w in zip(value, weights, strict=False))
    return _UEN[(sum_ - 5) % 11] == value[9]


def tr_identity(value: str, p: Parameters) -> bool:
    """Turkey, T.C. kimlik numarası (Wikipedia, Turkish Identification Number)."""
    digits = [int(char) for char in value]
    odd, even = sum(digits[0:9:2]), sum(digits[1:8:2])
    return (odd * 7 - even) % 10 == digits[9] and sum(digits[:10]) % 10 == digits[10]


def br_person(value: str, p: Parameters) -> bool:
    """Brazil, CPF (Receita Federal): two digits modulo 11; not eleven equal ones."""
    if len(set(value)) == 1:
        return False
    return all(
        _zero_for_ten(total(value[:size], range(size + 1, 1, -1))) == int(value[size])
        for size in (9, 10)
    )


def br_entity(value: str, p: Parameters) -> bool:
    """Brazil, CNPJ, also with letters (IN RFB 2.229/2024): two digits modulo 11.

    A character counts as its ASCII code less 48.
    """
    if len(set(value)) == 1:
        return False
    numbers = [ord(char) - 48 for char in value]
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    for size in (12, 13):
        pairs = zip(numbers[:size], weights[13 - size :], strict=False)
        if _zero_for_ten(sum(n * w for n, w in pairs)) != numbers[size]:
            return False
    return True


def _zero_for_ten(sum_: int) -> int:
    return -sum_ % 11 % 10


_MX = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ"


def mx_tax(value: str, p: Parameters) -> bool:
    """Mexico, RFC (SAT): the check character over 12 places, modulo 11."""
    padded = value.rjust(13)
    sum_ = sum(_MX.index(char) * (13 - at) for at, char in enumerate(padded[:-1]))
    expected = -sum_ % 11
    return value[-1] == ("A" if expected == 10 else str(expected))


_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"


def mx_person(value: str, p: Parameters) -> bool:
    """Mexico, CURP (RENAPO, Instructivo normativo): date and check digit."""
    if not any_date(value[4:6], value[6:8], value[8:10]):
        return False
    sum_ = sum(_CURP.index(char) * (18 - at) for at, char in enumerate(value[:17]))
    return -sum_ % 10 == int(value[17])


def ie_person(value: str, p: Parameters) -> bool:
    """Ireland, PPS number (Wikipedia, Personal Public Service Number): modulo 23."""
    more = {"A": 1, "H": 8}.get(value[8:], 0)
    sum_ = total(value[:7], range(8, 1, -1)) + 9 * more
    return "WABCDEFGHIJKLMNOPQRSTUV"[sum_ % 23] == value[7]


def us_dea(value: str, p: Parameters) -> bool:
    """United States, DEA number (DEA; Wikipedia, DEA number)."""
    return total(value[2:8], (1, 2, 1, 2, 1, 2)) % 10 == int(value[8])


def ee_person(value: str, p: Parameters) -> bool:
    """Estonia isikukood and Lithuania asmens kodas: date, and a digit modulo 11.

    (Estonian standard EVS 585; Wikipedia, National identification number.)
    """
    if not any_date(value[1:3], value[3:5], value[5:7]):
        return False
    place = total(value[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if place == 10:
        place = total(value[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return place == int(value[10])


def cz_birth(value: str, p: Parameters) -> bool:
    """Czechia and Slovakia, rodné číslo (Act 133/2000): divisible by 11.

    Women have 50 added to the month, and 20 more where numbers ran out. Until 1985 a
    remainder of 10 was written 0.
    """
    month = int(value[2:4])
    month -= 50 * (month > 50)
    month -= 20 * (month > 20)
    if not any_date(value[:2], str(month), value[4:6]):
        return False
    return int(value[:9]) % 11 % 10 == int(value[9])


def cl_person(value: str, p: Parameters) -> bool:
    """Chile, RUT: modulo 11 with K for 10 (Wikipedia (es), Rol Único Tributario)."""
    weights = (2, 3, 4, 5, 6, 7, 2, 3)
    return "0123456789K"[-total(value[-2::-1], weights) % 11] == value[-1]


def hk_identity(value: str, p: Parameters) -> bool:
    """Hong Kong, identity card: modulo 11 (Wikipedia, Hong Kong identity card)."""
    body = value[:-1].rjust(8)
    # A missing first letter counts as a space, which comes after Z.
    first = 36 if body[0] == " " else int(body[0], 36)
    sum_ = first * 9 + total(body[1:], range(8, 1, -1))
    expected = -sum_ % 11
    return value[-1] == ("A" if expected == 10 else str(expected))


NATIONAL: dict[str, Check] = {
    function.__name__: function
    for function in (
        birth,
        br_entity,
        br_person,
        cl_person,
        cz_birth,
        de_insured,
        de_pension,
        de_tax_id,
        ee_person,
        es_social,
        fi_identity,
        fr_tax,
        hk_identity,
        ie_person,
        it_fiscal,
        kr_business,
        kr_resident,
        mx_person,
        mx_tax,
        no_birth,
        pl_birth,
        pt_card,
        se_person,
        sg_entity,
        sg_identity,
        tr_identity,
        us_dea,
    )
}
