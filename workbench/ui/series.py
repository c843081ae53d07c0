"""The edge between stored frames and charts: exact columns become the floats that a canvas draws."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_decimals", "read_floats", "read_millis", "require_columns"]


def require_columns(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """
    Check that a frame has what a component draws.

    Raises
    ------
    InputError
        If `frame` is not a DataFrame or lacks a column.

    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"{what} is a {type(frame).__name__}", expected="a pandas DataFrame")
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(
            f"{what} has no column {', '.join(missing)}",
            expected=f"{', '.join(columns)}",
            advice=f"it has {', '.join(map(str, frame.columns)) or 'no columns'}",
        )


def read_decimals(column: pd.Series) -> list[Decimal | None]:
    """Return the values that are exact; ``None`` for floats and missing ones."""
    return [value if isinstance(value, Decimal) else None for value in column]


def read_floats(column: pd.Series) -> NDArray[np.float64]:
    """Return numbers or decimals as float64, with NaN where a value is missing."""
    if column.dtype == object:
        return np.array([np.nan if value is None else float(value) for value in column], dtype=np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def read_millis(column: pd.Series, what: str) -> NDArray[np.float64]:
    """
    Return UTC time stamps as milliseconds since the epoch, NaN where missing.

    Parameters
    ----------
    column : pandas.Series
        Time stamps with a zone (any zone; converted), or integers of nanoseconds since the epoch.
    what : str
        What to call the column in an error.

    Raises
    ------
    InputError
        If the time stamps have no zone.

    """
    if pd.api.types.is_integer_dtype(column.dtype):
        stamps = pd.to_datetime(column, unit="ns", utc=True)
    elif isinstance(column.dtype, pd.DatetimeTZDtype):
        stamps = column.dt.tz_convert("UTC")
    elif isinstance(column.dtype, pd.ArrowDtype) and getattr(column.dtype.pyarrow_dtype, "tz", None):
        stamps = column.astype("datetime64[ns, UTC]")
    elif column.isna().all():
        return np.full(len(column), np.nan)
    else:
        raise InputError(
            f"{what} has the type {column.dtype}",
            expected="time stamps with a time zone, or integer nanoseconds",
            advice="use dt.tz_localize('UTC') if they are in UTC",
        )
    nanos = stamps.dt.as_unit("ns").astype("int64").to_numpy()
    millis: NDArray[np.float64] = nanos / 1e6
    millis[stamps.isna().to_numpy()] = np.nan
    return millis
