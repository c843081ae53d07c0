"""Bars, of which a frame knows only when they end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["find_start"]


def find_start(stamps: npt.NDArray[np.int64]) -> int:
    """
    Return since when bars know the price: the first one is taken to be as long as a usual one.

    Parameters
    ----------
    stamps : ndarray of int64, at least one
        The ends of the bars, UNIX nanoseconds, ascending.

    """
    if len(stamps) == 1:
        return int(stamps[0])
    return int(stamps[0]) - int(np.median(np.diff(stamps)))
