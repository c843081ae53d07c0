"""The headline of a run: its numbers, from marked-to-market equity, trades and fills."""

from __future__ import annotations

import decimal
from decimal import Decimal

import numpy as np
import pandas as pd

from workbench.analysis.columns import MONEY
from workbench.analysis.costs import measure_turnover
from workbench.analysis.definitions import Metric, Outcome, Unknown, build_metrics
from workbench.analysis.equity import build_curve, build_daily_closes, describe_unknown
from workbench.analysis.performance import measure_drawdowns, measure_returns, measure_total
from workbench.analysis.trades import build_trades, measure_trades

__all__ = ["build_headline"]


def build_headline(
    equity: pd.DataFrame,
    positions: pd.DataFrame,
    fills: pd.DataFrame,
    *,
    currency: str,
    starting_balance: Decimal | None = None,
    periods_per_year: int = 365,
    orders: pd.DataFrame | None = None,
) -> dict[str, Metric]:
    """
    Return the headline numbers of a run.

    Parameters
    ----------
    equity : pd.DataFrame
        A run's equity frame.
    positions : pd.DataFrame
        A run's positions frame.
    fills : pd.DataFrame
        A run's fills frame.
    currency : str
        The reporting currency.
    starting_balance : Decimal, optional
        The equity before the first event, where the first sample may be unknown; default: the first sample.
    periods_per_year : int, default 365
        The calendar: 252 or 365, see `build_daily_closes`.
    orders : pd.DataFrame, optional
        A run's orders frame, for the number of orders.

    Returns
    -------
    dict[str, Metric]
        By the names of `DEFINITIONS`, in the order to show them. JSON as it stands; ``None`` with the
        reason where a number is unknown or undefined.

    Raises
    ------
    InputError
        If a frame is not what a run writes, the calendar is unknown, or `starting_balance` contradicts the
        equity.

    """
    curve = build_curve(equity, starting_balance=starting_balance)
    closes = build_daily_closes(equity, periods_per_year=periods_per_year, starting_balance=starting_balance)
    returns = measure_returns(closes, periods_per_year=periods_per_year)
    outcomes: dict[str, Outcome] = {
        **_measure_range(curve),
        # The curve, not the closes: a run inside one weekend has an end, but no counted day.
        **measure_total(curve),
        **returns,
        **measure_drawdowns(closes, curve, annualised_return=returns["annualised_return"]),
        "exposure": _measure_exposure(equity),
        **measure_trades(build_trades(positions, currency=currency)),
        "orders": Unknown("the orders were not given") if orders is None else len(orders),
        "orders_filled": int(fills["client_order_id"].nunique()) if "client_order_id" in fills.columns else 0,
        "fills": len(fills),
    }
    turnover = measure_turnover(fills)
    outcomes["turnover"] = turnover
    outcomes["turnover_ratio"] = _measure_turnover_ratio(turnover, closes)
    return build_metrics(outcomes, currency=currency)


def _measure_range(curve: pd.Series) -> dict[str, Outcome]:
    if len(curve) == 0:
        nothing = Unknown("the run has no equity sample")
        return {"start": nothing, "end": nothing}
    times = pd.DatetimeIndex(curve.index)
    return {"start": times[0].isoformat(), "end": times[-1].isoformat()}


def _measure_exposure(equity: pd.DataFrame) -> Outcome:
    if "open_positions" not in equity.columns:
        return Unknown("the equity frame has no column open_positions")
    if len(equity) < 2:
        return Unknown("the run has no equity sample after its start")
    return float(np.mean(equity["open_positions"].to_numpy()[1:] > 0))


def _measure_turnover_ratio(turnover: Outcome, closes: pd.Series) -> Outcome:
    if not isinstance(turnover, Decimal):
        return turnover
    if len(closes) == 0:
        return Unknown("the run has no equity sample")
    if (unknown := describe_unknown(closes)) is not None:
        return Unknown(unknown)
    with decimal.localcontext(MONEY):
        mean = sum(closes, Decimal(0)) / len(closes)
        return float(turnover / mean) if mean > 0 else Unknown("mean equity is not positive")
