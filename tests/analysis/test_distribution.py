from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.analysis.definitions import DEFINITIONS, Unknown
from workbench.analysis.distribution import build_histogram, measure_distribution
from workbench.analysis.equity import build_daily_closes, build_daily_returns
from workbench.errors import InputError


@pytest.fixture
def sample() -> np.ndarray:
    return np.random.default_rng(11).standard_t(5, size=400) * 0.01


def test_distribution_agrees_with_scipy(daily_closes, sample):
    closes = daily_closes(sample)
    returns = build_daily_returns(closes).to_numpy()
    measured = measure_distribution(closes)
    assert measured["mean_day"] == pytest.approx(np.mean(returns))
    assert measured["median_day"] == pytest.approx(np.median(returns))
    assert measured["deviation_day"] == pytest.approx(stats.tstd(returns))
    assert measured["positive_days"] == pytest.approx((returns > 0).sum() / 400)
    assert measured["skewness"] == pytest.approx(stats.skew(returns))
    assert measured["kurtosis"] == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert set(measured) <= set(DEFINITIONS)


def test_histogram_has_the_width_of_freedman_and_diaconis(daily_closes, sample):
    closes = daily_closes(sample)
    returns = build_daily_returns(closes).to_numpy()
    histogram = build_histogram(closes)
    width = 2 * stats.iqr(returns) / 400 ** (1 / 3)
    np.testing.assert_allclose(histogram["right"] - histogram["left"], width)
    counts, _ = np.histogram(returns, bins=[*histogram["left"], histogram["right"].iloc[-1]])
    assert histogram["days"].tolist() == counts.tolist()


def test_histogram_has_zero_as_an_edge_and_flat_days_above_it(daily_closes):
    # Two thirds of the days stood aside: the interquartile range is 0.
    histogram = build_histogram(daily_closes([0.02, -0.01, 0.0, 0.0, 0.0, 0.0, 0.01, 0.0, 0.0]))
    below = histogram[histogram["right"] <= 0]
    assert below["days"].sum() == 1
    assert histogram[histogram["left"] == 0.0]["days"].item() >= 6
    assert histogram["days"].sum() == 9


def test_histogram_of_equal_returns_is_one_bin(daily_equity):
    closes = build_daily_closes(daily_equity(100, 100, 100), periods_per_year=365)
    assert build_histogram(closes)["days"].tolist() == [2]
    assert measure_distribution(closes)["skewness"] == Unknown("daily returns do not vary")


def test_distribution_of_too_few_days_has_a_reason(daily_closes):
    closes = daily_closes([0.01])
    assert len(build_histogram(closes)) == 0
    assert list(build_histogram(closes).columns) == ["left", "right", "days"]
    assert all("at least 2" in value.reason for value in measure_distribution(closes).values())


def test_histogram_of_fewer_than_four_bins_is_refused(daily_closes):
    with pytest.raises(InputError) as caught:
        build_histogram(daily_closes([0.01, 0.02]), most_bins=3)
    assert caught.value.field == "most_bins"


@settings(max_examples=80, deadline=None)
@given(
    returns=st.lists(st.one_of(st.just(0.0), st.floats(-0.9, 5.0)), min_size=2, max_size=60),
    most=st.integers(4, 60),
)
def test_histogram_counts_every_day_in_a_bounded_number_of_bins(daily_closes, returns, most):
    closes = daily_closes(returns)
    histogram = build_histogram(closes, most_bins=most)
    values = build_daily_returns(closes).to_numpy()
    assert histogram["days"].sum() == len(values)
    assert 1 <= len(histogram) <= most
    assert histogram["left"].iloc[0] <= values.min() + 1e-9
    assert histogram["right"].iloc[-1] >= values.max() - 1e-9
    assert histogram["right"].iloc[:-1].tolist() == histogram["left"].iloc[1:].tolist()
    assert not ((histogram["left"] < 0) & (histogram["right"] > 0)).any()
