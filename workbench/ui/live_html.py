"""HTML that Python keeps up to date in a page, in JupyterLab and in Voila, with the reader's actions coming back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anywidget
import traitlets

from workbench.errors import InputError
from workbench.ui.static import build_runtime, load_runtime_key
from workbench.ui.theme import load_style

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Action", "LiveHtml", "Value"]

type Value = str | bool | float | list[str] | list[float] | None

_MOST_NAME = 64
_MOST_KEY = 1_000
_MOST_VALUE = 5_000_000
_MOST_ITEMS = 1_000


@dataclass(frozen=True)
class Action:
    """
    What a reader did.

    Attributes
    ----------
    name : str
        The element's ``data-action``; ``view`` (the visible range of a chart: two milliseconds), ``pick`` (a click
        in a chart: its millisecond) and ``shown`` (a chart has been drawn) come from charts.
    key : str
        The element's ``data-key``, or the name of the chart.
    value : str, bool, float, list or None
        What a field holds now.

    """

    name: str
    key: str = ""
    value: Value = None


@cache
def _load_script() -> str:
    folder = Path(__file__).parent
    library = (folder / "vendor" / "idiomorph.min.js").read_text(encoding="utf-8")
    return f"{library}\n{(folder / 'live_html.js').read_text(encoding='utf-8')}"


class LiveHtml(anywidget.AnyWidget):
    """
    One piece of a page.

    It understands these attributes: ``data-action`` (with ``data-key``) on buttons, rows and fields; ``data-live`` on a
    field that acts while it is typed in; ``data-hover`` on rows; ``data-confirm`` on a button that is clicked twice;
    ``data-copy``; ``data-span`` (two milliseconds) on a row whose span of time lights up in the charts of the page.
    Charts are those of `build_chart_html`.

    Parameters
    ----------
    html : str
        The HTML, escaped where it must be. Set `html` on the kernel's thread only.
    on_action : Callable[[Action], object], optional
        Called on the kernel's thread; what it raises is shown at the top of the piece.

    """

    _esm = _load_script()
    _css = load_style()

    html = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    runtime_key = traitlets.Unicode().tag(sync=True)

    def __init__(self, html: str = "", *, on_action: Callable[[Action], object] | None = None) -> None:
        # Before `html`, so that the page knows which runtime its charts need.
        super().__init__(runtime_key=load_runtime_key() if _has_chart(html) else "", html=html)
        self._on_action = on_action
        self.on_msg(self._hear)

    @traitlets.validate("html")
    def _prepare(self, proposal: Any) -> str:
        html: str = proposal["value"]
        if not self.runtime_key and _has_chart(html):
            self.runtime_key = load_runtime_key()
        return html

    def download(self, name: str, content: bytes, media_type: str = "application/octet-stream") -> None:
        """Let the reader's browser save a file."""
        self.send({"type": "download", "name": name, "media_type": media_type}, [content])

    def focus(self, selector: str) -> None:
        """Give the first element that matches a CSS selector the keyboard focus."""
        self.send({"type": "focus", "selector": selector})

    def reveal(self) -> None:
        """Scroll what this piece stands in into sight: to the top, if less than its half of the page shows it."""
        self.send({"type": "reveal"})

    def send_data(
        self,
        chart: str,
        source: str,
        columns: Mapping[str, NDArray[Any]],
        *,
        mode: Literal["set", "append"] = "set",
        rollover: int | None = None,
    ) -> None:
        """
        Send data to a chart that is shown; without one they are lost, so send all of them when it says ``shown``.

        Parameters
        ----------
        chart : str
            Its `ChartDocument.name`.
        source : str
            The name of the Bokeh data source.
        columns : Mapping of str to ndarray
            All columns, equally long; they travel as float64. Times are milliseconds since the epoch, UTC.
        mode : {'set', 'append'}
            Replace the data, or add rows at the end: a view that shows the end then follows.
        rollover : int, optional
            The most rows to keep.

        Raises
        ------
        InputError
            If the columns are not equally long.

        """
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the columns have {lengths} rows", expected="as many rows in each")
        self.send(
            {
                "type": "data",
                "chart": chart,
                "source": source,
                "columns": list(columns),
                "mode": mode,
                "rollover": rollover,
            },
            [values.astype("<f8").tobytes() for values in columns.values()],
        )

    def set_range(self, chart: str, start_ms: float, end_ms: float) -> None:
        """Show a range of time in a chart, milliseconds since the epoch, UTC."""
        self.send({"type": "range", "chart": chart, "start": start_ms, "end": end_ms})

    def light(self, chart: str, start_ms: float | None, end_ms: float | None) -> None:
        """Light up a span of time in a chart; ``None`` for none."""
        self.send({"type": "light", "chart": chart, "start": start_ms, "end": end_ms})

    def _hear(self, _: object, message: object, buffers: object) -> None:
        if not isinstance(message, dict):
            return
        if message.get("type") == "runtime":
            self.send({"type": "runtime", "key": load_runtime_key()}, [build_runtime()])
            return
        action = _read_action(message)
        if action is None or self._on_action is None:
            return
        try:
            self._on_action(action)
        except Exception as error:  # noqa: BLE001 - whatever fails, the person who clicked has to see it
            self.problem = str(error) or type(error).__name__
        else:
            self.problem = ""


def _has_chart(html: str) -> bool:
    return 'class="wb-chart"' in html


def _read_action(message: Mapping[str, Any]) -> Action | None:
    """Return the action in a message of the browser; ``None`` for what no page of ours sends."""
    name, key, value = message.get("name"), message.get("key"), message.get("value")
    if message.get("type") != "action" or not isinstance(name, str) or not isinstance(key, str | None):
        return None
    if not name or len(name) > _MOST_NAME or len(key or "") > _MOST_KEY:
        return None
    if isinstance(value, list):
        is_known = len(value) <= _MOST_ITEMS and all(isinstance(v, str | float | int) for v in value)
    elif isinstance(value, str):
        is_known = len(value) <= _MOST_VALUE
    else:
        is_known = value is None or isinstance(value, bool | float | int)
    return Action(name, key or "", value) if is_known else None
