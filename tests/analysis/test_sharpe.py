"""The Sharpe statistics give the numbers that their papers print."""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec
import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.analysis.definitions import Unknown
from workbench.analysis.sharpe import (
    Moments,
    measure_deflated_sharpe,
    measure_expected_maximum,
    measure_minimum_track_record,
    measure_moments,
    measure_probabilistic_sharpe,
)
from workbench.errors import InputError


def _moments(sharpe: float, skewness: float = 0.0, kurtosis: float = 3.0, observations: int = 24) -> Moments:
    return Moments(sharpe=sharpe, skewness=skewness, kurtosis=kurtosis, observations=observations)


@st.composite
def any_moments(draw: st.DrawFn) -> Moments:
    skewness = draw(st.floats(-5, 5))
    return Moments(
        sharpe=draw(st.floats(-2, 2)),
        skewness=skewness,
        kurtosis=1.0 + skewness**2 + draw(st.floats(0.1, 50)),
        observations=draw(st.integers(2, 10_000)),
    )


# Bailey and López de Prado 2012, The Sharpe Ratio Efficient Frontier: two years of monthly returns of a hedge fund.
@pytest.mark.parametrize(("skewness", "kurtosis", "printed"), [(0.0, 3.0, 0.982), (-2.448, 10.164, 0.913)])
def test_probabilistic_sharpe_gives_the_numbers_of_the_paper(
    skewness: float, kurtosis: float, printed: float
) -> None:
    fund = _moments(0.458, skewness, kurtosis, 24)
    assert measure_probabilistic_sharpe(fund) == pytest.approx(printed, abs=5e-4)


# The same paper: years until a yearly Sharpe ratio of 2 is above 1 at 95 %, by the frequency of the returns.
@pytest.mark.parametrize(
    ("per_year", "skewness", "kurtosis", "printed"),
    [(250, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_minimum_track_record_gives_the_numbers_of_the_paper(
    per_year: int, skewness: float, kurtosis: float, printed: float
) -> None:
    root = math.sqrt(per_year)
    length = measure_minimum_track_record(_moments(2 / root, skewness, kurtosis), benchmark=1 / root)
    assert isinstance(length, float)
    assert length / per_year == pytest.approx(printed, abs=5e-3)


# Bailey and López de Prado 2014, The Deflated Sharpe Ratio: five years of daily returns, a yearly Sharpe ratio of 2.5,
# trials with a variance of 1/2 (yearly). The last row is the case of normal returns.
@pytest.mark.parametrize(
    ("trials", "skewness", "kurtosis", "printed"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_deflated_sharpe_gives_the_numbers_of_the_paper(
    trials: int, skewness: float, kurtosis: float, printed: float
) -> None:
    best = _moments(2.5 / math.sqrt(250), skewness, kurtosis, 1250)
    result = measure_deflated_sharpe(best, trials=trials, variance=0.5 / 250)
    assert result.probability == pytest.approx(printed, abs=5e-5)
    assert result.expected_maximum == measure_expected_maximum(trials, 0.5 / 250)
    assert (result.trials, result.variance, result.observations) == (trials, 0.5 / 250, 1250)
    assert (result.sharpe, result.skewness, result.kurtosis) == (best.sharpe, skewness, kurtosis)


def test_expected_maximum_gives_the_number_of_the_paper() -> None:
    assert measure_expected_maximum(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize(("trials", "share"), [(2, 0.09), (10, 0.03), (100, 0.01), (1000, 0.01)])
def test_expected_maximum_is_near_the_exact_one(trials: int, share: float) -> None:
    # E[max] = integral of x d(Normal(x)^N).
    grid = np.linspace(-10, 10, 200_001)
    density = trials * scipy.stats.norm.cdf(grid) ** (trials - 1) * scipy.stats.norm.pdf(grid)
    exact = float(np.trapezoid(grid * density, grid))
    assert measure_expected_maximum(trials, 1.0) == pytest.approx(exact, rel=share)


def test_expected_maximum_of_one_trial_is_nothing() -> None:
    assert measure_expected_maximum(1, 4.0) == 0.0
    best = _moments(0.1, observations=500)
    one = measure_deflated_sharpe(best, trials=1, variance=4.0)
    assert one.probability == measure_probabilistic_sharpe(best)


@given(trials=st.integers(1, 10**18), more=st.integers(1, 10**6), variance=st.floats(0, 10))
def test_expected_maximum_never_falls_with_trials_and_grows_with_their_spread(
    trials: int, more: int, variance: float
) -> None:
    few, many = measure_expected_maximum(trials, variance), measure_expected_maximum(trials + more, variance)
    assert 0.0 <= few <= many + 1e-12
    assert measure_expected_maximum(trials, 4 * variance) == pytest.approx(2 * few)


@given(moments=any_moments(), benchmark=st.floats(-2, 2), above=st.floats(0.01, 2))
def test_probabilistic_sharpe_is_a_probability_that_falls_with_the_benchmark(
    moments: Moments, benchmark: float, above: float
) -> None:
    low = measure_probabilistic_sharpe(moments, benchmark=benchmark)
    high = measure_probabilistic_sharpe(moments, benchmark=benchmark + above)
    assert 0.0 <= high <= low <= 1.0
    assert measure_probabilistic_sharpe(moments, benchmark=moments.sharpe) == 0.5


@given(moments=any_moments(), trials=st.integers(2, 10_000), variance=st.floats(0, 1))
def test_deflated_sharpe_is_never_above_the_probabilistic(
    moments: Moments, trials: int, variance: float
) -> None:
    deflated = measure_deflated_sharpe(moments, trials=trials, variance=variance)
    assert deflated.probability <= measure_probabilistic_sharpe(moments)
    assert msgspec.json.decode(msgspec.json.encode(deflated))["trials"] == trials


@given(moments=any_moments(), benchmark=st.floats(-2, 2), confidence=st.floats(0.5, 0.9999))
def test_minimum_track_record_is_where_the_probability_reaches_the_confidence(
    moments: Moments, benchmark: float, confidence: float
) -> None:
    assume(moments.sharpe - benchmark > 1e-3)
    length = measure_minimum_track_record(moments, benchmark=benchmark, confidence=confidence)
    assert isinstance(length, float)
    # The length is no whole number, so the formula of the probability is repeated here.
    dispersion = 1 - moments.skewness * moments.sharpe + (moments.kurtosis - 1) / 4 * moments.sharpe**2
    z = (moments.sharpe - benchmark) * math.sqrt(length - 1) / math.sqrt(dispersion)
    assert NormalDist().cdf(z) == pytest.approx(confidence, abs=1e-9)


@pytest.mark.parametrize("benchmark", [0.1, 0.2])
def test_minimum_track_record_without_an_edge_is_unknown(benchmark: float) -> None:
    assert isinstance(measure_minimum_track_record(_moments(0.1), benchmark=benchmark), Unknown)


@given(arrays(np.float64, st.integers(3, 50), elements=st.floats(-1, 1).map(lambda x: round(x, 4))))
def test_moments_are_those_of_scipy(returns: np.ndarray) -> None:
    assume(returns.std() > 1e-3)
    moments = measure_moments(returns)
    assert moments.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert moments.skewness == pytest.approx(float(scipy.stats.skew(returns)), abs=1e-9)
    assert moments.kurtosis == pytest.approx(float(scipy.stats.kurtosis(returns, fisher=False)))
    assert moments.observations == len(returns)


@pytest.mark.parametrize(
    ("returns", "words"),
    [
        ([], "0 returns are too few"),
        ([0.1], "1 returns are too few"),
        ([0.1, math.nan, math.inf], "2 of 3 returns are not finite"),
        ([0.0, 0.0], "all the same"),
        ([0.1] * 30, "all the same"),
        ([[0.1, 0.2]], "2 dimensions"),
    ],
)
def test_moments_of_bad_returns_are_refused(returns: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        measure_moments(returns)
    assert caught.value.field == "returns"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sharpe": math.nan}, "sharpe"),
        ({"skewness": math.inf}, "skewness"),
        ({"kurtosis": math.nan}, "kurtosis"),
        ({"kurtosis": 0.0}, "kurtosis"),  # A normal distribution's excess
        ({"skewness": -3.0, "kurtosis": 9.9}, "kurtosis"),
        ({"observations": 1}, "observations"),
    ],
)
def test_moments_that_cannot_be_are_refused(changes: dict[str, float], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Moments(**{"sharpe": 0.1, "skewness": 0.0, "kurtosis": 3.0, "observations": 24, **changes})  # type: ignore[arg-type]
    assert caught.value.field == field


def test_sharpe_without_a_standard_error_is_refused() -> None:
    # Wins of 1 and no losses: the whole of the estimate's variance cancels.
    edge = _moments(1.0, skewness=2.0, kurtosis=5.0)
    for measure in (measure_probabilistic_sharpe, measure_minimum_track_record):
        with pytest.raises(InputError, match="no standard error"):
            measure(edge)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_benchmark_that_is_no_number_is_refused(value: float) -> None:
    for measure in (measure_probabilistic_sharpe, measure_minimum_track_record):
        with pytest.raises(InputError, match="benchmark") as caught:
            measure(_moments(0.1), benchmark=value)
        assert caught.value.field == "benchmark"


@pytest.mark.parametrize("confidence", [0.49, 1.0, math.nan])
def test_confidence_out_of_range_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="to below 1"):
        measure_minimum_track_record(_moments(0.1), confidence=confidence)


@pytest.mark.parametrize(
    ("trials", "variance", "field"),
    [(0, 0.1, "trials"), (-5, 0.1, "trials"), (5, -0.1, "variance"), (5, math.nan, "variance")],
)
def test_bad_trials_are_refused(trials: int, variance: float, field: str) -> None:
    with pytest.raises(InputError) as caught:
        measure_deflated_sharpe(_moments(0.1), trials=trials, variance=variance)
    assert caught.value.field == field
