"""Hosts of URLs: how a browser reads them, and what they are made to look like."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from .. import _lookalikes as look
from ..errors import ConfigError

__all__ = ["Host", "Rules", "read", "rules"]

_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_RULE = re.compile(r"(?:\*\.)?[^\s/\\:?#@*\[\]]+")

# Scripts that are written together, after "highly restrictive" in Unicode Technical
# Standard 39, section 5.2.
_TOGETHER = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)


@dataclass(frozen=True, slots=True)
class Host:
    """A host as a browser takes it.

    Args:
        name: Lower case, Unicode rather than punycode, or an address in its usual form.
        address: It is an IP address.
        broken: A label claims to be punycode and is not.
    """

    name: str
    address: bool = False
    broken: bool = False

    def deceives(self) -> bool:
        """True for names that pass for others by their letters alone.

        A label mixes scripts that are not written together, or consists of look-alikes
        of Latin letters under a Latin top-level domain.
        """
        if self.broken:
            return True
        if self.name.isascii():
            return False
        *labels, top = self.name.split(".")
        return any(map(_mixed, (*labels, top))) or (
            top.isascii() and any(map(_disguised, labels))
        )


@lru_cache(maxsize=4096)
def read(host: str) -> Host:
    """What a browser makes of the host of a URL (WHATWG URL Standard, section 3.5)."""
    if host.startswith("["):
        try:
            return Host(str(ipaddress.IPv6Address(host[1:-1].partition("%")[0])), True)
        except ValueError:
            return Host(host, True)
    if "%" in host:
        data = _PERCENT.sub(lambda match: chr(int(match[1], 16)), host)
        try:
            host = data.encode("latin-1").decode("utf-8")
        except ValueError:
            host = data
    name = unicodedata.normalize("NFKC", host).lower().replace("\u3002", ".")
    name = name.rstrip(".")
    address = _version_4(name)
    if address is not None:
        return Host(address, True)
    labels, broken = [], False
    for label in name.split("."):
        if label.startswith("xn--"):
            try:
                label = label[4:].encode("ascii").decode("punycode")
            except ValueError:
                broken = True
            broken = broken or label.isascii()
        labels.append(label)
    return Host(".".join(labels), broken=broken)


def _version_4(name: str) -> str | None:
    """The address that one to four numbers stand for: 0x7f.1 is 127.0.0.1."""
    parts = name.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    total = 0
    for place, part in enumerate(parts):
        try:
            if part[:2] in ("0x", "0X"):
                value = int(part[2:] or "0", 16)
            else:
                value = int(part, 8 if part[0] == "0" and len(part) > 1 else 10)
        except ValueError:
            return None
        # The last number fills what the others leave.
        size = 8 if place < len(parts) - 1 else 8 * (5 - len(parts))
        if value >= 1 << size:
            return None
        total = (total << size) | value
    return str(ipaddress.IPv4Address(total))


@dataclass(frozen=True, slots=True)
class Rules:
    """Hosts by name: ``example.com`` and all below it, ``*.example.com``, or ``*``."""

    names: frozenset[str]
    below: frozenset[str]
    every: bool
    skeletons: frozenset[str]

    def match(self, host: Host) -> bool:
        """True when a rule names the host; only its own rule names an address."""
        if host.address:
            return host.name in self.names
        if self.every or host.name in self.names:
            return True
        above = [*_above(host.name)]
        return any(name in self.names or name in self.below for name in above)

    def resembles(self, host: Host) -> bool:
        """True for a host that no rule names and that looks like one that is named."""
        shape = _skeleton(host.name)
        if any(name in self.skeletons for name in (shape, *_above(shape))):
            return True
        # A known name in front of another one, as in example.com.other.net.
        parts = shape.split(".")
        return any(
            ".".join(parts[start:end]) in self.skeletons
            for start in range(len(parts))
            for end in range(start + 2, min(len(parts), start + 6))
        )


@lru_cache(maxsize=64)
def rules(kind: str, given: tuple[str, ...]) -> Rules:
    """The rules that strings stand for.

    Raises:
        ConfigError: One is not a host.
    """
    names: set[str] = set()
    below: set[str] = set()
    for place, rule in enumerate(given):
        host = _rule(kind, place, rule)
        if rule != "*":
            (below if rule.startswith("*.") else names).add(host)
    known = {name for name in names | below if not _is_address(name)}
    return Rules(
        frozenset(names),
        frozenset(below),
        "*" in given,
        frozenset(map(_skeleton, known)),
    )


def _rule(kind: str, place: int, rule: object) -> str:
    if not isinstance(rule, str):
        raise ConfigError(f"{kind} {place} is a {type(rule).__name__}, not a str")
    if _is_address(rule.strip("[]")):
        return str(ipaddress.ip_address(rule.strip("[]")))
    if rule != "*" and not _RULE.fullmatch(rule):
        raise ConfigError(
            f"{kind} {place}, {rule!r}, is not a host; write example.com for it and "
            "all below it, *.example.com for what is below it, or an IP address, "
            "without scheme, port and path"
        )
    host = read(rule.removeprefix("*."))
    if host.broken:
        raise ConfigError(f"{kind} {place}, {rule!r}, is not punycode")
    return host.name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _above(name: str) -> Iterable[str]:
    """The domains that a name belongs to, from the nearest to the top."""
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _mixed(label: str) -> bool:
    scripts = {_script(char) for char in label if char.isalpha()}
    return len(scripts) > 1 and not any(scripts <= group for group in _TOGETHER)


def _disguised(label: str) -> bool:
    """True for nothing but look-alikes, none of them a Latin letter."""
    letters = [char for char in label if char.isalpha()]
    if not letters or any(_script(char) == "LATIN" for char in letters):
        return False
    return "".join(letters).translate(_shapes()).isascii()


def _script(char: str) -> str:
    # The name of a letter begins with its script.
    return unicodedata.name(char, "?").split()[0]


@lru_cache(maxsize=4096)
def _skeleton(name: str) -> str:
    """The name with letters that look alike made one, as in UTS 39, section 4."""
    plain = unicodedata.normalize("NFD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = plain.translate(_shapes()).translate(_ALIKE)
    return plain.replace("rn", "m").replace("vv", "w")


# Capital i, which a host may be written with, is no other than a small L.
_ALIKE = str.maketrans("01i", "oll")


@cache
def _shapes() -> dict[int, str]:
    return look.letters(look.CLOSE, look.LOOSE) | look.letters(look.LATIN)
