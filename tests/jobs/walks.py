"""A kind of job that these tests submit: a walk of so many steps, kept as a backtest is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import ConflictError
from workbench.jobs.directory import JobDirectory
from workbench.jobs.kinds import JobEnd
from workbench.jobs.pool import Launcher
from workbench.jobs.service import JobService
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store.query import JobQuery
from workbench.store.store import Store

DEADLINE_SECS = 120.0  # Costs time only where something is broken; a loaded machine is slow


class Walk:
    name = "walk"
    can_pause = True
    preparation = "job_tasks:prepare_walk"
    launcher: Launcher | None = None

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        return "job_tasks:walk", {**job.spec, "path": str(directory), "name": job.name}

    def build_wish(self, job: JobRecord, directory: Path) -> dict[str, Any]:
        return {key: value for key, value in job.spec.items() if key != "search_path"}

    def read_end(self, directory: Path) -> JobEnd | None:
        found = JobDirectory(directory)
        if not found.is_finished:
            return None
        record = found.read_manifest()
        return JobEnd(
            state=record.state,
            failure=record.failure,
            name=record.name,
            rows=record.rows,
            lineage=record.lineage,
            dataset=record.dataset,
            headline={"total_return": float(found.read_json("metrics.json").get("steps", 0))},
            started_at=record.started_at,
            finished_at=record.finished_at,
            start=record.backtest_start,
            end=record.backtest_end,
        )


@contextlib.contextmanager
def running_service(root: Path, **options: Any) -> Iterator[JobService]:
    """Run a service over the directories and the index in `root`; a second one finds what the first left."""
    store = Store.open(options.pop("url", None) or f"sqlite:///{root / 'records.sqlite'}")
    service = JobService(store, root / "runs", [Walk()], owner=f"test-{root}", **options)
    try:
        service.start()
        yield service
    finally:
        service.stop()
        store.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Poll a condition of another thread or process; fail loudly when it never comes."""
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_SECS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the condition did not come true in time")
        pause.wait(0.02)


def wait_for(service: JobService, job_id: str, *states: JobState) -> JobRecord:
    """Wait until the job is in one of the states (default: any end), and return it."""

    def has_come() -> bool:
        state = service.get(job_id).state
        return state in states if states else state.is_finished

    wait_until(has_come)
    return service.get(job_id)


def cancel_all(service: JobService) -> None:
    """Leave the service idle; a job may end by itself meanwhile."""
    unfinished = JobQuery(states=tuple(s for s in JobState if not s.is_finished), limit=1000)

    def is_left_idle() -> bool:
        for job in service.list_jobs(unfinished).items:
            with contextlib.suppress(ConflictError):
                service.cancel(job.id)
        return service.is_idle

    wait_until(is_left_idle)
