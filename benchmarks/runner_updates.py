"""
Progress into the list of runs: what the kernel's thread spends on 1,000 reports a second.

Twenty runs report fifty times a second each, through the feed and its thread, as a server's WebSocket gives them;
against the same reports with the list rendered for each of them. The ratio is that of the CPU time of the thread
that owns the widgets. The browser and the way to it are not in it: no page is open.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Self

import msgspec
from rounds import build_row, run_script

from workbench.client.client import JobPage
from workbench.records import EquityTrace, JobRecord, Progress
from workbench.states import JobState
from workbench.ui.runner import BacktestRunner

__all__ = ["measure"]

TARGET = 0.05
JOBS = 20
RATE = 1_000
SECS = 5.0
_DAY_NS = 86_400_000_000_000


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure the CPU time of the kernel's thread, once coalesced and once rendering each report."""
    secs = 0.5 if quick else SECS
    shares, ratios, feeds = [], [], []
    for _ in range(rounds):
        spent, feed_spent = asyncio.run(_follow(secs))
        each = asyncio.run(_render_each(secs))
        ratios.append(spent / each)
        shares.append(spent / secs)
        feeds.append(feed_spent / secs)
    middle = sorted(shares)[len(shares) // 2]
    return [
        build_row(
            "CPU of the kernel's thread, coalesced / each",
            ratios,
            TARGET,
            f"{RATE:,} reports/s of {JOBS} runs: {middle:.1%} of a core, and {sorted(feeds)[len(feeds) // 2]:.1%} for "
            "the feed's thread",
            shares=shares,
        )
    ]


class _Source:
    """What a server would say, at a steady pace."""

    url = "http://127.0.0.1"

    def __init__(self, secs: float) -> None:
        self.records = [
            JobRecord(id=f"job-{n}", kind="backtest", name=f"EMACross {n}", state=JobState.RUNNING, owner="me",
                      created_at=f"2026-11-22T14:30:{n:02d}.000Z", seq=n)
            for n in range(JOBS)
        ]  # fmt: skip
        jobs = [msgspec.to_builtins(record) for record in self.records]
        self.messages: list[dict[str, Any]] = [{"type": "snapshot", "seq": 0, "jobs": jobs}]
        self.messages += [_report(n, round(secs * RATE)) for n in range(round(secs * RATE))]
        self.is_done = threading.Event()
        self.cpu_secs = 0.0
        self.is_lost = False
        self._taken = 0
        self._began: float | None = None

    def listen(self) -> _Source:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def take(self, timeout_secs: float) -> dict[str, Any] | None:
        """Return the next message when its time has come."""
        now = time.perf_counter()
        self._began = self._began or now
        if self._taken == len(self.messages):
            self.cpu_secs = self.cpu_secs or time.thread_time()
            self.is_done.set()
            time.sleep(timeout_secs)
            return None
        wait = self._began + self._taken / RATE - now
        if wait > 0:
            time.sleep(min(wait, timeout_secs))
            if wait > timeout_secs:
                return None
        self._taken += 1
        return self.messages[self._taken - 1]

    def list_jobs(self, **query: Any) -> JobPage:
        return JobPage(items=self.records, total=JOBS)

    def whoami(self) -> dict[str, Any]:
        return {"name": "me", "permissions": ["view", "research"]}

    def resources(self) -> dict[str, Any]:
        return {"slots": JOBS, "memory_bytes": 20_000_000_000}

    def job(self, job_id: str) -> _Source:
        return self

    def load_trace(self) -> EquityTrace:
        return EquityTrace()


def _report(number: int, total: int) -> dict[str, Any]:
    progress = Progress(
        stage="run",
        fraction=number / total,
        simulated_ts_ns=number * _DAY_NS // 50,
        events=number,
        events_per_sec=20_000.0 + number,
        eta_secs=(total - number) / RATE,
        equity=f"{1_000_000 + number % 977}.50",
        currency="USD",
        rss_bytes=400_000_000 + number,
        cpu_percent=99.0,
    )
    return {"type": "progress", "job_id": f"job-{number % JOBS}", "progress": msgspec.to_builtins(progress)}


async def _follow(secs: float) -> tuple[float, float]:
    source = _Source(secs)
    runner = BacktestRunner(source)  # type: ignore[arg-type]
    before = time.thread_time()
    _ = runner.widget
    while not source.is_done.is_set():
        await asyncio.sleep(0.1)
    spent = time.thread_time() - before
    runner.close()
    return spent, source.cpu_secs


async def _render_each(secs: float) -> float:
    source = _Source(secs)
    runner = BacktestRunner(source)  # type: ignore[arg-type]
    fragment = runner.widget
    await asyncio.sleep(0.5)
    runner.close()
    before = time.thread_time()
    for message in source.messages:
        runner._feed.read(lambda book, m=message: book.note(m))
        fragment.html = runner._render()  # type: ignore[attr-defined]
    return time.thread_time() - before


if __name__ == "__main__":
    run_script(measure, __doc__)
