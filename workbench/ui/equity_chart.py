"""Equity marked to market, with its drawdown under it, on one time axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.samples import Samples
from workbench.ui.series import read_floats, read_millis, require_columns
from workbench.ui.static import ChartDocument, PackedColumn, build_chart_html, pack_column
from workbench.ui.time_chart import TimeChart

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["EquityCurveChart"]

_SERIES_TOKENS = ("accent", "other1", "other3", "other4", "other5", "other2")
_BENCHMARK = "mute"
_BUCKETS = 1_500  # finer than the pixel columns of a 1440 px screen, so that zooming in shows more
_HEIGHT_PX = 360
_DRAWDOWN_SHARE = 0.305
_LEAST_DRAWDOWN_PX = 100  # With its time axis: two labels one above the other
_READOUT_PX = 20
_ONE = "Equity"


@dataclass
class _Curve:
    label: str
    token: str
    source: str
    samples: Samples
    peak: float  # the highest equity so far
    last: float  # the latest time, pushed but perhaps not yet among the samples

    @property
    def is_benchmark(self) -> bool:
        return self.token == _BENCHMARK


class EquityCurveChart(TimeChart):
    """
    Equity over time with drawdown under it; several runs are laid over each other with direct labels.

    The pointer shows the values, the wheel zooms in time and the value axis follows, a double click resets. Of many
    samples the smallest and largest per pixel column are drawn, so that no extreme is lost, and the chart says so. In a
    kernel zooming in loads what is visible, from millions of samples; `append` lets the curve grow while it is shown.

    Parameters
    ----------
    runs : pandas.DataFrame, Mapping of str to pandas.DataFrame, or None
        One run, or label -> run for a comparison (at most 6). Columns ``ts`` (UTC time stamps, ascending) and
        ``equity`` (decimals or numbers in `currency`; missing where no conversion rate was known). ``None``: none yet.
    currency : str
        The reporting currency of all of them.
    benchmark : pandas.DataFrame, optional
        A further curve with the same columns and currency, drawn muted.
    benchmark_label : str, default "Benchmark"
        Its name.
    name, on_pick
        See `TimeChart`.
    rollover : int, default 10,000,000
        The most samples of a curve to hold; when more are appended, the older ones keep only their extremes.
    height : int, default 360
        Of both frames together, in CSS pixels.

    Raises
    ------
    InputError
        If a frame lacks a column, its time stamps descend or have no zone, or there are too many runs.

    """

    def __init__(
        self,
        runs: pd.DataFrame | Mapping[str, pd.DataFrame] | None,
        currency: str,
        *,
        benchmark: pd.DataFrame | None = None,
        benchmark_label: str = "Benchmark",
        name: str = "",
        on_pick: Callable[[float], object] | None = None,
        rollover: int = 10_000_000,
        height: int = _HEIGHT_PX,
    ) -> None:
        super().__init__(name=name, on_pick=on_pick)
        self.currency = currency
        self._lower_px = max(round(height * _DRAWDOWN_SHARE), _LEAST_DRAWDOWN_PX)
        self._upper_px = height - self._lower_px
        self._rollover = rollover
        self._curves: dict[str, _Curve] = {}
        frames = {} if runs is None else {_ONE: runs} if isinstance(runs, pd.DataFrame) else dict(runs)
        if len(frames) > len(_SERIES_TOKENS):
            raise _refuse(len(frames))
        for (label, frame), token in zip(frames.items(), _SERIES_TOKENS, strict=False):
            self._add(label, token, *_read_equity(label, frame))
        if benchmark is not None:
            self._add(benchmark_label, _BENCHMARK, *_read_equity(benchmark_label, benchmark))

    def __repr__(self) -> str:
        labels = ", ".join(curve.label for curve in self._known) or "no samples"
        return f"EquityCurveChart({labels}; {self.currency})"

    def append(
        self,
        ts: datetime | int | pd.DatetimeIndex | Sequence[datetime] | Sequence[int],
        equity: ArrayLike,
        *,
        label: str | None = None,
    ) -> None:
        """
        Add one sample or a batch at the end of a curve; from any thread, as often as one likes.

        Parameters
        ----------
        ts : datetime, int or a sequence of them
            UTC: with a zone, or nanoseconds since the epoch; ascending and not before the last one.
        equity : number or sequence of them
            In the currency of the chart; missing values as NaN.
        label : str, optional
            Which curve; one that is not there is added. Default: the only one.

        Raises
        ------
        InputError
            If the times go back, have no zone, or are not as many as the values.

        """
        if label is None:
            label = next(iter(self._curves)) if len(self._curves) == 1 else _ONE
        what = f"the equity of {label!r}"
        millis = _read_stamps(ts, f"ts of {what}")
        values = np.atleast_1d(np.asarray(equity, dtype=np.float64))
        if len(millis) != len(values):
            raise InputError(f"{len(millis)} times and {len(values)} values", expected="as many of each")
        if len(millis) == 0:
            return
        with self._lock:
            curve = self._curves.get(label)
            if curve is None:
                used = sum(not other.is_benchmark for other in self._curves.values())
                if used >= len(_SERIES_TOKENS):
                    raise _refuse(used + 1)
                curve = self._add(label, _SERIES_TOKENS[used], np.empty(0), np.empty(0))
            _require_order(np.append(curve.last, millis), what)
            drawdown, curve.peak = _measure_drawdown(values, curve.peak)
            curve.last = float(millis[-1])
            self._push(curve.source, millis, {"equity": values, "drawdown": drawdown})

    def clear(self) -> None:
        """Forget every curve; what is appended next is drawn anew. From any thread."""
        with self._lock:
            self._pending.clear()
            self._curves.clear()
            self._samples.clear()
            self._drawn = {}

    @property
    def _known(self) -> list[_Curve]:
        return [curve for curve in self._curves.values() if len(curve.samples)]

    def _add(
        self, label: str, token: str, millis: NDArray[np.float64], equity: NDArray[np.float64]
    ) -> _Curve:
        drawdown, peak = _measure_drawdown(equity, -np.inf)
        samples = Samples(millis, {"equity": equity, "drawdown": drawdown}, most=self._rollover)
        source = f"curve{len(self._curves)}"
        last = float(millis[-1]) if len(millis) else -np.inf
        self._curves[label] = _Curve(label, token, source, samples, peak, last)
        self._samples[source] = samples
        return self._curves[label]

    def _render(self, *, is_live: bool) -> str:
        title, right = "Equity, marked to market", ", ".join(filter(None, (self.currency, "UTC")))
        if not self._known:
            words = (
                "No equity samples yet: the curve begins with the first."
                if is_live
                else "No equity samples: the run ended before its first one."
            )
            return build_card(title, f"<div class='wb-empty'>{words}</div>", right=right)
        document, shown = self._build_document(is_live=is_live)
        chart = build_chart_html(document, height=self._upper_px + self._lower_px + _READOUT_PX)
        total = sum(curve.samples.total for curve in self._known)
        note = ""
        if shown < total and is_live:
            note = "The lowest and highest sample of every pixel column; zooming in loads finer ones."
        elif shown < total:
            note = f"{shown:,} of {total:,} samples drawn: the first, last, lowest and highest of every pixel column."
        return build_card(title, chart + (f"<div class='wb-note'>{note}</div>" if note else ""), right=right)

    def _build_document(self, *, is_live: bool) -> tuple[ChartDocument, int]:
        from bokeh.layouts import column
        from bokeh.models import ColumnDataSource

        from workbench.ui.axes import add_end_label, build_time_figures
        from workbench.ui.theme import FONT_NUMBERS, paint

        curves = self._known
        top = max(float(np.nanmax(np.abs(curve.samples.columns["equity"]))) for curve in curves)
        upper, lower = build_time_figures(
            [("equity", self._upper_px, ""), ("drawdown", self._lower_px, " %")],
            start=min(float(curve.samples.millis[0]) for curve in curves),
            end=max(float(curve.samples.millis[-1]) for curve in curves),
            label_chars=len(f"{top:,.0f}") + 3,
        )
        fields: list[dict[str, Any]] = []
        ends: list[dict[str, str]] = []
        data: dict[str, dict[str, PackedColumn]] = {}
        several = len(curves) > 1
        shown = 0
        for curve in curves:
            name = curve.source
            rows = curve.samples.pick(_BUCKETS)
            shown += len(rows)
            drawn = curve.samples.take(rows)
            data[name] = {
                "ts": pack_column(drawn["ts"], 0),
                "equity": pack_column(drawn["equity"], 2 if top >= 100 else 8),
                "drawdown": pack_column(drawn["drawdown"], 3),
            }
            source = ColumnDataSource({column_: [] for column_ in data[name]}, name=name)
            line = upper.line("ts", "equity", source=source, line_width=1.6, line_join="round")
            if curve.is_benchmark:
                line.glyph.line_dash = "dashed"
            paint(line.glyph, line_color=curve.token)
            if several:
                under = lower.line("ts", "drawdown", source=source, line_width=1.2)
                paint(under.glyph, line_color=curve.token)
                label = add_end_label(upper, f"{name}_label", curve.label, curve.token)
                ends.append({"label": label, "figure": "equity", "source": name, "x": "ts", "y": "equity"})
            else:
                area = lower.varea("ts", 0, "drawdown", source=source, fill_alpha=0.3)
                paint(area.glyph, fill_color="down")
            title = curve.label if several else "Equity"
            field = _field(title, name, "equity", 2, self.currency, signed=False)
            fields.append({**field, "token": curve.token} if several else field)
            if not several:
                fields.append(_field("Drawdown", name, "drawdown", 2, "%", signed=True))
        step = min((c.samples.millis[-1] - c.samples.millis[0]) / max(len(c.samples) - 1, 1) for c in curves)
        for figure_ in (upper, lower):
            figure_.yaxis.major_label_text_font = FONT_NUMBERS
        lines = {y: [{"source": c.source, "x": "ts", "y": y} for c in curves] for y in ("equity", "drawdown")}
        document = ChartDocument(
            root=column(upper, lower, sizing_mode="stretch_width", spacing=0),
            data=data,
            read={
                "figures": ["equity", "drawdown"],
                "fields": fields,
                "seconds": bool(step < 60_000),
                "ends": ends,
            },
            fit=[
                {"figure": "equity", "lines": lines["equity"]},
                {"figure": "drawdown", "top": 0, "lines": lines["drawdown"]},
            ],
            name=self.name if is_live else "",
            is_live=is_live,
        )
        return document, shown


def _field(label: str, source: str, column: str, digits: int, unit: str, *, signed: bool) -> dict[str, Any]:
    return {
        "label": label,
        "source": source,
        "x": "ts",
        "y": column,
        "digits": digits,
        "unit": unit,
        "signed": signed,
    }


def _refuse(count: int) -> InputError:
    return InputError(
        f"{count} runs in one chart",
        expected=f"at most {len(_SERIES_TOKENS)}",
        advice="choose the runs to compare, or use a table",
    )


def _read_stamps(ts: object, what: str) -> NDArray[np.float64]:
    # One sample may come a thousand times a second: a frame for each would cost more than all the rest.
    if isinstance(ts, int | np.integer):
        return np.array([int(ts) / 1e6])
    if isinstance(ts, datetime) and ts.tzinfo is not None:
        return np.array([ts.timestamp() * 1e3])
    return read_millis(pd.Series([ts] if isinstance(ts, datetime) else ts), what)


def _require_order(millis: NDArray[np.float64], what: str) -> None:
    if len(millis) > 1 and not bool((millis[1:] >= millis[:-1]).all()):
        raise InputError(f"{what} goes back in time", expected="ascending ts", advice="sort it by ts")


def _measure_drawdown(equity: NDArray[np.float64], peak: float) -> tuple[NDArray[np.float64], float]:
    """Return the drawdown in per cent, 0 or below, and the new peak; `peak` is the highest equity before."""
    if len(equity) == 0:
        return equity, peak
    peaks = np.fmax(np.fmax.accumulate(equity), peak)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawdown = np.where(peaks > 0, (equity / peaks - 1.0) * 100.0, np.nan)
    return drawdown, float(peaks[-1]) if not np.isnan(peaks[-1]) else peak


def _read_equity(label: str, frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    what = f"the equity of {label!r}"
    require_columns(frame, ("ts", "equity"), what)
    millis = read_millis(frame["ts"], f"ts of {what}")
    equity = read_floats(frame["equity"])
    _require_order(millis, what)
    return (millis[:0], equity[:0]) if np.isnan(equity).all() else (millis, equity)
