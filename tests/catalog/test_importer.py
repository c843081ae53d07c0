from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import Bar, BarType, QuoteTick, TradeTick
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.wranglers import (
    BarDataWrangler,
    QuoteTickDataWrangler,
    TradeTickDataWrangler,
)
from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

from workbench.catalog.importer import ImportConfig, ImportProgress, ImportReport, import_file, import_files
from workbench.catalog.instruments import build_instrument
from workbench.errors import DataError, ExistsError, InputError, NotFoundError

WriteText = Callable[..., Path]
MINUTE = 60 * 10**9
BARS = "timestamp,open,high,low,close\n"
BAR_ROWS = [
    "2012-02-01 00:00:00+00:00,1.50000,1.50010,1.49990,1.50005",
    "2012-02-01 00:01:00+00:00,1.50005,1.50010,1.50000,1.50001",
    "2012-02-01 00:02:00+00:00,1.50001,1.50020,1.50000,1.50015",
]
QUOTES = "timestamp,bid,ask\n"
TRADES = "timestamp,price,size,side,trade_id\n"


def lines(header: str, *rows: str) -> str:
    return header + "".join(f"{row}\n" for row in rows)


def assert_equal_to_nautilus(report: ImportReport, catalog: Path, cls: type, expected: list[Any]) -> None:
    """Compare file and query with what nautilus's own wrangler made: schema, metadata, and every row."""
    table = ArrowSerializer.serialize_batch(expected, data_cls=cls)
    with pq.ParquetFile(report.file) as file:
        stored = file.read()
    assert stored.schema.equals(table.schema, check_metadata=True)
    assert stored.combine_chunks().equals(table.combine_chunks())
    # Objects from a query and objects made in Python cannot be compared with ==: nautilus aborts on it.
    rows = ParquetDataCatalog(str(catalog)).query(cls)
    assert [cls.to_dict(row) for row in rows] == [cls.to_dict(row) for row in expected]


@pytest.mark.data
@pytest.mark.parametrize("side", ["bid", "ask"])
def test_bars_of_fxcm_equal_nautilus_row_by_row(
    catalog: Path, test_data: Path, gbpusd: Instrument, side: str
) -> None:
    path = test_data / "fxcm" / f"gbpusd-m1-{side}-2012.csv"
    bar_type = f"GBP/USD.FXCM-1-MINUTE-{side.upper()}-EXTERNAL"
    config = ImportConfig(data_type="bars", instrument_id="GBP/USD.FXCM", bar_type=bar_type, stamp="open")
    report = import_file(path, catalog, config, instrument=gbpusd)
    frame = pd.read_csv(path, index_col="timestamp", parse_dates=True)
    frame.index = frame.index + pd.Timedelta(minutes=1)
    expected = BarDataWrangler(BarType.from_str(bar_type), gbpusd).process(frame)
    assert report.rows_written == 30_117
    assert any("1,000,000 everywhere" in decision for decision in report.decisions)
    assert_equal_to_nautilus(report, catalog, Bar, expected)


BTC_PERP = ImportConfig(
    data_type="bars", instrument_id="BTCUSD-PERP.X", bar_type="1-MINUTE-LAST", stamp="close", tz="UTC"
)


@pytest.mark.data
def test_bars_of_the_btc_perpetual_equal_nautilus_but_for_those_that_do_not_fit(
    catalog: Path, test_data: Path
) -> None:
    path = test_data / "crypto" / "btc-perp-20211231-20220201_1m.csv"
    instrument = build_instrument("crypto_perpetual", "BTCUSD-PERP.X", price_precision=1, size_precision=4)
    # Two gaps of the file were filled by interpolation, with more decimals than any real bar has.
    with pytest.raises(
        DataError, match=r"14 rows are refused: 10 price.*4 size.*--price-precision 3 and --size-prec"
    ):
        import_file(path, catalog, BTC_PERP, instrument=instrument)
    assert not catalog.exists()
    report = import_file(
        path, catalog, msgspec.structs.replace(BTC_PERP, on_error="drop"), instrument=instrument
    )
    assert report.rows_read - report.rows_written == sum(report.dropped.values()) == 14
    frame = pd.read_csv(path, index_col="timestamp", parse_dates=True)
    assert report.dropped_file is not None
    dropped = [json.loads(line)["line"] - 2 for line in Path(report.dropped_file).read_text().splitlines()]
    frame = frame.drop(frame.index[dropped])
    volume = frame.pop("volume")
    frame["volume"] = volume  # in a block of its own: the wrangler cannot read a frame of one block
    expected = BarDataWrangler(BarType.from_str(report.identifier), instrument).process(frame)
    assert_equal_to_nautilus(report, catalog, Bar, expected)


@pytest.mark.data
def test_bars_of_the_btc_perpetual_with_all_their_digits_are_those_of_the_text(
    catalog: Path, test_data: Path
) -> None:
    # Not equal to the wrangler here: it reads 74007777.8817 as a float and stores 74007777.88169999360.
    path = test_data / "crypto" / "btc-perp-20211231-20220201_1m.csv"
    instrument = build_instrument("crypto_perpetual", "BTCUSD-PERP.X", price_precision=3, size_precision=11)
    report = import_file(path, catalog, BTC_PERP, instrument=instrument)
    rows = [line.split(",")[1:] for line in path.read_text().splitlines()[1:]]
    bars = ParquetDataCatalog(str(catalog)).bars()
    assert report.rows_written == len(bars) == len(rows)
    for bar, row in zip(bars, rows, strict=True):
        values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert [value.as_decimal() for value in values] == [Decimal(text) for text in row]


@pytest.mark.data
def test_quotes_of_truefx_equal_nautilus_row_by_row(
    catalog: Path, test_data: Path, usdjpy: Instrument
) -> None:
    path = test_data / "truefx" / "usdjpy-ticks.csv"
    config = ImportConfig(data_type="quotes", instrument_id="USD/JPY.TRUEFX", default_size="500000")
    report = import_file(path, catalog, config, instrument=usdjpy)
    frame = pd.read_csv(path, index_col="timestamp")
    frame.index = pd.to_datetime(frame.index, format="ISO8601", utc=True)
    expected = QuoteTickDataWrangler(usdjpy).process(frame, default_volume=500_000.0)
    assert report.rows_written == 1_000
    assert_equal_to_nautilus(report, catalog, QuoteTick, expected)


@pytest.mark.data
def test_quotes_of_binance_equal_nautilus_row_by_row(
    catalog: Path, test_data: Path, btcusdt: Instrument
) -> None:
    path = test_data / "binance" / "btcusdt-quotes.parquet"
    config = ImportConfig(data_type="quotes", instrument_id="BTCUSDT.BINANCE", ignore_columns=("symbol",))
    report = import_file(path, catalog, config, instrument=btcusdt)
    frame = pd.read_parquet(path).set_index("timestamp")
    assert_equal_to_nautilus(report, catalog, QuoteTick, QuoteTickDataWrangler(btcusdt).process(frame))


@pytest.mark.data
def test_trades_of_binance_equal_nautilus_row_by_row(
    catalog: Path, test_data: Path, btcusdt: Instrument, trades: ImportConfig
) -> None:
    path = test_data / "binance" / "btcusdt-trades.parquet"
    report = import_file(path, catalog, trades, instrument=btcusdt)
    frame = pd.read_parquet(path).set_index("timestamp")
    # The file has text where the wrangler tests for True: it would take every trade for a buy.
    frame["buyer_maker"] = [value == "True" for value in frame["buyer_maker"]]
    frame["buyer_maker"] = frame["buyer_maker"].astype(object)
    assert report.rows_written == 2_001
    assert_equal_to_nautilus(report, catalog, TradeTick, TradeTickDataWrangler(btcusdt).process(frame))


@pytest.mark.data
def test_trades_of_tardis_equal_nautilus_row_by_row(catalog: Path, test_data: Path) -> None:
    path = test_data / "tardis" / "bitmex_trades_XBTUSD.csv"
    instrument = build_instrument(
        "crypto_perpetual",
        "XBTUSD.BITMEX",
        price_precision=1,
        size_precision=0,
        base_currency="BTC",
        quote_currency="USD",
        settlement_currency="BTC",
    )
    config = ImportConfig(
        data_type="trades",
        instrument_id="XBTUSD.BITMEX",
        unit="us",
        ignore_columns=("exchange", "symbol", "local_timestamp"),
    )
    report = import_file(path, catalog, config, instrument=instrument)
    frame = pd.read_csv(path)
    frame.index = pd.to_datetime(frame["timestamp"], unit="us", utc=True)
    frame = frame.rename(columns={"amount": "quantity", "id": "trade_id"})
    assert_equal_to_nautilus(report, catalog, TradeTick, TradeTickDataWrangler(instrument).process(frame))


@pytest.mark.data
@pytest.mark.parametrize(("bits", "message"), [(64, "64-bit prices"), (128, "128-bit prices")])
def test_files_of_a_nautilus_catalog_are_refused(
    catalog: Path, test_data: Path, gbpusd: Instrument, quotes: ImportConfig, bits: int, message: str
) -> None:
    path = test_data / "nautilus-parquet" / f"quotes-{bits}bit.parquet"
    with pytest.raises(InputError, match=message):
        import_file(path, catalog, quotes, instrument=gbpusd)
    assert not catalog.exists()


FLAWED_BARS = {
    "price does not fit": "2012-02-01 00:01:00+00:00,1.500051,1.50010,1.50000,1.50001",
    "time stamp goes back": "2012-01-31 23:00:00+00:00,1.50005,1.50010,1.50000,1.50001",
    "repeated time stamp": "2012-02-01 00:00:00+00:00,1.50005,1.50010,1.50000,1.50001",
    "contradict open and close": "2012-02-01 00:01:00+00:00,1.50015,1.50010,1.50000,1.50001",
    "price not positive": "2012-02-01 00:01:00+00:00,1.50005,1.50010,-1.50000,1.50001",
    "unreadable time stamp": "2012-02-31 00:01:00+00:00,1.50005,1.50010,1.50000,1.50001",
    "missing value": "2012-02-01 00:01:00+00:00,1.50005,,1.50000,1.50001",
    "not a number": "2012-02-01 00:01:00+00:00,1.50005,high,1.50000,1.50001",
    "value out of range": "2012-02-01 00:01:00+00:00,1.50005,99999999999999,1.50000,1.50001",
    "wrong number of columns": "2012-02-01 00:01:00+00:00,1.50005,1.50010,1.50000",
}


@pytest.mark.parametrize(("reason", "row"), FLAWED_BARS.items())
def test_flawed_bar_is_refused_with_its_line_or_dropped_and_written_down(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig, reason: str, row: str
) -> None:
    path = write_text(lines(BARS, BAR_ROWS[0], row, BAR_ROWS[2]))
    with pytest.raises(DataError, match=rf"1 row is refused: 1 [^;]*{reason}[^;]* \(line 3\)"):
        import_file(path, catalog, bars, instrument=gbpusd)
    assert not catalog.exists()
    report = import_file(path, catalog, msgspec.structs.replace(bars, on_error="drop"), instrument=gbpusd)
    assert (report.rows_read, report.rows_written, list(report.dropped.values())) == (3, 2, [1])
    assert report.dropped_file is not None
    [record] = [json.loads(line) for line in Path(report.dropped_file).read_text().splitlines()]
    assert record["line"] == 3
    assert reason in record["reason"]
    assert record.get("text") == row or ",".join(record["values"].values()) == row
    store = ParquetDataCatalog(str(catalog))
    assert [bar.ts_init // MINUTE % 60 for bar in store.bars()] == [1, 3]
    assert store.list_data_types() == ["bar", "currency_pair"]
    assert [instrument.id for instrument in store.instruments()] == [gbpusd.id]


FLAWED_QUOTES = {
    "crossed quote": "2012-02-01 00:01:00Z,1.50002,1.50001,1,1",
    "repeated row": "2012-02-01 00:00:00Z,1.50000,1.50001,1,1",
    "negative size": "2012-02-01 00:01:00Z,1.50000,1.50001,-1,1",
    "size does not fit": "2012-02-01 00:01:00Z,1.50000,1.50001,0.5,1",
    "time stamp goes back": "2012-01-01 00:01:00Z,1.50000,1.50001,1,1",
}


@pytest.mark.parametrize(("reason", "row"), FLAWED_QUOTES.items())
def test_flawed_quote_is_refused_with_its_line(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, quotes: ImportConfig, reason: str, row: str
) -> None:
    header = "timestamp,bid,ask,bid_size,ask_size\n"
    sound = ["2012-02-01 00:00:00Z,1.50000,1.50001,1,1", "2012-02-01 00:00:00Z,1.50000,1.50000,1,0"]
    path = write_text(lines(header, *sound, row))
    with pytest.raises(DataError, match=rf"1 row is refused: 1 {reason}[^;]* \(line 4\)"):
        import_file(path, catalog, quotes, instrument=gbpusd)
    report = import_file(path, catalog, msgspec.structs.replace(quotes, on_error="drop"), instrument=gbpusd)
    assert report.rows_written == 2


FLAWED_TRADES = {
    "size of zero": "2021-01-08 00:00:01Z,100.00,0,buy,b",
    "unreadable side": "2021-01-08 00:00:01Z,100.00,1,up,b",
    "repeated trade id": "2021-01-08 00:00:01Z,100.00,1,buy,a",
    "trade id empty": "2021-01-08 00:00:01Z,100.00,1,buy,",
    "longer than 36": f"2021-01-08 00:00:01Z,100.00,1,buy,{'x' * 37}",
    "not ASCII": "2021-01-08 00:00:01Z,100.00,1,buy,é",
}


@pytest.mark.parametrize(("reason", "row"), FLAWED_TRADES.items())
def test_flawed_trade_is_refused_with_its_line(
    catalog: Path, write_text: WriteText, btcusdt: Instrument, trades: ImportConfig, reason: str, row: str
) -> None:
    path = write_text(
        lines(TRADES, "2021-01-08 00:00:00Z,100.00,1,sell,a", row, "2021-01-08 00:00:02Z,1,1,BUY,c")
    )
    with pytest.raises(DataError, match=rf"1 row is refused: 1 [^;]*{reason}[^;]* \(line 3\)"):
        import_file(path, catalog, trades, instrument=btcusdt)
    report = import_file(path, catalog, msgspec.structs.replace(trades, on_error="drop"), instrument=btcusdt)
    assert [str(t.trade_id) for t in ParquetDataCatalog(str(catalog)).trade_ticks()] == ["a", "c"]
    assert report.rows_written == 2


def test_flaws_of_several_kinds_are_all_counted(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, BAR_ROWS[0], *FLAWED_BARS.values(), BAR_ROWS[1], BAR_ROWS[1]))
    with pytest.raises(DataError) as caught:
        import_file(path, catalog, bars, instrument=gbpusd)
    assert "11 rows are refused: 2 repeated time stamp (lines 5, 14);" in str(caught.value)
    assert "1 wrong number of columns (truncated?) (line 12)" in str(caught.value)


def test_file_of_flawed_rows_only_is_refused_even_when_dropping(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, FLAWED_BARS["not a number"]))
    with pytest.raises(DataError, match="no sound row"):
        import_file(path, catalog, msgspec.structs.replace(bars, on_error="drop"), instrument=gbpusd)
    assert not catalog.exists()


def test_file_cut_off_within_its_last_line_is_refused(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    text = lines(BARS, *BAR_ROWS)
    with pytest.raises(DataError, match=r"last line without a line break \(truncated\?\) \(line 4\)"):
        import_file(write_text(text[:-3]), catalog, bars, instrument=gbpusd)
    with pytest.raises(DataError, match=r"wrong number of columns \(truncated\?\) \(line 4\)"):
        import_file(write_text(text[:-20]), catalog, bars, instrument=gbpusd)
    drop = msgspec.structs.replace(bars, on_error="drop")
    assert import_file(write_text(text[:-3]), catalog, drop, instrument=gbpusd).rows_written == 2


def test_truncated_parquet_is_refused(
    catalog: Path, tmp_path: Path, gbpusd: Instrument, quotes: ImportConfig
) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"timestamp": [1], "bid": [1.5], "ask": [1.5]}), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="no readable Parquet file"):
        import_file(path, catalog, quotes, instrument=gbpusd)


def test_same_file_again_changes_nothing_and_says_so(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, *BAR_ROWS))
    first = import_file(path, catalog, bars, instrument=gbpusd)
    before = {file: file.stat().st_mtime_ns for file in catalog.rglob("*") if file.is_file()}
    again = import_file(path, catalog, bars, instrument=gbpusd)
    assert (first.outcome, again.outcome) == ("written", "unchanged")
    assert first.content_sha256 == again.content_sha256
    assert {file: file.stat().st_mtime_ns for file in catalog.rglob("*") if file.is_file()} == before


def test_corrected_file_needs_replace(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    import_file(write_text(lines(BARS, *BAR_ROWS)), catalog, bars, instrument=gbpusd)
    path = write_text(lines(BARS, BAR_ROWS[0], BAR_ROWS[1].replace("1.50001", "1.50002"), BAR_ROWS[2]))
    with pytest.raises(ExistsError, match="--replace"):
        import_file(path, catalog, bars)
    report = import_file(path, catalog, msgspec.structs.replace(bars, replace=True))
    assert report.outcome == "replaced"
    assert str(ParquetDataCatalog(str(catalog)).bars()[1].close) == "1.50002"


def test_bom_semicolons_decimal_commas_and_blank_lines_are_read_when_stated(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    rows = [row.replace(",", ";").replace(".", ",") for row in BAR_ROWS]
    text = b"\xef\xbb\xbf" + lines(BARS.replace(",", ";"), rows[0], "", *rows[1:], "", "").encode()
    path = write_text(text.replace(b"\n", b"\r\n"))
    with pytest.raises(DataError, match=r"3 not a number \(lines 2, 4, 5\).*--decimal ,"):
        import_file(path, catalog, bars, instrument=gbpusd)
    report = import_file(path, catalog, msgspec.structs.replace(bars, decimal_mark=","), instrument=gbpusd)
    assert report.rows_written == report.rows_read == 3
    assert str(ParquetDataCatalog(str(catalog)).bars()[2].high) == "1.50020"


def test_stamps_of_bars_must_be_stated_and_open_ones_move_to_the_close(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, *BAR_ROWS))
    with pytest.raises(InputError, match="add --stamp open if so"):
        import_file(path, catalog, msgspec.structs.replace(bars, stamp=None), instrument=gbpusd)
    opened = import_file(path, catalog / "open", bars, instrument=gbpusd)
    closed = import_file(
        path, catalog / "close", msgspec.structs.replace(bars, stamp="close"), instrument=gbpusd
    )
    assert opened.start_ns == closed.start_ns + MINUTE
    bar = ParquetDataCatalog(str(catalog / "open")).bars()[0]
    assert bar.ts_event == bar.ts_init == opened.start_ns


def test_daily_bars_of_dates_close_at_the_next_local_midnight(catalog: Path, write_text: WriteText) -> None:
    equity = build_instrument("equity", "AAPL.XNAS")
    config = ImportConfig(data_type="bars", instrument_id="AAPL.XNAS", bar_type="1-DAY-LAST", stamp="open")
    rows = ["2012-03-09,1,2,1,2,100", "2012-03-10,1,2,1,2,100", "2012-03-11,1,2,1,2,0"]
    path = write_text(lines("Date,Open,High,Low,Close,Volume\n", *rows))
    with pytest.raises(InputError, match="--tz"):
        import_file(path, catalog, config, instrument=equity)
    report = import_file(
        path, catalog, msgspec.structs.replace(config, tz="America/New_York"), instrument=equity
    )
    stamps = [
        pd.Timestamp(bar.ts_event, tz="America/New_York") for bar in ParquetDataCatalog(str(catalog)).bars()
    ]
    assert [str(stamp) for stamp in stamps] == [
        "2012-03-10 00:00:00-05:00",
        "2012-03-11 00:00:00-05:00",
        "2012-03-12 00:00:00-04:00",
    ]
    assert report.rows_written == 3


def test_bars_closer_than_their_type_are_refused_and_farther_ones_noted(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, *BAR_ROWS))
    config = msgspec.structs.replace(bars, bar_type="5-MINUTE-BID", on_error="drop")
    with pytest.raises(DataError, match="only 60 s apart"):
        import_file(path, catalog, config, instrument=gbpusd)
    report = import_file(
        path, catalog, msgspec.structs.replace(bars, bar_type="1-SECOND-BID"), instrument=gbpusd
    )
    assert any("closer than 60 s" in decision for decision in report.decisions)


def test_negative_prices_are_taken_where_the_instrument_or_the_caller_allows_them(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, "2020-04-20 18:00:00Z,-1,0,-37.63,-37.63"))
    allowed = msgspec.structs.replace(bars, allow_negative_prices=True)
    assert import_file(path, catalog, allowed, instrument=gbpusd).rows_written == 1
    assert str(ParquetDataCatalog(str(catalog)).bars()[0].low) == "-37.63000"


def test_trades_without_side_and_id_get_none_and_one_made_of_their_time(
    catalog: Path, write_text: WriteText, btcusdt: Instrument, trades: ImportConfig
) -> None:
    rows = ["2021-01-08 00:00:00Z,100,1", "2021-01-08 00:00:00Z,100,1", "2021-01-08 00:00:01Z,100,1"]
    report = import_file(write_text(lines("time,price,qty\n", *rows)), catalog, trades, instrument=btcusdt)
    ticks = ParquetDataCatalog(str(catalog)).trade_ticks()
    assert [str(tick.trade_id) for tick in ticks] == [
        "1610064000000000000-1",
        "1610064000000000000-2",
        "1610064001000000000-1",
    ]
    assert {tick.aggressor_side.name for tick in ticks} == {"NO_AGGRESSOR"}
    assert sum("no " in decision for decision in report.decisions) == 2


def test_trades_over_batches_keep_their_running_numbers_and_find_repeated_ids(
    catalog: Path, tmp_path: Path, btcusdt: Instrument, trades: ImportConfig
) -> None:
    count = 150_000  # more than two batches
    stamps = pa.array([1_610_064_000_000] * count, pa.timestamp("ms", "UTC"))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"timestamp": stamps, "price": [1.5] * count, "size": [1.0] * count}), path)
    report = import_file(path, catalog, trades, instrument=btcusdt)
    with pq.ParquetFile(report.file) as file:
        ids = file.read(["trade_id"]).column(0).to_pylist()
    assert ids == [f"1610064000000000000-{i + 1}" for i in range(count)]
    for ids in ([*range(1, count), 7], [f"x{i}" for i in range(count - 1)] + ["x7"]):
        table = pa.table(
            {"timestamp": stamps, "price": [1.5] * count, "size": [1.0] * count, "trade_id": ids}
        )
        pq.write_table(table, path)
        with pytest.raises(DataError, match=rf"1 repeated trade id \(row {count}\)"):
            import_file(path, catalog / "other", trades, instrument=btcusdt)


def test_long_csv_is_checked_over_its_batches(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, quotes: ImportConfig
) -> None:
    stamps = pd.date_range("2012-02-01", periods=200_000, freq="100ms", tz="UTC").strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )
    rows = [f"{stamp},1.5{i % 1000:04d},1.6" for i, stamp in enumerate(stamps)]
    rows[150_000] = f"{stamps[5]},1.5,1.6"
    rows[120_000] += ",extra"
    rows[180_000] = f"{stamps[180_000]},1.7,1.6"
    path = write_text(lines(QUOTES, *rows))
    assert path.stat().st_size > 4 << 20
    with pytest.raises(DataError) as caught:
        import_file(path, catalog, quotes, instrument=gbpusd)
    for clause in ("columns (truncated?) (line 120002)", "goes back (line 150002)", "ask) (line 180002)"):
        assert clause in str(caught.value)
    report = import_file(path, catalog, msgspec.structs.replace(quotes, on_error="drop"), instrument=gbpusd)
    assert report.rows_written == 199_997
    assert report.dropped_file is not None
    dropped = [json.loads(line)["line"] for line in Path(report.dropped_file).read_text().splitlines()]
    assert sorted(dropped) == [120_002, 150_002, 180_002]


def test_progress_rises_to_the_end_and_an_error_in_it_cancels_cleanly(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, quotes: ImportConfig
) -> None:
    stamps = pd.date_range("2012-02-01", periods=200_000, freq="100ms", tz="UTC").strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )
    path = write_text(lines(QUOTES, *(f"{stamp},1.5,1.6" for stamp in stamps)))
    seen: list[ImportProgress] = []

    def cancel(progress: ImportProgress) -> None:
        seen.append(progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(path, catalog, quotes, instrument=gbpusd, progress=cancel)
    assert not catalog.exists()
    seen.clear()
    import_file(path, catalog, quotes, instrument=gbpusd, progress=seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert seen[-1].rows == 200_000


def test_import_killed_in_the_middle_claims_nothing_and_works_again(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, quotes: ImportConfig
) -> None:
    stamps = pd.date_range("2012-02-01", periods=200_000, freq="100ms", tz="UTC").strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )
    path = write_text(lines(QUOTES, *(f"{stamp},1.5,1.6" for stamp in stamps)))
    code = """
import sys
from workbench.catalog.importer import ImportConfig, import_file
from workbench.catalog.instruments import build_instrument
def stop(progress):
    print("reading", flush=True)
    sys.stdin.read()
config = ImportConfig(data_type="quotes", instrument_id="GBP/USD.FXCM")
import_file(sys.argv[1], sys.argv[2], config, instrument=build_instrument("fx_pair", "GBP/USD.FXCM"), progress=stop)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(catalog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "reading\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    store = ParquetDataCatalog(str(catalog))
    assert store.get_intervals(QuoteTick, "GBP/USD.FXCM") == []
    assert store.quote_ticks() == []
    report = import_file(path, catalog, quotes, instrument=gbpusd)
    assert report.outcome == "written"
    assert len(store.quote_ticks()) == 200_000
    assert [file.name for file in catalog.rglob("*.tmp")] == []


def test_several_files_of_a_dataset_are_imported_in_turn(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    paths = [write_text(lines(BARS, row), f"{i}.csv") for i, row in enumerate(BAR_ROWS)]
    reports = import_files(paths, catalog, bars, instrument=gbpusd)
    assert [report.rows_written for report in reports] == [1, 1, 1]
    assert len(ParquetDataCatalog(str(catalog)).bars()) == 3


def test_instrument_that_is_not_defined_is_asked_for(
    catalog: Path, write_text: WriteText, bars: ImportConfig
) -> None:
    with pytest.raises(NotFoundError, match="--kind"):
        import_file(write_text(lines(BARS, *BAR_ROWS)), catalog, bars)
    assert not catalog.exists()


def test_instrument_that_differs_is_refused_unless_replaced(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig
) -> None:
    path = write_text(lines(BARS, *BAR_ROWS))
    import_file(path, catalog, bars, instrument=gbpusd)
    dearer = build_instrument("fx_pair", "GBP/USD.FXCM", taker_fee="0.001")
    with pytest.raises(ExistsError, match=r"taker_fee 0\.00002 is now 0\.001"):
        import_file(path, catalog, bars, instrument=dearer)
    import_file(path, catalog, msgspec.structs.replace(bars, replace_instrument=True), instrument=dearer)
    [stored] = ParquetDataCatalog(str(catalog)).instruments()
    assert str(stored.taker_fee) == "0.001"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bar_type": None}, "no bar type"),
        ({"bar_type": "1-MINIT-BID"}, "no bar type of GBP/USD.FXCM"),
        ({"bar_type": "7-MINUTE-BID"}, "no bar type"),
        ({"bar_type": "EUR/USD.FXCM-1-MINUTE-BID-EXTERNAL"}, "no bar type of GBP/USD.FXCM"),
        ({"bar_type": "1-MINUTE-BID-INTERNAL"}, "nautilus makes itself"),
        ({"bar_type": "1-MONTH-BID"}, "no fixed length"),
        ({"instrument_id": "GBPUSD"}, "no instrument id"),
        ({"instrument_id": "../GBP.X"}, "no instrument id"),
        ({"instrument_id": "GBP/USÐ.X"}, "no instrument id"),
        ({"tz": "Mars"}, "no time zone"),
        ({"unit": "ms"}, "unit 'ms' is stated"),
        ({"mapping": {"opening": "open"}}, "no field 'opening'"),
        ({"mapping": {"open": "first"}}, "no column 'first'"),
        ({"ignore_columns": ("first",)}, "no column 'first'"),
        ({"ignore_columns": ("close",)}, "no column for close"),
        ({"default_size": "0.5"}, "does not fit the size precision"),
        ({"default_size": "many"}, "is no number"),
        ({"data_type": "quotes", "bar_type": None, "stamp": None}, "no column for bid, ask"),
        ({"data_type": "quotes"}, "--bar-type is stated for quotes"),
        ({"data_type": "candles"}, "no data type"),
    ],
)
def test_wrong_configuration_is_refused_with_one_line(
    catalog: Path,
    write_text: WriteText,
    gbpusd: Instrument,
    bars: ImportConfig,
    changes: dict[str, Any],
    message: str,
) -> None:
    path = write_text(lines(BARS, *BAR_ROWS))
    config = msgspec.structs.replace(bars, **changes)
    with pytest.raises(InputError, match=message) as caught:
        import_file(path, catalog, config, instrument=gbpusd)
    assert "\n" not in str(caught.value)
    assert not catalog.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "no header"),
        (BARS.encode(), "no rows"),
        (b"\xff\xfet\x00i\x00", "no UTF-8"),
        (b"a\0b", "no UTF-8"),
        (b"timestamp,open,high,low,close,close\n1,2,3,4,5,5\n", "more than one column 'close'"),
        (
            b"timestamp,open,high,low,close,mood\n1,2,3,4,5,5\n",
            "unknown columns: 'mood'.*--ignore-columns mood",
        ),
        (BAR_ROWS[0].encode() + b"\n", "values .* instead of column names.*--columns"),
        (b"PAR1", "no readable Parquet"),
        (b"time,open,high,low,close\n1 Feb 2012,1,1,1,1\n", "starts with '1 Feb 2012'"),
        (BARS.encode() + b"2012-02-01 00:00:00Z,1,1,1,\xff\xfe\n", "cannot be read as text"),
    ],
)
def test_file_that_cannot_be_read_is_refused_with_one_line(
    catalog: Path, write_text: WriteText, gbpusd: Instrument, bars: ImportConfig, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        import_file(write_text(content), catalog, bars, instrument=gbpusd)
    assert "\n" not in str(caught.value)
    assert not catalog.exists()


def test_path_that_is_missing_or_a_directory_is_refused(
    catalog: Path, tmp_path: Path, gbpusd: Instrument, bars: ImportConfig
) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        import_file(tmp_path / "no.csv", catalog, bars, instrument=gbpusd)
    with pytest.raises(InputError, match="is a directory"):
        import_file(tmp_path, catalog, bars, instrument=gbpusd)
