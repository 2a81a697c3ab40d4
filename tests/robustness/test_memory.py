"""Memory over many calls: what a call takes is given back.

A child process checks texts that are all different, of many lengths, and says how much
memory it has resident after a warm-up and at the end. Growth is at most 1 KB a call,
and a little for what an allocator does once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from sizes import CALLS, LEARNED_CALLS

PROGRAM = """
import gc, json, random, sys
import promptguard as pg

calls = int(sys.argv[1])
chance = random.Random(1)
words = "ship bank joe@example.org ignore the \\u200b https://a.example/x 4111".split()
GUARDS = {
    "learned": pg.PromptInjection() | pg.Toxicity(),
    "patterns": pg.AnyOf((
        pg.PII(), pg.Secrets(), pg.Profanity(), pg.Urls(), pg.InvisibleText(),
        pg.Code(), pg.Language(("en",)), pg.Refusal(), pg.Json(), pg.MaxLength(10_000),
        pg.Keywords(("zanzibar",)), pg.Regex(r"TKT-\\\\d{4,8}"), pg.Canary("A secret."),
    )),
}
guard = GUARDS[sys.argv[2]]
ask = pg.guarded(lambda prompt: prompt, input=guard, output=guard, on_block="no")

def text(number):
    return f"{number} " + " ".join(chance.choices(words, k=chance.randint(1, 60)))

def resident():
    gc.collect()
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024

def run(first, count):
    for number in range(first, first + count):
        if number % 4:
            guard.check(text(number), role=("user", "tool")[number % 2])
        else:
            ask(text(number))

warm = max(400, calls // 5)
run(0, warm)
# Where it grew tells a leak from what grows once.
seen = [resident()]
for tenth in range(10):
    run(warm + tenth * calls // 10, calls // 10)
    seen.append(resident())
import onnxruntime
print(json.dumps([seen, onnxruntime.__version__]))
"""

# A pool that grows once, a table that doubles: not for each call.
ONCE = 4 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux")
@pytest.mark.parametrize("kind", ["learned", "patterns"])
def test_a_call_leaves_at_most_a_kilobyte(
    kind: str, record_property: pytest.RecordProperty
) -> None:
    calls = CALLS if kind == "patterns" else LEARNED_CALLS
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(calls), kind],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=max(600, calls),
    )
    assert done.returncode == 0, done.stderr
    seen, version = json.loads(done.stdout)
    grown = seen[-1] - seen[0]
    record_property("bytes a call", grown / calls)
    record_property("of the last half", (seen[-1] - seen[5]) / (calls / 2))
    record_property("MiB at the end", seen[-1] / 2**20)
    print(f"onnxruntime {version}, {kind}: {grown / calls:.0f} bytes a call")
    assert grown <= 1024 * calls + ONCE
