"""What a run did, on its price: fills as small triangles, positions as lines from entry to exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.ui.formats import find_places
from workbench.ui.series import read_decimals, read_floats, read_millis, require_columns
from workbench.ui.static import PackedColumn, pack_column

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from numpy.typing import NDArray

__all__ = ["PriceMarks"]

_MOST_FILLS = 4_000
_MOST_SPANS = 2_000
_FILL_COLUMNS = ("ts_event", "order_side", "last_qty", "last_px")
_SPAN_COLUMNS = ("ts_opened", "ts_closed", "entry", "peak_qty", "avg_px_open", "avg_px_close", "realized_pnl")
# Source, token, side, and the way its triangle hangs: on a canvas y grows downwards, so +1 is under the price.
_FILLS = (("fills_BUY", "up", "BUY", 1), ("fills_SELL", "down", "SELL", -1))
_SPANS = (("spans_up", "up"), ("spans_down", "down"))

type Columns = dict[str, NDArray[np.float64]]


class PriceMarks:
    """
    The fills and positions of one instrument.

    Parameters
    ----------
    fills, positions : pandas.DataFrame or None
        See `PriceChart`.
    instrument_id : str
        Those of other instruments are left out; empty to keep all.

    Raises
    ------
    InputError
        If a frame lacks a column, or time stamps have no zone.

    """

    def __init__(
        self, fills: pd.DataFrame | None, positions: pd.DataFrame | None, instrument_id: str
    ) -> None:
        fills = _select(fills, _FILL_COLUMNS, instrument_id, "the fills frame", "ts_event")
        positions = _select(positions, _SPAN_COLUMNS, instrument_id, "the positions frame", "ts_opened")
        closed = positions[positions["ts_closed"].notna()]
        self.prices = fills["last_px"]
        self.size_digits = find_places(read_decimals(fills["last_qty"]), default=0)
        self._fill_count, self._span_count = len(fills), len(closed)
        self._open_count = len(positions) - len(closed)
        self._columns = _read_fills(fills) | _read_spans(closed)

    def __len__(self) -> int:
        return self._fill_count

    @property
    def is_too_many(self) -> bool:
        """Whether a chart of the whole run leaves some out."""
        return self._fill_count > _MOST_FILLS or self._span_count > _MOST_SPANS

    def add_spans(
        self, plot: figure, data: dict[str, dict[str, PackedColumn]], price_digits: int
    ) -> tuple[list[dict[str, Any]], str]:
        """Draw the positions; return what `chart.js` must know of them, and what to say under the chart."""
        from workbench.ui.theme import paint

        if self._span_count + self._open_count == 0:
            return [], ""
        digits = {"ts": 0, "ts1": 0, "qty": self.size_digits, "pnl": 2, "is_long": 0}
        made = []
        drawn = self._cut(tuple(name for name, _ in _SPANS), -np.inf, np.inf, _MOST_SPANS)
        for name, token in _SPANS:
            source = _embed(name, drawn[name], digits, price_digits, data)
            lines = plot.segment("ts", "y0", "ts1", "y1", source=source, line_width=1.5)
            lines.glyph.name = f"{name}_glyph"
            paint(lines.glyph, line_color=token)
            made.append({"source": name, "glyph": lines.glyph.name})
        note = f"{self._span_count:,} closed positions from entry to exit"
        if self._span_count > _MOST_SPANS:
            note = f"the first {_MOST_SPANS:,} of {note}"
        return made, note + (f"; {self._open_count:,} still open, not drawn" if self._open_count else "")

    def add_fills(
        self, plot: figure, data: dict[str, dict[str, PackedColumn]], price_digits: int
    ) -> tuple[list[dict[str, Any]], str]:
        """Draw the fills; return what `chart.js` must know of them, and what to say under the chart."""
        from workbench.ui.theme import paint

        if self._fill_count == 0:
            return [], "no fills"
        digits = {"ts": 0, "qty": self.size_digits}
        made = []
        drawn = self._cut(tuple(name for name, *_ in _FILLS), -np.inf, np.inf, _MOST_FILLS)
        for name, token, side, way in _FILLS:
            source = _embed(name, drawn[name], digits, price_digits, data)
            marks = plot.scatter("ts", "px", source=source, size=6, line_alpha=0)
            marks.glyph.name = f"{name}_glyph"
            paint(marks.glyph, fill_color=token, line_color="panel")
            made.append({"source": name, "glyph": marks.glyph.name, "way": way, "side": side})
        if self._fill_count > _MOST_FILLS:
            return made, f"the first {_MOST_FILLS:,} of {self._fill_count:,} fills"
        return made, f"{self._fill_count:,} fills, every one drawn"

    def pick(self, start: float, end: float) -> dict[str, Columns]:
        """Return the marks of a visible range of time, as many as a chart draws: data source -> columns."""
        fills = self._cut(tuple(name for name, *_ in _FILLS), start, end, _MOST_FILLS)
        spans = self._cut(tuple(name for name, _ in _SPANS), start, end, _MOST_SPANS)
        return (fills if self._fill_count else {}) | (spans if self._span_count + self._open_count else {})

    def _cut(self, names: tuple[str, ...], start: float, end: float, most: int) -> dict[str, Columns]:
        """Return the first `most` rows of several sources together that touch a range of time."""
        inside = {}
        for name in names:
            columns = self._columns[name]
            inside[name] = np.flatnonzero(
                (columns.get("ts1", columns["ts"]) >= start) & (columns["ts"] <= end)
            )
        stamps = np.sort(np.concatenate([self._columns[name]["ts"][rows] for name, rows in inside.items()]))
        made, left = {}, most
        for name, rows in inside.items():
            stamp = self._columns[name]["ts"][rows]
            kept = rows if len(stamps) <= most else rows[stamp <= stamps[most - 1]][:left]
            left -= len(kept)
            made[name] = {column: values[kept] for column, values in self._columns[name].items()}
        return made


def _read_fills(fills: pd.DataFrame) -> dict[str, Columns]:
    made = {}
    for name, _, side, _ in _FILLS:
        own = fills[fills["order_side"] == side]
        made[name] = {
            "ts": read_millis(own["ts_event"], "ts_event of the fills frame"),
            "px": read_floats(own["last_px"]),
            "qty": read_floats(own["last_qty"]),
        }
    return made


def _read_spans(closed: pd.DataFrame) -> dict[str, Columns]:
    pnl = read_floats(closed["realized_pnl"])
    made = {}
    for (name, _), mask in zip(_SPANS, (pnl > 0, ~(pnl > 0)), strict=True):
        own = closed[mask]
        made[name] = {
            "ts": read_millis(own["ts_opened"], "ts_opened of the positions frame"),
            "ts1": read_millis(own["ts_closed"], "ts_closed of the positions frame"),
            "y0": read_floats(own["avg_px_open"]),
            "y1": read_floats(own["avg_px_close"]),
            "qty": read_floats(own["peak_qty"]),
            "pnl": pnl[mask],
            "is_long": np.where(own["entry"] == "BUY", 1.0, 0.0),
        }
    return made


def _embed(
    name: str,
    columns: Columns,
    digits: dict[str, int],
    price_digits: int,
    data: dict[str, dict[str, PackedColumn]],
) -> Any:
    from bokeh.models import ColumnDataSource

    data[name] = {
        column: pack_column(values, digits.get(column, price_digits)) for column, values in columns.items()
    }
    return ColumnDataSource({column: [] for column in columns}, name=name)


def _select(
    frame: pd.DataFrame | None, columns: tuple[str, ...], instrument_id: str, what: str, order: str
) -> pd.DataFrame:
    if frame is None:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    require_columns(frame, columns, what)
    if instrument_id and "instrument_id" in frame.columns:
        frame = frame[frame["instrument_id"] == instrument_id]
    return frame.sort_values(order, kind="stable")
