"""What every live component is: a widget that a page shows, and a static form that a saved notebook keeps."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from workbench.config import load_settings
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.pace import Pace
from workbench.ui.showing import Showing
from workbench.ui.view import View

if TYPE_CHECKING:
    from ipywidgets import DOMWidget

    from workbench.ui.live_html import Action, LiveHtml

__all__ = ["Component", "Fragment"]


class Component(View):
    """
    A view with a live form.

    Displayed in a kernel it is a widget; without one, and where ``WORKBENCH_DISPLAY`` is ``static``, it is the HTML
    that a saved notebook keeps. A cell of JupyterLab that runs again closes what it showed before.
    """

    @property
    def parts(self) -> Sequence[Component]:
        """The components that stand in this one."""
        return ()

    @abstractmethod
    def build_widget(self) -> DOMWidget:
        """Return the live form; asked for once."""

    @cached_property
    def widget(self) -> DOMWidget:
        """The live form, for a layout of ipywidgets."""
        from workbench.ui.heartbeat import start_heartbeat

        start_heartbeat()
        return self.build_widget()

    def close(self) -> None:
        """End what goes on behind the component; its last state stays on the screen."""

    def end_view(self) -> None:
        """Close the component and its widgets, which no page shows any more; shown again it has others."""
        widget = self.__dict__.pop("widget", None)
        if self.parts:
            # They end by themselves, each when no page shows it.
            kept = [part.__dict__["widget"] for part in self.parts if "widget" in part.__dict__]
        else:
            kept = []
            self.close()
        if widget is not None:
            _close_tree(widget, kept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        if load_settings().is_static or not _has_kernel():
            return super()._repr_mimebundle_(include, exclude)
        _SHOWING.note(self)
        return self.widget._repr_mimebundle_()


class Fragment:
    """
    A piece of a page that is rendered again when what it shows has changed, at most 10 times a second.

    Parameters
    ----------
    render : Callable returning str
        Builds the HTML; called on the kernel's thread.
    on_action : Callable[[Action], object], optional
        Takes what the reader does.
    loop : KernelLoop, optional
        Default: that of the thread which makes the fragment.

    """

    def __init__(
        self,
        render: Callable[[], str],
        *,
        on_action: Callable[[Action], object] | None = None,
        loop: KernelLoop | None = None,
    ) -> None:
        self._render = render
        self._on_action = on_action
        self._pace = Pace(loop or KernelLoop(), self._show)
        self._failure = ""
        self._widget: LiveHtml | None = None

    @property
    def widget(self) -> LiveHtml:
        """The widget; another one after it was closed."""
        from workbench.ui.live_html import LiveHtml

        if self._widget is None or self._widget.comm is None:
            self._failure = ""
            self._widget = LiveHtml(self._render(), on_action=self._on_action)
        return self._widget

    def refresh(self) -> None:
        """Show what is true now; may be called from any thread and as often as one likes."""
        self._pace.ask()

    def _show(self) -> None:
        if self._widget is not None and self._widget.comm is None:
            return  # Closed: nobody looks at it
        try:
            self.widget.html = self._render()
        except Exception as error:
            # The reader has to see that what is on the screen is old.
            self._failure = f"this could not be brought up to date: {str(error) or type(error).__name__}"
            self.widget.problem = self._failure
            raise
        if self._failure and self.widget.problem == self._failure:
            self.widget.problem = self._failure = ""


def _close_tree(widget: Any, kept: Sequence[Any]) -> None:
    if not any(widget is one for one in kept):
        for child in getattr(widget, "children", ()):
            _close_tree(child, kept)
        widget.close()


_SHOWING = Showing()


def _has_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
