"""Rows are read as they stand, or refused by file and line, never with their text."""

from __future__ import annotations

import gzip
import json
import os
import threading

import pytest

from promptguard import ConfigError
from promptguard.measure.rows import Row, Source

SECRET = "zanzibar-7781"


def test_a_row_has_what_its_fields_say(write):
    path = write(
        "rows.jsonl",
        [
            {"text": "one", "label": 1, "role": "tool", "category": "leak"},
            {"text": "", "label": False, "lang": "en", "source": "chat", "more": [1]},
        ],
    )
    assert list(Source(str(path))) == [
        Row(
            "one",
            True,
            "tool",
            "rows.jsonl:1",
            (("category", "leak"), ("source", "rows.jsonl")),
        ),
        Row("", False, "user", "rows.jsonl:2", (("lang", "en"), ("source", "chat"))),
    ]


def test_a_file_may_be_packed_whatever_its_name(tmp_path, write):
    rows = [{"text": "one", "label": 1}]
    write("rows.jsonl.gz", rows)
    (tmp_path / "plain").write_bytes((tmp_path / "rows.jsonl.gz").read_bytes())
    assert [row.text for row in Source(str(tmp_path / "plain"))] == ["one"]


def test_blank_lines_and_a_byte_order_mark_are_no_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "a", "label": 1}\r\n\n  \n')
    assert [row.text for row in Source(str(path))] == ["a"]


def test_rows_are_read_again_and_again(write):
    source = Source(str(write("rows.jsonl", [{"text": "a", "label": 0}] * 3)))
    assert len(list(source)) == len(list(source)) == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_again_and_again(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = json.dumps({"text": "a", "label": 0}).encode()
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(data),))
    writer.start()
    source = Source(str(pipe))
    writer.join()
    assert len(list(source)) == len(list(source)) == 1


def test_fields_may_have_other_names(write):
    path = write("rows.jsonl", [{"prompt": "a", "attack": 1, "who": "tool"}])
    fields = {"text": "prompt", "label": "attack", "role": "who"}
    (row,) = Source(str(path), fields=fields)
    assert (row.text, row.label, row.role) == ("a", True, "tool")


def test_a_label_may_be_left_out_where_it_is_not_asked_for(write):
    path = write("rows.jsonl", [{"text": "a"}, {"text": "b", "label": None}])
    assert [row.label for row in Source(str(path), labelled=False)] == [None, None]


def test_a_limit_takes_the_first_rows_and_reads_no_further(write):
    path = write("rows.jsonl", [{"text": "a", "label": 0}] * 2 + ["not JSON"])
    assert len(list(Source(str(path), limit=2))) == 2


GOOD = json.dumps({"text": "fine", "label": 0})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON at column 2"),
        (SECRET, "not JSON at column 1"),
        (f'"{SECRET}"', "not an object"),
        ("[" * 100_000, "too deep"),
        (f'{{"text": {"9" * 5000}}}', "too deep or too large"),
        (f'{{"text": ["{SECRET}"], "label": 0}}', "'text' must be a string, not a lis"),
        ('{"text": 5, "label": 0}', "'text' must be a string, not a number"),
        ('{"text": null, "label": 0}', "'text' must be a string, not null"),
        (f'{{"prompt": "{SECRET}", "label": 0}}', "no field 'text'; the row has prom"),
        (f'{{"{SECRET} and on": 1}}', "no field 'text'; say which"),
        (f'{{"text": "{SECRET}"}}', "no field 'label'; the row has text; say which"),
        (f'{{"text": "{SECRET}", "label": "{SECRET}"}}', "'label' must be 0 or 1"),
        (f'{{"text": "{SECRET}", "label": 2}}', "'label' must be 0 or 1"),
        (f'{{"text": "{SECRET}", "label": null}}', "'label' must be 0 or 1"),
        (f'{{"text": "a", "label": 1, "role": "{SECRET}"}}', "'role' must be a role:"),
        (f'{{"text": "{SECRET}", "label": 1, "lang": 3}}', "'lang' must be a string"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(write, line, says):
    path = write("rows.jsonl", [GOOD, "", line])
    with pytest.raises(ConfigError) as caught:
        list(Source(str(path)))
    message = str(caught.value)
    assert message.startswith("rows.jsonl:3: ")
    assert says in message
    assert SECRET not in message and len(message) < 200
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_text_that_is_not_utf8_is_named_by_its_place(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "caf\xe9", "label": 0}\n')
    with pytest.raises(ConfigError, match=r"rows\.jsonl:1: not UTF-8 at byte 14 of"):
        list(Source(str(path)))


def test_a_packed_file_that_was_cut_short_is_an_error(tmp_path, write):
    data = write("whole.gz", [GOOD] * 1000).read_bytes()
    for cut in (data[:-9], data[: len(data) // 2], data[:3], b"\x1f\x8bjunk"):
        path = tmp_path / "cut.gz"
        path.write_bytes(cut)
        with pytest.raises(ConfigError, match=r"cut\.gz is packed by gzip and cut"):
            list(Source(str(path)))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            list(Source(str(path)))
        assert str(path) in str(caught.value)
