from __future__ import annotations

import pandas as pd
import pytest

from workbench.analysis.breakdown import build_breakdown
from workbench.analysis.trades import build_trades
from workbench.ui.breakdown_table import BreakdownTable
from workbench.ui.formats import format_decimal
from workbench.ui.run_view import RunView


@pytest.fixture(scope="module")
def trades(run: RunView) -> pd.DataFrame:
    return build_trades(run.positions, currency="USD")


def test_breakdown_table_shows_the_sum_of_each_group(trades: pd.DataFrame) -> None:
    html = BreakdownTable(build_breakdown(trades, by="side"), "USD").build_html()
    for side in ("LONG", "SHORT"):
        total = sum(trades[trades["side"] == side]["net_pnl"])
        assert f">{format_decimal(total, 2, is_signed=True)}<" in html
    assert "width:100.0%" in html  # the bar of the largest


def test_breakdown_table_hours_are_written_as_times(trades: pd.DataFrame) -> None:
    html = BreakdownTable(build_breakdown(trades, by="hour"), "USD").build_html()
    assert ">09:00<" in html
    assert html.count("<tr>") == 1 + 24


def test_breakdown_table_without_trades_says_so(trades: pd.DataFrame) -> None:
    html = BreakdownTable(build_breakdown(trades.iloc[:0], by="side"), "USD").build_html()
    assert "No trades to compare" in html
