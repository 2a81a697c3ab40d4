"""The report as a page: one file without scripts, which loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from .report import Check, Histogram, Quality, Report, Share, Window

__all__ = ["page"]

# Told apart also by those who do not tell red from green (Okabe and Ito).
_STYLE = """
:root { --ink: #1c2230; --quiet: #5b6475; --line: #d9dee8; --ground: #ffffff;
  --card: #f5f7fb; --before: #0072b2; --now: #d55e00; --pass: #00705a; --warn: #8a5a00;
  --fail: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf4; --quiet: #a3adc0;
  --line: #3a4356; --ground: #151a24; --card: #1e2533; --before: #56b4e9;
  --now: #f0944d; --pass: #3ecf9e; --warn: #e6b450; --fail: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem;
  background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .75rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: .95rem; margin: 0 0 .25rem; font-weight: 600; }
p { margin: .5rem 0; max-width: 52rem; }
.quiet { color: var(--quiet); font-size: .9rem; }
.verdict { display: inline-block; padding: .1rem .6rem; border: 2px solid;
  border-radius: .4rem; font-weight: 700; }
.pass { color: var(--pass); } .warn { color: var(--warn); }
.fail { color: var(--fail); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .35rem .45rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; color: var(--quiet); white-space: nowrap; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.pictures { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border-radius: .5rem; }
svg { display: block; width: 100%; height: auto; }
svg.bar { width: 92px; height: 12px; margin-top: .35rem; }
td.number svg.bar { margin: .15rem 0 0 auto; }
svg text { fill: var(--quiet); font-size: 11px; }
.before { fill: var(--before); } .now { fill: var(--now); }
.weighted { fill: var(--quiet); }
.warns { stroke: var(--warn); stroke-width: 2; }
.fails { stroke: var(--fail); stroke-width: 2; }
.point { stroke: var(--ink); stroke-width: 2; }
.axis { stroke: var(--line); }
.track { fill: var(--line); }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: .15em;
  margin: 0 .3em 0 .9em; }
summary { cursor: pointer; margin: .75rem 0; }
"""

_STATISTICS = {
    "ks": "distance (Kolmogorov-Smirnov)",
    "psi": "population stability index",
    "auc": "told apart by a classifier (AUC)",
    "h": "distance of rates (Cohen's h)",
    "drop": "drop",
    "rise": "rise",
    "difference": "difference",
    "least": "at least",
    "most": "at most",
}
_MEANING = {
    "pass": "nothing has moved as far as the thresholds say",
    "warn": "something has moved; look at it",
    "fail": "something has moved far",
}


def page(report: Report) -> str:
    """A report as HTML: one file that opens without a network.

    Args:
        report: The report; nothing in it is a text of the traffic.
    """
    return "\n".join(_parts(report)) + "\n"


def _parts(report: Report) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
    )
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>Monitoring: {report.verdict}</title>"
    yield f"<style>{_STYLE}</style>\n</head>\n<body>"
    yield (
        f"<h1>Monitoring: {_verdict(report.verdict)}</h1>\n"
        f'<p class="quiet">{_MEANING[report.verdict]}; drift: {escape(report.kind)}</p>'
    )
    yield f"<p>{escape(report.summary)}</p>"
    yield _windows(report.current, report.reference)
    if report.notes:
        yield "<h2>What to mind</h2>\n<ul>"
        yield "\n".join(f"<li>{escape(note)}</li>" for note in report.notes) + "\n</ul>"
    moved = [check for check in report.checks if check.verdict != "pass"]
    still = [check for check in report.checks if check.verdict == "pass"]
    yield "<h2>Checks</h2>"
    yield (
        '<p class="quiet">A check warns or fails where it has moved that far, and '
        "chance would hardly give as much: p, adjusted for all checks. A value beyond "
        "its marks that passes is one that chance may well give.</p>"
    )
    yield _checks(moved) if moved else "<p>No check warns or fails.</p>"
    if still:
        yield f"<details><summary>{len(still)} that pass</summary>"
        yield _checks(still) + "</details>"
    if report.quality:
        yield "<h2>Quality</h2>"
        yield (
            '<p class="quiet">Of texts that people labelled, with 95 % intervals. '
            "Weighted: current texts, weighted so that they are like the reference. A "
            "line is from 0 to 1.</p>"
        )
        yield _quality(report.quality)
    if report.histograms:
        yield (
            "<h2>Both windows</h2>\n"
            '<p class="quiet">Share of texts by bin:'
            '<span class="swatch" style="background: var(--before)"></span>reference'
            '<span class="swatch" style="background: var(--now)"></span>current</p>'
        )
        yield '<div class="pictures">'
        yield "\n".join(map(_picture, report.histograms)) + "\n</div>"
    yield "</body>\n</html>"


def _verdict(verdict: str) -> str:
    return f'<span class="verdict {verdict}">{verdict}</span>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """A table whose cells are HTML; the last columns are numbers."""
    least = len(head) - numbers

    def row(cells: Sequence[str], tag: str) -> str:
        number = f'<{tag} class="number">'
        made = (
            f"{number if n >= least else f'<{tag}>'}{cell}</{tag}>"
            for n, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    lines = "\n".join([row(head, "th"), *(row(cells, "td") for cells in rows)])
    return f'<div class="wide"><table>\n{lines}\n</table></div>'


def _windows(*windows: Window) -> str:
    rows = []
    for name, window in zip(("current", "reference"), windows, strict=True):
        span = f"{window.first} to {window.last}" if window.first else "not known"
        rows.append(
            [
                name,
                escape(window.source),
                escape(span),
                f"{window.requests:,}",
                f"{window.texts:,}",
                f"{window.read:,}",
            ]
        )
    head = ["window", "from", "time", "requests", "texts", "read"]
    return _table(head, rows, 3)


def _checks(checks: Sequence[Check]) -> str:
    rows = []
    for check in checks:
        before, now = (
            "" if value is None else f"{value:.3f}"
            for value in (check.reference, check.current)
        )
        rows.append(
            [
                _verdict(check.verdict),
                escape(check.name),
                escape(check.group),
                escape(_STATISTICS.get(check.statistic, check.statistic)),
                _bar(check),
                before,
                now,
                f"{check.value:.3f}",
                f"{check.warn:g} / {check.threshold:g}",
                "" if check.p_adjusted is None else _chance(check.p_adjusted),
                f"{check.texts:,}",
            ]
        )
    head = ["", "check", "of", "measured by", "", "reference", "current"]
    return _table([*head, "value", "warn / fail", "p, adjusted", "texts"], rows, 6)


def _chance(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "&lt; 0.001"


def _bar(check: Check) -> str:
    """How far the value is, with marks where it warns and fails."""
    base = 0.5 if check.statistic == "auc" else 0.0
    end = max(check.threshold, check.value, base + 1e-6)

    def place(value: float) -> float:
        return round(90 * min(1.0, max(0.0, (value - base) / (end - base))), 1)

    marks = "".join(
        f'<line class="{kind}" x1="{x}" x2="{x}" y1="0" y2="12"/>'
        for kind, x in (
            ("warns", max(1, place(check.warn))),
            ("fails", max(1, place(check.threshold))),
        )
    )
    return (
        '<svg class="bar" viewBox="0 0 92 12" role="img" aria-label="value and limits">'
        '<rect class="track" x="0" y="4" width="90" height="4" opacity=".5"/>'
        f'<rect class="now" x="0" y="4" width="{place(check.value)}" height="4"/>'
        f"{marks}</svg>"
    )


def _quality(rows: Sequence[Quality]) -> str:
    order = {"current": 0, "weighted": 1, "reference": 2}
    ordered = sorted(
        rows, key=lambda r: (r.label, r.language != "all", r.language, order[r.window])
    )
    cells = [
        [
            escape(row.label),
            escape(row.language),
            row.window,
            f"{row.texts:,.0f}",
            f"{row.positives:,.0f}",
            *(
                _share(share, row.window)
                for share in (row.precision, row.recall, row.f1, row.fpr)
            ),
        ]
        for row in ordered
    ]
    head = ["label", "language", "window", "labelled", "with it"]
    return _table([*head, "precision", "recall", "F1", "false positives"], cells, 6)


_KINDS = {"current": "now", "reference": "before", "weighted": "weighted"}


def _share(share: Share | None, window: str) -> str:
    """A share with its interval, in figures and as a line from 0 to 1."""
    if share is None:
        return "-"
    low, high, at = (round(90 * x, 1) for x in (share.low, share.high, share.value))
    at = min(89.0, max(1.0, at))
    return (
        f'{share.value:.3f} <span class="quiet">{share.low:.3f} to '
        f"{share.high:.3f}</span>"
        '<svg class="bar" viewBox="0 0 90 12" aria-hidden="true">'
        '<rect class="track" x="0" y="5" width="90" height="2" opacity=".5"/>'
        f'<rect class="{_KINDS[window]}" x="{low}" y="3.5" '
        f'width="{max(1.5, high - low):.1f}" height="5"/>'
        f'<line class="point" x1="{at}" x2="{at}" y1="1" y2="11"/></svg>'
    )


_WIDTH, _HEIGHT, _LOW, _LEFT = 340, 150, 122, 34


def _picture(histogram: Histogram) -> str:
    count = len(histogram.bins)
    most = max(*histogram.reference, *histogram.current, 1e-9)
    step = (_WIDTH - _LEFT) / count
    bars = []
    for n, (one, other) in enumerate(
        zip(histogram.reference, histogram.current, strict=True)
    ):
        for share, kind, shift in ((one, "before", 0.08), (other, "now", 0.5)):
            tall = share / most * (_LOW - 14)
            bars.append(
                f'<rect class="{kind}" x="{_LEFT + (n + shift) * step:.1f}" '
                f'y="{_LOW - tall:.1f}" width="{step * 0.42:.1f}" height="{tall:.1f}"/>'
            )
    every = max(1, -(-count // 8))
    names = "".join(
        f'<text x="{_LEFT + (n + 0.5) * step:.1f}" y="{_LOW + 16}" '
        f'text-anchor="middle">{escape(name[:10])}</text>'
        for n, name in enumerate(histogram.bins)
        if n % every == 0
    )
    title = (
        f"{escape(histogram.name)} <span class='quiet'>{escape(histogram.group)}</span>"
    )
    return (
        f"<figure><h3>{title}</h3>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="shares of texts '
        f'by {escape(histogram.name, quote=True)}">'
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{_LOW}" y2="{_LOW}"/>'
        f'<text x="{_LEFT - 4}" y="18" text-anchor="end">{most:.0%}</text>'
        f'<text x="{_LEFT - 4}" y="{_LOW}" text-anchor="end">0</text>'
        f"{''.join(bars)}{names}</svg></figure>"
    )
