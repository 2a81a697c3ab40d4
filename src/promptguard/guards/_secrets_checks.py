"""What makes a value a secret, or a placeholder: structure, checksums, randomness."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import string
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import pairwise

__all__ = [
    "CHECKS",
    "PLACEHOLDER",
    "entropy",
    "is_placeholder",
    "is_random",
    "is_sequence",
    "is_wordy",
]

PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*_[0-9]+:[0-9a-f]{16}>")
"""What stands for a value that is out already."""

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_STEPS = 0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3

# Words that stand in the place of a value.
_FAKE = re.compile(
    r"(?i:example|placeholder|redacted|changeme|change[_-]me|replace[_-]?(?:me|with)"
    r"|your[_-]?(?:api|key|token|secret|pass|own|app|client|access|auth|account|user)"
    r"|(?:my|the|some|insert|enter|put|add)[_-](?:api|secret|access|auth|client)[_-]"
    r"|_here\b|-here\b|dummy|lorem|ipsum|to[_-]be[_-]|not[_-]?set|undefined)"
    r"|[xX]{4}|\*{3}|\.{3}|…|•|_{8}|(.)\1{7}"
)
# What is filled in later, by a shell, a template or a program.
_FILLED = re.compile(
    r"<.*|.*>|\$\{.*|\$\(.*|.*\{\{.*|.*\$\{\{.*|%[A-Za-z_]+%|%[sdr]|%\(.*|#\{.*|@\{.*|@@.*"
    r"|\$[A-Za-z_]\w*[:.]?|\{[\w.: -]*\}|\[[\w .-]*\]|.*\$\{\w+\}.*|~|-|\\u[0-9a-f]{4}",
    re.DOTALL,
)
_NOTHING = frozenset(
    """
    none null nil true false yes no on off empty undefined unknown default required
    optional string str text bytes int integer number bool boolean object array any char
    varchar password passwd pass pwd secret token key username user name email hidden
    input type value test testing demo sample changeme bearer basic digest oauth
    oauth2 jwt header query body cookie session auto manual disabled enabled plain
    plaintext env file self this public private function class return const let var
    xxx yyy zzz foo bar baz foobar
    """.split()
)
# The fifty most frequent pairs of letters of English prose make up about half of its
# pairs, and a thirteenth of the pairs of random letters.
_PAIRS = frozenset(
    """
    th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou
    io le ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur
    """.split()
)
_LETTER_RUNS = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}")
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]+")


def entropy(value: str) -> float:
    """Bits a character, by Shannon's formula over the characters of the value."""
    size = len(value)
    counts = Counter(value).values()
    return -sum(n / size * math.log2(n / size) for n in counts) if size else 0.0


def is_placeholder(value: str) -> bool:
    """True for what stands where a secret would: YOUR_API_KEY, xxxx, ${TOKEN}, ..."""
    return (
        value.lower() in _NOTHING
        or _FAKE.search(value) is not None
        or _FILLED.fullmatch(value.strip("'\"")) is not None
        or is_sequence(value)
    )


def is_sequence(value: str) -> bool:
    """True for abcdef0123456789 and the like, and for very few characters."""
    if len(value) < 12:
        return len(value) > 4 and len(set(value)) < 3
    codes = [ord(char) for char in value]
    steps = sum(0 <= b - a <= 1 for a, b in pairwise(codes))
    return steps > 0.7 * len(value) or len(set(value)) < min(5, len(value) // 4)


def is_wordy(value: str) -> bool:
    """True when the value is made of words, as an identifier is."""
    pairs = common = 0
    for run in _LETTER_RUNS.findall(value):
        run = run.lower()
        pairs += len(run) - 1
        common += sum(run[at : at + 2] in _PAIRS for at in range(len(run) - 1))
    return pairs >= 0.4 * len(value) and common >= 0.3 * pairs


def is_random(value: str, floor: float = 3.0) -> bool:
    """True when nobody would write the value as a name or in a sentence.

    Args:
        value: What to look at.
        floor: The least entropy, in bits a character. Sixteen hexadecimal digits
            drawn at random have 3.4 on average.
    """
    has_digit = any(char.isdigit() for char in value)
    if not has_digit and (len(value) < 16 or value.isupper()):
        return False
    letters = sum(char.isalpha() for char in value)
    if letters < 2 and len(value) < 20:
        return False
    return entropy(value) >= floor and not is_wordy(value)


def _crc32(value: str) -> bool:
    """The last six characters are the CRC-32 of those after the prefix, in base 62."""
    body = value[value.find("_") + 1 :]
    number, digits = zlib.crc32(body[:-6].encode()), ""
    while number:
        number, rest = divmod(number, 62)
        digits = _BASE62[rest] + digits
    return body[-6:] == digits.rjust(6, "0")


def _base32(value: str) -> bool:
    """After four letters nothing but base 32, which holds the account's number."""
    return re.fullmatch(r"[A-Z2-7]{16}", value[4:]) is not None


def _base32_seed(value: str) -> bool:
    """Base 32 with a digit, as a seed of one-time passwords is shown (RFC 4648)."""
    return any(char in "234567" for char in value) and not is_sequence(value)


def _bech32(value: str) -> bool:
    """The checksum of BIP 173 holds."""
    prefix, _, data = value.lower().rpartition("1")
    numbers = [ord(char) >> 5 for char in prefix] + [0]
    numbers += [ord(char) & 31 for char in prefix]
    numbers += [_BECH32.find(char) for char in data]
    sum_ = 1
    for number in numbers:
        top = sum_ >> 25
        sum_ = (sum_ & 0x1FFFFFF) << 5 ^ number
        for bit, step in enumerate(_BECH32_STEPS):
            sum_ ^= step if top >> bit & 1 else 0
    return sum_ == 1


def _jwt(value: str) -> bool:
    """The first part is a JSON object that names an algorithm (RFC 7515, 4.1.1)."""
    try:
        header = json.loads(_decoded(value.partition(".")[0]))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _basic(value: str) -> bool:
    """A name and a password with a colon between them (RFC 7617)."""
    try:
        name, colon, password = _decoded(value).decode().partition(":")
    except ValueError:
        return False
    both = name + password
    return bool(colon) and both.isprintable() and len(both) > 3


def _crc16(value: str) -> bool:
    """The last two bytes are the CRC-16 of the others (NATS, nkeys)."""
    data = base64.b32decode(value + "=" * (-len(value) % 8))
    return binascii.crc_hqx(data[:-2], 0) == int.from_bytes(data[-2:], "little")


def _numbered(value: str) -> bool:
    """The first part is a number in base 64, alone or before a colon."""
    try:
        data = _decoded(re.split(r"[.]", value, maxsplit=1)[0])
    except ValueError:
        return False
    number = data if "." in value else data.partition(b":")[0]
    return number.isdigit() and 10 <= len(number) <= 20 and len(set(value)) > 12


def _after_zeros(value: str) -> bool:
    """What is left without zero bytes, in base 64, is random."""
    return is_random(re.sub("A{4,}", "", value))


def _jwk_base64(value: str) -> bool:
    """A JSON Web Key that has its private part (RFC 7518, section 6)."""
    try:
        return re.search(rb'"(?:d|k)"\s*:', _decoded(value)) is not None
    except ValueError:
        return False


# Head, line ends and headers. The name of a header is short: without a bound, a body of
# letters alone would be read to its end from each of them.
_BESIDE_BODY = re.compile(r"-----BEGIN[^-]*-----|\\[nrt]|[A-Za-z-]{3,40}+:[^\n\\]*")


def _private_key(value: str) -> bool:
    """Enough of the body is there to be a key."""
    body = _BESIDE_BODY.sub(" ", value)
    longest = max(body.split(), key=len, default="")
    return len(longest) >= 16 and not is_sequence(longest)


def _private_key_base64(value: str) -> bool:
    try:
        return b"PRIVATE KEY" in _decoded(value[:100])
    except ValueError:
        return False


def _decoded(value: str) -> bytes:
    value = value.rstrip("=").replace("+", "-").replace("/", "_")
    if len(value) % 4 == 1:
        value = value[:-1]
    try:
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error as error:
        raise ValueError from error


def _not_hex(value: str) -> bool:
    return _HEX.fullmatch(value) is None


def _password(value: str) -> bool:
    return not is_placeholder(value)


def _password_with_digit(value: str) -> bool:
    return any(map(str.isdigit, value)) and not is_placeholder(value)


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "after-zeros": _after_zeros,
    "any": bool,
    "base32": _base32,
    "base32-seed": _base32_seed,
    "basic": _basic,
    "bech32": _bech32,
    "crc16": _crc16,
    "crc32": _crc32,
    "jwk": is_random,
    "jwk-base64": _jwk_base64,
    "jwt": _jwt,
    "not-hex": _not_hex,
    "numbered": _numbered,
    "password": _password,
    "password-with-digit": _password_with_digit,
    "private-key": _private_key,
    "private-key-base64": _private_key_base64,
    "random": is_random,
}
"""By the names that the table uses."""
