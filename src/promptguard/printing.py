"""Verdicts as lines of the command line, and how they are put out."""

from __future__ import annotations

import json
import os
import sys

from .verdict import Action, Verdict

__all__ = ["as_json", "as_line", "colours", "drop_output", "put", "say"]


def as_line(verdict: Verdict, line: int | None, most: int = 5) -> str:
    """A verdict in a line.

    Args:
        verdict: The verdict.
        line: The number of the line that was checked, or None.
        most: So many findings are listed.
    """
    found = [
        f"{finding.label} {finding.score:.2f} at {finding.start}..{finding.end} "
        f"({finding.guard})"
        for finding in verdict.findings[:most]
    ]
    if len(verdict.findings) > most:
        found.append(f"and {len(verdict.findings) - most} more")
    start = "" if line is None else f"{line}: "
    end = "" if verdict.coverage == 1 else f" [coverage {verdict.coverage:.2f}]"
    listed = f": {'; '.join(found)}" if found else ""
    return f"{start}{verdict.action.name.lower()}{listed}{end}"


def as_json(verdict: Verdict, line: int | None) -> str:
    """A verdict as a JSON object; the text only where it was redacted."""
    fields: dict[str, object] = {} if line is None else {"line": line}
    fields["action"] = verdict.action.name.lower()
    fields["findings"] = [
        {
            "guard": finding.guard,
            "label": finding.label,
            "score": finding.score,
            "start": finding.start,
            "end": finding.end,
            "action": (finding.action or Action.ALLOW).name.lower(),
        }
        for finding in verdict.findings
    ]
    fields["coverage"] = verdict.coverage
    fields["timings"] = dict(verdict.timings)
    if verdict.action is Action.REDACT:
        fields["text"] = verdict.text
    return json.dumps(fields)


def colours() -> bool:
    """True where escape sequences colour what is printed, and nobody minds."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def put(said: str) -> None:
    """Print what may hold characters that the terminal's encoding has not."""
    encoding = sys.stdout.encoding or "utf-8"
    print(said.encode(encoding, "backslashreplace").decode(encoding))


def say(message: str) -> None:
    """Put a line of ours on standard error."""
    if sys.stderr is not None:
        print(f"promptguard: {message}", file=sys.stderr)


def drop_output() -> None:
    """Let what nobody can take any more go nowhere."""
    # What is still buffered cannot be written; without this the interpreter would
    # try again on its way out, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
