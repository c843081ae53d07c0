"""What market data must satisfy: vectorised, without I/O, batch after batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from workbench.catalog.flaws import FlawKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.catalog.flaws import RowFlaws

__all__ = [
    "PRICE_LIMIT",
    "SIZE_LIMIT",
    "OrderCheck",
    "RepeatCheck",
    "TradeIdCheck",
    "check_bars",
    "check_prices",
    "check_quotes",
    "check_sizes",
]

PRICE_LIMIT = 17_014_118_346_046
"""The largest price, and the negative of the smallest, that nautilus can hold."""

SIZE_LIMIT = 34_028_236_692_093
"""The largest quantity that nautilus can hold."""

_MIN = np.iinfo(np.int64).min


def check_prices(ticks: NDArray[np.int64], precision: int, flaws: RowFlaws, *, allow_negative: bool) -> None:
    """Mark prices that are not positive (unless they may be negative) or beyond nautilus's range."""
    limit = min(PRICE_LIMIT * 10**precision, np.iinfo(np.int64).max)
    flaws.mark((ticks > limit) | (ticks < -limit), FlawKind.OUT_OF_RANGE)
    if not allow_negative:
        flaws.mark(ticks <= 0, FlawKind.PRICE_NOT_POSITIVE)


def check_sizes(ticks: NDArray[np.int64], precision: int, flaws: RowFlaws, *, allow_zero: bool) -> None:
    """Mark sizes that are negative, zero where that means nothing, or beyond nautilus's range."""
    limit = min(SIZE_LIMIT * 10**precision, np.iinfo(np.int64).max)
    flaws.mark(ticks > limit, FlawKind.OUT_OF_RANGE)
    flaws.mark(ticks < 0, FlawKind.SIZE_NEGATIVE)
    if not allow_zero:
        flaws.mark(ticks == 0, FlawKind.SIZE_ZERO)


def check_bars(
    open_: NDArray[np.int64],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    close: NDArray[np.int64],
    flaws: RowFlaws,
) -> None:
    """Mark bars whose high is not the highest or whose low is not the lowest of the four prices."""
    contradicts = (high < low) | (high < open_) | (high < close) | (low > open_) | (low > close)
    flaws.mark(contradicts, FlawKind.OHLC)


def check_quotes(bid: NDArray[np.int64], ask: NDArray[np.int64], flaws: RowFlaws) -> None:
    """Mark quotes whose bid is above their ask; a locked market (bid equal to ask) is sound."""
    flaws.mark(bid > ask, FlawKind.CROSSED)


class OrderCheck:
    """
    Marks time stamps that go back, and for bars those that repeat, over all batches of a file.

    Parameters
    ----------
    data_type : {'bars', 'quotes', 'trades'}
        Ticks may share a time stamp; bars may not.

    """

    def __init__(self, data_type: Literal["bars", "quotes", "trades"]) -> None:
        self._unique = data_type == "bars"
        self._last = _MIN

    def check(self, stamps: NDArray[np.int64], flaws: RowFlaws) -> None:
        """Compare each sound row with the latest sound row before it."""
        if len(stamps) == 0:
            return
        sound = flaws.sound
        latest = np.maximum.accumulate(np.where(sound, stamps, _MIN))
        before = np.maximum(np.concatenate(([_MIN], latest[:-1])), self._last)
        self._last = max(self._last, int(latest[-1]))
        flaws.mark(sound & (stamps < before), FlawKind.OUT_OF_ORDER)
        if self._unique:
            flaws.mark(sound & (stamps == before), FlawKind.TIME_REPEATED)


class RepeatCheck:
    """Marks rows that equal an earlier row with the same time stamp in every column, over all batches."""

    def __init__(self) -> None:
        self._carried: NDArray[np.int64] | None = None

    def check(self, columns: list[NDArray[np.int64]], flaws: RowFlaws) -> None:
        """Compare sound rows; the first column holds the time stamps, in ascending order where sound."""
        at = np.flatnonzero(flaws.sound)
        rows = (
            np.stack([column[at] for column in columns], axis=1)
            if len(at)
            else np.empty((0, len(columns)), np.int64)
        )
        carried = rows[:0] if self._carried is None else self._carried
        rows = np.concatenate((carried, rows))
        if len(rows) == 0:
            return
        stamps = rows[:, 0]
        self._carried = rows[stamps == stamps[-1]]
        shared = np.zeros(len(rows), bool)
        shared[1:] = stamps[1:] == stamps[:-1]
        shared[:-1] |= shared[1:]
        where = np.flatnonzero(shared)
        if len(where) == 0:
            return
        candidates = rows[where]
        order = np.lexsort(candidates.T[::-1])  # stable: of equal rows the earliest comes first
        equal = (candidates[order][1:] == candidates[order][:-1]).all(axis=1)
        repeated = where[order[1:][equal]] - len(carried)
        mask = np.zeros(len(flaws.codes), bool)
        mask[at[repeated[repeated >= 0]]] = True
        flaws.mark(mask, FlawKind.ROW_REPEATED)


class TradeIdCheck:
    """
    Marks trade ids that came before, over all batches, at 8 bytes a trade.

    Ids are compared by a 64-bit key: numbers by their value, others by a hash.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def check(self, keys: NDArray[np.uint64], flaws: RowFlaws) -> None:
        """Compare the keys of sound rows with each other and with all before."""
        at = np.flatnonzero(flaws.sound)
        if len(at) == 0:
            return
        unique, first = np.unique(keys[at], return_index=True)
        repeated = np.ones(len(at), bool)
        repeated[first] = False
        known = np.zeros(len(unique), bool)
        for run in self._runs:
            place = np.searchsorted(run, unique)
            known |= run[np.minimum(place, len(run) - 1)] == unique
        repeated[first[known]] = True
        mask = np.zeros(len(flaws.codes), bool)
        mask[at[repeated]] = True
        flaws.mark(mask, FlawKind.TRADE_ID_REPEATED)
        self._add(unique[~known])

    def _add(self, run: NDArray[np.uint64]) -> None:
        """Keep sorted runs of falling size, so that there are few of them and each is merged rarely."""
        if len(run) == 0:
            return
        self._runs.append(run)
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 > len(self._runs[-2]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate((self._runs[-1], last)), kind="stable")
