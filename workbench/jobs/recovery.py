"""The index follows the directories: after an end, after a crash, and when it is built anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ConflictError, InputError, NotFoundError, WorkbenchError
from workbench.jobs.directory import JobDirectory, find_directories, hold_lock
from workbench.jobs.holdouts import has_used
from workbench.jobs.kinds import JobEnd, Kind
from workbench.jobs.orphans import end_orphans
from workbench.jobs.worker import Outcome
from workbench.records import Failure, JobRecord, RunRecord
from workbench.stamps import utc_now
from workbench.states import JobState
from workbench.store.store import Store

__all__ = ["end_job", "recover", "reindex", "salvage"]

_LOCK_SECS = 5.0
_AT_ONCE = 200
_AT_WORK = (JobState.RUNNING, JobState.PAUSED)
_LOST = "the server or the machine stopped while it ran"


def end_job(
    store: Store,
    root: Path,
    kind: Kind | None,
    job: JobRecord,
    outcome: Outcome,
    *,
    elapsed_secs: float = 0.0,
) -> JobRecord:
    """
    Record how a job ended, and return the record.

    The manifest in its directory says how; where the job could not write one, `outcome` does, and is written
    there first.
    """
    directory = JobDirectory(root / job.id)
    end = _read_end(kind, directory.path)
    if end is None:
        end = _write_end(directory, job, outcome)
    changes: dict[str, Any] = {
        "state": end.state,
        "failure": end.failure,
        "finished_at": end.finished_at or utc_now(),
        "identity": end.identity,
        "headline": end.headline,
        "peak_rss_bytes": outcome.peak_rss_bytes,
        "elapsed_secs": round(elapsed_secs, 3),
        "reason": "",
    }
    if end.rows:
        changes["rows"] = end.rows
    return store.update_job(job.id, **changes)


def salvage(store: Store, root: Path, fetch: Callable[[JobDirectory], None]) -> None:
    """Bring home what jobs that a dead predecessor was running have left elsewhere; before `recover`."""
    for job_id in sorted(store.find_ids(finished=False)):
        if store.get_job(job_id).state in _AT_WORK:
            fetch(JobDirectory(root / job_id))


def recover(store: Store, root: Path, kinds: Mapping[str, Kind], owner: str) -> int:
    """
    Record what became of the jobs that a dead predecessor was running, and return how many there were.

    They are INTERRUPTED, unless they ended before anybody could write it down.
    """
    unfinished = [store.get_job(i) for i in sorted(store.find_ids(finished=False))]
    lost = [job for job in unfinished if job.state in _AT_WORK]
    if lost:
        end_orphans(owner)
    for job in lost:
        _interrupt(store, root, kinds.get(job.kind), job, _LOST)
    for job in unfinished:
        # A sweep that goes on is a new one, which submits anew what this one was waiting for.
        # One that somebody has queued again by itself waits on.
        is_child = job.parent_id is not None and job.requeued_from is None
        if is_child and job.state == JobState.PENDING and _has_ended(store, job.parent_id or ""):
            _interrupt(store, root, kinds.get(job.kind), job, f"the sweep {job.parent_id} has ended")
    return len(lost)


def _has_ended(store: Store, job_id: str) -> bool:
    try:
        return store.get_job(job_id).state.is_finished
    except NotFoundError:
        return True


def _interrupt(store: Store, root: Path, kind: Kind | None, job: JobRecord, message: str) -> None:
    directory = JobDirectory(root / job.id)
    failure = Failure(kind="interrupted", message=message)
    outcome = Outcome(state=JobState.INTERRUPTED, result={}, failure=failure)
    try:
        lock = str(directory.lock) if directory.lock.is_file() else ""
        with hold_lock(lock, timeout_secs=_LOCK_SECS):
            end_job(store, root, kind, job, outcome)
    except ConflictError:  # Held by a process that carries another mark
        store.update_job(job.id, state=JobState.INTERRUPTED, failure=failure, finished_at=utc_now())


def reindex(store: Store, root: Path, kinds: Mapping[str, Kind]) -> dict[str, int]:
    """
    Add to the index what has ended in the directories and is not in it: runs without a server too.

    The newest come first, and no more than 200: call it again while it adds some.

    Returns
    -------
    dict[str, int]
        ``added``, ``unfinished`` (directories without a manifest, left alone) and ``damaged``.

    """
    counts = {"added": 0, "unfinished": 0, "damaged": 0}
    known = store.find_ids()
    for name in sorted(set(find_directories(root)) - known, reverse=True):
        if counts["added"] >= _AT_ONCE:
            break
        try:
            found = _read_record(JobDirectory(root / name), kinds)
        except WorkbenchError:
            counts["damaged"] += 1
            continue
        if found is None:
            counts["unfinished"] += 1
            continue
        record, end = found
        # First: what is in the index is not looked at again.
        if has_used(store.find_holdout(record.dataset), end):
            store.add_holdout_use(record.dataset, record.id, record.owner)
        try:
            store.put_finished(record)
        except InputError:  # It says what cannot be
            counts["damaged"] += 1
            continue
        counts["added"] += 1
    return counts


def _read_record(directory: JobDirectory, kinds: Mapping[str, Kind]) -> tuple[JobRecord, JobEnd] | None:
    if not directory.is_finished:
        return None
    asked = directory.read_job()
    kind = kinds.get("backtest" if asked is None else asked.kind)
    end = _read_end(kind, directory.path)
    if end is None:
        return None
    job = asked or JobRecord(
        id=directory.run_id, kind="backtest", name=end.name, created_at=end.started_at or utc_now()
    )
    record = msgspec.structs.replace(
        job,
        id=directory.run_id,  # Not what a copy says
        state=end.state,
        failure=end.failure,
        started_at=end.started_at,
        finished_at=end.finished_at,
        identity=end.identity,
        lineage=end.lineage or job.lineage,
        dataset=end.dataset or job.dataset,
        rows=end.rows or job.rows,
        headline=end.headline,
        elapsed_secs=end.elapsed_secs,
    )
    return record, end


def _read_end(kind: Kind | None, path: Path) -> JobEnd | None:
    try:
        return None if kind is None else kind.read_end(path)
    except Exception:  # noqa: BLE001 - damaged, in whatever way: as if it had not been written
        return None


def _write_end(directory: JobDirectory, job: JobRecord, outcome: Outcome) -> JobEnd:
    """Write the manifest for a child that could not: it was killed, it died, or it never started."""
    state = outcome.state if outcome.state.is_finished else JobState.FAILED
    failure = outcome.failure or Failure(kind="died", message="the job left no manifest")
    record = RunRecord(
        run_id=job.id,
        name=job.name,
        state=state,
        failure=failure,
        started_at=job.started_at or job.created_at,
        finished_at=utc_now(),
        lineage=job.lineage,
        dataset=job.dataset,
        rows=job.rows,
    )
    with suppress(WorkbenchError, OSError):  # A full disk, or a directory that is gone: the index has to do
        if not directory.is_finished:  # A damaged one stays as it is: somebody may still read it
            directory.write_manifest(record)
    return JobEnd(state=state, failure=failure, finished_at=record.finished_at)
