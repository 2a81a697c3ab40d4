"""The table of secrets: every row is well-formed, and finds what it describes."""

from __future__ import annotations

import base64
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptguard.guards import _backtracking, _regex
from promptguard.guards._secrets_checks import CHECKS
from promptguard.guards._secrets_scan import scan
from promptguard.guards._secrets_table import Row, names, table
from promptguard.guards.secrets import Secrets

ROWS = table(None).rows
SEVERITIES = {"critical", "high", "medium", "low"}

by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def sample(pattern: str, chance: random.Random) -> str:
    """A text that matches a pattern, drawn by walking through it."""
    return "".join(_drawn(_regex.parse(pattern, 0), chance))


def _drawn(nodes: Any, chance: random.Random) -> Iterator[str]:
    for name, value in nodes:
        kind = str(name)
        if kind == "LITERAL":
            yield chr(value)
        elif kind == "NOT_LITERAL":
            yield "k"
        elif kind == "IN":
            yield chance.choice(_members(value))
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, part = value
            for _ in range(chance.randint(low, min(int(high), max(low, 40)))):
                yield from _drawn(part, chance)
        elif kind == "SUBPATTERN":
            yield from _drawn(value[-1], chance)
        elif kind == "BRANCH":
            yield from _drawn(chance.choice(value[1]), chance)
        else:
            assert kind in ("ASSERT", "ASSERT_NOT", "AT"), kind


def _members(items: Any) -> str:
    found = ""
    negated = False
    for name, value in items:
        kind = str(name)
        if kind == "LITERAL":
            found += chr(value)
        elif kind == "RANGE":
            found += "".join(map(chr, range(value[0], value[1] + 1)))
        elif kind == "CATEGORY":
            found += {"SPACE": " ", "DIGIT": "0123456789"}.get(
                str(value).rpartition("_")[2], "abcdefghkmABCDEFGHKM23456789"
            )
        else:
            negated = True
    if negated:
        return "".join(c for c in "aZb2C7dE9fGhK4" if c not in found)
    return found


def b64(data: bytes | str) -> str:
    raw = data.encode() if isinstance(data, str) else data
    return base64.b64encode(raw).decode()


def special(row: Row, chance: random.Random) -> str | None:
    """What a check asks for, that a drawing would not have."""
    raw = chance.randbytes(40)
    lines = "\n".join(b64(chance.randbytes(48)) for _ in range(6))
    head = "-----BEGIN RSA PRIVATE KEY-----"
    token = b64('{"alg":"dir","enc":"A256GCM"}').rstrip("=")
    tail = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    number = str(chance.randint(10**17, 10**18 - 1))
    made = {
        "jwt": f"{token}.eyJ{tail}.{tail}",
        "jwt-encrypted": f"{token}..{tail}.{tail}.{tail}",
        "private-key": f"{head}\n{lines}",
        "private-key-header": head,
        "private-key-base64": b64(f"{head}\n{lines}"),
        "putty-private-key": f"Private-Lines: 6\n{lines}",
        "jwk-private-key": f'd": "{tail}x8K", "kty": "EC"',
        "jwk-base64": b64(json.dumps({"kty": "EC", "d": tail}, separators=(",", ":"))),
        "authorization-basic": "Basic " + b64(f"joe:{tail[:12]}"),
        "discord-bot-token": f"{b64(number).rstrip('=')}.Gx3k_9.{tail[:30]}",
        "atlassian-data-center-token": b64(f"{number[:12]}:".encode() + raw[:20]),
        "otp-seed": "2fa code: JBSW Y3DP EHPK 3PXR",
        "twitter-bearer-token": "A" * 22 + f"{raw.hex()}xyz",
        "login-call": f"auth = ('joe', '{tail[:12]}')",
        "curl-user-password": f"curl -sS -u joe:{tail[:12]}",
        "curl-secret": f"curl --oauth2-bearer {tail[:12]}",
        "libcurl-password": f'curl_setopt($c, CURLOPT_USERPWD, "joe:{tail[:12]}")',
        "command-line-password": f"sshpass -p {tail[1:12]}x",
        "dropbox-long-lived-token": f"{tail[:11]}{'A' * 10}{(tail * 2)[3:46]}",
    }
    return made.get(row.name)


def test_there_are_many_rows_with_names_of_their_own() -> None:
    assert len(ROWS) >= 150
    assert len(set(names())) == len(names()) == len(ROWS)
    for name in names():
        assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name), name
        assert not name.startswith("generic-")


# Ways in which any secret is written, and standards that are nobody's own.
FORMS = frozenset(
    """
    age amqp authorization command curl dependency jwk jwt libcurl login netrc otp
    pgpass powershell private putty sql url user
    """.split()
)


def test_the_keys_of_more_than_150_providers_are_known() -> None:
    providers = {name.partition("-")[0] for name in names()}
    assert providers >= FORMS and len(providers - FORMS) >= 150


def test_the_documentation_lists_every_kind() -> None:
    path = Path(__file__).parents[1] / "docs" / "guards" / "secrets.md"
    text = path.read_text(encoding="utf-8").partition("## Kinds")[2]
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| (\w+) \|", text, re.MULTILINE)
    assert listed == [(row.name, row.severity) for row in ROWS]


@by_row
def test_a_row_is_well_formed(row: Row) -> None:
    assert row.severity in SEVERITIES
    assert re.search(r"https://|\[gitleaks\]|\[noseyparker\]", row.source)
    assert row.keywords and all(row.keywords)
    for check in (row.check, row.proof):
        assert check is None or check in CHECKS
    assert not (row.near and row.back)
    assert _backtracking.hazard(row.compiled.pattern, row.compiled.flags) is None
    if row.near:
        assert all(keyword == keyword.lower() for keyword in row.keywords)
        assert _regex.longest(row.pattern.replace("{uuid}", "x" * 36), 0) is not None


@by_row
def test_a_row_finds_what_it_describes(row: Row) -> None:
    chance = random.Random(row.name)
    guard = Secrets(patterns=(row.name,), entropy=False)
    found = 0
    for _ in range(8):
        made = special(row, chance)
        if made is None:
            pattern = row.pattern.replace(
                "{uuid}", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
            )
            made = sample(pattern, chance)
        if row.near:
            text = f'{row.keywords[0]}_access_token = "{made}"'
        elif row.name == "private-key-header":
            text = f"the file begins {made}\n"
        elif made.endswith(":") or "@" in row.pattern[-20:]:
            text = f"see {made}@db.example.org now"
        else:
            text = f"see {made};" if "(?=" in row.pattern else f"see {made} now"
        spans = [(f.label, text[f.start : f.end]) for f in guard.check(text).findings]
        found += any(label == row.name and part in made for label, part in spans)
    # A drawing may look like a placeholder, or begin with what is no number.
    assert found >= 5, found


@pytest.mark.slow
@by_row
def test_a_row_takes_time_in_proportion(row: Row) -> None:
    """Texts full of what announces a secret; the bound is wide, for busy machines."""
    chosen = table((row.name,))

    def seconds(unit: str, size: int) -> float:
        text = (unit * size)[:size]
        begin = time.process_time()
        scan(text, 0, chosen, False)
        return time.process_time() - begin

    for unit in (f"{row.keywords[0]}/", f"{row.keywords[-1]} = aB3"):
        short, long = seconds(unit, 1_000), seconds(unit, 16_000)
        # Sixteen times the text: 16 if linear, 256 if quadratic.
        assert long < 64 * max(short, 0.002), (unit, short, long)
