"""What a live engine holds as rows of tables: orders, fills, positions, accounts, strategies. All text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from html import escape

from workbench.engine_records import AccountRow, FillRow, OrderRow, PositionRow
from workbench.ui.formats import UNKNOWN, format_decimal, format_duration, shorten, tint

__all__ = [
    "Cell",
    "build_account_cells",
    "build_fill_cells",
    "build_order_cells",
    "build_position_cells",
    "build_table",
    "format_clock",
    "format_money",
    "format_text",
]

type Cell = tuple[str, str]  # The class of a cell, and its HTML

_STALE_SECS = 10.0


def build_table(
    columns: Sequence[tuple[str, str]], rows: Sequence[str], *, empty: str, kind: str = ""
) -> str:
    """
    Return a table; `empty` is said where there is no row.

    Parameters
    ----------
    columns : sequence of (str, str)
        The class of each column, and its heading.
    rows : sequence of str
        HTML.
    empty : str
        Text.
    kind : str
        The class of the table.

    """
    if not rows:
        return f"<div class='wb-empty wb-none'>{escape(empty)}</div>"
    heads = "".join(f"<th class='{name}' scope='col'>{label}</th>" for name, label in columns)
    body = "".join(rows)
    return (
        f"<div class='wb-scroll'><table class='wb-live-table {kind}'><thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def format_clock(ts_ns: int, *, has_millis: bool = True) -> str:
    """Return a time of day, UTC, with its date on hover."""
    if ts_ns <= 0:
        return UNKNOWN
    secs, rest = divmod(ts_ns, 1_000_000_000)
    stamp = datetime.fromtimestamp(secs, UTC)
    text = stamp.strftime("%H:%M:%S") + (f".{rest // 1_000_000:03d}" if has_millis else "")
    return f"<span title='{stamp:%Y-%m-%d %H:%M:%S} UTC'>{text}</span>"


def format_text(text: str, *, is_signed: bool = False, places: int | None = None) -> str:
    """Return decimal text with its thousands separated and its own decimals; what is none as it stands."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return escape(text) or UNKNOWN
    if not value.is_finite():
        return UNKNOWN
    own = len(text.partition(".")[2]) if places is None else places
    return format_decimal(value, own, is_signed=is_signed)


def format_money(text: str | None, *, is_signed: bool = False) -> tuple[str, str]:
    """Return an amount such as ``-4.36 USD`` as HTML with its currency small, and the class of its sign."""
    if not text:
        return UNKNOWN, ""
    amount, _, currency = text.partition(" ")
    try:
        kind = tint(Decimal(amount)) if is_signed else ""
    except InvalidOperation:
        kind = ""
    unit = f" <small>{escape(currency)}</small>" if currency else ""
    return f"{format_text(amount, is_signed=is_signed)}{unit}", kind


def build_order_cells(row: OrderRow) -> list[Cell]:
    """Return time, instrument, side, type, filled of quantity, price, status and strategy of an order."""
    price = row.price or row.trigger_price or row.avg_px
    hint = f"trigger {row.trigger_price}" if row.trigger_price and row.price else ""
    kind = {"DENIED": "bad", "REJECTED": "bad", "FILLED": "ok"}.get(row.status, "")
    only = (
        " <small class='mute' title='It may only make a position smaller'>reduce</small>"
        if row.is_reduce_only
        else ""
    )
    return [
        ("t", format_clock(row.ts_last)),
        ("", escape(row.instrument_id)),
        (f"side {row.side.lower()}", escape(row.side)),
        ("", f"{escape(row.type)}{only}"),
        ("n", f"{format_text(row.filled_qty)} / {format_text(row.quantity)}"),
        ("n", f"<span title='{escape(hint, quote=True)}'>{format_text(price) if price else UNKNOWN}</span>"),
        (kind, escape(row.status)),
        ("who", shorten(row.strategy_id, most=22)),
    ]


def build_fill_cells(row: FillRow) -> list[Cell]:
    """Return time, instrument, side, quantity, price, commission, liquidity, strategy and order of a fill."""
    return [
        ("t", format_clock(row.ts_event)),
        ("", escape(row.instrument_id)),
        (f"side {row.side.lower()}", escape(row.side)),
        ("n", format_text(row.quantity)),
        ("n", format_text(row.price)),
        ("n", format_money(row.commission)[0]),
        ("", escape(row.liquidity_side.lower())),
        ("", shorten(row.strategy_id, most=22)),
        ("", shorten(row.client_order_id, most=18)),
    ]


def build_position_cells(row: PositionRow, now: float) -> list[Cell]:
    """Return instrument, side, quantity, entry, mark and gain of a position; an old mark says so."""
    places = len((row.mark or row.avg_px_open).partition(".")[2])
    age = now - row.mark_ts / 1e9 if row.mark_ts else None
    is_old = age is not None and age > _STALE_SECS
    mark = format_text(row.mark) if row.mark else "<span class='warn'>no price</span>"
    if is_old:
        mark = f"<span class='stale'>{mark} <small>{format_duration(age)}</small></span>"
    pnl, kind = format_money(row.unrealized_pnl, is_signed=True)
    return [
        ("", f"{escape(row.instrument_id)}<div class='s'>{shorten(row.strategy_id, most=26)}</div>"),
        (f"side {row.side.lower()}", escape(row.side)),
        ("n", format_text(row.quantity)),
        ("n", format_text(row.avg_px_open, places=min(places + 1, 9))),
        ("n", mark),
        (f"n {kind}{' stale' if is_old else ''}", pnl),
        ("n", format_money(row.realized_pnl, is_signed=True)[0]),
    ]


def build_account_cells(row: AccountRow) -> list[list[Cell]]:
    """Return a line for each currency of an account: account, type, currency, total, free and locked."""
    lines = []
    for k, balance in enumerate(row.balances):
        lines.append(
            [
                ("", escape(row.account_id) if k == 0 else ""),
                ("", escape(row.type) if k == 0 else ""),
                ("", escape(balance.currency)),
                ("n", format_text(balance.total)),
                ("n", format_text(balance.free)),
                ("n", format_text(balance.locked)),
                ("t", format_clock(row.ts_event) if k == 0 else ""),
            ]
        )
    return lines
