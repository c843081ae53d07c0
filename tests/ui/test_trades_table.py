from __future__ import annotations

import pandas as pd
import pytest

from workbench.analysis.trades import build_trades
from workbench.errors import InputError
from workbench.ui.paging import TableState
from workbench.ui.report import RunView
from workbench.ui.trades_table import TradesTable, find_range, find_trade, select_trades


@pytest.fixture
def trades(run: RunView) -> pd.DataFrame:
    return build_trades(run.positions, currency="USD")


def test_trades_table_many_trades_states_how_many_are_shown(trades: pd.DataFrame) -> None:
    html = TradesTable(trades, "USD", first=3, last=2).build_html()
    assert f"first 3 and last 2 of {len(trades):,}" in html
    assert f"{len(trades) - 5:,} more, not shown here" in html
    assert html.count("<td>LONG</td>") + html.count("<td>SHORT</td>") == 5


def test_trades_table_few_trades_shows_each_once(trades: pd.DataFrame) -> None:
    html = TradesTable(trades.iloc[:15], "USD", first=10, last=10).build_html()
    assert "all 15" in html
    assert html.count("<tr id='wb-trade-") == 15
    assert html.count("GBP/USD.SIM") == 1  # one instrument is said once, several on each row


def test_trades_table_several_instruments_are_named_on_each_row(trades: pd.DataFrame) -> None:
    part = trades.iloc[:4].copy()
    part["instrument_id"] = ["A.SIM", "B.SIM"] * 2
    html = TradesTable(part, "USD").build_html()
    assert html.count(">A.SIM<") == html.count(">B.SIM<") == 2


def test_trades_table_values_have_the_instruments_decimals_and_a_sign(trades: pd.DataFrame) -> None:
    html = TradesTable(trades.iloc[:1], "USD").build_html()
    row = trades.iloc[0]
    assert f">{row['entry_price']:.5f}<" in html
    assert ">100,000<" in html
    assert f">{row['net_pnl']:+,.2f}<".replace("-", "−") in html


def test_trades_table_open_trade_says_open(trades: pd.DataFrame) -> None:
    part = trades.iloc[:1].copy()
    part["exit_time"] = pd.Series([pd.NaT], dtype="datetime64[ns, UTC]")
    part["held"] = pd.NaT
    part["exit_price"] = part["net_pnl"] = None
    html = TradesTable(part, "USD").build_html()
    assert ">open<" in html
    assert html.count(">—<") == 3  # when and at what price it ended, and what it made


def test_trades_table_ids_are_escaped(trades: pd.DataFrame) -> None:
    assert (
        "<i>" not in TradesTable(trades.iloc[:1].assign(instrument_id="<i>", side="<i>"), "USD").build_html()
    )


def test_trades_table_no_trades_shows_the_empty_state(trades: pd.DataFrame) -> None:
    assert "No trades" in TradesTable(trades.iloc[:0], "USD").build_html()


def test_trades_table_negative_count_raises(trades: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="0 or more"):
        TradesTable(trades, "USD", first=-1)


def test_trades_table_unknown_number_says_why(trades: pd.DataFrame) -> None:
    part = trades.iloc[:1].copy()
    part["mae"] = part["mfe"] = None
    part["excursion_unknown"] = "there are <no> prices"
    assert "title='there are &lt;no&gt; prices'>—<" in TradesTable(part, "USD").build_html()


def test_trades_table_of_two_years_writes_the_year_on_each_row(trades: pd.DataFrame) -> None:
    part = trades.iloc[:2].copy()
    part.loc[part.index[1], "exit_time"] = pd.Timestamp("2013-01-01", tz="UTC")
    html = TradesTable(part, "USD").build_html()
    assert ">2012-02-01 00:20<" in html
    assert ">02-01 00:20<" in TradesTable(trades.iloc[:1], "USD").build_html()


def test_select_trades_filters_by_result(trades: pd.DataFrame) -> None:
    won = select_trades(trades, TableState().filtered("result", "won"))
    lost = select_trades(trades, TableState().filtered("result", "lost"))
    assert (won["net_pnl"].map(float) > 0).all()
    assert (lost["net_pnl"].map(float) < 0).all()
    even = select_trades(trades, TableState().filtered("result", "even"))
    assert len(won) + len(lost) + len(even) == len(trades)
    part = trades.iloc[:3].copy()
    part.loc[part.index[0], "exit_time"] = pd.NaT
    assert select_trades(part, TableState().filtered("result", "open")).index.tolist() == [0]


def test_find_trade_takes_the_nearest_entry_or_exit(trades: pd.DataFrame) -> None:
    exit_ms = trades["exit_time"].iloc[500].timestamp() * 1_000
    assert find_trade(trades, "GBP/USD.SIM", exit_ms) in (500, 501)  # the next one begins where this one ends
    between = trades["entry_time"].iloc[500].timestamp() * 1_000 + 1
    assert find_trade(trades, "GBP/USD.SIM", between) in (499, 500)
    assert find_trade(trades, "EUR/USD.SIM", between) is None


def test_find_range_shows_the_trade_with_bars_around_it(trades: pd.DataFrame, prices: pd.DataFrame) -> None:
    trade = trades.iloc[3].to_dict()
    start, end = find_range(trade, prices)
    minute = 60_000
    assert start <= trade["entry_time"].timestamp() * 1_000 - 20 * minute
    assert end >= trade["exit_time"].timestamp() * 1_000 + 20 * minute
    still_open = {**trade, "exit_time": pd.NaT}
    assert find_range(still_open, prices)[1] > prices["ts"].iloc[-1].timestamp() * 1_000
