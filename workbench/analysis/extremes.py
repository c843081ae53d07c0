"""Fewer points for a screen, with every extreme kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["find_extremes"]


def find_extremes(
    x: NDArray[np.float64], columns: Sequence[NDArray[np.float64]], buckets: int
) -> NDArray[np.intp]:
    """
    Return the rows that matter on a screen of `buckets` pixel columns.

    Each bucket is an equal part of the range of `x`, without its left edge. For every column the row of its smallest
    and of its largest value in a bucket is kept (tsdownsample's ``MinMax``), so that a line through the kept rows
    covers the same pixels as the whole line. The first and the last row are kept, and one missing value per bucket, so
    that a gap stays a gap.

    Parameters
    ----------
    x : ndarray of float64, shape (n,)
        Positions, ascending (time stamps).
    columns : sequence of ndarray of float64, each of shape (n,)
        The lines to be drawn; may hold NaN.
    buckets : int
        The number of pixel columns, at least 1.

    Returns
    -------
    ndarray of intp
        Ascending, unique row numbers; all rows when there are no more than two per bucket and column.

    Raises
    ------
    InputError
        If `buckets` is below 1 or lengths differ.

    """
    n = len(x)
    if buckets < 1:
        raise InputError(f"buckets is {buckets}", expected="at least 1")
    if any(len(column) != n for column in columns):
        raise InputError(
            f"columns have {[len(c) for c in columns]} rows and x has {n}", expected="equal lengths"
        )
    if n <= 2 * buckets * max(len(columns), 1):
        return np.arange(n)
    # The rows at the last `x` once more: the right edge of the last bucket, as computed, may lie a rounding below it.
    tail = int(np.searchsorted(x, x[-1] - 4 * np.spacing(abs(x[-1]))))
    edges = np.linspace(x[0], x[-1], buckets + 1)[1:-1]
    kept = [np.array([0, n - 1])]
    for column in columns:
        kept.append(_pick_ends(x, column, buckets))
        kept.append(tail + _pick_ends(x[tail:], column[tail:], 1))
        missing = np.flatnonzero(np.isnan(column))
        if len(missing):
            bucket = np.searchsorted(edges, x[missing])
            kept.append(missing[np.unique(bucket, return_index=True)[1]])
    return np.unique(np.concatenate(kept))


def _pick_ends(x: NDArray[np.float64], column: NDArray[np.float64], buckets: int) -> NDArray[np.intp]:
    """Return the rows of the smallest and the largest value of each bucket."""
    from tsdownsample import MinMaxDownsampler

    if len(x) <= 2 * buckets:
        return np.arange(len(x))
    if buckets == 1 or x[0] == x[-1]:  # it makes no fewer than two buckets, of a range that is not empty
        known = ~np.isnan(column)
        low, high = np.where(known, column, np.inf), np.where(known, column, -np.inf)
        return np.array([low.argmin(), high.argmax()])
    dense = np.ascontiguousarray(x), np.ascontiguousarray(column)
    return np.asarray(MinMaxDownsampler().downsample(*dense, n_out=2 * buckets), dtype=np.intp)
