"""Private keys: nothing of one is left, however its lines are written down.

The keys are drawn: the lines are as long as those of a key, and have its letters.
"""

from __future__ import annotations

import base64
import html
import json
import random
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

import promptguard as pg
from promptguard.drivers import drive
from promptguard.guards._secrets_tail import undecided
from promptguard.placeholders import Placeholders
from promptguard.stream import Gate

GUARD = pg.Secrets()
# Name of the kind, headers, how the body begins and how many random bytes follow: RSA
# of 2,048 bits, an elliptic curve, Ed25519, the old form with a password, and RSA of
# 8,192 bits.
KINDS = (
    ("RSA ", "", "308204a40201000282010100", 1180),
    ("EC ", "", "30770201010420", 114),
    ("", "", "302e020100300506032b657004220420", 32),
    ("RSA ", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{}\n\n", "", 1200),
    ("ENCRYPTED ", "", "308212c0", 4760),
)


def key(chance: random.Random, kind: int) -> tuple[str, str]:
    """A key, and its body on one line."""
    name, headers, begin, size = KINDS[kind]
    body = base64.b64encode(bytes.fromhex(begin) + chance.randbytes(size)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    name += "PRIVATE KEY-----"
    head = headers.format(chance.randbytes(16).hex().upper())
    return f"-----BEGIN {name}\n{head}" + "\n".join(
        [*lines, f"-----END {name}\n"]
    ), body


def before_each(sign: str) -> Callable[[str], str]:
    return lambda key: "".join(f"{sign}{line}\n" for line in key.splitlines())


def numbered(form: str) -> Callable[[str], str]:
    return lambda key: "\n".join(
        form.format(number, line) for number, line in enumerate(key.splitlines(), 1)
    )


def slashed(key: str) -> str:
    return json.dumps(key).replace("/", "\\/")


def entities(key: str) -> str:
    return key.replace("+", "&#43;").replace("/", "&#x2F;").replace("\n", "&#10;")


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lines of Windows": lambda key: key.replace("\n", "\r\n"),
    "on one line": lambda key: key.replace("\n", ""),
    "on one line with spaces": lambda key: key.replace("\n", " "),
    "JSON": json.dumps,
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "JSON with slashes escaped": slashed,
    "JSON with slashes escaped, in JSON": lambda key: json.dumps(slashed(key)),
    "JSON with slashes escaped, in such JSON": lambda key: slashed(slashed(key)),
    "JSON of .NET": lambda key: json.dumps(key).replace("+", "\\u002B"),
    "JSON, all signs by number": lambda key: (
        json.dumps(key).replace("+", "\\u002b").replace("/", "\\u002f")
    ),
    "JSON, a list of lines": lambda key: json.dumps(key.splitlines()),
    "JSON, an indented list": lambda key: json.dumps(key.splitlines(), indent=2),
    "URL": quote,
    "URL, all signs": lambda key: quote(key, safe=""),
    "URL, a form": quote_plus,
    "URL, twice": lambda key: quote(quote(key, safe=""), safe=""),
    "URL, twice as a form": lambda key: quote_plus(quote_plus(key)),
    "URL, three times": lambda key: quote(quote(quote(key, safe=""))),
    "XML": entities,
    "XML, named": lambda key: html.escape(f'"{key}"').replace("+", "&plus;"),
    "HTML": lambda key: key.replace("\n", "<br>\n"),
    "numbered with a colon": numbered("{}: {}"),
    "numbered with a point": numbered("{}. {}"),
    "numbered with a tab": numbered("{:6d}\t{}"),
    "numbered with a bar": numbered("{:3} | {}"),
    "numbered with a bracket": numbered("[{}] {}"),
    "strings of a program": lambda key: " +\n".join(
        f'    "{line}\\n"' for line in key.splitlines()
    ),
    **{
        f"behind {sign!r}": before_each(sign)
        for sign in (
            *("# ", "#", "// ", "//", "-- ", "--", "; ", ";", "% ", "- ", "* ", " * "),
            *("REM ", "rem ", "' ", "! ", "> ", "| ", "+ ", "dnl ", "C ", '" ', "/// "),
            *("\u2022 ", "\t", "    "),
        )
    },
}
CASES = [(form, kind) for form in FORMS for kind in range(len(KINDS))]


def left(text: str, body: str) -> list[str]:
    """What is in a text of a body, in any of the ways to write its signs."""
    # A placeholder ends with sixteen drawn digits, which may be in the body by chance.
    text = re.sub(r"<[A-Z_]+_[0-9]+:[0-9a-f]{16}>", "", text)
    for _ in range(3):
        text = re.sub(
            r"%([0-9A-Fa-f]{2})|\\+u00([0-9A-Fa-f]{2})|&#x([0-9A-Fa-f]{2});",
            lambda found: chr(int(found[1] or found[2] or found[3], 16)),
            text,
        )
    text = html.unescape(text).replace("\\/", "/").replace("\\", "")
    parts = (body[at : at + 5] for at in range(0, len(body) - 4, 5))
    last = body.rstrip("=")[-5:]
    return [part for part in (*parts, last) if part in text]


@pytest.mark.parametrize(("form", "kind"), CASES)
def test_nothing_of_a_private_key_is_left(form: str, kind: int) -> None:
    chance = random.Random(f"{form} {kind}")
    for _ in range(2 if kind in (0, 4) else 6):
        whole, body = key(chance, kind)
        written = FORMS[form](whole)
        # What is looked for is there before.
        assert left(written, body[:5]) == [body[:5]] * 2
        verdict = GUARD.check(f"this is ours: {written}\nand the rest")
        assert verdict.text.count("<PRIVATE_KEY_1:") == 1
        assert not left(verdict.text, body)
        assert verdict.text.endswith("\nand the rest")
        assert GUARD.check(verdict.text).text == verdict.text


def streamed(text: str, size: int) -> str:
    places = Placeholders()
    places.nonce = "0" * 16
    gate, out = Gate(GUARD, places), ""
    for at in range(0, len(text), size):
        gate.feed(text[at : at + size])
        out += released(gate, at + size >= len(text))
    return out


def released(gate: Gate, end: bool) -> str:
    steps, answer = gate.release(end), None
    while True:
        try:
            engine = steps.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            return str(stop.value)
        answer = drive(engine)


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_holds_a_key_to_its_end(form: str) -> None:
    chance = random.Random(form)
    whole, body = key(chance, 3)
    prose = "and so the story goes on without any harm at all " * 20
    text = f"{prose}\n{FORMS[form](whole)}\n{prose}"
    out = streamed(text, 37)
    assert not left(out, body)
    assert out == streamed(text, len(text))
    assert out.startswith(prose) and out.endswith(prose)


HEAD, TAIL = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        f"A file in PEM begins with {HEAD} and ends with {TAIL}, as you can see.",
        f"{HEAD}\n...\n{TAIL}",
        f"{HEAD}\n<your key goes here>\n{TAIL}",
        f'pem.replace("{HEAD}", "").replaceAll("\\\\s", "").replace("{TAIL}", "")',
        f"sed -n '/{HEAD}/,/{TAIL}/p' bundle.pem > key.pem",
        rf"re.compile(r'{HEAD}[A-Za-z0-9+/=\s]+{TAIL}')",
        f"{HEAD} is the head. " + "It is followed by lines of letters. " * 40 + TAIL,
        f"{HEAD}\nis what openssl genpkey writes; internationalization.\n{TAIL}",
        f"the head {HEAD} " + "of a key and its body " * 1200 + TAIL,
    ],
)
def test_prose_and_programs_about_keys_are_left_alone(text: str) -> None:
    assert not GUARD.check(text).flagged


def test_a_placeholder_is_no_part_of_a_key() -> None:
    whole, body = key(random.Random(5), 0)
    once = GUARD.check(whole.replace(body[640:704], "<EMAIL_1:0123456789abcdef>")).text
    assert body[:64] not in once
    assert GUARD.check(once).text == once


def test_each_of_several_keys_goes_and_what_is_between_stays() -> None:
    chance = random.Random(6)
    keys = [key(chance, kind) for kind in (0, 1, 2)]
    text = "\nthis is between\n".join(slashed(whole) for whole, _ in keys)
    after = GUARD.check(text).text
    assert not any(left(after, body) for _, body in keys)
    assert after.count("\nthis is between\n") == 2


def test_a_stream_is_held_no_longer_than_a_key_may_go_on() -> None:
    start = len(text := "the parcel left the warehouse, " * 9)
    text += HEAD
    whole, _ = key(random.Random(7), 0)
    for more in (whole[27:60], before_each("// ")(whole[27:-30])):
        assert undecided(text + more, 768) <= start
    assert undecided(text + before_each("// ")(whole[27:]), 768) > start
    told = text + " is the head of a file that holds a key, and so on it goes" * 20
    assert len(told) - undecided(told, 768) < 110
    endless = text + "\n" + "Ab1/" * 5400
    assert undecided(endless, 768) > start
