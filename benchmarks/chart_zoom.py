"""
A chart of 5 million points: what a zoom costs, against a page that has been sent all of them.

From a change of the visible range to the frame after the new data, and the bytes that travelled for it, in a real
Chromium. Ours asks the kernel, which sends the extremes of every pixel column of what is visible. The other
side embeds every point once (its bytes count for each view of a session of ten), and the browser draws all
that are visible.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pandas as pd
from chart_page import ChartPage, open_browser, serve_chart
from rounds import build_row, run_script

from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.static import load_runtime_key

__all__ = ["measure"]

POINTS = 5_000_000
VIEWS = 10
THEIR_VIEWS = 2  # each takes seconds
MOST_MS = 150
MOST_BYTES = 300_000
# Zooms and pans by setting the range, as the wheel does; each waits for a frame with the answer's data in it.
_VIEW = """async ({key, share, all}) => {
  const {live} = await window[key].ready, {doc, host} = [...live][0];
  const figure = doc.get_model_by_name('equity'), source = doc.get_model_by_name('curve0'), {x_range} = figure;
  const target = host.querySelector('.wb-plot').getBoundingClientRect(), before = source.data, bytes = window.bytes;
  const frame = () => new Promise(r => requestAnimationFrame(() => setTimeout(r)));
  const idle = async () => { for (let i = 0; i < 2; i++) await frame() };
  const begun = performance.now();
  const span = (x_range.end - x_range.start) * share.zoom;
  const middle = (x_range.start + x_range.end) / 2 + share.pan * span;
  x_range.setv({start: middle - span / 2, end: middle + span / 2});
  if (!all) while (source.data === before) await frame();
  await idle();
  return [performance.now() - begun, window.bytes - bytes, source.data.ts.length];
}"""


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure both sides in turns."""
    points = POINTS // 10 if quick else POINTS
    frame = _build_walk(points)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with open_browser() as browser:
        for _ in range(rounds):
            ours.append(_look(browser, frame, sends_all=False))
            theirs.append(_look(browser, frame, sends_all=True))
    latency = statistics.median(side["ms"] for side in ours)
    worst = max(side["worst_ms"] for side in ours)
    size = max(side["bytes"] for side in ours)
    kernel = statistics.median(side["kernel_ms"] for side in ours)
    all_ms, all_bytes = (statistics.median(side[name] for side in theirs) for name in ("ms", "bytes"))
    return [
        build_row(
            f"a view of {points:,} points, time",
            [a["ms"] / b["ms"] for a, b in zip(ours, theirs, strict=True)],
            1.0,
            f"{latency:.0f} ms (worst {worst:.0f}, target {MOST_MS}; {kernel:.0f} ms of it in the kernel) "
            f"against {all_ms:.0f} ms with all points in the page",
            latency_ms=latency,
            is_fast=latency <= MOST_MS,
        ),
        build_row(
            f"a view of {points:,} points, bytes",
            [a["bytes"] / b["bytes"] for a, b in zip(ours, theirs, strict=True)],
            MOST_BYTES / (points * 24 / VIEWS),
            f"at most {size:,.0f} bytes (target {MOST_BYTES:,}) against {all_bytes:,.0f} "
            f"({points * 24:,} once, over {VIEWS} views)",
            view_bytes=size,
            is_small=size <= MOST_BYTES,
        ),
    ]


def _build_walk(points: int) -> pd.DataFrame:
    steps = np.random.default_rng(7).normal(size=points)
    ts = pd.date_range("2020-01-01", periods=points, freq="s", tz="UTC")
    return pd.DataFrame({"ts": ts, "equity": 1_000_000 + np.cumsum(steps)})


def _look(browser: Any, frame: pd.DataFrame, *, sends_all: bool) -> dict[str, float]:
    with serve_chart(lambda: EquityCurveChart(frame, "USD", name="main")) as served:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        try:
            page.goto(served.url)
            page.wait_for_function("() => document.querySelector('.wb-chart[data-ready]')")
            sent = _send_all(served, page, len(frame)) if sends_all else 0
            served.views.clear()
            looks = []
            shares = [{"zoom": 0.5, "pan": 0.0}, {"zoom": 1.0, "pan": 0.15}]
            for k in range(THEIR_VIEWS if sends_all else VIEWS):
                argument = {"key": load_runtime_key(), "share": shares[k % 2], "all": sends_all}
                looks.append(page.evaluate(_VIEW, argument))
        finally:
            page.close()
        return {
            "ms": statistics.median(look[0] for look in looks),
            "worst_ms": max(look[0] for look in looks),
            "bytes": sent / VIEWS if sends_all else max(look[1] for look in looks),
            "kernel_ms": 1_000 * statistics.median(served.views) if served.views else 0.0,
        }


def _send_all(served: ChartPage, page: Any, points: int) -> int:
    def send() -> None:
        chart = served.component
        samples = chart._samples["curve0"]
        chart._send = lambda: None
        chart._live.send_data("main", "curve0", samples.take(np.arange(len(samples))))

    before = page.evaluate("window.bytes")
    served.call(send)
    arrived = """async ([key, rows]) => { const {live} = await window[key].ready;
      return [...live][0].doc.get_model_by_name('curve0').data.ts.length == rows }"""
    deadline = time.monotonic() + 300
    while not page.evaluate(arrived, [load_runtime_key(), points]):
        if time.monotonic() > deadline:
            raise RuntimeError("the page did not get all points")
        time.sleep(0.2)
    return int(page.evaluate("window.bytes") - before)


if __name__ == "__main__":
    run_script(measure, __doc__)
