from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from workbench.analysis.definitions import DEFINITIONS, Unknown
from workbench.analysis.equity import build_daily_closes, build_daily_returns
from workbench.analysis.risk import measure_risk, measure_tail_risk
from workbench.errors import InputError

RETURNS = st.lists(st.floats(-0.5, 0.5).map(lambda x: round(x, 6)), min_size=20, max_size=60)


@pytest.fixture
def sample() -> np.ndarray:
    return np.random.default_rng(7).standard_t(4, size=250) * 0.01


def test_historical_tail_risk_worked_example(daily_closes):
    # 21 returns, -10 % to 10 % in steps of 1 %: the 5 % quantile is the second lowest, -9 %.
    measured = measure_tail_risk(daily_closes(np.arange(-10, 11)[::-1] / 100))
    assert measured["value_at_risk_historical"] == pytest.approx(0.09)
    assert measured["expected_shortfall_historical"] == pytest.approx((0.10 + 0.09) / 2)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_tail_risk_agrees_with_scipy(daily_closes, sample, confidence):
    closes = daily_closes(sample)
    returns = build_daily_returns(closes).to_numpy()
    measured = measure_tail_risk(closes, confidence=confidence)
    quantile = stats.mstats.mquantiles(returns, prob=[1 - confidence], alphap=1, betap=1)[0]
    assert measured["value_at_risk_historical"] == pytest.approx(-quantile)
    assert measured["expected_shortfall_historical"] == pytest.approx(-returns[returns <= quantile].mean())
    normal = stats.norm(returns.mean(), returns.std(ddof=1))
    assert measured["value_at_risk_normal"] == pytest.approx(-normal.ppf(1 - confidence))
    # The mean of the tail by integration, not by the closed form.
    tail, _ = integrate.quad(lambda x: x * normal.pdf(x), -1.0, normal.ppf(1 - confidence))
    assert measured["expected_shortfall_normal"] == pytest.approx(-tail / (1 - confidence), rel=1e-6)


def test_tail_risk_of_too_few_days_has_a_reason(daily_closes):
    measured = measure_tail_risk(daily_closes([0.01, -0.01] * 25), confidence=0.99)
    assert measured["value_at_risk_historical"] == Unknown(
        "the run has 50 daily returns; at least 100 are needed for a confidence of 0.99"
    )
    assert isinstance(measured["value_at_risk_normal"], float)
    assert isinstance(measure_tail_risk(daily_closes([0.01, -0.01] * 10))["value_at_risk_historical"], float)
    few = measure_tail_risk(daily_closes([0.01] * 19))
    assert all("at least 20 are needed" in value.reason for value in few.values())


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95, -1, float("nan")])
def test_tail_risk_of_a_senseless_confidence_is_refused(daily_closes, confidence):
    with pytest.raises(InputError) as caught:
        measure_tail_risk(daily_closes([0.01]), confidence=confidence)
    assert caught.value.field == "confidence"


@settings(max_examples=60, deadline=None)
@given(returns=RETURNS)
def test_expected_shortfall_is_no_smaller_than_value_at_risk(daily_closes, returns):
    measured = measure_tail_risk(daily_closes(returns))
    for method in ("historical", "normal"):
        shortfall, value = measured[f"expected_shortfall_{method}"], measured[f"value_at_risk_{method}"]
        assert shortfall >= value - 1e-12
    assert measured["expected_shortfall_historical"] <= -min(returns) + 1e-9


@settings(max_examples=40, deadline=None)
@given(returns=st.lists(st.floats(-0.5, 0.5), min_size=100, max_size=120))
def test_value_at_risk_grows_with_the_confidence(daily_closes, returns):
    closes = daily_closes(returns)
    low, high = (measure_tail_risk(closes, confidence=c) for c in (0.95, 0.99))
    assert all(high[name] >= low[name] - 1e-12 for name in low)


def test_drawdown_figures_worked_example(daily_equity):
    # Closes: 100 | 110, 99 (-10 %), 110, 88 (-20 %), 99 (-10 %).
    closes = build_daily_closes(daily_equity(100, 110, 99, 110, 88, 99), periods_per_year=365)
    measured = measure_risk(closes)
    assert measured["ulcer_index"] == pytest.approx(np.sqrt((0.1**2 + 0.2**2 + 0.1**2) / 5))
    assert measured["time_under_water"] == 3 / 5
    assert measured["drawdowns"] == 2
    assert measured["average_drawdown"] == pytest.approx(-0.15)
    assert measured["average_drawdown_length"] == 2.0
    assert measured["tail_ratio"].reason == "the run has 5 daily returns; at least 20 are needed"


def test_tail_ratio_agrees_with_numpy(daily_closes, sample):
    closes = daily_closes(sample)
    returns = build_daily_returns(closes).to_numpy()
    expected = abs(np.percentile(returns, 95)) / abs(np.percentile(returns, 5))
    assert measure_risk(closes)["tail_ratio"] == pytest.approx(expected)
    flat = measure_risk(daily_closes([0.0] * 30))
    assert flat["tail_ratio"].reason == "the 5 % quantile of the daily returns is 0"


def test_risk_of_rising_equity_is_none(daily_closes):
    measured = measure_risk(daily_closes([0.01] * 30))
    assert (measured["ulcer_index"], measured["time_under_water"], measured["drawdowns"]) == (0.0, 0.0, 0)
    assert (
        measured["average_drawdown"] == measured["average_drawdown_length"] == Unknown("there is no drawdown")
    )
    assert measured["tail_ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "reason"), [((), "0 daily"), ((100, None, 90), "unknown"), ((9, 5, 0), "zero")]
)
def test_risk_without_daily_returns_has_a_reason(daily_equity, values, reason):
    closes = build_daily_closes(daily_equity(*values), periods_per_year=365)
    measured = measure_risk(closes) | measure_tail_risk(closes)
    assert set(measured) <= set(DEFINITIONS)
    assert all(value.reason for value in measured.values())
    assert reason in measure_risk(closes)["ulcer_index"].reason


@settings(max_examples=60, deadline=None)
@given(returns=st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=40))
def test_ulcer_index_lies_between_none_and_the_deepest_drawdown(daily_closes, returns):
    closes = daily_closes(returns)
    values = closes.astype(float)
    deepest = float((values / values.cummax() - 1).min())
    measured = measure_risk(closes)
    assert 0.0 <= measured["ulcer_index"] <= -deepest + 1e-12
    assert measured["time_under_water"] == pytest.approx(
        float((values < pd.Series(values).cummax()).iloc[1:].mean()), abs=1e-12
    )
