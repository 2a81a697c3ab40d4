"""The names of metrics in a query of Prometheus."""

from __future__ import annotations

import re

# What is written in quotes, braces, brackets, or after by and without is no metric.
_NOT_METRICS = re.compile(
    r"""
    "(?:[^"\\]|\\.)*"
    | \{[^}]*\}
    | \[[^\]]*\]
    | \b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)
    | \boffset\s+\w+
    """,
    re.VERBOSE,
)
_WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])")
_OPERATORS = {"and", "or", "unless", "bool", "inf", "nan"}


def metrics_in(query: str) -> set[str]:
    """The metrics that a query reads, without functions, labels and variables."""
    query = query.replace("$__rate_interval", "5m").replace("$__range", "5m")
    # A pair of quotes within braces may hold a brace.
    bare = _NOT_METRICS.sub(" ", re.sub(r'"(?:[^"\\]|\\.)*"', '""', query))
    words = {
        match[0]
        for match in _WORD.finditer(bare)
        if match.start() == 0 or not bare[match.start() - 1].isdigit()
    }
    return words - _OPERATORS


def matchers_in(query: str) -> set[tuple[str, str, str]]:
    """What a query asks of labels: (metric, label, value or pattern)."""
    found = set()
    for metric, inside in re.findall(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}", query):
        for label, value in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', inside):
            found.add((metric, label, value))
    return found


def grouped_by(query: str) -> set[str]:
    """The labels that a query groups by."""
    return {
        label.strip()
        for inside in re.findall(r"\bby\s*\(([^)]*)\)", query)
        for label in inside.split(",")
        if label.strip()
    }
