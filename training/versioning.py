"""The stages as a pipeline of DVC, and whether the released data come out of it.

    python -m training dvc > dvc.yaml
    dvc repro reproduced

DVC keeps versions of what the stages write, and decides by hashes which stage has to
run; what a stage does is the same as for ``python -m training run``. Nothing of the
pipeline needs DVC.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .config import Config
from .errors import PipelineError
from .files import digest, write_atomically
from .stage import Stage

__all__ = ["pipeline", "reproduced"]

_HEAD = """\
# Made by `python -m training dvc`; a test holds it against the stages.
#
#   dvc repro reproduced    the data of the released bundle, and whether they are those
#   dvc repro               all of it, the training as well: hours
#
# It needs the training environment (`make train-env`) and the data folder. `python` and
# the other words can be others: see docs/traffic-and-labels.md.
vars:
  - python: python
  - config: training/configs/released.toml
  - table: training/released.toml
  - bundle: src/promptguard/models
  - own: training/data
  - data: ../shared/data
  - build: build/released

stages:
"""
# What a stage reads from outside the build folder, beside its own module.
_DATA = ("injection", "malicious", "toxicity")
_OUTSIDE = {
    "sources": (
        "${table}",
        "${own}",
        "${bundle}/bundle.json",
        *(f"${{data}}/{name}" for name in _DATA),
    ),
    "data": ("${table}", "${data}/benchmarks"),
    "vocabulary": ("${table}", "${bundle}/bundle.json", "${bundle}/tokenizer.json"),
    "augment": ("${table}", "training/phrases.toml", "training/framings.toml"),
    "evaluate": ("${table}", "${data}/benchmarks"),
}
_READING = "src/promptguard/text.py"
_LAST = "augment"


def pipeline(stages: Sequence[Stage]) -> str:
    """The text of ``dvc.yaml``."""
    parts = [_HEAD, *(_stage(stage) for stage in stages)]
    parts.append(
        "  reproduced:\n"
        "    desc: whether these are the rows that the released bundle was trained on\n"
        "    cmd: ${python} -m training reproduced ${config} --data ${data} --build "
        "${build}\n"
        "    deps:\n"
        "      - ${build}/augment/train.jsonl.gz\n"
        "      - ${bundle}/bundle.json\n"
        "      - training/versioning.py\n"
        "    metrics:\n"
        "      - ${build}/reproduced.json:\n"
        "          cache: false\n"
    )
    return "".join(parts)


def _stage(stage: Stage) -> str:
    command = f"${{python}} -m training {stage.name} ${{config}}"
    # DVC has decided that it has to run.
    command += " --data ${data} --build ${build} --force"
    deps = [
        "${config}",
        f"training/{stage.name}.py",
        *([_READING] if stage.reading else []),
        *_OUTSIDE.get(stage.name, ()),
    ]
    named = [f"${{build}}/{name}" for name in stage.reads]
    # A manifest has the seconds that a stage took: only files of it can be the same.
    needed = [
        n for n in stage.needs if not any(r.startswith(f"{n}/") for r in stage.reads)
    ]
    deps += [*named, *(f"${{build}}/{name}" for name in needed)]
    lines = [
        f"  {stage.name}:",
        f"    desc: {stage.purpose}",
        f"    cmd: {command}",
        "    deps:",
        *(f"      - {dep}" for dep in deps),
        "    outs:",
        f"      - ${{build}}/{stage.name}:",
        # A stage goes on where it was stopped, and takes the place of what was there.
        "          persist: true",
    ]
    return "\n".join(lines) + "\n"


def reproduced(config: Config) -> bool:
    """Hold the rows against the hash that the bundle states, and write down both.

    Raises:
        PipelineError: There are no rows yet, or the configuration names no bundle.
    """
    if config.pinned_file is None:
        raise PipelineError(
            f"{config.file} names no bundle under [sources] pinned: there is nothing "
            "to hold the data against"
        )
    try:
        stated = json.loads(config.pinned_file.read_bytes())["made_from"]["data"]
    except (OSError, ValueError, LookupError, TypeError):
        raise PipelineError(
            f"{config.pinned_file} does not state what it was trained on"
        ) from None
    rows = Path(config.build) / _LAST / "train.jsonl.gz"
    if not rows.is_file():
        raise PipelineError(
            f"{rows} is not there; run: python -m training {_LAST} {config.file}"
            f"{config.options}, or: dvc repro reproduced"
        )
    found = {"stated": stated, "made": digest(rows)}
    found["same"] = found["stated"] == found["made"]
    page = json.dumps(found, indent=1) + "\n"
    write_atomically(Path(config.build) / "reproduced.json", page.encode())
    print(f"{rows}\n  made    {found['made']}\n  stated  {found['stated']}")
    return bool(found["same"])
