"""Figures that share one time axis: crosshair, wheel zoom on time only, double click resets."""

from __future__ import annotations

from collections.abc import Sequence

from bokeh.models import (
    BoxAnnotation,
    CrosshairTool,
    CustomJSTickFormatter,
    DatetimeTickFormatter,
    Label,
    PanTool,
    Range1d,
    ResetTool,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

from workbench.ui.theme import paint, style_figure

__all__ = ["add_end_label", "build_time_figures"]

_CHAR_PX = 7.3  # a 12 px monospace digit

# As many decimals as the distance between two ticks needs, so that zooming in never shows the same label twice.
_TICKS_JS = """
const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
const digits = Math.min(10, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
const text = Math.abs(tick).toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
return (tick < 0 && /[1-9]/.test(text) ? "\u2212" : "") + text + unit;
"""


def build_time_figures(
    rows: Sequence[tuple[str, int, str]], *, start: float, end: float, label_chars: int
) -> list[figure]:
    """
    Return one figure per row, from top to bottom, with a shared time range and crosshair.

    Parameters
    ----------
    rows : sequence of (str, int, str)
        Name, height in pixels and the unit after tick labels.
    start, end : float
        The time range in milliseconds since the epoch, UTC; the reader cannot leave it.
    label_chars : int
        The longest tick label of the value axis, so that all frames end at the same pixel.

    """
    span = max(end - start, 1000.0)
    shared = Range1d(
        start, start + span, bounds=(start - span * 0.02, start + span * 1.02), min_interval=1000.0
    )
    upright = Span(dimension="height", line_width=1, line_dash="dotted")
    paint(upright, line_color="mute")
    figures = []
    for k, (name, height, unit) in enumerate(rows):
        is_last = k == len(rows) - 1
        plot = figure(
            name=name,
            height=height,
            sizing_mode="stretch_width",
            x_axis_type="datetime",
            x_range=shared,
            y_range=Range1d(0, 1),
            y_axis_location="right",
            tools="",
        )
        style_figure(plot)
        plot.min_border_right = int(label_chars * _CHAR_PX) + 16
        level = Span(dimension="width", line_width=1, line_dash="dotted")
        paint(level, line_color="mute")
        wheel = WheelZoomTool(dimensions="width")
        plot.add_tools(
            CrosshairTool(overlay=[level, upright]), PanTool(dimensions="width"), wheel, ResetTool()
        )
        plot.toolbar.active_scroll = wheel
        lit = BoxAnnotation(
            name=f"lit_{name}", tags=["lit"], visible=False, level="underlay", fill_alpha=0.18, line_alpha=0
        )
        paint(lit, fill_color="accent")
        plot.add_layout(lit)
        plot.yaxis.formatter = CustomJSTickFormatter(code=_TICKS_JS, args={"unit": unit})
        plot.yaxis.ticker.desired_num_ticks = 5 if height > 150 else 3
        plot.xaxis.formatter = _build_time_formatter()
        plot.xaxis.visible = is_last
        plot.xaxis.ticker.desired_num_ticks = 8
        figures.append(plot)
    return figures


def add_end_label(plot: figure, name: str, text: str, token: str) -> str:
    """
    Add the name of a line, which `chart.js` keeps at the line's right end and clear of the other names.

    Returns
    -------
    str
        `name`, that of the model.

    """
    label = Label(
        name=name,
        x=0,
        y=0,
        text=text,
        text_align="right",
        text_baseline="bottom",
        y_offset=3,
        text_font_size="12px",
        text_font_style="bold",
        background_fill_alpha=0.6,
        padding=1,
        visible=False,
    )
    paint(label, text_color=token, background_fill_color="panel")
    plot.add_layout(label)
    return name


def _build_time_formatter() -> DatetimeTickFormatter:
    """ISO order everywhere; the first tick, and every one where the day turns, says the date."""
    context = DatetimeTickFormatter(
        microseconds="%F", milliseconds="%F", seconds="%F", minsec="%F", minutes="%F", hourmin="%F", hours="%F",
        days="%Y", months="", years="", context=None,
    )  # fmt: skip
    return DatetimeTickFormatter(
        microseconds="%T", milliseconds="%T", seconds="%T", minsec="%T", minutes="%H:%M", hourmin="%H:%M",
        hours="%H:%M", days="%m-%d", months="%Y-%m", years="%Y",
        strip_leading_zeros=False, boundary_scaling=True, hide_repeats=True, context=context,
        context_which="start", context_location="below",
    )  # fmt: skip
