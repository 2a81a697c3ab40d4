"""Code: source code in texts, and texts that only look like it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import promptguard
from promptguard.errors import ConfigError
from promptguard.guards.code import LANGUAGES, Code
from promptguard.testing import check_guard
from promptguard.verdict import Action

TABLE = Path(promptguard.__file__).parent / "data" / "code.toml"

SAMPLES = {
    "c": '#include <stdio.h>\n\nint main(void) {\n    printf("hi");\n    return 0;\n}',
    "csharp": "using System;\n\nnamespace Shop {\n    Console.WriteLine(total);\n}",
    "css": ".card {\n  color: red;\n  margin: 0 auto;\n}",
    "go": 'package main\n\nfunc main() {\n\tnames := list()\n\tfmt.Println("x")\n}',
    "html": '<div class="card">\n  <p>Hello</p>\n</div>',
    "java": "public class Shop {\n    private int total;\n    public int total() {\n"
    "        return total;\n    }\n}",
    "javascript": "const total = items.length;\nitems.forEach((item) => {\n"
    "  console.log(item);\n});",
    "kotlin": 'fun main() {\n    val names = listOf("a")\n    println(names)\n}',
    "lua": "local names = {}\nfor i = 1, 3 do\n  print(i)\nend",
    "perl": 'use strict;\nmy $total = 3;\nmy @names = qw(a b);\nprint "$total";',
    "php": "<?php\n$total = 3;\necho $total;",
    "powershell": "$files = Get-ChildItem .\n$files | Where-Object { $_.Length }\n"
    "Write-Output $files",
    "python": "for name in names:\n    print(name)",
    "r": "library(ggplot2)\nx <- c(1, 2, 3)\nmean(x)",
    "ruby": "class Shop\n  def total(items)\n    items.sum\n  end\nend",
    "rust": 'fn main() {\n    let mut total = 3;\n    println!("{}", total);\n}',
    "scala": "object Shop {\n  def total(xs: List[Int]): Int = xs.sum\n}",
    "shell": "$ sudo apt update\n$ cd /srv/shop\n$ git pull",
    "sql": "SELECT name, total FROM orders WHERE total > 100;",
    "swift": "import Foundation\n\nfunc total(items: [Int]) -> Int {\n"
    "    guard let first = items.first else { return 0 }\n    return first\n}",
    "typescript": "interface Order {\n  id: number;\n  name: string;\n}\n\n"
    "export type Orders = Order[];",
}


def labels(guard: Code, text: str) -> list[str]:
    return [finding.label for finding in guard.check(text).findings]


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_is_found_and_named(language: str) -> None:
    text = f"Here is how it is done.\n\n{SAMPLES[language]}\n\nThat is all there is."
    (finding,) = Code().check(text).findings
    assert finding.label == f"code_{language}"
    assert text[finding.start : finding.end].strip() in SAMPLES[language]
    assert finding.action is Action.FLAG


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_fence_with_code_is_found_without_its_name(language: str) -> None:
    text = f"So:\n```\n{SAMPLES[language]}\n```\nDone."
    (finding,) = Code().check(text).findings
    assert finding.label == f"code_{language}"
    assert text[finding.start : finding.end] == f"```\n{SAMPLES[language]}\n```"


@pytest.mark.parametrize(
    ("fence", "label"),
    {
        "named": ("```py\nx\n```", ["code_python"]),
        "in braces": ("```{.sql}\nx\n```", ["code_sql"]),
        "tildes": ("~~~c++\nx\n~~~", ["code_c"]),
        "unknown name": ("```brainfog\n+-+-\n```", ["code_other"]),
        "longer inside": ("````js\n```\nx\n```\n````", ["code_javascript"]),
        "in a list": ("- do:\n  ```bash\n  x\n  ```", ["code_shell"]),
        "in a quotation": ("> ```go\n> x\n> ```", ["code_go"]),
        "cut": ("```rust\nlet x", ["code_rust"]),
        "two": ("```py\nx\n```\nand\n```sh\ny\n```", ["code_python", "code_shell"]),
        "format": ('```json\n{"a": [1, 2]}\n```', []),
        "words": ("```\nDear all,\nsee you on Monday.\n```", []),
        "log": ("```text\nfor x in y:\n```", []),
    }.values(),
    ids=lambda value: str(value)[:20],
)
def test_fences(fence: str, label: list[str]) -> None:
    assert labels(Code(), f"See:\n\n{fence}\n\nWell.") == label


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Let me select one from the list; it is (mostly) fine.",
        "From Monday on: import duties apply (see the notice).\nReturn the form!",
        "Dear Ms. Example,\n\nif you have time, call me. For all else: write.\n\nBye;",
        "- eggs\n- flour (500 g)\n- milk: 1 l\n- salt; pepper\n",
        "| name | total |\n| --- | --- |\n| a | 3 |\n| b | 4 |",
        "# Title\n\n## Section\n\n* one\n* two: three\n\n1. four\n2. five = 5",
        "Call `print(x)` and then `len(x)`; both take a list.",
        "The end\nof a poem;\nif only\nit had (a) rhyme.",
        '{"name": "rake", "count": 2}',
        "[Name]\n[Address]\n[Date]\n\n[Place]",
        "1. no milk at all;\n2. no sugar;\n- no eggs;\n- no flour;\n5. none;",
        "x + y = 3 and 2x - y = 0, so x = 1.",
        "https://example.org/a?b=c&d=e\nhttps://example.org/f",
    ],
)
def test_prose_is_left_alone(text: str) -> None:
    assert labels(Code(), text) == []


def test_languages_are_chosen() -> None:
    text = "```py\nx\n```\nand\n```sql\ny\n```"
    assert labels(Code(languages=("sql",)), text) == ["code_sql"]
    assert labels(Code(allow=("sql",)), text) == ["code_python"]
    assert labels(Code(languages=("sql",), allow=("sql",)), text) == []
    assert labels(Code(allow=("other",)), "```brainfog\n+-\n```") == []


def test_the_languages_are_those_of_the_table() -> None:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    assert sorted(table) == list(LANGUAGES) == sorted(SAMPLES)
    fences = [alias for row in table.values() for alias in row["fence"].split()]
    assert len(fences) == len(set(fences))
    for row in table.values():
        for pattern in row["sure"] + row["likely"]:
            # It says something about the beginning of a line, and not of any line.
            assert not re.match(pattern, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"languages": "python"}, "languages must be several"),
        ({"allow": None}, "allow must be several"),
        ({"languages": ("pyton",)}, "did you mean 'python'"),
        ({"allow": (3,)}, "unknown language"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Code(**arguments)  # type: ignore[arg-type]


def test_it_keeps_the_rules() -> None:
    check_guard(Code(), [*SAMPLES.values(), "```py\ncanary\n```"], long=2_000)
