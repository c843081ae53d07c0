"""Sharpe ratio and volatility over a moving window of days."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from workbench.analysis.equity import build_daily_returns
from workbench.errors import InputError

__all__ = ["build_rolling"]

# Below this share of the largest return, a spread of returns is rounding noise, not variance.
_NOISE = 1e-12


def build_rolling(closes: pd.Series, *, window: int, periods_per_year: int) -> pd.DataFrame:
    """
    Return Sharpe ratio and volatility of the last `window` daily returns, at every day.

    The formulas are those of the headline (`DEFINITIONS`, ``sharpe`` and ``annualised_volatility``: sample
    standard deviation with ddof 1, risk-free rate 0), so that a window of the whole run gives the headline's
    figures at the last day. Each window is computed afresh: a running sum would carry its rounding along.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    window : int
        Daily returns in the window, at least 2. With 252 days per year they are counted weekdays, with 365
        calendar days.
    periods_per_year : int
        The calendar that made the closes, 252 or 365: both columns are annualised by it.

    Returns
    -------
    pd.DataFrame
        Index ``day`` (`DatetimeIndex`, UTC) of all daily returns; ``sharpe``, ``volatility`` (a fraction per
        year), float64. NaN until the window is full, and where a day of the window has an equity that is
        unknown or not positive; ``sharpe`` also where the returns of the window do not vary.

    Raises
    ------
    InputError
        If the window is below 2.

    """
    if window < 2:
        raise InputError(f"window is {window}", expected="at least 2 days", field="window")
    series = build_daily_returns(closes)
    returns = series.to_numpy(dtype=np.float64, copy=True)
    # From -100 % on, the day ended without equity: the headline gives no ratio then either.
    returns[returns <= -1.0] = np.nan
    sharpe = np.full(len(returns), np.nan)
    volatility = np.full(len(returns), np.nan)
    if len(returns) >= window:
        windows = np.lib.stride_tricks.sliding_window_view(returns, window)
        scale = math.sqrt(periods_per_year)
        deviation = windows.std(axis=1, ddof=1)
        is_constant = deviation <= _NOISE * np.abs(windows).max(axis=1)
        ratio = np.full(len(windows), np.nan)
        np.divide(windows.mean(axis=1), deviation, out=ratio, where=~is_constant & (deviation > 0.0))
        sharpe[window - 1 :] = ratio * scale
        volatility[window - 1 :] = np.where(is_constant, 0.0, deviation * scale)
    return pd.DataFrame({"sharpe": sharpe, "volatility": volatility}, index=series.index)
