"""Keeps the ledger up to date: what each event of an order or a position changes in the counts."""

from __future__ import annotations

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import MessageBus
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.events import (
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderEvent,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderModifyRejected,
    OrderPendingCancel,
    OrderPendingUpdate,
    OrderRejected,
    OrderSubmitted,
    OrderTriggered,
    OrderUpdated,
    PositionEvent,
)

from workbench.gate.ledger import Ledger

__all__ = ["Tracker"]

# Before strategies and execution algorithms, which may send the next order from their handlers.
_PRIORITY = 20
# These change nothing: what they are about is counted already, or not on its way to a venue.
_SAME = frozenset(
    (
        OrderInitialized,
        OrderSubmitted,
        OrderTriggered,
        OrderPendingCancel,
        OrderPendingUpdate,
        OrderCancelRejected,
    )
)
_ENDS = frozenset((OrderCanceled, OrderDenied, OrderExpired, OrderRejected))


class Tracker:
    """
    Hears the engine's events before anybody who may answer them with an order.

    Parameters
    ----------
    cache : Cache
        The engine's cache.
    ledger : Ledger
        What is kept up to date.

    Attributes
    ----------
    is_refusing : bool
        Whether modifications that are rejected now are so before any venue saw them.

    """

    def __init__(self, cache: Cache, ledger: Ledger) -> None:
        self._cache = cache
        self._ledger = ledger
        self._own: set[UUID4] = set()
        self.is_refusing = False

    def attach(self, bus: MessageBus) -> None:
        """Begin to hear."""
        bus.subscribe("events.order.*", self.on_order, priority=_PRIORITY)
        bus.subscribe("events.position.*", self.on_position, priority=_PRIORITY)

    def on_order(self, event: OrderEvent) -> None:
        """Count an order as it is after an event."""
        kind = type(event)
        if kind in _SAME:
            return
        client_order_id = event.client_order_id
        ledger = self._ledger
        if kind is OrderAccepted and client_order_id in ledger.orders:
            return
        if kind in _ENDS:
            ledger.withdraw(client_order_id)
            return
        if kind is OrderUpdated or (kind is OrderModifyRejected and not self._is_own(event)):
            ledger.answer(event)
        order = self._cache.order(client_order_id)
        if order is not None:
            ledger.recount(order)
        if kind is OrderFilled:
            self._count_fill(event)

    def disown(self, event_id: UUID4) -> None:
        """Expect a rejection of a modification that no venue ever saw: it answers nothing."""
        self._own.add(event_id)

    def _is_own(self, event: OrderModifyRejected) -> bool:
        if self.is_refusing:
            return True
        if event.id not in self._own:
            return False
        self._own.remove(event.id)
        return True

    def on_position(self, event: PositionEvent) -> None:
        """Count a position as it is after an event."""
        self._ledger.recount_position(event.position_id)

    def _count_fill(self, fill: OrderFilled) -> None:
        # Here, for the events of positions come later than those of orders
        position_id = fill.position_id
        position = None if position_id is None else self._cache.position(position_id)
        if position is None or position.is_closed:
            # Turned, where each side has a position of its own: the other one is told of later
            self._ledger.recount_positions(fill.instrument_id)
        else:
            self._ledger.recount_position(position_id)
