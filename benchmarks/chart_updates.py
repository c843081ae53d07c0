"""
A curve that grows by 1,000 samples a second: what it costs the page, against a message for each sample.

The CPU of the page's process in a real Chromium (per cent of one core), and how long after the last sample the page
shows it. Ours gathers samples, sends at most 10 batches a second and of each batch what a screen shows.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import pandas as pd
from chart_page import ChartPage, open_browser, read_page_cpu, serve_chart
from rounds import build_row, run_script

from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.static import load_runtime_key

__all__ = ["measure"]

RATE = 1_000
SECS = 10
LESS = 4  # so many times shorter for the other side, which falls behind by more than that
MOST_CPU = 0.5  # of a core
MOST_LAG_SECS = 60
_LAST = """async key => { const {live} = await window[key].ready, [{doc}] = [...live];
  const {ts} = doc.get_model_by_name('curve0').data; return ts[ts.length - 1] }"""


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure both sides in turns."""
    secs = 4 if quick else SECS
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with open_browser() as browser:
        for _ in range(rounds):
            ours.append(_grow(browser, secs, is_batched=True))
            theirs.append(_grow(browser, secs / LESS, is_batched=False))
    cpu, lag, rate = (statistics.median(side[name] for side in ours) for name in ("cpu", "lag", "rate"))
    their_cpu, their_lag = (statistics.median(side[name] for side in theirs) for name in ("cpu", "lag"))
    return [
        build_row(
            f"page CPU at {RATE:,} updates/s",
            [a["work"] / b["work"] for a, b in zip(ours, theirs, strict=True)],
            0.5,
            f"{cpu:.0%} of a core (target {MOST_CPU:.0%}) for {rate:,.0f} samples/s, shown {lag * 1e3:.0f} ms after "
            f"the last; a message for each: {their_cpu:.0%}, shown {their_lag:.1f} s after the last",
            page_cpu=cpu,
            lag_secs=lag,
            is_light=cpu <= MOST_CPU,
        )
    ]


def _grow(browser: Any, secs: float, *, is_batched: bool) -> dict[str, float]:
    count = 100_000
    start = time.time_ns() - count * 1_000_000
    ts = pd.to_datetime(start + np.arange(count) * 1_000_000, unit="ns", utc=True)
    frame = pd.DataFrame({"ts": ts, "equity": 1e6 + np.cumsum(np.sin(np.arange(count)))})
    with serve_chart(lambda: EquityCurveChart(frame, "USD", name="main")) as served:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        try:
            page.goto(served.url)
            page.wait_for_function("() => document.querySelector('.wb-chart[data-ready]')")
            page.wait_for_timeout(1_000)
            before, begun = read_page_cpu(), time.perf_counter()
            last, sent = _feed(served, secs, is_batched=is_batched)
            fed = time.perf_counter() - begun
            deadline = time.monotonic() + MOST_LAG_SECS
            while page.evaluate(_LAST, load_runtime_key()) < last and time.monotonic() < deadline:
                page.wait_for_timeout(20)
            took = time.perf_counter() - begun
            work = sum(secs - before.get(pid, 0.0) for pid, secs in read_page_cpu().items())
        finally:
            page.close()
    return {"cpu": work / took, "work": work / sent, "lag": took - fed, "rate": sent / fed}


def _feed(served: ChartPage, secs: float, *, is_batched: bool) -> tuple[float, int]:
    """Append in real time from this thread; return the last time stamp in milliseconds, and how many."""
    chart = served.component
    begun = time.perf_counter()
    sent, last = 0, 0.0
    while (passed := time.perf_counter() - begun) < secs:
        while sent < passed * RATE:
            stamp = time.time_ns()
            last = stamp / 1e6
            if is_batched:
                chart.append(stamp, 1e6 + sent)
            else:
                row = {name: np.array([value]) for name, value in (("ts", last), ("equity", 1e6 + sent))}
                row["drawdown"] = np.zeros(1)
                served.post(lambda row=row: chart._live.send_data("main", "curve0", row, mode="append"))
            sent += 1
        time.sleep(0.001)
    return last, sent


if __name__ == "__main__":
    run_script(measure, __doc__)
