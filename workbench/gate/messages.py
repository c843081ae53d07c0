"""What the gate itself sends: closing orders, and the rejections of modifications."""

from __future__ import annotations

from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.enums import OrderSide, PositionSide
from nautilus_trader.model.events import OrderModifyRejected
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.model.orders import MarketOrder, Order
from nautilus_trader.model.position import Position

__all__ = ["build_closing", "build_rejection"]


def build_closing(position: Position, client_order_id: ClientOrderId, ts_ns: int) -> SubmitOrder:
    """Return the command that closes all of a position at the market, in the name of its strategy."""
    order = MarketOrder(
        trader_id=position.trader_id,
        strategy_id=position.strategy_id,
        instrument_id=position.instrument_id,
        client_order_id=client_order_id,
        order_side=OrderSide.SELL if position.side == PositionSide.LONG else OrderSide.BUY,
        quantity=position.quantity,
        init_id=UUID4(),
        ts_init=ts_ns,
        reduce_only=True,
    )
    return SubmitOrder(
        trader_id=position.trader_id,
        strategy_id=position.strategy_id,
        order=order,
        position_id=position.id,
        command_id=UUID4(),
        ts_init=ts_ns,
    )


def build_rejection(order: Order, reason: str, ts_ns: int) -> OrderModifyRejected:
    """Return the event that an order stays as it is."""
    return OrderModifyRejected(
        trader_id=order.trader_id,
        strategy_id=order.strategy_id,
        instrument_id=order.instrument_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        account_id=order.account_id,
        reason=reason,
        event_id=UUID4(),
        ts_event=ts_ns,
        ts_init=ts_ns,
    )
