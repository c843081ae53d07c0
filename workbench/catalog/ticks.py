"""Columns of numbers, as text, floats, integers or decimals, become exact integer ticks."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.catalog.flaws import FlawKind
from workbench.catalog.prices import FIXED_PRECISION, from_decimal128, raw_limbs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.catalog.flaws import RowFlaws

__all__ = ["FLOAT_NOISE_ULPS", "TickColumn", "parse_ticks"]

FLOAT_NOISE_ULPS = 4
"""
How far, in units of the last place, a float may lie from the decimal it is taken for.

Files that went through float arithmetic hold ``0.00031099999999999997`` for ``0.000311``. That is the
noise of a few operations, not a price with more decimals: the next decimal is millions of units away.
"""

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_MAX_EXACT = 2**53
_MAX_DIGITS = 38


class TickColumn(msgspec.Struct, frozen=True):
    """
    A parsed column.

    Attributes
    ----------
    ticks : numpy.ndarray of int64
        Values in units of ``10 ** -precision``; 0 where a row is flawed.
    raw : pyarrow.FixedSizeBinaryArray or None
        The values as nautilus's fixed-point column, where some of them are more ticks than an int64 holds:
        those are at the end of its range in ``ticks``.
    noisy : int
        How many floats were within :data:`FLOAT_NOISE_ULPS` of a decimal, but not that decimal.
    most_decimals : int
        The most decimals among the values that do not fit the precision, 0 if all fit.

    """

    ticks: NDArray[np.int64]
    raw: pa.FixedSizeBinaryArray | None = None
    noisy: int = 0
    most_decimals: int = 0


def parse_ticks(
    column: pa.Array,
    precision: int,
    flaws: RowFlaws,
    *,
    misfit: FlawKind,
    decimal_mark: str = ".",
    wide_limit: int = 0,
) -> TickColumn:
    """
    Parse a column of numbers into integer ticks, never through a rounding.

    Parameters
    ----------
    column : pyarrow.Array
        Text, float, integer or decimal.
    precision : int
        Decimal places of one tick.
    flaws : RowFlaws
        Where rows that cannot be parsed are marked; their ticks are 0.
    misfit : FlawKind
        The flaw of a number with more decimals than the precision has.
    decimal_mark : str, default "."
        What separates the decimals in text.
    wide_limit : int, default 0
        Up to which value text may be more ticks than an int64 holds.

    Returns
    -------
    TickColumn

    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_float64(column.type):
        return _from_floats(column, precision, flaws, misfit)
    if pa.types.is_decimal(column.type) or pa.types.is_integer(column.type):
        flaws.mark(_is_null(column), FlawKind.NUMBER_MISSING)
        column = column.cast(pa.string())
    elif not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        # Smaller floats print their shortest decimal, which is what their author meant.
        column = column.cast(pa.string())
    return _from_text(column, precision, flaws, misfit, decimal_mark, wide_limit)


def _from_text(
    column: pa.Array, precision: int, flaws: RowFlaws, misfit: FlawKind, decimal_mark: str, limit: int
) -> TickColumn:
    if decimal_mark != ".":
        # A point in such a file groups thousands: leave it, so that the row is refused.
        column = pc.replace_substring(pc.replace_substring(column, ".", "?"), decimal_mark, ".")
    target = pa.decimal128(_MAX_DIGITS, precision)
    try:
        decimals = column.cast(target)
    except pa.ArrowInvalid:
        decimals, most_decimals = _cast_soundly(column, target, flaws, misfit)
        return _to_ticks(decimals, flaws, limit, most_decimals)
    return _to_ticks(decimals, flaws, limit)


def _cast_soundly(
    column: pa.Array, target: pa.DataType, flaws: RowFlaws, misfit: FlawKind
) -> tuple[pa.Array, int]:
    """Cast what can be cast and mark the rest, when casting the whole column at once failed."""
    text = pc.utf8_trim_whitespace(column)
    missing = _true(pc.or_kleene(pc.is_null(text), pc.equal(text, "")))
    number = _true(pc.match_substring_regex(text, _NUMBER))
    flaws.mark(missing, FlawKind.NUMBER_MISSING)
    flaws.mark(~missing & ~number, FlawKind.NUMBER_UNREADABLE)
    whole = _MAX_DIGITS - target.scale
    wide = number & _true(pc.match_substring_regex(text, rf"^[+-]?0*[1-9]\d{{{whole},}}(\.|$)"))
    flaws.mark(wide, FlawKind.OUT_OF_RANGE)
    # Zeros at the end carry no value: "1.500" fits one decimal.
    fits = rf"^[+-]?\d*(\.\d{{0,{target.scale}}}0*)?$"
    fit = number & ~wide & _true(pc.match_substring_regex(text, f"{fits}|[eE]"))
    unfit = number & ~wide & ~fit
    flaws.mark(unfit, misfit)
    most_decimals = _count_decimals(text.filter(pa.array(unfit)))
    plain = pc.if_else(pa.array(fit), text, None)
    try:
        return plain.cast(target), most_decimals
    except pa.ArrowInvalid:
        return _cast_by_halves(plain, target, flaws, misfit), most_decimals


def _count_decimals(text: pa.Array) -> int:
    """Return the most decimals among plain numbers, without zeros at the end."""
    decimals = pc.replace_substring_regex(text, r"^[^.]*\.?(\d*?)0*$", r"\1")
    return pc.max(pc.binary_length(decimals)).as_py() or 0


def _cast_by_halves(column: pa.Array, target: pa.DataType, flaws: RowFlaws, misfit: FlawKind) -> pa.Array:
    """Find by halving the few numbers with an exponent that do not fit: no pattern can tell."""
    pieces: list[pa.Array] = []
    bad = np.zeros(len(column), bool)

    def cast(start: int, stop: int) -> None:
        try:
            pieces.append(column.slice(start, stop - start).cast(target))
        except pa.ArrowInvalid:
            if stop - start == 1:
                bad[start] = True
                pieces.append(pa.nulls(1, target))
                return
            middle = (start + stop) // 2
            cast(start, middle)
            cast(middle, stop)

    cast(0, len(column))
    flaws.mark(bad, misfit)
    return pa.concat_arrays(pieces)


def _from_floats(column: pa.Array, precision: int, flaws: RowFlaws, misfit: FlawKind) -> TickColumn:
    flaws.mark(_is_null(column), FlawKind.NUMBER_MISSING)
    values: NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    finite = np.isfinite(values)
    flaws.mark(~finite, FlawKind.NUMBER_UNREADABLE)
    values = np.where(finite, values, 0.0)
    scale = float(10**precision)
    with np.errstate(over="ignore"):
        rounded = np.rint(values * scale)
    # Below 2**53 both rounded and scale are exact, and so rounded / scale is the float nearest to that
    # decimal: equality says that the decimal is what the float stands for. Above, a float says nothing
    # about single ticks any more.
    wide = np.abs(rounded) >= _MAX_EXACT
    flaws.mark(wide, FlawKind.OUT_OF_RANGE)
    rounded = np.where(wide, 0.0, rounded)
    nearest = rounded / scale
    exact = (nearest == values) | wide
    noisy = ~exact & (np.abs(nearest - values) <= FLOAT_NOISE_ULPS * np.spacing(np.abs(values)))
    # Noise can only be told from decimals where a tick is far wider than the noise.
    noisy &= np.abs(rounded) < _MAX_EXACT / (64 * FLOAT_NOISE_ULPS)
    unfit = ~exact & ~noisy
    flaws.mark(unfit, misfit)
    most_decimals = _count_decimals(column.filter(pa.array(unfit)).cast(pa.string())) if unfit.any() else 0
    return TickColumn(rounded.astype(np.int64), noisy=int(noisy.sum()), most_decimals=most_decimals)


def _to_ticks(decimals: pa.Array, flaws: RowFlaws, limit: int, most_decimals: int = 0) -> TickColumn:
    limbs = raw_limbs(decimals)
    low, high = limbs[:, 0].view(np.int64), limbs[:, 1].view(np.int64)
    null = _is_null(decimals)
    flaws.mark(null, FlawKind.NUMBER_MISSING)
    wide = (high != low >> 63) & ~null
    if not wide.any():
        return TickColumn(np.where(null, 0, low) if null.any() else low.copy(), most_decimals=most_decimals)
    within = _true(pc.less_equal(pc.abs(decimals), pa.scalar(Decimal(limit), decimals.type)))
    flaws.mark(wide & ~within, FlawKind.OUT_OF_RANGE)
    edge = np.iinfo(np.int64)
    ticks = np.where(null, 0, np.where(wide, np.where(high < 0, edge.min, edge.max), low))
    sound = pc.if_else(pa.array(within), decimals, pa.scalar(Decimal(0), decimals.type))
    raw = from_decimal128(sound.cast(pa.decimal128(_MAX_DIGITS, FIXED_PRECISION)))
    return TickColumn(ticks, raw=raw, most_decimals=most_decimals)


def _is_null(column: pa.Array) -> NDArray[np.bool_]:
    if column.null_count == 0:
        return np.zeros(len(column), bool)
    return _true(column.is_null())


def _true(mask: pa.Array) -> NDArray[np.bool_]:
    """Return an Arrow mask as numpy, null as False."""
    filled = mask.fill_null(False)
    result: NDArray[np.bool_] = filled.to_numpy(zero_copy_only=False)
    return result
