"""Live charts in a real browser, with the kernel's side on a thread of its own: zoom, growth, picks."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.ui.component import Component
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.heat_map import HeatMap
from workbench.ui.parallel_coordinates import ParallelCoordinates
from workbench.ui.price_chart import PriceChart
from workbench.ui.report import RunView
from workbench.ui.static import load_runtime_key

pytestmark = pytest.mark.browser

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
START = 1_600_000_000
# What the first chart of the page shows: its range of time, and how many rows of a source are visible.
SEEN = """async ([key, name, source]) => { const {live} = await window[key].ready, [{doc}] = [...live];
  const {start, end} = doc.get_model_by_name(name).x_range, {ts} = doc.get_model_by_name(source).data;
  const seen = m => doc.get_model_by_name(m)?.visible;
  return {start, end, rows: ts.length, last: ts[ts.length - 1], candles: seen('wicks'),
    inside: ts.filter(t => t >= start && t <= end).length} }"""
PLACE = """async ([key, figure, x, y]) => { const {live} = await window[key].ready, [{doc, host}] = [...live];
  const f = doc.get_model_by_name(figure), box = host.querySelector('.wb-plot').getBoundingClientRect();
  const top = f.above.length ? box.height - f.inner_height - 4 : 6;
  return [box.x + (x - f.x_range.start) / (f.x_range.end - f.x_range.start) * f.inner_width,
    box.y + top + (f.y_range.end - y) / (f.y_range.end - f.y_range.start) * f.inner_height] }"""

type Show = Callable[[Callable[[], Component]], AbstractContextManager[tuple[Any, Any]]]


@pytest.fixture
def show(browser: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Show]:
    """Return how to open a component: gives its page and the kernel's side."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    serve_chart = importlib.import_module("chart_page").serve_chart

    @contextmanager
    def open_page(build: Callable[[], Component]) -> Iterator[tuple[Any, Any]]:
        with serve_chart(build) as served:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            try:
                page.goto(served.url)
                page.wait_for_function("() => document.querySelector('.wb-card')")
                yield page, served
                assert wrong == []
            finally:
                page.close()

    return open_page


def _seen(page: Any, figure: str = "equity", source: str = "curve0") -> dict[str, Any]:
    state: dict[str, Any] = page.evaluate(SEEN, [load_runtime_key(), figure, source])
    return state


def _wait(page: Any, is_so: Callable[[dict[str, Any]], Any], *names: str) -> dict[str, Any]:
    for _ in range(200):
        if is_so(state := _seen(page, *names)):
            return state
        page.wait_for_timeout(50)
    pytest.fail(f"the chart stayed as {state}")


def _ready(page: Any) -> None:
    page.wait_for_function("() => document.querySelector('.wb-chart[data-ready]')")


def _walk(rows: int) -> pd.DataFrame:
    ts = pd.to_datetime(START + np.arange(rows), unit="s", utc=True)
    return pd.DataFrame({"ts": ts, "equity": 1e6 + np.cumsum(np.sin(np.arange(rows) / 50))})


def test_equity_chart_zoomed_by_keys_shows_every_sample_of_a_million(show: Show) -> None:
    with show(lambda: EquityCurveChart(_walk(1_000_000), "USD")) as (page, _):
        _ready(page)
        before = _seen(page)
        page.locator(".wb-chart").focus()
        for _ in range(24):
            page.keyboard.press("+")
        state = _wait(page, lambda s: s["inside"] == pytest.approx((s["end"] - s["start"]) / 1_000, abs=2))
        assert state["end"] - state["start"] < (before["end"] - before["start"]) / 1_000
        assert state["rows"] < 10_000
        page.keyboard.press("Home")
        assert _wait(page, lambda s: s["start"] == before["start"])["end"] == before["end"]


def test_equity_chart_empty_grows_follows_and_survives_a_reload(show: Show) -> None:
    with show(lambda: EquityCurveChart(None, "USD")) as (page, served):
        assert "No equity samples yet" in page.locator(".wb-card").inner_text()
        chart = served.component
        for k in range(50):
            chart.append((START + k) * 10**9, 1_000_000 + k)
        _ready(page)
        last = (START + 49) * 1_000
        _wait(page, lambda s: s["last"] == last and s["end"] == last)
        assert "1,000,049.00 USD" in page.locator(".wb-read").inner_text()
        chart.append([(START + k) * 10**9 for k in range(50, 2_000)], np.full(1_950, 5.0))
        _wait(page, lambda s: s["end"] == (START + 1_999) * 1_000)
        page.reload()
        _ready(page)
        state = _wait(page, lambda s: s["last"] == (START + 1_999) * 1_000)
        assert state["end"] == state["last"]
        assert state["start"] == START * 1_000


def test_price_chart_zoomed_shows_single_bars_and_says_which_trade_was_clicked(
    show: Show, run: RunView
) -> None:
    assert run.prices is not None
    prices, picked = run.prices["GBP/USD.SIM"], []
    with show(
        lambda: PriceChart(
            prices,
            fills=run.fills,
            positions=run.positions,
            instrument_id="GBP/USD.SIM",
            currency="USD",
            on_pick=picked.append,
        )
    ) as (page, served):
        _ready(page)
        fill = run.fills.iloc[400]
        at = fill["ts_event"].timestamp() * 1_000
        served.call(lambda: served.component.set_range(at - 3_600_000, at + 3_600_000))
        state = _wait(page, lambda s: s["candles"] and s["inside"] > 100, "price", "bars")
        assert state["inside"] == pytest.approx(120, abs=2)
        x, y = page.evaluate(PLACE, [load_runtime_key(), "price", at, float(fill["last_px"])])
        page.mouse.click(x, y + (7 if fill["order_side"] == "BUY" else -7))
        for _ in range(100):
            if picked:
                break
            page.wait_for_timeout(50)
        assert picked == [at]


def test_parallel_coordinates_pointer_shows_a_trial_and_a_brush_keeps_a_range(show: Show) -> None:
    trials = pd.DataFrame({"fast": [5, 10, 15, 20], "sharpe": [0.1, 2.0, 0.7, 1.1]}, index=list("abcd"))
    picked: list[object] = []
    with show(lambda: ParallelCoordinates(trials, ["fast"], "sharpe", best=1, on_pick=picked.append)) as (
        page,
        _,
    ):
        _ready(page)
        key = load_runtime_key()
        x, y = page.evaluate(PLACE, [key, "parallel", 0.5, (1 / 3 + 1) / 2])
        page.mouse.move(x, y)
        tip = page.locator(".wb-tip")
        tip.wait_for(state="visible")
        assert tip.inner_text().splitlines() == ["trial b", "fast 10", "sharpe 2"]
        page.mouse.click(x, y)
        page.mouse.move(*page.evaluate(PLACE, [key, "parallel", 0.0, 0.25]))
        page.mouse.down()
        page.mouse.move(*page.evaluate(PLACE, [key, "parallel", 0.0, 0.8]), steps=5)
        page.mouse.up()
        rows = """async key => { const {live} = await window[key].ready, [{doc}] = [...live];
          return ['best', 'others'].map(n => doc.get_model_by_name(n).data.ys.length) }"""
        for _ in range(100):
            if page.evaluate(rows, key) == [1, 1]:
                break
            page.wait_for_timeout(50)
        assert page.evaluate(rows, key) == [1, 1]
        assert picked == ["b"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_heat_map_cell_is_chosen_by_keyboard_and_can_be_read_at_every_strength(
    show: Show, scheme: str
) -> None:
    grid = [(x, y) for x in range(1, 6) for y in range(1, 6)]
    trials = pd.DataFrame({"x": [g[0] for g in grid], "y": [g[1] for g in grid]})
    trials["sharpe"] = trials["x"] * trials["y"] / 10
    picked: list[object] = []
    with show(lambda: HeatMap(trials, "x", "y", "sharpe", on_pick=picked.append)) as (page, _):
        page.emulate_media(color_scheme=scheme)
        contrasts = page.evaluate(
            """() => { const c = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const light = colour => { c.fillStyle = colour; c.fillRect(0, 0, 1, 1);
              const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
              const [r, g, b] = [...c.getImageData(0, 0, 1, 1).data].map(v => linear(v / 255));
              return .2126 * r + .7152 * g + .0722 * b + .05 };
            return [...document.querySelectorAll('.cell')].map(e => { const s = getComputedStyle(e);
              const [a, b] = [light(s.color), light(s.backgroundColor)]; return a > b ? a / b : b / a }) }"""
        )
        assert min(contrasts) >= 4.5
        page.locator("#wb-cell-2-4").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('#wb-cell-2-4[aria-pressed=true]')")
        assert page.evaluate("document.activeElement.id") == "wb-cell-2-4"
        assert picked == [{"x": [3], "y": [5]}]
