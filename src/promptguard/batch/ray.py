"""A check on Ray Data: batches of Arrow through actors that keep their model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ConfigError, MissingExtra
from .apart import Apart
from .frames import absent, arrow_with_verdicts

if TYPE_CHECKING:
    from .check import Check

__all__ = ["on_ray"]


# Cores of a node that tasks of Ray's own may need at once.
_TASKS = 2


class Actor:
    """A process of Ray that has loaded the guards of a check.

    One that Ray had to start again has a process of its own load them.
    """

    def __init__(self, check: Check, column: str) -> None:
        import ray

        self._check = check
        self._column = column
        self._apart: Apart | None = None
        # Ray starts it again and again, without an end, and with the same texts.
        if ray.get_runtime_context().was_current_actor_reconstructed:
            from ray.cloudpickle import dumps

            self._apart = Apart(check, dumps)
        else:
            check.warmup()

    def __call__(self, batch: Any) -> Any:
        return arrow_with_verdicts(batch, self._check, self._column, self._apart)


def on_ray(
    dataset: Any,
    check: Check,
    column: str = "text",
    *,
    workers: int | None = None,
    rows: int = 256,
) -> Any:
    """A Dataset of Ray with the columns of a check behind its own.

    Nothing is checked before the dataset is read. The library has to be installed where
    the actors run. Each loads the model once, and there are as many as cores for the
    threads of the check. Ray is asked for less, so that its own tasks, which read and
    write, find two cores of a node free: it would otherwise never begin them. It keeps
    the order of the rows only where its ``DataContext`` says
    ``execution_options.preserve_order``.

    An actor that has died is started again by Ray, and from then on checks in one more
    process. A text that ends that too has a row that says so, and is blocked.

    Args:
        dataset: The dataset.
        check: What is done to each text.
        column: The column of strings that has the texts.
        workers: How many actors; None lets Ray have as many as there are cores.
        rows: Rows that an actor is given at a time.

    Raises:
        ConfigError: There is no such column, or the columns are there already.
        MissingExtra: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtra("ray", "ray") from None
    schema = dataset.schema()
    names = [] if schema is None else list(schema.names)
    if names:
        absent(column, names)
        check.absent_from(names)
    if not ray.is_initialized():
        ray.init()
    nodes = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    if workers is None:
        workers = max(1, sum(int(cores) // check.threads for cores in nodes))
    if workers < 1:
        raise ConfigError("workers must be a whole number of at least 1")
    return dataset.map_batches(
        Actor,
        fn_constructor_args=(check, column),
        batch_format="pyarrow",
        batch_size=rows,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=check.threads * _share(nodes),
    )


def _share(nodes: Sequence[float]) -> float:
    """How much of a core an actor asks for, so that tasks find what they need.

    A task that lists files has another one read their footers, and waits for it.
    """
    # Of one or two cores nothing would be left; elsewhere there is room for tasks.
    larger = [cores for cores in nodes if cores > _TASKS]
    least = min(((cores - _TASKS) / cores for cores in larger), default=0.0)
    # Ray counts ten-thousandths.
    return math.floor(least * 10_000) / 10_000
