"""What a sandbox reports of its orders and positions when the engine reconciles: what the cache knows."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import OrderStatusReport, PositionStatusReport
from nautilus_trader.model.enums import PositionSide

if TYPE_CHECKING:
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.model.identifiers import AccountId, InstrumentId, PositionId
    from nautilus_trader.model.orders import Order
    from nautilus_trader.model.position import Position

__all__ = ["report_order", "report_positions"]


def report_order(order: Order, account_id: AccountId, now_ns: int) -> OrderStatusReport:
    """Return the report of an order that the venue has accepted."""
    return OrderStatusReport(
        account_id=account_id,
        instrument_id=order.instrument_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        order_side=order.side,
        order_type=order.order_type,
        time_in_force=order.time_in_force,
        order_status=order.status,
        price=order.price if order.has_price else None,
        trigger_price=order.trigger_price if order.has_trigger_price else None,
        quantity=order.quantity,
        filled_qty=order.filled_qty,
        post_only=order.is_post_only,
        reduce_only=order.is_reduce_only,
        report_id=UUID4(),
        ts_accepted=order.ts_accepted,
        ts_last=order.ts_last,
        ts_init=now_ns,
    )


def report_positions(
    positions: list[Position], account_id: AccountId, cache: Cache, now_ns: int, *, is_netting: bool
) -> list[PositionStatusReport]:
    """Return the reports of open positions: one for each, or of a netting venue one for each instrument."""
    held: dict[tuple[InstrumentId, PositionId | None], Decimal] = defaultdict(Decimal)
    for position in positions:
        key = position.instrument_id, None if is_netting else position.id
        held[key] += position.signed_decimal_qty()
    return [
        PositionStatusReport(
            account_id=account_id,
            instrument_id=instrument_id,
            position_side=_find_side(signed),
            quantity=cache.instrument(instrument_id).make_qty(abs(signed)),
            venue_position_id=position_id,
            report_id=UUID4(),
            ts_last=now_ns,
            ts_init=now_ns,
        )
        for (instrument_id, position_id), signed in held.items()
    ]


def _find_side(signed: Decimal) -> PositionSide:
    if signed == 0:
        return PositionSide.FLAT
    return PositionSide.LONG if signed > 0 else PositionSide.SHORT
