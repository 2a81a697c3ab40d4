"""The command ``promptguard experiment``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .. import Judge
    from ..prices import Prices
    from .results import Results
    from .variants import Variant

__all__ = ["add_commands"]

_EXPERIMENT = """\
Ask questions by several variants of a prompt and say which gets the better answers.

A file of questions has rows of JSON, or of CSV where its name ends so: `question` and,
where you have them, `id`, `reference` (an answer that is right) and `context`
(documents). The variants are in a file of TOML or YAML; without one they are those
that are shipped. Answers are graded by the guards of this library, which ask nobody,
and with --judge-model by a judge.

Answers, grades and reports go to the folder --out. Stop it with Ctrl+C and give the
same command again: it goes on, and asks nothing twice.

examples:
  promptguard experiment --print-variants > variants.toml
  promptguard experiment questions.jsonl --model NAME --out run1
  promptguard experiment questions.jsonl --variants variants.toml --model NAME \\
      --base-url http://127.0.0.1:8000/v1 --judge-model NAME --pairs --out run2
  promptguard experiment questions.csv --field question=prompt --variant bad \\
      --variant best --model NAME --judge-model NAME --prices prices.toml --out run3
  promptguard experiment questions.jsonl --model NAME --judge-model NAME \\
      --metric ragas/faithfulness --mlflow prompts --out run4
"""

_USAGE = """\
%(prog)s QUESTIONS --model NAME --out FOLDER [options]
       %(prog)s --print-variants"""

_CODES = """\
exit status:
  0  done: the tables are printed, and the reports written
  2  not done: the line on standard error says what to do
  130  interrupted; what was answered is kept
"""


def add_commands(commands: argparse._SubParsersAction[Any]) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "experiment",
        help="compare variants of a prompt by the answers that they get",
        # argparse would put what --print-variants does without in brackets.
        usage=_USAGE,
        description=_EXPERIMENT,
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=_experiment, parser=command)
    command.add_argument(
        "questions", nargs="?", metavar="QUESTIONS", help="JSON lines, or CSV; required"
    )
    _add_asking(command)
    _add_grading(command)
    command.add_argument(
        "--out", metavar="FOLDER", help="where answers, grades and reports go; required"
    )
    command.add_argument(
        "--prices", metavar="FILE", help="what a million tokens of each model cost"
    )
    command.add_argument(
        "--mlflow", metavar="EXPERIMENT", help="log to MLFLOW_TRACKING_URI, too"
    )
    command.add_argument(
        "--wandb", metavar="PROJECT", help="log to Weights & Biases, too"
    )
    command.add_argument(
        "--log-texts",
        action="store_true",
        help="log questions and answers there as well; without it figures alone",
    )
    command.add_argument(
        "--print-variants", action="store_true", help="print the shipped variants"
    )


def _add_asking(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--variants", metavar="FILE", help="TOML or YAML (default: the shipped ones)"
    )
    command.add_argument(
        "--variant",
        action="append",
        metavar="NAME",
        help="only this one, the first being the baseline; may be given several times",
    )
    command.add_argument(
        "--field",
        action="append",
        default=[],
        type=_field,
        metavar="KIND=NAME",
        help="what question, id, reference or context is called in the file",
    )
    command.add_argument("--limit", type=_count, metavar="N", help="so many questions")
    command.add_argument("--model", metavar="NAME", help="the model to ask; required")
    command.add_argument(
        "--base-url",
        metavar="URL",
        help="an OpenAI-compatible endpoint (default: $OPENAI_BASE_URL, or OpenAI's)",
    )
    command.add_argument(
        "--key-env",
        default="OPENAI_API_KEY",
        metavar="NAME",
        help="the environment variable with the key (default: OPENAI_API_KEY)",
    )
    command.add_argument(
        "--temperature",
        type=_temperature,
        default=0.0,
        metavar="T",
        help="0 to 2, or none for models that take none (default: 0)",
    )
    command.add_argument("--seed", type=int, metavar="N", help="sent with each request")
    command.add_argument(
        "--max-tokens", type=_count, metavar="N", help="tokens of an answer, at most"
    )
    for name, default, metavar, what in (
        ("samples", 1, "N", "answers to each question by each variant"),
        ("concurrency", 8, "N", "requests at one time"),
        ("retries", 3, "N", "how often a request that failed is sent again"),
    ):
        command.add_argument(
            f"--{name}",
            type=_count if name != "retries" else _whole,
            default=default,
            metavar=metavar,
            help=f"{what} (default: {default})",
        )
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="seconds for one attempt (default: 60)",
    )


def _add_grading(command: argparse.ArgumentParser) -> None:
    command.add_argument("--judge-model", metavar="NAME", help="the model that judges")
    command.add_argument(
        "--judge-base-url", metavar="URL", help="its address (default: --base-url)"
    )
    command.add_argument(
        "--judge-key-env", metavar="NAME", help="its key (default: --key-env)"
    )
    command.add_argument(
        "--rubrics",
        metavar="NAMES",
        help="what it grades, such as helpfulness,correctness (default: what the "
        "answers of questions like these can be graded by)",
    )
    command.add_argument(
        "--repeats",
        type=_count,
        default=1,
        metavar="N",
        help="how often it grades each answer (default: 1)",
    )
    command.add_argument(
        "--pairs",
        nargs="?",
        const="baseline",
        default="",
        choices=("baseline", "all"),
        metavar="WHICH",
        help="have it compare answers two by two, in both orders: baseline (each with "
        "the first variant) or all",
    )
    command.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="a metric of another library, such as ragas/faithfulness or "
        "deepeval/answer_relevancy; may be given several times",
    )


def _experiment(chosen: argparse.Namespace) -> int:
    from ..prices import Prices
    from . import Experiment, Target, read_questions
    from .tables import as_text
    from .variants import STARTER
    from .writing import write

    if chosen.print_variants:
        print(STARTER.read_text(encoding="utf-8"), end="")
        return 0
    for name in ("questions", "model", "out"):
        if getattr(chosen, name) is None:
            said = "QUESTIONS" if name == "questions" else f"--{name}"
            chosen.parser.error(f"{said} is missing")
    for option in ("rubrics", "judge-base-url", "judge-key-env"):
        given = getattr(chosen, option.replace("-", "_"))
        if given is not None and chosen.judge_model is None:
            chosen.parser.error(f"--{option} goes with --judge-model, the model's name")
    prices = Prices() if chosen.prices is None else Prices.read(chosen.prices)
    questions = read_questions(
        chosen.questions, fields=dict(chosen.field), limit=chosen.limit
    )
    names = "model base_url key_env temperature seed max_tokens timeout retries"
    experiment = Experiment(
        questions,
        Target(
            concurrency=chosen.concurrency,
            **{name: getattr(chosen, name) for name in names.split()},
        ),
        variants=_variants(chosen),
        judge=_judge(chosen, prices),
        repeats=chosen.repeats,
        pairs=chosen.pairs,
        samples=chosen.samples,
        others=tuple(chosen.metric),
        prices=prices,
    )
    # Before anything is asked: a run that cannot be logged would be found out last.
    logging = [_to_mlflow(chosen), _to_wandb(chosen)]
    try:
        results = experiment.run(chosen.out)
    except KeyboardInterrupt:
        print(
            f"promptguard: stopped; what was answered is kept in {chosen.out}, and the "
            "same command goes on",
            file=sys.stderr,
        )
        raise
    print(as_text(results))
    print()
    for path in write(results, chosen.out):
        print(f"wrote {path}")
    for log in logging:
        log(results)
    wanting = _wanting(results)
    if wanting:
        print(f"promptguard: {wanting}", file=sys.stderr)
    return 2 if wanting else 0


def _wanting(results: Results) -> str:
    """What is missing so that the figures say nothing, or ""."""
    if all(answer.error for answer in results.answers):
        return "no request brought an answer; the table says why"
    judged = any(name.startswith("judge/") for name in results.metrics)
    if results.experiment.judge is not None and not judged:
        return "the judge gave no grade; the table says why, by variant"
    return ""


def _variants(chosen: argparse.Namespace) -> tuple[Variant, ...]:
    from ..errors import unknown
    from .variants import read_variants, starter_variants

    own = chosen.variants
    found = starter_variants() if own is None else read_variants(own)
    if chosen.variant is None:
        return found
    named = {variant.name: variant for variant in found}
    for name in chosen.variant:
        if name not in named:
            raise unknown("variant", name, named)
    return tuple(named[name] for name in dict.fromkeys(chosen.variant))


def _judge(chosen: argparse.Namespace, prices: Prices) -> Judge | None:
    from .. import Judge
    from .grading import RUBRICS

    if chosen.judge_model is None:
        return None
    price = prices.of(chosen.judge_model)
    named = chosen.rubrics.split(",") if chosen.rubrics else RUBRICS
    return Judge(
        tuple(name.strip() for name in named),
        model=chosen.judge_model,
        base_url=chosen.judge_base_url or chosen.base_url,
        key_env=chosen.judge_key_env or chosen.key_env,
        timeout=chosen.timeout,
        retries=chosen.retries,
        concurrency=chosen.concurrency,
        prices=None if price is None else (price.tokens_in, price.tokens_out),
    )


_Log = Callable[["Results"], object]


def _to_mlflow(chosen: argparse.Namespace) -> _Log:
    if chosen.mlflow is None:
        return lambda results: None
    from ..errors import no_mlflow
    from .tracking import log

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow
    except ImportError:
        raise no_mlflow() from None

    def logged(results: Results) -> None:
        mlflow.set_experiment(chosen.mlflow)
        with mlflow.start_run():
            log(results, mlflow, texts=chosen.log_texts)

    return logged


def _to_wandb(chosen: argparse.Namespace) -> _Log:
    if chosen.wandb is None:
        return lambda results: None
    from .. import MissingExtra
    from .tracking import log

    try:
        import wandb
    except ImportError:
        raise MissingExtra("wandb", "wandb") from None

    def logged(results: Results) -> None:
        with wandb.init(project=chosen.wandb) as run:
            log(results, run, texts=chosen.log_texts)

    return logged


def _field(value: str) -> tuple[str, str]:
    from .questions import FIELDS

    kind, equals, name = value.partition("=")
    if kind not in FIELDS or not equals or not name:
        raise argparse.ArgumentTypeError(
            f"say KIND=NAME with one of {', '.join(FIELDS)}, such as question=prompt"
        )
    return kind, name


def _whole(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(value)


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError("must be a whole number of at least 1")
    return int(value)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise argparse.ArgumentTypeError("must be a number of seconds")
    return seconds


def _temperature(value: str) -> float | None:
    if value == "none":
        return None
    try:
        temperature = float(value)
    except ValueError:
        temperature = -1.0
    if not 0 <= temperature <= 2:
        raise argparse.ArgumentTypeError("must be from 0 to 2, or none")
    return temperature
