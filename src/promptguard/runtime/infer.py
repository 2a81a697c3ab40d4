"""Windows of token ids into scores: one session for each model of this process."""

from __future__ import annotations

import copy
import math
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime as ort

from ..errors import ConfigError, ModelError
from ..queries import TOOL_ROLES, Classify, OperatingPoint, Scores, Window
from . import hub, registered
from .bundle import Bundle
from .calibration import load_calibration
from .encode import Encoder, Piece
from .naming import Naming

__all__ = ["answer", "set_threads", "warmup"]

PINNED = "sha256:"
"""What the name of a model begins with that stays what it is; see ``pins``."""

NAMES = "names"
"""The output that tells of every token what it is a name of."""

WHOLE = "whole"
"""An input of models that end early where a text is clear: true forbids it."""

_KINDS = "token_type_ids"
"""An input of models that are told whose text it is; a decoder is not."""

_INPUTS = ("input_ids", "attention_mask", _KINDS)

# One operator in the place of a sum and a normalisation, which takes seven times as
# long as these in ONNX Runtime 1.31, and as long in 1.20: docs/performance.md.
_SLOWER = ["SkipLayerNormFusion"]


def answer(query: Classify) -> Scores:
    """The scores of a text, window by window. Safe from any number of threads.

    Raises:
        ModelError: A model file is missing or altered, the model cannot be run, the
            text is longer than a model reads, or a calibration cannot be read.
        ConfigError: The calibration was measured with another model.
    """
    model = _models.get((query.model, query.revision))
    if model is None:
        model = _load(query.model, query.revision)
    return model.answer(query)


def warmup(model: str | None = None) -> None:
    """Load a model and run it once."""
    answer(Classify(model, "warm-up", "user"))


def set_threads(count: int) -> None:
    """Let a run use so many threads, one by default.

    More make long texts faster and take the cores from other runs. Models are loaded
    anew on their next use, but for those that a service has pinned.

    Raises:
        ConfigError: The count is not a whole number of at least one.
    """
    global _threads
    if type(count) is not int or count < 1:
        raise ConfigError("the number of threads must be a whole number of at least 1")
    with _lock:
        _threads = count
        for key in [key for key in _models if not (key[0] or "").startswith(PINNED)]:
            del _models[key]


class _Model:
    """A loaded bundle."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self._encoder = Encoder(bundle.tokenizer, bundle.window, bundle.overlap)
        self._points = bundle.operating_points
        self.digest = bundle.digest
        self._measured: dict[str, tuple[OperatingPoint, ...]] = {}
        self._outputs = [name for name, _ in bundle.heads]
        self._labels = [labels for _, labels in bundle.heads]
        tags = dict(bundle.token_heads).get(NAMES)
        self._naming = None if tags is None else Naming(tags)
        self._session = _session(bundle, threads)
        inputs = {value.name for value in self._session.get_inputs()}
        self._ends_early, self._told_kinds = WHOLE in inputs, _KINDS in inputs
        shape = (1, bundle.window)
        self._mask = np.ones(shape, np.int64)
        self._kinds = (np.zeros(shape, np.int64), np.ones(shape, np.int64))

    def again(self) -> _Model:
        """The same model, which reads calibrations anew."""
        other = copy.copy(self)
        other._measured = {}
        return other

    def answer(self, query: Classify) -> Scores:
        points = self._operating_points(query.calibration)
        encoded = self._encoder.encode(query.text)
        kinds = self._kinds[query.role in TOOL_ROLES]
        naming = self._naming if query.names else None
        wanted = self._outputs if naming is None else [*self._outputs, NAMES]
        windows, tokens = [], []
        for piece in encoded.pieces:
            outputs = self._run(wanted, piece, kinds)
            if naming is not None:
                tokens.append(outputs.pop()[0])
            scores = tuple(self._scores(outputs))
            windows.append(Window(piece.start, piece.end, scores))
        names = None
        if naming is not None:
            names = naming.names(self._encoder, query.text, encoded, tokens)
        return Scores(tuple(windows), encoded.coverage, points, self.digest, names)

    def _operating_points(self, calibration: str | None) -> tuple[OperatingPoint, ...]:
        if calibration is None:
            return self._points
        points = self._measured.get(calibration)
        if points is None:
            points = load_calibration(calibration, self.digest)
            self._measured[calibration] = points
        return points

    def _run(
        self,
        wanted: list[str],
        piece: Piece,
        kinds: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    ) -> list[Any]:
        # One window a run: dynamic int8 scales depend on what else is in the batch.
        length = len(piece.ids)
        feed = {
            "input_ids": np.array((piece.ids,), np.int64),
            "attention_mask": self._mask[:, :length],
        }
        if self._told_kinds:
            feed[_KINDS] = kinds[:, :length]
        if self._ends_early:
            # Names are told after all layers alone.
            feed[WHOLE] = np.array(NAMES in wanted)
        try:
            outputs: list[Any] = self._session.run(wanted, feed)
        except Exception as error:
            # Its message may name token ids, which are the text.
            kind = type(error).__name__
            raise ModelError(f"the model cannot be run ({kind})") from None
        return outputs

    def _scores(self, outputs: list[Any]) -> Iterator[tuple[str, float]]:
        for labels, logits in zip(self._labels, outputs, strict=True):
            for label, logit in zip(labels, logits[0].tolist(), strict=True):
                yield label, _sigmoid(logit)


def _sigmoid(logit: float) -> float:
    if math.isnan(logit):
        raise ModelError("the model gave a score that is not a number")
    if logit < 0:
        # The other way round, a large negative logit would overflow.
        grown = math.exp(logit)
        return grown / (1.0 + grown)
    return 1.0 / (1.0 + math.exp(-logit))


def _session(bundle: Bundle, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # It keeps a plan of memory for every length that was ever seen.
    options.enable_mem_pattern = False
    try:
        session = ort.InferenceSession(
            bundle.model,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=_SLOWER,
        )
        inputs = {value.name for value in session.get_inputs()}
        outputs = {value.name: value.shape for value in session.get_outputs()}
    except Exception as error:
        kind = type(error).__name__
        raise ModelError(
            f"{bundle.path / 'model.onnx'} is not a model that ONNX Runtime "
            f"{ort.__version__} can load ({kind})"
        ) from None
    if (inputs | {_KINDS}) - {WHOLE} != set(_INPUTS):
        raise ModelError(
            f"{bundle.path / 'model.onnx'} takes {', '.join(sorted(inputs))}; "
            f"it must take {', '.join(_INPUTS)}"
        )
    for name, labels in (*bundle.heads, *bundle.token_heads):
        if name not in outputs or outputs[name][-1] not in (len(labels), None):
            raise ModelError(
                f"{bundle.path / 'model.onnx'} has no output {name!r} of "
                f"{len(labels)} columns, which bundle.json names"
            )
    return session


_threads = 1
_models: dict[tuple[str | None, str | None], _Model] = {}
# A finaliser may fork while the lock is held by this very thread.
_lock = threading.RLock()
_left_behind: list[dict[tuple[str | None, str | None], _Model]] = []


def fetched(name: str | None, revision: str | None) -> Bundle:
    """The bundle that a model is made of, read or fetched now."""
    return _from_elsewhere(name, revision) or Bundle.load(hub.local(name))


def same(bundle: Bundle) -> _Model:
    """A model of this bundle, on the session of one that is there, if there is one."""
    with _lock:
        there = next((m for m in _models.values() if m.digest == bundle.digest), None)
    return _Model(bundle, _threads) if there is None else there.again()


def keep(name: str, model: _Model) -> None:
    """Answer for a model under a name of its own, until it is dropped."""
    with _lock:
        _models[name, None] = model


def drop(name: str) -> None:
    """Forget a model. Whoever is at work with it finishes."""
    # Without the lock: it may come from a collection of garbage, at any line.
    _models.pop((name, None), None)


def _from_elsewhere(name: str | None, revision: str | None) -> Bundle | None:
    if name is None:
        return None
    if revision is not None:
        return hub.load(name, revision)
    if name.startswith(registered.PREFIX):
        return registered.load(name)
    if name.startswith(PINNED):
        raise ModelError(
            "the model was pinned in another process, or is not held any more; name "
            "its folder"
        )
    return None


def _load(name: str | None, revision: str | None) -> _Model:
    # Before the lock, because a download takes its time.
    bundle = _from_elsewhere(name, revision)
    with _lock:
        model = _models.get((name, revision))
        if model is None:
            model = _Model(bundle or Bundle.load(hub.local(name)), _threads)
            _models[name, revision] = model
        return model


def _after_fork() -> None:
    """Begin anew in a forked child: the parent's session threads do not exist here."""
    global _lock, _models
    # Taking an old session apart would wait for its threads for ever.
    _left_behind.append(_models)
    _models = {}
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # The lock is held across a fork, so that no session is half made in the child.
    os.register_at_fork(
        before=lambda: _lock.acquire() and None,
        after_in_parent=lambda: _lock.release(),
        after_in_child=_after_fork,
    )
