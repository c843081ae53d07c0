"""The sweep as a kind of job, and the threads of the server that run them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from workbench.backtest.kind import BacktestKind
from workbench.backtest.sweep import SweepRun
from workbench.jobs.directory import JobDirectory
from workbench.jobs.failures import build_failure
from workbench.jobs.kinds import JobEnd
from workbench.jobs.pool import Launcher, Listener, Order
from workbench.jobs.service import JobService
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Outcome
from workbench.records import JobRecord
from workbench.states import JobState

__all__ = ["SweepKind"]

_JOIN_SECS = 15.0


class SweepKind:
    """
    How sweeps are prepared, run and read; see `workbench.jobs.kinds.Kind`.

    A sweep has no process of its own: a thread of the server submits its backtests and waits for them.

    Parameters
    ----------
    service : JobService
        Where the backtests go.
    root : Path
        The job directories.

    """

    name = "sweep"
    can_pause = True
    preparation = "workbench.backtest.sweep_tasks:prepare"

    def __init__(self, service: JobService, root: Path) -> None:
        self.launcher: Launcher | None = _Coordinator(service, root)

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        """Return what the coordinator needs to know; the task is itself."""
        return self.name, {
            **job.spec,
            "job_id": job.id,
            "owner": job.owner,
            "requeued_from": job.requeued_from,
            "lineage": job.lineage,
            "dataset": job.dataset,
            "started_at": job.started_at,
        }

    def build_wish(self, job: JobRecord, directory: Path) -> dict[str, Any]:
        """Return what to submit to have this sweep again; trials that were completed are not run again."""
        backtest = msgspec.structs.replace(job, spec=job.spec["backtest"])
        return {
            "backtest": {**BacktestKind().build_wish(backtest, directory), "name": ""},
            "search": job.spec["search"],
            "parallel": job.spec["parallel"],
            "name": job.name,
        }

    def read_end(self, directory: Path) -> JobEnd | None:
        """Return what the manifest says, with the numbers of the best trial."""
        files = JobDirectory(directory)
        if not files.is_finished:
            return None
        record = files.read_manifest()
        best = files.read_json("sweep.json").get("headline", {})
        return JobEnd(
            state=record.state,
            failure=record.failure,
            name=record.name,
            lineage=record.lineage,
            dataset=record.dataset,
            headline=best,
            started_at=record.started_at,
            finished_at=record.finished_at,
        )


class _Coordinator:
    """Runs each sweep on a thread of the server; a `Launcher` for what needs no process."""

    slots = 0

    def __init__(self, service: JobService, root: Path) -> None:
        self._service = service
        self._root = root
        self._threads: list[threading.Thread] = []

    def launch(self, order: Order, switch: Switch, listener: Listener) -> None:
        """Begin a sweep on a thread of its own."""
        thread = threading.Thread(
            target=self._guard, args=(order, switch, listener), name=f"sweep-{order.job_id}", daemon=True
        )
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()

    def tend(self) -> None:
        """End the child that checks the trials when no sweep is left that submits any."""
        if not any(t.is_alive() for t in self._threads):
            self._service.rest()

    def close(self) -> None:
        """Wait for the threads; they end when their sweeps are interrupted."""
        for thread in self._threads:
            thread.join(_JOIN_SECS)

    def _guard(self, order: Order, switch: Switch, listener: Listener) -> None:
        try:
            outcome = SweepRun(self._service, self._root, order, switch, listener).run()
        except Exception as e:  # noqa: BLE001 - a defect of ours must end this sweep, not the server
            outcome = Outcome(state=JobState.FAILED, result={}, failure=build_failure(e))
        listener.note_end(order.job_id, outcome)
