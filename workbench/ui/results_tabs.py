"""What stands on each tab of a run's page: text and tables, live charts, and tables with pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.run_sections import LEDGERS, Row, RunSections, Stack, Text
from workbench.ui.time_chart import TimeChart

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NEEDS_PRICES", "Hooks", "Piece", "build_pieces"]

NEEDS_PRICES = frozenset({"trades", "metrics", "benchmark"})


@dataclass(frozen=True)
class Hooks:
    """
    What charts call, and the choice of the reader that a tab depends on.

    Parameters
    ----------
    on_pick : Callable[[str, float], object]
        Takes an instrument id and the time of a click in its chart, milliseconds since the epoch, UTC.
    load_prices : Callable, optional
        Loads finer bars: instrument id, start and end (UTC).
    benchmark : str
        The instrument to hold the run against; empty for the one with the most fills.

    """

    on_pick: Callable[[str, float], object]
    load_prices: Callable[[str, pd.Timestamp, pd.Timestamp], pd.DataFrame] | None = None
    benchmark: str = ""


@dataclass(frozen=True)
class Piece:
    """
    One part of a tab: exactly one of these.

    Parameters
    ----------
    html : Callable returning str, optional
        Made on any thread.
    chart : Callable returning TimeChart, optional
        Made on the kernel's thread; `key` says of what it is.
    table : str
        A table with pages.

    """

    html: Callable[[], str] | None = None
    chart: Callable[[], TimeChart] | None = None
    table: str = ""
    key: str = ""


def build_pieces(sections: RunSections, tab: str, hooks: Hooks) -> list[Piece]:
    """Return what stands on a tab, from top to bottom."""
    run = sections.figures.run
    match tab:
        case "overview":
            return [
                Piece(chart=lambda: sections.equity, key="equity"),
                _html(lambda: sections.monthly_returns),
            ]
        case "trades":
            return [*_build_prices(sections, hooks), Piece(table="trades")]
        case "metrics":
            return [
                _html(lambda: sections.metrics),
                _html(lambda: sections.shape),
                _html(lambda: sections.risk),
            ]
        case "costs":
            return [_html(lambda: Row(Stack(sections.costs), Stack(sections.stress, sections.nautilus)))]
        case "breakdown":
            return [_html(lambda: sections.breakdown)]
        case "benchmark":
            return _build_benchmark(sections, hooks)
        case "ledgers":
            return [Piece(table=name) for name in LEDGERS if getattr(run, name) is not None]
        case _:
            return [_html(lambda: sections.facts)]


def _html(view: Callable[[], object]) -> Piece:
    return Piece(html=lambda: view().build_html())  # type: ignore[attr-defined]


def _build_prices(sections: RunSections, hooks: Hooks) -> list[Piece]:
    pieces = []
    for k, name in enumerate(sections.charted):

        def build(name: str = name, k: int = k) -> TimeChart:
            load = hooks.load_prices
            return sections.build_prices(
                name,
                name=f"prices-{k}",
                on_pick=lambda ms: hooks.on_pick(name, ms),
                load_prices=None if load is None else lambda start, end: load(name, start, end),
            )

        pieces.append(Piece(chart=build, key=name))
    missing = sections.figures.run.missing_prices
    if missing:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        pieces.append(_html(lambda: Text("Prices that cannot be shown", reasons)))
    elif not pieces:
        pieces.append(_html(lambda: Text("Price and fills", "This run was given without prices.")))
    return pieces


def _build_benchmark(sections: RunSections, hooks: Hooks) -> list[Piece]:
    names = sections.benchmarks
    if not names:
        text = "There are no prices to hold the run against."
        return [_html(lambda: Text("Benchmark", text))]
    chosen = hooks.benchmark if hooks.benchmark in names else next(iter(sections.charted), names[0])

    def build_chart() -> EquityCurveChart:
        return sections.build_benchmark(chosen)[0]

    return [
        Piece(html=lambda: _build_choice(names, chosen)),
        Piece(chart=build_chart),
        _html(lambda: sections.build_benchmark(chosen)[1]),
    ]


def _build_choice(names: Sequence[str], chosen: str) -> str:
    options = "".join(
        f"<option value='{escape(name, quote=True)}'{' selected' if name == chosen else ''}>{escape(name)}</option>"
        for name in names
    )
    return (
        "<div class='wb-card'><div class='wb-filters'><label>Buy and hold of <select class='wb-input' "
        f"id='wb-benchmark' data-action='benchmark' data-key='benchmark'>{options}</select></label>"
        "<span class='mute'>scaled to the starting equity; no costs, leverage, dividends or financing</span>"
        "</div></div>"
    )
