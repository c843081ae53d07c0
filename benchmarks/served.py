"""A job service with its store, as the server has it, without the HTTP around it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.backtest.kind import BacktestKind
from workbench.backtest.sweep_kind import SweepKind
from workbench.jobs.service import JobService
from workbench.records import JobRecord
from workbench.store.store import Store

__all__ = ["run_job", "running_service"]

DEADLINE_SECS = 3_600.0


@contextlib.contextmanager
def running_service(root: Path, **options: Any) -> Iterator[JobService]:
    """Run a service whose records and runs are in `root`."""
    store = Store.open(f"sqlite:///{root / 'records.sqlite'}")
    service = JobService(store, root / "runs", [BacktestKind()], owner=f"benchmark-{root}", **options)
    service.add_kind(SweepKind(service, root / "runs"))
    try:
        service.start()
        yield service
    finally:
        service.stop()
        store.close()


def run_job(service: JobService, wish: dict[str, Any], kind: str = "backtest") -> JobRecord:
    """Submit a job, wait for its end and return it."""
    news = threading.Event()
    listener = service.feed.subscribe(news.set)
    try:
        job = service.submit(kind, wish, owner="benchmark")
        while not (job := service.get(job.id)).state.is_finished:
            if not news.wait(DEADLINE_SECS):
                raise TimeoutError(f"the job {job.id} has not ended")
            news.clear()
            listener.take()
    finally:
        listener.close()
    if job.failure is not None:
        raise RuntimeError(job.failure.message)
    return job
