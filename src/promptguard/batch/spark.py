"""A check on Spark: batches of Arrow through the Python processes of the executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .. import ConfigError, MissingExtra
from .frames import absent, arrow_with_verdicts

if TYPE_CHECKING:
    from .check import Check

__all__ = ["on_spark"]


def on_spark(frame: Any, check: Check, column: str = "text") -> Any:
    """A DataFrame of Spark with the columns of a check behind its own.

    Nothing is checked before an action asks for it. The library has to be installed
    where the executors run. Each of their Python processes loads the model once and
    runs it on one thread, so that with ``spark.task.cpus`` of 1 there are as many as
    cores. Rows go as batches of Arrow, in which the other columns stay what they are;
    ``spark.sql.execution.arrow.maxRecordsPerBatch`` says how many. For ``mapInPandas``
    there is ``with_verdicts``.

    A task that Spark runs again, because its Python process has died, checks in one
    more process. A text that ends that too has a row that says so, and is blocked.
    How often a task is run again says ``spark.task.maxFailures``; with a master of
    ``local[2]`` it is not, with ``local[2,4]`` it is.

    Args:
        frame: The DataFrame.
        check: What is done to each text; its ``threads`` times the tasks of a node
            should be its cores.
        column: The column of strings that has the texts.

    Raises:
        ConfigError: There is no such column of strings, or the columns are there.
        MissingExtra: pyspark is not installed.
    """
    try:
        from pyspark.sql import types
    except ImportError:
        raise MissingExtra("pyspark", "spark") from None
    absent(column, frame.columns)
    check.absent_from(frame.columns)
    found = frame.schema[column].dataType
    if not isinstance(found, types.StringType):
        raise ConfigError(f"column {column!r} holds {found.simpleString()}, not texts")
    kinds = {
        bool: types.BooleanType(),
        float: types.DoubleType(),
        str: types.StringType(),
    }
    fields = [
        *frame.schema.fields,
        *(types.StructField(name, kinds[kind]) for name, kind in check.types.items()),
    ]
    return frame.mapInArrow(_batches(check, column), types.StructType(fields))


def _batches(check: Check, column: str) -> Callable[[Iterable[Any]], Iterator[Any]]:
    def checked(batches: Iterable[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        task = TaskContext.get()
        if task is None or not task.attemptNumber():
            for batch in batches:
                yield arrow_with_verdicts(batch, check, column)
            return
        from pyspark.cloudpickle import dumps

        from .apart import Apart

        with closing(Apart(check, dumps)) as apart:
            for batch in batches:
                yield arrow_with_verdicts(batch, check, column, apart)

    return checked
