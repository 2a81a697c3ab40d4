"""The vocabulary stage: pieces for scripts that the encoder's tokenizer hardly knows.

A tokenizer made for English spends thousands of pieces on words that nobody writes to
a model, and reads a Thai sentence letter by letter or not at all. The pieces that our
texts need least are replaced, in place, by the characters and pieces that other
languages need most; the number of embeddings, and so the size of the model, stays.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from tqdm import tqdm

from promptguard.text import Text

from .config import Config
from .errors import PipelineError
from .rows import load_sources
from .sources import read
from .stage import digest, write_atomically
from .start import write

__all__ = ["ENCODER", "make", "texts"]

ENCODER = ("config.json", "model.safetensors", "tokenizer.json")
_WORDS = "embeddings.word_embeddings.weight"
_CONTINUES = "##"
_UNKNOWN = "[UNK]"
# Of every language as many characters at most, so that none takes all the pieces; of
# English more, because whatever it needs has to stay.
_SHARE, _ENGLISH = 400_000, 20_000_000
# Pieces to choose from, for each one that is taken.
_CANDIDATES = 3
# Fewer uses than this in the texts do not make a piece.
_LEAST = 3
_BATCH = 1000


def make(config: Config, needed: Mapping[str, Path], out: Path) -> None:
    """Write an encoder with other pieces; the same one where none are wanted.

    A start has its pieces already.
    """
    folder = config.encoder_folder()
    if config.start:
        write(Path(config.start), (folder / "config.json").read_bytes(), out)
        return
    for name in ENCODER:
        write_atomically(out / name, (folder / name).read_bytes())
    if not config.vocabulary.pieces:
        return
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found = texts(config)
    foreign = [text for lang in sorted(set(found) - {"en"}) for text in found[lang]]
    if config.pinned_file is not None:
        english, count = found.get("en", []), config.vocabulary.pieces
        places = _least(tokenizer, english, foreign, count)
        chosen = _recorded(config.pinned_file, tokenizer, places)
    else:
        wanted = _wanted(tokenizer, foreign, config.vocabulary.pieces)
        places = _least(tokenizer, found.get("en", []), foreign, len(wanted))
        chosen = dict(zip(places, wanted, strict=False))
    _write(out, tokenizer, chosen)
    before, after = _cost(tokenizer, foreign), _cost(_renamed(out), foreign)
    share = f"{before[1]:.1%} to {after[1]:.1%}"
    print(
        f"{len(chosen):,} pieces replaced; characters a token in other languages than "
        f"English: {before[0]:.2f} to {after[0]:.2f}; in unknown tokens: {share}"
    )


def texts(config: Config) -> dict[str, list[str]]:
    """Texts by language, as the library reads them, as many of each as are taken.

    Raises:
        PipelineError: A source of ``[vocabulary]`` is not one that is trained on.
    """
    table = load_sources(config.sources_file).used("train")
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in config.vocabulary.texts:
        if name not in table:
            raise PipelineError(
                f"[vocabulary] texts names {name!r}, which is no source to train on. "
                f"Known: {', '.join(sorted(table))}"
            )
        for row in tqdm(read(config, name, table[name]), name, unit="row", leave=False):
            text = Text(row.text, row.role).clean.text.strip()
            if text:
                found[row.lang or "en"].append(text)
    for lang, own in sorted(found.items()):
        random.Random(f"{config.seed}:vocabulary:{lang}").shuffle(own)
        found[lang] = list(_up_to(own, _ENGLISH if lang == "en" else _SHARE))
    return dict(found)


def _up_to(own: Iterable[str], characters: int) -> Iterator[str]:
    for text in own:
        if characters <= 0:
            return
        yield text
        characters -= len(text)


def _wanted(tokenizer: Tokenizer, foreign: Sequence[str], count: int) -> list[str]:
    """New pieces: every character that is met, then what is used most."""
    new = Tokenizer(WordPiece(unk_token=_UNKNOWN))
    new.normalizer = tokenizer.normalizer
    new.pre_tokenizer = tokenizer.pre_tokenizer
    letters = _letters(tokenizer, foreign)
    trainer = WordPieceTrainer(
        vocab_size=count * _CANDIDATES + len(letters),
        min_frequency=_LEAST,
        limit_alphabet=count,
        # Of pieces that are equally good the trainer takes the one whose letters have
        # the lower numbers, and numbers letters inside of words as a hash has them,
        # another one in every process, unless they are there before.
        special_tokens=[_UNKNOWN, *sorted(f"{_CONTINUES}{one}" for one in letters)],
        show_progress=False,
    )
    new.train_from_iterator(foreign, trainer)
    known, ids = tokenizer.get_vocab(), new.get_vocab()
    # Without the special ones, which would be found in the texts as they are written.
    counting = Tokenizer(WordPiece(ids, unk_token=_UNKNOWN))
    counting.normalizer, counting.pre_tokenizer = new.normalizer, new.pre_tokenizer
    uses = _uses(counting, foreign)
    # A word with one character that has no piece is unknown as a whole.
    single = dict.fromkeys(
        piece
        for letter, number in letters.most_common()
        if number >= _LEAST
        for piece in _forms(letter)
        if piece not in known
    )
    longer = [
        piece
        for piece, number in ids.items()
        if piece not in known and len(_body(piece)) > 1 and uses[number] >= _LEAST
    ]
    longer.sort(key=lambda piece: (-uses[ids[piece]] * (len(_body(piece)) - 1), piece))
    return [*single, *(piece for piece in longer if piece != _UNKNOWN)][:count]


def _recorded(
    bundle: Path, tokenizer: Tokenizer, places: Sequence[int]
) -> dict[int, str]:
    """The pieces that a bundle got, which its own tokenizer records.

    Those of bundles up to the third cannot be found anew: pieces that are equally good
    were taken as a hash had them, another one in every process.

    Raises:
        PipelineError: It is no tokenizer made from this one by these texts.
    """
    path = bundle.with_name("tokenizer.json")
    try:
        stated = json.loads(bundle.read_bytes())["files"]["tokenizer.json"]
        table = json.loads(path.read_bytes())["model"]["vocab"]
    except (OSError, ValueError, LookupError, TypeError):
        raise PipelineError(
            f"[sources] pinned: {path} cannot be read, or {bundle} does not state it"
        ) from None
    if (actual := digest(path)) != stated:
        raise PipelineError(
            f"{path} is not the file that {bundle} states (SHA-256 {actual}, not "
            f"{stated}); restore it"
        )
    old = {number: piece for piece, number in tokenizer.get_vocab().items()}
    new = {number: piece for piece, number in table.items()}
    changed = {number for number in old if new.get(number) != old[number]}
    if old.keys() != new.keys() or not changed.issubset(places):
        raise PipelineError(
            f"{path} has not come from this encoder, these texts and [vocabulary] "
            f"pieces = {len(places)}; state what the bundle was made from"
        )
    return {place: new[place] for place in places if place in changed}


def _letters(tokenizer: Tokenizer, foreign: Sequence[str]) -> Counter[str]:
    """Characters of words, and how often they are met."""
    counts: Counter[str] = Counter()
    for text in foreign:
        counts.update(tokenizer.normalizer.normalize_str(text))
    return Counter({c: n for c, n in counts.items() if not c.isspace()})


def _forms(letter: str) -> tuple[str, ...]:
    """The pieces of a character: where it begins a word, and where it goes on in one.

    BERT's tokenizer reads a Han character as a word of its own.
    """
    code = ord(letter)
    if 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or code >= 0x20000:
        return (letter,)
    return letter, _CONTINUES + letter


def _body(piece: str) -> str:
    return piece.removeprefix(_CONTINUES)


def _is_letter(piece: str) -> bool:
    return len(_body(piece)) == 1


def _uses(tokenizer: Tokenizer, own: Sequence[str]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for start in range(0, len(own), _BATCH):
        part = own[start : start + _BATCH]
        for encoding in tokenizer.encode_batch(part, add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def _least(
    tokenizer: Tokenizer, english: Sequence[str], foreign: Sequence[str], count: int
) -> list[int]:
    """Ids of the pieces that are used least; never of a character, never a special."""
    uses = _uses(tokenizer, english)
    uses.update(_uses(tokenizer, foreign))
    special = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    able = [
        (uses[number], -number)
        for piece, number in tokenizer.get_vocab().items()
        if piece not in special and not _is_letter(piece)
    ]
    # Of those that are used alike, the rarest in what the tokenizer was made from.
    return [-number for _, number in sorted(able)[:count]]


def _write(out: Path, tokenizer: Tokenizer, chosen: Mapping[int, str]) -> None:
    table: dict[str, Any] = json.loads((out / "tokenizer.json").read_bytes())
    old: dict[str, int] = table["model"]["vocab"]
    renamed = {chosen.get(number, piece): number for piece, number in old.items()}
    table["model"]["vocab"] = dict(sorted(renamed.items(), key=lambda item: item[1]))
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    write_atomically(out / "tokenizer.json", text.encode())
    weights = load_file(out / "model.safetensors")
    (name,) = [key for key in weights if key.endswith(_WORDS)]
    weights[name] = _embeddings(weights[name], tokenizer, chosen)
    scratch = out / "model.part"
    save_file(weights, scratch, metadata={"format": "pt"})
    scratch.replace(out / "model.safetensors")


def _embeddings(
    old: np.ndarray[Any, np.dtype[np.float32]],
    tokenizer: Tokenizer,
    chosen: Mapping[int, str],
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Of a new piece: the mean of what it was read as, or of all, with some noise."""
    new = old.copy()
    unknown = tokenizer.token_to_id(_UNKNOWN)
    draw = np.random.default_rng(0)
    mean, spread = old.mean(0), old.std()
    for number, piece in chosen.items():
        ids = tokenizer.encode(_body(piece), add_special_tokens=False).ids
        known = [token for token in ids if token != unknown and token not in chosen]
        noise = draw.normal(0.0, spread * 0.2, old.shape[1])
        new[number] = (old[known].mean(0) if known else mean) + noise
    return new


def _renamed(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _cost(tokenizer: Tokenizer, own: Sequence[str]) -> tuple[float, float]:
    """Characters a token, and the share of the characters in unknown ones."""
    unknown = tokenizer.token_to_id(_UNKNOWN)
    tokens = characters = lost = 0
    for start in range(0, len(own), _BATCH):
        part = own[start : start + _BATCH]
        for encoding in tokenizer.encode_batch(part, add_special_tokens=False):
            tokens += len(encoding.ids)
            for number, (first, last) in zip(
                encoding.ids, encoding.offsets, strict=True
            ):
                characters += last - first
                lost += (last - first) * (number == unknown)
    return characters / max(1, tokens), lost / max(1, characters)
