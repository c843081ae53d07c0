"""What can be wrong with a row, and the tally of what was."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FlawKind", "FlawTally", "RowFlaws"]


class FlawKind(IntEnum):
    """One reason to refuse a row; the text of a reason is in :attr:`text`."""

    RAGGED = 1
    UNTERMINATED = 2
    TIME_UNREADABLE = 3
    TIME_AMBIGUOUS = 4
    TIME_MISSING = 5
    NUMBER_MISSING = 6
    NUMBER_UNREADABLE = 7
    PRICE_PRECISION = 8
    SIZE_PRECISION = 9
    OUT_OF_RANGE = 10
    PRICE_NOT_POSITIVE = 11
    SIZE_NEGATIVE = 12
    SIZE_ZERO = 13
    CROSSED = 14
    OHLC = 15
    SIDE_UNREADABLE = 16
    TRADE_ID_INVALID = 17
    TRADE_ID_REPEATED = 18
    OUT_OF_ORDER = 19
    TIME_REPEATED = 20
    ROW_REPEATED = 21

    @property
    def text(self) -> str:
        """Return the reason in plain words."""
        return _TEXTS[self]


_TEXTS = {
    FlawKind.RAGGED: "wrong number of columns (truncated?)",
    FlawKind.UNTERMINATED: "last line without a line break (truncated?)",
    FlawKind.TIME_UNREADABLE: "unreadable time stamp",
    FlawKind.TIME_AMBIGUOUS: "local time that exists twice (clocks going back)",
    FlawKind.TIME_MISSING: "local time that does not exist (clocks going forward)",
    FlawKind.NUMBER_MISSING: "missing value",
    FlawKind.NUMBER_UNREADABLE: "not a number",
    FlawKind.PRICE_PRECISION: "price does not fit the precision",
    FlawKind.SIZE_PRECISION: "size does not fit the precision",
    FlawKind.OUT_OF_RANGE: "value out of range",
    FlawKind.PRICE_NOT_POSITIVE: "price not positive",
    FlawKind.SIZE_NEGATIVE: "negative size",
    FlawKind.SIZE_ZERO: "size of zero",
    FlawKind.CROSSED: "crossed quote (bid above ask)",
    FlawKind.OHLC: "high and low contradict open and close",
    FlawKind.SIDE_UNREADABLE: "unreadable side",
    FlawKind.TRADE_ID_INVALID: "trade id empty, longer than 36 characters or not ASCII",
    FlawKind.TRADE_ID_REPEATED: "repeated trade id",
    FlawKind.OUT_OF_ORDER: "time stamp goes back",
    FlawKind.TIME_REPEATED: "repeated time stamp",
    FlawKind.ROW_REPEATED: "repeated row",
}


class RowFlaws:
    """
    The first flaw of each row of a batch.

    Parameters
    ----------
    size : int
        The number of rows.

    Attributes
    ----------
    codes : numpy.ndarray of uint8
        A :class:`FlawKind` per row, 0 where the row is sound.

    """

    def __init__(self, size: int) -> None:
        self.codes: NDArray[np.uint8] = np.zeros(size, np.uint8)

    def mark(self, mask: NDArray[np.bool_], kind: FlawKind) -> None:
        """Give the rows under the mask this flaw, where they have none yet."""
        if mask.any():
            self.codes[mask & (self.codes == 0)] = kind

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Return True for each row without a flaw."""
        sound: NDArray[np.bool_] = self.codes == 0
        return sound


class FlawTally:
    """
    How many rows had which flaw, and where the first of them stand.

    Parameters
    ----------
    keep : int, default 5
        How many row numbers to remember per kind.

    """

    def __init__(self, keep: int = 5) -> None:
        self._keep = keep
        self.counts: dict[FlawKind, int] = {}
        self.first: dict[FlawKind, list[int]] = {}

    def add(self, flaws: RowFlaws, numbers: NDArray[np.int64]) -> None:
        """Count a batch, whose rows carry these numbers in their file."""
        for code in np.unique(flaws.codes[flaws.codes > 0]):
            at = np.flatnonzero(flaws.codes == code)
            self.add_rows(FlawKind(int(code)), [int(numbers[i]) for i in at[: self._keep]], len(at))

    def add_rows(self, kind: FlawKind, numbers: list[int], count: int) -> None:
        """Count rows of one kind; ``numbers`` may be only the first of them."""
        self.counts[kind] = self.counts.get(kind, 0) + count
        self.first[kind] = sorted([*self.first.get(kind, []), *numbers])[: self._keep]

    @property
    def total(self) -> int:
        """Return the number of flawed rows."""
        return sum(self.counts.values())

    def describe(self, row_word: str) -> str:
        """Return one clause per kind, the most frequent first."""
        clauses = []
        for kind in sorted(self.counts, key=lambda kind: -self.counts[kind]):
            count, first = self.counts[kind], self.first[kind]
            rows = ", ".join(str(number) for number in first)
            more = ", ..." if count > len(first) else ""
            clauses.append(f"{count:,} {kind.text} ({row_word}{'s' if count > 1 else ''} {rows}{more})")
        return "; ".join(clauses)
