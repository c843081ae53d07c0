"""Trades: position cycles from flat to flat, for tables and for statistics."""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pandas as pd

from workbench.analysis.columns import (
    MONEY,
    read_decimals,
    read_text,
    read_times,
    require_columns,
    round_money,
)
from workbench.analysis.definitions import Outcome, Unknown
from workbench.errors import InputError

__all__ = ["build_trade_summary", "build_trades", "measure_trades"]

_COLUMNS = (
    *("instrument_id", "strategy_id", "entry", "peak_qty", "avg_px_open", "avg_px_close"),
    *("ts_opened", "ts_closed", "realized_pnl", "currency", "realized_return"),
    *("commissions", "commissions_currency", "rate"),
)


def build_trades(positions: pd.DataFrame, *, currency: str) -> pd.DataFrame:
    """
    Return the trades of a run, by entry time and instrument.

    Parameters
    ----------
    positions : pd.DataFrame
        A run's positions frame, one row per position cycle.
    currency : str
        The reporting currency.

    Returns
    -------
    pd.DataFrame
        ``entry_time``, ``exit_time`` (UTC; NaT while open), ``instrument_id``, ``strategy_id``, ``side``
        LONG or SHORT, ``quantity`` (the largest held), ``entry_price``, ``exit_price`` (averages), ``held``
        (`Timedelta`), ``net_pnl`` and ``fees`` in the reporting currency, ``return`` (float64, nautilus's
        own: exit against entry price, before fees), ``currency``, ``is_open``, ``unknown`` (why ``net_pnl``
        is null, else null). Quantities, prices and money are `Decimal` or ``None``. Money converts at the
        close's rate, and an open trade has no net PnL yet.

    Raises
    ------
    InputError
        If a column is missing or holds floats where numbers are exact.

    """
    require_columns(positions, _COLUMNS, frame_name="positions")
    entries = read_times(positions, "ts_opened")
    exits = read_times(positions, "ts_closed")
    missing = np.iinfo(np.int64).min
    is_open = exits == missing
    money = [
        _measure_money(_Money(*row), currency)
        for row in zip(
            is_open.tolist(),
            read_decimals(positions, "realized_pnl"),
            read_text(positions, "currency"),
            read_decimals(positions, "rate"),
            read_decimals(positions, "commissions"),
            read_text(positions, "commissions_currency"),
            strict=True,
        )
    ]
    entry_time = pd.DatetimeIndex(entries.astype("datetime64[ns]"), tz="UTC")
    exit_time = pd.DatetimeIndex(exits.astype("datetime64[ns]"), tz="UTC")
    exact: dict[str, list[Decimal | None]] = {
        "quantity": read_decimals(positions, "peak_qty"),
        "entry_price": read_decimals(positions, "avg_px_open"),
        "exit_price": read_decimals(positions, "avg_px_close"),
        "net_pnl": [row[0] for row in money],
        "fees": [row[1] for row in money],
    }
    columns = {name: pd.Series(values, dtype=object) for name, values in exact.items()}
    trades = pd.DataFrame(
        {
            "entry_time": entry_time,
            "exit_time": exit_time,
            "instrument_id": read_text(positions, "instrument_id"),
            "strategy_id": read_text(positions, "strategy_id"),
            "side": [_read_side(entry) for entry in read_text(positions, "entry")],
            "quantity": columns["quantity"],
            "entry_price": columns["entry_price"],
            "exit_price": columns["exit_price"],
            "held": exit_time - entry_time,
            "net_pnl": columns["net_pnl"],
            "return": positions["realized_return"].astype("float64").to_numpy(),
            "fees": columns["fees"],
            "currency": pd.Series([currency] * len(positions), dtype=object),
            "is_open": is_open,
            "unknown": pd.Series([row[2] for row in money], dtype=object),
        }
    )
    return trades.sort_values(["entry_time", "instrument_id"], kind="stable", ignore_index=True)


def _read_side(entry: str | None) -> str:
    if entry not in ("BUY", "SELL"):
        raise InputError(f"a position's entry is {entry}", expected="BUY or SELL")
    return "LONG" if entry == "BUY" else "SHORT"


class _Money(NamedTuple):
    """What the money of one trade is made from; `rate` is settlement to reporting currency at the close."""

    is_open: bool
    realized: Decimal | None
    settlement: str | None
    rate: Decimal | None
    commissions: Decimal | None
    commissions_currency: str | None


def _measure_money(trade: _Money, currency: str) -> tuple[Decimal | None, Decimal | None, str | None]:
    """Return net PnL and fees in the reporting currency, and why the net PnL is unknown."""
    rate = Decimal(1) if trade.settlement == currency else trade.rate
    is_own = trade.commissions_currency == trade.settlement
    fee_rate = rate if is_own else Decimal(1) if trade.commissions_currency == currency else None
    fees = _convert(trade.commissions, fee_rate)
    if trade.is_open:
        return None, fees, "the position is still open"
    if trade.realized is None:
        return None, fees, "the realised PnL is missing"
    net = _convert(trade.realized, rate)
    if net is None:
        return None, fees, f"no rate from {trade.settlement} to {currency} at the close"
    if is_own:
        return net, fees, None
    # Nautilus nets fees into the realised PnL only if they are in the settlement currency.
    if fees is None:
        paid_in = trade.commissions_currency or "several currencies"
        return None, fees, f"fees in {paid_in} are not part of the realised PnL and have no rate"
    return MONEY.subtract(net, fees), fees, None


def _convert(amount: Decimal | None, rate: Decimal | None) -> Decimal | None:
    if amount is None:
        return None
    if amount == 0:
        return Decimal(0)
    return None if rate is None else round_money(MONEY.multiply(amount, rate))


def measure_trades(trades: pd.DataFrame) -> dict[str, Outcome]:
    """
    Return the trade statistics of a table of trades.

    Parameters
    ----------
    trades : pd.DataFrame
        The result of `build_trades`; open trades are counted and otherwise left out.

    """
    closed = trades[~trades["is_open"].astype(bool)]
    names = (
        *("win_rate", "profit_factor", "average_win", "average_loss"),
        *("expectancy", "best_trade", "worst_trade", "average_holding_time"),
    )
    outcomes: dict[str, Outcome] = {"trades": len(closed), "open_positions": len(trades) - len(closed)}
    if len(closed) == 0:
        return outcomes | dict.fromkeys(names, Unknown("no trade was closed"))
    held = pd.TimedeltaIndex(closed["held"]).total_seconds().to_numpy(dtype=np.float64)
    outcomes |= dict.fromkeys(names, _find_reason(closed))
    outcomes["average_holding_time"] = float(held.mean())
    pnls: list[Decimal] = closed["net_pnl"].tolist()
    if any(pnl is None for pnl in pnls):
        return outcomes
    wins = [pnl for pnl in pnls if pnl > 0]
    losses = [pnl for pnl in pnls if pnl < 0]
    no_win, no_loss = Unknown("no trade won"), Unknown("no trade lost")
    with decimal.localcontext(MONEY):
        won, lost = sum(wins, Decimal(0)), sum(losses, Decimal(0))
        return outcomes | {
            "win_rate": len(wins) / len(pnls),
            "profit_factor": float(won / -lost) if losses else no_loss,
            "average_win": won / len(wins) if wins else no_win,
            "average_loss": lost / len(losses) if losses else no_loss,
            "expectancy": (won + lost) / len(pnls),
            "best_trade": max(pnls),
            "worst_trade": min(pnls),
        }


def _find_reason(closed: pd.DataFrame) -> Unknown:
    reasons = closed["unknown"].dropna()
    if len(reasons) == 0:
        return Unknown("")
    return Unknown(f"net PnL is unknown for {len(reasons)} of {len(closed)} trades: {reasons.iloc[0]}")


def build_trade_summary(trades: pd.DataFrame, *, by: str = "instrument_id") -> pd.DataFrame:
    """
    Return the trade statistics per side, instrument or strategy.

    Parameters
    ----------
    trades : pd.DataFrame
        The result of `build_trades`.
    by : str, default 'instrument_id'
        ``instrument_id``, ``side`` or ``strategy_id``.

    Returns
    -------
    pd.DataFrame
        Index `by`, sorted; ``trades``, ``open_positions``, ``win_rate``, ``profit_factor`` (float64, NaN
        where undefined), ``net_pnl``, ``fees``, ``expectancy``, ``best_trade``, ``worst_trade`` (`Decimal`,
        ``None`` where unknown), ``average_holding_time`` (seconds, float64). Closed trades only, but for
        ``open_positions``.

    Raises
    ------
    InputError
        If `by` is none of the three.

    """
    if by not in ("instrument_id", "side", "strategy_id"):
        raise InputError(f"by is {by!r}", expected="instrument_id, side or strategy_id")
    floats = ("win_rate", "profit_factor", "average_holding_time")
    money = ("net_pnl", "fees", "expectancy", "best_trade", "worst_trade")
    groups = [(str(name), group) for name, group in trades.groupby(by, sort=True)]
    rows: list[dict[str, Outcome | None]] = []
    for _, group in groups:
        closed = group[~group["is_open"].astype(bool)]
        measured = measure_trades(group)
        row: dict[str, Outcome | None] = dict(measured)
        row |= {"net_pnl": _sum(closed["net_pnl"]), "fees": _sum(closed["fees"])}
        rows.append({name: None if isinstance(value, Unknown) else value for name, value in row.items()})
    columns: dict[str, pd.Series] = {
        name: pd.Series([row[name] for row in rows], dtype="int64") for name in ("trades", "open_positions")
    }
    columns |= {name: pd.Series([row[name] for row in rows], dtype="float64") for name in floats}
    columns |= {name: pd.Series([_round(row[name]) for row in rows], dtype=object) for name in money}
    order = ["trades", "open_positions", "win_rate", "profit_factor", *money, "average_holding_time"]
    summary = pd.DataFrame(columns)[order]
    summary.index = pd.Index([name for name, _ in groups], name=by, dtype=object)
    return summary


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total = MONEY.add(total, value)
    return total


def _round(value: Outcome | None) -> Decimal | None:
    return round_money(value) if isinstance(value, Decimal) else None
