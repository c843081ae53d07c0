"""The tables of a finished run, read from its Parquet files: a part, a thinned line, other formats."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from workbench.analysis.extremes import find_extremes
from workbench.errors import InputError, NotFoundError, RunError

__all__ = [
    "Column",
    "Format",
    "Table",
    "TableName",
    "encode_csv",
    "encode_json",
    "encode_parquet",
    "read_table",
]

_TIME = pa.timestamp("ns", tz="UTC")
_BATCH = 10_000
# Of each bucket: the smallest, the largest, and a missing value.
_PER_BUCKET = 3


class TableName(StrEnum):
    """The tables of a run; ``trades`` are its position cycles."""

    EQUITY = "equity"
    TRADES = "trades"
    ORDERS = "orders"
    FILLS = "fills"
    ACCOUNTS = "accounts"


class Format(StrEnum):
    """How a table is sent."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column: its name, and ``time``, ``decimal``, ``integer``, ``float``, ``boolean`` or ``text``."""

    name: str
    type: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """
    A table.

    Attributes
    ----------
    columns : list[Column]
        The columns in order.
    rows : list[list]
        The cells of each row; decimals as text, times as ISO 8601 UTC with nanoseconds.
    total : int
        The rows in the range, before thinning.

    """

    columns: list[Column]
    rows: list[list[str | int | float | bool | None]]
    total: int


# The file of each table and the column that ranges are about; what a line is drawn of.
_SOURCES = {
    TableName.EQUITY: ("equity", "ts"),
    TableName.TRADES: ("positions", "ts_opened"),
    TableName.ORDERS: ("orders", "ts_init"),
    TableName.FILLS: ("fills", "ts_event"),
    TableName.ACCOUNTS: ("accounts", "ts_event"),
}


def read_table(
    directory: Path,
    name: TableName,
    *,
    start: str | None = None,
    end: str | None = None,
    points: int | None = None,
) -> tuple[pa.Table, int]:
    """
    Return rows of a table, and how many there are in the range.

    Parameters
    ----------
    directory : Path
        The directory of the run.
    name : TableName
        The table.
    start, end : str, optional
        The range, ISO 8601, UTC unless they say otherwise; both are within.
    points : int, optional
        Thin the equity to at most so many rows, with the extremes of each part of the range, the first and
        the last row.

    Raises
    ------
    NotFoundError
        If the run kept no such table.
    InputError
        If the range is no range, or `points` is about a table that is no line.
    RunError
        If the file is damaged.

    """
    if points is not None and name != TableName.EQUITY:
        raise InputError(f"{name} cannot be thinned", expected="points for equity alone", field="points")
    stem, column = _SOURCES[name]
    low, high = _parse_time(start, "start"), _parse_time(end, "end")
    path = directory / f"{stem}.parquet"
    if not path.is_file():
        raise NotFoundError(
            f"the run {directory.name} has no table {name.value!r}",
            advice="a run that has not ended, or failed early, has none",
        )
    condition = pc.scalar(True)
    if low is not None:
        condition &= pc.field(column) >= low
    if high is not None:
        condition &= pc.field(column) <= high
    try:
        table = pq.read_table(path, filters=condition, page_checksum_verification=True)
    except (OSError, ValueError) as e:  # pyarrow's errors are both
        raise RunError(f"the table {name.value!r} is damaged: {e}", advice="run the backtest again") from e
    total = table.num_rows
    if points is not None and total > points:
        table = _thin(table, column, points)
    return table, total


def encode_json(table: pa.Table, total: int) -> Iterator[bytes]:
    """Return the table as JSON (see `Table`), piece by piece."""
    columns = [Column(name=f.name, type=_name_type(f.type)) for f in table.schema]
    yield b'{"columns":' + msgspec.json.encode(columns) + b',"rows":['
    is_first = True
    for batch in _write_plain(table).to_batches(max_chunksize=_BATCH):
        rows = list(zip(*(batch.column(i).to_pylist() for i in range(batch.num_columns)), strict=True))
        if rows:
            yield (b"" if is_first else b",") + msgspec.json.encode(rows)[1:-1]
            is_first = False
    yield b'],"total":%d}' % total


def encode_csv(table: pa.Table) -> Iterator[bytes]:
    """Return the table as CSV with a header, piece by piece."""
    plain = _write_plain(table)
    sink = io.BytesIO()
    with pyarrow.csv.CSVWriter(sink, plain.schema) as writer:
        for batch in plain.to_batches(max_chunksize=_BATCH):
            writer.write_batch(batch)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()


def encode_parquet(table: pa.Table) -> bytes:
    """Return the table as a Parquet file, with its own types."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _parse_time(text: str | None, field: str) -> pa.Scalar | None:
    if text is None:
        return None
    moment = pa.scalar(text)
    try:
        return moment.cast(_TIME)
    except pa.ArrowInvalid:
        pass
    try:
        return pc.assume_timezone(moment.cast(pa.timestamp("ns")), "UTC")
    except pa.ArrowInvalid:
        raise InputError(
            f"{text!r} is no time", expected="ISO 8601, such as 2012-02-06T09:00:00Z", field=field
        ) from None


def _thin(table: pa.Table, column: str, points: int) -> pa.Table:
    """Return the rows that matter on a screen; positions may be float, what is sent is as it was."""
    x = table[column].cast(pa.int64()).to_numpy().astype(np.float64)
    y = table["equity"].cast(pa.float64()).to_numpy()
    rows = find_extremes(x, [y], max((points - 2) // _PER_BUCKET, 1))
    return table.take(pa.array(rows))


def _name_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "time"
    if pa.types.is_decimal(kind):
        return "decimal"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "integer"
    return "float" if pa.types.is_floating(kind) else "text"


def _write_plain(table: pa.Table) -> pa.Table:
    """Return the table with decimals and times as text."""
    arrays: list[Any] = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            arrays.append(pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ"))
        elif pa.types.is_decimal(column.type):
            arrays.append(_write_decimals(column))
        else:
            arrays.append(column)
    return pa.Table.from_arrays(arrays, names=table.column_names)


def _write_decimals(column: pa.ChunkedArray) -> pa.Array:
    """Return exact numbers as people write them: no exponent, no zeros at the end."""
    text = column.combine_chunks().cast(pa.string())
    if column.type.scale <= 0:
        return text
    plain = pc.utf8_rtrim(pc.utf8_rtrim(text, characters="0"), characters=".")
    has_exponent = pc.match_substring(text, "E")
    odd = [_write_decimal(value) for value in column.combine_chunks().filter(has_exponent).to_pylist()]
    return pc.replace_with_mask(plain, has_exponent, pa.array(odd, pa.string())) if odd else plain


def _write_decimal(value: Decimal) -> str:
    return f"{value:f}".rstrip("0").rstrip(".") if value else "0"
