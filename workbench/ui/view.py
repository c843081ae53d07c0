"""What every static component is: HTML with its style sheet and, once per notebook, the chart runtime."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import Any

from workbench.ui.theme import load_style

__all__ = ["View"]


class View(ABC):
    """A component with a static form: what a notebook keeps, papermill saves and nbconvert exports."""

    @abstractmethod
    def build_html(self) -> str:
        """Return the component as an HTML fragment, without style sheet and runtime."""

    def to_html(self) -> str:
        """Return the component as it stands alone: style sheet, fragment and, if it has charts, the runtime."""
        return self._wrap(with_runtime=True)

    def _wrap(self, *, with_runtime: bool) -> str:
        body = self.build_html()
        runtime = ""
        if with_runtime and 'class="wb-chart"' in body:
            from workbench.ui.static import build_runtime_html

            runtime = build_runtime_html()
        return f'<style>{load_style()}</style><div class="wb">{body}</div>{runtime}'

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        html = self._wrap(with_runtime=False)
        if 'class="wb-chart"' in html:
            from workbench.ui.static import build_runtime_html

            if _OWNER.claim():
                html += build_runtime_html()
        return {"text/html": html, "text/plain": repr(self)}


class _RuntimeOwner:
    """
    Which cell's output holds the runtime.

    The first chart of a kernel brings it. When that cell runs again its old output is gone, and the runtime with it, so
    the next chart that is shown, in whichever cell, brings it again. JupyterLab says which cell runs; nbclient and
    papermill do not, but run each cell once.
    """

    def __init__(self) -> None:
        self._is_shown = False
        self._cell_id: str | None = None
        self._running: str | None = None
        self._is_hooked = False

    def claim(self) -> bool:
        """Return whether the chart that is being shown has to bring the runtime."""
        self._hook()
        if self._is_shown:
            return False
        self._is_shown = True
        self._cell_id = self._running
        return True

    def on_cell(self, info: Any) -> None:
        """Note which cell runs, and forget the runtime if its owner runs again."""
        self._running = getattr(info, "cell_id", None)
        if self._running is not None and self._running == self._cell_id:
            self._is_shown = False

    def _hook(self) -> None:
        ipython = sys.modules.get("IPython")
        shell = None if ipython is None else ipython.get_ipython()
        if shell is None or self._is_hooked:
            return
        self._is_hooked = True
        parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
        self._running = (parent.get("metadata") or {}).get("cellId")
        shell.events.register("pre_run_cell", self.on_cell)


_OWNER = _RuntimeOwner()
