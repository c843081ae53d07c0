"""Price with the fills and positions of a run on it."""

from __future__ import annotations

from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.analysis.extremes import find_extremes
from workbench.errors import InputError
from workbench.ui.candles import Candles, build_candles
from workbench.ui.cards import build_card
from workbench.ui.formats import find_places, format_duration
from workbench.ui.series import read_floats, read_millis, require_columns
from workbench.ui.static import ChartDocument, PackedColumn, build_chart_html, pack_column
from workbench.ui.view import View

if TYPE_CHECKING:
    from bokeh.plotting import figure

__all__ = ["PriceChart"]

_MOST_VISIBLE_CANDLES = 400
_MOST_CANDLES = 4_000
_MOST_FILLS = 4_000
_MOST_SPANS = 2_000
_BUCKETS = 1_500
_HEIGHT_PX = 340
_BODY_SHARE = 0.64  # of the distance between two candles
_OHLC = ("open", "high", "low", "close")
_PRICE_COLUMNS = ("ts", *_OHLC)
_FILL_COLUMNS = ("ts_event", "order_side", "last_qty", "last_px")
_SPAN_COLUMNS = ("ts_opened", "ts_closed", "entry", "peak_qty", "avg_px_open", "avg_px_close", "realized_pnl")

type _Data = dict[str, dict[str, PackedColumn]]


class PriceChart(View):
    """
    Candles or a line, with fills as small triangles and positions as lines from entry to exit.

    From far away the chart is a line through the lowest and highest close of every pixel column; where at most 400
    candles are visible they are drawn. A BUY is a teal triangle under its price, a SELL a burnt-orange one above; the
    pointer shows size, price and time. The chart says what of the run it shows.

    Parameters
    ----------
    prices : pandas.DataFrame
        Bars, ascending: ``ts`` (UTC, when the bar closes), ``open``, ``high``, ``low``, ``close`` (decimals or floats).
    fills : pandas.DataFrame, optional
        ``ts_event``, ``order_side``, ``last_qty``, ``last_px``; with `instrument_id`, also ``instrument_id``.
    positions : pandas.DataFrame, optional
        ``ts_opened``, ``ts_closed``, ``entry``, ``peak_qty``, ``avg_px_open``, ``avg_px_close``, ``realized_pnl``.
    instrument_id : str, optional
        Shown in the title; fills and positions of other instruments are left out.
    currency : str, optional
        The settlement currency of the instrument, in which ``realized_pnl`` is.

    Raises
    ------
    InputError
        If a frame lacks a column, or time stamps descend or have no zone.

    """

    def __init__(
        self,
        prices: pd.DataFrame,
        *,
        fills: pd.DataFrame | None = None,
        positions: pd.DataFrame | None = None,
        instrument_id: str = "",
        currency: str = "",
    ) -> None:
        require_columns(prices, _PRICE_COLUMNS, "the prices frame")
        self._ts = read_millis(prices["ts"], "ts of the prices frame")
        if len(self._ts) > 1 and not bool((np.diff(self._ts) >= 0).all()):
            raise InputError("the prices go back in time", expected="ascending ts", advice="sort them by ts")
        self._ohlc = {name: read_floats(prices[name]) for name in _OHLC}
        self._fills = _select(fills, _FILL_COLUMNS, instrument_id, "the fills frame", "ts_event")
        self._positions = _select(positions, _SPAN_COLUMNS, instrument_id, "the positions frame", "ts_opened")
        self._instrument_id = instrument_id
        self._currency = currency
        self._price_digits = _find_price_digits(self._fills["last_px"], prices["close"])
        self._size_digits = find_places(_decimals(self._fills["last_qty"]), default=0)

    def __repr__(self) -> str:
        return f"PriceChart({self._instrument_id}; {len(self._ts):,} bars, {len(self._fills):,} fills)"

    def build_html(self) -> str:
        """Return the chart with its title and what it shows, as a card."""
        right = ", ".join(filter(None, (self._instrument_id, "UTC")))
        title = "Price and fills"
        if len(self._ts) == 0:
            body = "<div class='wb-empty'>No prices for this instrument in the range of the run.</div>"
            return build_card(title, body, right=right)
        candles = build_candles(self._ts, self._ohlc, most=_MOST_CANDLES)
        document, notes = self._build_document(candles)
        chart = build_chart_html(document, height=_HEIGHT_PX + 20)
        note = f"<div class='wb-note'>{escape('; '.join(notes))}.</div>"
        return build_card(title, f"{chart}{note}", right=right)

    def _build_document(self, candles: Candles) -> tuple[ChartDocument, list[str]]:
        from bokeh.layouts import column

        from workbench.ui.axes import build_time_figures

        top = float(np.nanmax(self._ohlc["high"]))
        (plot,) = build_time_figures(
            [("price", _HEIGHT_PX, "")],
            start=float(self._ts[0]) - candles.step,
            end=float(self._ts[-1]) + candles.step,
            label_chars=len(f"{top:,.{self._price_digits}f}") + 1,
        )
        data: _Data = {}
        kept = self._add_line(plot, data)
        self._add_candles(plot, candles, data)
        spans, span_note = self._add_spans(plot, data)
        fills, fill_note = self._add_fills(plot, data)
        notes = [self._describe_prices(candles, kept), fill_note, span_note]
        field = {"source": "bars", "x": "ts", "digits": self._price_digits, "unit": "", "signed": False}
        lines = [
            {"source": "line", "x": "ts", "y": "close", "when": "line_renderer"},
            *({"source": "bars", "x": "ts", "y": y, "when": "wicks"} for y in ("low", "high")),
            *({"source": fill["source"], "x": "ts", "y": "px"} for fill in fills),
        ]
        document = ChartDocument(
            root=column(plot, sizing_mode="stretch_width"),
            data=data,
            read={
                "figures": ["price"],
                "fields": [{**field, "label": name.capitalize(), "y": name} for name in _OHLC],
                "seconds": candles.step < 60_000,
            },
            fit=[{"figure": "price", "lines": lines}],
            detail={
                "figure": "price",
                "candles": {
                    "source": "bars",
                    "most": _MOST_VISIBLE_CANDLES,
                    "show": ["wicks", "bodies_up", "bodies_down", "flat_bodies"],
                    "hide": ["line_renderer"],
                    "bodies": ["bodies_up_glyph", "bodies_down_glyph"],
                    "width": candles.step * _BODY_SHARE,
                },
                "markers": [{"source": f["source"], "glyph": f["glyph"], "way": f["way"]} for f in fills],
                "spans": [s["glyph"] for s in spans],
            },
            tips={
                "figure": "price",
                "fills": fills,
                "spans": spans,
                "price_digits": self._price_digits,
                "size_digits": self._size_digits,
                "currency": self._currency,
            },
        )
        return document, [note for note in notes if note]

    def _describe_prices(self, candles: Candles, kept: int) -> str:
        count = len(self._ts)
        if candles.per_candle == 1:
            return f"{count:,} bars; candles when at most {_MOST_VISIBLE_CANDLES} are visible"
        span = format_duration(candles.step / 1_000)
        return (
            f"{count:,} bars: a line through {kept:,} closes with every pixel column's lowest and highest, "
            f"and candles of {span} ({candles.per_candle} bars) when zoomed in"
        )

    def _add_line(self, plot: figure, data: _Data) -> int:
        from bokeh.models import ColumnDataSource

        from workbench.ui.theme import paint

        close = self._ohlc["close"]
        rows = find_extremes(self._ts, (close,), _BUCKETS)
        data["line"] = {
            "ts": pack_column(self._ts[rows], 0),
            "close": pack_column(close[rows], self._price_digits),
        }
        source = ColumnDataSource({"ts": [], "close": []}, name="line")
        line = plot.line(
            "ts", "close", source=source, line_width=1.3, line_join="round", name="line_renderer"
        )
        paint(line.glyph, line_color="mute")
        return len(rows)

    def _add_candles(self, plot: figure, candles: Candles, data: _Data) -> None:
        from bokeh.models import CDSView, ColumnDataSource, IndexFilter

        from workbench.ui.theme import paint

        prices = {name: pack_column(values, self._price_digits) for name, values in candles.ohlc.items()}
        data["bars"] = {"ts": pack_column(candles.ts, 0), **prices}
        source = ColumnDataSource({name: [] for name in data["bars"]}, name="bars")
        wicks = plot.segment(
            "ts", "low", "ts", "high", source=source, line_width=1, name="wicks", visible=False
        )
        paint(wicks.glyph, line_color="mute")
        is_up = candles.ohlc["close"] >= candles.ohlc["open"]
        for name, token, mask in (("bodies_up", "up", is_up), ("bodies_down", "down", ~is_up)):
            # Thick lines, whose width `chart.js` keeps in step with the zoom: Bokeh's VBar leaves a line at the edge of
            # the frame for every bar that is outside.
            body = plot.segment(
                "ts",
                "open",
                "ts",
                "close",
                source=source,
                view=CDSView(filter=IndexFilter(indices=np.flatnonzero(mask).tolist())),
                line_width=3,
                line_cap="butt",
                line_alpha=0.5,  # behind the fills, which have the same two colours
                name=name,
                visible=False,
            )
            body.glyph.name = f"{name}_glyph"
            paint(body.glyph, line_color=token)
        is_flat = candles.ohlc["close"] == candles.ohlc["open"]
        half = candles.step * _BODY_SHARE / 2
        data["flats"] = {
            "ts": pack_column(candles.ts[is_flat] - half, 0),
            "ts1": pack_column(candles.ts[is_flat] + half, 0),
            "close": pack_column(candles.ohlc["close"][is_flat], self._price_digits),
        }
        flats = plot.segment(
            "ts",
            "close",
            "ts1",
            "close",
            source=ColumnDataSource({name: [] for name in data["flats"]}, name="flats"),
            line_width=1.5,
            name="flat_bodies",
            visible=False,
        )
        paint(flats.glyph, line_color="mute")

    def _add_fills(self, plot: figure, data: _Data) -> tuple[list[dict[str, Any]], str]:
        from bokeh.models import ColumnDataSource

        from workbench.ui.theme import paint

        total = len(self._fills)
        if total == 0:
            return [], "no fills"
        part = self._fills.iloc[:_MOST_FILLS]
        made = []
        # way: on a canvas y grows downwards, so +1 hangs the triangle under its price.
        for side, token, way in (("BUY", "up", 1), ("SELL", "down", -1)):
            own = part[part["order_side"] == side]
            name = f"fills_{side}"
            data[name] = {
                "ts": pack_column(read_millis(own["ts_event"], "ts_event of the fills frame"), 0),
                "px": pack_column(read_floats(own["last_px"]), self._price_digits),
                "qty": pack_column(read_floats(own["last_qty"]), self._size_digits),
            }
            source = ColumnDataSource({column: [] for column in data[name]}, name=name)
            marks = plot.scatter("ts", "px", source=source, size=6, line_alpha=0)
            marks.glyph.name = f"{name}_glyph"
            paint(marks.glyph, fill_color=token, line_color="panel")
            made.append({"source": name, "glyph": marks.glyph.name, "way": way, "side": side})
        if len(part) < total:
            return made, f"the first {len(part):,} of {total:,} fills"
        return made, f"{total:,} fills, every one drawn"

    def _add_spans(self, plot: figure, data: _Data) -> tuple[list[dict[str, Any]], str]:
        from bokeh.models import ColumnDataSource

        from workbench.ui.theme import paint

        total = len(self._positions)
        if total == 0:
            return [], ""
        closed = self._positions[self._positions["ts_closed"].notna()]
        part = closed.iloc[:_MOST_SPANS]
        pnl = read_floats(part["realized_pnl"])
        made = []
        for name, token, mask in (("spans_up", "up", pnl > 0), ("spans_down", "down", ~(pnl > 0))):
            own = part[mask]
            opened = read_millis(own["ts_opened"], "ts_opened of the positions frame")
            closed_ = read_millis(own["ts_closed"], "ts_closed of the positions frame")
            data[name] = {
                "ts": pack_column(opened, 0),
                "ts1": pack_column(closed_, 0),
                "y0": pack_column(read_floats(own["avg_px_open"]), self._price_digits),
                "y1": pack_column(read_floats(own["avg_px_close"]), self._price_digits),
                "qty": pack_column(read_floats(own["peak_qty"]), self._size_digits),
                "pnl": pack_column(pnl[mask], 2),
                "is_long": pack_column(np.where(own["entry"] == "BUY", 1.0, 0.0), 0),
            }
            source = ColumnDataSource({column: [] for column in data[name]}, name=name)
            lines = plot.segment("ts", "y0", "ts1", "y1", source=source, line_width=1.5)
            lines.glyph.name = f"{name}_glyph"
            paint(lines.glyph, line_color=token)
            made.append({"source": name, "glyph": lines.glyph.name})
        note = f"{len(part):,} closed positions from entry to exit"
        if len(part) < len(closed):
            note = f"the first {len(part):,} of {len(closed):,} closed positions from entry to exit"
        open_count = total - len(closed)
        return made, note + (f"; {open_count:,} still open, not drawn" if open_count else "")


def _select(
    frame: pd.DataFrame | None, columns: tuple[str, ...], instrument_id: str, what: str, order: str
) -> pd.DataFrame:
    if frame is None:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    require_columns(frame, columns, what)
    if instrument_id and "instrument_id" in frame.columns:
        frame = frame[frame["instrument_id"] == instrument_id]
    return frame.sort_values(order, kind="stable")


def _decimals(column: pd.Series) -> list[Decimal | None]:
    return [value if isinstance(value, Decimal) else None for value in column]


def _find_price_digits(fills: pd.Series, closes: pd.Series) -> int:
    """Return the decimals of the instrument's prices, from what is exact; floats are read as they print."""
    exact = [*_decimals(fills), *_decimals(closes)]
    if any(value is not None for value in exact):
        return find_places(exact)
    printed = closes.dropna().iloc[:1_000]
    return find_places([Decimal(repr(float(value))) for value in printed])
