from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.ui.widget_page import find_leaves
from workbench.errors import InputError, ServerError
from workbench.ui.formats import format_decimal
from workbench.ui.live_html import Action
from workbench.ui.paging import PAGE_ROWS
from workbench.ui.report import Report
from workbench.ui.results import BacktestResults
from workbench.ui.run_view import RunView, Trials


class Shown:
    """A page of results without a browser."""

    def __init__(self, results: BacktestResults) -> None:
        self.results = results
        self.sent: list[Any] = []
        self.root = results.widget
        self.act("tab", results._tab)

    def act(self, name: str, key: str = "", value: Any = None) -> None:
        self.results.act(Action(name, key, value))
        for leaf in find_leaves(self.root):
            leaf.send = lambda content, buffers=None: self.sent.append((content, buffers))  # type: ignore[method-assign]

    @property
    def html(self) -> str:
        return "".join(leaf.html for leaf in find_leaves(self.root))

    @property
    def rows(self) -> list[int]:
        return [int(key) for key in re.findall(r"<tr id='wb-trade-(\d+)'", self.html)]

    def messages(self, kind: str) -> list[Any]:
        return [content for content, _ in self.sent if content["type"] == kind]


@pytest.fixture(scope="module")
def small(run: RunView) -> RunView:
    return replace(run, trials=Trials(48, tuple(0.1 * k for k in range(48))), orders=run.fills.iloc[:70])


@pytest.fixture
def shown(small: RunView) -> Iterator[Shown]:
    with BacktestResults(small) as results:
        yield Shown(results)


def test_results_without_a_kernel_are_the_report(small: RunView) -> None:
    html = BacktestResults(small).build_html()
    assert _strip(html) == _strip(Report(small).build_html())


def test_results_overview_shows_the_headline_and_the_trials(shown: Shown, small: RunView) -> None:
    headline = small.metrics["headline"]
    assert f"{headline['trades']['value']:,}" in shown.html
    percent = format_decimal(Decimal(repr(headline["total_return"]["value"])) * 100, 2, is_signed=True)
    assert f"{percent} %" in shown.html
    assert "after 48 trials" in shown.html
    assert 'data-name="equitycurvechart-' in shown.html
    assert "Monthly returns" in shown.html


def test_results_without_known_trials_show_no_deflated_sharpe(run: RunView) -> None:
    assert "Deflated" not in Shown(BacktestResults(run)).html


@pytest.mark.parametrize(
    ("tab", "words"),
    [
        (
            "metrics",
            ["Value at risk, historical", "95 % confidence", "Ulcer index", "Tail ratio", "Capacity at 5 %"],
        ),
        ("costs", ["Costs, gross to net", "2× costs", "Break-even cost", "As nautilus reports it"]),
        (
            "breakdown",
            ["By instrument", "By side", "By hour of entry", "By weekday of entry", "By month of entry"],
        ),
        ("benchmark", ["Buy and hold of", "Information ratio"]),
        ("ledgers", ["1–50 of 70 orders", "fills"]),
        ("facts", ["Assumptions", "Hash of run"]),
    ],
)
def test_results_tab_shows_its_part(shown: Shown, tab: str, words: list[str]) -> None:
    shown.act("tab", tab)
    assert f"id='wb-tab-{tab}' data-action='tab' data-key='{tab}' aria-selected='true'" in shown.html
    for text in words:
        assert text in shown.html


def test_results_tab_that_is_not_there_is_ignored(shown: Shown) -> None:
    before = shown.html
    shown.act("tab", "../secrets")
    assert shown.html == before


def test_results_trades_page_sort_and_filter(shown: Shown) -> None:
    shown.act("tab", "trades")
    trades = shown.results._sections.figures.trades  # type: ignore[union-attr]
    assert shown.rows == trades.index[:PAGE_ROWS].tolist()

    shown.act("page", "trades:1")
    assert shown.rows == trades.index[PAGE_ROWS : 2 * PAGE_ROWS].tolist()

    shown.act("sort", "trades:net_pnl")
    shown.act("sort", "trades:net_pnl")
    best = sorted(trades.index, key=lambda i: (-trades["net_pnl"][i], i))
    assert shown.rows == best[:PAGE_ROWS]
    assert shown.html.count("aria-sort='descending'") == 1

    shown.act("filter", "trades:side", "SHORT")
    shown.act("filter", "trades:result", "lost")
    lost = trades[(trades["side"] == "SHORT") & (trades["net_pnl"].map(lambda v: v < 0))]
    assert f"{len(lost):,} of {len(trades):,}" in shown.html
    assert set(shown.rows) <= set(lost.index)

    shown.act("filter", "trades:result", "open")
    assert "No trade passes these filters" in shown.html


def test_results_trade_rows_hold_the_numbers_of_the_run(shown: Shown, small: RunView) -> None:
    shown.act("tab", "trades")
    trade = shown.results._sections.figures.trades.iloc[0]  # type: ignore[union-attr]
    row = re.search(r"<tr id='wb-trade-0'.*?</tr>", shown.html, re.DOTALL)
    assert row is not None
    start, end = (trade[name].timestamp() * 1_000 for name in ("entry_time", "exit_time"))
    assert f"data-span='{start:.0f},{end:.0f}'" in row[0]
    for name in ("net_pnl", "mae", "mfe"):
        assert f">{format_decimal(trade[name], 2, is_signed=True)}<" in row[0]
    assert f">{format_decimal(small.positions.iloc[0]['commissions'], 2)}<" in row[0]


def test_results_click_on_a_trade_zooms_its_chart(shown: Shown) -> None:
    shown.act("tab", "trades")
    shown.act("select", "3")
    (message,) = shown.messages("range")
    trade = shown.results._sections.figures.trades.loc[3]  # type: ignore[union-attr]
    assert message["chart"] == "prices-0"
    assert message["start"] < trade["entry_time"].timestamp() * 1_000
    assert message["end"] > trade["exit_time"].timestamp() * 1_000
    assert "<tr id='wb-trade-3'" in shown.html
    assert shown.html.count("aria-selected='true'>") == 1 + 1  # the tab and the row
    shown.act("select", "99999999")
    assert len(shown.messages("range")) == 1


def test_results_pick_in_the_chart_turns_to_the_trades_page(shown: Shown) -> None:
    shown.act("tab", "trades")
    shown.act("filter", "trades:result", "open")
    trade = shown.results._sections.figures.trades.loc[777]  # type: ignore[union-attr]
    chart = shown.results._charts["GBP/USD.SIM"]
    chart.act(Action("pick", chart.name, trade["exit_time"].timestamp() * 1_000 - 1))
    assert 777 in shown.rows
    assert "wb-trade-777" in shown.messages("focus")[-1]["selector"]
    assert "class='sel' aria-selected='true'" in shown.html


def test_results_benchmark_can_be_chosen(small: RunView) -> None:
    prices = {**(small.prices or {}), "EUR/USD.SIM": (small.prices or {})["GBP/USD.SIM"]}
    shown = Shown(BacktestResults(replace(small, prices=prices)))
    shown.act("tab", "benchmark")
    assert "Against a buy and hold of GBP/USD.SIM" in shown.html
    shown.act("benchmark", "benchmark", "EUR/USD.SIM")
    assert "Against a buy and hold of EUR/USD.SIM" in shown.html


@pytest.mark.parametrize(("key", "end"), [("fills:csv", "-fills.csv"), ("metrics:json", "-metrics.json")])
def test_results_export_downloads_a_file(shown: Shown, key: str, end: str) -> None:
    shown.act("tab", "overview")
    shown.act("export", key)
    content, buffers = next(pair for pair in shown.sent if pair[0]["type"] == "download")
    assert content["name"].endswith(end)
    assert len(buffers[0]) > 100
    assert "Saved " in shown.html


def test_results_export_that_fails_says_so(shown: Shown) -> None:
    shown.act("export", "secrets:csv")
    assert "could not be exported" in shown.html
    assert shown.messages("download") == []


def test_results_compare_is_offered_where_there_is_somewhere(small: RunView) -> None:
    asked: list[str] = []
    shown = Shown(BacktestResults(small, on_compare=asked.append))
    shown.act("compare", "x")
    assert asked == [small.run_id]
    assert "Compare" not in Shown(BacktestResults(small)).html


def test_results_failed_run_says_so_first(small: RunView) -> None:
    failure = {"kind": "exception", "message": "boom <b>", "traceback": "Traceback: <i>"}
    manifest = {**small.manifest, "state": "FAILED", "failure": failure}
    html = Shown(BacktestResults(replace(small, manifest=manifest))).html
    assert html.index("FAILED") < html.index("Max drawdown")
    assert "boom &lt;b&gt;" in html
    assert "Traceback: &lt;i&gt;" in html


def test_results_run_that_failed_before_it_began_says_what_there_is(small: RunView) -> None:
    manifest = {"run_id": "r1", "state": "FAILED", "failure": {"message": "no data"}}
    shown = Shown(
        BacktestResults(replace(small, manifest=manifest, metrics={}, equity=small.equity.iloc[:0]))
    )
    assert "no data" in shown.html
    assert "The run kept no results." in shown.html


def test_results_without_prices_say_so(small: RunView) -> None:
    shown = Shown(BacktestResults(replace(small, prices=None)))
    shown.act("tab", "trades")
    assert "given without prices" in shown.html
    assert "there are no prices of GBP/USD.SIM" in shown.html  # why the excursions are missing
    shown.act("tab", "benchmark")
    assert "no prices to hold the run against" in shown.html


def test_results_server_that_does_not_answer_is_an_error_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, small: RunView
) -> None:
    results = BacktestResults(small)
    monkeypatch.setattr(results, "_run", None)
    monkeypatch.setattr(
        results, "_fetch", lambda: (_ for _ in ()).throw(ServerError("gone <b>", advice="start it"))
    )
    html = "".join(leaf.html for leaf in find_leaves(results.widget))
    assert "gone &lt;b&gt;" in html
    assert "start it" in html
    assert "Try again" in html


def test_results_client_without_a_job_raises() -> None:
    from workbench.client.client import Client
    from workbench.client.transport import Transport

    client = Client.__new__(Client)
    assert isinstance(Transport, type)
    with pytest.raises(InputError, match="no job"):
        BacktestResults(client)


def _strip(html: str) -> str:
    """Charts differ in the ids of their models."""
    return re.sub(r'data-chart="[^"]*"', "", html)
