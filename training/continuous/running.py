"""One run: decide, train, look, and promote or refuse.

Whatever is done is done again without harm: stages are skipped while nothing changes,
labels that were merged are merged, a version that was made is found by its digest. So
a run that was stopped anywhere goes on when the same command is given again, from what
had been decided, and ends as if it had not been stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import PipelineError
from ..files import alone, discard
from ..gate import Check, identity
from ..labels.raters import Resolved
from ..registry import BACK_TAG, BUNDLE_TAG, MODEL_TAG, Registry, Version
from ..stage import Stage, digest, run_all
from . import checking, note
from .labelled import Divided, decided, divide, said
from .snapshot import Snapshot, taken
from .state import State
from .triggers import Report, Trigger, triggers

__all__ = ["Decision", "Given", "decide", "folder_of", "go", "take_out", "told"]

_SNAPSHOT = "continuous/snapshot.json"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run is given beside the configuration.

    Args:
        traffic: The database of captured traffic.
        labels: What people said of it.
        report: What monitoring found.
        notes: Where release notes go; None means beside the state.
        again: Promote what somebody went back from, too, and try again what was
            refused.
        hold: Do all but the promotion; the next run does that.
    """

    traffic: str | None = None
    labels: Path | None = None
    report: Path | None = None
    notes: Path | None = None
    again: bool = False
    hold: bool = False

    def __post_init__(self) -> None:
        if self.labels is not None and self.traffic is None:
            raise PipelineError(
                "continuous: labels without the texts that they are about; name the "
                "database with --traffic"
            )


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why.

    Args:
        state: The run, begun now or before.
        champion: What is served now; None for nothing.
        now: What a model would be made from.
        resumed: It was begun before.
        repeated: The same was refused before.
    """

    state: State
    champion: Version | None
    now: Snapshot
    resumed: bool = False
    repeated: bool = False

    @property
    def due(self) -> bool:
        """There is something to do."""
        fired = any(trigger.fired for trigger in self.state.triggers)
        return self.resumed or (fired and not self.repeated)


def folder_of(config: Config) -> Path:
    """Where a run keeps what is its own."""
    return Path(config.build) / "continuous"


def decide(config: Config, given: Given, registry: Registry | None) -> Decision:
    """Look at the three reasons to train. Nothing is written.

    Args:
        registry: None where there is none as yet.

    Raises:
        PipelineError: The registry, the data, the labels or the report cannot be read.
    """
    if config.sources.pinned:
        raise PipelineError(
            "continuous: [sources] pinned always gives the same data; take it out"
        )
    before = State.read(folder_of(config) / "state.json")
    champion = None if registry is None else registry.current()
    now = taken(config, _labels(config, given))
    begun = before is not None and not before.done
    # With other code, data or labels it would be another run.
    if before is not None and begun and before.made_from == now.identity:
        return Decision(before, champion, now, resumed=True)
    was = None
    if champion is not None and registry is not None:
        was = _snapshot(config, registry, champion)
    report = None if given.report is None else Report.read(given.report)
    found = triggers(champion, was, now, report, config.continuous)
    number = "" if champion is None else champion.number
    began = [now.identity, number, dataclasses.asdict(config.gate)]
    if given.report is not None and found[-1].fired:
        began.append(digest(given.report))
    name = hashlib.sha256(json.dumps(began, default=str).encode()).hexdigest()[:12]
    refused = () if before is None else before.refused
    state = State(
        name, time.time(), number, found, made_from=now.identity, refused=refused
    )
    fired = any(trigger.fired for trigger in found)
    repeated = fired and name in refused and not given.again
    return Decision(state, champion, now, repeated=repeated)


def _labels(config: Config, given: Given) -> list[Resolved]:
    return decided(said(given.labels, config.target), config.target)


def go(config: Config, given: Given, registry: Registry, decision: Decision) -> State:
    """Train, look, and promote or refuse; then write the note.

    Raises:
        PipelineError: It cannot go on. The same command goes on from here.
    """
    work = folder_of(config)
    with alone(work):
        run = _Run(config, given, registry, decision, work)
        run.state.write(work / "state.json")
        ended = run.go()
        path = note.write(ended, run.told, given.notes or work / "notes", config)
        ended.write(work / "state.json")
    print(f"release note: {path}")
    return ended


class _Run:
    def __init__(
        self,
        config: Config,
        given: Given,
        registry: Registry,
        decision: Decision,
        work: Path,
    ) -> None:
        self.config = config
        self.given = given
        self.registry = registry
        self.state = decision.state
        self.now = decision.now
        self.work = work
        self.told = note.Told()

    def go(self) -> State:
        state = self.state
        champion = None
        if state.champion:
            champion = self.registry.version(state.champion)
        divided = self._divided()
        config = divided.config
        if champion is not None:
            # What is served decides, whatever lies in the release folder.
            folder = take_out(self.registry, champion, self.work / "champions")
            gated = dataclasses.replace(config, release=str(folder))
        else:
            folder = None
            gated = dataclasses.replace(config, release=str(self.work / "none"))
        build = Path(config.build)
        _stages(gated, until="data")
        was = None
        if champion is not None:
            was = _snapshot(self.config, self.registry, champion)
        sizes = checking.sizes(build / "data", config.target)
        self.now = dataclasses.replace(self.now, sizes=sizes)
        known = {} if was is None else was.sizes
        if failed := self._look(
            checking.data_checks(config, build / "data", known, sizes)
        ):
            return state.ended("refused", failed)
        _stages(gated, until="calibrate")
        if folder is not None and identity(build / "calibrate") == identity(folder):
            self._remember(champion)
            return state.ended("unchanged", _nothing_new(state))
        _stages(gated, until="gate", from_="evaluate", free=("gate",))
        result = json.loads((build / "gate" / "gate.json").read_bytes())
        self.told.notes.append(result["note"])
        failed = self._look([Check(**row) for row in result["checks"]], result)
        failed += self._look(self._against(config, build / "calibrate", folder))
        failed += self._gone_back_from(build / "calibrate")
        if failed:
            return state.ended("refused", failed)
        if self.given.hold:
            held = "it passed, and waits for somebody to say that it takes over"
            return dataclasses.replace(state, why=(held,))
        return self._promote(config)

    def _divided(self) -> Divided:
        labels = said(self.given.labels, self.config.target)
        out = self.work / "labelled"
        divided = divide(self.config, labels, self.given.traffic, out, self.state.at)
        self.told.notes += divided.notes
        if labels:
            self.told.notes.append(
                f"labelled traffic: {divided.learnt:,} texts to learn from, "
                f"{divided.deciding:,} that decide"
            )
        return divided

    def _look(
        self, checks: Sequence[Check], result: dict[str, Any] | None = None
    ) -> tuple[str, ...]:
        self.told.checks += checks
        if result is not None and result["passed"]:
            return ()
        return tuple(note.words(check) for check in checks if not check.passed)

    def _against(self, config: Config, new: Path, old: Path | None) -> list[Check]:
        challenger = checking.judged(config, str(new))
        champion = None if old is None else checking.judged(config, str(old))
        checks, words = checking.traffic_checks(config.continuous, challenger, champion)
        self.told.notes.append(words)
        self.told.figures = note.compared(challenger, champion)
        return [*checks, *checking.biased(config, challenger, champion)]

    def _gone_back_from(self, folder: Path) -> tuple[str, ...]:
        model = digest(folder / "model.onnx")
        for version in self.registry.versions():
            tags = version.tags
            if tags.get(MODEL_TAG) == model and BACK_TAG in tags:
                told = f"version {version.number} is this model, and somebody went "
                told += f"back from it ({tags[BACK_TAG]})"
                self.told.notes.append(told)
                return () if self.given.again else (f"{told}; --again takes it",)
        return ()

    def _promote(self, config: Config) -> State:
        # The alias moves with the last of them, and moves there again after a rollback.
        _stages(config, until="bundle", from_="bundle")
        _stages(config, until="publish", from_="publish", force=True)
        receipt = json.loads(
            (Path(config.build) / "publish" / "receipt.json").read_bytes()
        )
        version = self.registry.version(receipt["mlflow"]["version"])
        self._remember(version)
        why = f"version {version.number} is the {config.publish.alias}"
        return self.state.ended("promoted", (why,), version.number)

    def _remember(self, version: Version | None) -> None:
        """Keep what a version was made from, here and in the registry."""
        if version is None:
            return
        name = version.tags.get(BUNDLE_TAG, version.number)
        file = self.work / "snapshots" / name / "snapshot.json"
        self.now.write(file)
        self.registry.keep(version, file, "continuous")


def take_out(registry: Registry, version: Version, folder: Path) -> Path:
    """The bundle of a version, out of the registry.

    Raises:
        PipelineError: The registry does not have it any more.
    """
    name = version.tags.get(BUNDLE_TAG, version.number)
    place = folder / name
    if place.is_dir():
        return place
    scratch = folder / f".{name}.part"
    discard(scratch)
    found = registry.fetch(version, "bundle", scratch)
    if found is None:
        raise PipelineError(
            f"the registry does not have the bundle of version {version.number} any "
            "more; publish it again"
        )
    found.rename(place)
    shutil.rmtree(scratch)
    return place


def _snapshot(config: Config, registry: Registry, version: Version) -> Snapshot | None:
    """What a version was made from, where that was kept."""
    name = version.tags.get(BUNDLE_TAG, version.number)
    folder = folder_of(config) / "snapshots" / name
    file = folder / "snapshot.json"
    if not file.is_file():
        found = registry.fetch(version, _SNAPSHOT, folder)
        if found is None:
            return None
        found.replace(file)
    return Snapshot.read(file)


def _stages(
    config: Config,
    *,
    until: str,
    from_: str = "",
    free: Sequence[str] = (),
    force: bool = False,
) -> None:
    """Run the pipeline's stages, from one to another.

    Args:
        free: Those whose verdict does not stop the run.
    """
    from ..__main__ import STAGES

    names = [stage.name for stage in STAGES]
    first = names.index(from_) if from_ else 0
    chosen: list[Stage] = [
        dataclasses.replace(stage, verdict=_any) if stage.name in free else stage
        for stage in STAGES[first : names.index(until) + 1]
    ]
    run_all(chosen, config, force=force)


def _any(folder: Path) -> None:
    """Every verdict will do."""


def _nothing_new(state: State) -> tuple[str, ...]:
    names = {trigger.name for trigger in state.triggers if trigger.fired}
    why = ["the same code and data give the same model"]
    if "degradation" in names:
        why.append(
            "it does worse on its traffic than it did: label some of that, and give "
            "the labels with --labels"
        )
    return tuple(why)


def told(found: Sequence[Trigger]) -> str:
    """Every reason, whether it holds or not."""
    return "\n".join(str(trigger) for trigger in found)
