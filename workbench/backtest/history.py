"""The rows of a run's data nearest to a moment: the last before it, or the first from it on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.model.data import QuoteTick

from workbench.backtest.catalogs import is_remote
from workbench.backtest.datasets import find_run_data
from workbench.backtest.prices import Source, narrow_entry, read_precision, read_ticks
from workbench.errors import ConfigError

__all__ = ["Quotation", "load_first", "load_last"]


class Quotation(NamedTuple):
    """A price as decimal, when it was known (``ts_init``, UNIX nanoseconds UTC), and of what, in words."""

    price: Decimal
    ts_ns: int
    identifier: str


def load_last(config: BacktestRunConfig, source: Source, *, before_ns: int, count: int) -> list[Quotation]:
    """
    Return the last `count` closes of a source before a moment, in order: whatever the range of the run.

    Raises
    ------
    InputError
        If the data are not there, or lie in an object store: all of them would have to be copied.
    CatalogError
        If a file is damaged.

    """
    found: list[Quotation] = []
    for table in _read_groups(config, source, end_ns=before_ns - 1, is_backwards=True):
        found = [*_quote(table, config, source, "close", count - len(found), is_last=True), *found]
        if len(found) >= count:
            break
    return found


def load_first(config: BacktestRunConfig, source: Source, *, from_ns: int, count: int = 1) -> list[Quotation]:
    """Return the opens of the first `count` rows of a source from a moment on; see `load_last`."""
    found: list[Quotation] = []
    for table in _read_groups(config, source, start_ns=from_ns):
        found += _quote(table, config, source, "open", count - len(found), is_last=False)
        if len(found) >= count:
            break
    return found


def _read_groups(
    config: BacktestRunConfig,
    source: Source,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    is_backwards: bool = False,
) -> Iterator[tuple[pa.Table, int]]:
    """Yield the rows in a range, with the precision of their prices, one row group in memory at a time."""
    entry = msgspec.structs.replace(
        narrow_entry(config.data[source.entry], source), start_time=None, end_time=None
    )
    if is_remote(entry):
        raise ConfigError(
            f"the data of {source.identifier} lie in an object store",
            expected="a catalog on the server's machine",
            field=f"data.{source.entry}.catalog_path",
        )
    try:
        files = find_run_data(msgspec.structs.replace(config, data=[entry], start=start_ns, end=end_ns)).files
    except ConfigError as e:
        if e.field in ("start", "end"):
            return  # There is nothing in this range
        raise
    step = -1 if is_backwards else 1
    for path in files[::step]:
        with pq.ParquetFile(path) as file:
            for number in range(file.metadata.num_row_groups)[::step]:
                table = file.read_row_group(number)
                stamps = table.column("ts_init").to_numpy().astype(np.int64)
                inside = np.ones(len(stamps), bool)
                if start_ns is not None:
                    inside &= stamps >= start_ns
                if end_ns is not None:
                    inside &= stamps <= end_ns
                if inside.any():
                    yield table.filter(pa.array(inside)), read_precision(path, "price")


def _quote(
    read: tuple[pa.Table, int],
    config: BacktestRunConfig,
    source: Source,
    name: str,
    count: int,
    *,
    is_last: bool,
) -> list[Quotation]:
    table, precision = read
    table = table.slice(max(len(table) - count, 0)) if is_last else table.slice(0, count)
    kind = config.data[source.entry].data_type
    ticks = read_ticks(table, kind, precision)[name]
    places = precision + (kind is QuoteTick)
    stamps = table.column("ts_init").to_pylist()
    return [
        Quotation(Decimal(int(tick)) / 10**places, int(ts), source.identifier)
        for tick, ts in zip(ticks, stamps, strict=True)
    ]
