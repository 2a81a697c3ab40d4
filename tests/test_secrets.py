"""Secrets: what it finds, where, and what it leaves alone.

No test holds a whole key as it would be in use: they are put together here, so that
nothing that reads this repository takes one for real.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
import string
import zlib
from unittest.mock import patch
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import promptguard as pg
from promptguard.drivers import drive
from promptguard.errors import ConfigError
from promptguard.guards import _secrets_assignments
from promptguard.guards import _secrets_checks as checks
from promptguard.guards._secrets_names import kind_of
from promptguard.guards._secrets_scan import REACH
from promptguard.guards.secrets import Secrets
from promptguard.placeholders import Placeholders
from promptguard.stream import Gate
from promptguard.testing import check_guard
from promptguard.text import Text
from promptguard.verdict import Verdict

GUARD = Secrets()
RANDOM = random.Random(7)
ALNUM = string.ascii_letters + string.digits
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def drawn(size: int, alphabet: str = ALNUM) -> str:
    return "".join(RANDOM.choice(alphabet) for _ in range(size))


def with_checksum(prefix: str) -> str:
    body, number, digits = drawn(30), 0, ""
    number = zlib.crc32(body.encode())
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return prefix + body + digits


HEX = "0123456789abcdef"
AWS_ID = "AK" + "IA" + drawn(16, string.ascii_uppercase + "234567")
GITHUB = with_checksum("gh" + "p_")
NPM = with_checksum("np" + "m_")
STRIPE = "sk" + "_live_" + drawn(24)
VALUE = "q7Kd93jf0sLq82hfXx71b"
LINES = [base64.b64encode(RANDOM.randbytes(48)).decode() for _ in range(26)]
PEM = "\n".join(
    ["-----BEGIN RSA " + "PRIVATE KEY-----", *LINES, "-----END RSA PRIVATE KEY-----"]
)


def b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT = (
    f"{b64(json.dumps({'alg': 'HS256'}))}.{b64(json.dumps({'sub': 'joe'}))}.{drawn(43)}"
)


def found(text: str, guard: Secrets = GUARD) -> list[tuple[str, str]]:
    """Labels and values, in the caller's own characters."""
    return [(f.label, text[f.start : f.end]) for f in guard.check(text).findings]


def values(text: str) -> list[str]:
    return [value for _, value in found(text)]


@pytest.mark.parametrize(
    ("text", "label", "value", "score"),
    [
        (f"id {AWS_ID}.", "aws-access-key-id", AWS_ID, 0.99),
        (f"id {AWS_ID[:-1]}9.", "aws-access-key-id", AWS_ID[:-1] + "9", 0.95),
        (f"use {GITHUB} here", "github-personal-access-token", GITHUB, 0.99),
        (f"use {NPM} here", "npm-access-token", NPM, 0.99),
        (f"pay with {STRIPE}", "stripe-secret-key", STRIPE, 0.95),
        (f"Authorization: Bearer {JWT}", "jwt", JWT, 0.99),
        (
            f"SNYK_TOKEN={(u := '5a8f6c3e-9d1b-4e7a-8c2f-1b3d5e7f9a0c')}",
            "snyk-api-token",
            u,
            0.85,
        ),
        ("postgres://joe:hu7nter@db/x", "postgres-connection-string", "hu7nter", 0.95),
        ("ftp://joe:hu7nter@db/x", "url-credentials", "hu7nter", 0.95),
        ("Basic am9lOnMzY3IzdHB3", "authorization-basic", "am9lOnMzY3IzdHB3", 0.95),
        ("curl -u joe:hu7nter x", "curl-user-password", "hu7nter", 0.95),
        ("password = 'hu7nter'", "generic-password", "hu7nter", 0.6),
    ],
)
def test_the_score_says_how_a_secret_is_known(
    text: str, label: str, value: str, score: float
) -> None:
    assert found(text) == [(label, value)]
    assert GUARD.check(text).findings[0].score == score


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "{}"',
        "API_KEY={}",
        "export SERVICE_API_KEY={} # mine",
        'const apiKey = "{}";',
        "apiKey: '{}',",
        '{{"api_key": "{}"}}',
        '{{\\"api_key\\": \\"{}\\"}}',
        "client_secret: {}",
        "X-Api-Key: {}",
        "Authorization: Token {}",
        "https://example.org/x?api_key={}&y=1",
        "<apiKey>{}</apiKey>",
        '<add key="apiKey" value="{}"/>',
        'System.setProperty("API_KEY", "{}")',
        "api_key => '{}'",
        "$apiKey .= '{}';",
        "api_key := `{}`",
        "api_key ::= {}",
        "--api-key {}",
        '#define API_KEY "{}"',
        "ENV API_KEY {}",
        'var apiKey string = "{}"',
        'api_key: str = "{}"',
        'if (secret == "{}")',
        "secret=f'{}'",
        "auth_token=&quot;{}&quot;",
    ],
)
def test_an_assignment_is_read_however_it_is_written(text: str) -> None:
    assert values(text.format(VALUE)) == [VALUE]


@pytest.mark.parametrize(
    "text",
    [
        "my password is {}, keep it",
        "The password is '{}'.",
        "the password for the admin user is {}",
        "Password: {}",
        "PW: {}",
        "password -> {}",
        "비밀번호: {}",
        "密码是 {}",
        "Пароль: {}",
        "La contraseña es '{}'",
        "Mein Passwort: {}",
        "ID/PW: joe/{}",
        "CREATE USER joe IDENTIFIED BY '{}'",
        "ALTER ROLE joe WITH PASSWORD '{}';",
        "ConvertTo-SecureString '{}' -AsPlainText",
        "sshpass -p {} ssh joe@example.org",
        "auth=('joe', '{}')",
        "machine example.org login joe password {}",
        "Server=x;Uid=joe;Pwd={};",
        "--password={}",
        "| password | {} |",
    ],
)
def test_a_password_is_read_however_it_is_told(text: str) -> None:
    assert values(text.format("hu7nt!er")) == ["hu7nt!er"]


@pytest.mark.parametrize(
    "text",
    [
        "Reset your password: click the link below.",
        "password is required",
        "The password is not stored.",
        'api_key = "YOUR_API_KEY"',
        'api_key="xxxxxxxxxxxxxxxxxxxx"',
        "API_KEY=<your key here>",
        "token: ${TOKEN}",
        "password: {{ db_password }}",
        "password = os.environ['PASSWORD']",
        "token = get_token(user_1, force2)",
        "self.password = user.password2",
        "def login(self, password: str = None)",
        "max_tokens = 4096",
        'tokenizer = "cl100k_base"',
        'public_key = "q7Kd93jf0sLq82hfXx71b"',
        'key_name = "q7Kd93jf0sLq82hfXx71b"',
        "AK" + "IAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
        "sk-" + "x" * 48,
        f"uses: somebody/checks@{drawn(40, HEX)} # v4.2.2",
        f'"integrity": "sha512-{LINES[0]}{LINES[1][:24]}==",',
        f'{{file = "tool-1.0.tar.gz", hash = "sha256:{drawn(64, HEX)}"}},',
        f'<script src="x.js" integrity="sha384-{LINES[2]}"></script>',
        f"id: {drawn(8, HEX)}-{drawn(4, HEX)}-4{drawn(3, HEX)}-a716-{drawn(12, HEX)}",
        f"![x](data:image/png;base64,iVBORw0KGgo{LINES[3]}{LINES[4]})",
        f"commit {drawn(40, HEX)}",
        f"ETag: {drawn(32, HEX)}",
        "-----BEGIN CERTIFICATE-----\n"
        + "\n".join(LINES)
        + "\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\n" + LINES[0] + "\n-----END PUBLIC KEY-----",
        "What does -----BEGIN PRIVATE " + "KEY----- at the top of a file mean?",
        "monkey = 'banana split 2'; keyboard: qwerty; hotkey=ctrl+shift+4",
        "postgres://user:password@localhost/db",
        "https://example.org:8080/a@b and mailto:joe@example.org",
        "secret santa: we meet at 7pm; the key: be on time",
        "| token | meaning |",
    ],
)
def test_look_alikes_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        AWS_ID[:4] + "\u200b" + AWS_ID[4:9] + "\u2060" + AWS_ID[9:],
        "".join(chr(ord(c) + 0xFEE0) for c in AWS_ID),
        AWS_ID[:9] + "\\\n    " + AWS_ID[9:],
        AWS_ID[:9] + '" + "' + AWS_ID[9:],
        AWS_ID[:9] + "' .\n  '" + AWS_ID[9:],
        AWS_ID[:9] + '"\n  "' + AWS_ID[9:],
    ],
)
def test_a_key_in_pieces_is_found_whole(text: str) -> None:
    assert found(f"x = '{text}'") == [("aws-access-key-id", text)] or found(
        f'x = "{text}"'
    ) == [("aws-access-key-id", text)]


def test_a_secret_after_an_escape_is_found() -> None:
    for before in ("\\n", "\\t", "%3D", "\\u0022"):
        assert values(f"key{before}{GITHUB}") == [GITHUB]
    assert values(f"x{GITHUB}") == []


@pytest.mark.parametrize(
    "join",
    [
        *("\n", "\\n", "\r\n", '\\n" +\n "', "\n    ", "\n> ", "\n+", "\n\n", '",\n "'),
        *("", " ", "%0A", "%0D%0A", "&#10;", "&#xD;\n", "<br>", "<br />\n"),
    ],
)
def test_a_private_key_is_found_however_its_lines_are_joined(join: str) -> None:
    text = "my key: " + PEM.replace("\n", join) + " done"
    (finding,) = GUARD.check(text).findings
    assert (finding.label, finding.score) == ("private-key", 0.99)
    value = text[finding.start : finding.end]
    assert value.startswith("-----BEGIN") and value.endswith(LINES[-1])


@pytest.mark.parametrize(
    "form", ["{:3d}  {}", "{}: {}", "{}. {}", "{:6d}\t{}", "{}|{}"]
)
def test_nothing_of_a_private_key_with_numbered_lines_is_left(form: str) -> None:
    numbered = enumerate(PEM.split("\n"), 98)
    text = "\n".join(form.format(number, line) for number, line in numbered)
    after = GUARD.check(f"{text}\nthe rest").text
    assert not any(line in after for line in LINES) and after.endswith("\nthe rest")


def test_nothing_of_a_private_key_in_a_url_is_left() -> None:
    text = quote(PEM, safe="")
    assert "%2F" in text and "%2B" in text
    after = GUARD.check(f"https://example.org/?key={text}&next=1").text
    parts = [part for line in LINES for part in re.split("%..", quote(line, safe=""))]
    assert not any(part in after for part in parts if len(part) > 3)
    assert after.endswith("&next=1")


def test_nothing_of_a_service_account_is_left_but_its_names() -> None:
    account = {
        "type": "service_account",
        "project_id": "example",
        "private_key_id": drawn(40, HEX),
        "private_key": PEM + "\n",
        "client_email": "x@example.iam.gserviceaccount.com",
    }
    for text in (
        json.dumps(account),
        json.dumps(account, indent=2),
        json.dumps(json.dumps(account)),
        f"GOOGLE_CREDENTIALS='{json.dumps(account)}'",
    ):
        after = GUARD.check(text).text
        assert not any(line in after for line in LINES)
        assert "x@example.iam.gserviceaccount.com" in after


def test_the_last_line_of_a_private_key_goes_too() -> None:
    text = PEM.replace("-----END", "abcdEFgh==\n-----END")
    assert values(text) == [text.partition("\n-----END")[0]]
    # Without the head there is only the end to tell it by.
    assert values(text.partition("\n")[2])[-1] == "abcdEFgh=="


def test_the_head_of_a_private_key_at_the_end_of_a_text() -> None:
    head = PEM.partition("\n")[0]
    assert found(head) == [("private-key-header", head)]
    assert found(f"{head}\n...\n-----END RSA PRIVATE KEY-----") == []


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('curl_easy_setopt(curl, CURLOPT_USERPWD, "joe:{}");', "libcurl-password"),
        ("curl_setopt($c, CURLOPT_PROXYUSERPWD, 'joe:{}');", "libcurl-password"),
        ("CURLOPT_KEYPASSWD => '{}',", "libcurl-password"),
        ('curl_easy_setopt(c, CURLOPT_TLSAUTH_PASSWORD, "{}");', "libcurl-password"),
        ("handle.setopt(pycurl.USERPWD, 'joe:{}')", "libcurl-password"),
        ('<input name="api_key" type="hidden" value="{}">', "generic-secret"),
    ],
)
def test_options_of_libraries_and_hidden_fields(text: str, label: str) -> None:
    assert found(text.format("Hu7nt!erQ29zx")) == [(label, "Hu7nt!erQ29zx")]


@pytest.mark.parametrize(
    "text",
    [
        'curl_easy_setopt(curl, CURLOPT_USERPWD, "user:password");',
        'curl_setopt($c, CURLOPT_USERPWD, "$user:$pass");',
        "curl_setopt($c, CURLOPT_USERPWD, $user . ':' . $pass);",
        'curl_easy_setopt(curl, CURLOPT_USERAGENT, "agent:hu7nter");',
        'curl_easy_setopt(curl, CURLOPT_USERPWD, NULL); puts("joe:hu7nter");',
        '<input name="api_key" type="text" placeholder="your key">',
        '<input name="csrf_token" type="hidden" value="q7Kd93jf0sLq82hfXx71b">',
        "otpauth-migration://offline?data=",
        f"NRII-{drawn(8)}",
        f"00D{drawn(12)} is the id of an organisation!",
        f"AA{drawn(40, HEX)}-NRMB",
    ],
)
def test_options_and_fields_that_hold_no_secret(text: str) -> None:
    assert found(text) == []


def test_a_session_of_salesforce_is_found_as_shells_and_urls_write_it() -> None:
    token = drawn(96)
    for sign in ("!", "\\!", "%21"):
        text = f"Bearer 00D{drawn(15)}{sign}{token} done"
        assert "salesforce-access-token" in [label for label, _ in found(text)], sign


def test_a_link_that_exports_one_time_passwords_is_found() -> None:
    data = base64.b64encode(RANDOM.randbytes(48)).decode().replace("+", "%2B")
    assert found(f"scan otpauth-migration://offline?data={data} now") == [
        ("otp-export", data)
    ]


def test_a_json_web_key_loses_its_private_part_only() -> None:
    private, public = drawn(43), drawn(43)
    key = {"kty": "EC", "crv": "P-256", "x": public, "d": private}
    assert found(json.dumps(key)) == [("jwk-private-key", private)]
    assert found(json.dumps({"kty": "EC", "crv": "P-256", "x": public})) == []
    prime, other, exponent = drawn(171), drawn(171), drawn(171)
    parts = {"kty": "RSA", "n": drawn(342), "p": prime, "q": other, "dp": exponent}
    for written in (json.dumps(parts), json.dumps(json.dumps(parts)), repr(parts)):
        assert [value for _, value in found(written)] == [prime, other, exponent]


def test_the_name_is_kept_and_the_rest_unchanged() -> None:
    text = f'{{"api_key": "{VALUE}", "user": "joe"}}'
    verdict = GUARD.check(text)
    before, _, after = text.partition(VALUE)
    assert verdict.action is pg.Action.REDACT
    assert verdict.text.startswith(before + "<GENERIC_SECRET_1:")
    assert verdict.text.endswith(">" + after)


def test_the_kind_wins_over_the_look() -> None:
    assert found(f"api_key = '{GITHUB}'") == [("github-personal-access-token", GITHUB)]
    assert found(f"DATADOG_API_KEY={(key := drawn(32, HEX))}") == [
        ("datadog-api-key", key)
    ]


def test_checksums() -> None:
    crc32, bech32, crc16 = (checks.CHECKS[n] for n in ("crc32", "bech32", "crc16"))
    assert crc32(GITHUB) and not crc32(GITHUB[:-1] + "_")
    # A test vector of BIP 173.
    assert bech32("A12UEL5L") and not bech32("A12UEL5M")
    # A seed (S) of a user (U), in five bits each.
    raw = bytes([18 << 3 | 20 >> 2, (20 & 3) << 6]) + RANDOM.randbytes(32)
    raw += binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    seed = base64.b32encode(raw).decode().rstrip("=")
    assert crc16(seed) and not crc16(seed[:9] + seed[10:12] + seed[9] + seed[12:])
    assert found(f"seed {seed}") == [("nats-nkey-seed", seed)]
    assert checks.CHECKS["base32"](AWS_ID)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("password", "password"),
        ("DB_PASSWORD_PROD", "password"),
        ("myPassword2", "password"),
        ("api_key", "secret"),
        ("APIKey", "secret"),
        ("secretkey", "secret"),
        ("client-secret", "secret"),
        ("access_token", "secret"),
        ("x-auth-token", "secret"),
        ("SECRET_KEY_BASE", "secret"),
        ("key", "key"),
        ("ssh_host_key", "key"),
        ("public_key", None),
        ("max_tokens", None),
        ("next_page_token", None),
        ("password_hash", None),
        ("keyboard", None),
        ("monkey", None),
        ("compass", None),
        ("token_url", None),
        ("", None),
    ],
)
def test_names_are_read_by_their_words(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_patterns_choose_the_kinds() -> None:
    text = f"{AWS_ID} {GITHUB} api_key='{VALUE}'"
    chosen = Secrets(patterns=("aws-access-key-id",), entropy=False)
    assert found(text, chosen) == [("aws-access-key-id", AWS_ID)]
    assert [label for label, _ in found(text, Secrets(entropy=False))] == [
        "aws-access-key-id",
        "github-personal-access-token",
    ]
    assert found(text, Secrets(patterns=())) == [("generic-secret", VALUE)]


def test_allowed_values_are_left_alone() -> None:
    text = f"{AWS_ID} {GITHUB}"
    assert found(text, Secrets(allow=(AWS_ID, "gh" + "p_*"))) == []
    assert found(text, Secrets(allow=(AWS_ID[:-1],))) == found(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patterns": ("aws-acces-key-id",)}, "did you mean 'aws-access-key-id'"),
        ({"patterns": ("nothing alike",)}, "unknown pattern .* Known: .*github"),
        ({"patterns": "jwt"}, "several"),
        ({"patterns": (3,)}, "holds a int"),
        ({"entropy": 1}, "True or False"),
        ({"allow": "x"}, "several"),
        ({"allow": ("*",)}, "everything"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Secrets(**arguments)  # type: ignore[arg-type]


def test_it_keeps_the_rules_of_guards() -> None:
    texts = [
        f"one {AWS_ID} two {GITHUB}, postgres://joe:hu7nter@db/x and password: hu7nter",
        PEM + "\nand more words after it, which are harmless",
        f"DD_API_KEY={drawn(32, HEX)}\nx = '{AWS_ID[:9]}' + '{AWS_ID[9:]}'",
        "The password for the user is 'hu7nt!er' and nobody knows.",
        f"curl -H 'Authorization: Bearer {JWT}' \\\n  -u joe:hu7nter https://example.org",
    ]
    check_guard(GUARD, texts)
    check_guard(Secrets(patterns=("jwt",), entropy=False, allow=("a",)), texts[:1])


PARTS = st.sampled_from(
    [
        *(
            "password",
            "api_key",
            "is",
            "=",
            ": ",
            '"',
            "'",
            " ",
            "\n",
            "\\n",
            "the",
            "; ",
        ),
        *(
            "word ",
            "more words here ",
            "http://",
            "joe:",
            "@example.org",
            "\u200b",
            "Bearer ",
        ),
        *(
            "-----END RSA PRIVATE KEY-----",
            "abcd efgh\n",
            "密码",
            "|",
            "<",
            ">",
            '" + "',
        ),
        *(AWS_ID, GITHUB, VALUE, PEM, JWT, "hu7nter", LINES[0], '{"kty":"EC","d":"'),
    ]
)
TEXTS = st.lists(PARTS, max_size=14).map("".join)


def streamed(text: str, sizes: list[int]) -> tuple[str, Verdict]:
    places = Placeholders()
    places.nonce = "0" * 16
    gate = Gate(GUARD, places)
    out, at, turn = "", 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        gate.feed(text[at : at + size])
        out += released(gate)
        at, turn = at + size, turn + 1
    return out + released(gate, end=True), gate.verdict()


def released(gate: Gate, end: bool = False) -> str:
    steps = gate.release(end)
    answer = None
    while True:
        try:
            engine = steps.send(answer)  # type: ignore[arg-type]
        except StopIteration as stop:
            return str(stop.value)
        answer = drive(engine)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    verdict = GUARD.check(text)
    for finding in verdict.findings:
        assert 0 <= finding.start < finding.end <= len(text)
        assert text[finding.start : finding.end].strip()
    assert GUARD.check(verdict.text).findings == ()


@pytest.mark.parametrize(
    "text",
    [
        "the password is %20postgres://joe:hu7nter@db/x(\n",
        "password=Tr0ub4dor:sk" + "_live_" + drawn(24) + "(",
    ],
)
def test_what_stood_before_a_placeholder_is_no_value_by_itself(text: str) -> None:
    once = GUARD.check(text).text
    assert once != text and GUARD.check(once).text == once


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_a_stream_is_redacted_like_the_whole(text: str, sizes: list[int]) -> None:
    filler = "and so the story goes on without any harm at all " * (REACH // 24)
    text = filler + text + " " + filler
    out, verdict = streamed(text, sizes)
    assert set(verdict.findings) == set(GUARD.check(text).findings)
    whole, _ = streamed(text, [len(text)])
    assert out == whole


def test_a_long_private_key_is_never_cut() -> None:
    filler = "and so the story goes on without any harm at all " * 80
    lines = [base64.b64encode(RANDOM.randbytes(48)).decode() for _ in range(200)]
    # A line of letters only could be taken for a word.
    lines[120] = drawn(64, string.ascii_lowercase)
    key = "\n".join(["-----BEGIN " + "PRIVATE KEY-----", *lines])
    text = f"{filler}\n{key}\n{filler}"
    assert values(text) == [key]
    out, verdict = streamed(text, [50])
    assert set(verdict.findings) == set(GUARD.check(text).findings)
    assert not any(line in out for line in lines)


def test_a_text_is_lowered_letter_by_letter() -> None:
    # The one letter that becomes two.
    assert [chr(c) for c in range(0x110000) if len(chr(c).lower()) > 1] == ["\u0130"]
    assert values("\u0130\u0130 password = 'hu7nter'") == ["hu7nter"]


def test_the_constructor_reads_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the table was read")

    monkeypatch.setattr("promptguard.guards.secrets.names", refuse)
    monkeypatch.setattr("promptguard.guards.secrets.table", refuse)
    guard = Secrets()
    assert guard == Secrets(patterns=None) and hash(guard) == hash(Secrets())
    assert guard.reach == REACH


@pytest.mark.slow
def test_a_long_text_is_read_in_proportion() -> None:
    """Counts the patterns that are tried instead of the time they take."""
    from promptguard.guards import _secrets_scan

    class Counting(dict):  # type: ignore[type-arg]
        count = 0

        def __getitem__(self, key: str) -> object:
            self.count += 1
            return super().__getitem__(key)

    counts = []
    for size in (10_000, 80_000):
        known = _secrets_scan.Table(pg.guards.secrets.table(None).rows)
        known.by_keyword = Counting(known.by_keyword)
        text = ("the token of a user, sk- and AKIA, postgres and key " * size)[:size]
        _secrets_scan.scan(text, 0, known, True)
        counts.append(known.by_keyword.count)
    assert 0 < counts[1] <= 8.2 * counts[0]


def test_text_start_is_honoured() -> None:
    text = Text(f"{AWS_ID} {GITHUB}", start=3)
    assert [f.start for f in GUARD.inspect(text)] == [len(AWS_ID) + 1]


SAID = st.lists(
    st.sampled_from(
        (
            "the key of a token, password secret auth is was for to be set with and . "
            'hunter2 "x1!a" passage monkey 12 are of ENV define - -- = : ; aeiouaeioux1'
        ).split()
    ),
    max_size=24,
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(SAID)
def test_nothing_is_lost_by_passing_over_prose(text: str) -> None:
    with patch.object(_secrets_assignments, "_sets", lambda text: True):
        slowly = GUARD.check(text).findings
    assert GUARD.check(text).findings == slowly


def test_prose_about_keys_is_passed_over() -> None:
    text = (
        "the key point is that the token of a user is a password or a secret key, and "
        "the author of the passage keeps the pass key for the auth token of the house. "
    ) * 5
    assert list(_secrets_assignments._TELLING_MORE.finditer(text)) == []
    assert len(list(_secrets_assignments._TELLING.finditer(text))) == 55


@pytest.mark.parametrize(
    "text",
    [
        f'key = base64.b64decode("{VALUE}")',
        f'secret := []byte("{VALUE}")',
        f"api_key = Buffer.from('{VALUE}', 'utf8')",
        f'client_secret = ["{VALUE}"]',
        f'SECRET = """{VALUE}"""',
        f"api_key: Optional[str] = '{VALUE}'",
        f'let token: &\'static str = "{VALUE}";',
        f'token = "{VALUE}\n  and the rest of it"',
        f'["curl", "-u", "joe:{VALUE}", url]',
        f"run('curl', '--oauth2-bearer', '{VALUE}')",
        f'pwds = "{VALUE}"',
    ],
)
def test_a_value_is_found_however_it_is_made(text: str) -> None:
    (finding,) = GUARD.check(text).findings
    assert text[finding.start : finding.end] == VALUE


@pytest.mark.parametrize(
    "text",
    [
        'token = translate("settings.page_2fa.title")',
        'key = config.get("billing_address_line_2")',
        'password = prompt("password2")',
        'api_key = os.environ.get("SERVICE_API_KEY_V2")',
        "the key: 'tis in the lock\n",
        "api_key= api_key= <EMAIL_ADDRESS_1:0123456789abcdef>",
        'secret = load("/etc/app/secret.key")',
    ],
)
def test_what_a_value_is_looked_up_by_is_left_alone(text: str) -> None:
    assert not GUARD.check(text).flagged


def test_a_placeholder_whose_end_is_erased_is_still_one() -> None:
    # A delete character takes the bracket back, in the reading that obeys it.
    text = "<GITHUB_PERSONAL_ACCESS_TOKEN_1:c32e76f1e9f41685>\x7f%78=?"
    assert not Secrets().check(text).findings
