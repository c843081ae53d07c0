"""Price with the fills and positions of a run on it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import InputError
from workbench.ui.candles import Candles, build_candles
from workbench.ui.cards import build_card
from workbench.ui.formats import find_places, format_duration
from workbench.ui.price_marks import PriceMarks
from workbench.ui.samples import Samples
from workbench.ui.series import read_decimals, read_floats, read_millis, require_columns
from workbench.ui.static import ChartDocument, PackedColumn, build_chart_html, pack_column
from workbench.ui.time_chart import TimeChart

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from numpy.typing import NDArray

__all__ = ["PriceChart"]

_MOST_VISIBLE_CANDLES = 400
_MOST_CANDLES = 4_000
_MOST_SENT_CANDLES = 1_200  # of what is visible and as much on either side: at most 400 are visible
_BUCKETS = 1_500
_HEIGHT_PX = 340
_BODY_SHARE = 0.64  # of the distance between two candles
_OHLC = ("open", "high", "low", "close")
_PRICE_COLUMNS = ("ts", *_OHLC)
type _Data = dict[str, dict[str, PackedColumn]]
type _Prices = tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]


class PriceChart(TimeChart):
    """
    Candles or a line, with fills as small triangles and positions as lines from entry to exit.

    From far away the chart is a line through the lowest and highest close of every pixel column; where at most 400
    candles are visible they are drawn. A BUY is a teal triangle under its price, a SELL a burnt-orange one above; the
    pointer shows size, price and time. The chart says what of the run it shows. In a kernel zooming in loads finer
    candles, and the fills of what is visible.

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
    load_prices : Callable[[pandas.Timestamp, pandas.Timestamp], pandas.DataFrame], optional
        Loads bars like `prices` between two times (UTC), where `prices` is only an overview of them. Called on a
        thread of its own.
    name : str, optional
        See `TimeChart`.
    on_pick : Callable[[float], object], optional
        Called with the time of the fill, or with the entry of the position, that was clicked.

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
        load_prices: Callable[[pd.Timestamp, pd.Timestamp], pd.DataFrame] | None = None,
        name: str = "",
        on_pick: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_pick=on_pick)
        self._ts, self._ohlc = _read_prices(prices)
        self._samples["line"] = Samples(self._ts, {"close": self._ohlc["close"]})
        self._marks = PriceMarks(fills, positions, instrument_id)
        self._load_prices = load_prices
        self._instrument_id = instrument_id
        self._currency = currency
        self._price_digits = _find_price_digits(self._marks.prices, prices["close"])

    def __repr__(self) -> str:
        return f"PriceChart({self._instrument_id}; {len(self._ts):,} bars, {len(self._marks):,} fills)"

    def _render(self, *, is_live: bool) -> str:
        right = ", ".join(filter(None, (self._instrument_id, "UTC")))
        title = "Price and fills"
        if len(self._ts) == 0:
            body = "<div class='wb-empty'>No prices for this instrument in the range of the run.</div>"
            return build_card(title, body, right=right)
        candles = build_candles(self._ts, self._ohlc, most=_MOST_CANDLES)
        document, notes = self._build_document(candles, is_live=is_live)
        chart = build_chart_html(document, height=_HEIGHT_PX + 20)
        note = f"<div class='wb-note'>{escape('; '.join(notes))}.</div>"
        return build_card(title, f"{chart}{note}", right=right)

    def _build_document(self, candles: Candles, *, is_live: bool) -> tuple[ChartDocument, list[str]]:
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
        spans, span_note = self._marks.add_spans(plot, data, self._price_digits)
        fills, fill_note = self._marks.add_fills(plot, data, self._price_digits)
        notes = [self._describe_prices(candles, kept), fill_note, span_note]
        has_more = candles.per_candle > 1 or self._load_prices is not None or self._marks.is_too_many
        if is_live and has_more:
            notes.append("zooming in loads the rest")
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
                },
                "markers": [{"source": f["source"], "glyph": f["glyph"], "way": f["way"]} for f in fills],
                "spans": [s["glyph"] for s in spans],
            },
            tips={
                "figure": "price",
                "fills": fills,
                "spans": spans,
                "price_digits": self._price_digits,
                "size_digits": self._marks.size_digits,
                "currency": self._currency,
            },
            name=self.name if is_live else "",
            is_live=is_live and has_more,
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

        rows = self._samples["line"].pick(_BUCKETS)
        drawn = self._samples["line"].take(rows)
        data["line"] = {
            "ts": pack_column(drawn["ts"], 0),
            "close": pack_column(drawn["close"], self._price_digits),
        }
        source = ColumnDataSource({"ts": [], "close": []}, name="line")
        line = plot.line(
            "ts", "close", source=source, line_width=1.3, line_join="round", name="line_renderer"
        )
        paint(line.glyph, line_color="mute")
        return len(rows)

    def _add_candles(self, plot: figure, candles: Candles, data: _Data) -> None:
        from bokeh.models import ColumnDataSource

        from workbench.ui.theme import paint

        columns = _build_bars(candles)
        data["bars"] = {
            name: pack_column(values, 0 if name in ("ts", "width") else self._price_digits)
            for name, values in columns.items()
        }
        # `chart.js` completes what the bodies are drawn with: the open of candles that rose, fell, did neither.
        source = ColumnDataSource(
            {name: [] for name in (*columns, "up", "down", "flat", "ts0", "ts1")}, name="bars"
        )
        wicks = plot.segment(
            "ts", "low", "ts", "high", source=source, line_width=1, name="wicks", visible=False
        )
        paint(wicks.glyph, line_color="mute")
        for token in ("up", "down"):
            # Thick lines, whose width `chart.js` keeps in step with the zoom: Bokeh's VBar leaves a line at the edge of
            # the frame for every bar that is outside.
            body = plot.segment(
                "ts",
                token,
                "ts",
                "close",
                source=source,
                line_width=3,
                line_cap="butt",
                line_alpha=0.5,  # behind the fills, which have the same two colours
                name=f"bodies_{token}",
                visible=False,
            )
            body.glyph.name = f"bodies_{token}_glyph"
            paint(body.glyph, line_color=token)
        flats = plot.segment(
            "ts0", "flat", "ts1", "flat", source=source, line_width=1.5, name="flat_bodies", visible=False
        )
        paint(flats.glyph, line_color="mute")

    def _send(self) -> None:
        """Load what is visible and as much on either side, where that has not been given."""
        view = self._view
        load = self._load_prices
        if view is None or load is None:
            self._show((self._ts, self._ohlc), view)
            return
        start, end = view
        span = end - start
        limits = [pd.Timestamp(round(t * 1e6), tz="UTC") for t in (start - span, end + span)]
        self._loop.work(
            lambda: _read_prices(load(*limits)),
            lambda prices: self._show(prices, view),
            lambda error: self._complain(error, view),
        )

    def _complain(self, error: Exception, view: tuple[float, float]) -> None:
        self._show((self._ts, self._ohlc), view)
        if self._live is not None:
            self._live.problem = f"The prices of this range could not be loaded: {error}"

    def _show(self, prices: _Prices, view: tuple[float, float] | None) -> None:
        live = self._live
        if live is None or len(self._ts) == 0:
            return
        whole = self._samples["line"]
        line = whole.take(whole.pick(self._find_buckets(), *(view or ())))
        ts, ohlc = prices
        if view is not None:
            start, end = view
            first = int(np.searchsorted(ts, 2 * start - end))
            last = int(np.searchsorted(ts, 2 * end - start, side="right"))
            ts, ohlc = ts[first:last], {name: values[first:last] for name, values in ohlc.items()}
            for name, columns in self._marks.pick(start, end).items():
                live.send_data(self.name, name, columns)
        if len(ts):
            inner = Samples(ts, {"close": ohlc["close"]})
            fine = inner.take(inner.pick(self._find_buckets(), *(view or ())))
            before, after = line["ts"] < ts[0], line["ts"] > ts[-1]
            line = {
                name: np.concatenate([line[name][before], fine[name], line[name][after]]) for name in line
            }
            candles = build_candles(ts, ohlc, most=_MOST_CANDLES if view is None else _MOST_SENT_CANDLES)
            live.send_data(self.name, "bars", _build_bars(candles))
        live.send_data(self.name, "line", line)


def _read_prices(prices: pd.DataFrame) -> _Prices:
    require_columns(prices, _PRICE_COLUMNS, "the prices frame")
    ts = read_millis(prices["ts"], "ts of the prices frame")
    if len(ts) > 1 and not bool((np.diff(ts) >= 0).all()):
        raise InputError("the prices go back in time", expected="ascending ts", advice="sort them by ts")
    return ts, {name: read_floats(prices[name]) for name in _OHLC}


def _build_bars(candles: Candles) -> dict[str, NDArray[np.float64]]:
    width = np.full(len(candles.ts), round(candles.step * _BODY_SHARE), dtype=np.float64)
    return {"ts": candles.ts, **candles.ohlc, "width": width}


def _find_price_digits(fills: pd.Series, closes: pd.Series) -> int:
    """Return the decimals of the instrument's prices, from what is exact; floats are read as they print."""
    exact = [*read_decimals(fills), *read_decimals(closes)]
    if any(value is not None for value in exact):
        return find_places(exact)
    printed = closes.dropna().iloc[:1_000]
    return find_places([Decimal(repr(float(value))) for value in printed])
