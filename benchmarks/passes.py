"""What each change of the model's graph gains, and what three guards cost beside one.

    mkdir -p build/plain
    git archive 626b6d6 src/promptguard/models | tar -x --strip 3 -C build/plain
    python benchmarks/passes.py --plain build/plain

It needs the training environment, the data folder, and a bundle whose graph is as the
quantizer left it: the released one as it was first committed. Every graph gets the same
windows in turn, on one thread, and its processor time counts, so that a busy machine
hits none of them more. Texts are those of public test sets, as many tokens long as the
row says: longer ones are cut, shorter ones of the same kind are joined.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort

import promptguard as pg
from promptguard.runtime.bundle import Bundle
from promptguard.runtime.encode import Encoder
from report import Row, arguments, publish, spread
from training.config import load
from training.data import benchmark_rows
from training.fuse import biases_first, flat, fuse
from training.rows import load_sources

TOKENS = (25, 128, 256)
CONFIG = Path(__file__).parents[1] / "training" / "configs" / "release.toml"
HEADS = 12
SEED = 20
PLAIN = "as quantized"
FUSION = "SkipLayerNormFusion"

Feed = dict[str, np.ndarray]


def sessions(bundle: Bundle) -> dict[str, ort.InferenceSession]:
    """The model as the quantizer left it, and with one change more each."""
    model = onnx.load_from_string(bundle.model)
    made = {PLAIN: _session(model, [])}
    made["sum and normalisation apart"] = _session(model, [FUSION])
    biases_first(model)
    made["and biases first"] = _session(model, [FUSION])
    fuse(model, HEADS)
    made["and attention fused"] = _session(model, [FUSION])
    flat(model)
    made["and outliers by Gemm"] = _session(model, [FUSION])
    return made


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
    made: dict[str, ort.InferenceSession],
    encoder: Encoder,
    texts: Sequence[str],
    scale: float,
) -> list[Row]:
    """Milliseconds of a run of each graph, and the ratio to the first one."""
    rows: list[Row] = []
    for tokens in TOKENS:
        times: dict[str, list[float]] = {name: [] for name in made}
        moved: dict[str, list[float]] = {name: [] for name in made}
        count = max(5, int(scale * 120))
        for place, (_, feed) in enumerate(windows(encoder, texts, tokens, count)):
            order = list(made)
            random.Random(place).shuffle(order)
            logits = {}
            for name in order:
                begun = time.thread_time()
                logits[name] = made[name].run(["injection"], feed)[0][0, 0]
                times[name].append(1000 * (time.thread_time() - begun))
            for name, value in logits.items():
                moved[name].append(abs(float(value - logits[PLAIN])))
        for name, taken in times.items():
            ratios = [a / b for a, b in zip(taken, times[PLAIN], strict=True)]
            rows.append(
                {
                    "tokens": tokens,
                    "texts": count,
                    "graph": name,
                    **{f"ms {k}": v for k, v in spread(taken).items()},
                    "ratio median": round(statistics.median(ratios), 3),
                    "logit moved, mean": round(statistics.fmean(moved[name]), 4),
                    "most": round(max(moved[name]), 4),
                }
            )
    return rows


def decisions(plain: str, texts: Sequence[str], scale: float) -> list[Row]:
    """What the released bundle flags, beside the one in the plain graph."""
    drawn = random.Random(SEED).sample(texts, min(len(texts), int(scale * 2000)))
    rows: list[Row] = []
    for kind in (pg.PromptInjection, pg.Toxicity, pg.HarmfulRequest):
        before, now = (
            [verdict.flagged for verdict in kind(model=model).check_batch(drawn)]
            for model in (plain, None)
        )
        rows.append(
            {
                "guard": kind.__name__,
                "texts": len(drawn),
                "flagged, plain graph": sum(before),
                "flagged, released graph": sum(now),
                "decided otherwise": sum(
                    a != b for a, b in zip(before, now, strict=True)
                ),
            }
        )
    return rows


def operators(model: onnx.ModelProto, feed: Feed, runs: int) -> list[Row]:
    """Where a run spends its time: the largest operators, by ONNX Runtime's profile."""
    with TemporaryDirectory() as folder:
        session = _session(model, [FUSION], Path(folder, "run"))
        for _ in range(runs):
            session.run(["injection"], feed)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    taken: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken[event["args"]["op_name"], event["name"]].append(event["dur"])
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for (operator, _), times in taken.items():
        # The faster ones: what else the machine does makes the others slow.
        sums[operator] += sorted(times)[len(times) // 4]
        counts[operator] += 1
    whole = sums.total()
    return [
        {
            "operator": operator,
            "times a run": counts[operator],
            "microseconds": microseconds,
            "share": round(microseconds / whole, 3),
        }
        for operator, microseconds in sums.most_common(12)
    ]


def through_guards(encoder: Encoder, texts: Sequence[str], scale: float) -> list[Row]:
    """Checks a second of processor time, and what three guards cost beside one."""
    alone = pg.PromptInjection()
    three = alone | pg.Toxicity() | pg.HarmfulRequest()
    rows: list[Row] = []
    for tokens in TOKENS:
        one, all_three = [], []
        chosen = windows(encoder, texts, tokens, max(10, int(scale * 300)))
        for place, (text, _) in enumerate(chosen):
            # The library remembers scores of a text; the tokens know no capitals.
            pairs = [(one, alone, text), (all_three, three, text.swapcase())]
            for times, guard, own in pairs if place % 2 else pairs[::-1]:
                begun = time.process_time()
                guard.check(own)
                times.append(1000 * (time.process_time() - begun))
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


def _session(
    model: onnx.ModelProto, without: list[str], profile: Path | None = None
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    return ort.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=without,
    )


def _feed(ids: tuple[int, ...]) -> Feed:
    values = np.array((ids,), np.int64)
    return {
        "input_ids": values,
        "attention_mask": np.ones_like(values),
        "token_type_ids": np.zeros_like(values),
    }


def main() -> None:
    parser = arguments(__doc__.partition("\n")[0])
    parser.add_argument("--plain", required=True, help="bundle with a plain graph")
    parser.add_argument(
        "--data", help="the data folder, instead of the configuration's"
    )
    options = parser.parse_args()
    scale = 0.05 if options.quick else 1.0
    config = load(CONFIG, data_root=options.data)
    bundle = Bundle.load(options.plain)
    encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
    sets = benchmark_rows(config, load_sources(config.sources_file)).values()
    every = [row for rows in sets for row in rows]
    benign = [row.text for row in every if not row.attack]
    publish(
        "passes",
        "What the graph of the model costs",
        {
            "Graphs": beside_each_other(sessions(bundle), encoder, benign, scale),
            "Decisions": decisions(options.plain, [r.text for r in every], scale),
            "Operators of a run of 128 tokens": operators(
                onnx.load_from_string(Bundle.load(None).model),
                next(windows(encoder, benign, 128, 1))[1],
                max(5, int(scale * 200)),
            ),
            "Guards": through_guards(encoder, benign, scale),
        },
        options,
    )


if __name__ == "__main__":
    main()
