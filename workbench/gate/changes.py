"""The modifications of an order that are on their way to a venue, and which of them an answer is to."""

from __future__ import annotations

from typing import NamedTuple

from nautilus_trader.model.enums import OrderType
from nautilus_trader.model.events import OrderUpdated
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import Order

__all__ = ["Change", "Changes"]

_TRAILING = (OrderType.TRAILING_STOP_LIMIT, OrderType.TRAILING_STOP_MARKET)


class Change(NamedTuple):
    """What a modification asks for; ``None`` where something stays as it is."""

    quantity: Quantity | None
    price: Price | None
    trigger_price: Price | None = None

    def fits(self, event: OrderUpdated) -> bool:
        """Return whether `event` may be the answer to this."""
        return (
            (self.quantity is None or self.quantity == event.quantity)
            and (self.price is None or self.price == event.price)
            and (self.trigger_price is None or self.trigger_price == event.trigger_price)
        )


class Changes:
    """
    The modifications of one order that passed and are not answered.

    An order counts for the most that they could make of it together. A venue does not say which of them it rejects,
    and it updates orders by itself too: in doubt all of them count, until each has an answer.

    Parameters
    ----------
    others : Changes, optional
        What to begin with; they stay as they are.

    """

    def __init__(self, others: Changes | None = None) -> None:
        self._asked: list[Change] = [] if others is None else list(others._asked)
        self._answers: int = 0 if others is None else others._answers

    def add(self, change: Change) -> None:
        """Wait for the answer to one more."""
        self._asked.append(change)

    def find_quantity(self, quantity: Quantity) -> Quantity:
        """Return the most that an order of `quantity` may become."""
        return max([quantity, *(one.quantity for one in self._asked if one.quantity is not None)])

    def find_prices(self, order: Order) -> list[Price]:
        """Return the prices that the order may have: its limit, or where it has none, where it is triggered."""
        name = "price" if order.has_price else "trigger_price"
        found = (getattr(one, name) for one in self._asked)
        return [price for price in found if price is not None]

    def update(self, order: Order, event: OrderUpdated) -> None:
        """Take an update for the answer to what it fits, unless a venue does so by itself with such orders."""
        for place, change in enumerate(self._asked):
            if change.fits(event):
                del self._asked[place]
                self._settle()
                return
        if order.order_type not in _TRAILING and not order.linked_order_ids:
            self.reject()  # Answered, with something else than what was asked for

    def reject(self) -> None:
        """Take a rejection for the answer to one of them."""
        self._answers += 1
        self._settle()

    def _settle(self) -> None:
        if self._answers >= len(self._asked):
            self._asked.clear()
            self._answers = 0

    def __bool__(self) -> bool:
        return bool(self._asked)
