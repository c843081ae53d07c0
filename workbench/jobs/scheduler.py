"""The scheduler: the one thread that decides which job runs, and the one writer of job records."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from workbench.errors import ConflictError, NotFoundError, RunError, StoreError
from workbench.jobs import recovery
from workbench.jobs.directory import JobDirectory
from workbench.jobs.feed import Feed
from workbench.jobs.governor import Past, Prediction, explain_wait, predict
from workbench.jobs.holdouts import is_use
from workbench.jobs.kinds import Kind
from workbench.jobs.pool import Launcher, Order
from workbench.jobs.switch import Switch
from workbench.jobs.trace import Trace
from workbench.jobs.watch import Limits
from workbench.jobs.worker import Outcome
from workbench.records import Failure, Inspection, JobRecord, Progress
from workbench.stamps import utc_now
from workbench.states import JobState, JobTrigger, advance
from workbench.store.query import JobQuery
from workbench.store.store import Store

__all__ = ["Active", "Scheduler"]

_TEND_SECS = 5.0
_CALL_SECS = 60.0
_STOP_SECS = 20.0
_MAX_PENDING = 100_000
_KEPT_EVENTS = 100_000
_NO_WORKER = "the cluster has no worker, or is away"

_log = logging.getLogger(__name__)


class Active:
    """A job whose process is at work or held."""

    def __init__(self, record: JobRecord, reserved_bytes: int, *, needs_slot: bool) -> None:
        self.record = record
        self.switch = Switch()
        self.reserved_bytes = reserved_bytes
        self.needs_slot = needs_slot
        self.progress: Progress | None = None
        self.trace = Trace()
        self.inspection: Inspection | None = None
        self.wants_slot = False  # Held, and asked to go on
        self.worked_secs = 0.0
        self._began: float | None = time.monotonic()  # None while it is held

    @property
    def holds_slot(self) -> bool:
        """Return whether it takes one of the slots: a held job does not."""
        return self.needs_slot and self.record.state == JobState.RUNNING

    def set_clock(self, *, is_running: bool) -> None:
        """Count the time from now on, or stop counting."""
        now = time.monotonic()
        if self._began is not None:
            self.worked_secs += now - self._began
        self._began = now if is_running else None


class Scheduler:
    """
    Decides on one thread; all methods without an underscore may be called from any thread.

    Parameters
    ----------
    store : Store
        The index of the jobs.
    root : Path
        The job directories.
    kinds : Mapping[str, Kind]
        What can be done, by name.
    launcher : Launcher
        Where tasks run.
    memory_bytes : int
        What all jobs together may use.
    feed : Feed
        Who is told.

    """

    def __init__(
        self,
        store: Store,
        root: Path,
        kinds: Mapping[str, Kind],
        launcher: Launcher,
        memory_bytes: int,
        feed: Feed,
    ) -> None:
        self._store = store
        self._root = root
        self._kinds = kinds
        self._launcher = launcher
        self._memory_bytes = memory_bytes
        self._feed = feed
        self._active: dict[str, Active] = {}
        self._owed: dict[str, Outcome] = {}  # Ended, and not recorded yet
        self._pending: deque[str] = deque()
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._decide, name="scheduler", daemon=True)
        self._gate = threading.Lock()  # Nobody's call comes in behind the end
        self._is_stopping = False
        self._tended = time.monotonic()

    def start(self) -> None:
        """Begin, with the jobs that wait in the store."""
        waiting = JobQuery(states=(JobState.PENDING,), sort="created_at", limit=1000)
        while page := self._store.list_jobs(waiting).items:
            self._pending.extend(job.id for job in page)
            waiting = msgspec.structs.replace(waiting, offset=waiting.offset + len(page))
        self._thread.start()
        self._commands.put(lambda: None)

    def begin_stop(self) -> None:
        """Tell what runs to end, and take no more calls."""
        with self._gate:
            self._is_stopping = True
        self._commands.put(self._interrupt)

    def stop(self) -> None:
        """End what runs, as INTERRUPTED with its results so far; what waits is kept for the next server."""
        self.begin_stop()
        if not self._thread.is_alive():
            return
        self._thread.join(_STOP_SECS)
        self._launcher.close()  # Kills what has not ended by itself; its guards report that
        self._thread.join(_STOP_SECS)

    def call[T](self, action: Callable[[], T]) -> T:
        """
        Have the one thread do something, and return or raise what comes of it.

        Raises
        ------
        ConflictError
            If the server is stopping.
        RunError
            If there is no answer in time; what has not begun by then is not done.

        """
        future: Future[T] = Future()

        def command() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(action())
            except BaseException as e:  # noqa: BLE001 - raised where somebody waits for it
                future.set_exception(e)

        with self._gate:
            if self._is_stopping:
                raise ConflictError("the server is stopping", advice="start it again and repeat this")
            self._commands.put(command)
        done, _ = wait([future], _CALL_SECS)
        if not done and not future.cancel():  # It has begun: every part of it has a deadline
            done, _ = wait([future], _CALL_SECS)
        if not done:
            raise RunError(f"the scheduler gave no answer for {_CALL_SECS:g} s")
        return future.result()

    def find(self, job_id: str) -> Active | None:
        """Return the job if it is at work or held."""
        return self._active.get(job_id)

    @property
    def active(self) -> list[Active]:
        """Return the jobs that are at work or held."""
        return list(self._active.values())

    @property
    def pending(self) -> int:
        """Return how many jobs wait."""
        return len(self._pending)

    def predict(self, job: JobRecord) -> Prediction:
        """Return what a job is expected to need."""
        history = self._store.find_history(lineage=job.lineage, dataset=job.dataset)
        return predict(job.rows, [Past(*row) for row in history])

    # What the guards tell, on their threads

    def note_progress(self, job_id: str, progress: Progress) -> None:
        """Hear how far a job has come."""
        active = self._active.get(job_id)
        if active is None:
            return
        active.progress = progress
        active.trace.note(progress)
        if progress.state != active.record.state:
            self._commands.put(lambda: self._follow(job_id, progress.state))
        self._feed.tick(job_id, progress)

    def note_inspection(self, job_id: str, inspection: Inspection) -> None:
        """Hear what a held job has."""
        active = self._active.get(job_id)
        if active is not None:
            active.inspection = inspection

    def note_end(self, job_id: str, outcome: Outcome) -> None:
        """Hear how a task ended."""
        self._commands.put(lambda: self._finish(job_id, outcome))

    # What people ask for, on the one thread: through `call`

    def enqueue(self, job: JobRecord) -> JobRecord:
        """Let a job wait for its turn."""
        if len(self._pending) >= _MAX_PENDING:
            raise ConflictError(f"{len(self._pending):,} jobs wait already", advice="cancel some of them")
        stored = self._store.add_job(job, uses_holdout=is_use(job))
        self._pending.append(job.id)
        self._feed.publish()
        if self._kinds[job.kind].launcher is not None and not self._is_stopping:
            self._try(lambda: self._launch_at_once(stored))
        return stored

    def pause(self, job_id: str) -> JobRecord:
        """Hold a running job at its next checkpoint."""
        active = self._expect(job_id, JobState.RUNNING, "paused")
        if not self._kinds[active.record.kind].can_pause:
            raise ConflictError(f"a job of kind {active.record.kind!r} cannot be paused")
        active.switch.pause()
        return active.record

    def resume(self, job_id: str) -> JobRecord:
        """Let a held job go on as soon as there is a slot."""
        active = self._active.get(job_id)
        if active is not None and active.record.state == JobState.RUNNING and active.switch.is_paused:
            active.switch.resume()  # It has not come to its checkpoint yet
            return active.record
        active = self._expect(job_id, JobState.PAUSED, "resumed")
        active.wants_slot = True
        self._schedule()
        if active.wants_slot:
            self._give_reason(active, "waits for a slot to go on")
        return active.record

    def cancel(self, job_id: str) -> JobRecord:
        """Stop a job; one that waits has ended at once."""
        active = self._active.get(job_id)
        if active is not None:
            active.switch.cancel()
            return active.record
        job = self._store.get_job(job_id)
        if job.state != JobState.PENDING:
            raise ConflictError(f"the job {job_id} is {job.state}", expected="a job that has not ended")
        failure = Failure(kind="cancel", message="cancelled before it started")
        # Should the store be away now, its turn comes, and its manifest is found.
        ended = self._end(job, Outcome(state=JobState.CANCELLED, result={}, failure=failure), 0.0)
        self._leave_queue(job_id)
        return ended

    def reindex(self, *, rebuild: bool) -> dict[str, int]:
        """Bring the index up to the directories."""
        if rebuild:
            if self._active or self._pending:
                raise ConflictError(
                    "jobs wait or work", expected="an idle server", advice="cancel them or let them end"
                )
            self._store.clear_index()
        found = recovery.reindex(self._store, self._root, self._kinds)
        self._feed.publish()
        return found

    # Decisions

    def _decide(self) -> None:
        while not (self._is_stopping and self._active.keys() <= self._owed.keys()):
            try:
                command = self._commands.get(timeout=_TEND_SECS)
            except Empty:
                command = self._tend
            self._try(command)
            self._try(self._schedule)
            if time.monotonic() - self._tended > _TEND_SECS:
                self._try(self._tend)
        self._try(self._settle)
        while not self._commands.empty():  # Somebody waits for an answer
            self._try(self._commands.get())

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception:  # noqa: BLE001 - the store is away, or a defect of ours: the other jobs go on
            _log.exception("the scheduler could not do what was due")

    def _tend(self) -> None:
        self._tended = time.monotonic()
        self._settle()
        for job_id, active in list(self._active.items()):
            if active.progress is not None:  # What could not be written down when it came
                self._follow(job_id, active.progress.state)
        self._launcher.tend()
        for kind in self._kinds.values():
            if kind.launcher is not None:
                kind.launcher.tend()
        self._store.prune_events(_KEPT_EVENTS)
        if recovery.reindex(self._store, self._root, self._kinds)["added"]:
            self._feed.publish()

    def _settle(self) -> None:
        for job_id, outcome in list(self._owed.items()):
            self._finish(job_id, outcome)

    def _schedule(self) -> None:
        if self._is_stopping:
            return
        free = self._launcher.slots - sum(a.holds_slot for a in self._active.values())
        for active in [a for a in self._active.values() if a.wants_slot]:
            if active.needs_slot and free <= 0:
                continue
            active.wants_slot = False
            active.inspection = None
            active.switch.resume()
            self._change(active, JobTrigger.RESUME, reason="")
            free -= active.needs_slot
        is_away = self._launcher.slots == 0
        while (free > 0 or is_away) and self._pending and self._try_launch(self._pending[0]):
            job_id = self._pending.popleft()
            free -= job_id in self._active

    def _try_launch(self, job_id: str) -> bool:
        """Start a waiting job, or note why it must wait on; return whether it need not wait any more."""
        if job_id in self._active:  # It began, and the store was away
            return True
        try:
            job = self._store.get_job(job_id)
        except NotFoundError:
            return True
        if job.state.is_finished:
            return True
        if JobDirectory(self._root / job_id).is_finished:  # Cancelled, and the store was away
            self._end(job, Outcome(state=JobState.CANCELLED, result={}), 0.0)
            return True
        expected = self.predict(job).rss_bytes
        reserved = [a.reserved_bytes for a in self._active.values() if a.needs_slot]
        has_slots = self._launcher.slots > 0
        reason = explain_wait(expected, reserved, self._memory_bytes) if has_slots else _NO_WORKER
        if not reason:
            self._launch(job, expected)
        elif reason != job.reason:
            self._store.update_job(job_id, reason=reason, predicted_rss_bytes=expected)
            self._feed.publish()
        return not reason

    def _give_reason(self, active: Active, reason: str) -> None:
        """Write down why a held job waits on, if that is news."""
        if active.record.reason != reason:
            active.record = self._store.update_job(active.record.id, reason=reason)
            self._feed.publish()

    def _launch_at_once(self, job: JobRecord) -> None:
        self._launch(job, 0)
        self._leave_queue(job.id)

    def _leave_queue(self, job_id: str) -> None:
        with suppress(ValueError):  # It has left already
            self._pending.remove(job_id)

    def _launch(self, job: JobRecord, expected: int) -> None:
        record = self._store.update_job(
            job.id,
            expected=job.state,  # RUNNING if the store took an earlier attempt and could not say so
            state=JobState.RUNNING,
            started_at=utc_now(),
            predicted_rss_bytes=expected,
            reason="",
        )
        kind = self._kinds.get(job.kind)
        active = Active(record, expected, needs_slot=kind is None or kind.launcher is None)
        self._active[job.id] = active
        self._feed.publish()
        try:
            self._order(active)
        except Exception as e:  # noqa: BLE001 - a damaged directory, no thread to be had: this job has failed
            failure = Failure(kind="died", message=f"it could not be started: {e}")
            self._finish(job.id, Outcome(state=JobState.FAILED, result={}, failure=failure))

    def _order(self, active: Active) -> None:
        job = active.record
        kind = self._kinds[job.kind]
        limits = msgspec.convert(job.spec.get("limits") or {}, Limits)
        if limits.memory_bytes is None:
            reserved = sum(a.reserved_bytes for a in self._active.values() if a is not active)
            limits = msgspec.structs.replace(limits, memory_bytes=self._memory_bytes - reserved)
        directory = JobDirectory(self._root / job.id)
        task, spec = kind.build_task(job, directory.path)
        order = Order(
            job_id=job.id,
            task=task,
            spec=spec,
            limits=limits,
            search_path=list(job.spec.get("search_path") or []),
            lock=str(directory.lock),
        )
        (kind.launcher or self._launcher).launch(order, active.switch, self)

    def _follow(self, job_id: str, state: JobState) -> None:
        """Write down that a job has come to a halt, or that it goes on."""
        active = self._active.get(job_id)
        if active is None:
            return
        known = active.record.state
        if known == JobState.RUNNING and state == JobState.PAUSED and active.switch.is_paused:
            self._change(active, JobTrigger.PAUSE)
        elif known == JobState.PAUSED and state == JobState.RUNNING and not active.switch.is_paused:
            self._change(active, JobTrigger.RESUME)

    def _change(self, active: Active, trigger: JobTrigger, **changes: Any) -> None:
        state = advance(active.record.state, trigger)
        active.set_clock(is_running=state == JobState.RUNNING)
        active.record = self._store.update_job(active.record.id, state=state, **changes)
        self._feed.publish()

    def _finish(self, job_id: str, outcome: Outcome) -> None:
        active = self._active.get(job_id)
        if active is None:
            return
        active.set_clock(is_running=False)
        try:
            self._end(active.record, outcome, active.worked_secs)
        except StoreError:
            # It has ended and cannot be recorded: it keeps its slot and is tried again. Should the server
            # end before that, the next one finds the manifest.
            self._owed[job_id] = outcome
            raise
        except (ConflictError, NotFoundError):  # The store took it and could not say so; or it was emptied
            self._feed.publish()
        self._owed.pop(job_id, None)
        self._active.pop(job_id)

    def _end(self, job: JobRecord, outcome: Outcome, worked_secs: float) -> JobRecord:
        kind = self._kinds.get(job.kind)
        ended = recovery.end_job(self._store, self._root, kind, job, outcome, elapsed_secs=worked_secs)
        self._feed.publish()
        return ended

    def _interrupt(self) -> None:
        for active in self._active.values():
            active.switch.interrupt()

    def _expect(self, job_id: str, state: JobState, verb: str) -> Active:
        active = self._active.get(job_id)
        found = self._store.get_job(job_id).state if active is None else active.record.state
        if active is None or found != state:
            raise ConflictError(
                f"the job {job_id} is {found} and cannot be {verb}", expected=f"a {state} job"
            )
        return active
