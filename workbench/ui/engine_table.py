"""What the tables of a live engine have in common: rows that act, an editor under one of them, and what went wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.engine_question import build_question
from workbench.ui.engine_rows import Cell
from workbench.ui.engine_sight import Sight, look

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.ui.live_html import Action

__all__ = ["EngineTable"]


class EngineTable(EnginePiece):
    """
    A table of an engine, in a card of its own or in another component.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.
    host : EnginePiece, optional
        The component that shows it.

    """

    title = ""

    def __init__(self, client: Client, name: str = "default", *, host: EnginePiece | None = None) -> None:
        super().__init__(client, name)
        self._host = host
        self._draft: dict[str, str] = {}  # What is being typed, for the row that is open
        self._open_row = ""

    def count(self, book: EngineBook) -> int:
        """Return how many rows there are."""
        return 0

    @abstractmethod
    def build_body(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the table."""

    def take(self, action: Action) -> None:
        """Do what the reader wants of it."""
        commands = self._commands
        match action.name:
            case "draft":
                self._draft[action.key] = str(action.value or "").strip()[:40]
            case "open-row":
                self._draft = {}
                self._open_row = "" if self._open_row == action.key else action.key
            case "forget":
                commands.forget(action.key)
            case "word":
                commands.typed = str(action.value or "")[:200]
            case "answer":
                commands.answer(action.key)
            case "dismiss":
                commands.dismiss()

    def _act(self, action: Action) -> None:
        self.take(action)

    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        count = self.count(book)
        right = ", ".join(filter(None, (f"{count:,}" if count else "", sight.words)))
        body = self.build_body(book, sight, is_live=is_live)
        return self._build_card(self.title, body, sight, right=escape(right), is_live=is_live)

    def show_question(self) -> None:
        """Show what is asked, where the table stands."""
        if self._host is not None:
            self._host.show_question()
        else:
            super().show_question()

    def _refresh(self) -> None:
        if self._host is not None:
            self._host.refresh()
        else:
            super()._refresh()

    def _build_row(self, key: str, cells: Sequence[Cell], acts: str = "", more: str = "") -> str:
        """Return a row, what is open under it, and what went wrong with it."""
        tds = "".join(f"<td class='{kind}'>{html}</td>" for kind, html in cells)
        if acts:
            tds += f"<td class='acts'>{acts}</td>"
        width = len(cells) + (1 if acts else 0)
        row = f"<tr id='wb-row-{escape(key, quote=True)}'>{tds}</tr>"
        error = self._commands.errors.get(key)
        if error is not None:
            message = (
                error.message if isinstance(error, WorkbenchError) else str(error) or type(error).__name__
            )
            more += (
                f"<span class='wb-oops' role='alert'>{escape(message)}</span> <button class='wb-link' type='button' "
                f"data-action='forget' data-key='{escape(key, quote=True)}'>Dismiss</button>"
            )
        if more:
            row += f"<tr class='more' id='wb-more-{escape(key, quote=True)}'><td colspan='{width}'>{more}</td></tr>"
        return row

    def _build_acts(self, key: str, buttons: Sequence[tuple[str, str, str]], *, is_on: bool) -> str:
        """Return the buttons of a row: what they do, their label, and what a second click is asked with."""
        busy = self._commands.busy.get(key)
        if busy:
            return f"<span class='wb-wish'>{escape(busy)}</span>"
        html = ""
        for action, label, confirm in buttons:
            asked = f" data-confirm='{escape(confirm, quote=True)}'" if confirm else ""
            off = "" if is_on else " disabled"
            html += (
                f"<button class='wb-link' type='button' data-action='{action}' "
                f"data-key='{escape(key, quote=True)}'{asked}{off}>{label}</button>"
            )
        return html

    def _build_field(self, name: str, label: str, value: str) -> str:
        typed = self._draft.get(name, value)
        return (
            f"<label class='wb-inline'>{label} <input class='wb-input' type='text' inputmode='decimal' "
            f"id='wb-draft-{name}' data-action='draft' data-key='{name}' data-live value='{escape(typed, quote=True)}'>"
            "</label>"
        )

    def _build_asked(self) -> str:
        question = self._commands.find_question()
        return "" if question is None else build_question(question, self._commands.typed)

    def _is_live_engine(self) -> bool:
        return self._feed.read(lambda book: look(book, self._feed.status, 0.0).is_live)
