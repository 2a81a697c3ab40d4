"""Addresses of crypto wallets, told by the checksums inside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from .candidates import Candidate
from .chains import Group, torn

__all__ = ["wallets"]

ENTITY = "CRYPTO"
LEAST = 24

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_RIPPLE = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
# Version bytes: Bitcoin, Litecoin, Dogecoin, Dash, Tron, Zcash (two bytes), and the
# test network of Bitcoin. From the chain parameters of each.
_VERSIONS = (
    *(b"\x00", b"\x05", b"\x30", b"\x32", b"\x1e", b"\x16", b"\x4c", b"\x10", b"\x41"),
    *(b"\x1c\xb8", b"\x1c\xbd", b"\x6f", b"\xc4"),
)
_HUMAN = ("bc", "tb", "bcrt", "ltc", "tltc", "addr", "stake", "cosmos", "osmo")

_ADDRESS = re.compile(
    r"(?:0[xX](?P<hex>[0-9a-fA-F]{40})"
    rf"|(?P<segwit>(?:{'|'.join(_HUMAN)}|{'|'.join(_HUMAN).upper()})"
    r"1[02-9ac-hj-np-zAC-HJ-NP-Z]{14,98})"
    r"|(?P<base58>[13LMDAXTtmn29r7][1-9A-HJ-NP-Za-km-z]{24,34}))"
)


def wallets(text: str, groups: list[Group]) -> Iterator[Candidate]:
    """The wallet addresses among the groups of a chain."""
    for start, end, _ in groups:
        match = _ADDRESS.fullmatch(text, start, end) if end - start > LEAST else None
        if match is None or torn(text, start, end):
            continue
        kind, value = match.lastgroup, match[match.lastgroup or 0]
        if (
            (kind == "hex" and eip55(value))
            or (kind == "segwit" and bech32(match[0]))
            or (kind == "base58" and base58check(value))
        ):
            yield Candidate(ENTITY, start, end, 0.99)


def base58check(value: str) -> bool:
    """Base58Check (Bitcoin Wiki; XRP Ledger: the same with another alphabet)."""
    alphabet = _RIPPLE if value[0] == "r" else _BASE58
    number = 0
    for char in value:
        place = alphabet.find(char)
        if place < 0:
            return False
        number = number * 58 + place
    zeros = len(value) - len(value.lstrip(alphabet[0]))
    data = b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
    body, check = data[:-4], data[-4:]
    # The hash of a public key or script is 20 bytes.
    if len(body) not in (21, 22) or not body.startswith(_VERSIONS):
        return False
    return hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4] == check


def bech32(value: str) -> bool:
    """Bech32 (BIP 173) or Bech32m (BIP 350): a BCH code over 32 characters."""
    if value != value.lower() and value != value.upper():
        return False
    human, _, data = value.lower().rpartition("1")
    state = 1
    values = [ord(char) >> 5 for char in human] + [0] + [ord(c) & 31 for c in human]
    for number in values + [_BECH32.find(char) for char in data]:
        if number < 0:
            return False
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ number
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            if top >> bit & 1:
                state ^= generator
    return state in (1, 0x2BC830A3)


def eip55(address: str) -> bool:
    """ERC-55: the case of the letters is a checksum; one case alone has none."""
    if address in (address.lower(), address.upper()):
        return True
    hashed = keccak256(address.lower().encode()).hex()
    return all(
        char.isdigit() or char.isupper() == (int(digit, 16) > 7)
        for char, digit in zip(address, hashed, strict=False)
    )


_MASK = (1 << 64) - 1
_RATE = 136


def keccak256(data: bytes) -> bytes:
    """Keccak with 256 bits as Ethereum has it: padded as before FIPS 202."""
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % _RATE)
    padded[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for block in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            at = block + 8 * lane
            lanes[lane % 5][lane // 5] ^= int.from_bytes(padded[at : at + 8], "little")
        _permute(lanes)
    return b"".join(lanes[x][0].to_bytes(8, "little") for x in range(4))


def _permute(a: list[list[int]]) -> None:
    """Keccak-f[1600] (The Keccak reference, version 3.0, section 1.2)."""
    constant = 1
    for _ in range(24):
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[x - 1] ^ _turned(c[(x + 1) % 5], 1) for x in range(5)]
        for x in range(5):
            a[x] = [lane ^ d[x] for lane in a[x]]
        x, y, current = 1, 0, a[1][0]
        for step in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            turn = (step + 1) * (step + 2) // 2
            current, a[x][y] = a[x][y], _turned(current, turn % 64)
        for y in range(5):
            row = [a[x][y] for x in range(5)]
            for x in range(5):
                a[x][y] = row[x] ^ (~row[(x + 1) % 5] & _MASK & row[(x + 2) % 5])
        for bit in range(7):
            constant = (constant << 1 ^ (constant >> 7) * 0x171) & 0xFF
            if constant & 2:
                a[0][0] ^= 1 << ((1 << bit) - 1)


def _turned(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & _MASK if by else lane
