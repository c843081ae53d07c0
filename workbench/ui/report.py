"""The report of one run: its sections, and all of them on one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.ui.cards import build_card
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.monthly_returns import MonthlyReturns
from workbench.ui.price_chart import PriceChart
from workbench.ui.run_facts import describe_assumptions, describe_run, describe_title
from workbench.ui.tables import (
    CostsTable,
    FactsTable,
    HeadlineStrip,
    MetricsTable,
    NautilusTable,
)
from workbench.ui.trades_table import TradesTable
from workbench.ui.view import View

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Report", "RunView"]

_MOST_PRICE_CHARTS = 3
_TRADE_METRICS = frozenset(
    {"exposure", "trades", "open_positions", "win_rate", "profit_factor", "average_win", "average_loss", "expectancy"}
    | {"best_trade", "worst_trade", "average_holding_time", "orders", "orders_filled", "fills", "turnover"}
    | {"turnover_ratio"}
)  # fmt: skip


@dataclass(frozen=True)
class RunView:
    """
    A run as a report needs it: plain frames and mappings, as they are in a run directory.

    Parameters
    ----------
    manifest, config, metrics : Mapping
        ``manifest.json``, ``config.json`` and ``metrics.json``.
    equity, fills, positions : pandas.DataFrame
        The frames of those names.
    trades : pandas.DataFrame, optional
        Default: built from the positions.
    prices : Mapping of str to pandas.DataFrame, optional
        Instrument id -> bars with ``ts``, ``open``, ``high``, ``low``, ``close``; without it no price chart.

    """

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    equity: pd.DataFrame
    fills: pd.DataFrame
    positions: pd.DataFrame
    trades: pd.DataFrame | None = None
    prices: Mapping[str, pd.DataFrame] | None = None


class Report(View):
    """
    Everything a reader asks of a finished run. Each section is a property of its own, for a notebook cell each.

    Parameters
    ----------
    run : RunView
        The run.

    Raises
    ------
    InputError
        If the manifest names no currency, or a frame is not what a run writes.

    """

    def __init__(self, run: RunView) -> None:
        currency = run.manifest.get("currency")
        if not isinstance(currency, str) or not currency:
            raise InputError(
                "the run's manifest names no currency", expected="a finished run's manifest.json"
            )
        self._run = run
        self._currency = currency
        self._definitions: Mapping[str, Mapping[str, str]] = run.metrics.get("definitions") or {}

    def __repr__(self) -> str:
        return f"Report({self._run.manifest.get('run_id', '')})"

    @property
    def headline(self) -> View:
        """The few numbers that are looked for first."""
        return HeadlineStrip(
            self._run.metrics.get("headline") or {},
            self._definitions,
            warnings=self._run.manifest.get("warnings") or (),
        )

    @property
    def equity(self) -> EquityCurveChart:
        """Equity with drawdown."""
        return EquityCurveChart(self._run.equity, self._currency)

    @property
    def prices(self) -> list[PriceChart]:
        """One chart per instrument with prices, at most three; those with the most fills first."""
        fills = self._run.fills
        counts: dict[Any, int] = {}
        if "instrument_id" in fills.columns:
            counts = fills["instrument_id"].value_counts().to_dict()
        available = self._run.prices or {}
        names = sorted(available, key=lambda name: (-int(counts.get(name, 0)), name))
        return [
            PriceChart(
                available[name],
                fills=fills,
                positions=self._run.positions,
                instrument_id=name,
                currency=self._find_settlement(name),
            )
            for name in names[:_MOST_PRICE_CHARTS]
        ]

    @property
    def monthly_returns(self) -> MonthlyReturns:
        """Returns by month."""
        return MonthlyReturns(self._run.equity)

    @property
    def costs(self) -> CostsTable:
        """Gross to net."""
        return CostsTable(self._run.metrics.get("costs") or {}, self._definitions)

    @property
    def metrics(self) -> View:
        """All headline numbers with their definitions."""
        headline: Mapping[str, Any] = self._run.metrics.get("headline") or {}
        risk = {name: metric for name, metric in headline.items() if name not in _TRADE_METRICS}
        trade = {name: metric for name, metric in headline.items() if name in _TRADE_METRICS}
        return _Row(
            MetricsTable(risk, self._definitions, title="Return and risk"),
            MetricsTable(trade, self._definitions, title="Trades and activity"),
        )

    @property
    def nautilus(self) -> NautilusTable:
        """What nautilus itself reports, unchanged."""
        return NautilusTable(self._run.metrics.get("nautilus") or {})

    @property
    def trades(self) -> TradesTable:
        """The first and the last trades."""
        trades = self._run.trades
        if trades is None:
            from workbench.analysis.trades import build_trades

            trades = build_trades(self._run.positions, currency=self._currency)
        return TradesTable(trades, self._currency)

    @property
    def facts(self) -> View:
        """What was assumed, and what ran."""
        return _Row(
            FactsTable(describe_assumptions(self._run.config), title="Assumptions"),
            FactsTable(describe_run(self._run.manifest), title="Run"),
        )

    def build_html(self) -> str:
        """Return the report as one page of cards."""
        run = self._run
        title = describe_title(run.config)
        right = str(run.manifest.get("run_id", ""))
        sections: list[str] = [
            self._build_state(),
            build_card(title, self.headline.build_html(), right=right),
        ]
        sections.append(self.equity.build_html())
        sections += [chart.build_html() for chart in self.prices]
        left_out = len(run.prices or {}) - _MOST_PRICE_CHARTS
        if left_out > 0:
            sections.append(
                f"<div class='wb-note'>{left_out:,} more instruments have prices; not drawn here.</div>"
            )
        views: list[View] = [self.monthly_returns, self.metrics, _Row(self.costs, self.nautilus)]
        views += [self.trades, self.facts]
        sections += [view.build_html() for view in views]
        return f"<div class='wb-stack'>{''.join(sections)}</div>"

    def _find_settlement(self, instrument_id: str) -> str:
        positions = self._run.positions
        if "currency" not in positions.columns or "instrument_id" not in positions.columns:
            return ""
        names = positions.loc[positions["instrument_id"] == instrument_id, "currency"].dropna().unique()
        return str(names[0]) if len(names) == 1 else ""

    def _build_state(self) -> str:
        """Say loudly when the run did not complete: its numbers are of a part only."""
        state = str(self._run.manifest.get("state", ""))
        if state in ("", "COMPLETED"):
            return ""
        failure = self._run.manifest.get("failure") or {}
        kind = "bad" if state == "FAILED" else "warn"
        text = escape(str(failure.get("message", ""))) or "The numbers below cover what had run until then."
        trace = failure.get("traceback")
        more = f"<pre>{escape(str(trace))}</pre>" if trace else ""
        badge = f"<span class='wb-badge {kind}'>{escape(state)}</span>"
        return f"<div class='wb-card wb-progress'><div>{badge} {text}</div>{more}</div>"


class _Row(View):
    """Two components side by side, where there is room."""

    def __init__(self, *views: View) -> None:
        self._views = views

    def __repr__(self) -> str:
        return ", ".join(map(repr, self._views))

    def build_html(self) -> str:
        return f"<div class='wb-row'>{''.join(view.build_html() for view in self._views)}</div>"
