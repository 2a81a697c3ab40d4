"""Metrics for Prometheus, counted from verdicts and requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from .. import ConfigError, MissingExtra, Verdict
from ..prices import Prices
from ..records import Record
from . import names
from .names import Metric
from .samples import Names, Sample, library_version, of_record, of_verdict

if TYPE_CHECKING:
    import prometheus_client

__all__ = ["Metrics"]

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Counts(Protocol):
    """How far a writer of records has come."""

    @property
    def written(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def queued(self) -> int: ...


class Writes(Protocol):
    """A writer of records."""

    @property
    def counts(self) -> Counts: ...


class Metrics:
    """Counts verdicts and requests, and shows what it counted.

        metrics = Metrics()
        pg.on_verdict(metrics)           # every verdict of the process, or
        metrics.observe(record)          # requests with all their verdicts: not both

    It has a registry of its own, so that two of them do not meet. Where workers are
    forked, ``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share, as the package
    prometheus-client has it, and any worker shows what all of them counted.

    Args:
        prices: What models cost; without it no cost is counted.
        labels: How many values a label may have; the others are ``other``.

    Raises:
        MissingExtra: prometheus-client is not installed.
    """

    def __init__(self, prices: Prices | None = None, *, labels: int = 200) -> None:
        try:
            import prometheus_client
        except ImportError:
            raise MissingExtra("prometheus-client", "server") from None
        self._prices = prices
        self._names = Names(labels)
        self._registry = prometheus_client.CollectorRegistry()
        self._add: dict[str, Callable[[Sample], None]] = {}
        for metric in names.METRICS:
            self._add[metric.name] = self._made(metric)
        self._add[names.RELOADS.name] = self._made(names.RELOADS)
        self._writer: Writes | None = None
        self._seen = {names.WRITTEN.name: 0, names.DROPPED.name: 0}
        self._lock = threading.Lock()
        # An info metric is not known to several processes; a gauge is.
        self._gauge(names.INFO).labels(library_version()).set(1)

    def __call__(self, verdict: Verdict) -> None:
        """Count one verdict: a hook for ``on_verdict``."""
        for sample in of_verdict(verdict, self._names):
            self._add[sample.metric.name](sample)

    def observe(self, record: Record) -> None:
        """Count one request and its verdicts."""
        for sample in of_record(record, self._names, self._prices):
            self._add[sample.metric.name](sample)
        self._look_at_writer()

    def await_reloads(self) -> None:
        """Show from now on how often the policy was reloaded."""
        for outcome in names.RELOAD_OUTCOMES:
            # A series that begins with its first event has not grown, for Prometheus.
            self._add[names.RELOADS.name](Sample(names.RELOADS, 0, (outcome,)))

    def count_reload(self, outcome: str) -> None:
        """Count a try to reload the policy."""
        self._add[names.RELOADS.name](Sample(names.RELOADS, 1, (outcome,)))

    def watch(self, writer: Writes) -> None:
        """Show what a writer of records has written, dropped and still has to write.

        Raises:
            ConfigError: A writer is watched already.
        """
        if self._writer is not None:
            raise ConfigError("these metrics watch a writer already; make others")
        for metric in (names.WRITTEN, names.DROPPED):
            self._add[metric.name] = self._made(metric)
        self._queued = self._gauge(names.QUEUED)
        self._writer = writer
        self._look_at_writer()

    def close(self) -> None:
        """Show no more what this process is doing; what it counted stays."""
        if os.environ.get(_FOLDER):
            from prometheus_client import multiprocess

            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        import prometheus_client
        from prometheus_client import multiprocess

        self._look_at_writer()
        registry = self._registry
        if os.environ.get(_FOLDER):
            registry = prometheus_client.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        page = prometheus_client.generate_latest(registry)
        return page, prometheus_client.CONTENT_TYPE_LATEST

    def _made(self, metric: Metric) -> Callable[[Sample], None]:
        import prometheus_client

        if metric.kind == "histogram":
            histogram = prometheus_client.Histogram(
                metric.prometheus,
                metric.help,
                metric.labels,
                buckets=metric.buckets,
                registry=self._registry,
            )
            seen = _Series(histogram)
            return lambda sample: seen.of(sample).observe(sample.value)
        counter = prometheus_client.Counter(
            metric.prometheus, metric.help, metric.labels, registry=self._registry
        )
        series = _Series(counter)
        return lambda sample: series.of(sample).inc(sample.value)

    def _gauge(self, metric: Metric) -> prometheus_client.Gauge:
        import prometheus_client

        return prometheus_client.Gauge(
            metric.prometheus,
            metric.help,
            metric.labels,
            registry=self._registry,
            multiprocess_mode="livesum" if metric is names.QUEUED else "livemax",
        )

    def _look_at_writer(self) -> None:
        if self._writer is None:
            return
        counts = self._writer.counts
        self._queued.set(counts.queued)
        for metric, count in (
            (names.WRITTEN, counts.written),
            (names.DROPPED, counts.dropped),
        ):
            with self._lock:
                grown = count - self._seen[metric.name]
                self._seen[metric.name] = max(count, self._seen[metric.name])
            if grown > 0:
                self._add[metric.name](Sample(metric, grown, ()))


class _Series:
    """The series of a metric, each looked up once: that takes longer than to count."""

    def __init__(self, metric: Any) -> None:
        # Any: counters and histograms share no type that knows labels.
        self._metric = metric
        self._known: dict[tuple[str, ...], Any] = {}

    def of(self, sample: Sample) -> Any:
        """The one with the labels of a sample, which are bounded."""
        if not sample.labels:
            return self._metric
        found = self._known.get(sample.labels)
        if found is None:
            found = self._known[sample.labels] = self._metric.labels(*sample.labels)
        return found
