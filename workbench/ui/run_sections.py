"""The sections of a run, each a view of its own: the report lays them one below the other, the live page on tabs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import Any

from workbench.analysis.breakdown import BREAKDOWNS, build_breakdown
from workbench.analysis.definitions import HEADLINE
from workbench.analysis.distribution import build_histogram
from workbench.ui.breakdown_table import BreakdownTable
from workbench.ui.cards import build_card
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.figures import PARTICIPATION, RunFigures
from workbench.ui.frame_table import FrameTable
from workbench.ui.histogram import Histogram
from workbench.ui.line_chart import LineChart
from workbench.ui.monthly_returns import MonthlyReturns
from workbench.ui.paging import TableState
from workbench.ui.price_chart import PriceChart
from workbench.ui.risk_tables import DrawdownsTable, TailRiskTable
from workbench.ui.run_facts import describe_assumptions, describe_run
from workbench.ui.run_view import RunView, find_instruments
from workbench.ui.stress_table import StressTable
from workbench.ui.tables import CostsTable, FactsTable, HeadlineStrip, MetricsTable, NautilusTable
from workbench.ui.trades_table import TradesTable
from workbench.ui.view import View

__all__ = ["LEDGERS", "Row", "RunSections", "Stack", "Text", "build_state"]

_MOST_PRICE_CHARTS = 3
_TRADE_METRICS = frozenset(
    {"exposure", "trades", "open_positions", "win_rate", "profit_factor", "average_win", "average_loss", "expectancy"}
    | {"best_trade", "worst_trade", "average_holding_time", "orders", "orders_filled", "fills", "turnover"}
    | {"turnover_ratio"}
)  # fmt: skip
# Title, what is said without rows, and the columns that a screen has room for.
LEDGERS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "orders": (
        "Orders",
        "No orders: the strategy sent none in this run.",
        (
            *("ts_init", "client_order_id", "instrument_id", "order_side", "order_type", "quantity"),
            *("filled_qty", "avg_px", "price", "trigger_price", "status", "reason"),
        ),
    ),
    "fills": (
        "Fills",
        "No fills: no order was filled in this run.",
        (
            *("ts_event", "client_order_id", "instrument_id", "order_side", "last_qty", "last_px"),
            *("liquidity_side", "best_bid", "best_ask", "commission", "commission_currency", "position_id"),
        ),
    ),
    "accounts": (
        "Account balances",
        "No account states in this run.",
        ("ts_event", "account_id", "account_type", "currency", "total", "free", "locked"),
    ),
}


class Text(View):
    """
    A sentence in a card: why something is not there.

    Parameters
    ----------
    title, text : str
        Plain text.

    """

    def __init__(self, title: str, text: str) -> None:
        self._title = title
        self._text = text

    def __repr__(self) -> str:
        return f"{self._title}: {self._text}"

    def build_html(self) -> str:
        """Return the card."""
        return build_card(self._title, f"<div class='wb-empty'>{escape(self._text)}</div>")


class Row(View):
    """Components side by side, where there is room."""

    def __init__(self, *views: View) -> None:
        self._views = views

    def __repr__(self) -> str:
        return ", ".join(map(repr, self._views))

    def build_html(self) -> str:
        """Return them in one row."""
        return f"<div class='wb-row'>{''.join(view.build_html() for view in self._views)}</div>"


class RunSections:
    """
    What there is to see of a run.

    Parameters
    ----------
    run : RunView
        The run.

    Raises
    ------
    InputError
        If the manifest names no currency.

    """

    def __init__(self, run: RunView) -> None:
        self.figures = RunFigures(run)
        self._run = run
        self._currency = self.figures.currency

    @property
    def headline(self) -> View:
        """The few numbers that are looked for first."""
        trials = self._run.trials
        return HeadlineStrip(
            self.figures.headline,
            self.figures.definitions,
            names=HEADLINE,
            warnings=self._run.manifest.get("warnings") or (),
            deflated_sharpe=None if trials is None else self.figures.deflated_sharpe,
            trials=0 if trials is None else trials.count,
        )

    @property
    def equity(self) -> EquityCurveChart:
        """Equity with drawdown."""
        return EquityCurveChart(self._run.equity, self._currency)

    @property
    def prices(self) -> list[PriceChart]:
        """One chart per instrument with prices, at most three; those with the most fills first."""
        return [self.build_prices(name) for name in self.charted]

    @property
    def charted(self) -> list[str]:
        """The instruments that are drawn."""
        available = self._run.prices or {}
        names = [name for name in find_instruments(self._run) if name in available]
        names += sorted(name for name in available if name not in names)
        return names[:_MOST_PRICE_CHARTS]

    def build_prices(self, instrument_id: str, **options: Any) -> PriceChart:
        """Return the prices of one instrument with what was traded; `options` are those of `PriceChart`."""
        prices = (self._run.prices or {})[instrument_id]
        return PriceChart(
            prices,
            fills=self._run.fills,
            positions=self._run.positions,
            instrument_id=instrument_id,
            currency=self._find_settlement(instrument_id),
            **options,
        )

    @property
    def monthly_returns(self) -> MonthlyReturns:
        """Returns by month."""
        return MonthlyReturns(self._run.equity, starting_balance=self.figures.starting_balance)

    @property
    def costs(self) -> CostsTable:
        """Gross to net."""
        return CostsTable(self.figures.costs, self.figures.definitions)

    @property
    def stress(self) -> View:
        """Results under multiples of the costs."""
        figures = self.figures
        return StressTable(
            figures.cost_stress, figures.breakeven_multiple, figures.known_costs, figures.definitions
        )

    @property
    def metrics(self) -> View:
        """All headline numbers with their definitions."""
        headline = self.figures.headline
        risk = {name: metric for name, metric in headline.items() if name not in _TRADE_METRICS}
        trade = {name: metric for name, metric in headline.items() if name in _TRADE_METRICS}
        return Row(
            MetricsTable(risk, self.figures.definitions, title="Return and risk"),
            MetricsTable(trade, self.figures.definitions, title="Trades and activity"),
        )

    @property
    def risk(self) -> View:
        """Losses of a day, drawdowns, shape of the returns, capacity."""
        figures = self.figures
        days = max(len(figures.closes) - 1, 0)
        size = f"Capacity at {PARTICIPATION * 100:g} % of the volume"
        return Stack(
            Row(
                TailRiskTable(figures.tail_risk, figures.definitions, days=days),
                DrawdownsTable(figures.drawdowns, self._currency),
            ),
            Row(
                MetricsTable(figures.risk, figures.definitions, title="Drawdown and tails"),
                Stack(
                    MetricsTable(figures.distribution, figures.definitions, title="Daily returns"),
                    MetricsTable(figures.capacity, figures.definitions, title=size),
                ),
            ),
        )

    @property
    def shape(self) -> View:
        """How the daily returns are spread, and how Sharpe ratio, volatility and exposure changed over time."""
        figures = self.figures
        rolling = figures.rolling
        title = f"last {figures.window} days"
        days = max(len(figures.closes) - 1, 0)
        empty = f"The run has {days:,} daily returns: fewer than the {figures.window} that this takes."
        marks = {name: figures.distribution[f"{name}_day"]["value"] for name in ("mean", "median")}
        return Stack(
            Row(
                Histogram(
                    build_histogram(figures.closes),
                    {
                        name.capitalize(): None if value is None else float(value)
                        for name, value in marks.items()
                    },
                ),
                LineChart(
                    figures.exposure,
                    "Exposure, share of each day",
                    unit="%",
                    scale=100,
                    digits=1,
                    is_filled=True,
                    empty="Exposure needs two samples of the equity with the open positions.",
                ),
            ),
            Row(
                LineChart(rolling["sharpe"], f"Sharpe ratio, {title}", empty=empty),
                LineChart(
                    rolling["volatility"], f"Annualised volatility, {title}", unit="%", scale=100, empty=empty
                ),
            ),
        )

    @property
    def breakdown(self) -> View:
        """Trades by instrument, side, hour, weekday and month."""
        trades = self.figures.trades
        frames = {by: build_breakdown(trades, by=by) for by in BREAKDOWNS}
        if trades["strategy_id"].nunique() < 2:
            del frames["strategy_id"]
        left, right = [by for by in frames if by not in ("hour", "month")], ["hour"]
        # The long one where there is room for it
        shorter = right if len(frames["hour"]) < sum(len(frames[by]) for by in left) else left
        shorter.append("month")
        columns = ([BreakdownTable(frames[by], self._currency) for by in names] for names in (left, right))
        return Row(*(Stack(*tables) for tables in columns))

    @cached_property
    def benchmarks(self) -> list[str]:
        """The instruments that a run can be held against."""
        return sorted(self._run.prices or {})

    def build_benchmark(self, instrument_id: str = "") -> tuple[EquityCurveChart, View]:
        """
        Return the run with a buy and hold of an instrument, and figures of the one against the other.

        Parameters
        ----------
        instrument_id : str
            Default: the instrument with the most fills.

        Raises
        ------
        InputError
            If there are no prices of it.

        """
        name = instrument_id or next(iter(self.charted), "")
        line, metrics = self.figures.build_benchmark(name)
        label = f"Buy and hold {name}"
        chart = EquityCurveChart(
            {"Run": self._run.equity}, self._currency, benchmark=line, benchmark_label=label
        )
        return chart, MetricsTable(
            metrics, self.figures.definitions, title=f"Against a buy and hold of {name}"
        )

    @property
    def nautilus(self) -> NautilusTable:
        """What nautilus itself reports, unchanged."""
        return NautilusTable(self._run.metrics.get("nautilus") or {})

    @property
    def trades(self) -> TradesTable:
        """The first and the last trades."""
        return self.build_trades()

    def build_trades(self, **options: Any) -> TradesTable:
        """Return the trades; `options` are those of `TradesTable`."""
        texts = {name: definition.get("text", "") for name, definition in self.figures.definitions.items()}
        columns = ("mae", "mfe", "slippage", "fees")
        hints: dict[str, str] = {name: texts[name] for name in columns if name in texts}
        return TradesTable(self.figures.trades, self._currency, hints=hints, **options)

    def build_ledger(self, name: str, state: TableState | None = None) -> View:
        """Return the orders, fills or accounts; the first rows without `state`."""
        title, empty, columns = LEDGERS[name]
        frame = getattr(self._run, name)
        if frame is None:
            return Text(title, "This table was not given.")
        return FrameTable(frame, name=name, title=title, empty=empty, columns=columns, state=state)

    @property
    def facts(self) -> View:
        """What was assumed, and what ran."""
        return Row(
            FactsTable(describe_assumptions(self._run.config), title="Assumptions"),
            FactsTable(describe_run(self._run.manifest), title="Run"),
        )

    def build_state(self) -> str:
        """Return HTML that says loudly when the run did not complete: its numbers are of a part only."""
        return build_state(self._run.manifest)

    def _find_settlement(self, instrument_id: str) -> str:
        positions = self._run.positions
        if "currency" not in positions.columns or "instrument_id" not in positions.columns:
            return ""
        names = positions.loc[positions["instrument_id"] == instrument_id, "currency"].dropna().unique()
        return str(names[0]) if len(names) == 1 else ""


class Stack(View):
    """Components one below the other."""

    def __init__(self, *views: View) -> None:
        self._views = views

    def __repr__(self) -> str:
        return ", ".join(map(repr, self._views))

    def build_html(self) -> str:
        """Return them with the gap between cards."""
        return f"<div class='wb-stack'>{''.join(view.build_html() for view in self._views)}</div>"


def build_state(manifest: Mapping[str, Any]) -> str:
    """Return HTML that says how a run stands that did not complete; empty for one that did."""
    state = str(manifest.get("state", ""))
    if state in ("", "COMPLETED"):
        return ""
    failure = manifest.get("failure") or {}
    kind = "bad" if state in ("FAILED", "INTERRUPTED") else "warn"
    said = str(failure.get("message", ""))
    text = escape(said) or _STATES.get(state, "The numbers below cover what had run until then.")
    trace = failure.get("traceback")
    more = f"<details><summary>Traceback</summary><pre>{escape(str(trace))}</pre></details>" if trace else ""
    badge = f"<span class='wb-badge {kind}'>{escape(state)}</span>"
    return f"<div class='wb-card wb-progress' role='status'><div>{badge} {text}</div>{more}</div>"


_STATES: Mapping[str, str] = {
    "PENDING": "The run waits for its turn: there is nothing to see yet.",
    "RUNNING": "The run is at work: equity so far. Everything else follows when it has ended.",
    "PAUSED": "The run is paused: equity so far. Resume it, and everything else follows when it has ended.",
}
