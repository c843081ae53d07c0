"""Columns of a run's frames, read exactly: decimals stay decimals, time stays UTC nanoseconds."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import InputError

__all__ = ["MONEY", "read_decimals", "read_text", "read_times", "require_columns", "round_money"]

# Four factors of 38 digits (quantity, price, multiplier, rate) have at most 152 digits, so products and sums
# in this context are exact; only the divisions of inverse instruments round, far below the last place kept.
MONEY = decimal.Context(prec=200, rounding=decimal.ROUND_HALF_EVEN)

# The scale of decimal128(38, 16), in which a run's money is stored.
_PLACES = Decimal(1).scaleb(-16)


def round_money(value: Decimal) -> Decimal:
    """Return an amount rounded half-even to the 16 decimals in which money is stored."""
    return value.quantize(_PLACES, context=MONEY)


def require_columns(frame: pd.DataFrame, names: Iterable[str], *, frame_name: str) -> None:
    """
    Refuse a frame that lacks a column.

    Parameters
    ----------
    frame : pd.DataFrame
        The frame as given.
    names : Iterable[str]
        The columns that must be there.
    frame_name : str
        What to call the frame in the error.

    Raises
    ------
    InputError
        If a column is missing.

    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(
            f"the {frame_name} frame has no column {', '.join(missing)}",
            expected=f"the columns of a run's {frame_name}.parquet",
            advice=f"it has: {', '.join(map(str, frame.columns)) or 'none'}",
        )


def read_decimals(frame: pd.DataFrame, name: str) -> list[Decimal | None]:
    """
    Return a column of decimals as a list, ``None`` where the frame holds null.

    Raises
    ------
    InputError
        If a value is a float or anything else that is not an exact number.

    """
    column = frame[name]
    nulls = column.isna().to_numpy(dtype=bool)
    values: list[Decimal | None] = []
    for value, is_null in zip(column.tolist(), nulls.tolist(), strict=True):
        if is_null:
            values.append(None)
        elif isinstance(value, Decimal):
            values.append(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            values.append(Decimal(value))
        else:
            raise InputError(
                f"column {name} holds {value!r}, a {type(value).__name__}",
                expected="decimal.Decimal, because money and prices are exact",
            )
    return values


def read_text(frame: pd.DataFrame, name: str) -> list[str | None]:
    """Return a column of strings as a list, ``None`` where the frame holds null."""
    column = frame[name].astype(object)
    return [None if is_null else str(value) for value, is_null in zip(column, column.isna(), strict=True)]


def read_times(frame: pd.DataFrame, name: str, *, is_ascending: bool = False) -> npt.NDArray[np.int64]:
    """
    Return a column of times as UNIX nanoseconds; a null is ``pd.NaT``'s value (the smallest int64).

    Parameters
    ----------
    frame : pd.DataFrame
        The frame as given.
    name : str
        A column of time zone aware times.
    is_ascending : bool, default False
        If the times must be strictly ascending and not null.

    Raises
    ------
    InputError
        If the column has no time zone, or is not ascending where it must be.

    """
    if len(frame) == 0:
        return np.empty(0, dtype=np.int64)
    column = frame[name]
    if column.isna().all():
        index = pd.DatetimeIndex([pd.NaT] * len(column)).tz_localize("UTC")
    else:
        index = pd.DatetimeIndex(column)
    if index.tz is None:
        raise InputError(f"column {name} has no time zone", expected="UTC times")
    times: npt.NDArray[np.int64] = index.as_unit("ns").asi8
    if is_ascending and (index.hasnans or bool((np.diff(times) <= 0).any())):
        row = 0 if index.hasnans else int(np.argmax(np.diff(times) <= 0)) + 1
        raise InputError(
            f"column {name} is not strictly ascending, first at row {row}",
            expected="one sample per time, in order, without null",
        )
    return times
