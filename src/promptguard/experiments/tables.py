"""Results as tables: for a terminal, a page of Markdown, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..measure.tables import aligned, markdown
from .bootstrap import Estimate
from .results import Cost, Results

__all__ = ["Table", "as_markdown", "as_text", "remarks", "tables"]

# From here on a figure is told of as a lead on a judge's taste.
_NOTABLE = 0.3
# Where a share is told with a hint that there are few.
_FEW = 30


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a head.

    Args:
        title: What it shows.
        rows: Its rows, of which the first is the head.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]


def tables(results: Results) -> Iterator[Table]:
    """The tables of an experiment."""
    base, *others = results.variants
    metrics = results.metrics
    if metrics:
        head = ("variant", *map(_short, metrics))
        rows = [
            (name, *(_cell(results.mean(name, m)) for m in metrics))
            for name in results.variants
        ]
        yield _narrow("scores, 0 to 1, higher is better", (head, *rows))
    if metrics and others:
        rows = [
            (name, *(_signed(results.difference(name, m)) for m in metrics))
            for name in others
        ]
        title = f"difference from {base}, question by question (*: 0 is outside)"
        yield _narrow(title, (head, *rows))
    rows = [(name, *_costs(results.cost(name))) for name in results.variants]
    head = ("variant", "answers", "refused", "cut", "failed", "ungraded")
    head += ("p50 s", "p95 s", "tokens in", "out", _currency(results))
    yield Table("what asking took", (head, *rows))
    if results.pairs:
        rows = [
            (
                f"{c.first} : {c.second}",
                *map(str, (c.wins, c.ties, c.losses, c.order, c.failed)),
                _cell(c.share),
            )
            for c in results.comparisons()
        ]
        head = ("pair", "better", "same", "worse", "by order", "failed", "share")
        yield Table("two answers beside each other, in both orders", (head, *rows))
    agreements = [(m, results.agreement(m)) for m in metrics]
    rows = [
        (_short(m), f"{a.same:.0%}", "-" if a.alpha is None else f"{a.alpha:.2f}")
        for m, a in agreements
        if a is not None
    ]
    if rows:
        times = results.experiment.repeats
        title = f"the judge beside itself, {times} gradings of each answer"
        yield Table(title, (("metric", "same grade", "alpha"), *rows))


def remarks(results: Results) -> Iterator[str]:
    """What a reader should know before believing the tables."""
    yield from _judging(results)
    first = results.first_place
    if first is not None:
        yield (
            f"The answer shown first gets {first.mean:.2f} of the preference "
            f"({_between(first)}; 0.50 is no bias)."
        )
    won, count = results.longer
    if count:
        yield f"The longer answer won {won} of {count} comparisons."
    long = [(m, results.length(m)) for m in results.metrics if m.startswith("judge/")]
    notable = [f"{_short(m)} {r:+.2f}" for m, r in long if r and abs(r) >= _NOTABLE]
    if notable:
        yield (
            "Scores go with the length of the answers, within a question (Spearman): "
            f"{', '.join(notable)}. Longer may be better; look before you believe it."
        )
    if len(results.experiment.questions) < _FEW:
        yield (
            f"{len(results.experiment.questions)} questions are few: an interval over "
            f"fewer than {_FEW} is rough."
        )
    if len(results.variants) > 2 and results.metrics:
        many = (len(results.variants) - 1) * len(results.metrics)
        yield (f"Of {many} differences one in twenty leaves 0 outside by chance alone.")


def _judging(results: Results) -> Iterator[str]:
    """What the judge took, and what it did not grade."""
    asked = [g for g in results.grades if g.error or g.usage.calls]
    failed = [g.error for g in asked if g.error]
    if failed:
        kinds = _kinds(tuple(sorted(Counter(failed).items())))
        yield f"{len(failed)} gradings failed and are left out: {kinds}."
    used = results.judging
    if used.calls:
        cost = "" if used.cost is None else f", {used.cost:.4f} {_currency(results)}"
        read = f"{used.prompt_tokens:,} and {used.completion_tokens:,} tokens"
        yield f"Judging took {used.calls:,} calls, {read}{cost}, this time."


def _currency(results: Results) -> str:
    return results.experiment.prices.currency


def as_text(results: Results) -> str:
    """The tables and remarks for a terminal."""
    parts = [f"{table.title}\n{aligned(table.rows)}" for table in tables(results)]
    return "\n\n".join([*parts, *remarks(results)])


def as_markdown(results: Results) -> str:
    """The tables and remarks as a page of Markdown."""
    target = results.experiment.target
    parts = [f"# {target.model}: {len(results.experiment.questions)} questions"]
    parts += [
        f"## {t.title.capitalize()}\n\n{markdown(t.rows)}" for t in tables(results)
    ]
    parts += [f"- {remark}" for remark in remarks(results)]
    return "\n\n".join(parts) + "\n"


def _narrow(title: str, rows: tuple[tuple[str, ...], ...]) -> Table:
    """The table, turned on its side where it is wider than long."""
    if len(rows[0]) <= len(rows):
        return Table(title, rows)
    turned = [tuple(column) for column in zip(*rows, strict=True)]
    return Table(title, (("metric", *turned[0][1:]), *turned[1:]))


def _short(metric: str) -> str:
    """A metric's name: those of the judge go without the word."""
    return metric.removeprefix("judge/")


def _cell(found: Estimate | None) -> str:
    if found is None:
        return "-"
    spread = "" if found.half is None else f" ±{found.half:.2f}"
    if found.low is not None and found.high is not None and found.low < found.high:
        # At the end of the scale there is only one side to err to.
        if found.high == found.mean:
            spread = f" ≥{found.low:.2f}"
        elif found.low == found.mean:
            spread = f" ≤{found.high:.2f}"
    return f"{found.mean:.2f}{spread}"


def _signed(found: Estimate | None) -> str:
    if found is None:
        return "-"
    return f"{'+' if found.mean >= 0 else ''}{_cell(found)}{'*' * found.apart}"


def _between(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return "of one pair"
    return f"{found.low:.2f} to {found.high:.2f}"


def _costs(cost: Cost) -> tuple[str, ...]:
    return (
        *map(str, (cost.answers, cost.refused, cost.cut)),
        _kinds(cost.failed),
        _kinds(cost.ungraded),
        *(_number(value, ".2f") for value in (cost.p50, cost.p95)),
        *(_number(value, ".0f") for value in (cost.tokens_in, cost.tokens_out)),
        _number(cost.total, ".4f"),
    )


def _kinds(counts: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts) or "0"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
