"""Orders by hand: sent, changed, cancelled, and positions closed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from workbench.client.engine_calls import EngineCalls

__all__ = ["EngineOrders"]


class EngineOrders(EngineCalls):
    """What a person does with orders and positions; everything passes the gate, with their name on it."""

    def submit(
        self,
        instrument_id: str,
        side: str,
        quantity: str,
        *,
        type: str = "MARKET",  # noqa: A002 - nautilus's word, as in the rows
        price: str | None = None,
        trigger_price: str | None = None,
        time_in_force: str = "GTC",
        is_reduce_only: bool = False,
        is_post_only: bool = False,
    ) -> dict[str, Any]:
        """
        Send an order by hand: through the gate, and with your name on it.

        Parameters
        ----------
        instrument_id, side : str
            What, and ``BUY`` or ``SELL``.
        quantity, price, trigger_price : str
            Decimal text.
        type : str
            ``MARKET``, ``LIMIT``, ``STOP_MARKET`` or ``STOP_LIMIT``.
        time_in_force : str
            ``GTC``, ``IOC``, ``FOK`` or ``DAY``.
        is_reduce_only : bool
            Whether it may only make a position smaller.
        is_post_only : bool
            Whether it may only wait in the book.

        Returns
        -------
        dict
            Its ``client_order_id``; what becomes of it is told by the events.

        """
        wish = {
            "instrument_id": instrument_id,
            "side": side,
            "quantity": quantity,
            "type": type,
            "price": price,
            "trigger_price": trigger_price,
            "time_in_force": time_in_force,
            "is_reduce_only": is_reduce_only,
            "is_post_only": is_post_only,
        }
        return self._post("orders", wish, dict[str, Any])

    def cancel(self, client_order_id: str) -> dict[str, Any]:
        """Cancel an order."""
        return self._send("DELETE", f"orders/{quote(client_order_id, safe='')}", None, dict[str, Any])

    def modify(
        self,
        client_order_id: str,
        *,
        quantity: str | None = None,
        price: str | None = None,
        trigger_price: str | None = None,
    ) -> dict[str, Any]:
        """Change an open order; decimal text."""
        changes = {"quantity": quantity, "price": price, "trigger_price": trigger_price}
        return self._send("PATCH", f"orders/{quote(client_order_id, safe='')}", changes, dict[str, Any])

    def close(self, position_id: str, *, quantity: str | None = None) -> dict[str, Any]:
        """Close a position at the market, or so much of it (decimal text)."""
        place = f"positions/{quote(position_id, safe='')}/close"
        return self._post(place, {"quantity": quantity}, dict[str, Any])
