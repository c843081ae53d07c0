from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.analysis.benchmark import build_benchmark, build_benchmark_closes, measure_benchmark
from workbench.analysis.definitions import DEFINITIONS, Unknown
from workbench.analysis.equity import build_daily_closes, build_daily_returns


def _prices(make_prices, *closes, start="2024-01-01", freq="1D"):
    """Return bars with an open of 1 below the close, the first of which ends at `start`."""
    times = pd.date_range(start, periods=len(closes), freq=freq)
    return make_prices(*((str(time), close - 1, close) for time, close in zip(times, closes, strict=True)))


def _relate(closes, held, **arguments):
    benchmark = pd.Series(held, index=closes.index, name="benchmark")
    return measure_benchmark(closes, benchmark, periods_per_year=365, **arguments)


def test_benchmark_is_scaled_to_the_starting_equity(make_prices, daily_equity):
    equity = daily_equity(1000, 1, 1, 1)
    curve = build_benchmark(_prices(make_prices, 40, 50, 60, 45, 99, start="2023-12-31"), equity)
    # The price at the start is the close of the bar that ends with the first sample.
    assert curve.tolist() == pytest.approx([1000, 1200, 900, 1980])
    assert curve.index.equals(pd.DatetimeIndex(equity["ts"]).as_unit("ns"))
    closes = build_daily_closes(equity, periods_per_year=365)
    daily = build_benchmark_closes(curve, closes)
    assert daily.index.equals(closes.index)
    assert daily.tolist() == pytest.approx([1000, 1200, 900, 1980])
    assert _relate(closes, daily)["benchmark_return"] == pytest.approx(0.98)


def test_benchmark_without_an_earlier_price_starts_at_the_first_open(make_prices, daily_equity):
    prices = _prices(make_prices, 51, 60, start="2024-01-01 12:00")
    curve = build_benchmark(prices, daily_equity(1000, 1, 1))
    assert curve.tolist() == pytest.approx([1000, 1020, 1200])
    by_close = build_benchmark(prices.drop(columns="open"), daily_equity(1020, 1, 1))
    assert by_close.tolist() == pytest.approx([1020, 1020, 1200])


def test_benchmark_closes_follow_the_weekdays(make_prices, daily_equity):
    # 2024-01-05 is a Friday; the run ends at the midnight after Monday, the 8th.
    equity = daily_equity(1000, 1001, 1001, 1001, 1002, start="2024-01-05")
    prices = _prices(make_prices, 100, 110, 120, 130, 140, start="2024-01-05")
    closes = build_daily_closes(equity, periods_per_year=252)
    daily = build_benchmark_closes(build_benchmark(prices, equity), closes)
    assert daily.tolist() == pytest.approx([1000, 1100, 1400])


@pytest.mark.parametrize("values", [(None, 1, 1, 1), (0, 1, 1, 1)])
def test_benchmark_of_unknown_starting_equity_is_unknown(make_prices, daily_equity, values):
    equity = daily_equity(*values)
    curve = build_benchmark(_prices(make_prices, 50, 60), equity)
    assert curve.isna().all()
    closes = build_daily_closes(equity, periods_per_year=365)
    measured = measure_benchmark(closes, build_benchmark_closes(curve, closes), periods_per_year=365)
    assert all(isinstance(value, Unknown) and value.reason for value in measured.values())


def test_benchmark_without_samples_or_prices_has_no_figures(make_prices, daily_equity):
    assert len(build_benchmark(_prices(make_prices, 50), daily_equity())) == 0
    equity = daily_equity(100, 101, 102, 103, 104)
    curve = build_benchmark(_prices(make_prices, 50, start="2025-01-01"), equity)
    closes = build_daily_closes(equity, periods_per_year=365)
    measured = measure_benchmark(closes, build_benchmark_closes(curve, closes), periods_per_year=365)
    assert measured["benchmark_return"].reason.startswith("the benchmark is unknown")
    assert measured["beta"].reason == "the benchmark is unknown on 4 of 4 days"
    few = build_daily_closes(daily_equity(100, 101, 102), periods_per_year=365)
    assert _relate(few, [1.0, 2.0, 3.0])["alpha"].reason.endswith("at least 3 are needed")


def test_benchmark_figures_agree_with_scipy(daily_closes):
    random = np.random.default_rng(5)
    market = random.normal(0.0005, 0.01, 200)
    closes = daily_closes(0.0002 + 1.4 * market + random.normal(0, 0.004, 200))
    returns = build_daily_returns(closes).to_numpy()
    measured = _relate(closes, 50 * np.cumprod([1, *(1 + market)]))
    fit = stats.linregress(market, returns)
    assert measured["beta"] == pytest.approx(fit.slope)
    assert measured["alpha"] == pytest.approx(fit.intercept * 365)
    assert measured["correlation"] == pytest.approx(fit.rvalue)
    excess = returns - market
    assert measured["tracking_error"] == pytest.approx(stats.tstd(excess) * np.sqrt(365))
    assert measured["information_ratio"] == pytest.approx(np.mean(excess) / stats.tstd(excess) * np.sqrt(365))
    assert set(measured) <= set(DEFINITIONS)


def test_benchmark_itself_has_beta_one_and_no_tracking_error(daily_equity):
    closes = build_daily_closes(daily_equity(100, 110, 99, 120), periods_per_year=365)
    measured = _relate(closes, closes.astype(float))
    assert measured["beta"] == pytest.approx(1.0)
    assert measured["correlation"] == pytest.approx(1.0)
    assert measured["alpha"] == pytest.approx(0.0, abs=1e-12)
    assert measured["tracking_error"] == 0.0
    assert "same return every day" in measured["information_ratio"].reason


def test_benchmark_that_does_not_move_has_no_beta(daily_equity):
    closes = build_daily_closes(daily_equity(100, 110, 99, 120), periods_per_year=365)
    measured = _relate(closes, [5.0] * 4)
    assert measured["beta"].reason == "the benchmark's daily returns do not vary"
    assert isinstance(measured["tracking_error"], float)
    flat = build_daily_closes(daily_equity(100, 100, 100, 100), periods_per_year=365)
    assert _relate(flat, [5.0, 6.0, 5.0, 7.0])["correlation"].reason == "daily returns do not vary"


@settings(max_examples=60, deadline=None)
@given(pairs=st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)), min_size=3, max_size=30))
def test_benchmark_correlation_is_bounded_and_has_the_sign_of_beta(daily_closes, pairs):
    closes = daily_closes([own for own, _ in pairs])
    held = 100 * np.cumprod([1.0, *(1 + market for _, market in pairs)])
    measured = _relate(closes, held)
    beta, correlation = measured["beta"], measured["correlation"]
    if isinstance(correlation, float):
        assert -1.0 <= correlation <= 1.0
        assert np.sign(beta) == np.sign(correlation)
