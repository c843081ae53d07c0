from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.costs import build_costs
from workbench.analysis.definitions import DEFINITIONS, Unknown
from workbench.analysis.equity import build_daily_closes
from workbench.analysis.metrics import build_headline
from workbench.analysis.performance import measure_returns
from workbench.analysis.stress import find_known_costs, measure_breakeven_multiple, measure_cost_stress
from workbench.errors import InputError

LOCKED = {"best_bid": "1.1002", "best_ask": "1.1002"}


def _fill(time, fee, **fields):
    return {"ts_event": time, "commission": fee, **fields}


@pytest.fixture
def run(make_fills, daily_equity):
    """Return fills and equity: fees of 10, 0 and 5, and a spread of 0.1 each, on the 1st, 2nd and 4th."""
    fills = make_fills(
        _fill("2024-01-01 12:00", "10"), _fill("2024-01-03 00:00", "0"), _fill("2024-01-04 23:00", "5")
    )
    return fills, daily_equity(1000, 1020, 1010, 1030, 1050, 1040)


def test_cost_stress_worked_example(run):
    results = measure_cost_stress(*run, periods_per_year=365)
    assert list(results) == [1, 2, 3]
    assert [result["net_pnl"] for result in results.values()] == [40, Decimal("24.7"), Decimal("9.4")]
    assert results[2]["total_return"] == pytest.approx(0.0247)
    # Closes with twice the costs: the midnight fill of the 3rd belongs to the day that ends there.
    closes = [1000, 1020 - 10.1, 1010 - 10.2, 1030 - 10.2, 1050 - 15.3, 1040 - 15.3]
    returns = [b / a - 1 for a, b in itertools.pairwise(closes)]
    mean = sum(returns) / 5
    deviation = (sum((r - mean) ** 2 for r in returns) / 4) ** 0.5
    assert results[2]["sharpe"] == pytest.approx(mean / deviation * 365**0.5)
    assert results[2]["max_drawdown"] == pytest.approx(min(closes[2] / closes[1], closes[5] / closes[4]) - 1)


@pytest.mark.parametrize("periods", [252, 365])
def test_cost_stress_of_one_is_the_headline_and_of_none_the_gross(run, make_positions, periods):
    fills, equity = run
    results = measure_cost_stress(fills, equity, periods_per_year=periods, multiples=(0, 1))
    headline = build_headline(equity, make_positions(), fills, currency="USD", periods_per_year=periods)
    for name in ("total_return", "sharpe", "max_drawdown"):
        assert results[1][name] == headline[name]["value"]
    costs = build_costs(fills, equity, currency="USD")
    assert str(results[1]["net_pnl"].normalize()) == str(Decimal(costs["net_pnl"]["value"]).normalize())
    assert results[0]["net_pnl"] == Decimal(costs["gross_pnl"]["value"])
    assert set(results[0]) <= set(DEFINITIONS)


def test_cost_stress_of_a_weekend_falls_into_the_last_weekday(make_fills, daily_equity):
    # Thursday, Friday, Saturday: what happens after the last weekday closes belongs to it.
    equity = daily_equity(1000, 1020, 990, 1000, start="2024-01-04")
    fills = make_fills(_fill("2024-01-06 12:00", "99.9"))
    results = measure_cost_stress(fills, equity, periods_per_year=252, multiples=(2,))
    assert results[2]["max_drawdown"] == pytest.approx(900 / 1020 - 1)


def test_cost_stress_of_an_unknown_spread_multiplies_what_is_known(make_fills, daily_equity):
    fills = make_fills(_fill("2024-01-01 12:00", "10", **LOCKED), _fill("2024-01-02 12:00", "5", **LOCKED))
    equity = daily_equity(1000, 1010, 1020)
    results = measure_cost_stress(fills, equity, periods_per_year=365)
    assert results[1]["net_pnl"] == 20
    assert results[3] == dict.fromkeys(results[3], Unknown("the spread is unknown at 2 of 2 fills"))
    assert measure_breakeven_multiple(fills, equity) == Unknown("the spread is unknown at 2 of 2 fills")
    known = find_known_costs(fills)
    assert known == ("fee", "slippage")
    assert measure_cost_stress(fills, equity, periods_per_year=365, components=known)[3]["net_pnl"] == -10
    assert measure_breakeven_multiple(fills, equity, components=known) == pytest.approx(35 / 15)


def test_breakeven_multiple_is_that_of_the_cost_table(run):
    costs = build_costs(*run, currency="USD")
    expected = costs["breakeven_cost"]["value"] / costs["cost_rate"]["value"]
    assert measure_breakeven_multiple(*run) == pytest.approx(expected)


def test_breakeven_multiple_leaves_nothing(run):
    multiple = measure_breakeven_multiple(*run)
    left = measure_cost_stress(*run, periods_per_year=365, multiples=[multiple])[multiple]["net_pnl"]
    assert abs(left) < Decimal("1e-9")


def test_breakeven_multiple_has_reasons(make_fills, daily_equity):
    free = {"best_bid": "1.1001", "best_ask": "1.1003", "last_px": "1.1002", "liquidity_side": "MAKER"}
    assert (
        measure_breakeven_multiple(make_fills(free), daily_equity(10, 11)).reason == "the run paid no costs"
    )
    fills = make_fills({"commission": "5"})
    assert (
        measure_breakeven_multiple(fills, daily_equity(100, 90)).reason == "the run lost money before costs"
    )
    assert measure_breakeven_multiple(fills, daily_equity(100, 96)) == pytest.approx(1.1 / 5.1)
    assert "missing" in measure_breakeven_multiple(fills, daily_equity(100, None)).reason


def test_cost_stress_without_equity_or_fills_has_reasons(make_fills, daily_equity):
    empty = measure_cost_stress(make_fills({}), daily_equity(), periods_per_year=365)
    assert all(value.reason for result in empty.values() for value in result.values())
    idle = measure_cost_stress(make_fills(), daily_equity(100, 101, 103), periods_per_year=365)
    assert idle[1] == idle[3]
    gap = measure_cost_stress(make_fills({}), daily_equity(100, None, 103), periods_per_year=365)
    assert gap[2]["net_pnl"] == Decimal("2.9")
    assert "unknown on 1 of 3 days" in gap[2]["sharpe"].reason


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"multiples": (1, -1)}, "multiples"),
        ({"multiples": (float("nan"),)}, "multiples"),
        ({"components": ("fees",)}, "components"),
    ],
)
def test_cost_stress_of_senseless_arguments_is_refused(run, wrong, field):
    with pytest.raises(InputError) as caught:
        measure_cost_stress(*run, periods_per_year=365, **wrong)
    assert caught.value.field == field


@settings(max_examples=40, deadline=None)
@given(
    fees=st.lists(st.decimals("0", "100", places=2), min_size=1, max_size=6),
    values=st.lists(st.decimals("5000", "9000", places=2), min_size=3, max_size=8),
    multiple=st.floats(1.0, 4.0).map(lambda x: round(x, 2)),
)
def test_cost_stress_higher_costs_leave_less(make_fills, daily_equity, fees, values, multiple):
    fills = make_fills(*(_fill(f"2024-01-0{1 + day} 12:00", str(fee)) for day, fee in enumerate(fees)))
    equity = daily_equity(*values)
    results = measure_cost_stress(fills, equity, periods_per_year=365, multiples=(0, 1, multiple))
    total = sum(fees) + Decimal("0.1") * len(fees)
    assert results[0]["net_pnl"] - results[multiple]["net_pnl"] == total * Decimal(str(multiple))
    closes = build_daily_closes(equity, periods_per_year=365)
    assert results[1]["sharpe"] == measure_returns(closes, periods_per_year=365)["sharpe"]
    assert results[multiple]["total_return"] <= results[1]["total_return"] <= results[0]["total_return"]
