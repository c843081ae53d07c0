"""Where components stand on a page: a column beside the others, and a place that shows one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from workbench.ui.component import Component

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.ui.live_html import LiveHtml

__all__ = ["Columns", "Slot"]


class Columns(Component):
    """
    A narrow column on the left and a wide one beside it; below 900 pixels one above the other.

    Parameters
    ----------
    side, main : sequence of Component
        From top to bottom.

    """

    def __init__(self, side: Sequence[Component], main: Sequence[Component]) -> None:
        self._side = tuple(side)
        self._main = tuple(main)

    def __repr__(self) -> str:
        return f"Columns({', '.join(repr(component) for component in self.parts)})"

    @property
    def parts(self) -> Sequence[Component]:
        """The components in the columns."""
        return (*self._side, *self._main)

    def build_html(self) -> str:
        """Return the columns with the static form of each component."""
        side, main = (
            f'<div class="wb-stack">{"".join(component.build_html() for component in column)}</div>'
            for column in (self._side, self._main)
        )
        return f'<div class="wb-frame"><div class="wb-columns">{side}{main}</div></div>'

    def build_widget(self) -> DOMWidget:
        """Return the columns with the live form of each component."""
        from ipywidgets import Box

        columns = [_build_box("wb-stack", column) for column in (self._side, self._main)]
        inner = Box(columns)
        inner.add_class("wb-columns")
        page = Box([inner])
        page.add_class("wb")
        page.add_class("wb-frame")
        return page

    def close(self) -> None:
        """Close every component."""
        for component in self.parts:
            component.close()


class Slot(Component):
    """
    A place that shows one component at a time.

    Parameters
    ----------
    note : str
        What it says while it is empty: what to do so that there is something.

    """

    def __init__(self, note: str) -> None:
        self._note = note
        self._shown: Component | None = None
        self._anchor: LiveHtml | None = None

    def __repr__(self) -> str:
        return f"Slot({self._shown!r})"

    @property
    def parts(self) -> Sequence[Component]:
        """What it shows, if anything."""
        return () if self._shown is None else (self._shown,)

    @property
    def shown(self) -> Component | None:
        """What it shows."""
        return self._shown

    def show(self, component: Component) -> None:
        """
        Show a component in place of the last one, which is closed, and bring it into sight; on the kernel's thread.

        Parameters
        ----------
        component : Component
            What to show.

        """
        last, self._shown = self._shown, component
        if "widget" in self.__dict__ and self._anchor is not None:
            former = self.widget.children
            self.widget.children = (self._anchor, component.widget)
            for widget in former[1:]:
                widget.close()
            self._anchor.reveal()
        if last is not None:
            last.close()

    def build_html(self) -> str:
        """Return the static form of what it shows."""
        if self._shown is not None:
            return self._shown.build_html()
        return f'<div class="wb-card"><div class="wb-empty">{escape(self._note)}</div></div>'

    def build_widget(self) -> DOMWidget:
        """Return a box with the live form of what it shows."""
        from ipywidgets import Box

        from workbench.ui.live_html import LiveHtml

        # It stands in the page from the start, so that it hears when something else is shown beside it.
        self._anchor = LiveHtml()
        self._anchor.add_class("wb-anchor")
        box = Box([self._anchor, LiveHtml(self.build_html()) if self._shown is None else self._shown.widget])
        box.add_class("wb-stack")
        return box

    def close(self) -> None:
        """Close what it shows."""
        if self._shown is not None:
            self._shown.close()


def _build_box(name: str, components: Sequence[Component]) -> DOMWidget:
    from ipywidgets import Box

    box = Box([component.widget for component in components])
    box.add_class(name)
    return box
