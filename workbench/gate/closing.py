"""Closing orders that pass while nothing else does: known one by one, and never larger than what is open."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nautilus_trader.cache.cache import Cache
from nautilus_trader.model.enums import OrderSide, OrderType, PositionSide
from nautilus_trader.model.identifiers import ClientOrderId, PositionId
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position
from nautilus_trader.system.kernel import NautilusKernel

from workbench.gate.ledger import Ledger
from workbench.gate.raw import to_decimal
from workbench.gate.rules import Intent, check_closing

__all__ = ["Permits", "find_position", "stop_strategies"]

_MOST_PERMITS = 10_000


class Permits:
    """
    The client order ids of closing orders that may pass a gate that is shut; given by any thread.

    A permit holds for one submission: an id that was sent passes no second time.

    Attributes
    ----------
    ids : dict[ClientOrderId, None]
        The orders that have one; read without a lock.

    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ids: dict[ClientOrderId, None] = {}
        self._sent: dict[ClientOrderId, PositionId] = {}

    def give(self, client_order_ids: list[ClientOrderId]) -> None:
        """Let these orders pass."""
        with self._lock:
            self.ids.update(dict.fromkeys(client_order_ids))
            while len(self.ids) > _MOST_PERMITS:
                del self.ids[next(iter(self.ids))]

    def __contains__(self, client_order_id: ClientOrderId) -> bool:
        return client_order_id in self.ids

    def check(self, order: Order, position_id: PositionId | None, cache: Cache, ledger: Ledger) -> str | None:
        """Return why an order with a permit may not pass all the same, or ``None``; the permit is used up."""
        with self._lock:
            self.ids.pop(order.client_order_id, None)
        position = find_position(order, position_id, cache)
        is_buy = order.side == OrderSide.BUY
        side = PositionSide.SHORT if is_buy else PositionSide.LONG
        held = position.quantity.as_decimal() if position is not None and position.side == side else None
        asked = 0
        self._sent = {one: closed for one, closed in self._sent.items() if one in ledger.orders}
        if position is not None:
            asked = sum(
                ledger.orders[one].quantity for one, closed in self._sent.items() if closed == position.id
            )
        intent = Intent(
            is_buy=is_buy,
            quantity=order.leaves_qty.as_decimal(),
            is_reduce_only=order.is_reduce_only,
            is_market=order.order_type == OrderType.MARKET,
        )
        reason = check_closing(intent, held or to_decimal(0), to_decimal(asked))
        if reason is None and position is not None:
            self._sent[order.client_order_id] = position.id
        return reason


def find_position(order: Order, position_id: PositionId | None, cache: Cache) -> Position | None:
    """Return the open position that an order closes: the one it names, or its strategy's only one."""
    if position_id is None:
        found = cache.positions_open(instrument_id=order.instrument_id, strategy_id=order.strategy_id)
        return found[0] if len(found) == 1 else None
    position = cache.position(position_id)
    if position is None or position.is_closed or position.instrument_id != order.instrument_id:
        return None
    return position


def stop_strategies(kernel: NautilusKernel, close: Callable[[PositionId], object] | None) -> None:
    """Cancel the orders of all strategies, and let `close` close each of their positions."""
    cache = kernel.cache
    for strategy in kernel.trader.strategies():
        orders = cache.orders_open(strategy_id=strategy.id) + cache.orders_inflight(strategy_id=strategy.id)
        for instrument_id in {o.instrument_id for o in orders}:
            strategy.cancel_all_orders(instrument_id)
        if close is not None:
            for position in cache.positions_open(strategy_id=strategy.id):
                close(position.id)
