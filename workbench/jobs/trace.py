"""The equity of a run so far, thinned to what a small chart can show."""

from __future__ import annotations

import threading

from workbench.records import EquityTrace, Progress

__all__ = ["TRACE_POINTS", "Trace"]

TRACE_POINTS = 128


class Trace:
    """
    Keeps the equity that the progress of one run tells.

    At most `TRACE_POINTS` points: when they are full every second one goes, and from then on only half as many
    are taken. The latest is always there. All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: list[tuple[int, str]] = []
        self._latest: tuple[int, str] | None = None
        self._stride = 1
        self._count = 0
        self._currency = ""

    def note(self, progress: Progress) -> None:
        """Take the equity of `progress`, if it has one that is later than the last."""
        if progress.simulated_ts_ns is None or progress.equity is None:
            return
        point = (progress.simulated_ts_ns, progress.equity)
        with self._lock:
            if self._latest is not None and point[0] <= self._latest[0]:
                return
            self._latest, self._currency = point, progress.currency
            if self._count % self._stride == 0:
                self._points.append(point)
            self._count += 1
            if len(self._points) == TRACE_POINTS:
                del self._points[1::2]
                self._stride *= 2

    def build(self) -> EquityTrace:
        """Return what is kept, in the order of time."""
        with self._lock:
            points = list(self._points)
            if self._latest is not None and points[-1] != self._latest:
                points.append(self._latest)
            return EquityTrace(points=points, currency=self._currency)
