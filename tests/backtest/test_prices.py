"""Prices for a chart are the data of the run, merged without losing a high or a low."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nautilus_trader.backtest.config import BacktestDataConfig
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from tests.backtest.tiny import (
    ASK,
    BID,
    LAST,
    NAME,
    ROWS,
    START,
    add_bars,
    add_ticks,
    build_catalog,
    entry,
    prices,
    tiny_config,
)
from workbench.backtest.configuration import redact_run_config
from workbench.backtest.prices import Series, find_sources, load_config_prices, load_prices, load_series
from workbench.backtest.run import Run
from workbench.backtest.rundir import RunDirectory
from workbench.records import RunRecord
from workbench.states import JobState

MINUTE = 60 * 10**9
VOLUMES = [0 if i % 5 == 0 else 34_028_236_691_000 + i for i in range(ROWS)]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_catalog(tmp_path_factory.mktemp("prices") / "catalog")
    times = pd.date_range(START, periods=50, freq="s", name="timestamp")
    bids = [Decimal("1.50000") + Decimal(i % 7) / 100_000 for i in range(50)]
    asks = [bid + Decimal("0.00003") for bid in bids]
    add_ticks(path, "quotes", pd.DataFrame({"bid": bids, "ask": asks}, index=times, dtype=object))
    trades = pd.DataFrame(
        {"price": bids, "size": 1000, "side": "BUY", "trade_id": range(50)}, index=times, dtype=object
    )
    add_ticks(path, "trades", trades)
    return path


def _ticks(catalog: Path, kind: str) -> BacktestDataConfig:
    return BacktestDataConfig(
        catalog_path=str(catalog), data_cls=f"nautilus_trader.model.data:{kind}", instrument_ids=[NAME]
    )


def _load(catalog: Path, data: BacktestDataConfig, **more: Any) -> Series:
    config = tiny_config(catalog, data=[data])
    return load_series(config, find_sources(config)[0], **more)


def _volumes(series: Series) -> list[Decimal]:
    assert series.volumes is not None
    return [Decimal(volume).scaleb(-series.volume_precision) for volume in series.volumes]


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalog of bars of last prices, whose volumes are as large as nautilus takes them."""
    path = tmp_path_factory.mktemp("traded") / "catalog"
    frame = prices()
    frame["volume"] = VOLUMES
    add_bars(path, frame.iloc[:150], "LAST")
    add_bars(path, frame.iloc[150:], "LAST")
    return path


def _merge_by_pandas(frame: pd.DataFrame, max_bars: int) -> pd.DataFrame:
    """Merge exact decimals into `max_bars` spans of equal time."""
    stamps = frame.index.as_unit("ns").asi8
    width = (int(stamps[-1]) - int(stamps[0])) // max_bars + 1
    groups = frame.reset_index(names="ts").groupby((stamps - stamps[0]) // width)
    return groups.agg(
        ts=("ts", "last"),
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
    )


@pytest.mark.parametrize("max_bars", [1, 2, 7, 50, 239, 240, 10_000])
def test_bars_merge_as_pandas_merges_decimals(catalog: Path, max_bars: int) -> None:
    found = load_config_prices(tiny_config(catalog), max_bars=max_bars)[NAME]
    expected = _merge_by_pandas(prices(), max_bars)
    assert len(found) <= max_bars
    assert list(found["ts"]) == list(expected["ts"])
    for column in ("open", "high", "low", "close"):
        assert found[column].dtype == np.float64
        # Five decimals written down from the float are the decimals that were merged exactly.
        assert [f"{v:.5f}" for v in found[column]] == [str(v) for v in expected[column]]


def test_bars_that_fit_are_all_there_at_their_own_stamps(catalog: Path) -> None:
    found = load_config_prices(tiny_config(catalog))[NAME]
    assert len(found) == ROWS
    assert list(found["ts"]) == list(prices().index)
    assert str(found["ts"].dt.tz) == "UTC"
    assert list(found.columns) == ["ts", "open", "high", "low", "close", "volume"]


def test_bars_out_of_the_range_of_the_run_are_left_out(catalog: Path) -> None:
    config = tiny_config(catalog, start="2012-02-01T02:20:00Z", end="2012-02-01T02:40:00Z")
    found = load_config_prices(config)[NAME]
    assert found["ts"].iloc[0] == pd.Timestamp("2012-02-01T02:20:00Z")
    assert found["ts"].iloc[-1] == pd.Timestamp("2012-02-01T02:40:00Z")
    assert len(found) == 21


def test_first_bar_type_of_an_instrument_is_taken(catalog: Path) -> None:
    bid = load_config_prices(tiny_config(catalog, data=[entry(catalog, BID, ASK)]))[NAME]
    ask = load_config_prices(tiny_config(catalog, data=[entry(catalog, ASK), entry(catalog, BID)]))[NAME]
    assert ask["open"].iloc[0] == pytest.approx(bid["open"].iloc[0] + 0.0001, abs=1e-9)


def test_bars_of_many_row_groups_merge_as_those_of_one(catalog: Path, tmp_path: Path) -> None:
    store = ParquetDataCatalog(tmp_path / "groups", max_rows_per_group=7)
    source = ParquetDataCatalog(catalog)
    store.write_data(source.instruments())
    store.write_data(source.bars())
    for max_bars in (5, 33):
        one = load_config_prices(tiny_config(catalog), max_bars=max_bars)[NAME]
        many = load_config_prices(tiny_config(tmp_path / "groups"), max_bars=max_bars)[NAME]
        pd.testing.assert_frame_equal(one, many)


def test_quotes_are_taken_at_their_middle(catalog: Path) -> None:
    found = load_config_prices(tiny_config(catalog, data=[_ticks(catalog, "QuoteTick")]))[NAME]
    assert len(found) == 50
    middle = [1.500015 + (i % 7) / 100_000 for i in range(50)]
    for column in ("open", "high", "low", "close"):
        assert found[column].to_list() == pytest.approx(middle, abs=1e-12)


def test_trades_are_taken_at_their_price(catalog: Path) -> None:
    found = load_config_prices(tiny_config(catalog, data=[_ticks(catalog, "TradeTick")]), max_bars=10)[NAME]
    assert len(found) <= 10
    assert found["low"].min() == pytest.approx(1.5, abs=1e-12)
    assert found["high"].max() == pytest.approx(1.50006, abs=1e-12)
    assert found["open"].iloc[0] == pytest.approx(1.5, abs=1e-12)
    assert found["close"].iloc[-1] == pytest.approx(1.5 + (49 % 7) / 100_000, abs=1e-12)


@pytest.mark.parametrize("max_bars", [1, 7, 50, 240])
@pytest.mark.parametrize("group", [7, 10_000])
def test_volumes_of_merged_bars_are_exact_sums(
    traded: Path, tmp_path: Path, max_bars: int, group: int
) -> None:
    store, source = ParquetDataCatalog(tmp_path, max_rows_per_group=group), ParquetDataCatalog(traded)
    store.write_data(source.instruments())
    store.write_data(source.bars())
    found = _load(tmp_path, entry(tmp_path, LAST), max_bars=max_bars)
    width = (ROWS - 1) * MINUTE // max_bars + 1
    expected: dict[int, int] = {}
    for i, volume in enumerate(VOLUMES):
        expected[i * MINUTE // width] = expected.get(i * MINUTE // width, 0) + volume
    assert found.volumes == list(expected.values())
    assert found.volume_precision == 0
    assert found.volume_is_traded


def test_volume_of_a_part_is_that_of_its_rows(traded: Path) -> None:
    start_ns = int(START.value)
    found = _load(
        traded, entry(traded, LAST), start_ns=start_ns + MINUTE, end_ns=start_ns + 3 * MINUTE, max_bars=1
    )
    assert found.volumes == [sum(VOLUMES[1:4])]
    nothing = _load(traded, entry(traded, LAST), start_ns=start_ns + ROWS * MINUTE, max_bars=1)
    assert (nothing.volumes, nothing.volume_is_traded) == ([], False)


def test_volume_is_traded_only_where_the_data_say_so(catalog: Path, tmp_path: Path) -> None:
    bid = _load(catalog, entry(catalog, BID), max_bars=1)
    assert (_volumes(bid), bid.volume_is_traded) == ([Decimal(ROWS * 1_000_000)], False)
    quotes = _load(catalog, _ticks(catalog, "QuoteTick"))
    assert (quotes.volumes, quotes.volume_is_traded) == (None, False)
    trades = _load(catalog, _ticks(catalog, "TradeTick"), max_bars=1)
    assert (_volumes(trades), trades.volume_is_traded) == ([Decimal(50_000)], True)

    frame = prices()
    frame["volume"] = range(ROWS)
    for side in ("BID", "ASK", "MID"):
        add_bars(tmp_path / "quoted", frame, side)
        of_side = entry(tmp_path / "quoted", LAST.replace("LAST", side))
        assert not _load(tmp_path / "quoted", of_side).volume_is_traded
    # An import fills in a volume where a file has none
    add_bars(tmp_path / "filled", prices(), "LAST")
    assert not _load(tmp_path / "filled", entry(tmp_path / "filled", LAST)).volume_is_traded


def test_frame_has_the_volume_and_says_whether_it_was_traded(traded: Path, catalog: Path) -> None:
    found = load_config_prices(tiny_config(traded, data=[entry(traded, LAST)]))[NAME]
    assert found["volume"].dtype == np.float64
    assert found["volume"].to_list() == [float(v) for v in VOLUMES]
    assert found.attrs["volume_is_traded"] is True
    quoted = load_config_prices(tiny_config(catalog))[NAME]
    assert quoted.attrs["volume_is_traded"] is False


def test_run_stays_readable_when_its_catalog_is_gone_or_broken(catalog: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalog, tmp_path / "copy"))
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    directory.write_json("config.json", redact_run_config(tiny_config(copy)))
    directory.write_manifest(
        RunRecord(run_id="run", state=JobState.COMPLETED, started_at="", finished_at="", versions={})
    )
    run = Run(directory.path)
    assert len(load_prices(run, max_bars=20)[NAME]) <= 20
    for file in copy.rglob("bar/*/*.parquet"):
        file.write_bytes(file.read_bytes()[:-50])
    assert load_prices(run) == {}
    shutil.rmtree(copy)
    assert load_prices(run) == {}
