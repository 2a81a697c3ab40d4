"""Urls: addresses that lead elsewhere, pretend, or carry something out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from ..errors import ConfigError
from ..guard import Guard, Inspection
from ..text import Text
from ..verdict import Action, Finding
from ._hosts import read, rules
from ._links import REACH, SIGNS, Link, links

__all__ = ["Urls"]

# A link has to be clicked on, so it may carry this many times what an image may.
_CLICKED = 4

_CODE = ("javascript", "vbscript", "livescript")
_LABELS = frozenset(
    f"url_{kind}"
    for kind in (
        "credentials data exfiltration host ip lookalike scheme script".split()
    )
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,31}")


@dataclass(frozen=True)
class Urls(Guard):
    """URLs in a text, by where they lead and what they carry.

    Labels: ``url_host`` (denied, or not allowed), ``url_scheme`` (not allowed),
    ``url_script`` (``javascript:`` and the like), ``url_data`` (``data:``),
    ``url_ip`` (an address instead of a name, also as one number, octal or hexadecimal),
    ``url_credentials`` (a user name before the host), ``url_lookalike`` (mixed scripts,
    false punycode, a name that resembles an allowed one) and ``url_exfiltration`` (an
    image or link that carries long data to its host, allowed or not).

    Args:
        allow: Hosts that may stand in a text; every host where it is empty.
            ``example.com`` is that host and all below it, ``*.example.com`` only those
            below it, ``*`` every name. An IP address is allowed by its own rule alone.
        deny: Hosts that may not, whatever ``allow`` says; written alike.
        schemes: Schemes that may stand in a text, such as ``("https",)``; every one
            but scripts and ``data`` where it is empty.
        carries: Characters of query that the address of an image may carry, at least 1;
            a link may carry four times as many. None for any number.

    Raises:
        ConfigError: A host or a scheme is not one, or ``carries`` is not a number.
    """

    allow: tuple[str, ...] = ()
    _: KW_ONLY
    deny: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    carries: int | None = 64
    action: Action = Action.REDACT

    def __post_init__(self) -> None:
        super().__post_init__()
        for kind in ("allow", "deny", "schemes"):
            given: object = getattr(self, kind)
            if isinstance(given, str) or not isinstance(given, tuple | list):
                raise ConfigError(f'{kind} must be several: {kind}=("example.com",)')
            object.__setattr__(self, kind, tuple(given))
        rules("allow", self.allow)
        rules("deny", self.deny)
        schemes: tuple[object, ...] = self.schemes
        for scheme in schemes:
            if not isinstance(scheme, str) or not _SCHEME.fullmatch(scheme):
                raise ConfigError(
                    f"{scheme!r} is not a scheme; write it in lower case and without a "
                    'colon, as in schemes=("https", "mailto")'
                )
        if self.carries is not None and (
            type(self.carries) is not int or self.carries < 1
        ):
            raise ConfigError("carries must be a number of characters, or None")

    @property
    def known_labels(self) -> frozenset[str]:
        return _LABELS

    @property
    def reach(self) -> int:
        return REACH

    def inspect(self, text: Text) -> Inspection:
        """Find URLs in every reading of the text."""
        for reading in text.readings:
            if reading.lacks(SIGNS) and "www." not in reading.text.lower():
                continue
            for link in links(reading.text, reading.position(text.start)):
                for kind in self._kinds(link):
                    span = reading.span(link.start, link.end)
                    yield Finding(f"url_{kind}", 1.0, *span)

    def _kinds(self, link: Link) -> Iterator[str]:
        """What is wrong with a URL."""
        if self.schemes and link.scheme and link.scheme not in self.schemes:
            yield "scheme"
        if link.scheme not in self.schemes:
            if link.scheme in _CODE:
                yield "script"
            elif link.scheme == "data":
                yield "data"
        if link.host is None:
            return
        yield from self._host(link.host)
        if link.named:
            yield "credentials"
        most = self.carries
        if most is not None and link.carried > most * (1 if link.loads else _CLICKED):
            yield "exfiltration"

    def _host(self, written: str) -> Iterator[str]:
        host = read(written)
        allow = rules("allow", self.allow)
        allowed = allow.match(host)
        denied = bool(self.deny) and rules("deny", self.deny).match(host)
        if denied or (self.allow and not allowed):
            yield "host"
        if host.address and not allowed:
            yield "ip"
        if allowed and not allow.every:
            return
        if host.deceives() or (not allowed and allow.resembles(host)):
            yield "lookalike"
