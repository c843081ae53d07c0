"""The job service: takes wishes, runs them as memory and slots allow, and tells what becomes of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ConflictError, InputError
from workbench.jobs import recovery
from workbench.jobs.directory import JobDirectory
from workbench.jobs.feed import Feed
from workbench.jobs.governor import find_memory_bytes
from workbench.jobs.holdouts import build_spec, describe_holdout
from workbench.jobs.inspector import Inspector
from workbench.jobs.kinds import Kind, Prepared
from workbench.jobs.pool import Launcher, LocalPool
from workbench.jobs.scheduler import Scheduler
from workbench.records import EquityTrace, Inspection, JobRecord
from workbench.stamps import new_job_id, utc_now
from workbench.states import JobState
from workbench.store.query import JobPage, JobQuery
from workbench.store.store import Store

__all__ = ["JobService"]

_ASK_SECS = 60.0
# A person looks at a form meanwhile, and the request that waits has a deadline of its own.
_WAIT_SECS = 20.0


class JobService:
    """
    Runs jobs. All methods may be called from any thread.

    Parameters
    ----------
    store : Store
        The index of the jobs.
    root : Path
        The job directories.
    kinds : Sequence[Kind]
        What can be done; `add_kind` adds to it.
    slots : int, optional
        How many jobs run at a time on the local pool; default: one for each core.
    memory_bytes : int, optional
        What all jobs together may use; default: four fifths of the machine.
    launcher : Launcher, optional
        Where tasks run; default: a local pool.
    owner : str
        The mark on the command lines of the children, the same for every server of this workspace.

    Attributes
    ----------
    feed : Feed
        Who is told what becomes of the jobs.

    """

    def __init__(
        self,
        store: Store,
        root: Path,
        kinds: Sequence[Kind],
        *,
        slots: int | None = None,
        memory_bytes: int | None = None,
        launcher: Launcher | None = None,
        owner: str = "",
    ) -> None:
        self._store = store
        self._root = root
        self._kinds = {kind.name: kind for kind in kinds}
        self._owner = owner
        self._launcher = launcher or LocalPool(slots, owner=owner)
        self._memory_bytes = memory_bytes or find_memory_bytes()
        self._inspector = Inspector(owner, wait_secs=_WAIT_SECS)
        # What a sweep asks by itself must not stand between a person and their form: two more children, while
        # there is work for them.
        self._checker, self._examiner = Inspector(owner), Inspector(owner)
        self.feed = Feed(store, self._find_unfinished)
        self._scheduler = Scheduler(store, root, self._kinds, self._launcher, self._memory_bytes, self.feed)

    def add_kind(self, kind: Kind) -> None:
        """Add what can be done, before `start`."""
        self._kinds[kind.name] = kind

    def start(self) -> None:
        """Take up what a predecessor left: ended jobs are recorded as such, waiting ones wait on."""
        recovery.recover(self._store, self._root, self._kinds, self._owner)
        recovery.reindex(self._store, self._root, self._kinds)
        self._scheduler.start()

    def stop(self) -> None:
        """End what runs, as INTERRUPTED with its results so far; what waits is kept for the next server."""
        self._scheduler.begin_stop()
        for inspector in (self._inspector, self._checker, self._examiner):
            inspector.close()  # A sweep that waits for an answer must not hold us up
        self._scheduler.stop()
        self._launcher.close()

    def submit(
        self,
        kind: str,
        spec: dict[str, Any],
        *,
        owner: str,
        name: str = "",
        parent_id: str | None = None,
        point: dict[str, Any] | None = None,
        requeued_from: str | None = None,
        is_by_machine: bool = False,
    ) -> JobRecord:
        """
        Check a wish, write it down, and let it wait for its turn.

        Parameters
        ----------
        kind : str
            What is to be done.
        spec : dict
            The wish, as the kind understands it.
        owner : str
            Who asks.
        name : str
            What people call it; default: what the wish says.
        parent_id : str, optional
            The sweep that it belongs to.
        point : dict, optional
            The values that the sweep has chosen.
        requeued_from : str, optional
            The job that this one repeats.
        is_by_machine : bool
            Whether no person waits for the answer: then nobody who does waits behind it.

        Raises
        ------
        InputError
            If it cannot run, or would look at sealed data without leave; nothing is written.
        ServerError
            If the server has been busy with other questions for too long.

        """
        prepared = self._prepare(kind, spec, self._checker if is_by_machine else self._inspector)
        holdout = self._store.find_holdout(prepared.dataset)
        job = JobRecord(
            id=new_job_id(),
            kind=kind,
            name=name or str(prepared.spec.get("name", "")),
            owner=owner,
            created_at=utc_now(),
            spec=build_spec(holdout, prepared, spec, kind=kind, parent_id=parent_id),
            parent_id=parent_id,
            requeued_from=requeued_from,
            point=point or {},
            lineage=prepared.lineage,
            dataset=prepared.dataset,
            rows=prepared.rows,
        )
        expected = self._scheduler.predict(job).rss_bytes
        job = msgspec.structs.replace(job, predicted_rss_bytes=expected)
        directory = JobDirectory(self._root / job.id)
        directory.create()
        try:
            directory.write_job(job)
            for file, text in prepared.files.items():
                directory.write_bytes(file, text.encode())
            return self._scheduler.call(lambda: self._scheduler.enqueue(job))
        except BaseException:
            shutil.rmtree(directory.path, ignore_errors=True)
            raise

    def preview(self, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
        """
        Return what a wish would do: its data, and the memory and time that it is expected to need.

        Raises
        ------
        InputError
            If it cannot run.
        ServerError
            If the server has been busy with other questions for too long.

        """
        prepared = self._prepare(kind, spec, self._inspector)
        job = JobRecord(
            id="",
            kind=kind,
            created_at="",
            lineage=prepared.lineage,
            dataset=prepared.dataset,
            rows=prepared.rows,
        )
        expected = self._scheduler.predict(job)
        return {
            **prepared.preview,
            "lineage": job.lineage,
            "dataset": job.dataset,
            "trials": self._store.count_trials(job.lineage, job.dataset),
            "predicted_rss_bytes": expected.rss_bytes,
            "predicted_secs": expected.elapsed_secs,
            "basis": expected.basis,
            "memory_bytes": self._memory_bytes,
            **describe_holdout(self._store.find_holdout(job.dataset), prepared),
        }

    def get(self, job_id: str) -> JobRecord:
        """
        Return a job, with its latest progress.

        Raises
        ------
        NotFoundError
            If there is no such job.

        """
        return self._enrich(self._store.get_job(job_id))

    def list_jobs(self, query: JobQuery) -> JobPage:
        """Return a page of jobs, those at work with their latest progress."""
        page = self._store.list_jobs(query)
        return JobPage(items=[self._enrich(job) for job in page.items], total=page.total)

    def pause(self, job_id: str) -> JobRecord:
        """
        Hold a running job in simulated time; it gives its slot to another and keeps its memory.

        Raises
        ------
        ConflictError
            If the job does not run, or its kind cannot be held.

        """
        return self._enrich(self._scheduler.call(lambda: self._scheduler.pause(job_id)))

    def resume(self, job_id: str) -> JobRecord:
        """
        Let a paused job go on, as soon as a slot is free.

        Raises
        ------
        ConflictError
            If the job is not paused.

        """
        return self._enrich(self._scheduler.call(lambda: self._scheduler.resume(job_id)))

    def cancel(self, job_id: str) -> JobRecord:
        """
        Stop a job; it keeps its results so far. One that does not answer is killed after its grace period.

        Raises
        ------
        ConflictError
            If the job has ended.

        """
        return self._enrich(self._scheduler.call(lambda: self._scheduler.cancel(job_id)))

    def requeue(self, job_id: str, *, owner: str) -> JobRecord:
        """
        Submit a job like the one that has ended.

        Raises
        ------
        ConflictError
            If it has not ended.
        InputError
            If it cannot run any more: its data or its strategy are gone.

        """
        job = self._store.get_job(job_id)
        if not job.state.is_finished:
            raise ConflictError(f"the job {job_id} is {job.state}", expected="a job that has ended")
        wish = self._find_kind(job.kind).build_wish(job, self._root / job.id)
        return self.submit(
            job.kind,
            wish,
            owner=owner,
            name=job.name,
            parent_id=job.parent_id,
            point=job.point,
            requeued_from=job.id,
        )

    def inspect(self, job_id: str) -> Inspection:
        """
        Return what a paused job holds.

        Raises
        ------
        ConflictError
            If it is not paused.

        """
        active = self._scheduler.find(job_id)
        inspection = None if active is None else active.inspection
        if active is None or active.record.state != JobState.PAUSED or inspection is None:
            state = self._store.get_job(job_id).state
            raise ConflictError(f"the job {job_id} is {state}", expected="a PAUSED job", advice="pause it")
        return inspection

    def find_trace(self, job_id: str) -> EquityTrace:
        """
        Return the equity of a run at work or held so far; nothing for one that waits or has ended.

        Raises
        ------
        NotFoundError
            If there is no such job.

        """
        active = self._scheduler.find(job_id)
        if active is None:
            self._store.get_job(job_id)
            return EquityTrace()
        return active.trace.build()

    def ask(self, task: str, spec: dict[str, Any], *, timeout_secs: float = _ASK_SECS) -> dict[str, Any]:
        """
        Run a short task in a child and return its answer: what needs nautilus or a user's code.

        Raises
        ------
        WorkbenchError
            The one that the task raised; an `InputError` if it ended the process, a `RunError` for anybody
            else's exception or a time-out, a `ServerError` if its turn did not come in time.

        """
        return self._inspector.ask(task, spec, timeout_secs=timeout_secs)

    def examine(self, task: str, spec: dict[str, Any], *, timeout_secs: float) -> dict[str, Any]:
        """
        Run a long task as `ask` does, in a child that nobody else waits for and that ends with it.

        Raises
        ------
        WorkbenchError
            As for `ask`.

        """
        try:
            return self._examiner.ask(task, spec, timeout_secs=timeout_secs)
        finally:
            self._examiner.rest()

    def rest(self) -> None:
        """End the child that checks what sweeps submit, until there is another; called when none is left."""
        self._checker.rest()

    def count_trials(self, lineage: str, dataset: str) -> int:
        """Return how many backtests of this strategy on these data there were, whoever ran them and why."""
        return self._store.count_trials(lineage, dataset)

    def describe_resources(self) -> dict[str, Any]:
        """Return slots and memory, and how many jobs use them."""
        active = self._scheduler.active
        return {
            "slots": self._launcher.slots,
            "running": sum(a.record.state == JobState.RUNNING for a in active),
            "paused": sum(a.record.state == JobState.PAUSED for a in active),
            "pending": self._scheduler.pending,
            "memory_bytes": self._memory_bytes,
            "reserved_bytes": sum(a.reserved_bytes for a in active),
            "rss_bytes": sum(a.progress.rss_bytes for a in active if a.progress is not None),
        }

    def reindex(self, *, rebuild: bool = False) -> dict[str, int]:
        """
        Bring the index up to the directories; `rebuild` empties it first. Return what was found.

        Raises
        ------
        ConflictError
            If it is to be rebuilt while jobs wait or work.

        """
        found = self._scheduler.call(lambda: self._scheduler.reindex(rebuild=rebuild))
        added = found["added"]
        while found["added"]:  # A part at a time: the jobs at work are not kept waiting
            found = self._scheduler.call(lambda: self._scheduler.reindex(rebuild=False))
            added += found["added"]
        return {**found, "added": added}

    @property
    def is_idle(self) -> bool:
        """Return whether no job waits, works or is held."""
        return not self._scheduler.active and not self._scheduler.pending

    def _prepare(self, kind: str, spec: dict[str, Any], inspector: Inspector) -> Prepared:
        task = self._find_kind(kind).preparation
        answer = inspector.ask(task, {**spec, "runs": str(self._root)}, timeout_secs=_ASK_SECS)
        return msgspec.convert(answer, Prepared)

    def _find_kind(self, name: str) -> Kind:
        try:
            return self._kinds[name]
        except KeyError:
            expected = ", ".join(sorted(self._kinds))
            raise InputError(f"there is no kind of job {name!r}", expected=expected, field="kind") from None

    def _find_unfinished(self) -> list[JobRecord]:
        active = JobQuery(states=(JobState.RUNNING, JobState.PAUSED), limit=1000)
        waiting = JobQuery(states=(JobState.PENDING,), limit=1000)  # The latest: the whole queue may be long
        return [job for query in (active, waiting) for job in self.list_jobs(query).items]

    def _enrich(self, job: JobRecord) -> JobRecord:
        active = self._scheduler.find(job.id)
        return job if active is None else msgspec.structs.replace(job, progress=active.progress)
