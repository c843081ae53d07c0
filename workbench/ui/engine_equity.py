"""The equity of a live engine: what it remembers, and growing while it is watched."""

from __future__ import annotations

import math
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
_HOLE_MS = 150_000.0  # A thinned day has a sample in every 90 s
_HEIGHT_PX = 248  # The whole page has to fit on a screen of 900


class EngineEquity(Component):
    """
    Equity marked to market, with its drawdown: the last day as the engine remembers it, and what comes.

    Where the engine did not run, or did not know its equity, the line has a hole.

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
        self._past = 0
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

        def read(book: EngineBook) -> tuple[int, list[tuple[float, float]], str]:
            shown_ms = self._shown_ms if book.past == self._past else 0.0
            fresh = []
            for sample in reversed(book.equity):
                if sample[0] <= shown_ms:
                    break
                fresh.append(sample)
            return book.past, fresh[::-1], book.currency

        past, samples, currency = self._feed.read(read)
        if past != self._past:  # Something came to stand before what is shown
            self._chart.clear()
            self._past, self._shown_ms = past, 0.0
        # A line needs two points.
        known = [value for _, value in samples if not math.isnan(value)]
        if not known or (self._shown_ms == 0.0 and len(known) < 2):
            return
        self._chart.currency = currency
        drawn = _break_line(samples, self._shown_ms)
        self._shown_ms = samples[-1][0]
        self._chart.append([int(ms * 1e6) for ms, _ in drawn], [value for _, value in drawn])


def _break_line(samples: list[tuple[float, float]], before_ms: float) -> list[tuple[float, float]]:
    """Return the samples with a hole wherever nothing is known for longer than samples are apart."""
    drawn: list[tuple[float, float]] = []
    for ms, value in samples:
        if before_ms and ms - before_ms > _HOLE_MS:
            drawn.append((before_ms + 1.0, math.nan))
        drawn.append((ms, value))
        before_ms = ms
    return drawn
