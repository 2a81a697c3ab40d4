"""Why a model would be trained again: its code, its data, or how it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..config import Continuous
from ..errors import PipelineError
from ..registry import PROMOTED_TAG, Version
from .snapshot import Snapshot, share_changed

__all__ = ["Report", "Trigger", "triggers"]

_KINDS = ("none", "covariate", "concept", "both")
_VERDICTS = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Trigger:
    """One reason, whether it holds, and by what.

    Args:
        name: ``first``, ``code``, ``data`` or ``degradation``.
        fired: It is a reason to train again.
        why: What was found, a line each.
    """

    name: str
    fired: bool
    why: tuple[str, ...]

    def __str__(self) -> str:
        word = "yes" if self.fired else "no"
        return "\n".join([f"{self.name}: {word}", *(f"  {line}" for line in self.why)])


@dataclass(frozen=True)
class Report:
    """What ``promptguard monitor`` found.

    Args:
        verdict: ``pass``, ``warn`` or ``fail``.
        kind: ``none``, ``covariate``, ``concept`` or ``both``.
        failed: The checks that failed, in words.
        last: When the newest request of the window came; empty where nobody knows.
    """

    verdict: str
    kind: str
    failed: tuple[str, ...]
    last: str

    @classmethod
    def read(cls, path: Path) -> Report:
        """A report that ``promptguard monitor --json`` wrote.

        Raises:
            PipelineError: It is not there, or is no such report.
        """
        try:
            table = json.loads(path.read_bytes())
            verdict, kind = table["verdict"], table["kind"]
            failed = tuple(
                f"{check['name']} of {check['group']}"
                for check in table["checks"]
                if check["verdict"] == "fail"
            )
            window = table.get("current") or {}
            last = str(window.get("last") or "")
        except OSError as error:
            raise PipelineError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PipelineError(
                f"{path} is no report of `promptguard monitor --json`; write it again"
            ) from None
        if verdict not in _VERDICTS or kind not in _KINDS:
            raise PipelineError(
                f"{path}: the verdict {verdict!r} of kind {kind!r} is none that "
                "`promptguard monitor` gives; write it again"
            )
        return cls(verdict, kind, failed, last)


def triggers(
    champion: Version | None,
    was: Snapshot | None,
    now: Snapshot,
    report: Report | None,
    settings: Continuous,
) -> tuple[Trigger, ...]:
    """Each reason, whether it holds or not."""
    if champion is None:
        why = ("there is no champion in the registry",)
        return (Trigger("first", True, why),)
    if was is None:
        why = (f"version {champion.number} does not say what it was made from",)
        code, data = Trigger("code", True, why), Trigger("data", False, why)
    else:
        code, data = _code(was, now), _data(was, now, settings)
    return code, data, _degradation(report, champion.tags)


def _code(was: Snapshot, now: Snapshot) -> Trigger:
    names = sorted(
        name
        for name in was.code.keys() | now.code.keys()
        if was.code.get(name) != now.code.get(name)
    )
    why = [f"{name} is another one" for name in names]
    if was.settings != now.settings:
        why.append("the configuration is another one")
    return Trigger("code", bool(why), tuple(why) or ("as for the champion",))


def _data(was: Snapshot, now: Snapshot, settings: Continuous) -> Trigger:
    changes = {
        name: share_changed(was.data.get(name), now.data.get(name))
        for name in sorted(was.data.keys() | now.data.keys())
    }
    sizes = {
        name: max(s.data[name].lines for s in (was, now) if name in s.data)
        for name in changes
    }
    whole = sum(sizes.values())
    share = sum(changes[n] * sizes[n] for n in changes) / whole if whole else 0.0
    why = [f"{n}: {_percent(c)} of its lines" for n, c in changes.items() if c]
    why.append(f"{_percent(share)} of all lines; from {_percent(settings.changed)} on")
    fresh = sum(was.labels.get(name) != value for name, value in now.labels.items())
    why.append(f"{fresh:,} new labels of traffic; from {settings.labels:,} on")
    fired = share >= settings.changed or fresh >= settings.labels
    return Trigger("data", fired, tuple(why))


def _degradation(report: Report | None, tags: Mapping[str, str]) -> Trigger:
    if report is None:
        return Trigger("degradation", False, ("no report was given",))
    told = f"the verdict is {report.verdict}, of kind {report.kind}"
    since = tags.get(PROMOTED_TAG, "")
    if _before(report.last, since):
        stale = f"the report ends {report.last}, before this champion came ({since})"
        return Trigger("degradation", False, (told, stale))
    return Trigger("degradation", report.verdict == "fail", (told, *report.failed))


def _before(last: str, since: str) -> bool:
    """True for a report that is about an earlier champion alone."""
    moments: list[datetime] = []
    for text in (last, since):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return False
        # What monitoring writes is in UTC, whether it says so or not.
        moments.append(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return moments[0] < moments[1]


def _percent(share: float) -> str:
    return f"{share:.1%}"
