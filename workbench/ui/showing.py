"""Which cell of a notebook shows which component: what a cell showed ends when the cell has run again."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.ui.component import Component

__all__ = ["Showing"]


class Showing:
    """
    The components that the cells of a notebook show.

    A cell that runs again loses its output, and with it the views of what it showed: nobody can look at that any more,
    and what goes on behind it (feeds, threads, widgets) ends with the run that replaces it, unless that run or another
    cell shows it. JupyterLab says which cell runs; nbclient, papermill and Voila do not, but run each cell once.
    """

    def __init__(self) -> None:
        self._cells: dict[str, list[Component]] = {}
        self._old: dict[str, list[Component]] = {}  # Of the cells that run now: what they showed before
        self._running: str | None = None
        self._is_hooked = False

    def note(self, component: Component) -> None:
        """Note that the running cell shows a component."""
        self._hook()
        if self._running is not None:
            self._cells.setdefault(self._running, []).append(component)

    def begin(self, cell_id: str | None) -> None:
        """Note that a cell runs; ``None`` where nobody says which."""
        self._running = cell_id
        if cell_id is not None and cell_id in self._cells:
            self._old.setdefault(cell_id, []).extend(self._cells.pop(cell_id))

    def end(self) -> None:
        """End what the cell showed before it ran, and nobody shows any more."""
        cell_id, self._running = self._running, None
        old = self._old.pop(cell_id, []) if cell_id is not None else []
        shown = {id(one) for root in self._list_roots() for one in _walk(root)}
        for root in old:
            for component in _walk(root):
                if id(component) not in shown:
                    shown.add(id(component))
                    component.end_view()

    def _list_roots(self) -> Iterator[Component]:
        for components in (*self._cells.values(), *self._old.values()):
            yield from components

    def _hook(self) -> None:
        ipython = sys.modules.get("IPython")
        shell = None if ipython is None else ipython.get_ipython()
        if shell is None or self._is_hooked:
            return
        self._is_hooked = True
        parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
        self._running = (parent.get("metadata") or {}).get("cellId")
        shell.events.register("pre_run_cell", lambda info: self.begin(getattr(info, "cell_id", None)))
        shell.events.register("post_run_cell", lambda _: self.end())


def _walk(root: Component) -> Iterable[Component]:
    """Return a component and all that stand in it, these first."""
    for part in root.parts:
        yield from _walk(part)
    yield root
