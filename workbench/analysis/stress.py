"""Costs under stress: what is left of a run if its costs are multiplied."""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pandas as pd

from workbench.analysis.columns import MONEY, read_times, require_columns, round_money
from workbench.analysis.costs import build_fill_costs
from workbench.analysis.definitions import Outcome, Unknown
from workbench.analysis.equity import build_curve, build_daily_closes
from workbench.analysis.performance import measure_drawdowns, measure_returns, measure_total
from workbench.errors import InputError

__all__ = ["COST_COMPONENTS", "find_known_costs", "measure_breakeven_multiple", "measure_cost_stress"]

COST_COMPONENTS = ("fee", "spread", "slippage")

_DAY_NS = 86_400_000_000_000
_ZERO = Decimal(0)


def find_known_costs(fills: pd.DataFrame) -> tuple[str, ...]:
    """Return which of `COST_COMPONENTS` are known at every fill of a run's fills frame."""
    costs = build_fill_costs(fills)
    return tuple(name for name in COST_COMPONENTS if not costs[name].isna().any())


def measure_cost_stress(
    fills: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    periods_per_year: int,
    multiples: Sequence[float] = (1, 2, 3),
    components: Sequence[str] = COST_COMPONENTS,
    starting_balance: Decimal | None = None,
) -> dict[float, dict[str, Outcome]]:
    """
    Return what a run would have made if its costs had been a multiple of what they were.

    The same fills are assumed: the same orders, quantities and times, and no margin call. Equity at the close of
    a day is lowered by (multiple - 1) x the costs of all fills until then, and return, Sharpe ratio and
    drawdown are made from these closes as for the headline. With a multiple of 1 they are the headline's; with
    0 the net PnL is the gross PnL.

    Parameters
    ----------
    fills : pd.DataFrame
        A run's fills frame.
    equity : pd.DataFrame
        A run's equity frame.
    periods_per_year : int
        The calendar: 252 or 365, see `build_daily_closes`.
    multiples : Sequence[float], default (1, 2, 3)
        0 or more.
    components : Sequence[str], default all
        Which of `COST_COMPONENTS` are multiplied; see `find_known_costs` where one is unknown.
    starting_balance : Decimal, optional
        See `build_curve`.

    Returns
    -------
    dict[float, dict[str, Outcome]]
        By multiple, as given: ``net_pnl``, ``total_return``, ``sharpe``, ``max_drawdown``, as in `DEFINITIONS`. Unknown
        where a cost is, but for the multiple 1, which needs none.

    Raises
    ------
    InputError
        If a multiple is below 0 or not finite, a component is none of `COST_COMPONENTS`, or a frame is not
        what a run writes.

    """
    factors = [Decimal(str(multiple)) for multiple in multiples]
    for factor in factors:
        if not factor.is_finite() or factor < 0:
            raise InputError(f"a multiple is {factor}", expected="0 or more", field="multiples")
    closes = build_daily_closes(equity, periods_per_year=periods_per_year, starting_balance=starting_balance)
    totals = measure_total(build_curve(equity, starting_balance=starting_balance))
    paid = _sum_costs(fills, components)
    so_far = [] if isinstance(paid, Unknown) else _spread_costs(paid, fills, closes)
    results: dict[float, dict[str, Outcome]] = {}
    for multiple, factor in zip(multiples, factors, strict=True):
        extra = factor - 1
        if extra == 0:
            results[multiple] = _measure(closes, totals, _ZERO, periods_per_year)
        elif isinstance(paid, Unknown):
            results[multiple] = dict.fromkeys(("net_pnl", "total_return", "sharpe", "max_drawdown"), paid)
        else:
            with decimal.localcontext(MONEY):
                values = [
                    None if value is None else value - extra * cost
                    for value, cost in zip(closes.tolist(), so_far, strict=True)
                ]
                total = extra * sum(paid, _ZERO)
            lowered = pd.Series(values, index=closes.index, name=closes.name, dtype=object)
            results[multiple] = _measure(lowered, totals, total, periods_per_year)
    return results


def _sum_costs(fills: pd.DataFrame, components: Sequence[str]) -> list[Decimal] | Unknown:
    """Return the costs of each fill in the order of the frame."""
    for name in components:
        if name not in COST_COMPONENTS:
            raise InputError(
                f"a cost component is {name!r}", expected=", ".join(COST_COMPONENTS), field="components"
            )
    costs = build_fill_costs(fills)
    totals = [_ZERO] * len(fills)
    for name in dict.fromkeys(components):
        missing = int(costs[name].isna().sum())
        if missing:
            return Unknown(f"the {name} is unknown at {missing} of {len(fills)} fills")
        totals = [MONEY.add(total, cost) for total, cost in zip(totals, costs[name], strict=True)]
    return totals


def _spread_costs(paid: list[Decimal], fills: pd.DataFrame, closes: pd.Series) -> list[Decimal]:
    """Return the costs until each close: nothing at the start, everything at the last one."""
    require_columns(fills, ("ts_event",), frame_name="fills")
    times = read_times(fills, "ts_event")
    order = np.argsort(times, kind="stable")
    sums = list(itertools.accumulate((paid[row] for row in order), MONEY.add, initial=_ZERO))
    ends = pd.DatetimeIndex(closes.index).as_unit("ns").asi8 + _DAY_NS
    so_far = [sums[count] for count in np.searchsorted(times[order], ends, side="right")]
    if len(so_far) > 1:
        so_far[-1] = sums[-1]
    if so_far:
        so_far[0] = _ZERO
    return so_far


def _measure(
    closes: pd.Series, totals: dict[str, Outcome], extra: Decimal, periods_per_year: int
) -> dict[str, Outcome]:
    pnl, start, total_return = totals["pnl"], totals["starting_balance"], totals["total_return"]
    if isinstance(pnl, Decimal) and isinstance(start, Decimal):
        with decimal.localcontext(MONEY):
            pnl = round_money(pnl - extra)
            total_return = float(pnl / start) if start > 0 else total_return
    nothing = Unknown("not asked for")
    return {
        "net_pnl": pnl,
        "total_return": total_return,
        "sharpe": measure_returns(closes, periods_per_year=periods_per_year)["sharpe"],
        "max_drawdown": measure_drawdowns(closes, closes, annualised_return=nothing)["max_drawdown"],
    }


def measure_breakeven_multiple(
    fills: pd.DataFrame,
    equity: pd.DataFrame,
    *,
    components: Sequence[str] = COST_COMPONENTS,
    starting_balance: Decimal | None = None,
) -> Outcome:
    """
    Return the multiple of the costs at which nothing is left, assuming the same fills.

    Net PnL + costs is what was made before `components`; divided by them it is the multiple (as
    ``breakeven_cost`` / ``cost_rate`` of `build_costs`, with all components).

    Parameters
    ----------
    fills, equity, components, starting_balance
        As for `measure_cost_stress`.

    Returns
    -------
    Outcome
        ``breakeven_multiple`` of `DEFINITIONS`: below 1 for a run that lost money because of its costs.
        Unknown where it lost money before them, paid none, or a cost is unknown.

    """
    paid = _sum_costs(fills, components)
    if isinstance(paid, Unknown):
        return paid
    pnl = measure_total(build_curve(equity, starting_balance=starting_balance))["pnl"]
    if not isinstance(pnl, Decimal):
        return pnl
    with decimal.localcontext(MONEY):
        total = sum(paid, _ZERO)
        if total <= 0:
            return Unknown("the run paid no costs")
        before = pnl + total
        return float(before / total) if before > 0 else Unknown("the run lost money before costs")
