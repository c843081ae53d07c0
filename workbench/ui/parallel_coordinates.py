"""The parameters of a sweep and its objective side by side: one line for each trial, the best ones accented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.component import Component
from workbench.ui.series import require_columns
from workbench.ui.static import ChartDocument, build_chart_html, pack_column
from workbench.ui.ticks import find_step, sort_categories

if TYPE_CHECKING:
    from ipywidgets import DOMWidget
    from numpy.typing import NDArray

    from workbench.ui.live_html import Action, LiveHtml

__all__ = ["ParallelCoordinates"]

_MOST_LINES = 1_000
_MOST_AXES = 10
_HEIGHT_PX = 300
_TICKS = 6
_MOST_VALUES = 9
_MOST_CATEGORIES = 12


@dataclass(frozen=True)
class _Axis:
    name: str
    places: NDArray[np.float64]  # of each trial, 0 to 1
    ticks: list[tuple[float, str]]


class ParallelCoordinates(Component):
    """
    Each trial as a line through its parameters to its objective.

    The best trials are accented. The pointer shows a trial; dragging along an axis keeps the trials inside, a double
    click all of them. Of very many trials the best are drawn and, evenly by rank, others; the chart says so.

    Parameters
    ----------
    trials : pandas.DataFrame
        One row for each trial; its index names them. NaN as objective for a trial that failed: it is not drawn.
    parameters : sequence of str
        The columns of the parameters, at most 10, in their order on the screen.
    objective : str
        The column of the objective.
    is_maximised : bool, default True
        Whether a larger objective is better.
    best : int, default 10
        How many trials are accented.
    name : str, default "parallel"
        What the live page calls the chart.
    on_pick : Callable[[object], object], optional
        Takes the index of the trial that was clicked.

    Raises
    ------
    InputError
        If the frame lacks a column, or there are too many parameters or none.

    """

    def __init__(
        self,
        trials: pd.DataFrame,
        parameters: Sequence[str],
        objective: str,
        *,
        is_maximised: bool = True,
        best: int = 10,
        name: str = "parallel",
        on_pick: Callable[[Any], object] | None = None,
    ) -> None:
        if not 1 <= len(parameters) <= _MOST_AXES:
            raise InputError(f"{len(parameters)} parameters", expected=f"1 to {_MOST_AXES}")
        self.name, self.parameters, self.objective = name, tuple(parameters), objective
        self._is_maximised, self._best, self._on_pick = is_maximised, best, on_pick
        self._live: LiveHtml | None = None
        self._read(trials)

    def __repr__(self) -> str:
        return f"ParallelCoordinates({', '.join(self.parameters)}; {self._total:,} trials)"

    def show(self, trials: pd.DataFrame) -> None:
        """Show other trials of the same sweep, or more of them; on the kernel's thread."""
        self._read(trials)
        if self._live is not None:
            self._live.html = self._render(is_live=True)

    def build_html(self) -> str:
        """Return the chart as a card."""
        return self._render(is_live=False)

    def build_widget(self) -> DOMWidget:
        """Return the live chart."""
        from workbench.ui.live_html import LiveHtml

        self._live = LiveHtml(self._render(is_live=True), on_action=self.act)
        return self._live

    def act(self, action: Action) -> None:
        """Hand on the trial that was clicked."""
        if action.name == "pick" and self._on_pick is not None and isinstance(action.value, float | int):
            row = int(action.value)
            if 0 <= row < len(self._shown):
                self._on_pick(self._shown.index[row])

    def _read(self, trials: pd.DataFrame) -> None:
        require_columns(trials, (*self.parameters, self.objective), "the trials frame")
        known = trials[trials[self.objective].notna()]
        order = (
            known[self.objective].astype(float).sort_values(ascending=not self._is_maximised, kind="stable")
        )
        self._total, self._failed = len(known), len(trials) - len(known)
        ranked = known.loc[order.index] if order.index.is_unique else known
        if len(ranked) > _MOST_LINES:
            rest = np.linspace(self._best, len(ranked) - 1, _MOST_LINES - self._best).astype(int)
            ranked = ranked.iloc[np.concatenate((np.arange(self._best), rest))]
        self._shown = ranked  # best first

    def _render(self, *, is_live: bool) -> str:
        title = f"Parameters and {self.objective}"
        if self._shown.empty:
            return build_card(title, "<div class='wb-empty'>No trial has an objective yet.</div>")
        chart = build_chart_html(self._build_document(is_live=is_live), height=_HEIGHT_PX)
        best = min(self._best, len(self._shown))
        notes = [f"{self._total:,} trials, the best {best} accented"]
        if len(self._shown) < self._total:
            notes.append(f"{len(self._shown):,} drawn, evenly by rank")
        if self._failed:
            notes.append(f"{self._failed:,} without a value")
        note = "; ".join([*notes, "drag along an axis to keep a range, double click for all"])
        return build_card(title, f"{chart}<div class='wb-note'>{note}.</div>")

    def _build_document(self, *, is_live: bool) -> ChartDocument:
        from bokeh.models import ColumnDataSource, FixedTicker, Range1d
        from bokeh.plotting import figure

        from workbench.ui.theme import FONT_NUMBERS, paint, style_figure

        names = [*self.parameters, self.objective]
        axes = [_build_axis(name, self._shown[name], is_result=name == self.objective) for name in names]
        plot = figure(
            name="parallel", height=_HEIGHT_PX, sizing_mode="stretch_width", tools="", x_axis_location="above",
            x_range=Range1d(-0.4, len(axes) - 0.5), y_range=Range1d(-0.06, 1.06),
        )  # fmt: skip
        style_figure(plot)
        plot.ygrid.visible = False
        plot.yaxis.visible = False
        plot.xaxis.ticker = FixedTicker(ticks=list(range(len(axes))))
        plot.xaxis.name = "parallel_names"  # `chart.js` writes them, as long as there is room
        plot.min_border_right = 8
        faint = min(max(30 / len(self._shown), 0.08), 0.3)
        for name, token, alpha, width in (("others", "mute", faint, 1.0), ("best", "accent", 0.9, 1.6)):
            lines = plot.multi_line(
                "xs", "ys", source=ColumnDataSource({"xs": [], "ys": []}, name=name), line_alpha=alpha,
                line_width=width, line_join="round",
            )  # fmt: skip
            paint(lines.glyph, line_color=token)
        hover = plot.multi_line(
            "xs", "ys", source=ColumnDataSource({"xs": [], "ys": []}, name="hovered"), line_width=2.5
        )
        paint(hover.glyph, line_color="ink")
        rules = plot.segment(list(range(len(axes))), 0, list(range(len(axes))), 1, line_width=1)
        paint(rules.glyph, line_color="line")
        brushes = plot.segment(
            "x", "y0", "x", "y1", line_width=8, line_alpha=0.35,
            source=ColumnDataSource({"x": [], "y0": [], "y1": []}, name="brushes"),
        )  # fmt: skip
        paint(brushes.glyph, line_color="accent")
        ticks = [(k, y, text) for k, axis in enumerate(axes) for y, text in axis.ticks]
        # The first axis has its lines on the right; elsewhere a line that shows beside a number looks like its sign.
        labels = plot.text(
            [tick[0] for tick in ticks], [tick[1] for tick in ticks], [tick[2] for tick in ticks],
            x_offset=[4 if tick[0] else -6 for tick in ticks], text_baseline="middle", text_font_size="11px",
            text_align=["left" if tick[0] else "right" for tick in ticks], text_font={"value": FONT_NUMBERS},
            background_fill_alpha=0.9, padding=3,
        )  # fmt: skip
        paint(labels.glyph, text_color="mute", background_fill_color="panel")
        data = {f"axis{k}": pack_column(axis.places, 4) for k, axis in enumerate(axes)}
        plot.renderers.append(_hidden_source(plot, {name: [] for name in data}))
        return ChartDocument(
            root=plot,
            data={"trials": data},
            read={"figures": [], "fields": []},
            parallel={
                "figure": "parallel",
                "best": min(self._best, len(self._shown)),
                "names": names,
                "texts": [[_write(v) for v in self._shown[name]] for name in names],
                "trials": [str(index) for index in self._shown.index],
            },
            name=self.name if is_live else "",
        )


def _hidden_source(plot: Any, columns: dict[str, list[float]]) -> Any:
    """Return a renderer that draws nothing: it carries the places of the trials into the page."""
    from bokeh.models import ColumnDataSource, GlyphRenderer, Scatter

    return GlyphRenderer(
        data_source=ColumnDataSource(columns, name="trials"),
        glyph=Scatter(x="axis0", y="axis0"),
        visible=False,
    )


def _build_axis(name: str, values: pd.Series, *, is_result: bool) -> _Axis:
    """Return places and marks: at the values where a parameter has few, at round numbers otherwise."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        span = high - low or 1.0
        distinct = np.unique(numbers[~np.isnan(numbers)])
        step = find_step(span, _TICKS)
        marks = (
            distinct
            if len(distinct) <= _MOST_VALUES and not is_result
            else np.arange(np.ceil(low / step), high / step + 1e-9) * step
        )
        places: NDArray[np.float64] = (numbers - low) / span if high > low else np.full(len(numbers), 0.5)
        return _Axis(
            name,
            places,
            [((m - low) / span if high > low else 0.5, _write(float(m))) for m in marks.tolist()],
        )
    texts = values.astype(str)
    order = sort_categories(texts.unique())
    place_of = {text: (k / (len(order) - 1) if len(order) > 1 else 0.5) for k, text in enumerate(order)}
    shown = order if len(order) <= _MOST_CATEGORIES else []
    return _Axis(
        name, texts.map(place_of).to_numpy(dtype=np.float64), [(place_of[t], _shorten(t, 12)) for t in shown]
    )


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def _write(value: Any) -> str:
    text = f"{value:,.6g}" if isinstance(value, float | np.floating) else str(value)
    return f"\N{MINUS SIGN}{text[1:]}" if text.startswith("-") else text
