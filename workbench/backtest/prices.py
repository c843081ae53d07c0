"""Prices of a run for a chart: the bars of its data, merged until a screen can hold them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from numpy.typing import NDArray

from workbench.backtest.configuration import parse_run_config
from workbench.backtest.datasets import find_run_data
from workbench.backtest.run import Run
from workbench.catalog.prices import decode_ticks
from workbench.errors import CatalogError, ConfigError, InputError

__all__ = ["load_config_prices", "load_prices"]

_Columns = dict[str, NDArray[np.float64]]


def load_prices(run: Run, *, max_bars: int = 2_000) -> dict[str, pd.DataFrame]:
    """
    Return the prices of every instrument of the run, read from the catalog.

    Neighbouring bars are merged (first open, highest high, lowest low, last close) until there are at most
    `max_bars`. Quotes are taken at their middle, trades at their price. Where the run has several bar types
    of an instrument, the first that it names is taken.

    Parameters
    ----------
    run : Run
        The run.
    max_bars : int
        The most bars for one instrument.

    Returns
    -------
    dict[str, pandas.DataFrame]
        By instrument id: ``ts`` (the last stamp in the bar, UTC), ``open``, ``high``, ``low``, ``close``
        (float64, for charts only). An instrument whose data cannot be read any more is left out.

    """
    return load_config_prices(parse_run_config(msgspec.json.encode(run.config)), max_bars=max_bars)


def load_config_prices(config: BacktestRunConfig, *, max_bars: int = 2_000) -> dict[str, pd.DataFrame]:
    """Return the prices of every instrument of a configuration; see `load_prices`."""
    prices: dict[str, pd.DataFrame] = {}
    for data in config.data:
        kind = data.data_type
        for instrument_id, identifiers in _split(data, kind):
            if instrument_id in prices:
                continue
            one = _only(data, kind, identifiers)
            try:
                dataset = find_run_data(msgspec.structs.replace(config, data=[one]))
            except (
                InputError,
                CatalogError,
            ):  # It has moved, changed or broken since: the run stays readable
                continue
            prices[instrument_id] = _merge(dataset.files, kind, dataset.start_ns, dataset.end_ns, max_bars)
    return prices


def _only(data: BacktestDataConfig, kind: type, identifiers: list[str]) -> BacktestDataConfig:
    cleared = msgspec.structs.replace(
        data, instrument_id=None, instrument_ids=None, bar_types=None, bar_spec=None
    )
    if kind is Bar:
        return msgspec.structs.replace(cleared, bar_types=identifiers)
    return msgspec.structs.replace(cleared, instrument_ids=identifiers)


def _split(data: BacktestDataConfig, kind: type) -> list[tuple[str, list[str]]]:
    """Return (instrument id, catalog identifiers) of a data entry."""
    ids = (
        [str(data.instrument_id)]
        if data.instrument_id is not None
        else [str(i) for i in data.instrument_ids or []]
    )
    if kind is not Bar:
        return [(i, [i]) for i in ids]
    bar_types = [str(b) for b in data.bar_types or [f"{i}-{data.bar_spec}-EXTERNAL" for i in ids]]
    return [(str(BarType.from_str(b).instrument_id), [b]) for b in bar_types]


def _merge(files: list[Path], kind: type, start_ns: int, end_ns: int, max_bars: int) -> pd.DataFrame:
    """Merge all rows into equal spans of time, one row group in memory at a time."""
    width = max((end_ns - start_ns) // max_bars + 1, 1)
    parts = []
    for path in files:
        file = pq.ParquetFile(path)
        for i in range(file.metadata.num_row_groups):
            table = file.read_row_group(i)
            stamps = table.column("ts_init").to_numpy().astype(np.int64)
            inside = (stamps >= start_ns) & (stamps <= end_ns)
            if inside.any():
                columns = {name: values[inside] for name, values in _read(table, kind).items()}
                parts.append(_reduce(stamps[inside], columns, (stamps[inside] - start_ns) // width))
    if not parts:
        return pd.DataFrame(columns=["ts", "open", "high", "low", "close"])
    stamps = np.concatenate([p[0] for p in parts])
    columns = {name: np.concatenate([p[1][name] for p in parts]) for name in parts[0][1]}
    # Spans that row groups share are merged once more.
    stamps, columns = _reduce(stamps, columns, (stamps - start_ns) // width)
    return pd.DataFrame({"ts": pd.to_datetime(stamps, utc=True), **columns})


def _read(table: pa.Table, kind: type) -> _Columns:
    precision = int((table.schema.metadata or {}).get(b"price_precision", b"9"))

    def decode(name: str) -> NDArray[np.float64]:
        ticks: NDArray[np.float64] = decode_ticks(table.column(name), precision) / 10.0**precision
        return ticks

    if kind is Bar:
        return {name: decode(name) for name in ("open", "high", "low", "close")}
    if kind is QuoteTick:
        price = (decode("bid_price") + decode("ask_price")) / 2
    elif "price" in table.column_names:
        price = decode("price")
    else:
        raise ConfigError(f"{kind.__name__} data have no price to draw")
    return dict.fromkeys(("open", "high", "low", "close"), price)


def _reduce(
    stamps: NDArray[np.int64], columns: _Columns, spans: NDArray[np.int64]
) -> tuple[NDArray[np.int64], _Columns]:
    first = np.flatnonzero(np.r_[True, spans[1:] != spans[:-1]])
    last = np.r_[first[1:], len(spans)] - 1
    merged: _Columns = {
        "open": columns["open"][first],
        "high": np.maximum.reduceat(columns["high"], first),
        "low": np.minimum.reduceat(columns["low"], first),
        "close": columns["close"][last],
    }
    return stamps[last], merged
