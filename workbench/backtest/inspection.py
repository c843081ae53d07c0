"""What a run holds at one moment: its open positions, open orders and balances."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

from nautilus_trader.cache.cache import Cache
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.enums import (
    account_type_to_str,
    order_side_to_str,
    order_status_to_str,
    order_type_to_str,
    position_side_to_str,
)
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

from workbench.backtest.marks import Marks
from workbench.gate.worth import EXACT
from workbench.records import Inspection

__all__ = ["build_inspection"]

_Row = dict[str, str | int | None]


def build_inspection(cache: Cache, marks: Marks, ts_ns: int) -> Inspection:
    """Return what is open at `ts_ns`; nothing that the run could notice is touched."""
    with localcontext(EXACT):
        positions = sorted(cache.positions_open(), key=lambda p: (p.ts_opened, p.id.value))
        orders = sorted(cache.orders_open(), key=lambda o: (o.ts_init, o.client_order_id.value))
        return Inspection(
            simulated_ts_ns=ts_ns,
            positions=[_describe_position(p, marks) for p in positions],
            orders=[_describe_order(o) for o in orders],
            accounts=[
                {
                    "account_id": account.id.value,
                    "type": account_type_to_str(account.type),
                    "currency": balance.currency.code,
                    "total": _text(balance.total),
                    "free": _text(balance.free),
                    "locked": _text(balance.locked),
                }
                for account in sorted(cache.accounts(), key=lambda a: a.id.value)
                for balance in sorted(account.balances().values(), key=lambda b: b.currency.code)
            ],
        )


def _describe_position(position: Position, marks: Marks) -> _Row:
    price = marks.find_price(position)
    pnl = None if price is None else position.unrealized_pnl(price)
    return {
        "position_id": position.id.value,
        "instrument_id": position.instrument_id.value,
        "strategy_id": position.strategy_id.value,
        "account_id": position.account_id.value,
        "side": position_side_to_str(position.side),
        "quantity": _text(position.quantity),
        # Nautilus holds the average as a double: the shortest decimal that reads back as it
        "avg_px_open": f"{Decimal(repr(position.avg_px_open)):f}",
        "price": _text(price),
        "unrealized_pnl": _text(pnl),
        "currency": position.settlement_currency.code if pnl is None else pnl.currency.code,
        "ts_opened": unix_nanos_to_iso8601(position.ts_opened),
    }


def _describe_order(order: Order) -> _Row:
    return {
        "client_order_id": order.client_order_id.value,
        "instrument_id": order.instrument_id.value,
        "strategy_id": order.strategy_id.value,
        "side": order_side_to_str(order.side),
        "type": order_type_to_str(order.order_type),
        "quantity": _text(order.quantity),
        "filled_qty": _text(order.filled_qty),
        "price": _text(order.price) if order.has_price else None,
        "trigger_price": _text(order.trigger_price) if order.has_trigger_price else None,
        "status": order_status_to_str(order.status),
        "ts_init": unix_nanos_to_iso8601(order.ts_init),
    }


def _text(value: Any) -> str | None:
    """Return a price, a quantity or an amount of money as the exact decimal that it is."""
    return None if value is None else f"{value.as_decimal():f}"
