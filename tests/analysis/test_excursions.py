from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.excursions import build_excursions
from workbench.analysis.trades import build_trades
from workbench.errors import InputError

NAME = "EUR/USD.SIM"
DAY = "2024-01-02"
OPEN = {"ts_closed": None, "avg_px_close": None, "realized_pnl": "0"}
# Bars that end at 09:00 to 13:00; the default trade lasts from 10:00 to 11:00, from 1.1 to 1.2.
BARS = (
    (f"{DAY} 09:00", "0.5", "1.9"),
    (f"{DAY} 10:00", "1.05", "1.15"),
    (f"{DAY} 11:00", "1.08", "1.25"),
    (f"{DAY} 12:00", "0.9", "1.3"),
    (f"{DAY} 13:00", "0.4", "2"),
)


@pytest.fixture
def excursions(make_positions, make_fills, make_prices):
    """Return the excursions of positions over `BARS` as rows of (mae_price, mfe_price, mae, mfe, unknown)."""

    def measure(*positions, bars=BARS, fill=None, convert=Decimal, currency="USD"):
        trades = build_trades(make_positions(*positions), currency=currency)
        frame = build_excursions(trades, {NAME: make_prices(*bars, convert=convert)}, make_fills(fill or {}))
        assert frame.index.equals(trades.index)
        return list(frame.itertuples(index=False, name=None))

    return measure


def _exact(*values):
    return tuple(Decimal(value) for value in values)


@pytest.mark.parametrize("convert", [Decimal, float])
def test_excursions_long_worked_example(excursions, convert):
    # The bar that ends at the entry and the one that ends at the exit count whole.
    assert excursions({}, convert=convert) == [(*_exact("-0.05", "0.15", "-50", "150"), None)]


def test_excursions_short_is_the_mirror(excursions):
    short = {"entry": "SELL", "avg_px_open": "1.1", "avg_px_close": "1.2"}
    assert excursions(short) == [(*_exact("-0.15", "0.05", "-150", "50"), None)]


def test_excursions_inside_bars_count_the_bars_whole(excursions):
    # Entry 10:30 lies in the bar that ends at 11:00, exit 11:01 in the one that ends at 12:00.
    late = {"ts_opened": f"{DAY} 10:30", "ts_closed": f"{DAY} 11:01"}
    assert excursions(late)[0][:2] == _exact("-0.2", "0.2")


def test_excursions_open_trade_lasts_until_the_last_bar(excursions):
    assert excursions(OPEN | {"ts_opened": f"{DAY} 10:30"})[0][:2] == _exact("-0.7", "0.9")


def test_excursions_include_the_trades_own_prices(excursions):
    # Filled beyond the bars: a BUY at the ask above bars of bid prices.
    row = excursions({"avg_px_open": "1.3", "avg_px_close": "1.02"})[0]
    assert row[:2] == _exact("-0.28", "0")


def test_excursions_money_has_multiplier_and_rate(excursions):
    trade = {"currency": "JPY", "commissions_currency": "JPY", "rate": "0.01"}
    assert excursions(trade, fill={"multiplier": "5"})[0][2:4] == _exact("-2.5", "7.5")
    unknown = excursions(trade | {"rate": None})[0]
    assert unknown[:2] == _exact("-0.05", "0.15")
    assert unknown[2:] == (None, None, "no conversion rate at the close")


def test_excursions_inverse_worked_example(excursions):
    # 1000 / 1.1 - 1000 / 1.25 of the settlement currency in favour, 1000 / 1.1 - 1000 / 1.05 against.
    row = excursions({"avg_px_close": "1.12"}, fill={"is_inverse": True})[0]
    assert float(row[3]) == pytest.approx(1000 / 1.1 - 1000 / 1.25)
    assert float(row[2]) == pytest.approx(1000 / 1.1 - 1000 / 1.05)


@pytest.mark.parametrize(
    ("trade", "reason"),
    [
        ({"instrument_id": "X.SIM"}, "there are no prices of X.SIM"),
        ({"ts_closed": f"{DAY} 13:01"}, "the prices end before the exit"),
        ({"ts_opened": f"{DAY} 14:00", "ts_closed": None}, "the prices end before the exit"),
        ({"ts_opened": f"{DAY} 07:59"}, "the prices begin after the entry"),
        ({"avg_px_open": None}, "the entry price is missing"),
    ],
)
def test_excursions_outside_the_prices_have_a_reason(excursions, trade, reason):
    assert excursions(trade)[0] == (None, None, None, None, reason)


def test_excursions_first_bar_reaches_back_one_bar(excursions):
    assert excursions({"ts_opened": f"{DAY} 08:01"})[0][4] is None


def test_excursions_missing_price_gives_no_number(excursions):
    bars = (BARS[0], BARS[1], (BARS[2][0], "nan", "1.2"), BARS[3])
    assert excursions({}, bars=bars)[0][4] == "a price is missing while the trade was held"


def test_excursions_without_a_fill_know_no_money(make_positions, make_fills, make_prices):
    trades = build_trades(make_positions({}), currency="USD")
    row = build_excursions(trades, {NAME: make_prices(*BARS)}, make_fills()).iloc[0]
    assert row["mfe_price"] == Decimal("0.15")
    assert row["mfe"] is None
    assert row["unknown"] == "no fill tells the instrument's multiplier"


def test_excursions_without_trades_are_empty(excursions):
    assert excursions() == []


def test_excursions_of_prices_that_go_back_in_time_are_refused(excursions):
    with pytest.raises(InputError, match="not strictly ascending"):
        excursions({}, bars=(BARS[1], BARS[0]))


@settings(max_examples=60, deadline=None)
@given(
    closes=st.lists(st.integers(1, 1000), min_size=2, max_size=70),
    spans=st.lists(st.tuples(st.integers(0, 69), st.integers(0, 69), st.booleans()), min_size=1, max_size=12),
)
def test_excursions_agree_with_a_walk_over_the_bars(make_positions, make_fills, make_prices, closes, spans):
    last = len(closes) - 1
    stamps = pd.Timestamp("2024-01-01") + np.arange(len(closes)) * pd.Timedelta(minutes=1)
    bars = [(str(ts), close - 1, close + 1) for ts, close in zip(stamps, closes, strict=True)]
    pairs = [(min(a, b, last), min(max(a, b), last), is_long) for a, b, is_long in spans]
    positions = make_positions(
        *(
            {
                "ts_opened": str(stamps[a]),
                "ts_closed": str(stamps[b]),
                "avg_px_open": str(closes[a]),
                "avg_px_close": str(closes[b]),
                "entry": "BUY" if is_long else "SELL",
                "strategy_id": str(number),
            }
            for number, (a, b, is_long) in enumerate(pairs)
        )
    )
    trades = build_trades(positions, currency="USD")
    frame = build_excursions(trades, {NAME: make_prices(*bars)}, make_fills({}))
    for row, number in zip(frame.itertuples(), trades["strategy_id"].astype(int), strict=True):
        a, b, is_long = pairs[number]
        moves = [
            sign for close in closes[a : b + 1] for sign in (close - 1 - closes[a], close + 1 - closes[a])
        ]
        worst, best = (min(moves), max(moves)) if is_long else (-max(moves), -min(moves))
        assert (row.mae_price, row.mfe_price) == (worst, best)
        assert (row.mae, row.mfe) == (1000 * worst, 1000 * best)
        move = (closes[b] - closes[a]) * (1 if is_long else -1)
        assert row.mae_price <= min(move, 0) <= max(move, 0) <= row.mfe_price
