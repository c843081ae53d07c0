"""Equity marked to market: the curve, its daily closes and returns."""

from __future__ import annotations

import decimal
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analysis.columns import MONEY, read_decimals, read_times, require_columns
from workbench.errors import InputError

__all__ = [
    "build_cumulative_returns",
    "build_curve",
    "build_daily_closes",
    "build_daily_returns",
    "describe_unknown",
]

_DAY_NS = 86_400_000_000_000
# 1970-01-01 was a Thursday; Monday is 0.
_EPOCH_WEEKDAY = 3


def build_curve(equity: pd.DataFrame, *, starting_balance: Decimal | None = None) -> pd.Series:
    """
    Return a run's equity as one series.

    Parameters
    ----------
    equity : pd.DataFrame
        A run's equity frame: ``ts`` strictly ascending with a time zone, ``equity`` of `Decimal` or null.
    starting_balance : Decimal, optional
        The equity before the first event. It stands in for a first sample that is null.

    Returns
    -------
    pd.Series
        Name ``equity``, index ``ts`` (`DatetimeIndex`, UTC, ns), dtype object: `Decimal`, or ``None`` where
        the equity is unknown because a price or a conversion rate is missing.

    Raises
    ------
    InputError
        If a column is missing, times are not ascending, a value is not exact, or the first sample contradicts
        `starting_balance`.

    """
    require_columns(equity, ("ts", "equity"), frame_name="equity")
    times = read_times(equity, "ts", is_ascending=True)
    values = read_decimals(equity, "equity")
    if starting_balance is not None and values:
        if values[0] is None:
            values[0] = starting_balance
        elif values[0] != starting_balance:
            raise InputError(
                f"the first equity sample is {values[0]:f}, the starting balance {starting_balance:f}",
                expected="the first sample to be the state before the first event",
            )
    return _build_series(values, times, index_name="ts")


def build_daily_closes(
    equity: pd.DataFrame, *, periods_per_year: int, starting_balance: Decimal | None = None
) -> pd.Series:
    """
    Return the equity at the close of each UTC day.

    A sample at midnight is the close of the day that ends there. The first entry is the starting equity,
    labelled with the day before the first one, because the account holds it up to the first sample; so a
    first or last day that the run covers in part counts as a day.

    With 365 every calendar day counts; a day without a sample carries the last equity. With 252 a day
    counts if it is a Monday to Friday on which data arrived (``events`` grew) or the equity moved; a frame
    without ``events`` counts every weekday. What happens on other days falls into the next counted day, or,
    after the last counted day, into that one: compounded daily returns are the total return in both
    calendars.

    Parameters
    ----------
    equity : pd.DataFrame
        A run's equity frame, see `build_curve`; ``events`` is the number of events so far.
    periods_per_year : int
        The calendar: 252 or 365.
    starting_balance : Decimal, optional
        See `build_curve`.

    Returns
    -------
    pd.Series
        Name ``equity``, index ``day`` (`DatetimeIndex`, UTC midnight at which the day *starts*), dtype
        object: `Decimal`, or ``None`` where the day's last sample is unknown. Empty if there is no sample.

    Raises
    ------
    InputError
        If `periods_per_year` is neither 252 nor 365, or as `build_curve`.

    """
    if periods_per_year not in (252, 365):
        raise InputError(
            f"periods_per_year is {periods_per_year}",
            expected="252 (weekdays with data) or 365 (calendar days)",
        )
    curve = build_curve(equity, starting_balance=starting_balance)
    times: npt.NDArray[np.int64] = pd.DatetimeIndex(curve.index).asi8
    values: list[Decimal | None] = curve.tolist()
    if not values:
        return _build_series([], times, index_name="day")
    first_day = int(times[0] // _DAY_NS)
    last_day = int((times[-1] - 1) // _DAY_NS) if len(times) > 1 else first_day - 1
    days = np.arange(first_day, last_day + 1, dtype=np.int64)
    # The last sample at or before each day's end; a day without one finds the sample before it.
    rows = np.searchsorted(times, (days + 1) * _DAY_NS, side="right") - 1
    if periods_per_year == 252:
        events = equity["events"].to_numpy() if "events" in equity.columns else None
        counted = _count_days(days, rows, values, events)
        days, rows = days[counted], rows[counted]
        if len(rows):
            rows[-1] = len(values) - 1
    closes = [values[0], *(values[row] for row in rows)]
    labels = np.concatenate([np.array([first_day - 1], dtype=np.int64), days])
    return _build_series(closes, labels * _DAY_NS, index_name="day")


def _count_days(
    days: npt.NDArray[np.int64],
    rows: npt.NDArray[np.intp],
    values: list[Decimal | None],
    events: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.bool_]:
    weekdays: npt.NDArray[np.bool_] = (days + _EPOCH_WEEKDAY) % 7 < 5
    if events is None:
        return weekdays
    before = np.concatenate([[0], rows])[:-1].astype(np.intp)
    has_moved = np.array([values[a] != values[b] for a, b in zip(before, rows, strict=True)], dtype=bool)
    is_counted: npt.NDArray[np.bool_] = weekdays & ((events[rows] > events[before]) | has_moved)
    return is_counted


def build_daily_returns(closes: pd.Series) -> pd.Series:
    """
    Return close / previous close - 1.

    Parameters
    ----------
    closes : pd.Series
        The result of `build_daily_closes`.

    Returns
    -------
    pd.Series
        Name ``return``, index ``day`` without the first entry, float64. NaN where one of the two closes is
        unknown or the previous one is not positive.

    """
    values = _to_floats(closes)
    before, after = values[:-1], values[1:]
    returns = np.full(len(after), np.nan)
    np.divide(after, before, out=returns, where=before > 0)
    return pd.Series(returns - 1.0, index=closes.index[1:], name="return")


def build_cumulative_returns(curve: pd.Series) -> pd.Series:
    """
    Return equity / first equity - 1 for a curve or for daily closes.

    Returns
    -------
    pd.Series
        Name ``cumulative_return``, the index as given, float64. NaN where the equity is unknown, and
        everywhere if the first one is unknown or not positive.

    """
    values = _to_floats(curve)
    start = values[0] if len(values) and values[0] > 0 else np.nan
    return pd.Series(values / start - 1.0, index=curve.index, name="cumulative_return")


def describe_unknown(curve: pd.Series) -> str | None:
    """Return why a curve is incomplete, in one clause, or ``None`` if every value is known."""
    unknown = curve.isna().to_numpy(dtype=bool)
    if not unknown.any():
        return None
    first = pd.DatetimeIndex(curve.index)[int(np.argmax(unknown))]
    unit = "days" if curve.index.name == "day" else "samples"
    when = first.date().isoformat() if unit == "days" else first.isoformat()
    return (
        f"equity is unknown on {int(unknown.sum())} of {len(curve)} {unit}, first {when}: "
        "a price or a conversion rate is missing"
    )


def _build_series(
    values: list[Decimal | None], times: npt.NDArray[np.int64], *, index_name: str
) -> pd.Series:
    index = pd.DatetimeIndex(times.astype("datetime64[ns]"), tz="UTC", name=index_name)
    return pd.Series(values, index=index, name="equity", dtype=object)


def _to_floats(values: pd.Series) -> npt.NDArray[np.float64]:
    with decimal.localcontext(MONEY):
        return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
