"""The whole page of a live engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.ui.component import Component, Fragment
from workbench.ui.engine_configuration import EngineConfiguration
from workbench.ui.engine_desk import EngineDesk
from workbench.ui.engine_equity import EngineEquity
from workbench.ui.engine_feed import EngineFeed
from workbench.ui.engine_header import EngineHeader
from workbench.ui.engine_health import EngineHealth, EngineStrategies
from workbench.ui.engine_limits import EngineLimits
from workbench.ui.engine_log import LogTable
from workbench.ui.engine_tables import PositionsTable
from workbench.ui.resource_monitor import ResourceMonitor

if TYPE_CHECKING:
    from ipywidgets import Box, DOMWidget

    from workbench.client.client import Client
    from workbench.ui.live_html import Action

__all__ = ["NautilusEngineManager"]

_VIEWS = {"trading": "Trading", "configuration": "Configuration"}
_CONFIGURING = "is-configuring"


class NautilusEngineManager(Component):
    """
    A live engine on one page: how it stands, what it is worth, what it holds and does, and everything to steer it.

    The emergency stop stays in sight wherever the page is scrolled to, and whichever of the two views is shown: what
    the engine does, and its configuration. An engine that does not exist yet begins with the second. The page keeps no
    truth: loaded again, it asks the server; without a server it says so and shows how old its numbers are. The engine
    goes on either way.

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
        self._limits = EngineLimits(client, name)
        self._positions = PositionsTable(client, name)
        self._desk = EngineDesk(client, name)
        self._log = LogTable(client, name)
        self._resources = ResourceMonitor(client, name)
        self._configuration = EngineConfiguration(client, name)
        self._feed = EngineFeed.of(client, name)
        self._chosen = ""
        self._page: Box | None = None
        self._tabs: Fragment | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return repr(self._header).replace("EngineHeader", "NautilusEngineManager", 1)

    @property
    def parts(self) -> Sequence[Component]:
        """The components of the page."""
        left, right = self._columns
        upper = (self._header, self._equity, self._health, self._strategies, self._limits)
        return (*upper, *left, *right, self._configuration)

    @property
    def _columns(self) -> tuple[tuple[Component, ...], tuple[Component, ...]]:
        return (self._positions, self._desk), (self._log, self._resources)

    def build_html(self) -> str:
        """Return the page as it is now, without anything to press."""
        left, right = ("".join(part.build_html() for part in column) for column in self._columns)
        return (
            f"<div class='wb-engine'>{self._header.build_html()}"
            f"<div class='wb-engine-upper'>{self._equity.build_html()}{self._health.build_html()}</div>"
            f"<div class='wb-engine-middle'>{self._strategies.build_html()}{self._limits.build_html()}</div>"
            f"<div class='wb-engine-lower'><div class='wb-stack'>{left}</div>"
            f"<div class='wb-stack'>{right}</div></div>{self._configuration.build_html()}</div>"
        )

    def build_widget(self) -> DOMWidget:
        """Return the page with the live form of each part."""
        from ipywidgets import Box

        header = self._header.widget
        header.add_class("wb-engine-head")
        upper = Box([self._equity.widget, self._health.widget])
        upper.add_class("wb-engine-upper")
        middle = Box([self._strategies.widget, self._limits.widget])
        middle.add_class("wb-engine-middle")
        columns = []
        for column in self._columns:
            box = Box([part.widget for part in column])
            box.add_class("wb-stack")
            columns.append(box)
        lower = Box(columns)
        lower.add_class("wb-engine-lower")
        self._tabs = Fragment(self._render_tabs, on_action=self._act)
        tabs, configuration = self._tabs.widget, self._configuration.widget
        tabs.add_class("wb-engine-views")
        configuration.add_class("wb-engine-config")
        page = Box([header, tabs, upper, middle, lower, configuration])
        page.add_class("wb")
        page.add_class("wb-engine")
        self._page = page
        self._unsubscribe = self._feed.subscribe(self._tabs.refresh)
        return page

    # ---- the two views

    def _find_view(self) -> str:
        if not self._chosen and self._feed.read(lambda book: book.missing is not None):
            self._chosen = "configuration"  # And it stays, once there is a first version
        return self._chosen or "trading"

    def _render_tabs(self) -> str:
        shown = self._find_view()
        if self._page is not None:
            turn = self._page.add_class if shown == "configuration" else self._page.remove_class
            turn(_CONFIGURING)
        buttons = ""
        for key, title in _VIEWS.items():
            is_edited = key == "configuration" and self._configuration.is_edited
            mark = " <small class='wb-edits'>edited</small>" if is_edited else ""
            buttons += (
                f"<button class='wb-tab' type='button' role='tab' id='wb-view-{key}' data-action='view-of' "
                f"data-key='{key}' aria-selected='{str(key == shown).lower()}'>{title}{mark}</button>"
            )
        return f"<div class='wb-desk-tabs' role='tablist' aria-label='Views of the engine'>{buttons}</div>"

    def _act(self, action: Action) -> None:
        if action.name == "view-of" and action.key in _VIEWS and self._tabs is not None:
            self._chosen = action.key
            self._tabs.widget.html = self._render_tabs()

    def close(self) -> None:
        """Follow the engine no longer; the last state stays on the screen."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        for part in self.parts:
            part.close()
