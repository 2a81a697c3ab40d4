"""What each change of the model's graph gains, on benign texts and on attacks.

    python benchmarks/passes.py --build build/training

It needs the training environment, the build folder of a run and the data folder. Every
graph gets the same windows in turn, on one thread, so that a busy moment of the machine
hits all of them. Texts are those of public test sets, as many tokens long as the row
says: longer ones are cut, shorter ones of the same kind are joined.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

import promptguard as pg
from promptguard.runtime.bundle import Bundle
from promptguard.runtime.encode import Encoder
from promptguard.runtime.infer import WHOLE
from report import Row, arguments, publish, spread
from training.config import Config, load
from training.data import benchmark_rows
from training.metrics import recall_at
from training.outliers import observe
from training.quantize import drawn, quantize
from training.rows import load_sources, read_rows

TOKENS = (25, 128, 256)
CONFIG = Path(__file__).parents[1] / "training" / "configs" / "release.toml"
SEED = 20

Feed = dict[str, np.ndarray]


def graphs(config: Config, build: Path, encoder: Encoder) -> dict[str, bytes]:
    """The model as exported, with fused attention, and as it is shipped."""
    plain = onnx.load(build / "export" / "model.onnx")
    rows = read_rows(build / "augment" / "train.jsonl.gz")
    feeds = drawn(rows, encoder, config.seed)
    scratch = build / "passes.onnx"
    quantize(plain, observe(plain, feeds), scratch)
    try:
        exported = scratch.read_bytes()
    finally:
        scratch.unlink()
    folder = build / "quantize"
    return {
        "as exported": exported,
        "attention fused": (folder / "unbranched.onnx").read_bytes(),
        "and early end": (folder / "model.onnx").read_bytes(),
    }


def windows(
    encoder: Encoder, texts: Sequence[str], tokens: int, count: int
) -> Iterator[tuple[str, Feed]]:
    """Texts of one window of exactly so many tokens, the two frame tokens included."""
    draw = random.Random(f"{SEED}:{tokens}")
    while count:
        text = ""
        spans: Sequence[tuple[int, int]] = ()
        while len(spans) < tokens - 2:
            text = f"{text} {draw.choice(texts)}".strip()
            spans = encoder.tokens(text)[1]
        text = text[: spans[tokens - 3][1]]
        ids = encoder.encode(text).pieces[0].ids
        if len(ids) == tokens:
            count -= 1
            yield text, _feed(ids)


def beside_each_other(
    models: dict[str, bytes],
    encoder: Encoder,
    kinds: dict[str, Sequence[str]],
    scale: float,
) -> list[Row]:
    """Milliseconds of a run of each graph, and the ratio to the first one."""
    sessions = {name: _session(model) for name, model in models.items()}
    rows: list[Row] = []
    for tokens in TOKENS:
        for kind, texts in kinds.items():
            times: dict[str, list[float]] = {name: [] for name in sessions}
            ended = 0
            count = max(5, int(scale * 120))
            for place, (_, feed) in enumerate(windows(encoder, texts, tokens, count)):
                order = list(sessions)
                random.Random(place).shuffle(order)
                for name in order:
                    session = sessions[name]
                    given = _given(session, feed)
                    begun = time.perf_counter()
                    session.run(["injection"], given)
                    times[name].append(1000 * (time.perf_counter() - begun))
                ended += _ended(sessions["and early end"], feed)
            first = times["as exported"]
            for name, taken in times.items():
                ratios = [a / b for a, b in zip(taken, first, strict=True)]
                rows.append(
                    {
                        "tokens": tokens,
                        "texts": f"{count} {kind}",
                        "graph": name,
                        **{f"ms {k}": v for k, v in spread(taken).items()},
                        "ratio median": round(statistics.median(ratios), 3),
                        "ended early": ended / count if "early" in name else None,
                    }
                )
    return rows


def through_guards(
    encoder: Encoder, texts: Sequence[str], scale: float, model: str
) -> list[Row]:
    """Checks a second on one core, and what three guards cost beside one."""
    alone = pg.PromptInjection(model=model)
    three = alone | pg.Toxicity(model=model) | pg.HarmfulRequest(model=model)
    rows: list[Row] = []
    for tokens in TOKENS:
        one, all_three = [], []
        chosen = windows(encoder, texts, tokens, max(10, int(scale * 300)))
        for place, (text, _) in enumerate(chosen):
            # The library remembers scores of a text; the tokens know no capitals.
            pairs = [(one, alone, text), (all_three, three, text.swapcase())]
            for times, guard, own in pairs if place % 2 else pairs[::-1]:
                begun = time.perf_counter()
                guard.check(own)
                times.append(1000 * (time.perf_counter() - begun))
        ratios = [a / b for a, b in zip(all_three, one, strict=True)]
        rows.append(
            {
                "tokens": tokens,
                "texts": len(one),
                **{f"PromptInjection ms {k}": v for k, v in spread(one).items()},
                **{f"three guards ms {k}": v for k, v in spread(all_three).items()},
                "ratio median": round(statistics.median(ratios), 3),
                "checks a second": round(1000 * len(one) / sum(one)),
            }
        )
    return rows


def what_is_lost(
    models: dict[str, bytes], encoder: Encoder, unseen: Sequence[tuple[bool, str, bool]]
) -> list[Row]:
    """Recall on sources that were never trained on, at thresholds of its own each.

    Args:
        unseen: Whether a text is an attack, the text, whether it is content.
    """
    rows: list[Row] = []
    scores: dict[str, tuple[list[float], list[float]]] = {}
    for name in ("attention fused", "and early end"):
        session = _session(models[name])
        attacks: list[float] = []
        benign: list[float] = []
        for attack, text, content in unseen:
            logits = []
            for piece in encoder.encode(text).pieces[:8]:
                feed = _given(session, _feed(piece.ids, content))
                logits.append(float(session.run(["injection"], feed)[0][0, 0]))
            if logits:
                (attacks if attack else benign).append(max(logits))
        scores[name] = attacks, benign
    for rate in (0.005, 0.01, 0.02):
        row: Row = {"false positives": rate}
        for name, (attacks, benign) in scores.items():
            row[f"recall, {name}"] = recall_at(attacks, benign, rate)
        rows.append({**row, "attacks": len(attacks), "benign": len(benign)})
    return rows


def _session(model: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _feed(ids: tuple[int, ...], content: bool = False) -> Feed:
    values = np.array((ids,), np.int64)
    return {
        "input_ids": values,
        "attention_mask": np.ones_like(values),
        "token_type_ids": np.full_like(values, int(content)),
    }


def _given(session: ort.InferenceSession, feed: Feed, whole: bool = False) -> Feed:
    if any(value.name == WHOLE for value in session.get_inputs()):
        return {**feed, WHOLE: np.array(whole)}
    return feed


def _ended(session: ort.InferenceSession, feed: Feed) -> bool:
    short, whole = (
        session.run(["injection"], _given(session, feed, way))[0]
        for way in (False, True)
    )
    return not np.array_equal(short, whole)


def main() -> None:
    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("--build", type=Path, default=Path("build/training"))
    parser.add_argument(
        "--data", help="the data folder, instead of the configuration's"
    )
    options = parser.parse_args()
    scale = 0.05 if options.quick else 1.0
    config = load(CONFIG, data_root=options.data)
    folder = options.build / "calibrate"
    bundle = Bundle.load(str(folder))
    encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
    sets = benchmark_rows(config, load_sources(config.sources_file)).values()
    texts = [(row.attack, row.text) for rows in sets for row in rows]
    kinds = {
        "benign": [text for attack, text in texts if not attack],
        "attacks": [text for attack, text in texts if attack],
    }
    rows = read_rows(options.build / "data" / "unseen.jsonl.gz")
    unseen = [
        (row.attack, row.text, row.role == "tool")
        for row in rows
        if row.attack or row.benign
    ]
    random.Random(SEED).shuffle(unseen)
    unseen = unseen[: int(scale * len(unseen))]
    models = graphs(config, options.build, encoder)
    publish(
        "passes",
        "What the graph of the model costs",
        {
            "Graphs": beside_each_other(models, encoder, kinds, scale),
            "Early ends": what_is_lost(models, encoder, unseen),
            "Guards": through_guards(encoder, kinds["benign"], scale, str(folder)),
        },
        options,
    )


if __name__ == "__main__":
    main()
