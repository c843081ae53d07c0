"""Bars as a chart embeds them: as given, or joined to longer ones where there are too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Candles", "build_candles"]

_COUNTS = (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 480, 1_440, 10_080)


@dataclass(frozen=True)
class Candles:
    """
    Candles of equal length.

    Attributes
    ----------
    ts : ndarray of float64
        When each closes, milliseconds since the epoch, UTC.
    ohlc : dict of str to ndarray of float64
        ``open``, ``high``, ``low``, ``close``.
    per_candle : int
        Bars in a candle; fewer where the data have gaps.
    step : float
        The length of a candle in milliseconds.

    """

    ts: NDArray[np.float64]
    ohlc: dict[str, NDArray[np.float64]]
    per_candle: int
    step: float


def build_candles(ts: NDArray[np.float64], ohlc: dict[str, NDArray[np.float64]], *, most: int) -> Candles:
    """
    Return the bars, or candles of 2, 3, 5, 10, ... bars on whole multiples of their length since the epoch.

    Parameters
    ----------
    ts : ndarray of float64
        When each bar closes, milliseconds since the epoch, ascending, at least one.
    ohlc : dict of str to ndarray of float64
        ``open``, ``high``, ``low``, ``close``.
    most : int
        The most candles wanted.

    """
    step = float(np.median(np.diff(ts))) if len(ts) > 1 else 60_000.0
    step = max(step, 1.0)
    for count in _COUNTS:
        if len(ts) / count <= most:
            break
    if count == 1:
        return Candles(ts, ohlc, 1, step)
    width = step * count
    # A bar is stamped when it closes: the one at 10:00 is the last of the candle that ends at 10:00.
    group = np.ceil(ts / width).astype(np.int64)
    first = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    last = np.append(first[1:], len(ts)) - 1
    made: dict[str, NDArray[np.float64]] = {
        "open": ohlc["open"][first],
        "high": np.fmax.reduceat(ohlc["high"], first).astype(np.float64),
        "low": np.fmin.reduceat(ohlc["low"], first).astype(np.float64),
        "close": ohlc["close"][last],
    }
    closes: NDArray[np.float64] = (group[first] * width).astype(np.float64)
    return Candles(closes, made, count, width)
