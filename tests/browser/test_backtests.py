"""The dashboard of backtests from the form to the exported file, on a month of real prices, in both front ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.browser.pages import IS_FULL, Front, Sheet, open_sheet, wait_until
from tests.conftest import ROOT
from workbench.ui.static import load_runtime_key

pytestmark = pytest.mark.browser

NAME = "GBP/USD.SIM"
STRATEGY = "nautilus_trader.examples.strategies.ema_cross:EMACross"
VISIBLE = """async key => { const {live} = await window[key].ready;
  const {doc} = [...live].find(c => c.host.isConnected && c.doc.get_model_by_name('equity'));
  const {start, end} = doc.get_model_by_name('equity').x_range; return end - start }"""
RUN_SECS = 150.0
LOOKS = [(1440, "light"), (1280, "dark"), (1280, "light"), (1440, "dark")][: 4 if IS_FULL else 2]


@pytest.fixture(scope="session")
def stocked(front: Front, test_data: Path) -> Front:
    """Return a front end whose workspace has a month of prices."""
    from workbench.catalog.importer import import_file
    from workbench.catalog.imports import ImportConfig
    from workbench.catalog.instruments import build_instrument

    catalog = front.workspace / "catalogs" / "default"
    catalog.parent.mkdir(parents=True, exist_ok=True)
    for side in ("BID", "ASK"):
        source = test_data / "fxcm" / f"gbpusd-m1-{side.lower()}-2012.csv"
        config = ImportConfig(
            data_type="bars", instrument_id=NAME, bar_type=f"1-MINUTE-{side}", stamp="open", tz="UTC"
        )
        import_file(source, catalog, config, instrument=build_instrument("fx_pair", NAME))
    return front


def _write_dashboard(front: Front) -> str:
    notebook = json.loads((ROOT / "dashboards" / "backtests.ipynb").read_text(encoding="utf-8"))
    return front.write("backtests", *("".join(cell["source"]) for cell in notebook["cells"]))


def _fill(sheet: Sheet, field: str, value: str) -> None:
    box = sheet.page.locator(f".wb-form [data-key$='{field}']:not(select)")
    box.fill(value)
    box.press("Tab")


def _progress(sheet: Sheet) -> float:
    return float(
        sheet.page.locator("tr[id^=wb-job] [role=progressbar]").first.get_attribute("aria-valuenow") or 0
    )


def _kpi(sheet: Sheet, label: str) -> str:
    text = sheet.page.locator(".wb-results .wb-kpi", has_text=label).first.locator("b").inner_text()
    return text.split("\n")[0].replace("\N{MINUS SIGN}", "-").strip()


@pytest.mark.timeout(600)
def test_run_from_the_form_to_the_exported_file(stocked: Front, browser: Any) -> None:
    front = stocked
    with open_sheet(browser, front, _write_dashboard(front), height=1000) as sheet:
        page = sheet.page
        page.set_default_timeout(60_000)

        # The form: what is missing is said, what is wrong is said at its field.
        page.locator(".wb-form [data-action=strategy]").select_option(STRATEGY)
        page.locator(".wb-form [data-key$=fast_ema_period]").wait_for()
        _fill(sheet, "fast_ema_period", "-5")
        page.locator(".wb-form [data-key$=fast_ema_period][aria-invalid=true]").wait_for()
        _fill(sheet, "fast_ema_period", "10")
        page.locator(".wb-form [data-key$=fast_ema_period]:not([aria-invalid=true])").wait_for()

        # The size: computed once, shown in its field, and free to be changed.
        page.locator(".wb-form [data-key='sizing.method']").select_option("Percent of equity")
        page.locator(".wb-form [data-key='sizing.amount']").wait_for()
        _fill(sheet, "sizing.amount", "5")
        page.get_by_text("rounded down").wait_for()
        assert int(page.locator(".wb-form [data-key$=trade_size]").input_value().replace(",", "")) > 10_000
        _fill(sheet, "trade_size", "100000")
        page.locator(".wb-form [data-key='sizing.amount']").wait_for(state="detached")
        # The run: begun by keyboard, it moves, is held, looked into, and outlives the page.
        page.locator(".wb-form [data-action=name]").fill("journey")
        page.locator(".wb-form [data-action=name]").press("Control+Enter")
        row = page.locator("tr[id^=wb-job]", has_text="journey")
        row.wait_for()
        wait_until(lambda: 0 < _progress(sheet) < 100, "progress", RUN_SECS)
        first = _progress(sheet)
        wait_until(lambda: _progress(sheet) > first, "more progress", RUN_SECS)
        row.locator("[data-action=pause]").click()
        row.locator("[data-action=resume]").wait_for(timeout=RUN_SECS * 1000)
        page.locator("tr [data-action=inspect]").first.click()
        page.get_by_text("Open orders").first.wait_for()
        held = _progress(sheet)
        sheet.show_again()
        row.locator("[data-action=resume]").wait_for()
        assert _progress(sheet) == pytest.approx(held)
        row.locator("[data-action=resume]").click()
        row.locator("button[data-action=open]").wait_for(timeout=RUN_SECS * 1000)
        wait_until(lambda: _progress(sheet) == 100, "the end", RUN_SECS)

        # The results: the numbers of the run directory.
        row.locator("button[data-action=open]").click()
        page.locator(".wb-results .wb-kpi").first.wait_for()
        (folder,) = (front.workspace / "runs").glob("2*")
        headline = json.loads((folder / "metrics.json").read_text())["headline"]
        positions = pd.read_parquet(folder / "positions.parquet")
        assert _kpi(sheet, "Sharpe") == f"{headline['sharpe']['value']:.2f}"
        assert _kpi(sheet, "Return") == f"{headline['total_return']['value']:+.2%}".replace("%", " %")
        assert _kpi(sheet, "Trades") == f"{len(positions):,}"

        # The chart zooms; the trades are saved as they are.
        chart = page.locator(".wb-chart[data-ready]").first
        chart.wait_for()
        before = page.evaluate(VISIBLE, load_runtime_key())
        chart.focus()
        page.keyboard.press("+")
        wait_until(lambda: page.evaluate(VISIBLE, load_runtime_key()) < before, "a zoom")
        page.locator("#wb-results-export summary").click()
        with page.expect_download() as download:
            page.locator("[data-action=export][data-key='trades:csv']").click()
        saved = pd.read_csv(download.value.path())
        assert len(saved) == len(positions)

        # The same again, cancelled: what it has so far is kept.
        row.locator("[data-action=requeue]").click()
        again = page.locator("tr[id^=wb-job]:has([data-action=cancel])")
        again.wait_for()
        wait_until(lambda: 0 < _progress(sheet) < 100, "progress", RUN_SECS)
        again.locator("[data-action=cancel]").click()
        page.get_by_text("cancelled after").first.wait_for(timeout=RUN_SECS * 1000)
        folders = set((front.workspace / "runs").glob("2*")) - {folder}
        (state,) = [json.loads((f / "manifest.json").read_text())["state"] for f in folders]
        assert state == "CANCELLED"


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_dashboard_fits_its_width_in_both_themes(voila: Front, browser: Any, width: int, theme: str) -> None:
    with open_sheet(browser, voila, _write_dashboard(voila), width=width, theme=theme) as sheet:
        page = sheet.page
        page.locator("#wb-runs-text").wait_for()
        boxes = [card.bounding_box() for card in page.locator(".wb-columns .wb-card").all()]
        left, right = boxes[0], boxes[1]
        assert left is not None
        assert right is not None
        assert left["width"] == pytest.approx(310, abs=1)
        assert right["x"] >= left["x"] + left["width"] + 8
        assert right["x"] + right["width"] <= width
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate("() => document.body.dataset.jpThemeLight") == str(theme == "light").lower()
        ink = page.locator(".wb-card").first.evaluate("e => getComputedStyle(e).color")
        red = int(ink.split("(")[1].split(",")[0])
        assert (red < 128) is (theme == "light")
