"""Verdicts as columns of a table of Arrow or pandas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import ConfigError, MissingExtra

if TYPE_CHECKING:
    from .check import Check, Row

__all__ = ["absent", "arrow_fields", "arrow_with_verdicts", "with_verdicts"]


def with_verdicts(frame: Any, check: Check, column: str = "text") -> Any:
    """A frame of pandas with the columns of a check beside its own.

    It is for frames in memory, for Spark's ``mapInPandas`` and for Dask:
    ``frame.map_partitions(with_verdicts, check, "prompt", meta=...)``.

    Args:
        frame: The frame; it is not changed.
        check: What is done to each text.
        column: The column that has the texts.

    Raises:
        ConfigError: There is no such column, or the columns are there already.
    """
    absent(column, list(frame.columns))
    check.absent_from(frame.columns)
    import pandas as pd

    # pandas has its own marks for what is missing, and none of them is a text.
    texts = frame[column].astype(object)
    columns = check.columns(texts.where(texts.notna(), None).tolist())
    made = {
        name: pd.Series(values, index=frame.index, dtype=_PANDAS[check.types[name]])
        for name, values in columns.items()
    }
    return frame.assign(**made)


_PANDAS = {bool: "bool", float: "float64", str: "object"}


def arrow_with_verdicts(
    table: Any,
    check: Check,
    column: str,
    rows: Callable[[Sequence[object]], list[Row]] | None = None,
) -> Any:
    """A table or a batch of Arrow with the columns of a check behind its own.

    Args:
        table: The table.
        check: What is done to each text.
        column: The column that has the texts.
        rows: Asks the check elsewhere than in this process.
    """
    import pyarrow as pa

    absent(column, table.schema.names)
    check.absent_from(table.schema.names)
    texts = table.column(table.schema.get_field_index(column))
    told = (rows or check.rows)(texts.to_pylist())
    fields = arrow_fields(check.types)
    arrays = [
        *table.columns,
        *(
            pa.array([row[place] for row in told], field.type)
            for place, field in enumerate(fields)
        ),
    ]
    schema = pa.schema([*table.schema, *fields])
    return type(table).from_arrays(arrays, schema=schema)


def arrow_fields(types: Mapping[str, type]) -> list[Any]:
    """The columns of a check as fields of Arrow.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    kinds = {bool: pa.bool_(), float: pa.float64(), str: pa.string()}
    return [pa.field(name, kinds[kind]) for name, kind in types.items()]


def absent(column: str, names: Sequence[str]) -> None:
    """See that a table has a column.

    Raises:
        ConfigError: It has not.
    """
    if column in names:
        return
    from ..errors import nearest

    near = nearest(column, names)
    hint = "." if near is None else f"; did you mean {near!r}?"
    shown = ", ".join(map(str, list(names)[:20]))
    raise ConfigError(f"there is no column {column!r}{hint} Columns: {shown}")
