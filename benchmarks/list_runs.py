"""
Lists of 10,000 jobs: pages of the store against a bare SELECT of the same rows, and how fast jobs are added.

On SQLite, and on PostgreSQL where it is installed (a server of its own, which does not wait for the disk). The
bare SELECT goes through the same driver and fetches the same columns in the same order; what the store adds is
the count over all pages, and the records. The last row of each database is the slowest page as a share of 0.3 s.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg
from rounds import build_row, run_script

from workbench.records import Failure, JobRecord
from workbench.states import JobState
from workbench.store import JobQuery, Store
from workbench.store.fields import FIELDS

__all__ = ["measure"]

JOBS = 10_000
BUDGET_SECS = 0.3
PAGE_TARGET = 6.0
ADD_TARGET = 10.0
REPEATS = 10
STATES = (
    *[JobState.COMPLETED] * 6,
    JobState.FAILED,
    JobState.CANCELLED,
    JobState.INTERRUPTED,
    JobState.PENDING,
)
NUMBERS = (
    "total_return",
    "sharpe",
    "sortino",
    "max_drawdown",
    "trades",
    "win_rate",
    "profit_factor",
    "net_pnl",
)
COLUMNS = ", ".join(name for name in FIELDS if name != "spec")

Connection = Any  # Of either driver: both have `execute`, `commit` and `close`

FILTERS = "state = 'COMPLETED' AND owner = 'ann' AND search LIKE '%sweep 7%'"
# What is asked of the store, and the same in SQL; {sharpe} is written in each dialect.
PAGES: dict[str, tuple[JobQuery, str]] = {
    "page of 50 by -created_at": (
        JobQuery(),
        "ORDER BY created_at DESC, id DESC LIMIT 50",
    ),
    "page of 50 by -sharpe": (
        JobQuery(sort="-sharpe"),
        "ORDER BY {sharpe} DESC NULLS LAST, id DESC LIMIT 50",
    ),
    "page of 50 by -sharpe, three filters": (
        JobQuery(sort="-sharpe", states=(JobState.COMPLETED,), owner="ann", text="sweep 7"),
        "WHERE {filters} ORDER BY {sharpe} DESC NULLS LAST, id DESC LIMIT 50",
    ),
    "page of 50 at 9,000 by -created_at": (
        JobQuery(offset=9_000),
        "ORDER BY created_at DESC, id DESC LIMIT 50 OFFSET 9000",
    ),
    "page of 1,000 by -sharpe": (
        JobQuery(sort="-sharpe", limit=1_000),
        "ORDER BY {sharpe} DESC NULLS LAST, id DESC LIMIT 1000",
    ),
}


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure both databases."""
    count = JOBS // 10 if quick else JOBS
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        rows += _measure_one(
            "SQLite", f"sqlite:///{name}/ours.sqlite", _open_sqlite(Path(name)), count, rounds
        )
        if (server := _start_postgres(stack)) is not None:
            ours, bare = (stack.enter_context(server.make_database()) for _ in range(2))
            rows += _measure_one("PostgreSQL", ours, lambda: _open_postgres(ours, bare), count, rounds)
    return rows


def _measure_one(
    title: str,
    url: str,
    connect: Callable[[], tuple[Connection, Connection, str, str]],
    count: int,
    rounds: int,
) -> list[dict[str, Any]]:
    with closing(Store.open(url)) as store:
        ours, bare, sharpe, mark = connect()
        with closing(ours), closing(bare):
            added = [_add(store, bare, mark, count, rounds, turn) for turn in range(rounds)]
            ours.execute("ANALYZE")
            ours.commit()
            rows = [_build_adding(title, added, count // rounds)]
            slowest = [0.0] * rounds
            for name, (query, tail) in PAGES.items():
                statement = f"SELECT {COLUMNS} FROM jobs {tail.format(sharpe=sharpe, filters=FILTERS)}"
                turns = [_list(store, query, ours, statement) for _ in range(rounds)]
                slowest = [max(s, t[0]) for s, t in zip(slowest, turns, strict=True)]
                rows.append(_build_listing(f"{title}: {name}", turns))
    shares = [secs / BUDGET_SECS for secs in slowest]
    detail = f"{statistics.median(slowest) * 1000:.1f} ms of {count:,} jobs"
    return [*rows, build_row(f"{title}: slowest page, share of 0.3 s", shares, 1.0, detail)]


def _add(
    store: Store, bare: Connection, mark: str, count: int, rounds: int, turn: int
) -> tuple[float, float]:
    """Return the seconds that the store and bare INSERTs take for a share of the jobs, one transaction each."""
    jobs = [_build_job(number) for number in range(count) if number % rounds == turn]
    began = time.perf_counter()
    for job in jobs:
        store.add_job(job)
    ours = time.perf_counter() - began
    began = time.perf_counter()
    for job in jobs:
        values = (job.id, job.name, job.state.value, job.owner, job.created_at, json.dumps(job.spec))
        bare.execute(f"INSERT INTO bare VALUES ({', '.join([mark] * 6)})", values)
        bare.commit()
    return ours, time.perf_counter() - began


def _list(store: Store, query: JobQuery, ours: Connection, statement: str) -> tuple[float, float]:
    """Return the median seconds of a page from the store and of the bare SELECT, which have the same rows."""
    timings: tuple[list[float], list[float]] = ([], [])
    ids: list[str] = []
    rows: list[Any] = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        page = store.list_jobs(query)
        middle = time.perf_counter()
        rows = ours.execute(statement).fetchall()
        timings[1].append(time.perf_counter() - middle)
        timings[0].append(middle - began)
        ours.commit()
        ids = [job.id for job in page.items]
    if ids != [row[0] for row in rows]:
        raise RuntimeError(f"not the same rows: {statement}")
    return statistics.median(timings[0]), statistics.median(timings[1])


def _build_listing(name: str, turns: list[tuple[float, float]]) -> dict[str, Any]:
    ours, bare = (statistics.median(side) * 1000 for side in zip(*turns, strict=True))
    return build_row(
        name, [ours / bare for ours, bare in turns], PAGE_TARGET, f"{ours:.1f} ms against {bare:.1f} ms"
    )


def _build_adding(title: str, turns: list[tuple[float, float]], count: int) -> dict[str, Any]:
    ours, bare = (count / statistics.median(side) for side in zip(*turns, strict=True))
    detail = f"{ours:,.0f} jobs a second, with their events, against {bare:,.0f} bare rows"
    return build_row(f"{title}: add_job", [ours / bare for ours, bare in turns], ADD_TARGET, detail)


def _build_job(number: int) -> JobRecord:
    state = STATES[number % len(STATES)]
    has_results = state is JobState.COMPLETED
    stamp = f"2026-{1 + number // 28 % 12:02}-{1 + number % 28:02}T{number % 24:02}:00:00.{number % 1000:03}Z"
    failed = Failure(kind="exception", message="no such bar", traceback="  File x, line 1\n" * 60)
    return JobRecord(
        id=f"20260101-{number:06}-3f9a1c",
        kind="backtest",
        name=f"EMACross sweep {number % 97}",
        state=state,
        owner=("ann", "bob", "eve")[number % 3],
        created_at=stamp,
        started_at=stamp,
        finished_at=stamp,
        lineage=f"lineage-{number % 40}",
        dataset=f"dataset-{number % 5}",
        rows=1000 * number,
        peak_rss_bytes=10**9,
        point={"fast": number % 50, "slow": number % 200},
        failure=failed if state is JobState.FAILED else None,
        headline=dict.fromkeys(NUMBERS, number * 7919 % 10007 / 1000) if has_results else {},
        # As long as the configuration of a backtest.
        spec={"config": {f"key_{i}": {"path": "pkg.module:Class", "value": f"{i}.25"} for i in range(60)}},
    )


def _open_sqlite(folder: Path) -> Callable[[], tuple[Connection, Connection, str, str]]:
    def connect() -> tuple[Connection, Connection, str, str]:
        ours, bare = (sqlite3.connect(folder / f"{name}.sqlite") for name in ("ours", "bare"))
        bare.execute("PRAGMA journal_mode = WAL")
        bare.execute("PRAGMA synchronous = FULL")
        bare.execute("CREATE TABLE bare (id TEXT PRIMARY KEY, name, state, owner, created_at, spec)")
        return ours, bare, "json_extract(headline, '$.sharpe')", "?"

    return connect


def _open_postgres(ours_url: str, bare_url: str) -> tuple[Connection, Connection, str, str]:
    ours, bare = psycopg.connect(ours_url), psycopg.connect(bare_url)
    columns = "id TEXT PRIMARY KEY, name TEXT, state TEXT, owner TEXT, created_at TEXT, spec TEXT"
    bare.execute(f"CREATE TABLE bare ({columns})")
    return ours, bare, "(headline ->> 'sharpe')::float", "%s"


def _start_postgres(stack: ExitStack) -> Any:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.postgres import find_postgres, start_postgres

    programs = find_postgres()
    return None if programs is None else stack.enter_context(start_postgres(programs))


if __name__ == "__main__":
    run_script(measure, __doc__)
