"""Risk from daily closes: what a bad day costs, and how deep and how long equity stays under water."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pandas as pd

from workbench.analysis.definitions import Outcome, Unknown
from workbench.analysis.drawdown import build_drawdown, build_drawdown_table
from workbench.analysis.equity import build_daily_returns
from workbench.analysis.performance import describe_problem
from workbench.errors import InputError

__all__ = ["measure_risk", "measure_tail_risk"]

_DAY_SECS = 86_400.0
_NORMAL = NormalDist()
# A 5 % quantile needs 20 days for one of them to be expected beyond it.
_LEAST_DAYS = 20


def measure_tail_risk(closes: pd.Series, *, confidence: float = 0.95) -> dict[str, Outcome]:
    r"""
    Return value at risk and expected shortfall of one day, historical and normal.

    With returns :math:`r`, confidence :math:`c`, their :math:`1 - c` quantile :math:`q` (linear between
    neighbouring returns: type 7 of Hyndman and Fan 1996, numpy's default), mean :math:`\mu`, sample standard
    deviation :math:`\sigma` (ddof 1) and :math:`z = \Phi^{-1}(c)`:

    - historical: :math:`VaR = -q`, :math:`ES = -mean(r \mid r \le q)`;
    - normal: :math:`VaR = z \sigma - \mu`, :math:`ES = \sigma \phi(z) / (1 - c) - \mu`
      (McNeil, Frey and Embrechts 2015, Quantitative Risk Management, section 2.3).

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.
    confidence : float, default 0.95
        Above 0.5 and below 1.

    Returns
    -------
    dict[str, Outcome]
        ``value_at_risk_historical``, ``expected_shortfall_historical``, ``value_at_risk_normal`` and
        ``expected_shortfall_normal`` as fractions of equity; a loss is positive. The historical ones need
        1 / (1 - confidence) days, so that one day is expected beyond the quantile (20 for 95 %, 100 for
        99 %); the normal ones need 20 days.

    Raises
    ------
    InputError
        If the confidence is not above 0.5 and below 1.

    """
    if not 0.5 < confidence < 1.0:
        raise InputError(
            f"confidence is {confidence}", expected="above 0.5 and below 1, such as 0.95", field="confidence"
        )
    tail = 1.0 - confidence
    # Rounded first: 1 / (1 - 0.95) is a little more than 20 in binary.
    least_historical = max(math.ceil(round(1.0 / tail, 6)), 2)
    outcomes: dict[str, Outcome] = {}
    returns = build_daily_returns(closes).to_numpy(dtype=np.float64)
    if (problem := describe_problem(closes, least_days=least_historical)) is not None:
        because = f" for a confidence of {confidence:g}" if len(returns) < least_historical else ""
        names = ("value_at_risk_historical", "expected_shortfall_historical")
        outcomes |= dict.fromkeys(names, Unknown(problem + because))
    else:
        quantile = float(np.quantile(returns, tail))
        # Between two equal returns the interpolation may round below both of them.
        beyond = returns[returns <= max(quantile, float(returns.min()))]
        outcomes["value_at_risk_historical"] = -quantile
        outcomes["expected_shortfall_historical"] = max(-float(beyond.mean()), -quantile)
    if (problem := describe_problem(closes, least_days=_LEAST_DAYS)) is not None:
        names = ("value_at_risk_normal", "expected_shortfall_normal")
        return outcomes | dict.fromkeys(names, Unknown(problem))
    mean, deviation = float(returns.mean()), float(returns.std(ddof=1))
    z = _NORMAL.inv_cdf(confidence)
    outcomes["value_at_risk_normal"] = z * deviation - mean
    outcomes["expected_shortfall_normal"] = deviation * _NORMAL.pdf(z) / tail - mean
    return outcomes


def measure_risk(closes: pd.Series) -> dict[str, Outcome]:
    """
    Return the ulcer index, the tail ratio and the drawdowns in numbers.

    The ulcer index is the root of the mean squared drawdown (Martin and McCann 1989); the tail ratio is
    ``abs(95 % quantile) / abs(5 % quantile)`` of the daily returns (empyrical), which needs 20 days.
    Depth, length and number are those of `build_drawdown_table`.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`. Its first entry is the start and counts as no day.

    Returns
    -------
    dict[str, Outcome]
        ``ulcer_index``, ``time_under_water``, ``drawdowns``, ``average_drawdown`` (negative),
        ``average_drawdown_length``, ``tail_ratio``, as in `DEFINITIONS`.

    """
    names = ("ulcer_index", "time_under_water", "drawdowns", "average_drawdown", "average_drawdown_length")
    if (problem := describe_problem(closes)) is not None:
        outcomes: dict[str, Outcome] = dict.fromkeys(names, Unknown(problem))
    else:
        depth = build_drawdown(closes)["depth"].to_numpy(dtype=np.float64)[1:]
        table = build_drawdown_table(closes, limit=None)
        nothing = Unknown("there is no drawdown")
        days = table["length"].dt.total_seconds().to_numpy(dtype=np.float64) / _DAY_SECS
        outcomes = {
            "ulcer_index": math.sqrt(float(np.mean(depth**2))),
            "time_under_water": float(np.mean(depth < 0.0)),
            "drawdowns": len(table),
            "average_drawdown": float(table["depth"].mean()) if len(table) else nothing,
            "average_drawdown_length": float(days.mean()) if len(table) else nothing,
        }
    outcomes["tail_ratio"] = _measure_tail_ratio(closes)
    return outcomes


def _measure_tail_ratio(closes: pd.Series) -> Outcome:
    if (problem := describe_problem(closes, least_days=_LEAST_DAYS)) is not None:
        return Unknown(problem)
    returns = build_daily_returns(closes).to_numpy(dtype=np.float64)
    high, low = np.abs(np.quantile(returns, [0.95, 0.05]))
    return Unknown("the 5 % quantile of the daily returns is 0") if low == 0.0 else float(high / low)
