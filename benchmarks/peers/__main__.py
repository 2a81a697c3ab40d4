"""Other libraries beside promptguard, each in its own environment, in one run.

    python -m benchmarks.peers                     everything, about a quarter hour
    python -m benchmarks.peers --minutes 8         about so long: fewer repetitions
    python -m benchmarks.peers --only presidio     one of them
    python -m benchmarks.peers --make              only the environments

The environments are made on first use and kept in .venv-peers (about 4 GB), or in the
folder of --environments. A run that was cut goes on where it was when it is started
again within two hours. Writes results/peers.json and scale.json, and .md beside them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..report import Row, arguments, publish
from .environments import DONE, ROOT, Environment, make
from .fresh import first_answers, importing
from .kept import Progress, Remembering
from .peer import OURS, TASKS, UNTIMED, Peer, peers
from .processes import Worker
from .quality import QUALITY
from .scale import GROWING, LENGTHS, by_length, by_threads
from .texts import texts
from .timing import by_tokens, side_by_side

COMMAND = "python -m benchmarks.peers"
USUAL = 15.0


def main() -> int:
    known = peers()
    parser = arguments(str(__doc__).partition("\n")[0])
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-peers")
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--only", nargs="+", choices=sorted(known), metavar="PEER")
    parser.add_argument("--make", action="store_true", help="only the environments")
    parser.add_argument(
        "--find", action="store_true", help="only what peers find, kept for later runs"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=USUAL,
        metavar="M",
        help=f"about how long it may take on a quiet machine (default {USUAL:g})",
    )
    chosen = parser.parse_args()
    if chosen.only:
        known = {n: p for n, p in known.items() if n in {OURS, *chosen.only}}
    chosen.environments.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, peer in known.items():
        _say(f"environment: {name}")
        made[name] = make(peer, chosen.environments.absolute())
    if chosen.make:
        for name, environment in made.items():
            print(f"{name}: {environment.problem or 'ready'}")
        return 0
    progress = Progress(chosen.environments / "progress.json", _state(made, chosen))
    run = Run(known, made, progress, 0.05 if chosen.quick else chosen.minutes / USUAL)
    try:
        if chosen.find:
            for heading in QUALITY:
                run.quality(heading, chosen.data, chosen.quick)
            return 0
        sections, growth = run.everything(chosen.data, chosen.quick)
    finally:
        run.close()
    publish("peers", "Other libraries, side by side", sections, chosen, COMMAND)
    publish("scale", "How the cost grows", growth, chosen, COMMAND)
    progress.close()
    return 0


class Run:
    """One run over all parts; ``share`` is how much of the usual time there is."""

    def __init__(
        self,
        known: dict[str, Peer],
        made: dict[str, Environment],
        progress: Progress,
        share: float,
    ) -> None:
        self.known = known
        self.made = made
        self.there = {name: env for name, env in made.items() if not env.problem}
        self.progress = progress
        self.share = share
        self.problems: dict[tuple[str, str], str] = {}
        self._workers: dict[str, Worker] = {}
        self._ready: dict[str, list[Worker]] = {}

    def everything(
        self, data: Path, quick: bool
    ) -> tuple[dict[str, list[Row]], dict[str, list[Row]]]:
        """The sections of the two files."""
        sections = {"The peers": installed(self.known, self.made)}
        rounds = 1 if quick else max(2, round(5 * self.share))
        seconds = 120 * self.share
        fresh = (self.known, self.there, rounds, seconds)
        sections["Import"] = self._once("Import", lambda: importing(*fresh))
        heading = "From a fresh process to its first answer"
        sections[heading] = self._once(heading, lambda: first_answers(*fresh))
        for task, title in TASKS.items():
            heading = f"Time of a call: {title}"
            rows = self._once(heading, lambda task=task: self._times(task))
            if rows:
                sections[heading] = rows
        heading = "Time of a classifier, by tokens"
        sections[heading] = self._once(heading, self._tokens)
        for name in QUALITY:
            for title, rows in self.quality(name, data, quick).items():
                sections[f"Quality: {name}: {title}"] = rows
        growth = self._growth(quick)
        problems = self._once("problems", self._problems)
        if problems:
            sections["What could not be run"] = problems
        return sections, growth

    def quality(self, name: str, data: Path, quick: bool) -> dict[str, list[Row]]:
        """What each peer finds, where both do the job; it takes no part in times."""
        _say(f"quality: {name}")
        task, measure = QUALITY[name]
        asked = [
            Remembering(worker, self.there[worker.name].folder)
            for worker in self.ready(task)
        ]
        for extra in UNTIMED if task in UNTIMED else ():
            self.ready(extra)
        found = measure(asked, data, quick)
        for worker in asked:
            worker.save()
        return found

    def ready(self, task: str) -> list[Worker]:
        """The workers that do the task, ours first; asked once, so that they can."""
        if task not in self._ready:
            self._ready[task] = []
            first = next(texts("injection" if task in UNTIMED else task, 100, "first"))
            for name in self.there:
                if task not in self.known[name].tasks:
                    continue
                if name not in self._workers:
                    self._workers[name] = Worker(name, self.there[name])
                answer = self._workers[name].ask(task, first)
                if "problem" in answer:
                    self.problems[name, task] = answer["problem"]
                else:
                    self._ready[task].append(self._workers[name])
        return self._ready[task]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers.values():
            worker.close()

    def _once(self, heading: str, measure) -> list[Row]:  # type: ignore[no-untyped-def]
        _say(heading)
        return self.progress.section(heading, measure)

    def _times(self, task: str) -> list[Row]:
        workers = self.ready(task)
        if not any(worker.name == OURS for worker in workers):
            return []
        return side_by_side(task, workers, 4 * self.share)

    def _tokens(self) -> list[Row]:
        workers = self.ready("tokens")
        if not any(worker.name == OURS for worker in workers):
            return []
        from tokenizers import Tokenizer

        from .deberta import TOKENIZER

        tokenizer = Tokenizer.from_file(str(TOKENIZER))
        return by_tokens(
            workers, 6 * self.share, lambda text: len(tokenizer.encode(text).ids)
        )

    def _growth(self, quick: bool) -> dict[str, list[Row]]:
        sections = {}
        lengths = LENGTHS[:5] if quick else LENGTHS
        for task in GROWING:
            heading = f"Length: {TASKS[task]}"
            sections[heading] = self._once(
                heading,
                lambda task=task: by_length(
                    task, self.ready(task), 32 * self.share, lengths
                ),
            )
        for task in GROWING:
            heading = f"Threads, texts of 1,000 characters: {TASKS[task]}"
            sections[heading] = self._once(
                heading,
                lambda task=task: by_threads(task, self.ready(task), 0.4 * self.share),
            )
        return {heading: rows for heading, rows in sections.items() if rows}

    def _problems(self) -> list[Row]:
        for worker in self._workers.values():
            for task, problem in worker.problems.items():
                self.problems.setdefault((worker.name, task), problem)
        return [
            {"peer": name, "task": task, "problem": problem}
            for (name, task), problem in self.problems.items()
        ]


def installed(known: dict[str, Peer], made: dict[str, Environment]) -> list[Row]:
    """What each one weighs, or why it is not there."""
    rows: list[Row] = []
    ours = None
    for name, peer in known.items():
        row: Row = {"peer": name}
        if made[name].problem:
            rows.append(row | {"note": f"not installed: {made[name].problem}"})
            continue
        packages = made[name].packages()
        wanted = [r.partition("==")[0] for r in peer.requirements] or [OURS + "-llm"]
        distribution = wanted[0].partition("[")[0].replace("-", "_")
        row["version"] = packages.get(distribution, "?")
        size = made[name].mebibytes()
        row |= {"MiB": size, "packages": len(packages)}
        if name == OURS:
            ours = size
        row["times ours"] = round(size / ours, 2) if ours and name != OURS else None
        rows.append(row | {"note": peer.note})
    return rows


def _state(made: dict[str, Environment], chosen) -> list[str]:  # type: ignore[no-untyped-def]
    """What has to be the same for a run to go on."""
    state = [str(chosen.minutes), str(chosen.quick), str(chosen.only), sys.version]
    for name, environment in made.items():
        done = environment.folder / DONE
        there = done.read_text("utf-8") if done.is_file() else environment.problem
        state.append(f"{name}\n{there}")
    return state


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
