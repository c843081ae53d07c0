"""Capacity: how much larger a run could have traded in the volume that there was."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analysis.bars import find_start
from workbench.analysis.columns import read_times, require_columns
from workbench.analysis.definitions import Outcome, Unknown
from workbench.errors import InputError

__all__ = ["measure_capacity"]

_NAMES = ("capacity_multiple", "participation_median", "participation_high")


def measure_capacity(
    fills: pd.DataFrame,
    prices: Mapping[str, pd.DataFrame],
    *,
    volume_is_traded: bool,
    participation: float = 0.05,
    share: float = 0.95,
) -> dict[str, Outcome]:
    """
    Return how many times its present size a run could have traded at a participation rate.

    The participation of a fill is the quantity that the run traded in the fill's bar (all of its fills there)
    over the volume of that bar; a bar's ``ts`` is its end, and a fill lies in the first bar that ends at or
    after it. Every quantity is multiplied alike, and the same fills are assumed. The longer the bars, the
    more volume counts as reachable: bars that were merged for a chart overstate the capacity.
    Participation rates: Kissell 2014, The Science of Algorithmic Trading and Portfolio Management.

    Parameters
    ----------
    fills : pd.DataFrame
        A run's fills frame.
    prices : Mapping[str, pd.DataFrame]
        By instrument id: ``ts`` (strictly ascending, with a time zone), ``volume`` in the unit of the
        fills' ``last_qty`` (`Decimal` or float).
    volume_is_traded : bool
        Whether ``volume`` is what was traded. It is not in bars of bid or ask prices and in bars made from
        quotes, whose volume counts ticks or quoted sizes.
    participation : float, default 0.05
        The largest part of a bar's volume, above 0 and at most 1.
    share : float, default 0.95
        The share of fills that must not exceed it, above 0 and at most 1.

    Returns
    -------
    dict[str, Outcome]
        ``capacity_multiple`` (below 1: the run already traded too much; 0: too many fills lie in bars
        without volume), ``participation_median`` and ``participation_high`` (what `share` of the fills does
        not exceed at the present size), as in `DEFINITIONS`.

    Raises
    ------
    InputError
        If a rate is out of its range, a column is missing, or times are not ascending.

    """
    for field, value in (("participation", participation), ("share", share)):
        if not 0.0 < value <= 1.0:
            raise InputError(f"{field} is {value}", expected="above 0 and at most 1", field=field)
    reason = _find_problem(fills, prices, is_traded=volume_is_traded)
    if reason is not None:
        return dict.fromkeys(_NAMES, Unknown(reason))
    rates = _measure_participation(fills, prices)
    missing = int(np.isnan(rates).sum())
    if missing:
        return dict.fromkeys(_NAMES, Unknown(f"the volume is unknown at {missing} of {len(rates)} fills"))
    rates.sort()
    # The rate that all but the allowed number of fills stay within; the product may round below a whole.
    high = float(rates[len(rates) - 1 - int(np.floor((1.0 - share) * len(rates) + 1e-9))])
    return {
        "capacity_multiple": participation / high,
        "participation_median": _bound(float(np.median(rates))),
        "participation_high": _bound(high),
    }


def _find_problem(fills: pd.DataFrame, prices: Mapping[str, pd.DataFrame], *, is_traded: bool) -> str | None:
    require_columns(fills, ("ts_event", "instrument_id", "last_qty"), frame_name="fills")
    if not is_traded:
        return "the volume of these prices is not what was traded"
    if len(fills) == 0:
        return "the run has no fill"
    for name in dict.fromkeys(fills["instrument_id"].astype(str)):
        if name not in prices or len(prices[name]) == 0:
            return f"there are no prices of {name}"
        if "volume" not in prices[name].columns:
            return f"the prices of {name} have no volume"
    return None


def _measure_participation(
    fills: pd.DataFrame, prices: Mapping[str, pd.DataFrame]
) -> npt.NDArray[np.float64]:
    """Return the participation of each fill: NaN where the bar is missing, infinite where it had no volume."""
    times = read_times(fills, "ts_event")
    sizes = fills["last_qty"].to_numpy(dtype=np.float64)
    rates = np.full(len(fills), np.nan)
    for key, rows in fills.groupby("instrument_id").indices.items():
        frame = prices[str(key)]
        require_columns(frame, ("ts",), frame_name="prices")
        stamps = read_times(frame, "ts", is_ascending=True)
        volume = frame["volume"].to_numpy(dtype=np.float64)
        start = find_start(stamps)
        inside = rows[(times[rows] >= start) & (times[rows] <= stamps[-1])]
        bars = np.searchsorted(stamps, times[inside], side="left")
        traded = np.bincount(bars, weights=sizes[inside], minlength=len(stamps))[bars]
        reachable = volume[bars]
        share = np.full(len(bars), np.inf)
        np.divide(traded, reachable, out=share, where=reachable > 0.0)
        rates[inside] = np.where(np.isnan(reachable), np.nan, share)
    return rates


def _bound(rate: float) -> Outcome:
    return rate if np.isfinite(rate) else Unknown("the bars of these fills have no volume")
