"""Trades by what they have in common: instrument, side, strategy, or the time of their entry."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pandas as pd

from workbench.analysis.columns import MONEY, round_money
from workbench.analysis.definitions import Outcome, Unknown
from workbench.analysis.trades import measure_trades
from workbench.errors import InputError

__all__ = ["BREAKDOWNS", "build_breakdown"]

BREAKDOWNS = ("instrument_id", "side", "strategy_id", "hour", "weekday", "month")

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FLOATS = ("win_rate", "profit_factor", "average_holding_time")
_MONEY_COLUMNS = ("net_pnl", "fees", "expectancy", "best_trade", "worst_trade")


def build_breakdown(trades: pd.DataFrame, *, by: str = "instrument_id") -> pd.DataFrame:
    """
    Return the trade statistics per group of trades.

    Hour, weekday and month are those of the **entry** in UTC, so that the months need not agree with the
    returns by month, which come from equity marked to market.

    Parameters
    ----------
    trades : pd.DataFrame
        The result of `build_trades`.
    by : str, default 'instrument_id'
        One of `BREAKDOWNS`.

    Returns
    -------
    pd.DataFrame
        Index `by`, sorted (``hour`` int 0 to 23; ``weekday`` Monday to Sunday in this order; ``month`` such as
        ``2024-01``), without groups that have no trade; ``trades``, ``open_positions``, ``win_rate``,
        ``profit_factor`` (float64, NaN where undefined), ``net_pnl``, ``fees``, ``expectancy``,
        ``best_trade``, ``worst_trade`` (`Decimal`, ``None`` where unknown), ``average_holding_time``
        (seconds, float64). Closed trades only, but for ``open_positions``.

    Raises
    ------
    InputError
        If `by` is none of `BREAKDOWNS`.

    """
    if by not in BREAKDOWNS:
        raise InputError(
            f"by is {by!r}", expected=f"{', '.join(BREAKDOWNS[:-1])} or {BREAKDOWNS[-1]}", field="by"
        )
    groups = [(name, group) for name, group in trades.groupby(_find_keys(trades, by), sort=True)]
    rows: list[dict[str, Outcome | None]] = []
    for _, group in groups:
        closed = group[~group["is_open"].astype(bool)]
        row: dict[str, Outcome | None] = dict(measure_trades(group))
        row |= {"net_pnl": _sum(closed["net_pnl"]), "fees": _sum(closed["fees"])}
        rows.append({name: None if isinstance(value, Unknown) else value for name, value in row.items()})
    columns: dict[str, pd.Series] = {
        name: pd.Series([row[name] for row in rows], dtype="int64") for name in ("trades", "open_positions")
    }
    columns |= {name: pd.Series([row[name] for row in rows], dtype="float64") for name in _FLOATS}
    columns |= {name: pd.Series([_round(row[name]) for row in rows], dtype=object) for name in _MONEY_COLUMNS}
    order = [
        *("trades", "open_positions", "win_rate", "profit_factor"),
        *(*_MONEY_COLUMNS, "average_holding_time"),
    ]
    summary = pd.DataFrame(columns)[order]
    labels = [_WEEKDAYS[int(str(name))] if by == "weekday" else name for name, _ in groups]
    summary.index = pd.Index(labels, name=by, dtype=object)
    return summary


def _find_keys(trades: pd.DataFrame, by: str) -> pd.Series:
    if by not in ("hour", "weekday", "month"):
        return trades[by]
    entries = pd.DatetimeIndex(trades["entry_time"])
    if by == "hour":
        return pd.Series(entries.hour, index=trades.index)
    if by == "weekday":
        return pd.Series(entries.weekday, index=trades.index)
    return pd.Series(entries.strftime("%Y-%m"), index=trades.index, dtype=object)


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for value in values:
        if value is None:
            return None
        total = MONEY.add(total, value)
    return total


def _round(value: Outcome | None) -> Decimal | None:
    return round_money(value) if isinstance(value, Decimal) else None
