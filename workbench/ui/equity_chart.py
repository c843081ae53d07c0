"""Equity marked to market, with its drawdown under it, on one time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.analysis.extremes import find_extremes
from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.series import read_floats, read_millis, require_columns
from workbench.ui.static import ChartDocument, PackedColumn, build_chart_html, pack_column
from workbench.ui.view import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EquityCurveChart"]

_SERIES_TOKENS = ("accent", "other1", "other2", "other3", "other4", "other5")
_BUCKETS = 1_500  # finer than the pixel columns of a 1440 px screen, so that zooming in shows more
_EQUITY_PX = 250
_DRAWDOWN_PX = 110
_READOUT_PX = 20
_LABEL_PX = 18


@dataclass(frozen=True)
class _Curve:
    label: str
    token: str
    millis: NDArray[np.float64]
    equity: NDArray[np.float64]
    drawdown: NDArray[np.float64]  # percent, 0 or below
    total: int


class EquityCurveChart(View):
    """
    Equity over time with drawdown under it; several runs are laid over each other with direct labels.

    The pointer shows the values, the wheel zooms in time and the value axis follows, a double click resets. Of many
    samples the smallest and largest per pixel column are embedded, so that no extreme is lost, and the chart says so.

    Parameters
    ----------
    runs : pandas.DataFrame or Mapping of str to pandas.DataFrame
        One run, or label -> run for a comparison (at most 6). Columns ``ts`` (UTC time stamps, ascending) and
        ``equity`` (decimals or numbers in `currency`; missing where no conversion rate was known).
    currency : str
        The reporting currency of all of them.
    benchmark : pandas.DataFrame, optional
        A further curve with the same columns and currency, drawn muted.
    benchmark_label : str, default "Benchmark"
        Its name.

    Raises
    ------
    InputError
        If a frame lacks a column, its time stamps descend or have no zone, or there are too many runs.

    """

    def __init__(
        self,
        runs: pd.DataFrame | Mapping[str, pd.DataFrame],
        currency: str,
        *,
        benchmark: pd.DataFrame | None = None,
        benchmark_label: str = "Benchmark",
    ) -> None:
        frames = {"Equity": runs} if isinstance(runs, pd.DataFrame) else dict(runs)
        if len(frames) > len(_SERIES_TOKENS):
            raise InputError(
                f"{len(frames)} runs in one chart",
                expected=f"at most {len(_SERIES_TOKENS)}",
                advice="choose the runs to compare, or use a table",
            )
        curves = [
            _read_curve(label, frame, token)
            for (label, frame), token in zip(frames.items(), _SERIES_TOKENS, strict=False)
        ]
        if benchmark is not None:
            curves.append(_read_curve(benchmark_label, benchmark, "mute"))
        self.currency = currency
        self._curves = [curve for curve in curves if curve.total]

    def __repr__(self) -> str:
        labels = ", ".join(curve.label for curve in self._curves) or "no samples"
        return f"EquityCurveChart({labels}; {self.currency})"

    def build_html(self) -> str:
        """Return the chart with its title line, as a card."""
        title, right = "Equity, marked to market", f"{self.currency}, UTC"
        if not self._curves:
            body = "<div class='wb-empty'>No equity samples: the run ended before its first one.</div>"
            return build_card(title, body, right=right)
        height = _EQUITY_PX + _DRAWDOWN_PX + _READOUT_PX
        chart = build_chart_html(self._build_document(), height=height)
        return build_card(title, f"{chart}{self._build_note()}", right=right)

    def _build_note(self) -> str:
        total = sum(curve.total for curve in self._curves)
        shown = sum(len(curve.millis) for curve in self._curves)
        if shown == total:
            return ""
        return (
            f"<div class='wb-note'>{shown:,} of {total:,} samples drawn: the first, last, lowest and highest "
            "of every pixel column.</div>"
        )

    def _build_document(self) -> ChartDocument:
        from bokeh.layouts import column
        from bokeh.models import ColumnDataSource, Label

        from workbench.ui.axes import build_time_figures
        from workbench.ui.theme import FONT_NUMBERS, paint

        top = max(float(np.nanmax(curve.equity)) for curve in self._curves)
        upper, lower = build_time_figures(
            [("equity", _EQUITY_PX, ""), ("drawdown", _DRAWDOWN_PX, " %")],
            start=min(float(curve.millis[0]) for curve in self._curves),
            end=max(float(curve.millis[-1]) for curve in self._curves),
            label_chars=len(f"{top:,.0f}") + 3,
        )
        fields: list[dict[str, Any]] = []
        data: dict[str, dict[str, PackedColumn]] = {}
        several = len(self._curves) > 1
        heights = _spread_labels(self._curves)
        for k, curve in enumerate(self._curves):
            name = f"curve{k}"
            data[name] = {
                "ts": pack_column(curve.millis, 0),
                "equity": pack_column(curve.equity, _find_digits(curve.equity)),
                "drawdown": pack_column(curve.drawdown, 3),
            }
            source = ColumnDataSource({column_: [] for column_ in data[name]}, name=name)
            line = upper.line("ts", "equity", source=source, line_width=1.6, line_join="round")
            paint(line.glyph, line_color=curve.token)
            if several:
                under = lower.line("ts", "drawdown", source=source, line_width=1.2)
                paint(under.glyph, line_color=curve.token)
                label = Label(
                    x=float(curve.millis[-1]),
                    y=heights[k],
                    text=curve.label,
                    text_align="right",
                    text_baseline="middle",
                    x_offset=-4,
                    text_font_size="12px",
                    text_font_style="bold",
                    background_fill_alpha=0.85,
                    padding=2,
                )
                paint(label, text_color=curve.token, background_fill_color="panel")
                upper.add_layout(label)
            else:
                area = lower.varea("ts", 0, "drawdown", source=source, fill_alpha=0.3)
                paint(area.glyph, fill_color="down")
            title = curve.label if several else "Equity"
            field = _field(title, name, "equity", 2, self.currency, signed=False)
            fields.append({**field, "token": curve.token} if several else field)
            if not several:
                fields.append(_field("Drawdown", name, "drawdown", 2, "%", signed=True))
        for figure_ in (upper, lower):
            figure_.yaxis.major_label_text_font = FONT_NUMBERS
        names = [f"curve{k}" for k in range(len(self._curves))]
        return ChartDocument(
            root=column(upper, lower, sizing_mode="stretch_width", spacing=0),
            data=data,
            read={"figures": ["equity", "drawdown"], "fields": fields, "seconds": False},
            fit=[
                {"figure": "equity", "lines": [{"source": n, "x": "ts", "y": "equity"} for n in names]},
                {
                    "figure": "drawdown",
                    "top": 0,
                    "lines": [{"source": n, "x": "ts", "y": "drawdown"} for n in names],
                },
            ],
        )


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


def _spread_labels(curves: Sequence[_Curve]) -> list[float]:
    """Return where each curve's label goes: at its last value, moved apart where two would cover each other."""
    low = min(float(np.nanmin(curve.equity)) for curve in curves)
    high = max(float(np.nanmax(curve.equity)) for curve in curves)
    step = (high - low or 1.0) * _LABEL_PX / (_EQUITY_PX * 0.85)
    ends = [float(curve.equity[~np.isnan(curve.equity)][-1]) for curve in curves]
    heights = list(ends)
    placed: list[float] = []
    for k in sorted(range(len(ends)), key=lambda k: -ends[k]):
        heights[k] = min([ends[k], *(height - step for height in placed)])
        placed.append(heights[k])
    return heights


def _find_digits(equity: NDArray[np.float64]) -> int:
    """Return the decimals to draw: cents, or more for small amounts (of bitcoin, say)."""
    largest = float(np.nanmax(np.abs(equity)))
    return 2 if largest >= 100 else 8


def _read_curve(label: str, frame: pd.DataFrame, token: str) -> _Curve:
    what = f"the equity of {label!r}"
    require_columns(frame, ("ts", "equity"), what)
    millis = read_millis(frame["ts"], f"ts of {what}")
    equity = read_floats(frame["equity"])
    if len(millis) > 1 and not bool((np.diff(millis) >= 0).all()):
        raise InputError(f"{what} goes back in time", expected="ascending ts", advice="sort it by ts")
    if np.isnan(equity).all():
        return _Curve(label, token, millis[:0], equity[:0], equity[:0], 0)
    peak = np.fmax.accumulate(equity)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawdown = np.where(peak > 0, (equity / peak - 1.0) * 100.0, np.nan)
    kept = find_extremes(millis, (equity, drawdown), _BUCKETS)
    return _Curve(label, token, millis[kept], equity[kept], drawdown[kept], len(millis))
