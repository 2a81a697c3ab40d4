"""Who gets the records: what counts, traces, keeps. Loaded where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import ConfigError
from ..records import Metrics, Record, Writer
from .door import Observer
from .settings import Settings

__all__ = ["Wired", "wired"]


@dataclass(frozen=True, slots=True)
class Wired:
    """What the records of a service go to.

    Args:
        metrics: Shows what was counted, at ``/metrics``.
        writer: Keeps records.
        others: Whoever else gets them.
        count_reload: Is told what became of a try to reload the policy.
    """

    metrics: Metrics | None = None
    writer: Writer | None = None
    others: tuple[Observer, ...] = ()
    count_reload: Callable[[str], None] = lambda outcome: None

    @property
    def observers(self) -> tuple[Observer, ...]:
        """All who get each record."""
        kept: tuple[Observer, ...] = ()
        if self.writer is not None:
            kept = (_Keeps(self.writer),)
        counted = () if self.metrics is None else (self.metrics,)
        return (*counted, *self.others, *kept)

    @property
    def texts(self) -> bool:
        """True when somebody keeps what was said."""
        return self.writer is not None and getattr(self.writer, "wants_texts", True)

    def close(self) -> None:
        """Write what was taken, and end."""
        if self.writer is not None:
            self.writer.close()
        if self.metrics is not None:
            self.metrics.close()


class _Keeps:
    """A writer as one who observes."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def observe(self, record: Record) -> None:
        """Hand a record on."""
        self._writer.write(record)


def wired(settings: Settings) -> Wired:
    """What the settings ask for.

    Raises:
        ConfigError: A price table or the address of a database is not right.
        MissingExtra: Something that is asked for is not installed.
    """
    prices: Any = None
    if settings.prices is not None:
        from ..prices import Prices

        prices = Prices.read(settings.prices)
    metrics: Any = None
    if settings.metrics:
        from ..telemetry.prometheus import Metrics as Prometheus

        metrics = Prometheus(prices=prices)
        metrics.await_reloads()
    others: tuple[Observer, ...] = ()
    if settings.otel:
        from ..telemetry.otel import OpenTelemetry

        others = (OpenTelemetry(prices=prices),)
    writer: Any = None
    if settings.capture is not None:
        from ..traffic import Writer as Traffic

        key = settings.capture_key
        if settings.capture_texts == "hashed" and key is None:
            raise ConfigError(
                "capture_texts is hashed, which needs a key: set "
                "PROMPTGUARD_CAPTURE_KEY"
            )
        writer = Traffic(
            settings.capture,
            texts=settings.capture_texts,
            retention=settings.retention,
            key=None if key is None else key.get_secret_value().encode(),
            prices=prices,
        )
        if metrics is not None:
            metrics.watch(writer)
    if metrics is None:
        return Wired(metrics, writer, others)
    return Wired(metrics, writer, others, metrics.count_reload)
