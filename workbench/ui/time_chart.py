"""What every chart over time does in a live page: it asks the kernel for what is visible, and grows at its end."""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.analysis.extremes import find_extremes
from workbench.ui.component import Component
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.pace import Pace
from workbench.ui.samples import Samples

if TYPE_CHECKING:
    from ipywidgets import DOMWidget
    from numpy.typing import NDArray

    from workbench.ui.live_html import Action, LiveHtml

__all__ = ["TimeChart"]

# A view is at most 10,000 rows of a time and two values, 240 kB, however many lines it has.
_MOST_ROWS = 10_000
_MOST_BUCKETS = 2_000  # of which three quarters are visible: finer than the pixel columns of a 1440 px screen
_MOST_APPENDED = 6_000

_NUMBERS = count(1)

type Columns = dict[str, NDArray[np.float64]]


class TimeChart(Component):
    """
    A chart over time.

    The static form holds what a screen shows of the whole time. The live form loads what is visible whenever the
    reader zooms or pans, and shows what is appended, at most 10 times a second.

    Parameters
    ----------
    name : str, optional
        What the live page calls the chart; unique in the page. Default: one that is.
    on_pick : Callable[[float], object], optional
        Called in the kernel with the time of a click, milliseconds since the epoch, UTC.

    """

    def __init__(self, *, name: str = "", on_pick: Callable[[float], object] | None = None) -> None:
        self.name = name or f"{type(self).__name__.lower()}-{next(_NUMBERS)}"
        self._on_pick = on_pick
        self._loop = KernelLoop()
        self._pace = Pace(self._loop, self._flush)
        self._samples: dict[str, Samples] = {}  # data source -> what the kernel holds of it
        self._pending: list[tuple[str, NDArray[np.float64], Columns]] = []
        self._lock = threading.RLock()  # held while pending samples move, and by what reads the samples
        self._view: tuple[float, float] | None = None
        self._drawn: dict[str, int] = {}  # data source -> samples when its page was rendered
        self._appended = 0
        self._live: LiveHtml | None = None

    @abstractmethod
    def _render(self, *, is_live: bool) -> str:
        """Return the card with the chart of what is known now."""

    def build_html(self) -> str:
        """Return the chart as a card that needs no kernel."""
        with self._lock:
            self._drain()
            return self._render(is_live=False)

    def build_widget(self) -> DOMWidget:
        """Return the live chart."""
        from workbench.ui.live_html import LiveHtml

        with self._lock:
            self._drain()
            self._live = LiveHtml(self._render_live(), on_action=self.act)
        return self._live

    def act(self, action: Action) -> None:
        """Do what a page asks for: finer data of what it shows, all data of a chart that is new, or a pick."""
        match action.name, action.value:
            case "view", [start, end]:
                self._view = _read_view(start, end)
                self._send()
            case "shown", _:
                self._view = None
                with self._lock:
                    self._drain()
                    is_known = self._drawn == {name: s.total for name, s in self._samples.items()}
                if not is_known:
                    self._send()
            case "pick", float() | int() as ts:
                if self._on_pick is not None:
                    self._on_pick(float(ts))

    def set_range(self, start_ms: float, end_ms: float) -> None:
        """Show a range of time, milliseconds since the epoch, UTC; only in the live form."""
        if self._live is not None:
            self._live.set_range(self.name, start_ms, end_ms)

    def light(self, start_ms: float | None, end_ms: float | None) -> None:
        """Light up a span of time, ``None`` for none; only in the live form."""
        if self._live is not None:
            self._live.light(self.name, start_ms, end_ms)

    def _push(self, source: str, millis: NDArray[np.float64], columns: Columns) -> None:
        """Add samples to a line, from any thread."""
        with self._lock:
            self._pending.append((source, millis, columns))
        self._pace.ask()

    def _render_live(self) -> str:
        self._drawn = {name: samples.total for name, samples in self._samples.items()}
        self._appended = 0
        return self._render(is_live=True)

    def _find_buckets(self) -> int:
        """Return how many pixel columns of each line are sent."""
        rows = sum(2 * len(samples.columns) for samples in self._samples.values())
        return min(_MOST_BUCKETS, max(_MOST_ROWS // max(rows, 1), 1))

    def _drain(self) -> dict[str, tuple[NDArray[np.float64], Columns]]:
        """Move what was pushed into the samples, and return it, one batch for each line."""
        pending, self._pending = self._pending, []
        parts: dict[str, list[tuple[NDArray[np.float64], Columns]]] = {}
        for source, millis, columns in pending:
            parts.setdefault(source, []).append((millis, columns))
        made = {}
        for source, batches in parts.items():
            columns = {name: np.concatenate([batch[1][name] for batch in batches]) for name in batches[0][1]}
            made[source] = np.concatenate([batch[0] for batch in batches]), columns
            self._samples[source].append(*made[source])
        return made

    def _flush(self) -> None:
        """Show what was pushed since the last time."""
        with self._lock:
            batches = self._drain()
            live = self._live
            if live is None or not batches:
                return
            if any(not self._drawn.get(source) for source in batches):
                live.html = self._render_live()  # the chart of a line that had no samples, or is new
                return
        span = self._find_span()
        buckets = self._find_buckets()
        for source, (millis, columns) in batches.items():
            # What falls into one pixel column need not travel.
            share = max(1, math.ceil((millis[-1] - millis[0]) / span * buckets))
            rows = find_extremes(millis, list(columns.values()), share)
            live.send_data(
                self.name,
                source,
                {"ts": millis[rows], **{name: values[rows] for name, values in columns.items()}},
                mode="append",
            )
            self._appended += len(rows)
        if self._appended > _MOST_APPENDED:
            self._send()

    def _find_span(self) -> float:
        if self._view is not None:
            return self._view[1] - self._view[0]
        known = [samples.millis for samples in self._samples.values() if len(samples)]
        return max(1.0, max(m[-1] for m in known) - min(m[0] for m in known)) if known else 1.0

    def _send(self) -> None:
        """Send what the visible time needs, and the rest coarsely."""
        live = self._live
        if live is None:
            return
        with self._lock:
            self._appended = 0
            start, end = self._view or (-math.inf, math.inf)
            buckets = self._find_buckets()
            data: dict[str, dict[str, Any]] = {
                name: samples.take(samples.pick(buckets, start, end))
                for name, samples in self._samples.items()
                if len(samples)
            }
        for name, columns in data.items():
            live.send_data(self.name, name, columns)


def _read_view(start: object, end: object) -> tuple[float, float] | None:
    if isinstance(start, float | int) and isinstance(end, float | int) and start < end:
        return float(start), float(end)
    return None
