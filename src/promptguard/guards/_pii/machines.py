"""Addresses of machines: IPv4, IPv6 and MAC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from ..._signs import signs
from .candidates import Candidate
from .chains import SIGN, VEIL

__all__ = ["ip_addresses", "mac_addresses"]

IP = "IP_ADDRESS"
MAC = "MAC_ADDRESS"

_BYTE = r"\d{1,3}"
_DOT = r"(?:[.\u3002]| \. |\[\.\]|\(\.\)| ?[\[(]dot[\])] ?| dot )"
# Each begins with its first character, which is quick to find, and looks back from it.
_V4 = re.compile(
    rf"\d(?<!{SIGN}.)(?<![.*{VEIL}].)\d{{0,2}}(?:{_DOT}{_BYTE}){{3}}(?!{SIGN}|[*{VEIL}]|\.[\d*{VEIL}])",
    re.IGNORECASE,
)
# Four numbers may be a version.
_VERSION = re.compile(
    r"(?<![^\W_])(?:v|ver|version|release|build|firmware)[.: ]{0,2}\Z", re.IGNORECASE
)
# At least two colons, and hexadecimal digits only. What begins with a short group is
# more often code (a::b) or a time than the address of anybody.
_V6 = re.compile(
    rf"(?<!{SIGN})(?<![:.*{VEIL}])"
    r"(?:[23][0-9a-f]{3}|f[cdef][0-9a-f]{2}|[0-9a-f]{1,4}(?=(?::"
    r"[0-9a-f]{1,4}){7})|64(?=:ff9b:))(?::[0-9a-f]{0,4}){2,7}"
    rf"(?::{_BYTE}(?:\.{_BYTE}){{3}}|(?:\.\d{{1,3}}){{3}})?(?!{SIGN}|[:*{VEIL}]|\.[\d*{VEIL}])"
    rf"|(?<!{SIGN})(?<![:.*{VEIL}])::ffff:{_BYTE}(?:\.{_BYTE}){{3}}"
    rf"(?!{SIGN}|[:*{VEIL}]|\.[\d*{VEIL}])",
    re.IGNORECASE,
)
_V6_HINT = re.compile(r":[0-9a-fA-F]{0,4}:")
# Each by itself begins with one sign, which is quick to find.
_MAC_HINTS = (
    re.compile(r":[0-9a-fA-F]{2}[:-]"),
    re.compile(r"-[0-9a-fA-F]{2}[:-]"),
    re.compile(r"\.[0-9a-fA-F]{4}\."),
)
# In the signs of an ASCII text: four numbers with dots between, in brackets or not.
_V4_HINT = re.compile(rb"0[\[(]?\.[\])]?0{1,3}[\[(]?\.[\])]?0{1,3}[\[(]?\.[\])]?0")
_MAC = re.compile(
    rf"(?<!{SIGN})(?<![:.*{VEIL}-])"
    r"(?:[0-9a-f]{2}(?P<between>[:-])(?:[0-9a-f]{2}(?P=between)){4}"
    r"[0-9a-f]{2}|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2})"
    rf"(?!{SIGN}|[*{VEIL}]|[:.-][0-9a-f*{VEIL}])",
    re.IGNORECASE,
)


def ip_addresses(text: str, at: int) -> Iterator[Candidate]:
    """Addresses of machines elsewhere (RFC 791, RFC 4291, RFC 5952)."""
    for match in _V4.finditer(text, at) if _may_be_four(text) else ():
        plain = ".".join(re.findall(r"\d+", match[0]))
        if not plain.isascii():
            plain = "".join(char if char == "." else str(int(char)) for char in plain)
        if _VERSION.search(text, max(0, match.start() - 12), match.start()):
            continue
        if _somebody(plain):
            yield Candidate(IP, *match.span(), 0.95)
    if not _V6_HINT.search(text, at):
        return
    for match in _V6.finditer(text, at):
        try:
            six = IPv6Address(match[0])
        except AddressValueError:
            continue
        if not (six.is_loopback or six.is_unspecified):
            yield Candidate(IP, *match.span(), 0.95)


def _may_be_four(text: str) -> bool:
    """False for a text that has no four numbers with dots, or words for dots."""
    made_of = signs(text)
    if made_of is None or _V4_HINT.search(made_of.rest):
        return True
    return "dot" in text.lower()


def _somebody(address: str) -> bool:
    try:
        four = IPv4Address(address)
    except AddressValueError:
        return False
    return not (four.is_loopback or four.is_unspecified or address == "255.255.255.255")


def mac_addresses(text: str, at: int) -> Iterator[Candidate]:
    """Addresses of network interfaces (EUI-48), but the empty and the full one."""
    if not any([hint.search(text, at) for hint in _MAC_HINTS]):
        return
    for match in _MAC.finditer(text, at):
        signs = set(re.sub(r"\W", "", match[0].lower()))
        if len(signs) > 1:
            yield Candidate(MAC, *match.span(), 0.95)
