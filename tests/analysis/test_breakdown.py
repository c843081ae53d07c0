from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.breakdown import BREAKDOWNS, build_breakdown
from workbench.analysis.trades import build_trades
from workbench.errors import InputError

OPEN = {"ts_closed": None, "avg_px_close": None, "realized_pnl": "-2"}


def _trade(opened, pnl="1", **fields):
    return {"ts_opened": opened, "ts_closed": "2024-06-01", "realized_pnl": pnl, **fields}


def test_breakdown_by_side(make_positions):
    positions = make_positions(
        {}, {"entry": "SELL", "realized_pnl": "-40"}, {"entry": "SELL", "realized_pnl": "10"}
    )
    summary = build_breakdown(build_trades(positions, currency="USD"), by="side")
    assert summary.index.tolist() == ["LONG", "SHORT"]
    assert summary["trades"].tolist() == [1, 2]
    assert summary["net_pnl"].tolist() == [100, -30]
    assert summary["expectancy"].tolist() == [100, -15]
    assert summary.loc["SHORT", "profit_factor"] == 0.25
    assert pd.isna(summary.loc["LONG", "profit_factor"])


def test_breakdown_by_time_is_in_the_order_of_time(make_positions):
    # Wednesday 23:59, Monday 00:00 and Monday 09:30 of other months.
    positions = make_positions(
        _trade("2024-01-03 23:59", "10"),
        _trade("2024-02-05 00:00", "-4"),
        _trade("2023-12-04 09:30", "6", commissions="1.5"),
    )
    trades = build_trades(positions, currency="USD")
    hours = build_breakdown(trades, by="hour")
    assert hours.index.tolist() == [0, 9, 23]
    assert hours["net_pnl"].tolist() == [-4, 6, 10]
    weekdays = build_breakdown(trades, by="weekday")
    assert weekdays.index.tolist() == ["Monday", "Wednesday"]
    assert weekdays["net_pnl"].tolist() == [2, 10]
    assert weekdays["win_rate"].tolist() == [0.5, 1.0]
    assert weekdays["fees"].tolist() == [Decimal("1.5"), 0]
    months = build_breakdown(trades, by="month")
    assert months.index.tolist() == ["2023-12", "2024-01", "2024-02"]
    assert months["trades"].tolist() == [1, 1, 1]


def test_breakdown_open_trades_count_and_have_no_money(make_positions):
    summary = build_breakdown(build_trades(make_positions(OPEN), currency="USD"))
    assert summary["trades"].tolist() == [0]
    assert summary["open_positions"].tolist() == [1]
    assert summary["expectancy"].tolist() == [None]


def test_breakdown_missing_rate_gives_no_number(make_positions):
    positions = make_positions({"currency": "JPY", "commissions_currency": "JPY", "rate": None}, {})
    assert build_breakdown(build_trades(positions, currency="USD"))["net_pnl"].tolist() == [None]


@pytest.mark.parametrize("by", BREAKDOWNS)
def test_breakdown_without_trades_is_empty(make_positions, by):
    summary = build_breakdown(build_trades(make_positions(), currency="USD"), by=by)
    assert len(summary) == 0
    assert summary.index.name == by
    assert "net_pnl" in summary.columns


def test_breakdown_by_something_else_is_refused(make_positions):
    with pytest.raises(InputError, match=r"expected instrument_id, .* or month") as caught:
        build_breakdown(build_trades(make_positions({}), currency="USD"), by="year")
    assert caught.value.field == "by"


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 24 * 400), st.sampled_from(["BUY", "SELL"]), st.decimals("-1e6", "1e6", places=2)
        ),
        min_size=1,
        max_size=20,
    ),
    by=st.sampled_from(BREAKDOWNS),
)
def test_breakdown_groups_add_up_to_the_whole(make_positions, rows, by):
    start = pd.Timestamp("2024-01-01")
    positions = make_positions(
        *(_trade(str(start + pd.Timedelta(hours=h)), str(pnl), entry=side) for h, side, pnl in rows)
    )
    summary = build_breakdown(build_trades(positions, currency="USD"), by=by)
    assert summary["trades"].sum() == len(rows)
    assert sum(summary["net_pnl"]) == sum(pnl for _, _, pnl in rows)
