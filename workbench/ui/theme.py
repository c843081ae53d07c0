"""The look: design tokens, one style sheet for all HTML, and the colours of Bokeh charts."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import InputError

if TYPE_CHECKING:
    from bokeh.models import Model
    from bokeh.plotting import figure

__all__ = ["FONT_NUMBERS", "load_style", "load_tokens", "paint", "style_figure"]

FONT_NUMBERS = "JetBrains Mono, SF Mono, ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"

# Colours of the dark theme. Greys come from JupyterLab's theme first, like the light ones do.
_DARK = (
    "--wb-bg:var(--jp-layout-color0,#0f131a); --wb-panel:var(--jp-layout-color1,#161b24); "
    "--wb-sunken:var(--jp-layout-color2,#1d2430); --wb-line:var(--jp-border-color2,#2a3341); "
    "--wb-ink:var(--jp-ui-font-color1,#e6eaf0); --wb-mute:#9aa6b8; --wb-accent:#6aa3ff; --wb-up:#3fb8c8; "
    "--wb-down:#f08a4b; --wb-warn:#e0b050; --wb-bad:#ff6b7f; --wb-ok:#3fb8c8; --wb-other1:#b794f6; "
    "--wb-other2:#a3adbd; --wb-other3:#d9a94a; --wb-other4:#ee82bd; --wb-other5:#7fc783;"
)


@cache
def load_style() -> str:
    """
    Return the style sheet that every HTML output carries, without comments and needless space.

    Returns
    -------
    str
        CSS text. It follows JupyterLab's and Voila's theme through ``--jp-*`` and ``data-jp-theme-light``; without
        either it follows the reader's ``prefers-color-scheme``.

    """
    text = (Path(__file__).parent / "style.css").read_text(encoding="utf-8").replace("@DARK@", _DARK)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


@cache
def load_tokens() -> dict[str, str]:
    """Return the light theme's colours: token name without its prefix -> ``#rrggbb``."""
    block = load_style().split("}", 1)[0]
    pairs = re.findall(r"--wb-([a-z0-9]+):(?:var\([^,]+,)?(#[0-9a-f]{6})", block)
    return dict(pairs)


def paint(model: Model, **tokens: str) -> None:
    """
    Colour properties of a Bokeh model by token, so that the browser can follow the page's theme.

    Bokeh draws on a canvas, where a glyph's colour cannot be a CSS variable. The light colour is set here; the tag
    tells `chart.js` which token to read when the chart is shown and whenever the theme changes.

    Parameters
    ----------
    model : bokeh.models.Model
        A glyph, axis, grid, annotation or plot.
    **tokens : str
        Property name -> token name, for example ``line_color="accent"``.

    Raises
    ------
    InputError
        If a token does not exist.

    """
    colours = load_tokens()
    for name, token in tokens.items():
        if token not in colours:
            raise InputError(f"{token!r} is not a colour token", expected=f"one of {', '.join(colours)}")
        setattr(model, name, colours[token])
    model.tags = [*model.tags, {"paint": tokens}]


def style_figure(plot: figure) -> None:
    """Give a Bokeh figure the house look: transparent, faint grid, value axis on the right, tabular numbers."""
    plot.background_fill_alpha = 0
    plot.border_fill_alpha = 0
    plot.outline_line_alpha = 0
    plot.toolbar_location = None
    plot.min_border_left = 0
    plot.min_border_top = 6
    plot.min_border_bottom = 4
    for grid in plot.grid:
        paint(grid, grid_line_color="line")
        grid.grid_line_alpha = 0.7
    for grid in plot.xgrid:
        grid.grid_line_alpha = 0
    for axis in plot.axis:
        paint(axis, major_label_text_color="mute")
        axis.axis_line_alpha = 0
        axis.major_tick_line_alpha = 0
        axis.minor_tick_line_alpha = 0
        axis.major_label_text_font = FONT_NUMBERS
        axis.major_label_text_font_size = "12px"
        axis.major_label_standoff = 8
