"""How often drift is seen that is there, and how often one that is not.

    python benchmarks/monitor.py --data shared/data
    python benchmarks/monitor.py --data shared/data --report

Windows of 500 requests are drawn from public texts, without replacement, and compared
with a reference: 100 seeded runs of each kind of change. A run is flagged where the
verdict of the whole report, with the shipped thresholds, is not `pass`. What the
shipped model finds in the texts is in the windows too, so that every check takes part.

With --report, a database of 20,000 requests is written, and `promptguard monitor` is
measured on it from start to end: seconds, and memory of the process. That wants a quiet
machine, and goes into files of its own.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import promptguard as pg
from promptguard.measure.figures import wilson
from promptguard.monitor import Labels, Profile, Sample, compare
from promptguard.monitor.samples import Builder, Text
from promptguard.records import Checked, Latency, Record, Said
from promptguard.traffic import Writer
from report import Row, arguments, publish

# Of each, so many texts: what a service for people and its agents may see.
USUAL = {
    "injection/clinc_oos": 700,
    "injection/banking77": 700,
    "injection/human_instructions": 500,
    "injection/prompttensor": 500,
    "injection/t0_open": 400,
    "injection/gsm8k": 400,
    "injection/bfcl": 400,
    "injection/neuralchemy": 200,
}
# Other words, of the same language.
OTHER = {"injection/recipes": 300, "injection/gpteacher_roleplay": 300}
ATTACKS = {"injection/trustairlab_jailbreak": 200}
# Of these, the texts in Spanish.
LANGUAGES = {"injection/mgsm": 250, "injection/ud_pud": 111, "injection/xquad": 490}
SPANISH = "es"
SIZE = 500
RUNS = 100
MOST_CHARACTERS = 1000
RECALL = "injection"


def texts_of(data: Path, name: str) -> list[dict[str, object]]:
    path = data / f"{name}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class Pool:
    """Texts by kind, read once; windows are drawn of them."""

    def __init__(self, data: Path) -> None:
        self._guard = pg.PromptInjection(action=pg.Action.FLAG)
        self._builder = Builder("pool")
        self._words: dict[int, str] = {}
        self.rows: dict[str, list[int]] = {}
        self.truth: dict[int, bool] = {}
        draw = random.Random(0)
        for kind, sources in (
            ("usual", USUAL),
            ("other", OTHER),
            ("attacks", ATTACKS),
            (SPANISH, LANGUAGES),
        ):
            for name, count in sources.items():
                found = texts_of(data, name)
                if kind == SPANISH:
                    found = [row for row in found if row["lang"] == SPANISH]
                draw.shuffle(found)
                for row in found[:count]:
                    self.add(kind, str(row["text"]), bool(row["label"]))
        # Every second word is another one of the pool: it reads no longer as before.
        english = (self._words[n] for n in self.rows["usual"] + self.rows["other"])
        words = sorted({word for text in english for word in re.findall(r"\w+", text)})
        for row in draw.sample(self.rows["usual"], len(self.rows["usual"])):
            if len(self.rows.get("half the words", ())) >= 700:
                break
            text = re.sub(
                r"\w+",
                lambda m: draw.choice(words) if draw.random() < 0.5 else m[0],
                self._words[row],
            )
            self.add("half the words", text, self.truth[row])
        self.sample = self._builder.sample()

    def add(self, kind: str, text: str, attack: bool) -> None:
        text = text[:MOST_CHARACTERS]
        verdict = self._guard.check(text)
        row = len(self.truth)
        about = {
            "length": len(text),
            "direction": "input",
            "role": "user",
            "kept": "whole",
            "action": str(verdict.action.name).lower(),
            "coverage": verdict.coverage,
        }
        found = tuple(
            (f.guard, f.label, f.score, f.action.name.lower()) for f in verdict.findings
        )
        self._builder.add(Text(f"r{row}", f"r{row}", 0, None, about, text, found))
        self.rows.setdefault(kind, []).append(row)
        self.truth[row] = attack
        self._words[row] = text

    def draw(
        self, draw: random.Random, parts: dict[str, int], taken: set[int]
    ) -> list[int]:
        """Rows of these kinds that are not taken yet; they are from now on."""
        rows: list[int] = []
        for kind, count in parts.items():
            free = [row for row in self.rows[kind] if row not in taken]
            rows += draw.sample(free, min(count, len(free)))
        taken.update(rows)
        draw.shuffle(rows)
        return rows

    def labels(self, rows: Sequence[int], *, flipped: float, seed: int) -> Labels:
        """The truth of these rows; of some attacks and benign texts, the opposite."""
        draw = random.Random(seed)
        values = {
            f"r{row}": {RECALL: self.truth[row] != (draw.random() < flipped)}
            for row in rows
        }
        return Labels("truth", values)


def kinds(pool: Pool) -> dict[str, dict[str, int]]:
    """What windows are made of, by kind of change."""
    half = SIZE // 2
    tenth = SIZE // 10
    return {
        "none": {"usual": SIZE},
        "half of the requests in other words": {"usual": half, "other": half},
        "half of the words of each request": {"half the words": SIZE},
        "half of the words, in half of the requests": {
            "usual": half,
            "half the words": half,
        },
        "all in Spanish": {SPANISH: SIZE},
        "half in Spanish": {"usual": half, SPANISH: half},
        "a tenth in Spanish": {"usual": SIZE - tenth, SPANISH: tenth},
        "a tenth of a new family of attacks": {"usual": SIZE - tenth, "attacks": tenth},
    }


def detection(
    pool: Pool, runs: int, size: int, *, through_file: bool = False
) -> list[Row]:
    """Shares of runs that are flagged, by kind of change."""
    rows: list[Row] = []
    for name, parts in kinds(pool).items():
        verdicts: list[str] = []
        seen: dict[str, int] = {}
        for seed in range(runs):
            draw, taken = random.Random(seed), set()
            window = pool.sample.take(pool.draw(draw, parts, taken))
            before = pool.sample.take(pool.draw(draw, {"usual": size}, taken))
            reference: Sample | Profile = before
            if through_file:
                reference = saved(before)
            report = compare(window, reference)
            verdicts.append(report.verdict)
            for check in {c.name for c in report.checks if c.verdict != "pass"}:
                seen[check] = seen.get(check, 0) + 1
        flagged = sum(verdict != "pass" for verdict in verdicts)
        low, high = wilson(flagged, runs) or (0.0, 1.0)
        rows.append(
            {
                "change": name,
                "reference": size,
                "runs": runs,
                "flagged": flagged,
                "low": round(low, 3),
                "high": round(high, 3),
                "failed": verdicts.count("fail"),
                "seen by": ", ".join(
                    f"{check} {count}"
                    for check, count in sorted(
                        seen.items(), key=lambda i: (-i[1], i[0])
                    )
                ),
            }
        )
        print(rows[-1], flush=True)
    return rows


def saved(sample: Sample) -> Profile:
    """The profile of a sample, after it was in a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "profile.json")
        Profile.of(sample).save(path)
        return Profile.load(path)


def meanings(pool: Pool, runs: int) -> list[Row]:
    """Whether concept drift is told from covariate drift, where labels exist."""
    cases: dict[str, tuple[dict[str, int], float]] = {
        "none": ({"usual": SIZE}, 0.0),
        "inputs: half in Spanish": ({"usual": SIZE // 2, SPANISH: SIZE // 2}, 0.0),
        "inputs: a tenth of new attacks": (
            {"usual": SIZE - SIZE // 10, "attacks": SIZE // 10},
            0.0,
        ),
        "meaning: a quarter of the labels turned": ({"usual": SIZE}, 0.25),
        "both": ({"usual": SIZE // 2, "other": SIZE // 2}, 0.25),
    }
    rows: list[Row] = []
    for name, (parts, flipped) in cases.items():
        told: list[str] = []
        for seed in range(runs):
            draw, taken = random.Random(1000 + seed), set()
            now = pool.draw(draw, parts, taken)
            then = pool.draw(draw, {"usual": 2000}, taken)
            known = dict(pool.labels(then, flipped=0.0, seed=seed).values)
            known |= pool.labels(now, flipped=flipped, seed=seed).values
            report = compare(
                pool.sample.take(now),
                pool.sample.take(then),
                labels=Labels("truth", known),
            )
            told.append(report.kind)
        count = {
            kind: told.count(kind) for kind in ("none", "covariate", "concept", "both")
        }
        rows.append({"change": name, "runs": runs, **count})
        print(rows[-1], flush=True)
    return rows


def timed(data: Path, count: int, folder: Path) -> list[Row]:
    """What a report costs: of a database, the newer half beside the older."""
    found = [str(r["text"]) for name in USUAL for r in texts_of(data, name)]
    random.Random(0).shuffle(found)
    path, now = folder / "traffic.db", time.time()
    guard = pg.Keywords(("password", "system prompt"), action=pg.Action.FLAG)
    with Writer(f"sqlite:///{path}", texts="whole", queue=count) as writer:
        for number in range(count):
            verdict = guard.check(found[number % len(found)])
            writer.write(
                Record(
                    id=f"request-{number}",
                    time=now - number,
                    endpoint="/v1/chat/completions",
                    model="model",
                    outcome="flagged" if verdict.flagged else "allowed",
                    checks=(Checked.of(verdict, "input", "user"),),
                    latency=Latency(0.1, 0.01, 0.08, 0.01),
                    texts=(Said("input", "user", verdict.original, verdict.text),),
                )
            )
            while writer.counts.queued > 1000:
                time.sleep(0.01)
    ends = f"{datetime.fromtimestamp(now - count / 2, UTC).isoformat()}"
    command = [sys.executable, "-m", "promptguard", "monitor", "--json", "report.json"]
    command += ["--html", "report.html", "--traffic", f"sqlite:///{path}"]
    command += ["--since", ends, "--reference-since", "2000-01-01"]
    command += ["--reference-until", ends]
    begun = time.perf_counter()
    code = os.posix_spawn(sys.executable, _in(folder, command), dict(os.environ))
    _, status, usage = os.wait4(code, 0)
    seconds = time.perf_counter() - begun
    if os.waitstatus_to_exitcode(status) not in (0, 1, 3):
        raise SystemExit("the report was not made")
    made = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    texts = made["current"]["texts"] + made["reference"]["texts"]
    characters = sum(len(found[n % len(found)]) for n in range(count))
    return [
        {
            "rows": texts,
            "characters a row": round(characters / count),
            "seconds": round(seconds, 1),
            "processor seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "memory, MiB": round(usage.ru_maxrss / 1024),
            "verdict": made["verdict"],
        }
    ]


def _in(folder: Path, command: Sequence[str]) -> list[str]:
    """A command that runs in a folder."""
    code = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
    return [sys.executable, "-c", code, str(folder), *command]


def main() -> None:
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the texts")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument(
        "--report", action="store_true", help="time 20,000 rows instead"
    )
    chosen = parser.parse_args()
    if chosen.report:
        with tempfile.TemporaryDirectory() as folder:
            count = 2000 if chosen.quick else 20_000
            rows = timed(chosen.data, count, Path(folder))
        publish("monitor-report", "Monitoring: the report", {"Report": rows}, chosen)
        return
    runs = 10 if chosen.quick else chosen.runs
    pool = Pool(chosen.data)
    sections = {
        "Windows of 500 requests, a reference of 500": detection(pool, runs, SIZE),
        "A reference of 2,000, saved as a profile": detection(
            pool, runs, 2000, through_file=True
        ),
        "Covariate or concept, 500 labelled requests beside 2,000": meanings(
            pool, runs
        ),
    }
    publish("monitor", "Monitoring", sections, chosen)


if __name__ == "__main__":
    main()
