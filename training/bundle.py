"""The bundle stage: the folder that the library ships."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptguard.runtime.bundle import NEEDED, Bundle

from . import names, taskcard
from .augment import FRAMINGS, PHRASES
from .config import Config
from .evaluate import markdown
from .folder import read_statement, write_statement
from .rows import Sources, load_sources
from .sources import inputs
from .stage import digest, write_atomically

__all__ = ["card", "make"]

_CARD = """\
# {name}

The model inside promptguard: {tells}, for text in a user's own words and for text that
a tool, a document or a page brought in.

- encoder: all-MiniLM-L6-v2 (Apache-2.0), 6 layers, 384 wide, fine-tuned; the mean over
  its tokens; a linear head for each of {heads}. The role of the text is its token type.
- input: promptguard's clean reading of the text, reading version {reading}, in windows
  of {window} tokens that overlap by {overlap}. Every window is scored by itself.
- output: a calibrated probability for each window. Thresholds by false-positive rate,
  role and number of windows are in bundle.json, each with the rate that was measured,
  its 95 % interval and the number of benign texts.
- format: ONNX, int8 weights with a scale for each channel, {size:.1f} MB.
- licence: Apache-2.0

## What it is for, and what not

It tells attempts to turn a model against its operator from ordinary text: overrides,
jailbreaks, prompt extraction, and instructions planted in content. It is one layer, and
a patient attacker will find wordings it misses. It reads English well; its vocabulary
knows few Chinese, Japanese or Thai words, and says so in the coverage of the verdict. A
finding spans the flagged windows, not the words of the attack.
{others}
## Data

Only sources under open licences. Test sets were never trained on or selected by, and a
training text that shares eight words in a row with one of them was left out. The unseen
sources were kept out of training whole, and of thresholds too; benign texts out of the
{held_out:.0%} of every other source that were held out set these.

Attacks are all rows that one of the heads looks for. A head learned only from the rows
whose source labels what it tells.

| source | licences | attacks | benign | origin |
| --- | --- | ---: | ---: | --- |
{sources}

Rows named `planted` were made here: an attack of these sources, or a wording of our
own, at a random place of a benign text. `pasted` puts a user's request beside a
document, `noticed` a harmless notice into one; `questions` are harmless requests in the
words of attacks, `snippets` benign sentences that use such words, and `disguised` rows,
attacks and benign ones, are written as somebody might to get past a detector. Texts
with marked names are no attacks and no benign texts: the other heads learn nothing from
them.

## Figures

{report}"""


_TELLS = {
    "injection": "prompt injection",
    "toxicity": "toxicity",
    "harmful_request": "harmful requests",
}
_OTHERS = {
    "toxicity": """
It tells insults, threats, hate and obscenity as annotators of Wikipedia's talk pages,
of tweets and of comments saw them, who disagree. Names of groups of people, words that
are quoted and words among friends are flagged too often.
""",
    "harmful_request": """
It tells requests for help with harm from harmless ones in the same words, mostly in
English. It does not judge answers, and a purpose that is made up gets past it.
""",
    "names": """
A head of its own tells of every word whether it belongs to the name of a person, a
place or an organisation. It learned from tweets, clinical records and made sentences,
mostly in English, does not see capital letters, and misses names that are plain words.
""",
}


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Gather the files, write the card, and put them where the library looks."""
    for name in NEEDED:
        shutil.copy(needed["calibrate"] / name, out / name)
    bundle = Bundle.load(str(needed["calibrate"]))
    summary = json.loads((needed["augment"] / "summary.json").read_bytes())
    report = json.loads((needed["evaluate"] / "report.json").read_bytes())
    make_card = taskcard.card if config.task else card
    text = make_card(config, bundle, load_sources(config.sources_file), summary, report)
    write_atomically(out / "MODEL_CARD.md", text.encode())
    statement = read_statement(needed["calibrate"])
    statement["made_from"] = {
        "configuration": config.name,
        "seed": config.seed,
        "data": digest(needed["augment"] / "train.jsonl.gz"),
        "table": digest(config.sources_file),
        "encoder": digest(config.encoder_folder() / "model.safetensors"),
        "sources": [
            *inputs(needed["sources"]),
            *names.inputs(config),
            *([] if config.task else _wordings()),
        ],
    }
    if config.start:
        statement["made_from"]["start"] = Bundle.load(config.start).digest
    write_statement(out, statement)
    release = Path(config.release)
    release.mkdir(parents=True, exist_ok=True)
    for path in sorted(out.iterdir()):
        if path.name in (*NEEDED, "MODEL_CARD.md", "bundle.json"):
            write_atomically(release / path.name, path.read_bytes())
    Bundle.load(str(release))


def _wordings() -> list[dict[str, Any]]:
    """The inputs that are no sources: our own wordings, which rows are made of."""
    return [
        {
            "name": path.stem,
            "file": path.name,
            "sha256": digest(path),
            "licences": ["Apache-2.0"],
            "use": "train",
        }
        for path in (PHRASES, FRAMINGS)
    ]


def card(
    config: Config,
    bundle: Bundle,
    sources: Sources,
    summary: Mapping[str, Any],
    report: Mapping[str, Any],
) -> str:
    """The model card: what it is, what it was made from, how good it is."""
    from promptguard.text import READING_VERSION

    # Without the times, which are others at every run: the same run is the same bundle.
    lasting = {key: part for key, part in report.items() if key != "latency"}
    figures = markdown(lasting).partition("\n\n")[2]
    return _CARD.format(
        name=config.name,
        tells=" and ".join(_TELLS.get(head, head) for head, _ in bundle.heads),
        heads=", ".join(f"`{head}`" for head, _ in bundle.heads),
        others="".join(
            _OTHERS.get(head, "") for head, _ in (*bundle.heads, *bundle.token_heads)
        ),
        reading=READING_VERSION,
        window=bundle.window,
        overlap=bundle.overlap,
        size=len(bundle.model) / 1e6,
        held_out=config.data.held_out,
        sources="\n".join([*_rows(sources, summary["train"]), *_named(config)]),
        report=figures,
    )


def _named(config: Config) -> Iterator[str]:
    """Texts with marked names: they are neither attacks nor benign texts."""
    if config.names.labels:
        for name, source in names.load_table(config).items():
            licences = ", ".join(source.licences)
            origin = source.origin.replace("|", "/")
            yield f"| {name} | {licences} | names | names | {origin} |"
        if config.names.made:
            yield "| nametexts | Apache-2.0 | names | names | made here |"


def _rows(sources: Sources, counts: Mapping[str, int]) -> Iterator[str]:
    totals: Counter[tuple[str, str]] = Counter()
    for key, count in counts.items():
        name, _, sign = key.split(" ")
        totals[name.partition(":")[0], sign] += count
    for name, source in sources.used("train").items():
        licences = ", ".join(source.licences)
        yield (
            f"| {name} | {licences} | {totals[name, 'attack']} "
            f"| {totals[name, 'benign']} | {source.origin.replace('|', '/')} |"
        )
    for name in ("planted", "pasted", "noticed", "questions", "snippets", "disguised"):
        attacks, benign = totals[name, "attack"], totals[name, "benign"]
        yield f"| {name} | as their parts | {attacks} | {benign} | made here |"
    for name, source in sources.used("unseen", "tested").items():
        licences = ", ".join(source.licences)
        yield f"| {name} | {licences} | {source.use} | {source.use} | {source.origin} |"
