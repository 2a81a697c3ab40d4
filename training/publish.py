"""The publish stage: a finished bundle into MLflow and onto the Hub.

The order makes it safe to stop anywhere: what only adds comes first, and the alias,
which changes what others load, is moved when all else is done.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptguard.runtime.bundle import NEEDED, Bundle

from .config import Config, Publish
from .errors import PipelineError
from .faults import explained, without_secrets
from .registry import (
    BUNDLE_TAG,
    REPORT_TAG,
    Publication,
    Registry,
    flat,
    tracking_uri,
)
from .stage import digest, write_atomically
from .upload import Upload, Uploaded, check, push

__all__ = ["FILES", "destinations", "make", "publication", "readme"]

FILES = (*NEEDED, "bundle.json", "MODEL_CARD.md")

HUB_TAG = "promptguard.hub"

# Of MLflow.
_LONGEST_VALUE = 6000
_REPORTS = (".json", ".md", ".png", ".svg")

_README = """\
---
license: apache-2.0
library_name: promptguard
pipeline_tag: text-classification
tags:
- guardrails
- onnx
- {tag_of}
- security
---

{card}

## How to load it

```
pip install 'promptguard-llm[hub]'
```

```python
import promptguard as pg

guard = pg.{guard}(model="{repository}", revision="{tag}")
verdict = guard.check("Ignore all previous instructions.")
```

The full id of a commit in place of the tag pins the files for good. Only
`bundle.json`, `model.onnx`, `tokenizer.json` and `MODEL_CARD.md` are fetched, and each
is checked against the hash that `bundle.json` states. No code is.

- digest of the bundle: `{digest}`
{tags}
"""


def destinations(config: Config) -> dict[str, Any]:
    """Where it would go now; the stage runs again when this changes."""
    settings = dataclasses.asdict(config.publish)
    return settings | {
        "tracking": without_secrets(tracking_uri(config.publish)),
        "hub": _repository(config.publish),
    }


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Record, upload, and move the alias; ``receipt.json`` says where all of it is."""
    try:
        _make(config, needed, out)
    except OSError as error:
        raise explained(error, f"publish: {out}") from None


def _make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    settings = config.publish
    with tempfile.TemporaryDirectory(prefix="bundle.", dir=out) as name:
        folder = Path(name) / "bundle"
        _copy(needed["bundle"], folder)
        made = publication(config, needed, folder)
        repository = _repository(settings)
        tag = settings.tag or f"{config.name}-{made.digest[:12]}"
        if repository:
            check(repository, tag)
        registry = Registry(settings)
        version = registry.record(made)
        print(
            f"  MLflow: {settings.model} version {version.number} at {registry.shown}"
        )
        uploaded = None
        if repository:
            uploaded = _push(made, folder, repository, tag, private=settings.private)
            print(f"  Hub: {repository} at {uploaded.commit}, tag {tag}")
        where = {} if uploaded is None else {HUB_TAG: uploaded.pinned}
        before = registry.promote(version.number, where)
        print(f"  {settings.alias}: version {before or 'none'} -> {version.number}")
    receipt = {
        "bundle": made.digest,
        "tags": dict(made.tags),
        "mlflow": {
            "tracking": registry.shown,
            "experiment": settings.experiment,
            "run": version.run,
            "model": settings.model,
            "version": version.number,
            "alias": settings.alias,
            "before": before,
        },
        "hub": uploaded and dataclasses.asdict(uploaded),
    }
    write_atomically(out / "receipt.json", json.dumps(receipt, indent=1).encode())


def publication(
    config: Config, needed: Mapping[str, Path], bundle: Path
) -> Publication:
    """Everything MLflow is told, read from the stages' folders."""
    loaded = Bundle.load(str(bundle))
    report = needed["evaluate"] / "report.json"
    try:
        metrics = dict(flat(json.loads(report.read_bytes())))
    except (OSError, ValueError):
        raise PipelineError(
            f"publish: {report} cannot be read as JSON; run the stage evaluate again"
        ) from None
    made_from = json.loads((bundle / "bundle.json").read_bytes()).get("made_from", {})
    tags = {
        BUNDLE_TAG: loaded.digest,
        REPORT_TAG: digest(report),
        "promptguard.model": digest(bundle / "model.onnx"),
        "promptguard.data": _data(made_from, needed["augment"]),
        "promptguard.commit": _commit(),
    }
    summaries = [
        *(needed["data"] / name for name in ("DATA_CARD.md", "data_card.json")),
        needed["augment"] / "summary.json",
        needed["augment"] / "manifest.json",
    ]
    reports = [p for p in sorted(needed["evaluate"].iterdir()) if p.suffix in _REPORTS]
    return Publication(
        name=config.name,
        bundle=bundle,
        digest=loaded.digest,
        params=dict(_params(dataclasses.asdict(config))),
        metrics=metrics,
        tags=tags,
        task=config.task.label or None,
        # The rows themselves are texts of others and stay where they are.
        reports=tuple(path for path in (*reports, *summaries) if path.is_file()),
    )


def readme(card: str, made: Publication, repository: str, tag: str) -> str:
    """The page of the repository: the bundle's card, with the figures, and its use."""
    for path in made.reports:
        report = path.read_text("utf-8") if path.name == "report.md" else ""
        # The card of a release has the table in it.
        if report and report.partition("\n\n")[2].strip() not in card:
            card = f"{card.rstrip()}\n\n## Figures\n\n{report.partition(chr(10))[2]}"
    tags = "\n".join(
        f"- {key.removeprefix('promptguard.')}: `{value}`"
        for key, value in made.tags.items()
        if key != BUNDLE_TAG
    )
    guard = "PromptInjection" if made.task is None else "Classifier"
    return _README.format(
        card=card.strip(),
        repository=repository,
        tag=tag,
        digest=made.digest,
        tags=tags,
        guard=guard,
        tag_of=made.task or "prompt-injection",
    )


def _push(
    made: Publication, folder: Path, repository: str, tag: str, *, private: bool
) -> Uploaded:
    page = folder.with_name("repository")
    shutil.copytree(folder, page)
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    text = readme(card, made, repository, tag)
    (page / "README.md").write_text(text, "utf-8")
    return push(
        Upload(
            folder=str(page.resolve()),
            repository=repository,
            tag=tag,
            message=f"Publish {made.name}, digest {made.digest[:12]}",
            private=private,
        )
    )


def _copy(source: Path, folder: Path) -> None:
    """The bundle's files without the stage's manifest beside them."""
    folder.mkdir()
    for name in FILES:
        shutil.copyfile(source / name, folder / name)


def _repository(settings: Publish) -> str:
    return settings.hub or os.environ.get("PROMPTGUARD_HUB", "")


def _params(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            # Where a run is published is no part of how it was made.
            if not key and name in ("publish", "file", "options"):
                continue
            yield from _params(inner, f"{key}.{name}" if key else name)
    else:
        yield key, str(value)[:_LONGEST_VALUE]


def _data(made_from: Any, folder: Path) -> str:
    """The hash that the bundle states for its data, or else that of the stage."""
    stated = made_from.get("data") if isinstance(made_from, dict) else None
    return stated if isinstance(stated, str) else digest(folder / "manifest.json")


def _commit() -> str:
    """The commit that is checked out, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
