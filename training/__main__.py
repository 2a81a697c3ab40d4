"""Runs the pipeline or one of its stages."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from . import config as configuration
from .config import Config
from .errors import PipelineError, lacking
from .stage import Stage, run_all, table

__all__ = ["STAGES", "configured", "main", "quiet", "see_verdicts"]

_DESCRIPTION = """\
Makes the model that the library ships, or that of a task of your own, stage by stage.
Each stage writes one folder under the build folder, with a manifest that names what it
read by SHA-256; a stage whose inputs and settings have not changed is skipped.
"""

_EXAMPLES = """\
examples:
  python -m training run training/configs/first.toml
      everything that has changed, up to the bundle in src/promptguard/models
  python -m training train training/configs/first.toml
      one stage; those it needs must have run. An interrupted training goes on
      from its last checkpoint
  python -m training run training/configs/first.toml --until train --data /data
      the stages up to training, with the data somewhere else
  python -m training run training/configs/first.toml --smoke
      every stage in small, on texts made for it, in build/smoke

tasks:
  python -m training run training/configs/spam.toml
      another classification of texts than prompt injection: [task] names the label and
      where its texts lie. There are spam, spam-decoder, toxicity, disclosure and
      own-csv, which reads a CSV of your own. Each ends as a bundle for the guard
      Classifier(model="build/NAME/release"); docs/tasks.md tells all of it

It needs the training environment (`make train-env`) and, but for --smoke, the data
folder, which lies outside this repository. Nothing is downloaded, but for sources that
are on the Hub and not in the data folder; what is uploaded, and where, is in
docs/publishing.md.
"""


def _work(module: str) -> Callable[[Config, Mapping[str, Path], Path], None]:
    """The stage's function, imported when it runs: torch takes seconds."""

    def work(config: Config, needed: Mapping[str, Path], out: Path) -> None:
        from importlib import import_module

        import_module(f"training.{module}").make(config, needed, out)

    return work


PHRASES = Path(__file__).parent / "phrases.toml"
FRAMINGS = Path(__file__).parent / "framings.toml"


def _source_files(config: Config) -> list[Path]:
    from . import sources

    return sources.files(config)


def _data_files(config: Config) -> list[Path]:
    from . import data

    return data.files(config)


def _name_files(config: Config) -> list[Path]:
    from . import names

    return names.files(config)


def _encoder_files(config: Config) -> list[Path]:
    folder = config.encoder_folder()
    names = ("config.json", "model.safetensors", "tokenizer.json")
    return [folder / name for name in names]


def _started(config: Config) -> list[Path]:
    names = ("bundle.json", "model.onnx", "tokenizer.json")
    return [Path(config.start) / name for name in names if config.start]


_ADAPTED = ("adapt/config.json", "adapt/model.safetensors", "adapt/tokenizer.json")


def _recorded(config: Config) -> list[Path]:
    file = config.pinned_file
    return [file, file.with_name("tokenizer.json")] if file else []


def _unlabelled(config: Config) -> list[Path]:
    from . import sources

    names = {*config.vocabulary.texts, *config.adapt.pairs}
    return sources.files(config, names) if names else []


def _entries(config: Config) -> object:
    """What the table says of the sources that are read without their labels."""
    from .rows import load_sources

    table = load_sources(config.sources_file).training
    names = sorted({*config.vocabulary.texts, *config.adapt.pairs} & set(table))
    return {name: [table[name].use, table[name].role] for name in names}


def _windows(config: Config) -> list[int]:
    return [config.data.window, config.data.overlap]


def _task(config: Config, *names: str) -> list[object]:
    """What a stage depends on of a task; nothing where the release is made."""
    if not config.task:
        return []
    return [{name: getattr(config.task, name) for name in ("label", *names)}]


def _and_task(settings: object, config: Config, *names: str) -> object:
    task = _task(config, *names)
    return [settings, *task] if task else settings


def _gate(config: Config) -> object:
    from . import gate

    return gate.settings(config)


def _passed(folder: Path) -> None:
    from . import gate

    gate.verdict(folder)


def _evaluated_files(config: Config) -> list[Path]:
    disguises = Path(__file__).parent / "disguises"
    # No disguise is tried on a task's texts.
    tried = [] if config.task else sorted(disguises.glob("*.py"))
    return [*config.tables, *tried]


def _released(config: Config) -> list[Path]:
    from . import publish

    return [Path(config.release) / name for name in publish.FILES]


def _destinations(config: Config) -> object:
    from . import publish

    return publish.destinations(config)


STAGES = (
    Stage(
        "sources",
        "every source as rows, with its licence and the hashes of its files",
        _work("sources"),
        settings=lambda config: [
            config.sources,
            config.heads,
            *_task(config, "sources", "allowed"),
        ],
        files=_source_files,
    ),
    Stage(
        "data",
        "rows into texts to train on and texts held out, without duplicates",
        _work("data"),
        needs=("sources",),
        settings=lambda config: _and_task(config.data, config, "sources", "tests"),
        files=_data_files,
        reading=True,
    ),
    Stage(
        "names",
        "texts with marked names, for a head over tokens if there is one",
        _work("names"),
        reading=True,
        settings=lambda config: [config.names.labels, config.names.made],
        files=_name_files,
    ),
    Stage(
        "vocabulary",
        "pieces for the scripts that the encoder's tokenizer hardly knows",
        _work("vocabulary"),
        settings=lambda config: [config.vocabulary, _entries(config)],
        files=lambda config: [
            *_encoder_files(config),
            *_unlabelled(config),
            *_started(config),
            *_recorded(config),
        ],
    ),
    Stage(
        "adapt",
        "the encoder learns those pieces, on texts without labels",
        _work("adapt"),
        needs=("vocabulary",),
        settings=lambda config: [config.adapt, config.vocabulary, _entries(config)],
        files=lambda config: [*_encoder_files(config), *_unlabelled(config)],
        resumes=True,
    ),
    Stage(
        "augment",
        "texts into rows of one window, with attacks planted in them",
        _work("augment"),
        needs=("data", "vocabulary"),
        reads=(
            "data/train.jsonl.gz",
            "data/heldout.jsonl.gz",
            "vocabulary/tokenizer.json",
        ),
        reading=True,
        settings=lambda config: [config.augment, config.data, *_task(config)],
        files=lambda config: [
            *config.tables,
            PHRASES,
            FRAMINGS,
        ],
    ),
    Stage(
        "mine",
        "the rows that a training going on from a bundle has to learn from",
        _work("mine"),
        needs=("augment",),
        reads=("augment/train.jsonl.gz",),
        settings=lambda config: [config.mine, config.seed],
        files=lambda config: _started(config),
    ),
    Stage(
        "train",
        "fine-tune the encoder with a head per label set",
        _work("train"),
        needs=("data", "names", "adapt", "mine"),
        reads=(
            "data/unseen.jsonl.gz",
            "names/train.jsonl.gz",
            "mine/train.jsonl.gz",
            *_ADAPTED,
        ),
        settings=lambda config: [
            config.train,
            config.heads,
            [config.names.labels, config.names.tokens],
            *_windows(config),
            config.data.unseen_languages,
            *_task(config, "model"),
        ],
        resumes=True,
    ),
    Stage(
        "temperature",
        "make the scores probabilities, on rows held out of training",
        _work("temperature"),
        needs=("adapt", "augment", "names", "train"),
        reads=(
            "adapt/tokenizer.json",
            "augment/heldout.jsonl.gz",
            "names/heldout.jsonl.gz",
            "names/train.jsonl.gz",
            "train/config.json",
            "train/model.safetensors",
        ),
        settings=_windows,
    ),
    Stage(
        "export",
        "the model as ONNX, the same to 1e-4",
        _work("export"),
        needs=("temperature",),
        settings=lambda config: _task(config, "model") or None,
    ),
    Stage(
        "quantize",
        "int8 weights that decide alike, in a folder the library can load",
        _work("quantize"),
        needs=("adapt", "augment", "export"),
        reads=(
            "adapt/tokenizer.json",
            "augment/train.jsonl.gz",
            *(f"export/{name}" for name in ("config.json", "model.onnx")),
        ),
        settings=lambda config: [
            config.name,
            *_windows(config),
            *_task(config, "model", "same"),
        ],
        reading=True,
    ),
    Stage(
        "calibrate",
        "thresholds by false-positive rate, through the library, on benign texts",
        _work("calibrate"),
        needs=("data", "names", "quantize"),
        reads=(
            "data/heldout.jsonl.gz",
            "names/heldout.jsonl.gz",
            *(f"quantize/{name}" for name in ("bundle.json", "model.onnx")),
            "quantize/tokenizer.json",
        ),
        reading=True,
        settings=lambda config: _and_task(config.calibrate, config),
        files=lambda config: config.tables,
    ),
    Stage(
        "evaluate",
        "the test sets and the unseen sources, through the library",
        _work("evaluate"),
        needs=("data", "export", "calibrate"),
        reading=True,
        settings=lambda config: _and_task(config.evaluate, config, "tests"),
        files=_evaluated_files,
    ),
    Stage(
        "gate",
        "floors, and no loss against the bundle that is released now",
        _work("gate"),
        needs=("calibrate", "evaluate"),
        settings=_gate,
        verdict=_passed,
    ),
    Stage(
        "bundle",
        "the folder that the library ships",
        _work("bundle"),
        needs=("sources", "augment", "names", "calibrate", "evaluate", "gate"),
        settings=lambda config: config.release,
        files=lambda config: [*config.tables, *_name_files(config)],
        copies=_released,
    ),
    Stage(
        "publish",
        "a version in MLflow's registry, and a commit on the Hub if one is named",
        _work("publish"),
        needs=("data", "augment", "evaluate", "gate", "bundle"),
        settings=_destinations,
    ),
)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    quiet()
    try:
        return _run(options)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"error: {lacking(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    if options.command in ("vary", "simulate"):
        return _narratives(options)
    if options.command in ("traffic", "labels", "continuous", "rollback"):
        return int(options.run(options))
    if options.command == "dvc":
        from .versioning import pipeline

        print(pipeline(STAGES), end="")
        return 0
    config = configured(
        options.config,
        data=options.data,
        build=options.build,
        smoke=options.smoke,
        accept_loss=getattr(options, "accept_loss", None),
    )
    if options.command == "reproduced":
        return _reproduced(config)
    stages = _chosen(options)
    see_verdicts(stages[0], config)
    done = run_all(stages, config, force=options.force)
    if any(stage.made for stage in done):
        print(f"\n{table(done)}")
    return 0


def quiet() -> None:
    """Have libraries keep to this machine and to themselves, unless told otherwise."""
    # Not HF_HUB_OFFLINE, which is for whoever calls: see training/fetch.py.
    os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def see_verdicts(stage: Stage, config: Config) -> None:
    """See that what a single stage needs does not forbid to go on."""
    for needed in STAGES:
        if needed.name in stage.needs:
            needed.verdict(Path(config.build) / needed.name)


def configured(
    file: Path,
    *,
    data: str | None = None,
    build: str | None = None,
    smoke: bool = False,
    accept_loss: str | None = None,
) -> Config:
    """The configuration of a run, with what its command line says of it."""
    config = configuration.load(file, data_root=data, build=build)
    if smoke:
        from .smoke import smoke as smaller

        config = smaller(config, build)
    if accept_loss:
        accepting = dataclasses.replace(config.gate, accept=accept_loss)
        config = dataclasses.replace(config, gate=accepting)
    given = " --smoke" if smoke else ""
    for name, value in (("data", data), ("build", build)):
        if value:
            given += f" --{name} {shlex.quote(value)}"
    return dataclasses.replace(config, options=given)


def _narratives(options: argparse.Namespace) -> int:
    """Make narratives, by variation or by asking an LLM; see training/narratives.py."""
    if options.command == "vary":
        from . import narratives

        own = narratives.load(*options.files)
        made = narratives.vary(own, options.count, options.seed)
        print(f"{narratives.write(made, options.out)} narratives in {options.out}")
        return 0
    from .simulate import Order, simulate

    topics = tuple(
        topic.strip() for topic in options.topics.split(",") if topic.strip()
    )
    order = Order(
        options.base_url, options.model, topics, options.count, options.temperature
    )
    written, left = simulate(order, options.out)
    print(f"{written} narratives written to {options.out}, {left} left out")
    return 0


def _reproduced(config: Config) -> int:
    from .versioning import reproduced

    if not reproduced(config):
        raise PipelineError(
            "these are not the rows that the bundle was trained on; see which of its "
            "inputs, of the versions of packages, or of the code is another"
        )
    print("these are the rows that the bundle was trained on")
    return 0


def _chosen(options: argparse.Namespace) -> tuple[Stage, ...]:
    names = [stage.name for stage in STAGES]
    if options.command == "run":
        return STAGES[: names.index(options.until) + 1]
    return (STAGES[names.index(options.command)],)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    whole = commands.add_parser("run", help="every stage in order")
    whole.add_argument(
        "--until",
        choices=[stage.name for stage in STAGES],
        default=STAGES[-1].name,
        help="the last stage to run",
    )
    singles = [commands.add_parser(s.name, help=s.purpose) for s in STAGES]
    for command in (whole, singles[[s.name for s in STAGES].index("gate")]):
        command.add_argument(
            "--accept-loss",
            metavar="REASON",
            help="release a bundle that is worse than the champion; gate.json says why",
        )
    commands.add_parser("dvc", help="the stages as dvc.yaml, on standard output")
    check = commands.add_parser(
        "reproduced", help="whether the data are those of the pinned bundle"
    )
    for command in (whole, *singles, check):
        command.add_argument("config", type=Path, help="a TOML file, see configs/")
        command.add_argument("--data", help="data folder, instead of data_root")
        command.add_argument("--build", help="build folder, instead of build")
        command.add_argument(
            "--smoke",
            action="store_true",
            help="in small, on texts made here, in build/smoke: two minutes, no data",
        )
        command.add_argument(
            "--force", action="store_true", help="run even if nothing has changed"
        )
    _add_narratives(commands)
    _add_traffic(commands)
    return parser


def _add_traffic(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    from .continuous import command as continuous
    from .labels import command as labels
    from .traffic import command as traffic

    traffic.add_commands(commands)
    labels.add_commands(commands)
    continuous.add_commands(commands)


def _add_narratives(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    vary = commands.add_parser("vary", help="variations of our own narratives")
    vary.add_argument(
        "files", nargs="*", type=Path, help="JSON lines; default: our own"
    )
    vary.add_argument("--count", type=int, default=5, help="of each (default: 5)")
    vary.add_argument("--seed", type=int, default=0)
    vary.add_argument("--out", type=Path, required=True, help="file to write")
    more = commands.add_parser("simulate", help="narratives that an LLM writes")
    more.add_argument("--base-url", required=True, help="OpenAI-compatible address")
    more.add_argument("--model", required=True)
    more.add_argument("--topics", required=True, help="separated by commas")
    more.add_argument("--count", type=int, default=10, help="of each (default: 10)")
    more.add_argument("--temperature", type=float, default=1.0)
    more.add_argument("--out", type=Path, required=True, help="file to add to")


if __name__ == "__main__":
    sys.exit(main())
