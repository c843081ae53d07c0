from __future__ import annotations

import json
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.costs import build_costs, build_fill_costs, measure_turnover
from workbench.errors import InputError

INVERSE = {
    "instrument_id": "XBTUSD.BITMEX",
    "is_inverse": True,
    "currency": "BTC",
    "last_qty": "100000",
    "best_bid": "40000",
    "best_ask": "50000",
    "rate": "40000",
}


@pytest.fixture
def costs(daily_equity):
    """Return a builder of costs for fills that made a net PnL of 10."""

    def build(fills, **kwargs):
        return build_costs(fills, daily_equity(100, 110), **({"currency": "USD"} | kwargs))

    return build


def _values(metrics, *names):
    return [metrics[name]["value"] for name in names]


def test_costs_taker_worked_example(costs, make_fills):
    # Mid 1.1001, half spread 0.0001, slippage 0.0003 on 1,000; then a SELL at the bid less 0.0001.
    fills = make_fills(
        {"last_px": "1.1005", "commission": "0.5"},
        {"order_side": "SELL", "last_px": "1.0999", "commission": "0.25"},
    )
    metrics = costs(fills)
    assert _values(metrics, "fees", "spread", "slippage") == ["0.75", "0.2", "0.4"]
    assert _values(metrics, "net_pnl", "total_costs", "gross_pnl") == ["10", "1.35", "11.35"]
    assert _values(metrics, "pnl_before_fees", "turnover") == ["10.75", "2200.4"]
    assert metrics["cost_rate"]["value"] == pytest.approx(1.35 / 2200.4)
    assert metrics["breakeven_cost"]["value"] == pytest.approx(11.35 / 2200.4)
    assert _values(metrics, "fills_maker", "fills_taker") == [0, 2]


def test_costs_maker_earns_the_half_spread_and_never_slips(costs, make_fills):
    fills = make_fills(
        {"liquidity_side": "MAKER", "last_px": "1.1000"},
        {"liquidity_side": "MAKER", "last_px": "1.1002", "order_side": "SELL"},
        {},
    )
    metrics = costs(fills)
    assert _values(metrics, "spread", "spread_paid", "spread_earned", "slippage") == [
        "-0.1",
        "0.1",
        "0.2",
        "0",
    ]
    assert metrics["gross_pnl"]["value"] == "9.9"


def test_costs_price_improvement_is_negative_slippage(costs, make_fills):
    assert costs(make_fills({"last_px": "1.1001"}))["slippage"]["value"] == "-0.1"


def test_costs_multiplier_and_rate_scale(costs, make_fills):
    fills = make_fills({"multiplier": "10", "rate": "0.5", "commission": "8", "commission_rate": "0.25"})
    assert _values(costs(fills), "fees", "spread", "turnover") == ["2", "0.5", "5501"]


def test_costs_inverse_instrument_worked_example(costs, make_fills):
    # Mid 45,000. BUY at 50,000: 100,000 x (1/45,000 - 1/50,000) BTC = 0.2222 BTC x 40,000 = 8,888.89 USD.
    bought = build_fill_costs(make_fills(INVERSE | {"last_px": "50000"})).iloc[0]
    assert bought["notional"] == 100_000 / Decimal(50_000) * 40_000
    assert float(bought["spread"]) == pytest.approx(100_000 * (1 / 45_000 - 1 / 50_000) * 40_000)
    assert bought["slippage"] == 0
    # SELL at 32,000, below the bid of 40,000: slippage 100,000 x (1/32,000 - 1/40,000) BTC.
    sold = build_fill_costs(make_fills(INVERSE | {"last_px": "32000", "order_side": "SELL"})).iloc[0]
    assert float(sold["spread"]) == pytest.approx(100_000 * (1 / 40_000 - 1 / 45_000) * 40_000)
    assert float(sold["slippage"]) == pytest.approx(100_000 * (1 / 32_000 - 1 / 40_000) * 40_000)


def test_costs_missing_book_gives_no_gross_but_keeps_fees(costs, make_fills):
    metrics = costs(make_fills({"commission": "1"}, {"best_bid": None, "best_ask": None}))
    assert metrics["fees"]["value"] == "1"
    assert metrics["pnl_before_fees"]["value"] == "11"
    for name in ("spread", "gross_pnl", "breakeven_cost", "total_costs", "cost_rate", "slippage"):
        assert metrics[name]["value"] is None
        assert "1 of 2 fills: the best bid or ask at the fill is missing" in metrics[name]["reason"]


def test_costs_missing_rate_gives_no_number(costs, make_fills):
    metrics = costs(
        make_fills({"rate": None, "currency": "JPY"}, {"commission": "1", "commission_rate": None})
    )
    assert metrics["turnover"]["reason"] == (
        "notional is unknown at 1 of 2 fills: no conversion rate from JPY at the fill"
    )
    assert "no conversion rate from USD" in metrics["fees"]["reason"]
    assert metrics["pnl_before_fees"]["value"] is None
    assert metrics["gross_pnl"]["value"] is None


def test_costs_zero_commission_needs_no_rate(costs, make_fills):
    assert costs(make_fills({"commission_rate": None}))["fees"]["value"] == "0"


def test_costs_data_without_spread_are_not_free(costs, make_fills):
    # A book made from last prices: bid equals ask at every fill.
    locked = {"best_bid": "1.1002", "instrument_id": "AAPL.XNAS"}
    metrics = costs(make_fills(locked, locked))
    assert metrics["slippage"]["value"] == "0"
    assert "the data of AAPL.XNAS show no spread" in metrics["spread"]["reason"]
    # One fill of many at a locked market is a free one.
    metrics = costs(make_fills(locked, {"instrument_id": "AAPL.XNAS"}))
    assert metrics["spread"]["value"] == "0.1"


def test_costs_unknown_net_pnl_has_no_gross(make_fills, daily_equity):
    metrics = build_costs(make_fills({}), daily_equity(100, None), currency="USD")
    assert metrics["spread"]["value"] == "0.1"
    assert "equity is unknown" in metrics["gross_pnl"]["reason"]


def test_costs_nothing_traded_costs_nothing(costs, make_fills):
    metrics = costs(make_fills())
    assert _values(metrics, "fees", "spread", "slippage", "turnover", "gross_pnl") == [
        "0",
        "0",
        "0",
        "0",
        "10",
    ]
    assert metrics["breakeven_cost"]["reason"] == "nothing was traded"


def test_costs_funding_is_said_to_be_missing_or_counted(costs, make_fills):
    assert "not modelled" in costs(make_fills({}))["funding"]["reason"]
    metrics = costs(make_fills({}), funding=Decimal("2.5"))
    assert _values(metrics, "funding", "total_costs", "gross_pnl") == ["2.5", "2.6", "12.6"]


def test_costs_negative_prices_have_a_positive_turnover(make_fills):
    fills = make_fills({"last_px": "-37", "best_bid": "-38", "best_ask": "-37"})
    assert measure_turnover(fills) == 37_000
    assert build_fill_costs(fills)["spread"].tolist() == [500]


def test_costs_floats_are_refused(make_fills):
    with pytest.raises(InputError, match="money and prices are exact"):
        build_fill_costs(make_fills({}).assign(last_px=[1.1]))
    with pytest.raises(InputError, match="has no column best_ask"):
        build_fill_costs(make_fills({}).drop(columns="best_ask"))


def test_fill_costs_keep_the_index(make_fills):
    fills = make_fills({}, {"liquidity_side": "MAKER"}).set_axis([7, 9])
    frame = build_fill_costs(fills)
    assert frame.index.tolist() == [7, 9]
    assert frame["is_maker"].tolist() == [False, True]


def test_costs_round_each_part_once_so_that_they_add_up(costs, make_fills):
    # 3.40, 0.17 and 1.00 units of the last place: rounded after the sum, gross would be one unit higher.
    tail = {
        "last_qty": "0.0000000001",
        "last_px": "1.1005",
        "rate": "0.0033333333333333",
        "best_bid": "1.1001",
    }
    metrics = costs(make_fills(tail | {"commission": "0.0000001", "commission_rate": "0.0000000034"}))
    parts = [Decimal(metrics[name]["value"]) for name in ("net_pnl", "fees", "spread", "slippage")]
    assert Decimal(metrics["gross_pnl"]["value"]) == sum(parts)
    assert parts[1:] == [Decimal("3E-16"), Decimal(0), Decimal("1E-16")]


def _decimal(low, high, places):
    return st.decimals(low, high, places=places)


fill_rows = st.lists(
    st.fixed_dictionaries(
        {
            "order_side": st.sampled_from(["BUY", "SELL"]),
            "liquidity_side": st.sampled_from(["MAKER", "TAKER"]),
            "is_inverse": st.booleans(),
            "last_qty": _decimal("0.001", "100000", 3),
            "last_px": _decimal("0.5", "2000", 9),
            "best_bid": _decimal("0.5", "1000", 9),
            "best_ask": _decimal("1000", "2000", 9),
            "commission": _decimal("-5", "5", 8),
            "rate": st.one_of(st.just("1"), _decimal("0.0001", "50000", 16)),
            "commission_rate": _decimal("0.0001", "50000", 16),
        }
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(rows=fill_rows, end=_decimal("-1e6", "1e6", 2))
def test_costs_gross_is_net_plus_costs_to_the_last_digit(make_fills, daily_equity, rows, end):
    metrics = build_costs(make_fills(*rows), daily_equity(100, end), currency="USD")
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    parts = [metrics[name]["value"] for name in ("net_pnl", "fees", "spread", "slippage")]
    if any(part is None for part in parts):
        assert metrics["gross_pnl"]["value"] is None
    else:
        with localcontext(prec=100):  # The default context rounds sums to 28 digits
            assert Decimal(metrics["gross_pnl"]["value"]) == sum(map(Decimal, parts))
            earned = Decimal(metrics["spread_earned"]["value"])
            assert Decimal(metrics["spread"]["value"]) == Decimal(metrics["spread_paid"]["value"]) - earned


@settings(max_examples=60, deadline=None)
@given(rows=fill_rows)
def test_costs_of_a_fill_are_its_way_from_the_middle(make_fills, rows):
    fills = make_fills(*rows)
    frame = build_fill_costs(fills)
    for fill, cost in zip(fills.itertuples(), frame.itertuples(), strict=True):
        if cost.spread is None or cost.slippage is None:
            continue
        sign = 1 if fill.order_side == "BUY" else -1
        middle, price = (fill.best_bid + fill.best_ask) / 2, fill.last_px
        way = 1 / middle - 1 / price if fill.is_inverse else price - middle
        expected = float(sign * fill.last_qty * way * fill.rate)
        assert float(cost.spread + cost.slippage) == pytest.approx(expected, rel=1e-9, abs=1e-9)
