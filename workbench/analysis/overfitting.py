"""The probability that a search chose noise: the best of its trials, looked up where it was not searched."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import numpy.typing as npt

from workbench.analysis.sharpe import read_returns
from workbench.errors import InputError

__all__ = ["OverfittingProbability", "measure_overfitting"]

_MAX_BLOCKS = 16
# Elements of an intermediate array of the cross-validation: some 30 MB.
_MAX_ELEMENTS = 4_000_000
# A variance below this share of the mean square is rounding noise, not variance.
_NOISE = 1e-12
# Sharpe ratios are compared to so many decimals: trials that differ in size alone are equal, and 0 is 0.
_DECIMALS = 10


class OverfittingProbability(msgspec.Struct, frozen=True, kw_only=True):
    """
    The probability of backtest overfitting, and all that goes with it.

    Attributes
    ----------
    pbo : float
        The share of combinations in which the best trial in sample is not above the median out of sample.
    probability_of_loss : float
        The share of combinations in which the best trial in sample has a negative Sharpe ratio out of sample.
    degradation_slope : float, optional
        The slope of the least-squares line through the best trial's Sharpe ratios, out of sample over in
        sample. ``None`` if the Sharpe ratio in sample is the same in all combinations. Both halves come from
        one series, so a high one leaves less for the other: compare slopes, a negative one is no proof.
    logits : tuple[float, ...]
        One per combination: ln(w / (1 - w)), where w is the best trial's rank out of sample / (trials + 1).
    combinations : int
        In how many ways the blocks were halved.
    blocks : int
        Into how many blocks the returns were cut.
    observations : int
        How many rows were used: the largest multiple of `blocks`; older rows were left out.
    trials : int
        How many series were compared.

    """

    pbo: float
    probability_of_loss: float
    degradation_slope: float | None
    logits: tuple[float, ...]
    combinations: int
    blocks: int
    observations: int
    trials: int


def measure_overfitting(returns: npt.ArrayLike, *, blocks: int = _MAX_BLOCKS) -> OverfittingProbability:
    """
    Return the probability that choosing the best of several trials chooses noise.

    Combinatorially symmetric cross-validation: the rows are cut into blocks; every half of the blocks in turn
    is in sample, the rest out of sample; the trial with the highest Sharpe ratio in sample is looked up out
    of sample. Bailey, Borwein, López de Prado and Zhu 2017, The Probability of Backtest Overfitting, Journal
    of Computational Finance 20(4), algorithm 2.3. A logit of exactly 0 (the median) counts as overfit. Among
    several in-sample bests the first is taken; equal ranks out of sample are averaged. Sharpe ratios are equal
    if 10 decimals are.

    If all trials are good and alike, the choice between them is noise and the probability is high, though
    none is bad: the authors' own caveat. Trials that are left out of the matrix make it too low.

    Parameters
    ----------
    returns : array-like of shape (observations, trials)
        Returns per period, oldest first; a column for every trial, all over the same periods. A trial whose
        returns do not vary in a half (it did not trade) has a Sharpe ratio of 0 there.
    blocks : int, default 16
        An even number from 2 to 16 (12,870 combinations, the authors' choice).

    Raises
    ------
    InputError
        If there are fewer than 2 trials or 2 rows per block, a return is not finite, or `blocks` is odd or
        out of range.

    """
    values = read_returns(returns, dimensions=2)
    if blocks % 2 or not 2 <= blocks <= _MAX_BLOCKS:
        raise InputError(
            f"blocks is {blocks}", expected=f"an even number from 2 to {_MAX_BLOCKS}", field="blocks"
        )
    length, trials = values.shape[0] // blocks, values.shape[1]
    if trials < 2:
        raise InputError(f"{trials} trials are too few", expected="at least 2", field="returns")
    if length < 2:
        raise InputError(
            f"{values.shape[0]} observations are too few for {blocks} blocks",
            expected=f"at least {2 * blocks}",
            field="returns",
        )
    inside, outside, ranks = _select_best(values[-blocks * length :].reshape(blocks, length, trials))
    shares = ranks / (trials + 1)
    logits = np.log(shares / (1.0 - shares))
    return OverfittingProbability(
        pbo=float((logits <= 0).mean()),
        probability_of_loss=float((outside < 0).mean()),
        degradation_slope=_fit_slope(inside, outside),
        logits=tuple(logits.tolist()),
        combinations=len(logits),
        blocks=blocks,
        observations=blocks * length,
        trials=trials,
    )


type _Floats = npt.NDArray[np.float64]


def _select_best(blocks: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Return the best trial's Sharpe ratios in and out of sample and its rank out of sample, by combination."""
    count, length, trials = blocks.shape
    # The Sharpe ratio does not depend on the scale; the squares below would, at the ends of what a float holds.
    largest = np.abs(blocks).max(axis=(0, 1))
    blocks = blocks / np.where(largest > 0, largest, 1.0)
    sums, squares = blocks.sum(axis=1), (blocks**2).sum(axis=1)
    halves = np.array(list(itertools.combinations(range(count), count // 2)))
    # In lexicographic order, the complement of the first half is the last, and so on.
    complements = halves[::-1]
    inside, outside, ranks = (np.empty(len(halves)) for _ in range(3))
    step = max(_MAX_ELEMENTS // (trials * count // 2), 1)
    for start in range(0, len(halves), step):
        part = slice(start, start + step)
        seen = _measure_sharpes(sums, squares, halves[part], length)
        unseen = _measure_sharpes(sums, squares, complements[part], length)
        best = seen.argmax(axis=1)[:, np.newaxis]
        inside[part] = np.take_along_axis(seen, best, axis=1)[:, 0]
        chosen = np.take_along_axis(unseen, best, axis=1)
        outside[part] = chosen[:, 0]
        ranks[part] = (unseen < chosen).sum(axis=1) + ((unseen == chosen).sum(axis=1) + 1) / 2
    return inside, outside, ranks


def _measure_sharpes(
    sums: _Floats, squares: _Floats, halves: npt.NDArray[np.int_], length: int
) -> npt.NDArray[np.float64]:
    """Return the Sharpe ratio of every trial in every half, of shape (halves, trials)."""
    rows = halves.shape[1] * length
    mean, square = sums[halves].sum(axis=1) / rows, squares[halves].sum(axis=1) / rows
    variance = square - mean**2
    is_varying = variance > _NOISE * square
    deviation = np.sqrt(np.where(is_varying, variance, 1.0) * (rows / (rows - 1)))
    return np.round(np.where(is_varying, mean / deviation, 0.0), _DECIMALS)


def _fit_slope(inside: _Floats, outside: _Floats) -> float | None:
    deviations = inside - inside.mean()
    variance = float((deviations**2).sum())
    if variance <= _NOISE * float((inside**2).sum()):
        return None
    return float((deviations * outside).sum()) / variance
