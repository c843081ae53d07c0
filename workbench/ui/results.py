"""The results of one backtest: live in a kernel, and as a report where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.client.client import Client
from workbench.client.job import Job
from workbench.errors import InputError, WorkbenchError
from workbench.states import JobState
from workbench.ui.component import Component
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.exports import build_export, list_tables
from workbench.ui.kernel_loop import KernelLoop
from workbench.ui.paging import PAGE_ROWS, TableState
from workbench.ui.report import Report
from workbench.ui.results_head import TABS, build_error, build_head, build_loading
from workbench.ui.results_tabs import NEEDS_PRICES, Hooks, Piece, build_pieces
from workbench.ui.run_sections import RunSections, build_state
from workbench.ui.run_source import RunSource
from workbench.ui.run_view import RunView
from workbench.ui.series import read_floats
from workbench.ui.trades_table import find_range, find_trade, select_trades

if TYPE_CHECKING:
    from ipywidgets import DOMWidget, VBox

    from workbench.ui.live_html import Action, LiveHtml
    from workbench.ui.time_chart import TimeChart

__all__ = ["BacktestResults"]

_LIVE_SECS = 2.0  # how often the equity of a run at work is asked for


class BacktestResults(Component):
    """
    Everything about one backtest: its numbers, equity, trades, risk, costs, orders and files.

    It keeps nothing that it cannot ask for again. Of a run at work it shows the equity so far, and the rest as soon as
    the run has ended. Displayed without a kernel it is the report of the run.

    Parameters
    ----------
    run : Client, Job or RunView
        The server that has it, with `job_id`; a job of a server; or a run that is in this process.
    job_id : str
        Which job.
    on_compare : Callable[[str], object], optional
        Takes the run's id when the reader wants to compare it with others; without it there is no such button.

    Raises
    ------
    InputError
        If a client is given without a job.

    """

    def __init__(
        self,
        run: Client | Job | RunView,
        job_id: str = "",
        *,
        on_compare: Callable[[str], object] | None = None,
    ) -> None:
        if isinstance(run, Client) and not job_id:
            raise InputError("no job is named", expected="the id of a backtest", field="job_id")
        self._loop = KernelLoop()
        self.job_id = run.id if isinstance(run, Job) else run.run_id if isinstance(run, RunView) else job_id
        client = run if isinstance(run, Client) else run.client if isinstance(run, Job) else None
        self._source = None if client is None else RunSource(client, self.job_id)
        self._run = run if isinstance(run, RunView) else None
        self._on_compare = on_compare
        self._sections = None if self._run is None else _build_sections(self._run)
        self._tab = "overview"
        self._tables: dict[str, TableState] = {}
        self._selected: int | None = None
        self._benchmark = ""
        self._notice = ""
        self._error: Exception | None = None
        self._panels: dict[str, list[DOMWidget]] = {}
        self._pages: dict[str, LiveHtml] = {}
        self._charts: dict[str, TimeChart] = {}
        self._box: VBox | None = None
        self._head: LiveHtml | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._loaded_at = 0.0
        self._is_loading = self._is_due = False

    def __repr__(self) -> str:
        return f"BacktestResults({self.job_id})"

    def build_html(self) -> str:
        """Return the report of the run; loads it if need be."""
        try:
            run = self._run or self._fetch()
            if _build_sections(run) is None or not run.has_ended:
                return build_state(run.manifest) or build_loading("There is nothing to see of this run yet.")
            return Report(self._add_prices(run)).build_html()
        except WorkbenchError as error:
            return build_error("The results cannot be shown", error)

    def build_widget(self) -> DOMWidget:
        """Return the live page."""
        from ipywidgets import VBox

        from workbench.ui.live_html import LiveHtml

        self._panels, self._pages, self._charts = {}, {}, {}  # Those of an earlier page are gone with it
        self._head = LiveHtml(self._build_head(), on_action=self.act)
        self._box = VBox([self._head])
        self._box.add_class("wb-page")
        if self._run is None:
            self._load()
        else:
            self._open(self._tab)
        return self._box

    def close(self) -> None:
        """Stop following the run; what is shown stays."""
        self._follow(is_needed=False)
        for chart in self._charts.values():
            chart.close()

    def act(self, action: Action) -> None:
        """Do what the reader asks for."""
        table, _, rest = action.key.partition(":")
        match action.name:
            case "tab" if action.key in TABS:
                self._open(action.key)
            case "reload":
                self._reload()
            case "sort":
                self._show_table(table, self._find_state(table).sorted_by(rest))
            case "page" if rest.isdecimal():
                self._show_table(table, self._find_state(table).turned_to(int(rest)))
            case "filter":
                self._show_table(table, self._find_state(table).filtered(rest, str(action.value or "")))
            case "select" if action.key.isdecimal():
                self._select(int(action.key))
            case "benchmark":
                self._benchmark = str(action.value or "")
                self._panels.pop("benchmark", None)
                self._open("benchmark")
            case "export":
                self._export(table, rest)
            case "compare" if self._on_compare is not None:
                self._on_compare(self.job_id)

    def _fetch(self) -> RunView:
        if self._source is None:
            raise InputError("the run is not of a server")
        return self._source.load()

    def _add_prices(self, run: RunView) -> RunView:
        return run if run.prices is not None or self._source is None else self._source.add_prices(run)

    def _load(self) -> None:
        if self._is_loading:
            return
        self._is_loading, self._is_due = True, False
        self._loop.work(self._fetch, self._take, self._fail)

    def _reload(self) -> None:
        if self._source is None:
            return
        self._notice = "Reloading\N{HORIZONTAL ELLIPSIS}"
        self._show_head()
        self._load()

    def _take(self, run: RunView) -> None:
        self._is_loading = False
        self._loaded_at = time.monotonic()
        self._error, self._notice = None, ""
        has_grown = self._grow(run)
        self._run, self._sections = run, _build_sections(run)
        if has_grown:
            self._show_head()
        else:
            self._panels.clear()
            self._open(self._tab)
        self._follow(is_needed=not run.has_ended)
        if self._is_due and not run.has_ended:
            self._load()

    def _grow(self, run: RunView) -> bool:
        """Let the curve of a run at work go on; return whether that is all there is to show."""
        old, chart = self._run, self._charts.get("equity")
        if (
            old is None
            or old.has_ended
            or run.has_ended
            or old.equity.empty
            or "overview" not in self._panels
        ):
            return False
        if isinstance(chart, EquityCurveChart):
            fresh = run.equity[run.equity["ts"] > old.equity["ts"].iloc[-1]]
            chart.append(pd.DatetimeIndex(fresh["ts"]), read_floats(fresh["equity"]))
        return True

    def _fail(self, error: Exception) -> None:
        self._is_loading = False
        self._error = error
        self._notice = ""
        self._show([])

    def _follow(self, *, is_needed: bool) -> None:
        """Hear of the run while it has not ended."""
        if not is_needed and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        elif is_needed and self._unsubscribe is None and self._source is not None:
            from workbench.ui.job_feed import JobFeed

            self._feed = JobFeed.of(self._source.client)
            self._unsubscribe = self._feed.subscribe(lambda: self._loop.call(self._hear))

    def _hear(self) -> None:
        record = self._feed.jobs.get(self.job_id)
        if record is None or self._run is None:
            return
        has_moved = str(record.state) != self._run.manifest.get("state")
        if self._is_loading:
            self._is_due |= has_moved  # Perhaps after what is being loaded was read
        elif has_moved or (
            record.state == JobState.RUNNING and time.monotonic() - self._loaded_at > _LIVE_SECS
        ):
            self._load()

    def _build_head(self) -> str:
        if self._error is not None:
            return build_error("The results cannot be loaded", self._error)
        if self._run is None:
            return build_loading(f"Loading the results of {self.job_id}\N{HORIZONTAL ELLIPSIS}")
        has_results = self._sections is not None and self._run.has_ended
        return build_head(
            self._run,
            headline=self._sections.headline if self._sections is not None and has_results else None,
            state=build_state(self._run.manifest),
            tab=self._tab,
            tables=list(list_tables(self._run)) if has_results else (),
            notice=self._notice,
            has_compare=self._on_compare is not None and has_results,
            has_reload=self._source is not None,
        )

    def _show_head(self) -> None:
        if self._head is not None:
            self._head.html = self._build_head()

    def _show(self, panel: list[DOMWidget]) -> None:
        self._show_head()
        if self._box is not None and self._head is not None:
            self._box.children = (self._head, *panel)

    def _open(self, tab: str) -> None:
        """Show a tab; what it takes to make it is done on a thread of its own."""
        self._tab = tab
        if tab in self._panels or self._run is None or self._error is not None:
            self._show(self._panels.get(tab, []))
            return
        if self._sections is None or (not self._run.has_ended and tab not in ("overview", "facts")):
            words = (
                "This follows when the run has ended."
                if not self._run.has_ended
                else "The run kept no results."
            )
            self._show([self._build_text(build_loading(words))])
            return
        self._show([self._build_text(build_loading(f"{TABS[tab]}\N{HORIZONTAL ELLIPSIS}"))])
        run, sections = self._run, self._sections

        def prepare() -> tuple[RunSections, list[Piece], list[str]]:
            made = sections
            if tab in NEEDS_PRICES and run.prices is None and self._source is not None:
                made = RunSections(self._add_prices(run))
            pieces = build_pieces(made, tab, self._build_hooks())
            if any(piece.table == "trades" for piece in pieces):
                _ = made.figures.trades  # Excursions take a while
            return made, pieces, ["" if piece.html is None else piece.html() for piece in pieces]

        def show(prepared: tuple[RunSections, list[Piece], list[str]]) -> None:
            if self._run is run:  # Not reloaded meanwhile
                self._sections, pieces, texts = prepared
                self._run = self._sections.figures.run
                self._panels[tab] = [
                    self._build_piece(piece, text) for piece, text in zip(pieces, texts, strict=True)
                ]
            if self._tab == tab:
                self._open(tab)

        def fail(error: Exception) -> None:
            if self._tab == tab:
                card = build_error(f"{TABS[tab]} cannot be shown", error, action="tab", key=tab)
                self._show([self._build_text(card)])

        self._loop.work(prepare, show, fail)

    def _build_hooks(self) -> Hooks:
        load = None if self._source is None else self._source.load_fine
        return Hooks(on_pick=self._pick, load_prices=load, benchmark=self._benchmark)

    def _build_text(self, html: str) -> LiveHtml:
        from workbench.ui.live_html import LiveHtml

        return LiveHtml(html, on_action=self.act)

    def _build_piece(self, piece: Piece, text: str) -> DOMWidget:
        if piece.chart is not None:
            chart = piece.chart()
            self._charts[piece.key or chart.name] = chart
            return chart.widget
        if piece.table:
            self._pages[piece.table] = self._build_text(self._build_table(piece.table))
            return self._pages[piece.table]
        return self._build_text(text)

    def _find_state(self, table: str) -> TableState:
        return self._tables.get(table, TableState())

    def _build_table(self, table: str) -> str:
        if self._sections is None:
            return ""
        state = self._find_state(table)
        if table == "trades":
            return self._sections.build_trades(state=state, selected=self._selected).build_html()
        return self._sections.build_ledger(table, state).build_html()

    def _show_table(self, table: str, state: TableState) -> None:
        if table in self._pages:
            self._tables[table] = state
            self._pages[table].html = self._build_table(table)

    def _select(self, index: int) -> None:
        """Choose a trade: its row is marked, and the chart of its instrument shows it."""
        if self._sections is None or index not in self._sections.figures.trades.index:
            return
        self._selected = index
        self._show_table("trades", self._find_state("trades"))
        trade: dict[Any, Any] = self._sections.figures.trades.loc[index].to_dict()
        instrument_id = str(trade["instrument_id"])
        chart = self._charts.get(instrument_id)
        prices = (self._sections.figures.run.prices or {}).get(instrument_id)
        if chart is None or prices is None:
            return
        chart.set_range(*find_range(trade, prices))

    def _pick(self, instrument_id: str, millis: float) -> None:
        """Choose the trade that was clicked in a chart, and turn to its page."""
        if self._sections is None:
            return
        trades = self._sections.figures.trades
        index = find_trade(trades, instrument_id, millis)
        if index is None:
            return
        state = self._find_state("trades")
        rows = select_trades(trades, state).index.tolist()
        if index not in rows:
            state = replace(state, filters=())
            rows = select_trades(trades, state).index.tolist()
        self._selected = index
        self._show_table("trades", state.turned_to(rows.index(index) // PAGE_ROWS))
        if "trades" in self._pages:
            self._pages["trades"].focus(f"#wb-trade-{index}")

    def _export(self, what: str, form: str) -> None:
        sections, head = self._sections, self._head
        if sections is None or head is None:
            return
        self._notice = f"Preparing {what} as {form}\N{HORIZONTAL ELLIPSIS}"
        self._show_head()

        def make() -> Any:
            run = sections.figures.run
            if what in ("trades", "all", "report") and run.prices is None and self._source is not None:
                return build_export(RunSections(self._add_prices(run)).figures, what, form)
            return build_export(sections.figures, what, form)

        def save(export: Any) -> None:
            head.download(export.name, export.content, export.media_type)
            self._notice = f"Saved {export.name}, {len(export.content) / 1_000:,.1f} kB."
            self._show_head()

        def fail(error: Exception) -> None:
            self._notice = f"{what} could not be exported: {error}"
            self._show_head()

        self._loop.work(make, save, fail)


def _build_sections(run: RunView) -> RunSections | None:
    """Return the sections of a run; none while it has no currency, and so no number."""
    return RunSections(run) if run.manifest.get("currency") else None
