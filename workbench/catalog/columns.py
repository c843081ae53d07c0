"""Which column of a file holds what: guessed from common names, overridable, never silent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from workbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DATA_TYPES", "FIELDS", "ColumnMapping", "DataType", "map_columns"]

DataType = Literal["bars", "quotes", "trades"]
"""The kinds of market data that files can hold."""

DATA_TYPES: tuple[DataType, ...] = get_args(DataType)

FIELDS: dict[DataType, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bars": (("timestamp", "open", "high", "low", "close"), ("time", "volume")),
    "quotes": (("timestamp", "bid", "ask"), ("time", "bid_size", "ask_size")),
    "trades": (("timestamp", "price", "size"), ("time", "side", "is_buyer_maker", "trade_id")),
}
"""The fields that each kind of data must have, and those it may have."""

# In order of preference. Names are compared in lower case, with every separator taken for an underscore.
_NAMES: dict[str, tuple[str, ...]] = {
    "timestamp": (
        "timestamp", "ts_event", "datetime", "date_time", "timestamp_utc", "time_utc", "datetime_utc", "gmt_time",
        "utc", "local_time", "open_time", "close_time", "time_open", "time_close", "transact_time", "trade_time",
        "event_time", "ts", "t", "dt", "date", "day", "time",
    ),
    "time": ("time", "timeofday", "time_of_day"),
    "open": ("open", "o", "open_price", "bid_open", "ask_open", "bidopen", "askopen"),
    "high": ("high", "h", "high_price", "bid_high", "ask_high", "bidhigh", "askhigh"),
    "low": ("low", "l", "low_price", "bid_low", "ask_low", "bidlow", "asklow"),
    "close": ("close", "c", "close_price", "bid_close", "ask_close", "bidclose", "askclose"),
    "volume": ("volume", "v", "vol", "base_volume", "tick_volume", "tickvol", "tickqty"),
    "bid": ("bid", "bid_price", "bidprice", "best_bid", "best_bid_price", "b"),
    "ask": ("ask", "ask_price", "askprice", "best_ask", "best_ask_price", "offer", "a"),
    "bid_size": (
        "bid_size", "bidsize", "bid_qty", "bid_quantity", "bid_volume", "bidvolume", "bid_amount", "best_bid_qty",
    ),
    "ask_size": (
        "ask_size", "asksize", "ask_qty", "ask_quantity", "ask_volume", "askvolume", "ask_amount", "best_ask_qty",
    ),
    "price": ("price", "last", "last_price", "trade_price", "px", "p"),
    "size": ("size", "quantity", "qty", "amount", "volume", "last_qty", "trade_size", "q"),
    "side": ("side", "aggressor_side", "taker_side", "direction", "trade_side"),
    "is_buyer_maker": ("is_buyer_maker", "isbuyermaker", "buyer_maker", "m"),
    "trade_id": ("trade_id", "tradeid", "id", "agg_trade_id", "aggtradeid", "match_id", "tid"),
}  # fmt: skip


class ColumnMapping(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which column of a file holds which field.

    Attributes
    ----------
    columns : dict[str, str]
        Column name by field name.
    ignored : tuple[str, ...]
        Columns that are left out, on request.

    """

    columns: dict[str, str]
    ignored: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the mapping in one line."""
        pairs = ", ".join(f"{field}={column}" for field, column in self.columns.items())
        return f"{pairs}; ignored: {', '.join(self.ignored)}" if self.ignored else pairs


def map_columns(
    names: Sequence[str],
    data_type: DataType,
    *,
    overrides: Mapping[str, str] | None = None,
    ignored: Sequence[str] = (),
    given: str = "the file",
) -> ColumnMapping:
    """
    Decide which column holds which field.

    Parameters
    ----------
    names : sequence of str
        The columns of the file, in order.
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    overrides : mapping of str to str, optional
        Column name by field name, where the guess would be wrong.
    ignored : sequence of str
        Columns to leave out.
    given : str
        What to call the file in a message.

    Returns
    -------
    ColumnMapping
        Every column is either mapped or ignored.

    Raises
    ------
    InputError
        If a field has no column, a column has no field, or a name is given that does not exist.

    """
    required, optional = FIELDS[data_type]
    overrides = dict(overrides or {})
    listing = ", ".join(repr(name) for name in names)
    _check_overrides(overrides, ignored, names, (*required, *optional), data_type, given)
    free = [name for name in names if name not in ignored and name not in overrides.values()]
    columns: dict[str, str] = {}
    for field in (*required, *optional):
        column = overrides.get(field) or _guess(field, free)
        if column is not None and (field != "time" or _is_time_of_day(columns, overrides)):
            columns[field] = column
            if column in free:
                free.remove(column)
    missing = [field for field in required if field not in columns]
    if missing:
        raise InputError(
            f"{given} has no column for {', '.join(missing)} among {listing}",
            expected=f"columns for {', '.join(required)} of {data_type}",
            advice=f"name it with --map {missing[0]}=COLUMN",
        )
    if free:
        raise InputError(
            f"{given} has unknown columns: {', '.join(repr(name) for name in free)}",
            expected=f"columns for {', '.join((*required, *optional))} only",
            advice=f"leave them out with --ignore-columns {','.join(free)}, or use one with --map FIELD=COLUMN",
        )
    return ColumnMapping(columns=columns, ignored=tuple(ignored))


def _check_overrides(
    overrides: Mapping[str, str],
    ignored: Sequence[str],
    names: Sequence[str],
    fields: tuple[str, ...],
    data_type: str,
    given: str,
) -> None:
    for field in overrides:
        if field not in fields:
            raise InputError(
                f"{data_type} have no field {field!r}",
                expected=f"one of {', '.join(fields)}",
                advice="fix --map",
            )
    for column in (*overrides.values(), *ignored):
        if column not in names:
            raise InputError(
                f"{given} has no column {column!r}",
                expected=f"one of {', '.join(repr(name) for name in names)}",
                advice="fix --map or --ignore-columns",
            )


def _guess(field: str, free: Sequence[str]) -> str | None:
    by_name: dict[str, str] = {}
    for name in free:
        by_name.setdefault(_normalise(name), name)
    for name in _NAMES[field]:
        if name in by_name:
            return by_name[name]
    # A frame written with its index has an unnamed first column, and the index is the time.
    if field == "timestamp" and free and free[0] == "":
        return free[0]
    return None


def _is_time_of_day(columns: Mapping[str, str], overrides: Mapping[str, str]) -> bool:
    """Tell whether a free column named time completes a date, or is only a second time stamp."""
    return "time" in overrides or _normalise(columns.get("timestamp", "")) in ("date", "day")


def _normalise(name: str) -> str:
    plain = name.strip().strip("<>").lower()
    return "_".join(plain.replace("-", " ").replace(".", " ").replace("_", " ").split())
