"""Trades: position cycles from flat to flat, for tables and for statistics."""

from __future__ import annotations

import decimal
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

__all__ = ["build_trades", "measure_trades"]

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
        is null, else null), ``position_id`` (null where the frame has none), ``settlement_currency``, ``rate``
        (settlement to reporting currency at the close, or at the end while open). Quantities, prices and money
        are `Decimal` or ``None``. Money converts at the close's rate, and an open trade has no net PnL yet.

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
    settlements = read_text(positions, "currency")
    rates = [
        Decimal(1) if settlement == currency else rate
        for settlement, rate in zip(settlements, read_decimals(positions, "rate"), strict=True)
    ]
    money = [
        _measure_money(_Money(*row), currency)
        for row in zip(
            is_open.tolist(),
            read_decimals(positions, "realized_pnl"),
            settlements,
            rates,
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
        "rate": rates,
    }
    columns = {name: pd.Series(values, dtype=object) for name, values in exact.items()}
    has_ids = "position_id" in positions.columns
    ids = read_text(positions, "position_id") if has_ids else [None] * len(positions)
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
            "position_id": pd.Series(ids, dtype=object),
            "settlement_currency": pd.Series(settlements, dtype=object),
            "rate": columns["rate"],
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
    rate = trade.rate
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
