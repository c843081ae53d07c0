"""Return and risk from daily closes of marked-to-market equity."""

from __future__ import annotations

import decimal
import math
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analysis.columns import MONEY
from workbench.analysis.definitions import Outcome, Unknown
from workbench.analysis.drawdown import build_drawdown, build_drawdown_table
from workbench.analysis.equity import build_daily_returns, describe_unknown

__all__ = ["describe_problem", "measure_drawdowns", "measure_returns", "measure_total"]

_DAY_SECS = 86_400.0
# Below this share of the largest return, a spread of returns is rounding noise, not variance.
_NOISE = 1e-12


def measure_total(closes: pd.Series) -> dict[str, Outcome]:
    """
    Return the figures that need only the first and the last equity.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`; its first entry is the starting balance.

    """
    if len(closes) == 0:
        nothing = Unknown("the run has no equity sample")
        return dict.fromkeys(("starting_balance", "ending_equity", "pnl", "total_return"), nothing)
    first, last = closes.iloc[0], closes.iloc[-1]
    start: Outcome = Unknown("the equity at the start is unknown") if first is None else first
    end: Outcome = Unknown("the equity at the end is unknown") if last is None else last
    outcomes: dict[str, Outcome] = {"starting_balance": start, "ending_equity": end}
    if isinstance(start, Unknown) or isinstance(end, Unknown):
        reason = Unknown(describe_unknown(closes) or "")
        return outcomes | {"pnl": reason, "total_return": reason}
    with decimal.localcontext(MONEY):
        outcomes["pnl"] = last - first
        outcomes["total_return"] = (
            float(last / first - 1) if first > 0 else Unknown("the starting balance is not positive")
        )
    return outcomes


def measure_returns(closes: pd.Series, *, periods_per_year: int) -> dict[str, Outcome]:
    """
    Return the figures made from daily returns: growth, volatility, Sharpe, Sortino, best and worst day.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    periods_per_year : int
        The calendar that made the closes, 252 or 365.

    """
    names = ("annualised_return", "annualised_volatility", "sharpe", "sortino", "best_day", "worst_day")
    returns = build_daily_returns(closes).to_numpy(dtype=np.float64)
    problem = describe_problem(closes)
    outcomes: dict[str, Outcome] = {
        "periods_per_year": periods_per_year,
        "days": len(returns),
        **dict.fromkeys(names, Unknown(problem or "")),
    }
    # Growth needs the two ends only, whatever lies between them.
    first, last = (closes.iloc[0], closes.iloc[-1]) if len(closes) else (None, None)
    if len(returns) >= 2 and first is not None and last is not None:
        outcomes["annualised_return"] = _measure_growth(first, last, periods_per_year / len(returns))
    if problem is not None:
        return outcomes
    outcomes["best_day"], outcomes["worst_day"] = float(returns.max()), float(returns.min())
    return outcomes | _measure_ratios(returns, math.sqrt(periods_per_year))


def describe_problem(closes: pd.Series, *, least_days: int = 2) -> str | None:
    """
    Return why daily returns give no figures, in one clause, or ``None`` if they do.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    least_days : int, default 2
        The fewest daily returns that are needed.

    """
    days = max(len(closes) - 1, 0)
    if days < least_days:
        return f"the run has {days} daily return{'' if days == 1 else 's'}; at least {least_days} are needed"
    if (unknown := describe_unknown(closes)) is not None:
        return unknown
    if closes.iloc[0] <= 0:
        return "the starting balance is not positive"
    for day, value in closes.items():
        if value <= 0:
            return f"equity fell to zero or below on {pd.Timestamp(str(day)).date().isoformat()}"
    return None


def _measure_growth(first: Decimal, last: Decimal, years_inverse: float) -> Outcome:
    if first <= 0:
        return Unknown("the starting balance is not positive")
    if last <= 0:
        return Unknown("equity ended at zero or below")
    with decimal.localcontext(MONEY):
        ratio = float(last / first)
    try:
        return float(ratio**years_inverse - 1.0)
    except OverflowError:
        return Unknown("the annualised growth is too large for a number")


def _measure_ratios(returns: npt.NDArray[np.float64], scale: float) -> dict[str, Outcome]:
    mean = float(returns.mean())
    largest = float(np.abs(returns).max())
    deviation = float(returns.std(ddof=1))
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    is_constant = deviation <= _NOISE * largest
    return {
        "annualised_volatility": 0.0 if is_constant else deviation * scale,
        "sharpe": Unknown("daily returns do not vary") if is_constant else mean / deviation * scale,
        "sortino": Unknown("no day has a negative return") if downside == 0.0 else mean / downside * scale,
    }


def measure_drawdowns(
    closes: pd.Series, curve: pd.Series, *, annualised_return: Outcome
) -> dict[str, Outcome]:
    """
    Return the drawdown figures and the Calmar ratio.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    curve : pd.Series
        The result of `build_curve`, for the intraday figure.
    annualised_return : Outcome
        The numerator of the Calmar ratio.

    """
    outcomes: dict[str, Outcome] = dict.fromkeys(
        ("max_drawdown", "max_drawdown_money", "max_drawdown_length", "longest_drawdown"),
        _find_depth_problem(closes) or 0.0,
    )
    outcomes["max_drawdown_intraday"] = _find_depth_problem(curve) or float(
        build_drawdown(curve)["depth"].min()
    )
    depth = outcomes["max_drawdown"]
    if not isinstance(depth, Unknown):
        outcomes["max_drawdown_money"] = Decimal(0)
        table = build_drawdown_table(closes, limit=None)
        if len(table):
            lengths = table["length"].dt.total_seconds() / _DAY_SECS
            depth = float(table["depth"].iloc[0])
            outcomes["max_drawdown"] = depth
            outcomes["max_drawdown_money"] = table["money"].iloc[0]
            outcomes["max_drawdown_length"] = float(lengths.iloc[0])
            outcomes["longest_drawdown"] = float(lengths.max())
    if isinstance(annualised_return, Unknown):
        outcomes["calmar"] = annualised_return
    elif isinstance(depth, Unknown):
        outcomes["calmar"] = depth
    elif depth == 0.0 or not isinstance(annualised_return, float):
        outcomes["calmar"] = Unknown("there is no drawdown")
    else:
        outcomes["calmar"] = annualised_return / -float(depth)
    return outcomes


def _find_depth_problem(curve: pd.Series) -> Unknown | None:
    if len(curve) == 0:
        return Unknown("the run has no equity sample")
    if (unknown := describe_unknown(curve)) is not None:
        return Unknown(unknown)
    if curve.iloc[0] <= 0:
        return Unknown("the starting balance is not positive")
    return None
