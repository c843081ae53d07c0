"""The page of results in a real browser: tabs, tables and charts that know of each other, files."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.ui.conftest import build_run
from tests.ui.widget_page import open_widget
from workbench.ui.comparison import RunComparison
from workbench.ui.results import BacktestResults
from workbench.ui.results_head import TABS
from workbench.ui.run_view import RunView, Trials
from workbench.ui.static import load_runtime_key

pytestmark = pytest.mark.browser

READY = """() => !document.querySelector('[aria-busy]') &&
  [...document.querySelectorAll('.wb-chart')].every(e => e.dataset.ready)"""
RANGE = """async key => { const {live} = await window[key].ready;
  for (const {doc} of live) { const figure = doc.get_model_by_name('price');
    if (figure) return [figure.x_range.start, figure.x_range.end] } return null }"""


@pytest.fixture(scope="module")
def short(prices: pd.DataFrame) -> RunView:
    run = build_run(prices.iloc[:4_000])
    trials = Trials(48, tuple(0.1 * k for k in range(48)))
    return replace(run, trials=trials, orders=run.fills, accounts=run.fills.iloc[:0])


@pytest.fixture
def page(browser: Any, short: RunView) -> Iterator[Any]:
    with BacktestResults(short) as results, open_widget(browser, results.widget) as page:
        page.wait_for_selector("#wb-tab-overview")
        page.wait_for_function(READY)
        yield page
        assert page.wrong == []
        assert page.asked == []
        assert page.query_selector(".wb-problem:not([hidden])") is None


def _open(page: Any, tab: str) -> None:
    page.click(f"#wb-tab-{tab}")
    page.wait_for_selector(f"#wb-tab-{tab}[aria-selected=true]")
    page.wait_for_function(READY)


def test_every_tab_opens_without_errors_and_fits_the_page(page: Any) -> None:
    for tab in TABS:
        _open(page, tab)
        page.wait_for_selector("#page > * + * .wb-card")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        if folder := os.environ.get("WORKBENCH_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"results-{tab}.png", full_page=True)


def test_tabs_work_by_keyboard(page: Any) -> None:
    page.focus("#wb-tab-costs")
    page.keyboard.press("Enter")
    page.wait_for_selector("#wb-tab-costs[aria-selected=true]")
    page.wait_for_function("() => document.body.innerText.includes('If costs had been higher')")


def test_trades_are_sorted_paged_and_zoomed_to_by_keyboard(page: Any) -> None:
    _open(page, "trades")
    before = page.evaluate(RANGE, load_runtime_key())
    page.click("[data-key='trades:net_pnl']")
    page.wait_for_selector("th[aria-sort=ascending]")
    page.click("#wb-page-trades-Next")
    page.wait_for_function("() => document.body.innerText.includes('51–100 of')")
    page.focus("tr[data-action=select]")
    page.keyboard.press("Enter")
    page.wait_for_selector("tr.sel[aria-selected=true]")
    for _ in range(100):
        start, end = page.evaluate(RANGE, load_runtime_key())
        if end - start < (before[1] - before[0]) / 2:
            break
        page.wait_for_timeout(50)
    low, high = map(float, page.get_attribute("tr.sel", "data-span").split(","))
    assert start < low
    assert high < end


def test_exported_zip_is_saved_by_the_browser(page: Any) -> None:
    page.click("#wb-results-export summary")
    with page.expect_download() as waiting:
        page.click("[data-key='all:zip']")
    download = waiting.value
    assert download.suggested_filename.endswith("a91f3c.zip")
    with zipfile.ZipFile(io.BytesIO(Path(download.path()).read_bytes())) as archive:
        assert any(name.endswith("trades.parquet") for name in archive.namelist())


def test_comparison_draws_its_runs(browser: Any, short: RunView) -> None:
    other = replace(short, equity=short.equity.iloc[:2_000])
    with open_widget(browser, RunComparison({"one": short, "two": other}).widget) as page:
        page.wait_for_selector("#wb-scale-money")
        page.wait_for_function(READY)
        page.click("#wb-scale-money")
        page.wait_for_selector("#wb-scale-money[aria-selected=true]")
        page.wait_for_function(READY)
        assert page.wrong == []
        assert page.asked == []
