"""The probability of backtest overfitting: small cases by hand, a plain rewrite, and what must hold."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from workbench.analysis.overfitting import OverfittingProbability, measure_overfitting
from workbench.errors import InputError

type Matrix = npt.NDArray[np.float64]

matrices = st.tuples(st.integers(8, 20), st.integers(2, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-9, 9).map(lambda x: x / 100))
)


def _noise(seed: int, observations: int, trials: int) -> Matrix:
    return np.random.default_rng(seed).normal(0.0, 0.01, (observations, trials))


def _sharpe(column: Matrix) -> float:
    return 0.0 if np.ptp(column) == 0 else round(float(column.mean() / column.std(ddof=1)), 10)


def _rewrite(returns: Matrix, blocks: int) -> tuple[list[float], list[float], list[float]]:
    """Return Sharpe ratios in and out of sample and logits as the paper describes them, row by row."""
    length = len(returns) // blocks
    parts = returns[len(returns) - blocks * length :].reshape(blocks, length, -1)
    inside, outside, logits = [], [], []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        others = [b for b in range(blocks) if b not in chosen]
        seen = [_sharpe(c) for c in np.concatenate(parts[list(chosen)]).T]
        unseen = [_sharpe(c) for c in np.concatenate(parts[others]).T]
        best = seen.index(max(seen))
        share = scipy.stats.rankdata(unseen)[best] / (len(unseen) + 1)
        inside.append(seen[best])
        outside.append(unseen[best])
        logits.append(math.log(share / (1 - share)))
    return inside, outside, logits


def test_overfitting_best_becomes_worst_worked_example() -> None:
    # In each half one trial has Sharpe ratio 2 / sqrt(2) and the other its negative; they change places.
    result = measure_overfitting([[1, -3], [3, -1], [-3, 1], [-1, 3]], blocks=2)
    assert result == OverfittingProbability(
        pbo=1.0,
        probability_of_loss=1.0,
        degradation_slope=None,  # The best is as good in both
        logits=(pytest.approx(math.log(0.5)), pytest.approx(math.log(0.5))),  # Rank 1 of 2: (1/3) / (2/3)
        combinations=2,
        blocks=2,
        observations=4,
        trials=2,
    )


def test_overfitting_best_stays_best_worked_example() -> None:
    # The first trial has Sharpe ratio 3 / sqrt(2), then 2 / sqrt(2); the second 0, then -1 / sqrt(2).
    result = measure_overfitting([[2, -1], [4, 1], [1, 0], [3, -2]], blocks=2)
    assert (result.pbo, result.probability_of_loss) == (0.0, 0.0)
    assert result.logits == pytest.approx([math.log(2.0)] * 2)
    assert result.degradation_slope == pytest.approx(-1.0)


def test_overfitting_uses_the_latest_rows() -> None:
    rows = [[2, -1], [4, 1], [1, 0], [3, -2]]
    longer = measure_overfitting([[-1000, 1000], *rows], blocks=2)
    assert longer == measure_overfitting(rows, blocks=2)
    assert longer.observations == 4


@pytest.mark.parametrize("blocks", range(2, 17, 2))
def test_overfitting_halves_the_blocks_in_every_way(blocks: int) -> None:
    result = measure_overfitting(_noise(1, 40, 3), blocks=blocks)
    assert result.combinations == len(result.logits) == math.comb(blocks, blocks // 2)


@settings(max_examples=60, deadline=None)
@given(returns=matrices, blocks=st.sampled_from([2, 4]))
def test_overfitting_is_what_a_plain_rewrite_gives(returns: Matrix, blocks: int) -> None:
    inside, outside, logits = _rewrite(returns, blocks)
    result = measure_overfitting(returns, blocks=blocks)
    assert result.logits == pytest.approx(logits, abs=1e-9)
    assert result.pbo == np.mean(np.array(logits) <= 0)
    assert result.probability_of_loss == np.mean(np.array(outside) < 0)
    if np.ptp(inside) > 1e-6:
        assert result.degradation_slope == pytest.approx(np.polyfit(inside, outside, 1)[0], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(returns=matrices, scale=st.sampled_from([1e-150, 0.5, 8.0, 1e150]))
def test_overfitting_does_not_depend_on_the_scale_and_is_json(returns: Matrix, scale: float) -> None:
    result = measure_overfitting(returns, blocks=4)
    assert 0.0 <= result.pbo <= 1.0
    assert 0.0 <= result.probability_of_loss <= 1.0
    assert all(map(math.isfinite, result.logits))
    assert msgspec.json.decode(msgspec.json.encode(result), type=OverfittingProbability) == result
    scaled = measure_overfitting(returns * scale, blocks=4)
    assert scaled.probability_of_loss == result.probability_of_loss
    assert scaled.logits == result.logits


def test_overfitting_of_pure_noise_is_a_half_in_the_mean() -> None:
    # An even number of trials: no trial is the median. The standard error of this mean is about 0.03.
    found = [measure_overfitting(_noise(seed, 240, 10), blocks=8).pbo for seed in range(60)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)
    assert np.std(found) > 0.1


def test_overfitting_of_one_truly_better_trial_is_none() -> None:
    returns = _noise(2, 480, 20)
    returns[:, 7] += 0.005
    result = measure_overfitting(returns)
    assert (result.combinations, result.pbo, result.probability_of_loss) == (12_870, 0.0, 0.0)


def test_overfitting_of_trials_fitted_to_one_part_each_is_high() -> None:
    # Every trial earns in its own eighth of the time and loses as much over the rest.
    returns = _noise(3, 480, 8) / 10
    for trial in range(8):
        returns[:, trial] -= 0.001
        returns[trial * 60 : (trial + 1) * 60, trial] += 0.008
    result = measure_overfitting(returns, blocks=8)
    assert result.pbo > 0.9
    assert result.probability_of_loss > 0.9
    assert result.degradation_slope is not None
    assert result.degradation_slope < 0


def test_overfitting_of_trials_that_differ_in_size_alone_is_the_median() -> None:
    result = measure_overfitting(_noise(4, 64, 1) * [1, 1, 3, 0.7, 10, 1e-6, 1e6])
    assert set(result.logits) == {0.0}
    assert result.pbo == 1.0


def test_overfitting_trial_that_never_trades_has_a_sharpe_of_zero() -> None:
    returns = _noise(5, 64, 2)
    returns[:, 0] = 0.0
    returns[:, 1] = -0.01 + returns[:, 1] / 100
    result = measure_overfitting(returns, blocks=8)
    assert (result.pbo, result.probability_of_loss, result.degradation_slope) == (0.0, 0.0, None)


def test_overfitting_of_many_trials_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    returns = _noise(6, 64, 9)
    whole = measure_overfitting(returns, blocks=8)
    monkeypatch.setattr("workbench.analysis.overfitting._MAX_ELEMENTS", 100)
    assert measure_overfitting(returns, blocks=8) == whole


@pytest.mark.parametrize(
    ("returns", "blocks", "words", "field"),
    [
        (np.zeros((40, 1)), 4, "1 trials are too few", "returns"),
        (np.zeros((40, 0)), 4, "0 trials are too few", "returns"),
        (np.zeros((31, 2)), 16, "31 observations are too few for 16 blocks; expected at least 32", "returns"),
        (np.zeros((0, 2)), 2, "0 observations are too few", "returns"),
        (np.zeros(40), 4, "1 dimensions", "returns"),
        ([[1.0, math.nan], [math.inf, 1.0]], 2, "2 of 4 returns are not finite", "returns"),
        (np.zeros((40, 2)), 3, "blocks is 3; expected an even number from 2 to 16", "blocks"),
        (np.zeros((40, 2)), 0, "blocks is 0", "blocks"),
        (np.zeros((40, 2)), 18, "blocks is 18", "blocks"),
    ],
)
def test_overfitting_of_bad_input_is_refused(
    returns: npt.ArrayLike, blocks: int, words: str, field: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        measure_overfitting(returns, blocks=blocks)
    assert caught.value.field == field
