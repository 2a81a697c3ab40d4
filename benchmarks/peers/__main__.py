"""Other libraries beside promptguard, each in its own environment, in one run.

    python -m benchmarks.peers                     everything
    python -m benchmarks.peers --only presidio     one of them
    python -m benchmarks.peers --make              only the environments

The environments are made on first use and kept in .venv-peers (about 700 MB), or in the
folder of --environments. Writes results/peers.json and .md.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from ..report import Row, arguments, publish, spread
from .environments import ROOT, Environment, make
from .peer import OURS, TASKS, Peer, peers
from .processes import Worker, cold, imports
from .quality import QUALITY
from .texts import texts
from .timing import side_by_side


def main() -> int:
    known = peers()
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-peers")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--only", nargs="+", choices=sorted(known), metavar="PEER")
    parser.add_argument("--make", action="store_true", help="only the environments")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    chosen = parser.parse_args()
    if chosen.only:
        known = {n: p for n, p in known.items() if n in {OURS, *chosen.only}}
    chosen.environments.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, peer in known.items():
        print(f"environment: {name}", file=sys.stderr, flush=True)
        made[name] = make(peer, chosen.environments.absolute())
    if chosen.make:
        for name, environment in made.items():
            print(f"{name}: {environment.problem or 'ready'}")
        return 0
    rounds, seconds = (2, 0.3) if chosen.quick else (chosen.rounds, chosen.seconds)
    sections = {"The peers": installed(known, made)}
    there = {name: env for name, env in made.items() if not env.problem}
    sections["A fresh process"] = fresh(known, there, rounds)
    workers = {name: Worker(name, environment) for name, environment in there.items()}
    problems: list[Row] = []
    ready: dict[str, list[Worker]] = {}
    for task in TASKS:
        ready[task] = _ready(task, known, workers, problems)
    for task, title in TASKS.items():
        if any(worker.name == OURS for worker in ready[task]):
            timed = side_by_side(task, ready[task], seconds)
            sections[f"Time of a call: {title}"] = timed
    for heading, (task, measure) in QUALITY.items():
        print(f"quality: {heading}", file=sys.stderr, flush=True)
        found = measure(ready[task], chosen.data, chosen.quick)
        for title, rows in found.items():
            sections[f"Quality: {heading}: {title}"] = rows
    for worker in workers.values():
        problems += [
            {"peer": worker.name, "task": task, "problem": problem}
            for task, problem in worker.problems.items()
            if not any(
                row["peer"] == worker.name and row["task"] == task for row in problems
            )
        ]
        worker.close()
    if problems:
        sections["What could not be run"] = problems
    command = "python -m benchmarks.peers"
    publish("peers", "Other libraries, side by side", sections, chosen, command)
    return 0


def installed(known: dict[str, Peer], made: dict[str, Environment]) -> list[Row]:
    """What each one weighs, or why it is not there."""
    rows: list[Row] = []
    for name, peer in known.items():
        row: Row = {"peer": name}
        if made[name].problem:
            rows.append(row | {"note": f"not installed: {made[name].problem}"})
            continue
        packages = made[name].packages()
        wanted = [r.partition("==")[0] for r in peer.requirements] or [OURS + "-llm"]
        row["version"] = packages.get(wanted[0].replace("-", "_"), "?")
        row |= {"MiB": made[name].mebibytes(), "packages": len(packages)}
        rows.append(row | {"note": peer.note})
    return rows


def fresh(
    known: dict[str, Peer], there: dict[str, Environment], rounds: int
) -> list[Row]:
    """What an import costs, and how long it takes to the first answer, in turn."""
    walls: dict[str, list[float]] = {name: [] for name in there}
    cpus: dict[str, list[float]] = {name: [] for name in there}
    bare: dict[str, list[float]] = {name: [] for name in there}
    colds: dict[str, list[tuple[float, float | None]]] = {name: [] for name in there}
    for name, environment in there.items():
        imports(known[name].imports, environment)  # compiles, and fills the caches
    for number in range(rounds):
        for name, environment in there.items():
            bare[name].append(imports("", environment)[1])
            wall, cpu = imports(known[name].imports, environment)
            walls[name].append(wall)
            cpus[name].append(cpu)
            if number < 3:
                task = next(iter(known[name].tasks))
                colds[name].append(cold(name, environment, task))
    rows: list[Row] = []
    ours = statistics.median(cpus[OURS]) - statistics.median(bare[OURS])
    for name in there:
        above = statistics.median(cpus[name]) - statistics.median(bare[name])
        row: Row = {"peer": name, "import ms": round(statistics.median(walls[name]), 1)}
        row |= {f"import cpu ms {k}": v for k, v in spread(cpus[name], 1).items()}
        row["cpu ms above bare"] = round(above, 1)
        row["times ours"] = (
            round(above / ours, 1) if name != OURS and ours > 0 else None
        )
        row["task"] = next(iter(known[name].tasks))
        row["first answer ms"] = round(statistics.median(c[0] for c in colds[name]), 1)
        peaks = [peak for _, peak in colds[name] if peak is not None]
        row["peak MiB"] = round(statistics.median(peaks), 1) if peaks else None
        rows.append(row)
    return rows


def _ready(
    task: str, known: dict[str, Peer], workers: dict[str, Worker], problems: list[Row]
) -> list[Worker]:
    """The workers that do the task, ours first."""
    found = []
    for name, worker in workers.items():
        if task not in known[name].tasks:
            continue
        answer = worker.ask(task, next(texts(task, 100)))
        if "problem" in answer:
            row = {"peer": name, "task": task, "problem": answer["problem"]}
            problems.append(row)
        else:
            found.append(worker)
    return found


if __name__ == "__main__":
    sys.exit(main())
