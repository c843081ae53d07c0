"""The exact columnar codec between integer ticks, decimals and nautilus's 128-bit price columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from workbench.errors import CatalogError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FIXED_PRECISION",
    "PRICE_BYTES",
    "check_precision_mode",
    "decode_ticks",
    "encode_ticks",
    "from_decimal128",
    "raw_limbs",
    "to_decimal128",
]

FIXED_PRECISION = 16
"""Decimal places of the fixed-point integers in a high-precision build of nautilus."""

PRICE_BYTES = 16
"""Bytes of one price or quantity in a high-precision build of nautilus."""

_BINARY = pa.binary(PRICE_BYTES)
_DECIMAL = pa.decimal128(38, FIXED_PRECISION)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF_BITS = np.uint64(32)


def check_precision_mode() -> None:
    """
    Refuse to work with a nautilus that was built for 64-bit prices.

    Raises
    ------
    CatalogError
        If the installed nautilus is not a 128-bit (high-precision) build.

    """
    from nautilus_trader.core import nautilus_pyo3

    found = (int(nautilus_pyo3.PRECISION_BYTES), int(nautilus_pyo3.FIXED_PRECISION))
    if found != (PRICE_BYTES, FIXED_PRECISION):
        raise CatalogError(
            f"this nautilus_trader keeps prices in {found[0] * 8} bits with {found[1]} decimals",
            expected=f"a high-precision build ({PRICE_BYTES * 8} bits, {FIXED_PRECISION} decimals)",
            advice="install the standard Linux or macOS wheel of nautilus_trader",
        )


def encode_ticks(ticks: NDArray[np.int64], precision: int) -> pa.FixedSizeBinaryArray:
    """
    Encode integer ticks as nautilus's fixed-point column.

    Parameters
    ----------
    ticks : numpy.ndarray of int64
        Values in units of ``10 ** -precision``.
    precision : int
        Decimal places of one tick, 0 to 16.

    Returns
    -------
    pyarrow.FixedSizeBinaryArray
        The same values as little-endian 128-bit integers in units of ``10 ** -16``: for every
        element what ``Price.raw`` and ``Quantity.raw`` hold. Exact for every int64.

    """
    limbs = _multiply(np.ascontiguousarray(ticks, np.int64), 10 ** (FIXED_PRECISION - precision))
    return pa.Array.from_buffers(_BINARY, len(ticks), [None, pa.py_buffer(limbs)])


def decode_ticks(column: pa.Array | pa.ChunkedArray, precision: int) -> NDArray[np.int64]:
    """
    Decode nautilus's fixed-point column into integer ticks.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        Little-endian 128-bit integers in units of ``10 ** -16``, without nulls.
    precision : int
        Decimal places of one tick, 0 to 16.

    Returns
    -------
    numpy.ndarray of int64
        Values in units of ``10 ** -precision``.

    Raises
    ------
    CatalogError
        If a value is no whole number of ticks, or more ticks than an int64 holds.

    """
    limbs = raw_limbs(column)
    shift = FIXED_PRECISION - precision
    low = limbs[:, 0]
    if shift:
        # raw = ticks * 2**shift * 5**shift: shift the twos out, then multiply by the inverse of 5**shift
        # modulo 2**64. That is exact wherever the division is; the check below finds where it is not.
        bits = (low >> np.uint64(shift)) | (limbs[:, 1] << np.uint64(64 - shift))
        ticks = (bits * np.uint64(pow(5**shift, -1, 2**64))).view(np.int64)
    else:
        ticks = low.view(np.int64).copy()
    wrong = (_multiply(ticks, 10**shift) != limbs).any(axis=1)
    if wrong.any():
        raise CatalogError(
            f"{int(wrong.sum())} stored values are no whole ticks at precision {precision} "
            f"(the first at index {int(wrong.argmax())})",
            expected=f"multiples of 10**-{precision} below 2**63 ticks",
            advice="the file's precision metadata are wrong or its contents are damaged",
        )
    return ticks


def to_decimal128(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a fixed-point column as ``decimal128(38, 16)``, sharing its memory."""
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([to_decimal128(chunk) for chunk in column.chunks], _DECIMAL)
    return pa.Array.from_buffers(_DECIMAL, len(column), column.buffers(), offset=column.offset)


def from_decimal128(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a ``decimal128(38, 16)`` column as a fixed-point column, sharing its memory."""
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([from_decimal128(chunk) for chunk in column.chunks], _BINARY)
    if column.type != _DECIMAL:
        raise TypeError(f"a fixed-point column needs {_DECIMAL}, not {column.type}")
    return pa.Array.from_buffers(_BINARY, len(column), column.buffers(), offset=column.offset)


def raw_limbs(column: pa.Array | pa.ChunkedArray) -> NDArray[np.uint64]:
    """
    Return the 128-bit values of a column as pairs of 64-bit halves.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        A 16-byte column: ``fixed_size_binary(16)`` or ``decimal128``. What nulls hold is undefined.

    Returns
    -------
    numpy.ndarray of uint64, shape (n, 2)
        The low half and the high half (two's complement) of each value.

    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    if len(column) == 0:
        return np.empty((0, 2), np.uint64)
    limbs: NDArray[np.uint64] = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)
    return limbs[column.offset : column.offset + len(column)]


def _multiply(values: NDArray[np.int64], factor: int) -> NDArray[np.uint64]:
    """Multiply int64 values by a factor below 2**63, as pairs of uint64 halves (two's complement)."""
    unsigned = values.view(np.uint64)
    low, high = unsigned & _LOW_HALF, unsigned >> _HALF_BITS
    factor_low, factor_high = np.uint64(factor & 0xFFFFFFFF), np.uint64(factor >> 32)
    low_low, low_high = low * factor_low, low * factor_high
    high_low, high_high = high * factor_low, high * factor_high
    middle = (low_low >> _HALF_BITS) + (low_high & _LOW_HALF) + (high_low & _LOW_HALF)
    limbs = np.empty((len(values), 2), np.uint64)
    limbs[:, 0] = (low_low & _LOW_HALF) | (middle << _HALF_BITS)
    top = high_high + (low_high >> _HALF_BITS) + (high_low >> _HALF_BITS) + (middle >> _HALF_BITS)
    # A negative value read as unsigned is 2**64 too large: take factor * 2**64 away again.
    top[values < 0] -= np.uint64(factor)
    limbs[:, 1] = top
    return limbs
