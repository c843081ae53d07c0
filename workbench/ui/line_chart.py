"""One or several lines over time: rolling figures, exposure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.samples import Samples
from workbench.ui.series import read_floats, read_millis
from workbench.ui.static import ChartDocument, PackedColumn, build_chart_html, pack_column
from workbench.ui.time_chart import TimeChart

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LineChart"]

_TOKENS = ("accent", "other1", "other3", "other4", "other5", "other2")
_BUCKETS = 1_500
_READOUT_PX = 20


class LineChart(TimeChart):
    """
    Lines with one unit over time; several have direct labels.

    The pointer shows the values, the wheel zooms in time and the value axis follows, a double click resets.

    Parameters
    ----------
    lines : pandas.Series or Mapping of str to pandas.Series
        One line, or label -> line (at most 6). The index holds UTC time stamps, ascending; values are numbers or NaN.
    title : str
        What is drawn.
    unit : str, optional
        After values and tick labels: ``%``, a currency.
    digits : int, default 2
        Decimals of the values.
    scale : float, default 1
        What values are multiplied with: 100 to show fractions as per cent.
    is_filled : bool, default False
        Whether one line is drawn as an area from zero.
    is_signed : bool, default False
        Whether values above zero have a plus sign.
    height : int, default 180
        Of the frame, in CSS pixels.
    empty : str, optional
        What is said where there is no value.
    name, on_pick
        See `TimeChart`.

    Raises
    ------
    InputError
        If time stamps descend or have no zone, or there are too many lines.

    """

    def __init__(
        self,
        lines: pd.Series | Mapping[str, pd.Series],
        title: str,
        *,
        unit: str = "",
        digits: int = 2,
        scale: float = 1.0,
        is_filled: bool = False,
        is_signed: bool = False,
        height: int = 180,
        empty: str = "No values yet.",
        name: str = "",
        on_pick: Callable[[float], object] | None = None,
    ) -> None:
        super().__init__(name=name, on_pick=on_pick)
        given = {title: lines} if isinstance(lines, pd.Series) else dict(lines)
        if len(given) > len(_TOKENS):
            raise InputError(f"{len(given)} lines in one chart", expected=f"at most {len(_TOKENS)}")
        self._title, self._unit, self._digits = title, unit, digits
        self._is_filled = is_filled and len(given) == 1
        self._is_signed, self._height, self._empty = is_signed, height, empty
        self._labels: dict[str, tuple[str, str]] = {}  # data source -> label and colour
        for k, (label, line) in enumerate(given.items()):
            millis, values = _read_line(label, line)
            if len(values):
                self._samples[f"line{k}"] = Samples(millis, {"value": values * scale})
                self._labels[f"line{k}"] = label, _TOKENS[k]

    def __repr__(self) -> str:
        return f"LineChart({self._title}; {', '.join(label for label, _ in self._labels.values()) or 'no values'})"

    def _render(self, *, is_live: bool) -> str:
        right = ", ".join(filter(None, (self._unit, "UTC")))
        if not self._samples:
            return build_card(self._title, f"<div class='wb-empty'>{escape(self._empty)}</div>", right=right)
        chart = build_chart_html(self._build_document(is_live=is_live), height=self._height + _READOUT_PX)
        return build_card(self._title, chart, right=right)

    def _build_document(self, *, is_live: bool) -> ChartDocument:
        from bokeh.layouts import column
        from bokeh.models import ColumnDataSource, Span

        from workbench.ui.axes import add_end_label, build_time_figures
        from workbench.ui.theme import paint

        all_samples = self._samples.values()
        largest = max(float(np.nanmax(np.abs(samples.columns["value"]))) for samples in all_samples)
        unit = f" {self._unit}" if self._unit else ""
        (plot,) = build_time_figures(
            [("lines", self._height, unit)],
            start=min(float(samples.millis[0]) for samples in all_samples),
            end=max(float(samples.millis[-1]) for samples in all_samples),
            label_chars=len(f"{largest:,.1f}{unit}") + 1,
        )
        zero = Span(location=0, dimension="width", line_width=1, line_alpha=0.6, level="underlay")
        paint(zero, line_color="mute")
        plot.add_layout(zero)
        several = len(self._labels) > 1
        data: dict[str, dict[str, PackedColumn]] = {}
        fields: list[dict[str, Any]] = []
        ends: list[dict[str, str]] = []
        has_more = False
        for name, (text, token) in self._labels.items():
            samples = self._samples[name]
            drawn = samples.take(samples.pick(_BUCKETS))
            has_more = has_more or len(drawn["ts"]) < samples.total
            data[name] = {
                "ts": pack_column(drawn["ts"], 0),
                "value": pack_column(drawn["value"], self._digits + 1),
            }
            source = ColumnDataSource({"ts": [], "value": []}, name=name)
            if self._is_filled:
                area = plot.varea("ts", 0, "value", source=source, fill_alpha=0.2)
                paint(area.glyph, fill_color=token)
            line = plot.line("ts", "value", source=source, line_width=1.4, line_join="round")
            paint(line.glyph, line_color=token)
            if several:
                label = add_end_label(plot, f"{name}_label", text, token)
                ends.append({"label": label, "figure": "lines", "source": name, "x": "ts", "y": "value"})
            field = {"label": text, "source": name, "x": "ts", "y": "value", "digits": self._digits}
            field |= {"unit": self._unit, "signed": self._is_signed}
            fields.append({**field, "token": token} if several else field)
        lines = [{"source": name, "x": "ts", "y": "value"} for name in data]
        return ChartDocument(
            root=column(plot, sizing_mode="stretch_width"),
            data=data,
            read={"figures": ["lines"], "fields": fields, "seconds": False, "ends": ends},
            fit=[{"figure": "lines", "lines": lines, **({"floor": 0} if self._is_filled else {})}],
            name=self.name if is_live else "",
            is_live=is_live and has_more,
        )


def _read_line(label: str, line: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    what = f"the line {label!r}"
    if not isinstance(line, pd.Series):
        raise InputError(f"{what} is a {type(line).__name__}", expected="a pandas Series")
    millis, values = read_millis(pd.Series(line.index), f"the index of {what}"), read_floats(line)
    if len(millis) > 1 and not bool((millis[1:] >= millis[:-1]).all()):
        raise InputError(f"{what} goes back in time", expected="an ascending index", advice="sort it")
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        return millis[:0], values[:0]
    # A rolling figure begins where its first window is full.
    return millis[known[0] :], values[known[0] :]
