"""The local pool: threads that each guard one warm child process."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol

import msgspec
import psutil

from workbench.errors import WorkerError
from workbench.jobs.switch import Switch
from workbench.jobs.watch import Limits
from workbench.jobs.worker import Outcome, Worker
from workbench.records import Failure, Inspection, Progress
from workbench.states import JobState

__all__ = ["Launcher", "Listener", "LocalPool", "Order"]

_IDLE_SECS = 600.0
_JOIN_SECS = 15.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a guard is to have done.

    Attributes
    ----------
    job_id : str
        The job.
    task : str
        The callable, ``module:function``, and `spec`, what it is called with.
    limits : Limits
        The bounds of the task.
    search_path : list[str]
        Where the child finds modules of the user's own.
    lock : str
        The file that the child locks while it works.

    """

    job_id: str
    task: str
    spec: dict[str, Any]
    limits: Limits
    search_path: list[str] = []
    lock: str = ""


class Listener(Protocol):
    """Who hears from a guard, on the guard's thread."""

    def note_progress(self, job_id: str, progress: Progress) -> None:
        """Hear how far the job has come."""

    def note_inspection(self, job_id: str, inspection: Inspection) -> None:
        """Hear what the paused job holds."""

    def note_end(self, job_id: str, outcome: Outcome) -> None:
        """Hear how the task ended: once, and last."""


class Launcher(Protocol):
    """Where tasks run: a pool on this machine, or a cluster."""

    @property
    def slots(self) -> int:
        """Return how many tasks may run at a time; paused ones do not count."""

    def launch(self, order: Order, switch: Switch, listener: Listener) -> None:
        """Begin a task and return at once; `switch` steers it, `listener` hears from it."""

    def tend(self) -> None:
        """Give back what has not been used for long; called every few seconds."""

    def close(self) -> None:
        """End all processes."""


class LocalPool:
    """
    Runs tasks in warm children of this process.

    There are as many children as tasks, paused ones included; a child that is free takes the next task. It is
    ended after `max_tasks`, above `recycle_bytes` of resident memory, or when it has been idle for ten minutes.

    Parameters
    ----------
    slots : int, optional
        How many tasks may run at a time; default: one for each core.
    max_tasks : int
        After so many tasks a child makes way for a fresh one.
    recycle_bytes : int
        A child that holds more than this after a task makes way for a fresh one.
    owner : str
        The mark on the children's command line; see `end_orphans`.

    """

    def __init__(
        self,
        slots: int | None = None,
        *,
        max_tasks: int = 100,
        recycle_bytes: int = 1_500_000_000,
        owner: str = "",
    ) -> None:
        self._slots = slots or max(len(psutil.Process().cpu_affinity() or [0]), 1)
        self._max_tasks = max_tasks
        self._recycle_bytes = recycle_bytes
        self._owner = owner
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._threads: set[threading.Thread] = set()
        self._is_closed = False

    @property
    def slots(self) -> int:
        """Return how many tasks may run at a time."""
        return self._slots

    def launch(self, order: Order, switch: Switch, listener: Listener) -> None:
        """Begin a task on a thread of its own."""
        thread = threading.Thread(
            target=self._guard, args=(order, switch, listener), name=f"guard-{order.job_id}", daemon=True
        )
        with self._lock:
            thread.start()
            self._threads.add(thread)

    def tend(self) -> None:
        """End children that have been idle for long."""
        now = time.monotonic()
        with self._lock:
            stale = [c for c in self._idle if now - c.idle_since > _IDLE_SECS]
            self._idle = [c for c in self._idle if c not in stale]
        for child in stale:
            child.worker.close()

    def close(self) -> None:
        """End all children, busy ones too; their tasks have died."""
        with self._lock:
            self._is_closed = True
            children, self._idle = [*self._idle, *self._busy], []
            threads = list(self._threads)
        for child in children:
            child.worker.close()
        deadline = time.monotonic() + _JOIN_SECS
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))

    def _guard(self, order: Order, switch: Switch, listener: Listener) -> None:
        try:
            outcome = self._run(order, switch, listener)
        except WorkerError as e:  # No process could be started, or the order could not be sent
            outcome = self._explain(str(e))
        except Exception as e:  # noqa: BLE001 - a defect of ours must end this job, not the whole pool
            outcome = self._explain(f"the guard failed: {type(e).__name__}: {e}")
        with self._lock:
            self._threads.discard(threading.current_thread())
        listener.note_end(order.job_id, outcome)

    def _run(self, order: Order, switch: Switch, listener: Listener) -> Outcome:
        child = self._take()
        try:
            return child.worker.run(
                order.task,
                order.spec,
                on_progress=lambda p: listener.note_progress(order.job_id, p),
                on_inspection=lambda i: listener.note_inspection(order.job_id, i),
                limits=order.limits,
                switch=switch,
                search_path=order.search_path,
                lock=order.lock,
            )
        finally:
            self._give_back(child)

    def _explain(self, message: str) -> Outcome:
        kind, state = ("killed", JobState.INTERRUPTED) if self._is_closed else ("died", JobState.FAILED)
        return Outcome(state=state, result={}, failure=Failure(kind=kind, message=message))

    def _take(self) -> _Child:
        with self._lock:
            if self._is_closed:
                raise WorkerError("the pool was closed")
            child = self._idle.pop() if self._idle else _Child(Worker(self._owner))
            self._busy.add(child)
            return child

    def _give_back(self, child: _Child) -> None:
        child.tasks += 1
        child.idle_since = time.monotonic()
        is_spent = child.tasks >= self._max_tasks or child.rss_bytes > self._recycle_bytes
        with self._lock:
            self._busy.discard(child)
            if not (
                is_spent or self._is_closed or child.worker.pid is None or len(self._idle) >= self._slots
            ):
                self._idle.append(child)
                return
        child.worker.close()


class _Child:
    """A warm child and what it has done."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.tasks = 0
        self.idle_since = time.monotonic()

    @property
    def rss_bytes(self) -> int:
        try:
            return int(psutil.Process(self.worker.pid).memory_info().rss) if self.worker.pid else 0
        except psutil.Error:  # Gone
            return 0
