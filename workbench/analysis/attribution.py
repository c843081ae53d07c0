"""Attribution: which fills made a trade, and what they cost."""

from __future__ import annotations

import decimal
from decimal import Decimal

import msgspec
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
from workbench.analysis.costs import build_fill_costs

__all__ = ["build_trade_costs"]

_TRADES = ("entry_time", "exit_time", "instrument_id", "strategy_id", "side")
_FILLS = ("ts_event", "instrument_id", "strategy_id", "order_side", "last_qty")
_COSTS = ("fee", "spread", "slippage")
_ZERO = Decimal(0)
_NAT = int(np.iinfo(np.int64).min)  # an open trade's exit
type _Key = tuple[str | None, str | None]


class _Fill(msgspec.Struct, frozen=True, gc=False):
    time: int
    quantity: Decimal
    costs: tuple[Decimal | None, ...]


class _Cycle(msgspec.Struct):
    """The fills of one position from flat to flat."""

    is_long: bool
    opened: int
    closed: int = _NAT
    held: Decimal = _ZERO
    costs: tuple[Decimal | None, ...] = (_ZERO,) * len(_COSTS)

    def add(self, fill: _Fill, quantity: Decimal) -> None:
        """Take `quantity` of a fill, with its share of the fill's costs."""
        self.held += quantity
        is_whole = quantity == fill.quantity
        self.costs = tuple(
            None
            if total is None or cost is None
            else total + (cost if is_whole else cost * quantity / fill.quantity)
            for total, cost in zip(self.costs, fill.costs, strict=True)
        )
        if self.held == 0:
            self.closed = fill.time


def build_trade_costs(trades: pd.DataFrame, fills: pd.DataFrame) -> pd.DataFrame:
    """
    Return fees, spread and slippage of each trade: the costs of the fills that opened, changed and closed it.

    The fills of a position are added up in their order; a trade ends where they come to nothing. A fill that
    turns a position round belongs to both trades, in proportion to the quantity. Positions are told apart by
    ``position_id``, or by instrument and strategy where a frame has none. Only what agrees with the trade's
    own entry time, exit time and side is attributed.

    Parameters
    ----------
    trades : pd.DataFrame
        The result of `build_trades`.
    fills : pd.DataFrame
        A run's fills frame, in the order in which the fills happened.

    Returns
    -------
    pd.DataFrame
        The index of `trades`; ``fee``, ``spread``, ``slippage`` as in `build_fill_costs`: `Decimal` in the
        reporting currency at each fill's own rate, positive is paid, or ``None``; ``unknown``: why one of them
        is null, else null.

    Raises
    ------
    InputError
        If a column is missing or holds floats where numbers are exact.

    """
    require_columns(trades, _TRADES, frame_name="trades")
    require_columns(fills, _FILLS, frame_name="fills")
    has_ids = all(
        "position_id" in frame.columns and bool(frame["position_id"].notna().all())
        for frame in (trades, fills)
    )
    key = "position_id" if has_ids else "strategy_id"
    with decimal.localcontext(MONEY):
        cycles = _build_cycles(fills, key)
    chosen = _match(trades, key, cycles)
    columns: dict[str, pd.Series] = {
        name: pd.Series(
            [_round(None if cycle is None else cycle.costs[i]) for cycle in chosen],
            index=trades.index,
            dtype=object,
        )
        for i, name in enumerate(_COSTS)
    }
    columns["unknown"] = pd.Series([_explain(cycle) for cycle in chosen], index=trades.index, dtype=object)
    return pd.DataFrame(columns, index=trades.index)


def _read_keys(frame: pd.DataFrame, key: str) -> list[_Key]:
    return list(zip(read_text(frame, "instrument_id"), read_text(frame, key), strict=True))


def _build_cycles(fills: pd.DataFrame, key: str) -> dict[_Key, list[_Cycle]]:
    costs = build_fill_costs(fills)
    rows = zip(
        _read_keys(fills, key),
        read_times(fills, "ts_event").tolist(),
        read_text(fills, "order_side"),
        read_decimals(fills, "last_qty"),
        *(costs[name].tolist() for name in _COSTS),
        strict=True,
    )
    cycles: dict[_Key, list[_Cycle]] = {}
    for name, time, side, size, *paid in rows:
        if not size:
            continue
        fill = _Fill(time, size if side == "BUY" else -size, tuple(paid))
        own = cycles.setdefault(name, [])
        rest = fill.quantity
        if own and own[-1].held != 0:
            held = own[-1].held
            # No more of the fill than closes the position.
            is_turn = held * rest < 0 and abs(rest) > abs(held)
            part = -held if is_turn else rest
            own[-1].add(fill, part)
            rest -= part
        if rest != 0:
            own.append(_Cycle(is_long=rest > 0, opened=time))
            own[-1].add(fill, rest)
    return cycles


def _match(trades: pd.DataFrame, key: str, cycles: dict[_Key, list[_Cycle]]) -> list[_Cycle | None]:
    """Return the cycle of each trade: the n-th trade of a position is its n-th cycle, if the two agree."""
    counts: dict[_Key, int] = {}
    chosen: list[_Cycle | None] = []
    for name, entry, exit_, side in zip(
        _read_keys(trades, key),
        read_times(trades, "entry_time").tolist(),
        read_times(trades, "exit_time").tolist(),
        read_text(trades, "side"),
        strict=True,
    ):
        number = counts.get(name, 0)
        counts[name] = number + 1
        own = cycles.get(name, [])
        cycle = own[number] if number < len(own) else None
        if cycle is not None:
            found = (cycle.opened, cycle.closed, cycle.is_long)
            cycle = cycle if found == (entry, exit_, side == "LONG") else None
        chosen.append(cycle)
    return chosen


def _round(value: Decimal | None) -> Decimal | None:
    return None if value is None else round_money(value)


def _explain(cycle: _Cycle | None) -> str | None:
    if cycle is None:
        return "the fills do not add up to this trade"
    missing = [name for name, cost in zip(_COSTS, cycle.costs, strict=True) if cost is None]
    return f"{' and '.join(missing)} unknown at a fill of the trade" if missing else None
