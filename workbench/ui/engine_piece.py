"""What every component that shows a live engine is: fed by its events, as true as they are, with a static form."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from workbench.ui.component import Component, Fragment
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_commands import EngineCommands
from workbench.ui.engine_feed import EngineFeed
from workbench.ui.engine_sight import Sight, look
from workbench.ui.kernel_loop import KernelLoop

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.client.client import Client
    from workbench.client.engine import Engine
    from workbench.ui.live_html import Action

__all__ = ["EnginePiece"]


class EnginePiece(Component):
    """
    A component that shows something of a live engine.

    It keeps no truth: shown again, in this kernel or another, it asks the server.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        self._client = client
        self._name = name
        self._feed = EngineFeed.of(client, name)
        self._loop = KernelLoop()
        # In plain Python there is no kernel's thread, and others do what would be done there.
        self._lock = threading.RLock()
        self._fragment: Fragment | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._commands = EngineCommands(
            self.engine, on_change=self._refresh, on_done=self._feed.refresh, on_ask=self.show_question
        )

    def __repr__(self) -> str:
        state = self._feed.read(lambda book: book.report and book.report.status.state)
        return f"{type(self).__name__}({self._name!r}, {state or 'not heard yet'})"

    @property
    def engine(self) -> Engine:
        """Return the engine that is shown."""
        return self._client.engine(self._name)

    @abstractmethod
    def _build(self, book: EngineBook, sight: Sight, *, is_live: bool) -> str:
        """Return the component as HTML; `is_live`: with what the reader can do."""

    def _act(self, action: Action) -> None:
        """Do what the reader wants."""

    def build_html(self) -> str:
        """Return what is true now, without anything to press: the server is asked."""
        self._feed.load()
        return self._render(is_live=False)

    def build_widget(self) -> DOMWidget:
        """Return the live form, and begin to follow the engine."""
        self._fragment = Fragment(
            lambda: self._render(is_live=True), on_action=self._on_action, loop=self._loop
        )
        widget = self._fragment.widget
        self._unsubscribe = self._feed.subscribe(self._refresh)
        return widget

    def close(self) -> None:
        """Follow the engine no longer; the last state stays on the screen."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _build_card(self, title: str, body: str, sight: Sight, *, right: str = "", is_live: bool) -> str:
        """Return a card whose numbers look as old as they are; `right` is HTML."""
        stale = "" if sight.is_fresh or not is_live else " is-stale"
        aside = f"<span class='r'>{right}</span>" if right else ""
        head = f"<div class='wb-head' role='heading' aria-level='3'>{escape(title)}{aside}</div>"
        return f"<div class='wb-engine-card{stale}'><div class='wb-card'>{head}{body}</div></div>"

    def refresh(self) -> None:
        """Show what is true now; from any thread, as often as one likes."""
        self._refresh()

    def show_question(self) -> None:
        """Show what is asked, and give it the keyboard; on the kernel's thread."""
        if self._fragment is not None:
            self._fragment.widget.html = self._render(is_live=True)
            self._fragment.widget.focus("#wb-ask-word,#wb-ask-no")

    def _render(self, *, is_live: bool) -> str:
        with self._lock:
            status = self._feed.status

            def build(book: EngineBook) -> str:
                return self._build(book, look(book, status, time.time()), is_live=is_live)

            return self._feed.read(build)

    def _refresh(self) -> None:
        if self._fragment is not None and self._unsubscribe is not None:
            self._fragment.refresh()

    def _on_action(self, action: Action) -> None:
        with self._lock:
            self._act(action)
        if self._fragment is not None:  # At once: who has pressed a button wants to see that it was heard
            self._fragment.widget.html = self._render(is_live=True)
