"""A benchmark beside a run: buying an instrument at the start and holding it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analysis.columns import read_times, require_columns
from workbench.analysis.definitions import Outcome, Unknown
from workbench.analysis.equity import build_curve, build_daily_returns
from workbench.analysis.performance import describe_problem

__all__ = ["build_benchmark", "build_benchmark_closes", "measure_benchmark"]

_DAY_NS = 86_400_000_000_000
# Two pairs always lie on a line.
_LEAST_DAYS = 3
# Below this share of the largest value, a spread is rounding noise, not variance.
_NOISE = 1e-12


def build_benchmark(prices: pd.DataFrame, equity: pd.DataFrame) -> pd.Series:
    """
    Return the equity of a buy and hold of one instrument, scaled to the run's starting equity.

    The whole starting equity is taken to be worth the price at the start, without costs, leverage, dividends or
    financing, and to follow the price in proportion. The instrument's quote currency is taken to be the
    reporting currency: where it is another, the curve is that of an investor hedged against the exchange rate.

    Parameters
    ----------
    prices : pd.DataFrame
        ``ts`` (the end of the bar, strictly ascending, with a time zone), ``close`` and, optionally,
        ``open``; `Decimal` or float.
    equity : pd.DataFrame
        A run's equity frame.

    Returns
    -------
    pd.Series
        Name ``benchmark``, index ``ts`` (`DatetimeIndex`, UTC, ns): the run's first sample and every bar that
        ends after it and not after the last one; float64. The price at the start is the last close at or
        before the first sample, else the open of the first bar after it (its close where there is no open).
        All NaN where the starting equity or that price is unknown or not positive; empty without a sample.

    Raises
    ------
    InputError
        If a column is missing or times are not ascending.

    """
    require_columns(prices, ("ts", "close"), frame_name="prices")
    curve = build_curve(equity)
    stamps = read_times(prices, "ts", is_ascending=True)
    samples = pd.DatetimeIndex(curve.index).asi8
    if len(samples) == 0:
        return _build_series(np.empty(0), samples)
    start, end = int(samples[0]), int(samples[-1])
    values = prices["close"].to_numpy(dtype=np.float64)
    before = int(np.searchsorted(stamps, start, side="right"))
    base = np.nan
    if before:
        base = float(values[before - 1])
    elif len(stamps) and stamps[0] <= end:
        base = float(prices["open" if "open" in prices.columns else "close"].iloc[0])
    first = curve.iloc[0]
    scale = float(first) / base if first is not None and first > 0 and base > 0 else np.nan
    until = int(np.searchsorted(stamps, end, side="right"))
    return _build_series(
        np.concatenate([[base], values[before:until]]) * scale,
        np.concatenate([np.array([start], dtype=np.int64), stamps[before:until]]),
    )


def _build_series(values: npt.NDArray[np.float64], times: npt.NDArray[np.int64]) -> pd.Series:
    index = pd.DatetimeIndex(times.astype("datetime64[ns]"), tz="UTC", name="ts")
    return pd.Series(values, index=index, name="benchmark", dtype="float64")


def build_benchmark_closes(benchmark: pd.Series, closes: pd.Series) -> pd.Series:
    """
    Return a benchmark at the days of a run, so that their daily returns go together.

    Parameters
    ----------
    benchmark : pd.Series
        The result of `build_benchmark`.
    closes : pd.Series
        The result of `build_daily_closes`.

    Returns
    -------
    pd.Series
        Name ``benchmark``, the index of `closes`, float64: the first value at the first entry, then the last
        value at or before the end of each day (the last value of all at the last day); all NaN for an
        empty benchmark.

    """
    times = pd.DatetimeIndex(benchmark.index).as_unit("ns").asi8
    values = benchmark.to_numpy(dtype=np.float64)
    if len(values) == 0 or len(closes) == 0:
        return pd.Series(np.full(len(closes), np.nan), index=closes.index, name="benchmark")
    ends = pd.DatetimeIndex(closes.index).as_unit("ns").asi8 + _DAY_NS
    rows = np.maximum(np.searchsorted(times, ends, side="right") - 1, 0)
    if len(rows) > 1:
        rows[-1] = len(values) - 1
    rows[0] = 0
    return pd.Series(values[rows], index=closes.index, name="benchmark")


def measure_benchmark(
    closes: pd.Series, benchmark_closes: pd.Series, *, periods_per_year: int
) -> dict[str, Outcome]:
    """
    Return how a run relates to a benchmark, from daily returns.

    With the daily returns r of the run and b of the benchmark, the risk-free rate 0 and ddof 1 throughout: beta is
    ``cov(r, b) / var(b)`` (Sharpe 1964), alpha ``(mean(r) - beta x mean(b)) x days per year`` (Jensen 1968),
    tracking error ``std(r - b) x sqrt(days per year)`` (Bacon 2008) and information ratio
    ``mean(r - b) / std(r - b) x sqrt(days per year)`` (Goodwin 1998).

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    benchmark_closes : pd.Series
        The result of `build_benchmark_closes`.
    periods_per_year : int
        The calendar that made the closes, 252 or 365.

    Returns
    -------
    dict[str, Outcome]
        ``benchmark_return``, ``alpha``, ``beta``, ``correlation``, ``tracking_error`` and
        ``information_ratio``, as in `DEFINITIONS`. All but the first need 3 daily returns.

    """
    outcomes: dict[str, Outcome] = {"benchmark_return": _measure_return(benchmark_closes)}
    names = ("alpha", "beta", "correlation", "tracking_error", "information_ratio")
    problem = describe_problem(closes, least_days=_LEAST_DAYS)
    held = build_daily_returns(benchmark_closes).to_numpy(dtype=np.float64)
    if problem is None and np.isnan(held).any():
        problem = f"the benchmark is unknown on {int(np.isnan(held).sum())} of {len(held)} days"
    if problem is not None:
        return outcomes | dict.fromkeys(names, Unknown(problem))
    returns = build_daily_returns(closes).to_numpy(dtype=np.float64)
    return outcomes | _measure_relation(returns, held, periods_per_year)


def _measure_return(benchmark_closes: pd.Series) -> Outcome:
    values = benchmark_closes.to_numpy(dtype=np.float64)
    if len(values) < 2 or not (values[0] > 0.0 and np.isfinite(values[-1])):
        return Unknown("the benchmark is unknown at the start or the end of the run")
    return float(values[-1] / values[0] - 1.0)


def _measure_relation(
    returns: npt.NDArray[np.float64], held: npt.NDArray[np.float64], periods_per_year: int
) -> dict[str, Outcome]:
    difference = returns - held
    deviation, spread = _measure_deviation(difference), _measure_deviation(held)
    own = _measure_deviation(returns)
    same = Unknown("the run differs from the benchmark by the same return every day")
    flat = Unknown("the benchmark's daily returns do not vary")
    scale = math.sqrt(periods_per_year)
    outcomes: dict[str, Outcome] = {"alpha": flat, "beta": flat, "correlation": flat}
    if spread > 0.0:
        covariance = float(np.cov(returns, held, ddof=1)[0, 1])
        beta = covariance / spread**2
        outcomes["alpha"] = (float(returns.mean()) - beta * float(held.mean())) * periods_per_year
        outcomes["beta"] = beta
        outcomes["correlation"] = (
            min(max(covariance / (own * spread), -1.0), 1.0)
            if own > 0.0
            else Unknown("daily returns do not vary")
        )
    outcomes["tracking_error"] = deviation * scale
    outcomes["information_ratio"] = float(difference.mean()) / deviation * scale if deviation > 0.0 else same
    return outcomes


def _measure_deviation(values: npt.NDArray[np.float64]) -> float:
    deviation = float(values.std(ddof=1))
    return deviation if deviation > _NOISE * float(np.abs(values).max()) else 0.0
