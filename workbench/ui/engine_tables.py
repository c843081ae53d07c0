"""The tables of a live engine: orders, fills, positions and accounts, whose rows act."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.errors import InputError
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_question import Choice
from workbench.ui.engine_rows import (
    build_account_cells,
    build_fill_cells,
    build_order_cells,
    build_position_cells,
    build_table,
)
from workbench.ui.engine_sight import Sight
from workbench.ui.engine_table import EngineTable

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.engine_records import OrderRow, PositionRow
    from workbench.ui.live_html import Action

__all__ = ["AccountsTable", "FillsTable", "OrdersTable", "PositionsTable"]

_MOST_ROWS = 50
_MOST_CLOSED = 30
_ON_THE_WAY = frozenset({"INITIALIZED", "SUBMITTED"})
_ON_THE_WAY_SECS = 1.0
_ORDER_COLUMNS = [
    ("t", "time, UTC"),
    ("", "instrument"),
    ("", "side"),
    ("", "type"),
    ("n", "filled / quantity"),
    ("n", "price"),
    ("", "status"),
    ("who", "strategy"),
    ("acts", ""),
]
_FILL_COLUMNS = [*_ORDER_COLUMNS[:3], ("n", "quantity"), ("n", "price"), ("n", "fee"), ("", "liquidity")]
_FILL_COLUMNS += [("", "strategy"), ("", "order")]
_POSITION_COLUMNS = [
    ("", "instrument"),
    ("", "side"),
    ("n", "quantity"),
    ("n", "entry"),
    ("n", "mark"),
    ("n", "PnL"),
    ("n", "realised"),
    ("acts", ""),
]
_ACCOUNT_COLUMNS = [
    ("", "account"),
    ("", "type"),
    ("", "currency"),
    ("n", "total"),
    ("n", "free"),
    ("n", "locked"),
    ("t", "as of, UTC"),
]


class OrdersTable(EngineTable):
    """
    The orders of an engine: the open ones, or these and the last closed ones. An open order is cancelled or changed.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = "Orders"

    def __init__(self, client: Client, name: str = "default", *, host: EnginePiece | None = None) -> None:
        super().__init__(client, name, host=host)
        self._has_closed = False

    def count(self, book: EngineBook) -> int:
        """Return how many orders are open."""
        return sum(row.status not in _ON_THE_WAY for row in book.open_orders)

    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the table, with a switch for the closed ones."""
        rows = _list_open(book, sight)[:_MOST_ROWS]
        if self._has_closed or not is_live:
            closed = [row for row in reversed(book.orders.values()) if not row.is_open]
            rows += closed[:_MOST_CLOSED]
        is_on = is_live and book.can_trade is not False and sight.is_fresh
        lines = [self._build_order(row, is_live=is_live, is_on=is_on) for row in rows]
        columns = _ORDER_COLUMNS if is_live else _ORDER_COLUMNS[:-1]
        empty = sight.explain_absence(
            "No open orders." if is_live and not self._has_closed else "No orders yet."
        )
        table = build_table(columns, lines, empty=empty, kind="orders")
        if not is_live:
            return table
        checked = " checked" if self._has_closed else ""
        return (
            f"{self._build_asked()}{table}<label class='wb-check'><input type='checkbox' id='wb-orders-closed' "
            f"data-action='closed'{checked}> closed ones too</label>"
        )

    def _build_order(self, row: OrderRow, *, is_live: bool, is_on: bool) -> str:
        key = f"order:{row.client_order_id}"
        cells = build_order_cells(row)
        if not is_live:
            return self._build_row(key, cells)
        acts = " "
        more = ""
        if row.is_open:
            acts = self._build_acts(
                key, [("open-row", "Modify", ""), ("cancel", "Cancel", "Cancel it?")], is_on=is_on
            )
            if self._open_row == key:
                fields = self._build_field("quantity", "Quantity", row.quantity)
                fields += self._build_field("price", "Price", row.price) if row.price else ""
                trigger = row.trigger_price
                fields += self._build_field("trigger_price", "Trigger", trigger) if trigger else ""
                more = (
                    f"<span class='wb-editor'>{fields}<button class='wb-btn' type='button' data-action='modify' "
                    f"data-key='{escape(key, quote=True)}' data-confirm='Change it?'>Apply</button>"
                    f"{_build_leave(key)}</span>"
                )
        return self._build_row(key, cells, acts, more)

    def take(self, action: Action) -> None:
        """Cancel or change an order."""
        order_id = action.key.removeprefix("order:")
        engine = self.engine
        match action.name:
            case "closed":
                self._has_closed = bool(action.value)
            case "cancel":
                self._commands.run(action.key, "cancelling…", lambda _: engine.cancel(order_id))
            case "modify":
                self._modify(action.key, order_id)
            case _:
                super().take(action)

    def _modify(self, key: str, order_id: str) -> None:
        row = self._feed.read(lambda book: book.orders.get(order_id))
        if row is None:
            raise InputError(f"the order {order_id} is not known any more")
        changes = {
            name: value
            for name, value in self._draft.items()
            if value and value != getattr(row, name, value) and name in {"quantity", "price", "trigger_price"}
        }
        if not changes:
            raise InputError("nothing was changed", expected="another quantity or price")
        engine, self._open_row = self.engine, ""

        def change(_: str) -> None:
            self._commands.run(key, "changing…", lambda _: engine.modify(order_id, **changes))

        if self._is_live_engine():
            lines = [f"{name}: {getattr(row, name)} becomes {value}" for name, value in changes.items()]
            self._commands.ask(
                key,
                f"Change {row.side} {row.instrument_id}?",
                lines,
                [Choice("yes", "Change it")],
                change,
                self._name,
            )
        else:
            change("")


def _build_leave(key: str) -> str:
    return (
        "<button class='wb-link' type='button' data-action='open-row' "
        f"data-key='{escape(key, quote=True)}'>Leave it</button>"
    )


def _list_open(book: EngineBook, sight: Sight) -> list[OrderRow]:
    """Return the open orders, without those on their way for a moment only: a table that flickers cannot be read."""
    since_ns = (sight.now - _ON_THE_WAY_SECS) * 1e9
    return [row for row in book.open_orders if row.status not in _ON_THE_WAY or row.ts_init < since_ns]


class PositionsTable(EngineTable):
    """
    The open positions of an engine, at their marks. One is closed, or made smaller, at the market.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = "Positions"

    def count(self, book: EngineBook) -> int:
        """Return how many positions are open."""
        return len(book.positions)

    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the table."""
        is_on = is_live and book.can_trade is not False and sight.is_fresh
        rows = sorted(book.positions.values(), key=lambda p: (p.instrument_id, p.strategy_id))
        lines = [self._build_position(row, sight, is_live=is_live, is_on=is_on) for row in rows[:_MOST_ROWS]]
        columns = _POSITION_COLUMNS if is_live else _POSITION_COLUMNS[:-1]
        empty = sight.explain_absence("Flat: no open positions.")
        table = build_table(columns, lines, empty=empty, kind="positions")
        more = f"<div class='wb-note'>{len(rows) - _MOST_ROWS:,} more</div>" if len(rows) > _MOST_ROWS else ""
        return f"{self._build_asked() if is_live else ''}{table}{more}"

    def _build_position(self, row: PositionRow, sight: Sight, *, is_live: bool, is_on: bool) -> str:
        key = f"position:{row.position_id}"
        cells = build_position_cells(row, sight.now)
        if not is_live:
            return self._build_row(key, cells)
        acts = self._build_acts(
            key, [("open-row", "Reduce", ""), ("close", "Close", "Close it all?")], is_on=is_on
        )
        more = ""
        if self._open_row == key:
            more = (
                f"<span class='wb-editor'>{self._build_field('quantity', 'Close this much', '')}"
                f"<button class='wb-btn' type='button' data-action='reduce' data-key='{escape(key, quote=True)}' "
                f"data-confirm='At the market?'>Reduce</button>{_build_leave(key)}</span>"
            )
        return self._build_row(key, cells, acts, more)

    def take(self, action: Action) -> None:
        """Close a position, or a part of it."""
        position_id = action.key.removeprefix("position:")
        engine = self.engine
        match action.name:
            case "close":
                self._commands.run(action.key, "closing…", lambda _: engine.close(position_id))
            case "reduce":
                quantity = self._draft.get("quantity", "")
                if not quantity:
                    raise InputError("how much is to be closed was not said", expected="a quantity")
                self._open_row = ""
                self._commands.run(
                    action.key, "reducing…", lambda _: engine.close(position_id, quantity=quantity)
                )
            case _:
                super().take(action)


class FillsTable(EngineTable):
    """
    The last fills of an engine, the newest first.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = "Fills"

    def count(self, book: EngineBook) -> int:
        """Return how many fills are known, 500 at the most."""
        return len(book.fills)

    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the table."""
        rows = list(reversed(book.fills.values()))[:_MOST_ROWS]
        lines = [self._build_row(f"fill:{row.trade_id}", build_fill_cells(row)) for row in rows]
        return build_table(_FILL_COLUMNS, lines, empty=sight.explain_absence("No fills yet."), kind="fills")


class AccountsTable(EngineTable):
    """
    The accounts of an engine, as their venues last told of them.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = "Accounts"

    def count(self, book: EngineBook) -> int:
        """Return how many accounts there are."""
        return len(book.accounts)

    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the table."""
        lines = [
            self._build_row(f"account:{row.account_id}:{k}", cells)
            for row in book.accounts.values()
            for k, cells in enumerate(build_account_cells(row))
        ]
        return build_table(
            _ACCOUNT_COLUMNS,
            lines,
            empty=sight.explain_absence("No account has been told of."),
            kind="accounts",
        )
