"""Tasks on a `dask.distributed` cluster. This module needs the extra ``dask``; nothing imports it unasked."""

from __future__ import annotations

import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from distributed import Client, Future, Worker
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.scheduler import KilledWorker

from workbench.errors import ServerError, StoreError, WorkbenchError
from workbench.jobs.directory import JobDirectory
from workbench.jobs.guard import RemoteOrder, interrupt_all, run_remote
from workbench.jobs.links import LINK_SECS, Call, Links, build_interruption
from workbench.jobs.pool import Listener, Order
from workbench.jobs.results import ResultStore
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Outcome
from workbench.records import Failure
from workbench.states import JobState

__all__ = ["DaskLauncher"]

_CONNECT_SECS = 10.0
_REFRESH_SECS = 2.0
_CALL_SECS = 5.0
_FETCHERS = 4
# After these the results stay where they are, and the job says so.
_FETCH_DELAYS = (0.2, 1.0, 5.0, 15.0, 60.0, 120.0, 300.0)
_CHANNEL = "/api/v1/nautilus/jobs/{}/channel"

_log = logging.getLogger(__name__)


class _Farewell(WorkerPlugin):
    """Interrupts what runs on a worker that is told to go, so that its results so far are kept."""

    idempotent = True  # Another server may have put it there: taking that one away would interrupt its jobs

    def teardown(self, worker: Worker) -> None:
        interrupt_all()


class DaskLauncher:
    """
    Runs tasks in the workers of a cluster; a `workbench.jobs.pool.Launcher`.

    Each task is guarded by a thread of a worker, beside a warm child process that does the work. The guard dials
    this server, and puts the results into an object store. Nothing leans on a shared disk. The workers
    need the workbench, the packages that the strategies import, and fsspec's configuration for the stores of
    results and data; strategies from files and notebooks are sent along. The cluster is trusted: who may submit
    to it can run anything, so bind it to a private network or give it TLS (``tls://``, Dask's own configuration).

    Parameters
    ----------
    address : str
        The cluster's scheduler, for example ``tcp://10.0.0.5:8786``.
    server_url : str
        Where the workers reach this server.
    results : str
        Where the results are kept; see `ResultStore`.
    link_secs : float
        How long a guard that has lost the server tries to find it; then it ends its task. The server
        waits for twice as long, since the guard puts away what there is.

    Attributes
    ----------
    links : Links
        The lines to the guards.

    Raises
    ------
    InputError
        If results cannot be kept there.
    ServerError
        If the scheduler cannot be reached, or a worker cannot run the workbench.

    """

    def __init__(self, address: str, *, server_url: str, results: str, link_secs: float = LINK_SECS) -> None:
        self._address = address
        self._server_url = server_url.rstrip("/")
        self._results_url = results
        self._link_secs = link_secs
        self.links = Links(self._note_end, deadline_secs=2 * link_secs)
        self._store = ResultStore(results)
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._fetchers = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="results")
        self._closing = threading.Event()
        self._slots = self._memory_bytes = 0
        self._scheduler = ""
        self._client = _connect(address)
        self._refresh()
        self._watch = threading.Thread(target=self._keep_watch, name="cluster", daemon=True)
        self._watch.start()

    @property
    def slots(self) -> int:
        """Return how many threads the workers have; 0 while there are none, or the scheduler is away."""
        return self._slots

    @property
    def memory_bytes(self) -> int:
        """Return what the workers may use together; 0 while there are none."""
        return self._memory_bytes

    def launch(self, order: Order, switch: Switch, listener: Listener) -> None:
        """Send a task to the cluster."""
        directory = JobDirectory(Path(order.lock).parent)
        job = _Job(directory)
        with self._lock:
            self._jobs[order.job_id] = job
        token = self.links.expect(order.job_id, switch, listener)
        try:
            remote = RemoteOrder(
                order=order,
                files=_read_files(directory.path),
                url=self._server_url + _CHANNEL.format(order.job_id),
                token=token,
                results=self._results_url,
                link_secs=self._link_secs,
            )
            content = msgspec.msgpack.encode(remote)
            future = self._client.submit(run_remote, content, key=order.job_id, pure=False, retries=0)
        except Exception as e:  # noqa: BLE001 - the connection broke, or the directory is gone: it concerns this job alone
            _log.exception("a job could not be sent to the cluster")
            self.links.end(
                order.job_id, _fail(f"it could not be sent to the cluster: {type(e).__name__}: {e}")
            )
            return
        job.future = future
        future.add_done_callback(partial(self._note_done, order.job_id))

    def tend(self) -> None:
        """End the jobs whose guards stayed lost."""
        self.links.end_lost()

    def fetch(self, directory: JobDirectory) -> None:
        """
        Fetch what a job of a former server has left in the store, if anything.

        Raises
        ------
        StoreError
            If the store cannot be read.

        """
        self._store.fetch(directory)

    def close(self) -> None:
        """End all tasks, and leave the cluster."""
        self._closing.set()
        for job_id in self.links.open:
            self.links.end(job_id, build_interruption("the server stopped"))
        self._fetchers.shutdown(wait=True)
        self._watch.join(_CALL_SECS)
        with contextlib.suppress(Exception):  # It may have gone first
            self._client.close(timeout=_CALL_SECS)

    def _keep_watch(self) -> None:
        while not self._closing.wait(_REFRESH_SECS):
            try:
                if self._client.status == "closed":
                    self._client = _connect(self._address)
                self._refresh()
            except Exception as e:  # noqa: BLE001 - the scheduler is away: it is looked for again
                if self._slots:
                    _log.warning("the cluster at %s is away: %s", self._address, e)
                self._slots = 0

    def _refresh(self) -> None:
        scheduler = self._client.scheduler
        if scheduler is None or self._client.status != "running":
            raise ServerError("the connection to the scheduler is lost")
        identity = self._client.sync(scheduler.identity, n_workers=0, callback_timeout=_CALL_SECS)
        if identity["id"] != self._scheduler:  # Another than before: it has not met us
            _send_plugin(self._client)
            self._scheduler = identity["id"]
        self._slots = int(identity["total_threads"])
        self._memory_bytes = int(identity["total_memory"])

    def _note_done(self, job_id: str, future: Future[Any]) -> None:
        """Hear from the cluster that no guard works on the job any more."""
        outcome = _explain(future)
        if future.status == "finished" and not self.links.has_guard(job_id):
            url = self._server_url
            outcome = _fail(f"a server at {url} turned its guard away: does WORKBENCH_URL lead to this one?")
        self.links.note_gone(job_id, outcome)

    def _note_end(self, call: Call, outcome: Outcome) -> None:
        self._fetchers.submit(self._settle, call, outcome)

    def _settle(self, call: Call, outcome: Outcome) -> None:
        """Bring the results home, and tell the listener."""
        call.switch.detach()
        with self._lock:
            job = self._jobs.pop(call.job_id)
        if job.future is not None:
            with contextlib.suppress(Exception):  # The cluster may be away
                job.future.cancel()  # Not to be computed again
        try:
            self._fetch(job.directory)
        except StoreError as e:
            if self._closing.is_set():
                return  # The next server fetches them
            outcome = _fail(f"it ended as {outcome.state}, but {e}")
        call.listener.note_end(call.job_id, outcome)

    def _fetch(self, directory: JobDirectory) -> None:
        for delay in _FETCH_DELAYS:
            try:
                self._store.fetch(directory)
            except StoreError:
                _log.exception("results are fetched again in %g s", delay)
            else:
                return
            if self._closing.wait(delay):
                break
        self._store.fetch(directory)


class _Job:
    """Where a job's directory is, and the cluster's promise."""

    def __init__(self, directory: JobDirectory) -> None:
        self.directory = directory
        self.future: Future[Any] | None = None


def _connect(address: str) -> Client:
    try:
        return Client(address, timeout=_CONNECT_SECS, set_as_default=False, name="workbench")
    except (OSError, ValueError) as e:
        raise ServerError(
            f"the Dask scheduler at {address} cannot be reached: {e}",
            expected="an address such as tcp://10.0.0.5:8786",
            advice="start it, or unset WORKBENCH_CLUSTER to run on this machine",
        ) from e


def _send_plugin(client: Client) -> None:
    try:
        client.register_plugin(_Farewell(), name="workbench")
    except Exception as e:  # Whatever its workers could not import
        raise ServerError(
            f"a worker of the cluster cannot run the workbench: {type(e).__name__}: {e}",
            advice="install the same version there",
        ) from e


def _read_files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def _explain(future: Future[Any]) -> Outcome:
    """Return how a job has ended whose guard has gone without a word over its line."""
    if future.status != "error":  # Ended without one, or cancelled since the scheduler was lost
        return build_interruption("its guard was lost with the worker of the cluster that it ran in")
    error = future.exception(timeout=_CALL_SECS)
    if isinstance(error, KilledWorker):
        return build_interruption(f"the worker of the cluster died: {error}")
    if isinstance(error, WorkbenchError):
        return _fail(str(error))
    return _fail(f"the guard failed: {type(error).__name__}: {error}")


def _fail(message: str) -> Outcome:
    return Outcome(state=JobState.FAILED, result={}, failure=Failure(kind="died", message=message))
