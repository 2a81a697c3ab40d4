"""The report: one page of HTML with charts, which loads nothing from anywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape

from .results import Results
from .tables import Table, remarks, tables

__all__ = ["page"]

# Told apart also by those who do not tell red from green (Okabe and Ito).
_INK, _BASE, _QUIET = "#0072B2", "#D55E00", "#8a8a8a"
_LEFT, _WIDE, _ROW, _TOP = 150, 300, 22, 26

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; display: block; overflow-x: auto }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left;
  white-space: nowrap; font-variant-numeric: tabular-nums }
.charts { display: flex; flex-wrap: wrap; gap: 1rem 2rem }
.said { white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0 1rem;
  padding: .5rem .8rem; border-left: 3px solid #ccc }
summary { cursor: pointer; margin: .4rem 0 } .quiet { color: #555 }
svg text { font: 12px system-ui, sans-serif; fill: currentColor }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616 }
  th, td { border-color: #3a3a3a } .quiet { color: #aaa } }
"""


def page(results: Results) -> str:
    """The report, with all questions and answers in it."""
    experiment = results.experiment
    target, judge = experiment.target, experiment.judge
    told = [
        f"Model {target.model}",
        f"{len(experiment.questions)} questions",
        f"{len(experiment.variants)} variants, the baseline is {results.variants[0]}",
        f"temperature {_said(target.temperature)}, seed {_said(target.seed)}",
    ]
    if judge is not None:
        told.append(f"judged by {judge.model or 'a function'}")
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        # Nothing may be loaded, whatever stands in an answer.
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f"<title>Experiment: {escape(target.model)}</title><style>{_STYLE}</style>",
        f"</head><body><h1>Experiment: {escape(target.model)}</h1>",
        f"<p>{escape('; '.join(told))}.</p>",
        *(f"<p class=quiet>{escape(remark)}</p>" for remark in remarks(results)),
        "<h2>Scores with 95 % intervals</h2><div class=charts>",
        *_charts(results),
        "</div>",
        *map(_table, tables(results)),
        "<h2>Variants</h2><ul>",
        *(
            f"<li><b>{escape(v.name)}</b>: {escape(v.about or '-')}</li>"
            for v in experiment.variants
        ),
        "</ul><h2>Questions and answers</h2>",
        *_answers(results),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _charts(results: Results) -> Iterator[str]:
    """A chart for each metric: a dot and an interval for each variant."""
    height = _TOP + _ROW * len(results.variants) + 22
    for metric in results.metrics:
        lines = [
            f'<svg role=img width="{_LEFT + _WIDE + 60}" height="{height}" '
            f'aria-label="{escape(metric)}">',
            f'<text x="{_LEFT}" y="14" font-weight="bold">{escape(metric)}</text>',
        ]
        for tick in (0, 0.25, 0.5, 0.75, 1):
            x = _LEFT + tick * _WIDE
            lines.append(
                f'<line x1="{x}" x2="{x}" y1="{_TOP - 6}" y2="{height - 20}" '
                f'stroke="{_QUIET}" stroke-opacity=".35"/>'
                f'<text x="{x}" y="{height - 5}" text-anchor="middle">{tick:g}</text>'
            )
        for n, variant in enumerate(results.variants):
            lines.append(_dot(results, metric, variant, n))
        yield "".join([*lines, "</svg>"])


def _dot(results: Results, metric: str, variant: str, n: int) -> str:
    y, found = _TOP + _ROW * n + 8, results.mean(variant, metric)
    name = variant if len(variant) <= 20 else variant[:19] + "…"
    label = (
        f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
    )
    if found is None:
        return label
    colour = _INK if n else _BASE
    ends = (found.low, found.high)
    low, high = (found.mean if end is None else end for end in ends)
    xs = [round(_LEFT + _WIDE * value, 1) for value in (low, high, found.mean)]
    return (
        f'{label}<line x1="{xs[0]}" x2="{xs[1]}" y1="{y}" y2="{y}" '
        f'stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{xs[2]}" cy="{y}" r="4.5" fill="{colour}"/>'
        f'<text x="{_LEFT + _WIDE + 12}" y="{y + 4}">{found.mean:.2f}</text>'
    )


def _table(table: Table) -> str:
    head, *rows = (tuple(map(escape, row)) for row in table.rows)
    lines = [
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
    ]
    return (
        f"<h2>{escape(table.title.capitalize())}</h2><table><tr>"
        + "".join(f"<th>{cell}</th>" for cell in head)
        + "</tr>"
        + "".join(lines)
        + "</table>"
    )


def _answers(results: Results) -> Iterator[str]:
    """Each question with its answers, to be opened one by one."""
    kept: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    for row in results.records(texts=True):
        kept[str(row["question"])].append(row)
    for question in results.experiment.questions:
        yield f"<details><summary>{escape(question.id)}: {escape(question.question)}"
        yield "</summary>"
        if question.reference is not None:
            yield "<div>Reference</div>"
            yield f"<div class=said>{escape(question.reference)}</div>"
        for row in kept[question.id]:
            scores = [
                f"{metric.removeprefix('judge/')} {value:.2f}"
                for metric in results.metrics
                if isinstance(value := row[metric], float)
            ]
            told = str(row["error"]) or ", ".join(scores)
            yield (
                f"<div><b>{escape(str(row['variant']))}</b> "
                f"<span class=quiet>{escape(told)}</span></div>"
                f"<div class=said>{escape(str(row['answer']))}</div>"
            )
        yield "</details>"


def _said(value: object) -> str:
    return "not set" if value is None else str(value)
