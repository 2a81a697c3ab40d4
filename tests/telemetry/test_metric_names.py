"""The table of names, and the page that tells about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptguard.telemetry import names

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"
TABLE = (*names.METRICS, *names.WRITER_METRICS, names.RELOADS, names.INFO)


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_the_page_tells_of_every_metric_as_it_is(metric):
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text("utf-8").splitlines()
        if line.startswith(f"| `{metric.name}` |")
    ]
    ((_, kind, labels, _),) = rows
    assert kind == metric.kind
    assert labels == ", ".join(metric.labels)


def test_the_page_tells_of_every_attribute():
    page = PAGE.read_text("utf-8")
    shown = {
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str)
    }
    left = {
        value
        for value in shown
        if value not in page and f"`{value.removeprefix('promptguard')}`" not in page
    }
    assert left == set()


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (names.VERDICTS, "promptguard_verdicts_total"),
        (names.GUARD, "promptguard_guard_seconds"),
        (names.COVERAGE, "promptguard_coverage_ratio"),
        (names.QUEUED, "promptguard_capture_queued"),
        (names.INFO, "promptguard_build_info"),
    ],
)
def test_names_in_prometheus_follow_its_conventions(metric, name):
    assert metric.prometheus == name


def test_names_are_used_once():
    assert len({metric.name for metric in TABLE}) == len(TABLE)
    assert len({metric.prometheus for metric in TABLE}) == len(TABLE)
