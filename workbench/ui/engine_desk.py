"""The lower part of an engine's page: one card with a tab for orders, fills, accounts and a new order."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_order_form import ManualOrderForm
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_sight import Sight
from workbench.ui.engine_table import EngineTable
from workbench.ui.engine_tables import AccountsTable, FillsTable, OrdersTable

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.ui.live_html import Action

__all__ = ["EngineDesk"]


class EngineDesk(EnginePiece):
    """
    Orders, fills, accounts, and an order by hand: one at a time.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        super().__init__(client, name)
        kinds = (OrdersTable, FillsTable, AccountsTable, ManualOrderForm)
        self._tables: dict[str, EngineTable] = {kind.title: kind(client, name, host=self) for kind in kinds}
        self._shown = "Orders"

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        if not is_live:
            shown = [table for title, table in self._tables.items() if title != "New order"]
            return "".join(table._build(book, sight, is_live=False) for table in shown)
        tabs = ""
        for title, table in self._tables.items():
            count = table.count(book)
            chosen = "true" if title == self._shown else "false"
            tabs += (
                f"<button class='wb-tab' type='button' role='tab' id='wb-desk-{title.split()[0].lower()}' "
                f"data-action='tab' data-key='{title}' aria-selected='{chosen}'>{title}"
                f"{f' <small>{count:,}</small>' if count else ''}</button>"
            )
        body = self._tables[self._shown].build_body(book, sight, is_live=True)
        stale = "" if sight.is_fresh else " is-stale"
        return (
            f"<div class='wb-engine-card wb-desk{stale}'><div class='wb-card'><div class='wb-desk-head'>"
            f"<div class='wb-desk-tabs' role='tablist' aria-label='Orders, fills and accounts'>{tabs}</div>"
            f"<span class='r mute'>{escape(sight.words)}</span></div>{body}</div></div>"
        )

    def _act(self, action: Action) -> None:
        if action.name == "tab" and action.key in self._tables:
            self._shown = action.key
        else:
            self._tables[self._shown].take(action)
