"""The guard of a job on a machine of a cluster: its files, its child, its line to the server, its results."""

from __future__ import annotations

import atexit
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import psutil

from workbench.errors import RunError, StoreError
from workbench.jobs.channel import Finished, Inspected, Tick
from workbench.jobs.directory import JobDirectory
from workbench.jobs.line import Line
from workbench.jobs.pool import LocalPool, Order
from workbench.jobs.results import ResultStore
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Outcome
from workbench.records import Failure, Inspection, Progress
from workbench.states import JobState

__all__ = ["RemoteOrder", "guard", "interrupt_all", "run_remote"]

_PUT_DELAYS = (0.5, 2.0)
_FREE_SHARE = 0.9


class RemoteOrder(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a guard elsewhere is to have done.

    Attributes
    ----------
    order : Order
        What a guard beside the server would be told. ``path`` in its `spec` is the job's directory, for which the
        guard puts in its own.
    files : dict[str, bytes]
        The first files of that directory.
    url : str
        The server's channel of the job, and `token`, which is good for it alone.
    results : str
        Where the results go; see `ResultStore`.
    link_secs : float
        How long the server may be lost before the task is ended.

    """

    order: Order
    files: dict[str, bytes]
    url: str
    token: str
    results: str
    link_secs: float


class _Ear:
    """Hears from the child: tells the server, and the guard what concerns itself (``None``: it is held)."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.news: SimpleQueue[Outcome | None] = SimpleQueue()

    def note_progress(self, job_id: str, progress: Progress) -> None:
        self._line.say(Tick(progress))
        if progress.state == JobState.PAUSED:
            self.news.put(None)

    def note_inspection(self, job_id: str, inspection: Inspection) -> None:
        self._line.say(Inspected(inspection))

    def note_end(self, job_id: str, outcome: Outcome) -> None:
        self.news.put(outcome)


def run_remote(content: bytes) -> None:
    """
    Guard a job in a worker of a Dask cluster; `content` is a `RemoteOrder` as msgpack.

    Raises
    ------
    ServerError
        If the server cannot be reached.

    """
    from distributed import get_worker, secede

    worker = get_worker()
    pool = _find_pool(worker.state.nthreads, f"guards of {worker.address}")
    pool.tend()
    root = Path(worker.local_directory)
    # A paused run keeps its memory but not its slot: another task may have this thread's place.
    guard(msgspec.msgpack.decode(content, type=RemoteOrder), pool=pool, root=root, step_aside=secede)


def guard(remote: RemoteOrder, *, pool: LocalPool, root: Path, step_aside: Callable[[], Any]) -> None:
    """
    Have a task done in a child of `pool`, put its results into the store, and tell the server.

    The server takes one guard for a job, once: a second one, which a cluster starts when it holds the first for
    dead, returns at once.

    Parameters
    ----------
    remote : RemoteOrder
        What to do.
    pool : LocalPool
        Where the children are.
    root : Path
        Where the job's directory is made, for as long as the job lasts.
    step_aside : Callable
        Called once, when the task is held for the first time.

    Raises
    ------
    ServerError
        If the server cannot be reached.
    InputError
        If results cannot be kept there, as far as this machine knows.

    """
    switch = Switch()
    line = Line(remote.url, remote.token, secrets.token_hex(16), switch, deadline_secs=remote.link_secs)
    with _known(switch), line, tempfile.TemporaryDirectory(prefix="workbench-job-", dir=root) as scratch:
        if line.is_refused:
            return
        store = ResultStore(remote.results)
        directory = JobDirectory(Path(scratch) / remote.order.job_id)
        outcome = _work(remote, directory, pool, switch, line, step_aside)
        if not line.is_refused:
            outcome = _put(store, directory, outcome, line)
        line.finish(
            Finished(
                state=outcome.state,
                result={},
                failure=outcome.failure,
                peak_rss_bytes=outcome.peak_rss_bytes,
            )
        )


def interrupt_all() -> None:
    """Interrupt the tasks of all guards of this process: it is about to end."""
    with _lock:
        switches = list(_switches)
    for switch in switches:
        switch.interrupt()


def _work(
    remote: RemoteOrder,
    directory: JobDirectory,
    pool: LocalPool,
    switch: Switch,
    line: Line,
    step_aside: Callable[[], Any],
) -> Outcome:
    try:
        directory.create()
        for name, content in remote.files.items():
            directory.write_bytes(name, content)
    except RunError as e:
        return _failed(str(e))
    order, ear = remote.order, _Ear(line)
    free = int(psutil.virtual_memory().available * _FREE_SHARE)
    limit = free if order.limits.memory_bytes is None else min(order.limits.memory_bytes, free)
    order = msgspec.structs.replace(
        order,
        spec={**order.spec, "path": str(directory.path)},
        limits=msgspec.structs.replace(order.limits, memory_bytes=limit),
        lock=str(directory.lock),
    )
    pool.launch(order, switch, ear)
    is_aside = False
    while (outcome := ear.news.get()) is None:
        if not is_aside:
            step_aside()
        is_aside = True
    return outcome


def _put(store: ResultStore, directory: JobDirectory, outcome: Outcome, line: Line) -> Outcome:
    """Put the results away; a child that was killed leaves none."""
    if not directory.is_finished:
        return outcome
    for delay in _PUT_DELAYS:
        with suppress(StoreError):
            store.put(directory)
            return outcome
        line.wait(delay)
    try:
        store.put(directory)
    except StoreError as e:
        failed = _failed(f"it ended as {outcome.state}, and its results are lost: {e}")
        return msgspec.structs.replace(failed, peak_rss_bytes=outcome.peak_rss_bytes)
    return outcome


def _failed(message: str) -> Outcome:
    return Outcome(state=JobState.FAILED, result={}, failure=Failure(kind="died", message=message))


@lru_cache(maxsize=1)
def _find_pool(slots: int, owner: str) -> LocalPool:
    """Return the pool of this process, which keeps its children warm from one job to the next."""
    pool = LocalPool(slots, owner=owner)
    atexit.register(pool.close)
    return pool


@contextmanager
def _known(switch: Switch) -> Iterator[None]:
    with _lock:
        _switches.add(switch)
    try:
        yield
    finally:
        with _lock:
            _switches.discard(switch)


_lock = threading.Lock()
_switches: set[Switch] = set()
