"""Excursions: how far the price went against and in favour of each trade while it was held."""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from decimal import Decimal

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.analysis.bars import find_start
from workbench.analysis.columns import (
    MONEY,
    read_decimals,
    read_text,
    read_times,
    require_columns,
    round_money,
)

__all__ = ["build_excursions"]

_TRADES = (
    *("entry_time", "exit_time", "instrument_id", "side"),
    *("quantity", "entry_price", "exit_price", "rate"),
)
_FILLS = ("instrument_id", "multiplier", "is_inverse")
_MISSING = np.iinfo(np.int64).min
_ZERO = Decimal(0)


class _Contract(msgspec.Struct, frozen=True):
    multiplier: Decimal
    is_inverse: bool


class _Trade(msgspec.Struct, frozen=True, gc=False):
    is_long: bool
    quantity: Decimal | None
    entry: Decimal | None
    exit: Decimal | None
    rate: Decimal | None


def build_excursions(
    trades: pd.DataFrame, prices: Mapping[str, pd.DataFrame], fills: pd.DataFrame
) -> pd.DataFrame:
    """
    Return the maximum adverse and favourable excursion of each trade (Sweeney 1997).

    A bar's ``ts`` is its end. The first bar of a trade is the one that ends at or after the entry, the last
    bar the one that ends at or after the exit (the last of all while the trade is open), and both count
    **whole**: what happened in them before the entry or after the exit is included, because bars do not say when
    in a bar it happened. So excursions are too large rather than too small, by at most what the first and
    the last bar moved, and much too large where bars are coarser than the trades. The average entry and exit
    prices themselves are included, so that a trade's own price move always lies between the two.

    Prices are compared as they are: bars of BID prices overlook that a SHORT is bought back at the ask. Money is
    made with the largest quantity held from the average entry price, which is exact for trades with one
    entry and too large for trades that were built up in steps.

    Parameters
    ----------
    trades : pd.DataFrame
        The result of `build_trades`.
    prices : Mapping[str, pd.DataFrame]
        By instrument id: ``ts`` (strictly ascending, with a time zone), ``high``, ``low``; `Decimal` or float.
    fills : pd.DataFrame
        A run's fills frame, which knows each instrument's ``multiplier`` and ``is_inverse``.

    Returns
    -------
    pd.DataFrame
        The index of `trades`; ``mae_price``, ``mfe_price`` (price distance from the average entry) and
        ``mae``, ``mfe`` (money in the trade's ``currency``, at the rate of its ``net_pnl``), `Decimal` or
        ``None``, with ``mae`` <= 0 <= ``mfe``; ``unknown``: why one of them is null, else null.

    Raises
    ------
    InputError
        If a column is missing, times have no time zone or are not ascending, or numbers of the trades are
        not exact.

    """
    require_columns(trades, _TRADES, frame_name="trades")
    contracts = _read_contracts(fills)
    lows, highs, reasons = _find_ranges(trades, prices)
    instruments = read_text(trades, "instrument_id")
    rows: list[tuple[Decimal | None, ...]] = []
    with decimal.localcontext(MONEY):
        for number, trade in enumerate(_read_trades(trades)):
            row: tuple[Decimal | None, ...] = (None,) * 4
            if reasons[number] is None:
                contract = contracts.get(str(instruments[number]))
                row, reasons[number] = _measure(trade, contract, float(lows[number]), float(highs[number]))
            rows.append(row)
    names = ("mae_price", "mfe_price", "mae", "mfe")
    columns = {
        name: pd.Series([row[i] for row in rows], index=trades.index, dtype=object)
        for i, name in enumerate(names)
    }
    columns["unknown"] = pd.Series(reasons, index=trades.index, dtype=object)
    return pd.DataFrame(columns, index=trades.index)


def _read_contracts(fills: pd.DataFrame) -> dict[str, _Contract]:
    require_columns(fills, _FILLS, frame_name="fills")
    first = fills.drop_duplicates("instrument_id")
    return {
        str(name): _Contract(multiplier, bool(is_inverse))
        for name, multiplier, is_inverse in zip(
            first["instrument_id"],
            read_decimals(first, "multiplier"),
            first["is_inverse"].tolist(),
            strict=True,
        )
        if multiplier is not None
    }


def _read_trades(trades: pd.DataFrame) -> list[_Trade]:
    numbers = (read_decimals(trades, name) for name in ("quantity", "entry_price", "exit_price", "rate"))
    return [
        _Trade(side == "LONG", quantity, entry, exit_, rate)
        for side, quantity, entry, exit_, rate in zip(read_text(trades, "side"), *numbers, strict=True)
    ]


def _find_ranges(
    trades: pd.DataFrame, prices: Mapping[str, pd.DataFrame]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[str | None]]:
    """Return the lowest and the highest price while each trade was held, and why there is none."""
    entries, exits = read_times(trades, "entry_time"), read_times(trades, "exit_time")
    lows, highs = np.full(len(trades), np.nan), np.full(len(trades), np.nan)
    reasons = np.full(len(trades), None, dtype=object)
    for key, rows in trades.groupby("instrument_id").indices.items():
        frame = prices.get(str(key))
        if frame is None or len(frame) == 0:
            reasons[rows] = f"there are no prices of {key}"
            continue
        require_columns(frame, ("ts", "high", "low"), frame_name="prices")
        stamps = read_times(frame, "ts", is_ascending=True)
        start = find_start(stamps)
        until = np.where(exits[rows] == _MISSING, stamps[-1], exits[rows])
        is_early, is_late = entries[rows] < start, np.maximum(until, entries[rows]) > stamps[-1]
        reasons[rows[is_late]] = "the prices end before the exit"
        reasons[rows[is_early]] = "the prices begin after the entry"
        inside = rows[~is_early & ~is_late]
        first = np.searchsorted(stamps, entries[inside], side="left")
        last = np.searchsorted(stamps, until[~is_early & ~is_late], side="left")
        lows[inside] = _find_least(frame["low"].to_numpy(dtype=np.float64), first, last)
        highs[inside] = -_find_least(-frame["high"].to_numpy(dtype=np.float64), first, last)
        gaps = inside[np.isnan(lows[inside]) | np.isnan(highs[inside])]
        reasons[gaps] = "a price is missing while the trade was held"
    return lows, highs, reasons.tolist()


def _find_least(
    values: npt.NDArray[np.float64], first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """
    Return the least value of each range of rows, both ends included; NaN if one of them is.

    A sparse table (Bender and Farach-Colton 2000, The LCA Problem Revisited): two windows of the largest power
    of two that fits cover a range. Only one level of the table is in memory at a time.
    """
    least = np.full(len(first), np.nan)
    levels = np.frexp((last - first + 1).astype(np.float64))[1] - 1
    table, width = values, 1
    for level in range(int(levels.max()) + 1 if len(levels) else 0):
        chosen = np.flatnonzero(levels == level)
        least[chosen] = np.minimum(table[first[chosen]], table[last[chosen] - width + 1])
        table = np.minimum(table[:-width], table[width:])
        width *= 2
    return least


def _measure(
    trade: _Trade, contract: _Contract | None, low: float, high: float
) -> tuple[tuple[Decimal | None, ...], str | None]:
    if trade.entry is None:
        return (None,) * 4, "the entry price is missing"
    # The shortest text of a double reads back to the same double: a price of up to 15 digits is exact.
    levels = [Decimal(repr(low)), Decimal(repr(high)), trade.entry]
    if trade.exit is not None:
        levels.append(trade.exit)
    worst, best = (min(levels), max(levels)) if trade.is_long else (max(levels), min(levels))
    sign = 1 if trade.is_long else -1
    distances = (sign * (worst - trade.entry), sign * (best - trade.entry))
    if contract is None:
        return (*distances, None, None), "no fill tells the instrument's multiplier"
    if trade.quantity is None or trade.rate is None:
        return (*distances, None, None), "no conversion rate at the close"
    size = trade.quantity * contract.multiplier * trade.rate * sign
    if not contract.is_inverse:
        money = (size * (worst - trade.entry), size * (best - trade.entry))
    elif min(levels) > 0:
        money = (size * (1 / trade.entry - 1 / worst), size * (1 / trade.entry - 1 / best))
    else:
        return (*distances, None, None), "an inverse instrument has no value at a price of 0 or below"
    return (*distances, *(round_money(amount) + _ZERO for amount in money)), None
