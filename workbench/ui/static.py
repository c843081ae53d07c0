"""Static charts: interactive offline, without a kernel or a network, small enough for an executed notebook."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import InputError
from workbench.ui.view import View

if TYPE_CHECKING:
    from bokeh.models import LayoutDOM
    from numpy.typing import NDArray

__all__ = [
    "ChartDocument",
    "PackedColumn",
    "build_chart_html",
    "build_runtime",
    "build_runtime_html",
    "load_runtime_key",
    "pack_column",
    "show_runtime",
]

_MOST_WHOLE = 2**53  # the largest whole number up to which JavaScript counts exactly

_UNTRUSTED = (
    "This chart needs a trusted notebook: choose <em>File &gt; Trust Notebook</em>, or run its cell and the first "
    "chart's cell again."
)


@dataclass(frozen=True)
class ChartDocument:
    """
    A Bokeh layout and what `chart.js` does with it in the browser.

    Parameters
    ----------
    root : bokeh.models.LayoutDOM
        The layout; models that the script refers to have names, and its data sources are empty.
    read : Mapping
        The figures that take the pointer (``figures``, names; the first has the time range) and the line of values
        above the chart (``fields``: label, source, x, y, digits, unit, signed, token), and the names at the ends of
        lines (``ends``: label, figure, source, x, y).
    data : Mapping
        Name of a data source -> column -> values, see `pack_column`.
    fit : sequence of Mapping
        Value axes that follow the visible time range: ``figure``, ``lines`` (source, x, y), ``top`` (the end of the
        axis) or ``floor`` (what it shows at least).
    detail : Mapping, optional
        What is shown by zoom: ``figure``, ``candles``, ``markers``, ``spans``.
    tips : Mapping, optional
        What the pointer finds: ``figure``, ``fills``, ``spans``, digits and currency.
    parallel : Mapping, optional
        Parallel coordinates: ``figure``, ``best`` (how many of the first trials), ``names``, ``texts``, ``trials``.
    name : str
        What a live page calls it, to send it data; unique in the page.
    is_live : bool
        Whether it asks its page for finer data when the visible range changes.

    """

    root: LayoutDOM
    read: Mapping[str, Any]
    data: Mapping[str, Mapping[str, PackedColumn]] = field(default_factory=dict)
    fit: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    detail: Mapping[str, Any] | None = None
    tips: Mapping[str, Any] | None = None
    parallel: Mapping[str, Any] | None = None
    name: str = ""
    is_live: bool = False


@dataclass(frozen=True)
class PackedColumn:
    """Numbers as whole steps of 10^-digits from one to the next; ``None`` where a value is missing."""

    digits: int
    steps: list[int | None]


def pack_column(values: NDArray[np.float64], digits: int) -> PackedColumn:
    """
    Return numbers rounded to `digits` decimals as differences, which gzip to about a byte each.

    Parameters
    ----------
    values : ndarray of float64
        Finite numbers or NaN (missing).
    digits : int
        The decimals that the chart shows; negative to round to tens or thousands.

    Returns
    -------
    PackedColumn
        For prices of GBP/USD a third of what base64 of float32 takes.

    Raises
    ------
    InputError
        If a number is infinite or too large to be exact in a browser.

    """
    whole = np.round(values * 10.0**digits)
    is_known = ~np.isnan(whole)
    if bool((np.abs(whole[is_known]) > _MOST_WHOLE).any()):
        raise InputError(
            f"a number has more digits than a chart can show with {digits} decimals",
            expected=f"less than {_MOST_WHOLE / 10.0**digits:,.0f}",
        )
    known = whole[is_known].astype(np.int64)
    steps = np.diff(known, prepend=np.int64(0)).tolist()
    if bool(is_known.all()):
        return PackedColumn(digits, steps)
    rest = iter(steps)
    return PackedColumn(digits, [next(rest) if known_ else None for known_ in is_known.tolist()])


def _pack(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def _load_sources() -> tuple[str, str]:
    import bokeh

    folder = Path(bokeh.__file__).parent / "server" / "static" / "js"
    chart = (Path(__file__).parent / "chart.js").read_text(encoding="utf-8")
    return (folder / "bokeh.min.js").read_text(encoding="utf-8"), chart


@cache
def load_runtime_key() -> str:
    """Return the name of the page's promise of the runtime; another BokehJS or `chart.js` has another name."""
    digest = hashlib.sha256("".join(_load_sources()).encode()).hexdigest()
    return f"wbCharts_{digest[:10]}"


def _promise(key: str) -> str:
    """Return the expression for the page's deferred runtime, which works in whichever order cells run."""
    return (
        f"(window.{key}??=(()=>{{let ok;const ready=new Promise(r=>ok=r);return{{ready,ok,begun:false}}}})())"
    )


@cache
def build_runtime() -> bytes:
    """
    Return what a page needs once, gzipped: BokehJS and `chart.js`, the body of a function that returns the runtime.

    BokehJS runs in a scope of its own: it neither sees RequireJS nor replaces another version that the page has loaded.
    """
    bokeh_js, chart_js = _load_sources()
    source = (
        f"(function(define,module,exports,require){{\n{bokeh_js}\n}}).call(this);\n"
        f"return ({chart_js.strip()})(this.Bokeh)"
    )
    # mtime=0: the same bytes every time, so that a notebook that is run again has no needless difference.
    return gzip.compress(source.encode(), 9, mtime=0)


@cache
def build_runtime_html() -> str:
    """
    Return the script that a page needs once.

    Returns
    -------
    str
        A ``<script data-wb-runtime>`` element of about 0.5 MB. A second one on a page does nothing.

    """
    packed = base64.b64encode(build_runtime()).decode()
    return (
        f'<script data-wb-runtime="{load_runtime_key()}">(async w=>{{if(w.begun)return;w.begun=true;'
        f'const raw=Uint8Array.from(atob("{packed}"),c=>c.charCodeAt(0));'
        'const text=await new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"))).text();'
        f"w.ok(new Function(text).call({{}}))}})({_promise(load_runtime_key())})</script>"
    )


def build_chart_html(chart: ChartDocument, *, height: int) -> str:
    """
    Return one chart as HTML that waits for the page's runtime.

    Parameters
    ----------
    chart : ChartDocument
        The chart.
    height : int
        Its height in CSS pixels, kept free until it is drawn so that the page does not jump.

    Returns
    -------
    str
        A ``<div class="wb-chart">`` that says what to do where scripts may not run.

    """
    from bokeh.embed import json_item

    payload = {
        "item": json_item(chart.root),
        "data": {
            source: {name: [column.digits, column.steps] for name, column in columns.items()}
            for source, columns in chart.data.items()
        },
        "read": chart.read,
        "fit": list(chart.fit),
        "detail": chart.detail,
        "tips": chart.tips,
        "parallel": chart.parallel,
        "live": chart.is_live,
    }
    packed = _pack(json.dumps(payload, separators=(",", ":"), allow_nan=False))
    name = f' id="wb-chart-{escape(chart.name)}" data-name="{escape(chart.name)}"' if chart.name else ""
    return (
        f'<div class="wb-chart"{name} style="min-height:{height}px" data-chart="{packed}">'
        f'<div class="wb-wait">{_UNTRUSTED}</div>'
        "<script>(h=>{const say=e=>{h.innerHTML='<div class=\"wb-wait wb-fail\"></div>';"
        "h.firstChild.textContent='This chart could not be drawn: '+e};"
        f"{_promise(load_runtime_key())}.ready.then(r=>r.show(h)).catch(say)}})"
        "(document.currentScript.parentElement)</script></div>"
    )


class _Runtime(View):
    """The runtime as an output of its own."""

    def build_html(self) -> str:
        return build_runtime_html()

    def __repr__(self) -> str:
        return "chart runtime"


def show_runtime() -> View:
    """
    Return the runtime as an output, for a cell of its own.

    Charts bring the runtime along by themselves. Show it where that output was deleted and the notebook is to be saved
    with its charts.
    """
    return _Runtime()
