"""A line as small as a word: the equity of a run, drawn in a table's cell."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from workbench.records import EquityTrace

__all__ = ["Curve", "build_sparkline"]

_POINTS = 120
_WIDTH, _HEIGHT, _MARGIN = 92, 24, 2


class Curve:
    """
    The equity of a run, thinned evenly in time while it grows.

    Attributes
    ----------
    currency : str
        The reporting currency; empty while unknown.
    latest : str, optional
        The latest equity, a decimal number in `currency`.

    """

    def __init__(self) -> None:
        self.currency = ""
        self.latest: str | None = None
        self._kept: list[tuple[int, float]] = []
        self._last: tuple[int, float] | None = None
        self._gap_ns = 0

    @classmethod
    def of(cls, trace: EquityTrace | None) -> Curve:
        """Return the curve of `trace`."""
        curve = cls()
        if trace is not None:
            curve.fill(trace)
        return curve

    @property
    def points(self) -> list[tuple[int, float]]:
        """Return what is kept, UNIX nanoseconds and equity in the order of time; the latest is among them."""
        if self._last is None or self._kept[-1] == self._last:
            return list(self._kept)
        return [*self._kept, self._last]

    def note(self, ts_ns: int | None, equity: str | None, currency: str) -> None:
        """Take a point, if it is one and later than the last."""
        if ts_ns is None or equity is None or (self._last is not None and ts_ns <= self._last[0]):
            return
        self.latest, self.currency = equity, currency
        self._last = (ts_ns, float(equity))
        if not self._kept or ts_ns - self._kept[-1][0] >= self._gap_ns:
            self._kept.append(self._last)
            self._thin()

    def fill(self, trace: EquityTrace) -> None:
        """Take from `trace` what was before the first point, and all of it if there is none."""
        first = self._kept[0][0] if self._kept else None
        earlier = [(ts, float(equity)) for ts, equity in trace.points if first is None or ts < first]
        self._kept = earlier + self._kept
        if self._last is None and trace.points:
            self._last, self.latest = self._kept[-1], trace.points[-1][1]
        self.currency = self.currency or trace.currency
        self._thin()

    def _thin(self) -> None:
        if len(self._kept) < _POINTS:
            return
        self._gap_ns = (self._kept[-1][0] - self._kept[0][0]) // (_POINTS // 2)
        kept = self._kept[:1]
        for point in self._kept[1:]:
            if point[0] - kept[-1][0] >= self._gap_ns:
                kept.append(point)
        self._kept = kept


def build_sparkline(points: Sequence[tuple[int, float]], *, label: str = "Equity") -> str:
    """
    Return a line as SVG, as high whatever the range of its values; nothing for fewer than two points.

    Parameters
    ----------
    points : sequence of (int, float)
        Time and value, in the order of time.
    label : str
        What it is, for who cannot see it.

    """
    if len(points) < 2:
        return ""
    return (
        f"<svg class='wb-spark' viewBox='0 0 {_WIDTH} {_HEIGHT}' width='{_WIDTH}' height='{_HEIGHT}' "
        f"role='img' aria-label='{escape(label, quote=True)}'><path d='{_build_path(points)}'/></svg>"
    )


def _build_path(points: Sequence[tuple[int, float]]) -> str:
    begin, values = points[0][0], [value for _, value in points]
    low, span = min(values), max(values) - min(values)
    across = (_WIDTH - 2 * _MARGIN) / ((points[-1][0] - begin) or 1)
    down = (_HEIGHT - 2 * _MARGIN) / (span or 1.0)
    spots = []
    for ts, value in points:
        y = _MARGIN + (low + span - value) * down if span else _HEIGHT / 2
        spots.append(f"{_MARGIN + (ts - begin) * across:.1f} {y:.1f}")
    return "M" + "L".join(spots)
