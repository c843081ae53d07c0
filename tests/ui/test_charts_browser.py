"""Exported charts in a real browser: drawn, alive, offline, in both themes."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import papermill
import pytest

from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.notebook_html import build_notebook_html, export_notebook_html
from workbench.ui.report import Report, RunView
from workbench.ui.static import build_runtime_html, load_runtime_key
from workbench.ui.theme import load_style

pytestmark = pytest.mark.browser

READY = """() => { const all = [...document.querySelectorAll('.wb-chart')];
  return all.length > 0 && all.every(e => e.dataset.ready && !e.querySelector('.wb-wait')) }"""
# Per chart: its ranges, what is visible, its colour.
STATE = """async key => { const {live} = await window[key].ready; const out = [];
  for (const {doc} of live) {
    const figure = doc.get_model_by_name('price') ?? doc.get_model_by_name('equity');
    if (!figure) continue;   // a chart of a figure over time
    const seen = name => { const m = doc.get_model_by_name(name); return m ? m.visible : null };
    const line = figure.renderers[0].glyph.line_color;
    const {start, end} = figure.x_range, {start: low, end: high} = figure.y_range;
    out.push({name: figure.name, start, end, low, high, candles: seen('wicks'), line: seen('line_renderer'),
      colour: line.value ?? line});
  }
  return out }"""
# Per chart: how many pixels of its canvases are not transparent.
DRAWN = """() => {
  const canvases = root => [...root.querySelectorAll('*')].flatMap(
    e => [...(e.tagName == 'CANVAS' ? [e] : []), ...(e.shadowRoot ? canvases(e.shadowRoot) : [])]);
  return [...document.querySelectorAll('.wb-chart')].map(host => { let drawn = 0;
    for (const c of canvases(host)) if (c.width && c.height) {
      const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
      for (let i = 3; i < d.length; i += 4) if (d[i]) drawn++;
    }
    return drawn }) }"""


def _state(page: Any) -> list[dict[str, Any]]:
    state: list[dict[str, Any]] = page.evaluate(STATE, load_runtime_key())
    return state


def _wait_until(page: Any, is_so: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Wait for a state. (The promise of an async `wait_for_function` would count as true.)"""
    for _ in range(100):
        if is_so(_state(page)):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"the charts stayed as {_state(page)}")


def _assert_drawn(page: Any) -> None:
    page.wait_for_function(f"() => ({DRAWN})().every(pixels => pixels > 3000)")


@contextmanager
def _open(
    browser: Any, path: Path, *, width: int = 1440, scheme: str = "light", **options: Any
) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    asked: list[str] = []
    wrong: list[str] = []
    page.on(
        "request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else asked.append(r.url)
    )
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.asked, page.wrong = asked, wrong
    try:
        page.goto(path.as_uri())
        yield page
    finally:
        page.close()


def _screenshot(page: Any, name: str) -> None:
    if folder := os.environ.get("WORKBENCH_SCREENSHOTS"):
        page.mouse.move(0, 0)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def _cell(html: str) -> nbformat.NotebookNode:
    output = nbformat.v4.new_output("display_data", data={"text/html": html})
    return nbformat.v4.new_code_cell("report", outputs=[output])


@pytest.fixture(scope="module")
def report_page(run: RunView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    cells = [
        nbformat.v4.new_markdown_cell("# EMACross on GBP/USD, February 2012"),
        _cell(Report(run).to_html()),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    path.write_text(build_notebook_html(notebook, title="Report", has_code=False), encoding="utf-8")
    assert path.stat().st_size < 800_000
    return path


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 1280), ("dark", 1280)]
)
def test_report_exported_draws_offline_without_errors(
    browser: Any, report_page: Path, scheme: str, width: int
) -> None:
    with _open(browser, report_page, width=width, scheme=scheme) as page:
        page.wait_for_function(READY)
        assert [chart["name"] for chart in _state(page)] == ["equity", "price"]
        _assert_drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        _screenshot(page, f"report-{scheme}-{width}")
        assert page.asked == []
        assert page.wrong == []


def test_report_narrow_screen_stacks_its_cards(browser: Any, report_page: Path) -> None:
    with _open(browser, report_page, width=800) as page:
        page.wait_for_function(READY)
        tops = page.eval_on_selector_all(
            ".wb-row", "rows => rows.map(r => [...r.children].map(c => c.offsetLeft))"
        )
        assert all(len(set(lefts)) == 1 for lefts in tops)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_chart_pointer_shows_values_and_leaves_the_last_ones(browser: Any, report_page: Path) -> None:
    with _open(browser, report_page) as page:
        page.wait_for_function(READY)
        chart = page.locator(".wb-chart").first
        last = chart.locator(".wb-read").inner_text()
        assert "2012-03-01 00:00 UTC" in last
        box = chart.bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 120)
        page.wait_for_function("t => document.querySelector('.wb-read').innerText != t", arg=last)
        text = chart.locator(".wb-read").inner_text()
        assert "2012-02-0" in text
        assert "USD" in text
        assert "Drawdown" in text
        page.mouse.move(5, 5)
        page.wait_for_function("t => document.querySelector('.wb-read').innerText == t", arg=last)


def test_chart_wheel_zooms_time_value_axis_follows_double_click_resets(
    browser: Any, report_page: Path
) -> None:
    with _open(browser, report_page) as page:
        page.wait_for_function(READY)
        chart = page.locator(".wb-chart").nth(1)
        chart.scroll_into_view_if_needed()
        page.wait_for_timeout(350)  # the page has just been scrolled: the wheel is its own until then
        before = _state(page)[1]
        assert (before["candles"], before["line"]) == (False, True)
        box = chart.bounding_box()
        x, y = box["x"] + 0.8 * box["width"], box["y"] + 150
        page.mouse.move(x, y)
        page.mouse.move(x + 2, y)
        for _ in range(4):
            page.mouse.wheel(0, -300)
        _wait_until(page, lambda state: state[1]["candles"])
        after = _state(page)[1]
        assert after["end"] - after["start"] < 0.2 * (before["end"] - before["start"])
        assert after["high"] - after["low"] < 0.8 * (before["high"] - before["low"])
        assert after["line"] is False
        assert _state(page)[0]["end"] - _state(page)[0]["start"] == pytest.approx(29 * 86_400_000, rel=0.01)
        page.mouse.dblclick(x, y)
        _wait_until(page, lambda state: state[1]["line"])
        assert _state(page)[1]["start"] == before["start"]
        assert _state(page)[1]["end"] == before["end"]
        assert page.wrong == []


def test_chart_page_being_scrolled_past_it_is_not_zoomed(browser: Any, report_page: Path) -> None:
    with _open(browser, report_page) as page:
        page.wait_for_function(READY)
        page.mouse.move(700, 40)
        before = _state(page)
        for _ in range(10):
            page.mouse.wheel(0, 60)
        page.wait_for_function("scrollY >= 500")
        assert [(c["start"], c["end"]) for c in _state(page)] == [(c["start"], c["end"]) for c in before]


def test_chart_keys_zoom_move_and_reset(browser: Any, report_page: Path) -> None:
    with _open(browser, report_page) as page:
        page.wait_for_function(READY)
        chart = page.locator(".wb-chart").first
        chart.focus()
        before = _state(page)[0]
        page.keyboard.press("+")
        zoomed = _state(page)[0]
        assert zoomed["end"] - zoomed["start"] == pytest.approx(0.7 * (before["end"] - before["start"]))
        page.keyboard.press("ArrowRight")
        assert _state(page)[0]["start"] > zoomed["start"]
        page.keyboard.press("Home")
        assert _state(page)[0]["start"] == before["start"]


def test_price_chart_pointer_on_a_fill_shows_size_price_and_time(browser: Any, report_page: Path) -> None:
    with _open(browser, report_page) as page:
        page.wait_for_function(READY)
        chart = page.locator(".wb-chart").nth(1)
        chart.scroll_into_view_if_needed()
        place = page.evaluate(
            """async key => { const {live} = await window[key].ready; const {doc} = [...live][1];
            const f = doc.get_model_by_name('price'), d = doc.get_model_by_name('fills_BUY').data, i = 40;
            return [(d.ts[i] - f.x_range.start) / (f.x_range.end - f.x_range.start) * f.inner_width,
                    (f.y_range.end - d.px[i]) / (f.y_range.end - f.y_range.start) * f.inner_height, d.px[i]] }""",
            load_runtime_key(),
        )
        box = chart.locator(".wb-plot").bounding_box()
        page.mouse.move(box["x"] + place[0], box["y"] + 6 + place[1] + 7)
        tip = page.locator(".wb-tip")
        tip.wait_for(state="visible")
        assert "100,000 @ 1.5" in tip.inner_text()
        assert "UTC" in tip.inner_text()
        page.mouse.move(5, 5)
        tip.wait_for(state="hidden")


def test_chart_theme_change_repaints_in_the_new_colours(browser: Any, report_page: Path) -> None:
    with _open(browser, report_page) as page:
        page.wait_for_function(READY)
        assert _state(page)[0]["colour"] == "rgb(37, 99, 201)"
        page.emulate_media(color_scheme="dark")
        _wait_until(page, lambda state: state[0]["colour"] == "rgb(106, 163, 255)")
        page.evaluate("document.body.dataset.jpThemeLight = 'true'")  # as JupyterLab's own theme does
        _wait_until(page, lambda state: state[0]["colour"] == "rgb(37, 99, 201)")


def _write(path: Path, *parts: str) -> Path:
    body = f"<style>{load_style()}</style><div class='wb'>{''.join(parts)}</div>"
    path.write_text(
        f"<!doctype html><meta charset='utf-8'><title>t</title><body>{body}</body>", encoding="utf-8"
    )
    return path


def test_chart_before_runtime_twice_and_beside_requirejs_is_drawn(
    browser: Any, equity: pd.DataFrame, tmp_path: Path
) -> None:
    first, second = (EquityCurveChart(equity, "USD").build_html() for _ in range(2))
    amd = "<script>window.define = () => { throw new Error('AMD') }; define.amd = true; window.Bokeh = 'other'</script>"
    runtime = build_runtime_html()
    path = _write(tmp_path / "a.html", amd, first, second, runtime, first, runtime)
    with _open(browser, path) as page:
        page.wait_for_function(READY)
        assert len(_state(page)) == 3
        assert page.evaluate("window.Bokeh") == "other"
        assert page.wrong == []


def test_chart_output_run_again_is_drawn_again(browser: Any, equity: pd.DataFrame, tmp_path: Path) -> None:
    html = EquityCurveChart(equity, "USD").build_html()
    path = _write(tmp_path / "a.html", build_runtime_html(), f"<div id='out'>{html}</div>")
    with _open(browser, path) as page:
        page.wait_for_function(READY)
        # What JupyterLab does with the HTML of a cell that is run again: its scripts are made anew.
        page.evaluate(
            """html => { const out = document.getElementById('out'); out.innerHTML = html;
            for (const old of out.querySelectorAll('script')) { const s = document.createElement('script');
              s.textContent = old.textContent; old.replaceWith(s) } }""",
            html,
        )
        page.wait_for_function(READY)
        assert page.locator(".wb-chart canvas, .wb-chart .wb-plot").count() > 0
        assert page.wrong == []


@pytest.mark.parametrize("has_scripts", [True, False])
def test_chart_without_runtime_or_scripts_says_what_to_do(
    browser: Any, equity: pd.DataFrame, tmp_path: Path, has_scripts: bool
) -> None:
    path = _write(tmp_path / "a.html", EquityCurveChart(equity, "USD").build_html())
    with _open(browser, path, java_script_enabled=has_scripts) as page:
        assert "trusted notebook" in page.locator(".wb-chart").inner_text()


def test_chart_damaged_data_says_so_in_place(browser: Any, equity: pd.DataFrame, tmp_path: Path) -> None:
    html = EquityCurveChart(equity, "USD").build_html()
    path = _write(tmp_path / "a.html", build_runtime_html(), html.replace('data-chart="', 'data-chart="AAAA'))
    with _open(browser, path) as page:
        page.locator(".wb-fail").wait_for()
        assert "could not be drawn" in page.locator(".wb-chart").inner_text()


@pytest.fixture
def foreign_host() -> Iterator[tuple[str, list[str]]]:
    """Stand in for the outside: an address, and what it was really asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_exported_notebook_with_foreign_references_asks_for_nothing(
    browser: Any, tmp_path: Path, foreign_host: tuple[str, list[str]]
) -> None:
    # Playwright reports a request that the policy refuses as well; the host sees only those that leave the page.
    host, asked = foreign_host
    html = f'<img src="{host}/a.png" alt="a"><script src="{host}/a.js"></script><script>fetch("{host}/b")</script>'
    page_html = build_notebook_html(nbformat.v4.new_notebook(cells=[_cell(html)]), title="T")
    open_path, closed_path = tmp_path / "open.html", tmp_path / "closed.html"
    closed_path.write_text(page_html, encoding="utf-8")
    open_path.write_text(page_html.replace("Content-Security-Policy", "Nothing"), encoding="utf-8")
    with _open(browser, closed_path) as page:
        page.wait_for_load_state("networkidle")
        assert len([text for text in page.wrong if "Content Security Policy" in text]) >= 3
    assert asked == []
    with _open(browser, open_path) as page:
        page.wait_for_load_state("networkidle")
    assert {"/a.png", "/a.js"} <= set(
        asked
    )  # without the policy the host is asked: it would have been noticed


def test_papermill_notebook_and_its_html_are_small_and_drawn_offline(
    browser: Any, run: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_DISPLAY", "static")
    run.equity[["ts", "equity"]].to_parquet(tmp_path / "equity.parquet")
    cells = [
        nbformat.v4.new_code_cell("path = ''", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            "import pandas as pd\nfrom workbench.ui import EquityCurveChart, MonthlyReturns\n"
            "equity = pd.read_parquet(path)\nEquityCurveChart(equity, 'USD')"
        ),
        nbformat.v4.new_code_cell("MonthlyReturns(equity)"),
        nbformat.v4.new_code_cell("EquityCurveChart({'one': equity, 'other': equity.iloc[::7]}, 'USD')"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    done, page_path = tmp_path / "out.ipynb", tmp_path / "out.html"
    papermill.execute_notebook(
        tmp_path / "in.ipynb", done, parameters={"path": str(tmp_path / "equity.parquet")},
        kernel_name="python3", language="python", progress_bar=False,
    )  # fmt: skip
    assert done.read_text().count("data-wb-runtime") == 1
    export_notebook_html(done, page_path)
    assert done.stat().st_size + page_path.stat().st_size < 1_500_000
    with _open(browser, page_path) as page:
        page.wait_for_function(READY)
        _assert_drawn(page)
        _screenshot(page, "notebook-light-1440")
        assert page.asked == []
        assert page.wrong == []
