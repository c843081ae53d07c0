"""Returns by calendar month, as a table that can be read without its colours."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import numpy as np
import pandas as pd

from workbench.analysis.equity import build_daily_closes
from workbench.ui.cards import build_card
from workbench.ui.formats import UNKNOWN, format_percent, format_time
from workbench.ui.view import View

__all__ = ["MonthlyReturns", "build_monthly_returns"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEEPEST = 0.55  # opacity of the largest month: text on it keeps a contrast of more than 4.5 to 1


def build_monthly_returns(equity: pd.DataFrame, *, starting_balance: Decimal | None = None) -> pd.Series:
    """
    Return equity at the close of each UTC month / equity at the close of the month before - 1.

    Parameters
    ----------
    equity : pandas.DataFrame
        A run's equity frame, see `workbench.analysis.equity.build_curve`.
    starting_balance : Decimal, optional
        See there.

    Returns
    -------
    pandas.Series
        Index: `PeriodIndex` of months, float64. The first month starts from the starting balance, the last ends with
        the run. NaN where a close is unknown or the one before is not positive.

    """
    closes = build_daily_closes(equity, periods_per_year=365, starting_balance=starting_balance)
    if len(closes) < 2:
        return pd.Series(dtype="float64", index=pd.PeriodIndex([], freq="M"))
    days = pd.DatetimeIndex(closes.index)
    months = days.tz_localize(None).to_period("M")
    values = np.array([np.nan if value is None else float(value) for value in closes], dtype=np.float64)
    # The first entry is the starting equity, labelled with the day before: it belongs to no month of the run.
    ends = pd.Series(values[1:], index=months[1:]).groupby(level=0, sort=True).tail(1)
    before = np.concatenate([values[:1], ends.to_numpy()[:-1]])
    returns = np.full(len(ends), np.nan)
    np.divide(ends.to_numpy(), before, out=returns, where=before > 0)
    return pd.Series(returns - 1.0, index=ends.index)


class MonthlyReturns(View):
    """
    A table of years and months; the tint grows with the size of the return, the sign is written.

    Parameters
    ----------
    equity : pandas.DataFrame
        A run's equity frame: ``ts`` (UTC, ascending), ``equity`` (decimals, missing where unknown).
    starting_balance : Decimal, optional
        The equity before the first event, where the first sample is unknown.

    Raises
    ------
    InputError
        If the frame is not what a run writes.

    """

    def __init__(self, equity: pd.DataFrame, *, starting_balance: Decimal | None = None) -> None:
        self._returns = build_monthly_returns(equity, starting_balance=starting_balance)
        self._start = None if equity.empty else pd.Timestamp(equity["ts"].iloc[0])
        self._end = None if equity.empty else pd.Timestamp(equity["ts"].iloc[-1])

    def __repr__(self) -> str:
        return f"MonthlyReturns({len(self._returns)} months)"

    def build_html(self) -> str:
        """Return the table as a card."""
        if self._returns.empty or self._start is None or self._end is None:
            body = "<div class='wb-empty'>No monthly returns: the run has no equity sample after its start.</div>"
            return build_card("Monthly returns", body)
        years: dict[int, dict[int, float]] = defaultdict(dict)
        for period, value in self._returns.items():
            years[period.year][period.month] = float(value)  # type: ignore[attr-defined]
        known = [abs(v) for months in years.values() for v in months.values() if not np.isnan(v)]
        largest = max(known, default=0.0)
        head = "".join(f"<th>{month}</th>" for month in _MONTHS)
        rows = "".join(self._build_row(year, months, largest) for year, months in years.items())
        head = f"<thead><tr><th>%</th>{head}<th>Year</th></tr></thead>"
        table = f"<table class='months'>{head}<tbody>{rows}</tbody></table>"
        span = f"{format_time(self._start)} to {format_time(self._end)} UTC"
        note = f"The run covers {span}; months at its ends may be partial."
        body = f"<div class='wb-scroll'>{table}</div><div class='wb-note'>{note}</div>"
        return build_card("Monthly returns", body, right="marked to market, at the UTC month's close")

    def _build_row(self, year: int, months: dict[int, float], largest: float) -> str:
        cells = "".join(_build_cell(months.get(number), largest) for number in range(1, 13))
        total = float(np.prod([1.0 + value for value in months.values()]) - 1.0)
        return f"<tr><th>{year}</th>{cells}<td class='year'>{_text(total)}</td></tr>"


def _build_cell(value: float | None, largest: float) -> str:
    if value is None:
        return "<td></td>"
    if np.isnan(value):
        return f"<td><span class='mute' title='equity is unknown at a close'>{UNKNOWN}</span></td>"
    depth = _DEEPEST * abs(value) / largest if largest else 0.0
    side = " class='neg'" if value < 0 else ""
    return f"<td><i{side} style='--a:{depth:.2f}'></i>{_text(value)}</td>"


def _text(value: float) -> str:
    return format_percent(value, is_signed=True).removesuffix(" %")
