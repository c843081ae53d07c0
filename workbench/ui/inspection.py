"""What a paused run holds: open positions, open orders and balances, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from html import escape

from workbench.records import Inspection
from workbench.ui.formats import UNKNOWN, format_decimal, format_time, shorten, tint

__all__ = ["build_inspection_html"]

type _Row = Mapping[str, str | int | None]

# The columns that are shown: name in the record -> head. What else a record has is left out, what it lacks as well.
_POSITIONS = {
    "instrument_id": "instrument", "side": "side", "quantity": "quantity", "avg_px_open": "entry", "price": "price",
    "unrealized_pnl": "unrealised PnL", "currency": "", "strategy_id": "strategy", "ts_opened": "opened, UTC",
}  # fmt: skip
_ORDERS = {
    "instrument_id": "instrument", "side": "side", "type": "type", "quantity": "quantity", "filled_qty": "filled",
    "price": "price", "trigger_price": "trigger", "status": "status", "client_order_id": "order",
    "ts_init": "made, UTC",
}  # fmt: skip
_ACCOUNTS = {
    "account_id": "account", "type": "type", "total": "total", "free": "free", "locked": "locked", "currency": "",
}  # fmt: skip
_NUMBERS = frozenset(
    {"quantity", "filled_qty", "avg_px_open", "price", "trigger_price", "unrealized_pnl", "total", "free", "locked"}
)  # fmt: skip
_SIGNED = frozenset({"unrealized_pnl"})
_IDS = frozenset({"client_order_id", "strategy_id"})
_MOST_PLACES = 9  # An average of prices has more, which say nothing


def build_inspection_html(inspection: Inspection) -> str:
    """Return the positions, the orders and the accounts as three small tables."""
    parts = [
        ("Open positions", inspection.positions, _POSITIONS, "No open position."),
        ("Open orders", inspection.orders, _ORDERS, "No open order."),
        ("Accounts", inspection.accounts, _ACCOUNTS, "No account."),
    ]
    tables = "".join(_build_part(*part) for part in parts)
    when = format_time(inspection.simulated_ts_ns, has_seconds=True)
    return f"<div class='wb-held'><div class='wb-note'>Held at {when} UTC, simulated time</div>{tables}</div>"


def _build_part(title: str, rows: Sequence[_Row], columns: Mapping[str, str], empty: str) -> str:
    head = f"<div class='wb-held-title'>{title} <span class='mute'>{len(rows):,}</span></div>"
    if not rows:
        return f"<section>{head}<div class='mute'>{empty}</div></section>"
    shown = {name: label for name, label in columns.items() if any(row.get(name) is not None for row in rows)}
    heads = "".join(f"<th{_kind(name)}>{escape(label)}</th>" for name, label in shown.items())
    body = "".join(
        f"<tr>{''.join(f'<td{_kind(name)}>{_build_cell(name, row.get(name))}</td>' for name in shown)}</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f"<section>{head}<div class='wb-scroll'>{table}</div></section>"


def _kind(name: str) -> str:
    return " class='n'" if name in _NUMBERS or name.startswith("ts_") else ""


def _build_cell(name: str, value: str | int | None) -> str:
    if value is None:
        return f"<span class='mute'>{UNKNOWN}</span>"
    if name.startswith("ts_"):
        return escape(format_time(value, has_seconds=True))
    if name in _IDS:
        return shorten(value, most=18)
    number = _read(str(value)) if name in _NUMBERS else None
    if number is None:
        return escape(str(value))
    exponent = number.as_tuple().exponent
    places = min(-exponent, _MOST_PLACES) if isinstance(exponent, int) and exponent < 0 else 0
    text = format_decimal(number, places, is_signed=name in _SIGNED)
    return f"<span class='{tint(number)}'>{text}</span>" if name in _SIGNED else text


def _read(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
