"""Drawdowns: how far equity stood below its highest value so far, and for how long."""

from __future__ import annotations

import decimal
from decimal import Decimal

import msgspec
import numpy as np
import pandas as pd

from workbench.analysis.columns import MONEY

__all__ = ["build_drawdown", "build_drawdown_table"]


class _Episode(msgspec.Struct):
    """One fall below a peak, by row numbers; ``end`` is ``None`` while it lasts."""

    start: int
    trough: int
    peak: Decimal
    low: Decimal
    is_complete: bool
    end: int | None = None

    @property
    def depth(self) -> float:
        return float(self.low / self.peak - 1) if self.peak > 0 else np.nan


def build_drawdown(curve: pd.Series) -> pd.DataFrame:
    """
    Return the drawdown at every point of an equity curve.

    Parameters
    ----------
    curve : pd.Series
        Equity by time, `Decimal` or ``None``: `build_curve` or `build_daily_closes`.

    Returns
    -------
    pd.DataFrame
        The index as given; ``depth`` float64 (equity / peak - 1: 0 at a peak, -1 where everything is lost,
        lower where equity is negative, NaN where it is unknown or no positive peak came before), ``peak``
        (the highest known equity so far, `Decimal` or ``None``), ``since`` (time of that peak, the latest
        one if it was reached again).

    """
    depths: list[float] = []
    peaks: list[Decimal | None] = []
    since: list[int] = []
    peak: Decimal | None = None
    peak_row = 0
    with decimal.localcontext(MONEY):
        for row, value in enumerate(curve.tolist()):
            if value is not None and (peak is None or value >= peak):
                peak, peak_row = value, row
            is_defined = value is not None and peak is not None and peak > 0
            depths.append(float(value / peak - 1) if is_defined else np.nan)
            peaks.append(peak)
            since.append(peak_row if peak is not None else -1)
    return pd.DataFrame(
        {
            "depth": np.array(depths, dtype=np.float64),
            "peak": pd.Series(peaks, index=curve.index, dtype=object),
            "since": pd.Series(_take(curve, since), index=curve.index),
        },
        index=curve.index,
    )


def build_drawdown_table(curve: pd.Series, *, limit: int | None = 5) -> pd.DataFrame:
    """
    Return the deepest drawdowns, deepest first.

    Parameters
    ----------
    curve : pd.Series
        As for `build_drawdown`.
    limit : int, optional
        The most rows to return; ``None`` returns all.

    Returns
    -------
    pd.DataFrame
        ``start`` (the peak), ``trough``, ``end`` (first time back at the peak; NaT while it lasts),
        ``depth`` float64, ``money`` (`Decimal`, trough less peak), ``length`` (`Timedelta` from start to
        end, or to the last sample), ``is_open``, ``is_complete`` (False if an equity between start and end
        is unknown, so that it may have been deeper).

    """
    with decimal.localcontext(MONEY):
        episodes = sorted(_find_episodes(curve.tolist()), key=_depth_order)[:limit]
        rows = {
            "start": [episode.start for episode in episodes],
            "trough": [episode.trough for episode in episodes],
            "end": [-1 if episode.end is None else episode.end for episode in episodes],
        }
        table = pd.DataFrame({name: _take(curve, at) for name, at in rows.items()})
        table["depth"] = np.array([episode.depth for episode in episodes], dtype=np.float64)
        table["money"] = pd.Series([episode.low - episode.peak for episode in episodes], dtype=object)
    last_row = len(curve) - 1
    until = [last_row if episode.end is None else episode.end for episode in episodes]
    table["length"] = _take(curve, until) - _take(curve, rows["start"])
    table["is_open"] = table["end"].isna()
    table["is_complete"] = np.array([episode.is_complete for episode in episodes], dtype=bool)
    return table


def _find_episodes(values: list[Decimal | None]) -> list[_Episode]:
    episodes: list[_Episode] = []
    current: _Episode | None = None
    peak: Decimal | None = None
    peak_row = 0
    is_complete = True
    for row, value in enumerate(values):
        if value is None:
            is_complete = False
            if current is not None:
                current.is_complete = False
        elif peak is None or value >= peak:
            if current is not None:
                current.end = row
                current = None
            peak, peak_row, is_complete = value, row, True
        elif current is None:
            current = _Episode(start=peak_row, trough=row, peak=peak, low=value, is_complete=is_complete)
            episodes.append(current)
        elif value < current.low:
            current.trough, current.low = row, value
    return episodes


def _depth_order(episode: _Episode) -> tuple[bool, float, int]:
    depth = episode.depth
    return bool(np.isnan(depth)), depth, episode.start


def _take(curve: pd.Series, rows: list[int]) -> pd.DatetimeIndex:
    """Return the times at row numbers, NaT at -1."""
    times = pd.DatetimeIndex(curve.index).as_unit("ns").asi8
    missing = np.iinfo(np.int64).min
    at = np.array([missing if row < 0 else times[row] for row in rows], dtype=np.int64)
    return pd.DatetimeIndex(at.astype("datetime64[ns]"), tz="UTC")
