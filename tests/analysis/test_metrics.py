from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.definitions import DEFINITIONS
from workbench.analysis.metrics import build_headline
from workbench.errors import InputError

DAILY = (
    "annualised_return",
    "annualised_volatility",
    "sharpe",
    "sortino",
    "best_day",
    "worst_day",
    "calmar",
)


@pytest.fixture
def headline(make_positions, make_fills):
    """Return a builder of headlines that have an equity only, unless more is given."""

    def build(equity, *, positions=None, fills=None, **kwargs):
        return build_headline(
            equity,
            make_positions() if positions is None else positions,
            make_fills() if fills is None else fills,
            **({"currency": "USD"} | kwargs),
        )

    return build


def _value(metrics, name):
    assert metrics[name]["reason"] is None, metrics[name]
    return metrics[name]["value"]


def test_headline_worked_example(headline, daily_equity):
    # Daily returns +10 %, -10 %, +20 %: mean 1/15, deviations 1/30, -1/6, 2/15.
    metrics = headline(daily_equity(100, 110, 99, "118.8"), starting_balance=Decimal(100))
    deviation = math.sqrt((1 / 900 + 1 / 36 + 4 / 225) / 2)
    assert _value(metrics, "starting_balance") == "100"
    assert _value(metrics, "ending_equity") == "118.8"
    assert _value(metrics, "pnl") == "18.8"
    assert metrics["pnl"]["unit"] == "USD"
    assert _value(metrics, "total_return") == pytest.approx(0.188)
    assert _value(metrics, "days") == 3
    assert _value(metrics, "annualised_return") == pytest.approx(1.188 ** (365 / 3) - 1)
    assert _value(metrics, "annualised_volatility") == pytest.approx(deviation * math.sqrt(365))
    assert _value(metrics, "sharpe") == pytest.approx(1 / 15 / deviation * math.sqrt(365))
    assert _value(metrics, "sortino") == pytest.approx(1 / 15 / math.sqrt(0.01 / 3) * math.sqrt(365))
    assert _value(metrics, "calmar") == pytest.approx((1.188 ** (365 / 3) - 1) / 0.1)
    assert _value(metrics, "max_drawdown") == pytest.approx(-0.1)
    assert _value(metrics, "max_drawdown_money") == "-11"
    assert _value(metrics, "max_drawdown_length") == 2.0
    assert _value(metrics, "best_day") == pytest.approx(0.2)
    assert _value(metrics, "worst_day") == pytest.approx(-0.1)
    assert _value(metrics, "start") == "2024-01-01T00:00:00+00:00"
    assert _value(metrics, "end") == "2024-01-04T00:00:00+00:00"


def test_headline_252_annualises_with_252(headline, daily_equity):
    metrics = headline(daily_equity(100, 110, 99), periods_per_year=252)
    assert _value(metrics, "periods_per_year") == 252
    assert _value(metrics, "annualised_volatility") == pytest.approx(math.sqrt(0.02) * math.sqrt(252))


def test_headline_intraday_drawdown_sees_what_closes_do_not(headline, make_equity):
    metrics = headline(make_equity([("2024-01-01", 100), ("2024-01-01 12:00", 60), ("2024-01-02", 100)]))
    assert _value(metrics, "max_drawdown") == 0.0
    assert _value(metrics, "max_drawdown_intraday") == pytest.approx(-0.4)


def test_headline_longest_drawdown_is_not_the_deepest(headline, daily_equity):
    metrics = headline(daily_equity(100, 50, 100, 99, 98, 97))
    assert _value(metrics, "max_drawdown_length") == 2.0
    assert _value(metrics, "longest_drawdown") == 3.0


@pytest.mark.parametrize("periods_per_year", [252, 365])
def test_headline_empty_frames_give_reasons(headline, make_equity, periods_per_year):
    metrics = headline(make_equity([]), periods_per_year=periods_per_year)
    for name in ("start", "end", "pnl", "total_return", "max_drawdown", "exposure", *DAILY):
        assert metrics[name]["value"] is None
        assert metrics[name]["reason"]
    assert _value(metrics, "trades") == 0
    assert _value(metrics, "turnover") == "0"


def test_headline_one_sample_has_totals_but_no_daily_figures(headline, daily_equity):
    metrics = headline(daily_equity(100))
    assert _value(metrics, "pnl") == "0"
    assert _value(metrics, "total_return") == 0.0
    assert "0 daily returns; at least 2" in metrics["sharpe"]["reason"]
    assert metrics["annualised_return"]["value"] is None


def test_headline_one_day_has_no_annualised_figures(headline, daily_equity):
    metrics = headline(daily_equity(100, 110))
    assert _value(metrics, "total_return") == pytest.approx(0.1)
    for name in DAILY:
        assert "1 daily return; at least 2" in metrics[name]["reason"]


def test_headline_weekend_only_in_252_keeps_the_totals(headline, daily_equity):
    metrics = headline(daily_equity(100, 110, 120, start="2024-01-06"), periods_per_year=252)
    assert _value(metrics, "pnl") == "20"
    assert metrics["sharpe"]["value"] is None


def test_headline_constant_equity_has_no_ratio(headline, daily_equity):
    metrics = headline(daily_equity(100, 100, 100))
    assert _value(metrics, "annualised_volatility") == 0.0
    assert _value(metrics, "max_drawdown") == 0.0
    assert metrics["sharpe"]["reason"] == "daily returns do not vary"
    assert metrics["sortino"]["reason"] == "no day has a negative return"
    assert metrics["calmar"]["reason"] == "there is no drawdown"


def test_headline_constant_growth_is_not_an_infinite_sharpe(headline, daily_equity):
    metrics = headline(daily_equity(*[Decimal("97.3") * Decimal("1.003") ** day for day in range(5)]))
    assert metrics["sharpe"]["reason"] == "daily returns do not vary"


def test_headline_unknown_sample_propagates(headline, daily_equity):
    metrics = headline(daily_equity(100, 110, None, 120))
    assert _value(metrics, "pnl") == "20"
    assert _value(metrics, "annualised_return") > 0
    for name in (
        "sharpe",
        "annualised_volatility",
        "best_day",
        "max_drawdown",
        "max_drawdown_intraday",
        "calmar",
    ):
        assert metrics[name]["value"] is None
        assert "equity is unknown on 1 of 4" in metrics[name]["reason"]


def test_headline_unknown_end_has_no_pnl(headline, daily_equity):
    metrics = headline(daily_equity(100, 110, None))
    assert _value(metrics, "starting_balance") == "100"
    for name in ("ending_equity", "pnl", "total_return", "annualised_return"):
        assert metrics[name]["value"] is None
        assert "unknown" in metrics[name]["reason"] or "missing" in metrics[name]["reason"]


def test_headline_bankrupt_equity_has_no_ratios(headline, daily_equity):
    metrics = headline(daily_equity(100, 50, -10, -5))
    assert _value(metrics, "pnl") == "-105"
    assert _value(metrics, "total_return") == pytest.approx(-1.05)
    assert _value(metrics, "max_drawdown") == pytest.approx(-1.1)
    assert metrics["annualised_return"]["reason"] == "equity ended at zero or below"
    assert metrics["sharpe"]["reason"] == "equity fell to zero or below on 2024-01-02"


def test_headline_zero_start_has_no_return(headline, daily_equity):
    metrics = headline(daily_equity(0, 10, 20))
    assert _value(metrics, "pnl") == "20"
    for name in ("total_return", "annualised_return", "sharpe", "max_drawdown"):
        assert metrics[name]["reason"] == "the starting balance is not positive"


def test_headline_money_is_exact_to_the_38th_digit(headline, daily_equity):
    metrics = headline(daily_equity("0.0000000000000003", "1234567890123456789012.0000000000000001"))
    assert _value(metrics, "pnl") == "1234567890123456789011.9999999999999998"


def test_headline_overflow_is_a_reason(headline, daily_equity):
    metrics = headline(daily_equity(1, 1000, 1000000))
    assert metrics["annualised_return"]["value"] is None
    assert "too large" in metrics["annualised_return"]["reason"]
    assert metrics["calmar"]["value"] is None


def test_headline_exposure_leaves_the_start_out(headline, make_equity):
    rows = [("2024-01-01", 100), ("2024-01-01 06:00", 100), ("2024-01-01 12:00", 100), ("2024-01-02", 100)]
    assert _value(headline(make_equity(rows, open_positions=[0, 2, 0, 0])), "exposure") == pytest.approx(
        1 / 3
    )


def test_headline_activity(headline, daily_equity, make_fills):
    fills = make_fills({}, {"client_order_id": "O-2"}, {"client_order_id": "O-2"})
    metrics = headline(daily_equity(1000, 1200), fills=fills, orders=fills)
    assert _value(metrics, "orders") == 3
    assert _value(metrics, "orders_filled") == 2
    assert _value(metrics, "fills") == 3
    assert _value(metrics, "turnover") == "3300.6"
    assert _value(metrics, "turnover_ratio") == pytest.approx(3300.6 / 1100)
    assert headline(daily_equity(1000, 1200))["orders"]["reason"] == "the orders were not given"


def test_headline_contradicting_start_is_refused(headline, daily_equity):
    with pytest.raises(InputError):
        headline(daily_equity(100, 110), starting_balance=Decimal(99))


def test_headline_every_metric_is_defined_in_order(headline, daily_equity):
    metrics = headline(daily_equity(100, 110))
    order = [name for name in DEFINITIONS if name in metrics]
    assert set(order) == set(metrics)


@settings(max_examples=80, deadline=None)
@given(
    values=st.lists(st.one_of(st.none(), st.decimals("-1e9", "1e9", places=3)), max_size=12),
    calendar=st.sampled_from([252, 365]),
)
def test_headline_is_strict_json_whatever_the_equity(
    make_positions, make_fills, daily_equity, values, calendar
):
    metrics = build_headline(
        daily_equity(*values), make_positions({}), make_fills({}), currency="USD", periods_per_year=calendar
    )
    text = json.dumps(metrics, allow_nan=False)
    assert json.loads(text) == metrics
    for metric in metrics.values():
        assert (metric["value"] is None) == bool(metric["reason"])
