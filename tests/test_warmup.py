"""After a warm-up a check reads no file and loads no module."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import promptguard as pg

guard = eval(sys.argv[1])
guard.warmup()
read = []
watching = False

def hook(event, arguments):
    # The extra for telephone numbers reads each country when one of its numbers comes.
    told = str(arguments[0])
    if watching and event in ("open", "import") and "phonenumbers" not in told:
        read.append(told)

sys.addaudithook(hook)
watching = True
guard.check(sys.argv[2])
watching = False
print(json.dumps(read))
"""
TEXT = (
    "Ring +1 303 555 0199 or 4012 8888 8888 1881, born 1999-10-02, FR14 2004 1010 "
    "0505 0001 3M02 606, key = a1b2c3, \u0447\u0430\u0439\u200b, mail ann@example.com."
)


@pytest.mark.parametrize(
    "guard",
    [
        "pg.PII()",
        "pg.PII(action=pg.Action.BLOCK) | pg.Secrets() | pg.InvisibleText()",
        "pg.PII().only('user', 'tool')",
    ],
    ids=["pii", "several", "some roles"],
)
def test_a_check_after_the_warm_up_reads_nothing(guard: str) -> None:
    """The first request of a service would wait for it, and all others behind it."""
    command = [sys.executable, "-c", SCRIPT, guard, TEXT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
