"""llm-guard: its scanners of patterns, and its classifier with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..deberta import FOLDER, TOKENIZER
from ..peer import Find, Missing, Peer
from ..texts import EXPRESSION, WORDS


def _finder(scan: Callable[[str], tuple[str, bool, float]]) -> Find:
    def find(text: str) -> list[tuple[int, int, str]]:
        _, valid, _ = scan(text)
        return [] if valid else [(0, len(text), "found")]

    return find


def _scanners() -> Any:
    from llm_guard import input_scanners
    from llm_guard.util import configure_logger

    # It would write a line for every scan.
    configure_logger("ERROR")
    return input_scanners


def _options() -> Any:
    import onnxruntime

    if not (FOLDER / "model.onnx").is_file():
        raise Missing("its classifier's graph could not be made")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def injection() -> Find:
    from llm_guard.model import Model

    model = Model(
        path=str(FOLDER),
        onnx_path=str(FOLDER),
        onnx_filename="model.onnx",
        pipeline_kwargs={
            "return_token_type_ids": False,
            "max_length": 512,
            "truncation": True,
        },
        kwargs={"session_options": _options()},
    )
    scanner = _scanners().PromptInjection(model=model, use_onnx=True)
    return _finder(scanner.scan)


def tokens() -> Find:
    """A bare run of the graph: what no code around it could make faster."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    session = onnxruntime.InferenceSession(
        FOLDER / "model.onnx", _options(), providers=["CPUExecutionProvider"]
    )

    def find(text: str) -> list[tuple[int, int, str]]:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        session.run(None, feed)
        return []

    return find


def secrets() -> Find:
    return _finder(_scanners().Secrets().scan)


def invisible() -> Find:
    return _finder(_scanners().InvisibleText().scan)


def regex() -> Find:
    return _finder(_scanners().Regex([EXPRESSION], match_type="search").scan)


def keywords() -> Find:
    return _finder(_scanners().BanSubstrings(list(WORDS), match_type="word").scan)


def pii_common() -> Find:
    from llm_guard.vault import Vault

    try:
        return _finder(_scanners().Anonymize(Vault()).scan)
    except OSError:
        reason = "Anonymize downloads a model that is on no package index"
        raise Missing(reason) from None


PEER = Peer(
    first=("torch==2.13.0",),
    requirements=("llm-guard[onnxruntime]==0.3.16",),
    imports="llm_guard",
    prepare="benchmarks.peers.deberta",
    tasks={
        "injection": injection,
        "tokens": tokens,
        "secrets": secrets,
        "invisible": invisible,
        "regex": regex,
        "keywords": keywords,
        "pii_common": pii_common,
    },
    note=(
        "PyTorch for CPUs; the classifier is DeBERTa-v3-base with random weights "
        "through ONNX Runtime, for times only (speed does not depend on the values); "
        "it reads the first 512 tokens; its weights (about 740 MB) are not counted"
    ),
)
