"""The data of a run are counted as nautilus reads them, and what is missing is said before the run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from tests.backtest.tiny import (
    ASK,
    BID,
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
from workbench.backtest.datasets import check_run_data, choose_chunk_size, find_run_data, hash_data
from workbench.errors import CatalogError, ConfigError, NotFoundError

QUOTE = "nautilus_trader.model.data:QuoteTick"
MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_catalog(tmp_path_factory.mktemp("datasets") / "catalog")
    times = pd.date_range(START, periods=30, freq="10s", name="timestamp")
    add_ticks(path, "quotes", pd.DataFrame({"bid": "1.50000", "ask": "1.50010"}, index=times))
    return path


def _quotes(catalog: Path, name: str = NAME) -> BacktestDataConfig:
    return BacktestDataConfig(catalog_path=str(catalog), data_cls=QUOTE, instrument_ids=[name])


def _read_by_nautilus(config: BacktestRunConfig) -> list[int]:
    """Return the stamps of all that nautilus loads for the run."""
    stamps: list[int] = []
    for data in config.data:
        # As a class, as the engine does: with a name, nautilus forgets `bar_types`.
        named = msgspec.structs.replace(data, data_cls=data.data_type)
        stamps += [d.ts_init for d in BacktestNode.load_data_config(named, config.start, config.end).data]
    return sorted(stamps)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"start": "2012-02-01T00:10:00Z"},
        {"end": "2012-02-01T00:10:00Z"},
        {"start": "2012-02-01T00:10:00.000000001Z", "end": "2012-02-01T02:59:59.999999999"},
        {"start": "2012-02-01T02:00:00Z", "end": "2012-02-01T02:40:00Z"},  # Over the edge of the files
        {"start": "2012-02-01T00:01:00Z", "end": "2012-02-01T00:01:00Z"},
        {"start": "2012-02-01T01:30:00+01:00"},
        {"start": START.value + 5 * MINUTE, "end": START.value + 9 * MINUTE},
        {"start": "2012-02-01", "end": "2012-02-02"},
    ],
)
def test_rows_and_range_equal_what_nautilus_loads(catalog: Path, limits: dict[str, Any]) -> None:
    data = [entry(catalog), _quotes(catalog)] if not limits else [entry(catalog)]
    config = tiny_config(catalog, data=data, **limits)
    stamps = _read_by_nautilus(config)
    found = check_run_data(config)
    assert (found.rows, found.start_ns, found.end_ns) == (len(stamps), stamps[0], stamps[-1])
    assert found.instruments == [NAME]


def test_limits_of_an_entry_and_of_the_run_both_count(catalog: Path) -> None:
    data = [entry(catalog, start_time="2012-02-01T00:20:00Z", end_time="2012-02-01T03:30:00Z")]
    for limits in ({}, {"start": "2012-02-01T00:30:00Z", "end": "2012-02-01T03:00:00Z"}):
        config = tiny_config(catalog, data=data, **limits)
        stamps = _read_by_nautilus(config)
        found = check_run_data(config)
        assert (found.rows, found.start_ns, found.end_ns) == (len(stamps), stamps[0], stamps[-1])


def test_limits_are_inclusive_at_both_ends(catalog: Path) -> None:
    config = tiny_config(catalog, start="2012-02-01T00:10:00Z", end="2012-02-01T00:12:00Z")
    found = check_run_data(config)
    assert found.rows == 6  # Three minutes, bid and ask
    assert found.start_ns == pd.Timestamp("2012-02-01T00:10:00Z").value
    assert found.end_ns == pd.Timestamp("2012-02-01T00:12:00Z").value


def test_only_files_that_meet_the_range_belong_to_the_run(catalog: Path) -> None:
    assert len(check_run_data(tiny_config(catalog)).files) == 4
    early = check_run_data(tiny_config(catalog, end="2012-02-01T01:00:00Z"))
    assert len(early.files) == 2
    assert all(path.is_file() for path in early.files)


@pytest.mark.parametrize(("side", "other"), [(BID, "ASK"), (ASK, "BID")])
def test_bars_of_one_side_alone_are_refused_and_what_prices_them_is_accepted(
    catalog: Path, side: str, other: str
) -> None:
    config = tiny_config(catalog, data=[entry(catalog, side)])
    with pytest.raises(ConfigError, match=f"bars of {NAME} alone.*the {other} bars too"):
        check_run_data(config)
    assert find_run_data(config).rows == ROWS
    assert check_run_data(tiny_config(catalog, data=[entry(catalog, side), _quotes(catalog)])).rows > ROWS
    assert (
        check_run_data(tiny_config(catalog, data=[entry(catalog, BID), entry(catalog, ASK)])).rows == 2 * ROWS
    )


def test_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"no catalog at {tmp_path}/none.*workbench data import"):
        check_run_data(tiny_config(tmp_path / "none"))


def test_unknown_instrument_lists_what_there_is(catalog: Path) -> None:
    with pytest.raises(NotFoundError, match=r"instrument EUR/USD\.SIM is not in.*one of GBP/USD\.SIM"):
        check_run_data(tiny_config(catalog, data=[_quotes(catalog, "EUR/USD.SIM")]))
    (catalog.parent / "empty").mkdir(exist_ok=True)
    with pytest.raises(NotFoundError, match="the catalog is empty"):
        check_run_data(tiny_config(catalog.parent / "empty"))


def test_unknown_bar_type_lists_what_there_is_as_the_user_writes_it(catalog: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        check_run_data(tiny_config(catalog, data=[entry(catalog, f"{NAME}-5-MINUTE-BID-EXTERNAL")]))
    assert caught.value.expected == f"one of {ASK}, {BID}"
    assert "workbench data ls" in caught.value.advice


def test_range_without_data_says_what_range_there_is(catalog: Path) -> None:
    with pytest.raises(ConfigError, match="2012-02-01T00:01:00Z to 2012-02-01T04:00:00Z"):
        check_run_data(tiny_config(catalog, start="2013-01-01"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": []}, "names no data"),
        ({"venues": []}, "names no venue"),
        ({"start": "2012-02-02", "end": "2012-02-01"}, "2012-02-01T00:00:00Z is before the start 2012-02-02"),
        ({"start": "yesterday-ish"}, "start is 'yesterday-ish'; expected ISO 8601"),
        ({"end": "2012-13-45"}, "end is '2012-13-45'"),
    ],
)
def test_configuration_that_contradicts_itself_is_refused(
    catalog: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_run_data(msgspec.structs.replace(tiny_config(catalog), **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bar_types": ["nonsense"]}, "expected ids such as"),
        ({"data_cls": "nautilus_trader.model.data:Nothing"}, "expected a data_cls such as"),
        ({"bar_types": None}, "names no instrument"),
        ({"bar_types": None, "instrument_ids": [NAME]}, "names no bar type"),
        ({"bar_types": [BID.replace("SIM", "FXCM")]}, "venue FXCM of GBP/USD.FXCM is not configured; .* SIM"),
        ({"catalog_fs_protocol": "s3"}, "is no place in an object store of the protocol 's3'"),
    ],
)
def test_data_entry_that_is_wrong_is_refused(catalog: Path, change: dict[str, Any], message: str) -> None:
    data = msgspec.structs.replace(entry(catalog), **change)
    with pytest.raises(ConfigError, match=message):
        check_run_data(tiny_config(catalog, data=[data]))


def test_bar_spec_finds_the_bars_of_every_instrument_named(catalog: Path) -> None:
    data = msgspec.structs.replace(
        entry(catalog), bar_types=None, instrument_ids=[NAME], bar_spec="1-MINUTE-BID"
    )
    assert find_run_data(tiny_config(catalog, data=[data])).rows == ROWS


def test_damaged_file_is_a_catalog_error_that_names_it(catalog: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalog, tmp_path / "copy"))
    file = find_run_data(tiny_config(copy)).files[0]
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CatalogError, match=f"{file.name} cannot be read") as caught:
        check_run_data(tiny_config(copy))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rows", "size"), [(1, None), (250_000, None), (250_001, 100_000), (10**9, 100_000)])
def test_chunk_size_bounds_the_memory(rows: int, size: int | None) -> None:
    assert choose_chunk_size(rows) == size


def _hash(config: BacktestRunConfig) -> str:
    return hash_data(config, find_run_data(config))


def test_hash_is_the_same_wherever_the_catalog_lies_and_whatever_wrote_it(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _hash(tiny_config(catalog))
    copy = Path(shutil.copytree(catalog, tmp_path / "copy"))
    assert _hash(tiny_config(copy)) == expected
    shutil.rmtree(copy / "_workbench")  # What the importer wrote down about the files
    assert _hash(tiny_config(copy)) == expected
    store = ParquetDataCatalog(tmp_path / "nautilus")
    store.write_data(ParquetDataCatalog(copy).instruments())
    bars = ParquetDataCatalog(copy).bars()
    for part in ([b for b in bars if b.ts_init <= START.value + 149 * MINUTE], bars):
        done = set() if part is not bars else {START.value + i * MINUTE for i in range(150)}
        store.write_data([b for b in part if b.ts_init not in done])
    assert _hash(tiny_config(tmp_path / "nautilus")) == expected
    monkeypatch.chdir(copy)
    assert _hash(tiny_config(Path("../copy"))) == expected


def test_hash_follows_links_that_lead_out_of_the_catalog(catalog: Path, tmp_path: Path) -> None:
    expected = _hash(tiny_config(catalog))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "data").symlink_to(catalog / "data")
    assert _hash(tiny_config(linked)) == expected
    (tmp_path / "whole").symlink_to(catalog)
    assert _hash(tiny_config(tmp_path / "whole")) == expected


def test_hash_changes_with_one_price_the_range_and_the_instrument(catalog: Path, tmp_path: Path) -> None:
    before = _hash(tiny_config(catalog))
    copy = Path(shutil.copytree(catalog, tmp_path / "copy"))
    assert _hash(tiny_config(copy, end="2012-02-01T03:00:00Z")) != before
    assert _hash(tiny_config(copy, start="2012-02-01T00:02:00Z")) != before
    frame = prices().iloc[150:]
    frame.iloc[7, 3] = frame.iloc[7, 2]  # One close becomes the low of its bar
    add_bars(copy, frame, "BID")
    changed = _hash(tiny_config(copy))
    assert changed != before
    add_bars(copy, prices().iloc[150:], "BID")
    assert _hash(tiny_config(copy)) == before
    store = ParquetDataCatalog(copy)
    (instrument,) = store.instruments()
    values = {**type(instrument).to_dict(instrument), "taker_fee": "0.001"}
    shutil.rmtree(copy / "data" / "currency_pair")
    store.write_data([type(instrument).from_dict(values)])
    assert _hash(tiny_config(copy)) not in (before, changed)


def test_hash_covers_every_catalog_of_the_run(catalog: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalog, tmp_path / "copy"))
    config = tiny_config(catalog, data=[entry(catalog, BID), entry(copy, ASK)])
    before = _hash(config)
    frame = prices(shift="0.00010").iloc[150:]
    frame.iloc[7, 3] = frame.iloc[7, 2]
    add_bars(copy, frame, "ASK")
    assert _hash(config) != before
