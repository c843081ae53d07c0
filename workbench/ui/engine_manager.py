"""The whole page of a live engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.ui.component import Component
from workbench.ui.engine_desk import EngineDesk
from workbench.ui.engine_equity import EngineEquity
from workbench.ui.engine_header import EngineHeader
from workbench.ui.engine_health import EngineHealth, EngineStrategies
from workbench.ui.engine_log import LogTable
from workbench.ui.engine_tables import PositionsTable
from workbench.ui.resource_monitor import ResourceMonitor

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.client.client import Client

__all__ = ["NautilusEngineManager"]


class NautilusEngineManager(Component):
    """
    A live engine on one page: how it stands, what it is worth, what it holds and does, and everything to steer it.

    The emergency stop stays in sight wherever the page is scrolled to. The page keeps no truth: loaded again, it asks
    the server; without a server it says so and shows how old its numbers are. The engine goes on either way.

    Parameters
    ----------
    client : Client
        The server; `workbench.connect` makes one.
    name : str, default "default"
        The engine.

    Examples
    --------
    >>> NautilusEngineManager(workbench.connect())  # doctest: +SKIP

    """

    def __init__(self, client: Client, name: str = "default") -> None:
        self._name = name
        self._header = EngineHeader(client, name)
        self._equity = EngineEquity(client, name)
        self._health = EngineHealth(client, name)
        self._strategies = EngineStrategies(client, name)
        self._positions = PositionsTable(client, name)
        self._desk = EngineDesk(client, name)
        self._log = LogTable(client, name)
        self._resources = ResourceMonitor(client, name)

    def __repr__(self) -> str:
        return repr(self._header).replace("EngineHeader", "NautilusEngineManager", 1)

    @property
    def parts(self) -> Sequence[Component]:
        """The components of the page."""
        left, right = self._columns
        return (self._header, self._equity, self._health, self._strategies, *left, *right)

    @property
    def _columns(self) -> tuple[tuple[Component, ...], tuple[Component, ...]]:
        return (self._positions, self._desk), (self._log, self._resources)

    def build_html(self) -> str:
        """Return the page as it is now, without anything to press."""
        left, right = ("".join(part.build_html() for part in column) for column in self._columns)
        return (
            f"<div class='wb-engine'>{self._header.build_html()}"
            f"<div class='wb-engine-upper'>{self._equity.build_html()}{self._health.build_html()}</div>"
            f"{self._strategies.build_html()}<div class='wb-engine-lower'><div class='wb-stack'>{left}</div>"
            f"<div class='wb-stack'>{right}</div></div></div>"
        )

    def build_widget(self) -> DOMWidget:
        """Return the page with the live form of each part."""
        from ipywidgets import Box

        header = self._header.widget
        header.add_class("wb-engine-head")
        upper = Box([self._equity.widget, self._health.widget])
        upper.add_class("wb-engine-upper")
        columns = []
        for column in self._columns:
            box = Box([part.widget for part in column])
            box.add_class("wb-stack")
            columns.append(box)
        lower = Box(columns)
        lower.add_class("wb-engine-lower")
        page = Box([header, upper, self._strategies.widget, lower])
        page.add_class("wb")
        page.add_class("wb-engine")
        return page

    def close(self) -> None:
        """Follow the engine no longer; the last state stays on the screen."""
        for part in self.parts:
            part.close()
