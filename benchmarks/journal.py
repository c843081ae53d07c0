"""
The journal of a live engine: how many events a second, and how late a listener is told of each.

Beside it stands what SQLite alone does with the same rows in the same transactions: WAL, synced at every commit, 1,000
rows each with ``executemany``. The journal gives numbers, keeps the newest in memory, wakes listeners and holds its
promises on top; a ratio of 1 would mean that all of that is free.

The second row appends at a steady pace, 500 orders and 2,000 ticks a second at most, and counts from `append` until a
listener in another thread has taken the event, after the disk has synced: in milliseconds, and beside it the same for
one bare commit. The third is what the thread that appends pays, in microseconds.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rounds import build_row, run_script

from workbench.live.journal import Journal

__all__ = ["measure"]

RATE_TARGET = 0.4
AGE_TARGET = 50.0
APPEND_TARGET = 10.0
EVENTS = 100_000
SECS = 5.0
BATCH = 1_000
BODY = (
    b'{"client_order_id":"O-20261122-000001","instrument_id":"EUR/USD.SIM","side":"BUY","quantity":"100000",'
    b'"last_px":"1.10001","last_qty":"100000","commission":"2.20 USD","trade_id":"SIM-1-001","liquidity":"TAKER"}'
)


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure in a directory beside this file: the temporary one may be no disk at all."""
    events, secs = (5_000, 0.5) if quick else (EVENTS, SECS)
    ratios, rates, raw_rates, appends, ages, commits = [], [], [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=Path(__file__).parent, prefix=".journal-") as name:
            folder = Path(name)
            raw_rates.append(events / _write_raw(folder / "raw.sqlite", events))
            written, appended = _write(folder / "rate.sqlite", events)
            rates.append(events / written)
            ratios.append(rates[-1] / raw_rates[-1])
            appends.append(appended)
            commits.append(_measure_commits(folder / "commits.sqlite", 100))
            ages.append(_measure_ages(folder / "ages.sqlite", secs))
    p99 = [statistics.quantiles(a, n=100)[98] for a in ages]
    middle = statistics.median(statistics.median(a) for a in ages)
    bare = statistics.median(statistics.quantiles(c, n=100)[98] for c in commits)
    return [
        build_row(
            "events a second, journal / raw sqlite3",
            ratios,
            RATE_TARGET,
            f"{statistics.median(rates):,.0f} against {statistics.median(raw_rates):,.0f} a second, {events:,} events",
            is_more_better=True,
        ),
        build_row(
            "from append to a listener, p99 in ms",
            p99,
            AGE_TARGET,
            f"median {middle:.1f} ms, {sum(map(len, ages)):,} events; one bare commit: p99 {bare:.1f} ms",
        ),
        build_row(
            "append, p99 in us",
            appends,
            APPEND_TARGET,
            f"{events:,} events as fast as one thread can, while the writer works beside it",
        ),
    ]


def _open_raw(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY, ts_ns, incarnation, kind, name, body, flag)"
    )
    return connection


def _insert(connection: sqlite3.Connection, start: int, count: int) -> None:
    rows = [(seq, 0, 1, "order", "OrderFilled", BODY, 1) for seq in range(start, start + count)]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def _write_raw(path: Path, events: int) -> float:
    connection = _open_raw(path)
    began = time.perf_counter()
    for start in range(1, events + 1, BATCH):
        _insert(connection, start, BATCH)
    secs = time.perf_counter() - began
    connection.close()
    return secs


def _measure_commits(path: Path, count: int) -> list[float]:
    connection = _open_raw(path)
    took = []
    for number in range(count):
        began = time.perf_counter()
        _insert(connection, 1 + 25 * number, 25)
        took.append((time.perf_counter() - began) * 1e3)
    connection.close()
    return took


def _write(path: Path, events: int) -> tuple[float, float]:
    """Return how long it took until all was on disk, and the 99th percentile of one append in microseconds."""
    took = []
    with Journal.open(path, incarnation=1) as journal:
        began = time.perf_counter()
        for _ in range(events):
            start = time.perf_counter_ns()
            journal.append("order", "OrderFilled", BODY)
            took.append((time.perf_counter_ns() - start) / 1e3)
        assert journal.flush(600)
        secs = time.perf_counter() - began
        assert journal.last_seq == events
    return secs, statistics.quantiles(took, n=100)[98]


def _measure_ages(path: Path, secs: float) -> list[float]:
    """Append for so long and return how old each event was when a listener had it, in milliseconds."""
    ages: list[float] = []
    woken, over = threading.Event(), threading.Event()
    with Journal.open(path, incarnation=1) as journal, journal.subscribe(woken.set, after=None) as listener:

        def listen() -> None:
            while woken.wait():
                woken.clear()
                while taken := listener.take():
                    now = time.time_ns()
                    ages.extend((now - e.ts_ns) / 1e6 for e in taken)
                if over.is_set():
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        end = time.monotonic() + secs
        while time.monotonic() < end:
            for number in range(5):
                is_order = number == 0
                journal.append("order" if is_order else "data", "", BODY, is_essential=is_order)
            time.sleep(0.002)
        assert journal.flush(60)
        over.set()
        woken.set()
        thread.join()
        assert len(ages) == journal.last_seq
    return ages


if __name__ == "__main__":
    run_script(measure, __doc__)
