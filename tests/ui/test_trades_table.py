from __future__ import annotations

import pandas as pd
import pytest

from workbench.analysis.trades import build_trades
from workbench.errors import InputError
from workbench.ui.report import RunView
from workbench.ui.trades_table import TradesTable


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
    assert html.count("GBP/USD.SIM") == 15


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
    assert html.count(">—<") == 2


def test_trades_table_ids_are_escaped(trades: pd.DataFrame) -> None:
    assert (
        "<i>" not in TradesTable(trades.iloc[:1].assign(instrument_id="<i>", side="<i>"), "USD").build_html()
    )


def test_trades_table_no_trades_shows_the_empty_state(trades: pd.DataFrame) -> None:
    assert "No trades" in TradesTable(trades.iloc[:0], "USD").build_html()


def test_trades_table_negative_count_raises(trades: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="0 or more"):
        TradesTable(trades, "USD", first=-1)
