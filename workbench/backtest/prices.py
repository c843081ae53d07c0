"""Prices of a run for a chart: the bars of its data, merged until a screen can hold them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.backtest.node import get_instrument_ids
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from numpy.typing import NDArray

from workbench.backtest.configuration import parse_run_config
from workbench.backtest.datasets import find_identifiers, find_run_data
from workbench.backtest.objects import localised
from workbench.backtest.run import Run
from workbench.backtest.volumes import VolumeSum, find_volume_column, is_market_volume
from workbench.catalog.prices import decode_ticks
from workbench.errors import CatalogError, ConfigError, InputError

__all__ = [
    "Series",
    "Source",
    "find_sources",
    "load_config_prices",
    "load_prices",
    "load_series",
    "narrow_entry",
    "read_precision",
    "read_ticks",
]

_Columns = dict[str, NDArray[np.int64]]
_NAMES = ("open", "high", "low", "close")


def load_prices(run: Run, *, max_bars: int = 2_000) -> dict[str, pd.DataFrame]:
    """
    Return the prices of every instrument of the run, read from the catalog.

    Neighbouring bars are merged (first open, highest high, lowest low, last close) until there are at most
    `max_bars`. Quotes are taken at their middle, trades at their price; volumes and sizes of trades are added up.
    Where the run has several bar types of an instrument, the first that it names is taken.

    Parameters
    ----------
    run : Run
        The run.
    max_bars : int
        The most bars for one instrument.

    Returns
    -------
    dict[str, pandas.DataFrame]
        By instrument id: ``ts`` (the last stamp in the bar, UTC), ``open``, ``high``, ``low``, ``close`` and, of
        bars and trades, ``volume`` (float64, for charts only); ``attrs["volume_is_traded"]`` as in `Series`. An
        instrument whose data cannot be read any more is left out.

    """
    return load_config_prices(parse_run_config(msgspec.json.encode(run.config)), max_bars=max_bars)


def load_config_prices(config: BacktestRunConfig, *, max_bars: int = 2_000) -> dict[str, pd.DataFrame]:
    """Return the prices of every instrument of a configuration; see `load_prices`."""
    prices: dict[str, pd.DataFrame] = {}
    for source in find_sources(config):
        if source.instrument_id in prices:
            continue
        try:
            series = load_series(config, source, max_bars=max_bars)
        except (InputError, CatalogError):  # It has moved, changed or broken since: the run stays readable
            continue
        columns = {name: ticks / 10.0**series.precision for name, ticks in series.columns.items()}
        if series.volumes is not None:
            unit = 10**series.volume_precision
            columns["volume"] = np.array([volume / unit for volume in series.volumes], np.float64)
        frame = pd.DataFrame({"ts": pd.to_datetime(series.stamps, utc=True), **columns})
        frame.attrs["volume_is_traded"] = series.volume_is_traded
        prices[source.instrument_id] = frame
    return prices


class Source(msgspec.Struct, frozen=True):
    """Where prices of an instrument come from: its bar type, or its id for ticks, in one entry of `data`."""

    instrument_id: str
    identifier: str
    entry: int


class Series(msgspec.Struct, frozen=True):
    """
    Prices over time, exact.

    Attributes
    ----------
    stamps : numpy.ndarray of int64
        The last stamp in each bar, UNIX nanoseconds UTC, ascending.
    columns : dict[str, numpy.ndarray of int64]
        ``open``, ``high``, ``low``, ``close`` in units of ``10 ** -precision``.
    precision : int
        Decimal places.
    total : int
        The rows that were merged into these bars.
    volumes : list[int], optional
        What the rows of each bar add up to, in units of ``10 ** -volume_precision``; ``None`` where the data have none.
    volume_precision : int
        Decimal places of that.
    volume_is_traded : bool
        Whether that is what was traded in a market: of trades and of bars of last prices. In bars of other prices
        it counts ticks or quoted sizes, and a volume that is the same in every row was filled in by an import.

    """

    stamps: NDArray[np.int64]
    columns: _Columns
    precision: int
    total: int
    volumes: list[int] | None = None
    volume_precision: int = 0
    volume_is_traded: bool = False


def find_sources(config: BacktestRunConfig) -> list[Source]:
    """Return what a run has prices of, in the order in which it names them."""
    found = []
    for i, data in enumerate(config.data):
        ids = get_instrument_ids(data)
        if data.data_type is Bar:
            identifiers = find_identifiers(data)
            found += [Source(str(BarType.from_str(b).instrument_id), b, i) for b in identifiers]
        else:
            found += [Source(str(one), str(one), i) for one in ids]
    return found


def load_series(
    config: BacktestRunConfig,
    source: Source,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    max_bars: int = 2_000,
) -> Series:
    """
    Read the prices of one source from the catalog, merged until there are at most `max_bars`.

    Raises
    ------
    InputError
        If the data are not there any more, or have no price.
    CatalogError
        If a file is damaged.

    """
    data = config.data[source.entry]
    with localised(msgspec.structs.replace(config, data=[narrow_entry(data, source)])) as local:
        dataset = find_run_data(local)
        low = max(dataset.start_ns, dataset.start_ns if start_ns is None else start_ns)
        high = min(dataset.end_ns, dataset.end_ns if end_ns is None else end_ns)
        series = _merge(dataset.files, data.data_type, low, high, max_bars)
        is_traded = series.volume_is_traded and is_market_volume(data.data_type, source.identifier)
        return msgspec.structs.replace(series, volume_is_traded=is_traded)


def narrow_entry(data: BacktestDataConfig, source: Source) -> BacktestDataConfig:
    """Return an entry of a run's data with one source of it alone."""
    cleared = msgspec.structs.replace(
        data, instrument_id=None, instrument_ids=None, bar_types=None, bar_spec=None
    )
    if data.data_type is Bar:
        return msgspec.structs.replace(cleared, bar_types=[source.identifier])
    return msgspec.structs.replace(cleared, instrument_ids=[source.identifier])


def _merge(files: list[Path], kind: type, start_ns: int, end_ns: int, max_bars: int) -> Series:
    """Merge all rows into equal spans of time, one row group in memory at a time."""
    width = max((end_ns - start_ns) // max_bars + 1, 1)
    precision = max(read_precision(path, "price") for path in files)
    volume_column = find_volume_column(kind)
    volume = VolumeSum()
    parts: list[tuple[NDArray[np.int64], _Columns]] = []
    total = 0
    for path in files:
        with pq.ParquetFile(path) as file:
            for i in range(file.metadata.num_row_groups):
                table = file.read_row_group(i)
                stamps = table.column("ts_init").to_numpy().astype(np.int64)
                inside = (stamps >= start_ns) & (stamps <= end_ns)
                if inside.any():
                    columns = {name: v[inside] for name, v in read_ticks(table, kind, precision).items()}
                    kept = stamps[inside]
                    total += len(kept)
                    starts = _find_starts((kept - start_ns) // width)
                    parts.append(_reduce(kept, columns, starts))
                    if volume_column is not None:
                        volume.add(table.column(volume_column), inside, starts)
    precision += kind is QuoteTick
    if parts:
        stamps = np.concatenate([p[0] for p in parts])
        columns = {name: np.concatenate([p[1][name] for p in parts]) for name in _NAMES}
        # Spans that row groups share are merged once more.
        starts = _find_starts((stamps - start_ns) // width)
        stamps, columns = _reduce(stamps, columns, starts)
    else:
        stamps, columns = np.empty(0, np.int64), dict.fromkeys(_NAMES, np.empty(0, np.int64))
        starts = np.empty(0, np.intp)
    series = Series(stamps, columns, precision, total)
    if volume_column is None:
        return series
    volumes, digits = volume.build(starts, max(read_precision(path, "size") for path in files))
    # Trades may well all be of one size; bars of one volume were imported without one.
    is_filled_in = kind is Bar and volume.is_constant and total > 1
    return msgspec.structs.replace(
        series, volumes=volumes, volume_precision=digits, volume_is_traded=total > 0 and not is_filled_in
    )


def read_precision(path: Path, what: str) -> int:
    """Return the decimal places of the ``price`` or the ``size`` in a file."""
    return int((pq.read_schema(path).metadata or {}).get(f"{what}_precision".encode(), b"9"))


def read_ticks(table: pa.Table, kind: type, precision: int) -> _Columns:
    """Return open, high, low and close of each row in ticks; of quotes, the middle, with one place more."""
    if kind is Bar:
        return {name: decode_ticks(table.column(name), precision) for name in _NAMES}
    if kind is QuoteTick:  # The middle has one decimal place more
        bid, ask = (decode_ticks(table.column(name), precision) for name in ("bid_price", "ask_price"))
        price = (bid + ask) * 5
    elif "price" in table.column_names:
        price = decode_ticks(table.column("price"), precision)
    else:
        raise ConfigError(f"{kind.__name__} data have no price to draw")
    return dict.fromkeys(_NAMES, price)


def _find_starts(spans: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return where each span begins."""
    return np.flatnonzero(np.r_[True, spans[1:] != spans[:-1]])


def _reduce(
    stamps: NDArray[np.int64], columns: _Columns, first: NDArray[np.intp]
) -> tuple[NDArray[np.int64], _Columns]:
    """Merge the rows of each span; spans begin at `first`."""
    last = np.r_[first[1:], len(stamps)] - 1
    merged: _Columns = {
        "open": columns["open"][first],
        "high": np.maximum.reduceat(columns["high"], first),
        "low": np.minimum.reduceat(columns["low"], first),
        "close": columns["close"][last],
    }
    return stamps[last], merged
