from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from workbench.analysis.trades import build_trades, measure_trades
from workbench.errors import InputError

OPEN = {"ts_closed": None, "avg_px_close": None, "realized_pnl": "-2"}


def _pnls(make_positions, *pnls):
    return build_trades(make_positions(*({"realized_pnl": pnl} for pnl in pnls)), currency="USD")


def test_trades_worked_example(make_positions):
    positions = make_positions(
        {
            "ts_opened": "2024-01-03",
            "ts_closed": "2024-01-04",
            "entry": "SELL",
            "realized_pnl": "-50",
            "commissions": "1.5",
        },
        {},
    )
    trades = build_trades(positions, currency="USD")
    assert trades["side"].tolist() == ["LONG", "SHORT"]
    assert trades["net_pnl"].tolist() == [100, -50]
    assert trades["fees"].tolist() == [0, Decimal("1.5")]
    assert trades["held"].tolist() == [pd.Timedelta(hours=1), pd.Timedelta(days=1)]
    assert trades["entry_price"].tolist() == [Decimal("1.1")] * 2
    assert not trades["is_open"].any()
    assert trades["unknown"].isna().all()


def test_trades_convert_at_the_close_rate(make_positions):
    positions = make_positions(
        {
            "currency": "JPY",
            "commissions_currency": "JPY",
            "realized_pnl": "15000",
            "commissions": "300",
            "rate": "0.0067",
        }
    )
    trades = build_trades(positions, currency="USD")
    assert trades["net_pnl"].tolist() == [Decimal("100.5")]
    assert trades["fees"].tolist() == [Decimal("2.01")]


def test_trades_missing_rate_gives_no_number(make_positions):
    positions = make_positions({"currency": "JPY", "commissions_currency": "JPY", "rate": None}, {})
    trades = build_trades(positions, currency="USD")
    assert sorted(trades["net_pnl"], key=str) == [100, None]
    measured = measure_trades(trades)
    assert measured["trades"] == 2
    assert measured["average_holding_time"] == 3600.0
    assert (
        measured["expectancy"].reason
        == "net PnL is unknown for 1 of 2 trades: no rate from JPY to USD at the close"
    )


def test_trades_own_currency_needs_no_rate(make_positions):
    assert build_trades(make_positions({"rate": None}), currency="USD")["net_pnl"].tolist() == [100]


def test_trades_fees_in_the_reporting_currency_are_taken_off(make_positions):
    # Realised 1,000 JPY at 0.01; the fee of 3 USD is not part of it.
    positions = make_positions(
        {"currency": "JPY", "realized_pnl": "1000", "rate": "0.01", "commissions": "3"}
    )
    assert build_trades(positions, currency="USD")["net_pnl"].tolist() == [7]


@pytest.mark.parametrize(
    ("fees", "text"),
    [
        ({"commissions": "1", "commissions_currency": "BNB"}, "BNB"),
        ({"commissions": None, "commissions_currency": None}, "several"),
    ],
)
def test_trades_fees_without_rate_give_no_number(make_positions, fees, text):
    trades = build_trades(make_positions(fees), currency="USD")
    assert trades["net_pnl"].tolist() == [None]
    assert text in trades["unknown"].iloc[0]


def test_trades_open_position_is_listed_and_not_measured(make_positions):
    trades = build_trades(make_positions(OPEN, {}), currency="USD")
    assert trades["is_open"].sum() == 1
    measured = measure_trades(trades)
    assert (measured["trades"], measured["open_positions"]) == (1, 1)
    assert measured["expectancy"] == 100


def test_trades_only_open_positions_have_no_statistics(make_positions):
    trades = build_trades(make_positions(OPEN), currency="USD")
    assert trades["exit_time"].isna().all()
    assert measure_trades(trades)["win_rate"].reason == "no trade was closed"


def test_trades_empty_frame(make_positions):
    trades = build_trades(make_positions(), currency="USD")
    assert len(trades) == 0
    assert measure_trades(trades)["trades"] == 0


def test_trade_statistics_worked_example(make_positions):
    measured = measure_trades(_pnls(make_positions, "30", "-10", "0", "20"))
    assert measured["win_rate"] == 0.5
    assert measured["profit_factor"] == 5.0
    assert measured["average_win"] == 25
    assert measured["average_loss"] == -10
    assert measured["expectancy"] == 10
    assert (measured["best_trade"], measured["worst_trade"]) == (30, -10)


def test_trade_statistics_one_sided_results_have_reasons(make_positions):
    winning = measure_trades(_pnls(make_positions, "30"))
    assert winning["win_rate"] == 1.0
    assert winning["profit_factor"].reason == winning["average_loss"].reason == "no trade lost"
    losing = measure_trades(_pnls(make_positions, "-30"))
    assert losing["profit_factor"] == 0.0
    assert losing["average_win"].reason == "no trade won"


def test_trades_name_their_position_and_the_rate_of_their_money(make_positions):
    positions = make_positions({"currency": "JPY", "rate": "0.0067"}, {"rate": None}, {"position_id": "P-2"})
    trades = build_trades(positions, currency="USD")
    assert trades["position_id"].tolist() == ["P-1", "P-1", "P-2"]
    assert trades["settlement_currency"].tolist() == ["JPY", "USD", "USD"]
    assert trades["rate"].tolist() == [Decimal("0.0067"), 1, 1]
    without = build_trades(positions.drop(columns="position_id"), currency="USD")
    assert without["position_id"].tolist() == [None] * 3


def test_trades_bad_frames_are_refused(make_positions):
    with pytest.raises(InputError, match="has no column rate"):
        build_trades(make_positions({}).drop(columns="rate"), currency="USD")
    with pytest.raises(InputError, match="entry is HOLD"):
        build_trades(make_positions({"entry": "HOLD"}), currency="USD")
