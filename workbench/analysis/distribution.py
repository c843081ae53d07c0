"""How daily returns are distributed: a histogram and its moments."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analysis.definitions import Outcome, Unknown
from workbench.analysis.equity import build_daily_returns
from workbench.analysis.performance import describe_problem
from workbench.analysis.sharpe import measure_moments
from workbench.errors import InputError

__all__ = ["build_histogram", "measure_distribution"]

# The width of the one bin of returns that are all the same: a basis point.
_LEAST_WIDTH = 1e-4
# Below this share of the largest return, a spread of returns is rounding noise, not variance.
_NOISE = 1e-12


def build_histogram(closes: pd.Series, *, most_bins: int = 60) -> pd.DataFrame:
    """
    Return how many days had which return.

    The width of the bins is that of Freedman and Diaconis 1981 (On the Histogram as a Density Estimator):
    ``2 x interquartile range / days ** (1 / 3)``. Where half of the days had the same return (a run that
    mostly stood aside) the interquartile range says nothing, and the number of bins is that of Sturges 1926,
    ``log2(days) + 1``. The width grows where there would be more than `most_bins`. All edges are multiples of the
    width, so that no bin holds both gains and losses; a return of exactly 0 counts to the bin above.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    most_bins : int, default 60
        The most bins, at least 4.

    Returns
    -------
    pd.DataFrame
        One row per bin, ascending, without gaps: ``left`` (inside the bin), ``right`` (outside), float64
        fractions; ``days`` int64. Empty where `measure_distribution` gives no figures.

    Raises
    ------
    InputError
        If `most_bins` is below 4.

    """
    if most_bins < 4:
        raise InputError(f"most_bins is {most_bins}", expected="at least 4", field="most_bins")
    if describe_problem(closes) is not None:
        empty = np.empty(0, dtype=np.float64)
        return pd.DataFrame({"left": empty, "right": empty, "days": empty.astype(np.int64)})
    returns = build_daily_returns(closes).to_numpy(dtype=np.float64)
    width = _choose_width(returns, most_bins)
    bins = np.floor(returns / width).astype(np.int64)
    first = int(bins.min())
    days = np.bincount(bins - first)
    edges = np.arange(first, first + len(days) + 1, dtype=np.float64) * width
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "days": days.astype(np.int64)})


def _choose_width(returns: npt.NDArray[np.float64], most_bins: int) -> float:
    low, high = float(returns.min()), float(returns.max())
    spread = high - low
    if spread <= _NOISE * max(abs(low), abs(high)):
        return max(_LEAST_WIDTH, _NOISE * abs(high))
    upper, lower = np.quantile(returns, [0.75, 0.25])
    width = 2.0 * float(upper - lower) / math.cbrt(len(returns))
    if width <= _NOISE * spread:
        width = spread / math.ceil(math.log2(len(returns)) + 1.0)
    # Edges at multiples of the width cost up to two bins more than the range needs.
    return max(width, spread / (most_bins - 2))


def measure_distribution(closes: pd.Series) -> dict[str, Outcome]:
    """
    Return the moments of the daily returns.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.

    Returns
    -------
    dict[str, Outcome]
        ``mean_day``, ``median_day``, ``deviation_day``, ``positive_days``, ``skewness`` and ``kurtosis``, as
        in `DEFINITIONS`; the last two are those of `measure_moments`.

    """
    names = ("mean_day", "median_day", "deviation_day", "positive_days", "skewness", "kurtosis")
    if (problem := describe_problem(closes)) is not None:
        return dict.fromkeys(names, Unknown(problem))
    returns = build_daily_returns(closes).to_numpy(dtype=np.float64)
    outcomes: dict[str, Outcome] = {
        "mean_day": float(returns.mean()),
        "median_day": float(np.median(returns)),
        "deviation_day": float(returns.std(ddof=1)),
        "positive_days": float(np.mean(returns > 0.0)),
    }
    try:
        moments = measure_moments(returns)
    except InputError:
        # There are at least two finite returns, so all of them are the same.
        constant = Unknown("daily returns do not vary")
        return outcomes | {"skewness": constant, "kurtosis": constant}
    return outcomes | {"skewness": moments.skewness, "kurtosis": moments.kurtosis}
