"""The volume of bars and trades, added up exactly however large it is."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
from nautilus_trader.model.data import Bar, BarType, TradeTick
from nautilus_trader.model.enums import PriceType
from numpy.typing import NDArray

from workbench.catalog.prices import FIXED_PRECISION, raw_limbs

__all__ = ["VolumeSum", "find_volume_column", "is_market_volume"]

_COLUMNS = {Bar: "volume", TradeTick: "size"}
_PIECES = 4
_PIECE_BITS = 32
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(_PIECE_BITS)


def find_volume_column(kind: type) -> str | None:
    """Return the column of a kind of data that holds what was traded, or ``None`` if it has none."""
    return _COLUMNS.get(kind)


def is_market_volume(kind: type, identifier: str) -> bool:
    """Return whether the volume of such data is what was traded: of trades and of bars of last prices."""
    if kind is TradeTick:
        return True
    return kind is Bar and BarType.from_str(identifier).spec.price_type == PriceType.LAST


class VolumeSum(msgspec.Struct):
    """
    A sum for each bar of a chart, grown by one part of the data after the other.

    The 128-bit values of the catalog are kept in pieces of 32 bits, each in 64: no sum of fewer than 2**32 rows
    overflows.

    Attributes
    ----------
    parts : list of numpy.ndarray of uint64, shape (n, 4)
        Sums of the spans of each part.
    first : tuple, optional
        The first value, to tell whether all are the same.
    is_constant : bool
        Whether all values so far are the same.
    rows : int
        How many there are.

    """

    parts: list[NDArray[np.uint64]] = []
    first: tuple[int, int] | None = None
    is_constant: bool = True
    rows: int = 0

    def add(self, column: pa.ChunkedArray, inside: NDArray[np.bool_], starts: NDArray[np.intp]) -> None:
        """Add the rows that are `inside`, in spans that begin at `starts` among them."""
        limbs = raw_limbs(column)[inside]
        if self.first is None:
            self.first = (int(limbs[0, 0]), int(limbs[0, 1]))
        self.is_constant &= bool((limbs == np.array(self.first, np.uint64)).all())
        self.rows += len(limbs)
        pieces = np.empty((len(limbs), _PIECES), np.uint64)
        pieces[:, 0::2] = limbs & _LOW
        pieces[:, 1::2] = limbs >> _HALF
        self.parts.append(np.add.reduceat(pieces, starts, axis=0))

    def build(self, starts: NDArray[np.intp], precision: int) -> tuple[list[int], int]:
        """
        Return the sums of the spans that begin at `starts` among all parts, in units of ``10 ** -precision``.

        The precision that is returned is another one where the sums have more decimal places than that.
        """
        if not self.parts:
            return [], precision
        pieces = np.add.reduceat(np.concatenate(self.parts), starts, axis=0).tolist()
        raw = [sum(piece << (_PIECE_BITS * i) for i, piece in enumerate(row)) for row in pieces]
        unit = 10 ** (FIXED_PRECISION - precision)
        if any(value % unit for value in raw):
            return raw, FIXED_PRECISION
        return [value // unit for value in raw], precision
