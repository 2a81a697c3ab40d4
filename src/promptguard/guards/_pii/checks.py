"""Check digits, and the other arithmetic that tells a number from digits.

Every function takes the value without separators, letters in upper case, and a table
of parameters where the rule has some. A value that has not the shape of the rule it is
given to may raise: shapes are tested before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

__all__ = ["CHECKS", "Check", "luhn", "valid_date"]

Check = Callable[[str, Mapping[str, Any]], bool]


_DOUBLED = str.maketrans("0123456789", "0246813579")


def luhn(digits: str) -> bool:
    """The sum with every second digit from the right doubled (ISO/IEC 7812-1, B)."""
    doubled = digits[-2::-2].translate(_DOUBLED)
    return (sum(map(int, digits[::-2])) + sum(map(int, doubled))) % 10 == 0


def valid_date(year: int, month: int, day: int) -> bool:
    """True for a day of the calendar."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def total(value: str, weights: Sequence[int]) -> int:
    """The weighted sum; a letter counts 10 to 35."""
    return sum(
        int(char, 36) * weight for char, weight in zip(value, weights, strict=False)
    )


def _luhn(value: str, p: Mapping[str, Any]) -> bool:
    return luhn(p.get("prefix", "") + value[p.get("skip", 0) :])


def _sum(value: str, p: Mapping[str, Any]) -> bool:
    """The weighted sum of all characters leaves a remainder, by default none."""
    remainder: int = p.get("remainder", 0)
    return total(value, p["weights"]) % int(p["modulus"]) == remainder


def _weighted(value: str, p: Mapping[str, Any]) -> bool:
    """The last character is one of an alphabet, chosen by the negative weighted sum.

    ``sign = 1`` chooses by the sum itself, ``add`` is added to it first. A place beyond
    the end of the alphabet has no character: such numbers are not given out.
    """
    weights, alphabet = p["weights"], p.get("alphabet", "0123456789")
    place = int(p.get("sign", -1)) * total(value[:-1], weights) + int(p.get("add", 0))
    place %= int(p["modulus"])
    return place < len(alphabet) and value[-1] == alphabet[place]


def _remainder(value: str, p: Mapping[str, Any]) -> bool:
    """The last character is one of an alphabet, chosen by the digits as one number."""
    number = int(_swapped(value[:-1], p))
    return bool(value[-1] == p["alphabet"][number % int(p["modulus"])])


def _mod_97(value: str, p: Mapping[str, Any]) -> bool:
    """The last two digits are 97 less the rest modulo 97."""
    body, key = _swapped(value[:-2], p), int(value[-2:])
    return any(97 - int(more + body) % 97 == key for more in p.get("before", [""]))


def _swapped(body: str, p: Mapping[str, Any]) -> str:
    """The body with the digits that its letters stand for."""
    for letters, digits in p.get("letters", {}).items():
        body = body.replace(letters, digits)
    return body


_VERHOEFF = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)
_SHIFTED = (
    *("0123456789", "1576283094", "5803796142", "8916043527"),
    *("9453126870", "4286573901", "2793806415", "7046913258"),
)


def _verhoeff(value: str, p: Mapping[str, Any]) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes, 1969 (dihedral group of order 10)."""
    state = 0
    for place, char in enumerate(reversed(value)):
        state = int(_VERHOEFF[state][int(_SHIFTED[place % 8][int(char)])])
    return state == 0


def _mod_11_10(value: str, p: Mapping[str, Any]) -> bool:
    """ISO/IEC 7064, MOD 11,10."""
    product = 10
    for char in value[:-1]:
        product = ((product + int(char)) % 10 or 10) * 2 % 11
    return (product + int(value[-1])) % 10 == 1


def _mod_11_2(value: str, p: Mapping[str, Any]) -> bool:
    """ISO/IEC 7064, MOD 11-2."""
    state = 0
    for char in value[:-1]:
        state = (state + int(char)) * 2 % 11
    return (state + (10 if value[-1] == "X" else int(value[-1]))) % 11 == 1


def _gstin(value: str, p: Mapping[str, Any]) -> bool:
    """Doubled sums in base 36, as in the check character of an Indian GSTIN."""
    state = 0
    for place, char in enumerate(value[:-1]):
        state += sum(divmod(int(char, 36) * (1 + place % 2), 36))
    return -state % 36 == int(value[-1], 36)


def _issuer(value: str, p: Mapping[str, Any]) -> bool:
    """A payment card: an issuer's prefix and length, and Luhn (ISO/IEC 7812-1)."""
    return len(value) in p["prefixes"].get(value[:4], ()) and luhn(value)


def _iban(value: str, p: Mapping[str, Any]) -> bool:
    """ISO 13616-1: the country's structure, and MOD 97-10 of ISO/IEC 7064."""
    structure = p["structures"].get(value[:2])
    if structure is None or not structure.fullmatch(value, 4):
        return False
    moved = value[4:] + value[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == 1


CHECKS: dict[str, Check] = {
    "iban": _iban,
    "issuer": _issuer,
    "luhn": _luhn,
    "mod_11_10": _mod_11_10,
    "mod_11_2": _mod_11_2,
    "mod_97": _mod_97,
    "gstin": _gstin,
    "remainder": _remainder,
    "sum": _sum,
    "verhoeff": _verhoeff,
    "weighted": _weighted,
}
