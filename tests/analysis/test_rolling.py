from __future__ import annotations

import numpy as np
import pytest

from workbench.analysis.equity import build_daily_closes, build_daily_returns
from workbench.analysis.performance import measure_returns
from workbench.analysis.rolling import build_rolling
from workbench.errors import InputError


@pytest.fixture
def sample() -> np.ndarray:
    return np.random.default_rng(3).normal(0.001, 0.02, size=80)


@pytest.mark.parametrize("periods", [252, 365])
def test_rolling_agrees_with_pandas(daily_closes, sample, periods):
    closes = daily_closes(sample)
    rolling = build_rolling(closes, window=20, periods_per_year=periods)
    returns = build_daily_returns(closes)
    moving = returns.rolling(20)
    assert rolling.index.equals(returns.index)
    assert str(rolling.index.tz) == "UTC"
    np.testing.assert_allclose(rolling["volatility"], moving.std() * np.sqrt(periods), rtol=1e-9)
    np.testing.assert_allclose(rolling["sharpe"], moving.mean() / moving.std() * np.sqrt(periods), rtol=1e-9)
    assert rolling["sharpe"].isna().sum() == 19


def test_rolling_over_the_whole_run_is_the_headline(daily_closes, sample):
    closes = daily_closes(sample)
    last = build_rolling(closes, window=80, periods_per_year=365).iloc[-1]
    headline = measure_returns(closes, periods_per_year=365)
    assert last["sharpe"] == pytest.approx(headline["sharpe"], rel=1e-12)
    assert last["volatility"] == pytest.approx(headline["annualised_volatility"], rel=1e-12)


def test_rolling_constant_returns_have_no_ratio(daily_closes):
    # A large move first: what a running sum would leave behind must not show up as a ratio.
    rolling = build_rolling(daily_closes([0.4, *[0.0] * 10]), window=5, periods_per_year=365)
    assert rolling["volatility"].iloc[-1] == 0.0
    assert np.isnan(rolling["sharpe"].iloc[-1])


def test_rolling_unknown_or_lost_equity_leaves_a_gap(daily_equity):
    closes = build_daily_closes(
        daily_equity(100, 110, None, 120, 110, 115, 0, 50, 60, 50), periods_per_year=365
    )
    known = build_rolling(closes, window=2, periods_per_year=365)["volatility"].notna().tolist()
    # Returns: +, ?, ?, -, +, -100 %, ?, +, -
    assert known == [False, False, False, False, True, False, False, False, True]


def test_rolling_longer_than_the_run_is_empty_of_numbers(daily_closes):
    rolling = build_rolling(daily_closes([0.01, 0.02]), window=30, periods_per_year=365)
    assert len(rolling) == 2
    assert rolling.isna().all(axis=None)
    assert len(build_rolling(daily_closes([])[:0], window=30, periods_per_year=365)) == 0


def test_rolling_window_below_two_is_refused(daily_closes):
    with pytest.raises(InputError) as caught:
        build_rolling(daily_closes([0.01]), window=1, periods_per_year=365)
    assert caught.value.field == "window"
