"""A bundle of a few kilobytes whose model gives away attacks by single words.

The ONNX file is written byte by byte, so that neither torch nor onnx is needed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from promptguard.runtime.bundle import FORMAT, digest_of
from promptguard.text import READING_VERSION

from ..stage import digest

__all__ = ["ATTACK_WORDS", "pieces", "tokenizer", "write_bundle"]

ATTACK_WORDS = ("ignore", "instructions", "reveal", "secret")

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MARKS = "0123456789.,:;!?'\"()[]{}<>/|@#-_=+*&%$"
_FLOAT, _INT64 = 1, 7
_RATES = (0.001, 0.005, 0.01, 0.02, 0.05)
_CARD = """\
# {name}

A model for tests: a text is an attack when it has one of a few words in it.
"""


def write_bundle(
    folder: Path,
    *,
    words: Iterable[str] | None = ATTACK_WORDS,
    name: str = "tiny",
    others: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    names: Mapping[str, tuple[Sequence[str], Sequence[str]]] | None = None,
    bytewise: bool = False,
) -> Path:
    """Write a bundle that the library loads, and return its folder.

    Args:
        folder: Made if it is not there.
        words: Whatever text holds one of these scores 0.98, or more if it is the
            text of a tool; all others score 0.02. None leaves out the head for
            injection: a bundle of another task.
        name: What the bundle is called.
        others: Heads beside the one for injection: their labels, and the words that
            give each away in the same manner.
        names: Of each label of a head over tokens, the words that a name begins with,
            and those that go on with one; at a rate of 0.001 none is likely enough.
        bytewise: It reads pieces of bytes without a frame, and is not told whose text
            it is, as a decoder.
    """
    own = {} if words is None else {"injection": {"injection": tuple(words)}}
    heads = {**own, **(others or {})}
    every = [word for told in heads.values() for part in told.values() for word in part]
    every += [word for parts in (names or {}).values() for p in parts for word in p]
    vocabulary = {piece: number for number, piece in enumerate(pieces(every))}
    table_of_pieces: object = tokenizer(vocabulary)
    if bytewise:
        vocabulary, table_of_pieces = _of_bytes(every)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        head: {
            label: [4.0 if piece.lstrip("Ġ") in part else -4.0 for piece in vocabulary]
            for label, part in told.items()
        }
        for head, told in heads.items()
    }
    tags, columns = _tags(names or {}, vocabulary)
    (folder / "model.onnx").write_bytes(_model(weights, columns, kinds=not bytewise))
    (folder / "tokenizer.json").write_text(json.dumps(table_of_pieces))
    (folder / "MODEL_CARD.md").write_text(_CARD.format(name=name))
    files = ("MODEL_CARD.md", "model.onnx", "tokenizer.json")
    table = {
        "format": FORMAT,
        "reading": READING_VERSION,
        "name": name,
        "heads": {head: list(told) for head, told in heads.items()},
        "window": 32,
        "overlap": 8,
        "operating_points": [
            {
                "label": label,
                "role": role,
                "windows": 1,
                "fpr": rate,
                "threshold": 0.5,
            }
            for told in heads.values()
            for label in told
            for role in ("user", "tool")
            for rate in _RATES
        ]
        + [
            {
                "label": label,
                "role": role,
                "windows": 1,
                "fpr": rate,
                "threshold": 0.999 if rate == _RATES[0] else 0.5,
            }
            for label in names or {}
            for role in ("user", "tool")
            for rate in _RATES
        ],
        **({"token_heads": {"names": tags}} if names else {}),
        "made_from": {"configuration": name, "seed": 20, "data": "0" * 64},
        "files": {file: digest(folder / file) for file in files},
    }
    table["digest"] = digest_of(table)
    (folder / "bundle.json").write_text(json.dumps(table, indent=1, sort_keys=True))
    return folder


def _of_bytes(words: Sequence[str]) -> tuple[dict[str, int], object]:
    """Pieces of bytes, the words among them, in the order of their numbers."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    made = Tokenizer(BPE())
    made.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=10_000,
        min_frequency=0,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator([*words, *(f" {word}" for word in words)], trainer)
    vocabulary = made.get_vocab()
    order = sorted(vocabulary, key=vocabulary.__getitem__)
    return {piece: vocabulary[piece] for piece in order}, json.loads(made.to_str())


def _tags(
    names: Mapping[str, tuple[Sequence[str], Sequence[str]]], vocabulary: Iterable[str]
) -> tuple[list[str], list[list[float]]]:
    """The tags of the head over tokens, and its columns by piece."""
    tags = ["O", *(f"{part}-{label}" for label in names for part in "BI")]
    words = [part for parts in names.values() for part in parts]
    rows = []
    for piece in vocabulary:
        named = [5.0 if piece in part else 0.0 for part in words]
        rows.append([0.0 if any(named) else 5.0, *named])
    return tags, rows


def pieces(words: Iterable[str]) -> dict[str, None]:
    """A vocabulary: the words, and what any other word can be spelt with."""
    made = [*_SPECIAL, *words, *_LETTERS, *(f"##{x}" for x in _LETTERS), *_MARKS]
    return dict.fromkeys([*made, *(f"##{x}" for x in _MARKS)])


def tokenizer(vocabulary: dict[str, int]) -> dict[str, object]:
    """The content of a tokenizer.json."""
    added = [
        {
            "id": vocabulary[token],
            "content": token,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for token in _SPECIAL
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def _model(
    heads: Mapping[str, Mapping[str, Sequence[float]]],
    tokens: Sequence[Sequence[float]] = ((),),
    kinds: bool = True,
) -> bytes:
    """The highest weight of a window's tokens, plus one for content: a logit.

    Args:
        tokens: What a head over tokens gives for each piece of the vocabulary.
        kinds: Whether it is told whose text it is.
    """
    nodes = [
        _node("Cast", ["attention_mask"], "mask", _integer("to", _FLOAT)),
    ]
    if kinds:
        nodes += [
            _node("Cast", ["token_type_ids"], "kinds", _integer("to", _FLOAT)),
            _node("ReduceMax", ["kinds"], "kind", _integers("axes", [1])),
        ]
    tensors = b""
    for head, labels in heads.items():
        logits = []
        for label, weights in labels.items():
            own = f"{head}.{label}"
            logits.append(f"{own}.logit")
            nodes += [
                _node("Gather", [f"{own}.weights", "input_ids"], f"{own}.by_token"),
                _node("Mul", [f"{own}.by_token", "mask"], f"{own}.masked"),
                _node(
                    "ReduceMax",
                    [f"{own}.masked"],
                    f"{own}.most",
                    _integers("axes", [1]),
                ),
                _node("Add", [f"{own}.most", "kind"], logits[-1])
                if kinds
                else _node("Identity", [f"{own}.most"], logits[-1]),
            ]
            tensors += _tensor(f"{own}.weights", weights, len(weights))
        nodes.append(_node("Concat", logits, head, _integer("axis", 1)))
    inputs = ("input_ids", "attention_mask", *(["token_type_ids"] if kinds else []))
    outputs = [_value(head, _FLOAT, len(labels)) for head, labels in heads.items()]
    if width := len(tokens[0]):
        flat = [value for row in tokens for value in row]
        tensors += _tensor("names.weights", flat, len(tokens), width)
        nodes.append(_node("Gather", ["names.weights", "input_ids"], "names"))
        outputs.append(_value("names", _FLOAT, "length", width))
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"tiny")
    graph += tensors
    graph += b"".join(_bytes(11, _value(name, _INT64, "length")) for name in inputs)
    graph += b"".join(_bytes(12, output) for output in outputs)
    opset = _bytes(1, b"") + _number(2, 13)
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, opset)


def _node(kind: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    written = b"".join(_bytes(1, name.encode()) for name in inputs)
    written += _bytes(2, output.encode()) + _bytes(4, kind.encode())
    return written + (_bytes(5, attribute) if attribute else b"")


def _integer(name: str, value: int) -> bytes:
    return _bytes(1, name.encode()) + _number(3, value) + _number(20, 2)


def _integers(name: str, values: list[int]) -> bytes:
    numbers = b"".join(_number(8, value) for value in values)
    return _bytes(1, name.encode()) + numbers + _number(20, 7)


def _tensor(name: str, values: Sequence[float], *sizes: int) -> bytes:
    """A TensorProto as an initializer: dims, data_type, name, raw_data."""
    tensor = b"".join(_number(1, size) for size in sizes) + _number(2, _FLOAT)
    raw = struct.pack(f"<{len(values)}f", *values)
    return _bytes(5, tensor + _bytes(8, name.encode()) + _bytes(9, raw))


def _value(name: str, kind: int, *sizes: str | int) -> bytes:
    """A ValueInfoProto of one row."""
    shape = _bytes(1, _number(1, 1))
    for size in sizes:
        fixed = isinstance(size, int)
        shape += _bytes(1, _number(1, size) if fixed else _bytes(2, size.encode()))
    return _bytes(1, name.encode()) + _bytes(
        2, _bytes(1, _number(1, kind) + _bytes(2, shape))
    )


# The two kinds of field that ONNX's protocol buffers are made of.


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
