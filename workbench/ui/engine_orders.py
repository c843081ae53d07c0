"""An order as the events of an engine tell of it, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from workbench.engine_records import FillRow, OrderRow

__all__ = ["CLOSED", "apply_order_event", "build_fill"]

CLOSED = frozenset({"DENIED", "REJECTED", "CANCELED", "EXPIRED", "FILLED"})
_STATUS = {
    "OrderDenied": "DENIED",
    "OrderEmulated": "EMULATED",
    "OrderReleased": "RELEASED",
    "OrderSubmitted": "SUBMITTED",
    "OrderAccepted": "ACCEPTED",
    "OrderRejected": "REJECTED",
    "OrderCanceled": "CANCELED",
    "OrderExpired": "EXPIRED",
    "OrderTriggered": "TRIGGERED",
    "OrderPendingUpdate": "PENDING_UPDATE",
    "OrderPendingCancel": "PENDING_CANCEL",
}
# Prices have at most nine decimals here; an average of them has no end.
_PLACES = Decimal("1e-9")


def build_fill(body: Mapping[str, Any]) -> FillRow:
    """Return the fill that an ``OrderFilled`` tells of."""
    return FillRow(
        trade_id=body["trade_id"],
        client_order_id=body["client_order_id"],
        strategy_id=body["strategy_id"],
        instrument_id=body["instrument_id"],
        side=body["order_side"],
        quantity=body["last_qty"],
        price=body["last_px"],
        commission=body.get("commission") or "",
        liquidity_side=body.get("liquidity_side") or "",
        ts_event=body["ts_event"],
    )


def apply_order_event(row: OrderRow | None, name: str, body: Mapping[str, Any]) -> OrderRow | None:
    """
    Return an order after an event.

    Parameters
    ----------
    row : OrderRow, optional
        As it was; ``None``: it is not known.
    name : str
        The event, such as ``OrderAccepted``.
    body : Mapping
        Its fields.

    Returns
    -------
    OrderRow, optional
        ``None`` where the event does not say what the order is now: then the engine has to be asked.

    """
    if name == "OrderInitialized":
        return row if row is not None else _begin(body)
    if row is None:
        return None
    if not row.is_open or body["ts_event"] < row.ts_last:
        return row  # Told again, after what came later is known
    changes: dict[str, Any] = {"ts_last": body["ts_event"]}
    if body.get("venue_order_id"):
        changes["venue_order_id"] = body["venue_order_id"]
    if name == "OrderFilled":
        changes |= _fill(row, body)
    elif name == "OrderUpdated":
        changes |= {key: body[key] for key in ("quantity", "price", "trigger_price") if body.get(key)}
        changes["status"] = "ACCEPTED" if Decimal(row.filled_qty) == 0 else "PARTIALLY_FILLED"
    elif name in _STATUS:
        changes["status"] = _STATUS[name]
    else:
        return None  # A refused change: the order is what it was before, which is not known
    changes["is_open"] = changes["status"] not in CLOSED
    return msgspec.structs.replace(row, **changes)


def _begin(body: Mapping[str, Any]) -> OrderRow:
    options = body.get("options") or {}
    return OrderRow(
        client_order_id=body["client_order_id"],
        strategy_id=body["strategy_id"],
        instrument_id=body["instrument_id"],
        side=body["order_side"],
        type=body["order_type"],
        status="INITIALIZED",
        quantity=body["quantity"],
        filled_qty="0",
        price=options.get("price") or "",
        trigger_price=options.get("trigger_price") or "",
        time_in_force=body["time_in_force"],
        is_reduce_only=bool(body.get("reduce_only")),
        is_open=True,
        ts_init=body["ts_init"],
        ts_last=body.get("ts_event") or body["ts_init"],
    )


def _fill(row: OrderRow, body: Mapping[str, Any]) -> dict[str, Any]:
    before, added = Decimal(row.filled_qty), Decimal(body["last_qty"])
    filled, price = before + added, Decimal(body["last_px"])
    if before > 0 and row.avg_px:
        price = ((Decimal(row.avg_px) * before + price * added) / filled).quantize(_PLACES)
    return {
        "filled_qty": f"{filled:f}",
        "avg_px": f"{price.normalize():f}",
        "status": "FILLED" if filled >= Decimal(row.quantity) else "PARTIALLY_FILLED",
        "position_id": body.get("position_id") or row.position_id,
    }
