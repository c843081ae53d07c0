"""The equity of a live engine, growing while it is watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.ui.component import Component
from workbench.ui.engine_book import EngineBook
from workbench.ui.engine_feed import EngineFeed
from workbench.ui.equity_chart import EquityCurveChart

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.client.client import Client

__all__ = ["EngineEquity"]

_MOST_SAMPLES = 20_000
_HEIGHT_PX = 248  # The whole page has to fit on a screen of 900


class EngineEquity(Component):
    """
    Equity marked to market, with its drawdown, since this kernel began to watch the engine.

    Parameters
    ----------
    client : Client
        The server.
    name : str
        The engine.

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        self._feed = EngineFeed.of(client, name)
        self._chart = EquityCurveChart(None, "", rollover=_MOST_SAMPLES, height=_HEIGHT_PX)
        self._shown_ms = 0.0
        self._unsubscribe: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"EngineEquity({self._feed.name!r})"

    def build_html(self) -> str:
        """Return the curve so far."""
        self._feed.load()
        self._take()
        return self._chart.build_html()

    def build_widget(self) -> DOMWidget:
        """Return the live chart."""
        self._take()
        widget = self._chart.build_widget()
        self._unsubscribe = self._feed.subscribe(self._take)
        return widget

    def close(self) -> None:
        """Follow the engine no longer."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _take(self) -> None:
        """Show the samples that are new; on the feed's thread."""

        def read(book: EngineBook) -> tuple[list[tuple[float, float]], str]:
            fresh = []
            for sample in reversed(book.equity):
                if sample[0] <= self._shown_ms:
                    break
                fresh.append(sample)
            return fresh[::-1], book.currency

        samples, currency = self._feed.read(read)
        # A line needs two points.
        if not samples or (self._shown_ms == 0.0 and len(samples) < 2):
            return
        self._chart.currency = currency
        self._shown_ms = samples[-1][0]
        self._chart.append([int(ms * 1e6) for ms, _ in samples], [value for _, value in samples])
