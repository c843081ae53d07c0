"""A sweep: many backtests that a search asks for, and what the best of them is worth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from workbench.analysis.splits import Split, build_walk_forward
from workbench.backtest.search import Plan, Search, build_plan
from workbench.backtest.sweep_trials import Trial, TrialLog, build_trial, find_best, find_known, name_trial
from workbench.errors import ConflictError, ServerError, StoreError, WorkbenchError, WorkerError
from workbench.jobs.channel import Message, Pause, Resume
from workbench.jobs.directory import JobDirectory
from workbench.jobs.pool import Listener, Order
from workbench.jobs.service import JobService
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Outcome
from workbench.records import Failure, JobRecord, Progress, RunRecord
from workbench.stamps import utc_now
from workbench.states import JobState

__all__ = ["SweepRun"]

_POLL_SECS = 5.0
_MEASURE_SECS = 600.0
# How long a store that is away is waited for where nothing can go on without it.
_STORE_SECS = 120.0
_STORE_POLL_SECS = 1.0
_DAY_NS = 86_400_000_000_000


class SweepRun:
    """
    One sweep, from its first trial to its summary; it works on the thread that calls `run`.

    Parameters
    ----------
    service : JobService
        Where the backtests go.
    root : Path
        The job directories.
    order : Order
        What was asked.
    switch : Switch
        Pauses, resumes, cancels and interrupts it.
    listener : Listener
        Who is told how far it has come.

    """

    def __init__(
        self, service: JobService, root: Path, order: Order, switch: Switch, listener: Listener
    ) -> None:
        self._service = service
        self._root = root
        self._id = order.job_id
        self._spec = order.spec
        self._switch = switch
        self._listener = listener
        self._search = msgspec.convert(order.spec["search"], Search)
        self._news = threading.Event()
        self._log = TrialLog(root / self._id)
        self._expected = 0
        self._flying: dict[str, tuple[int, dict[str, Any]]] = {}  # Number and point by job
        self._obstacle = "the server stopped while it ran"
        before, objective = order.spec.get("requeued_from"), self._search.objective
        self._known = self._read(lambda: find_known(service, root, before, objective))

    def run(self) -> Outcome:
        """Run all trials, write the summary, and return how the sweep ended."""
        listening = self._service.feed.subscribe(self._news.set, has_progress=False)
        self._switch.attach(self._hear)
        try:
            self._run_parts()
        except BaseException:
            self._stop(list(self._flying))  # Nobody would look at what they find
            with suppress(WorkbenchError):
                self._log.write()
            raise
        finally:
            self._switch.detach()
            listening.close()
        return self._finish()

    @property
    def _is_stopped(self) -> bool:
        return self._switch.cancelled_at is not None

    def _hear(self, message: Message) -> None:
        if isinstance(message, Pause | Resume):
            state = JobState.PAUSED if isinstance(message, Pause) else JobState.RUNNING
            self._report(state)
        self._news.set()

    def _run_parts(self) -> None:
        walk = self._search.walk_forward
        if walk is None:
            self._expected = self._search.space.size
            self._run_search({}, None)
            return
        start, end = (_to_ns(text) for text in self._spec["range"])
        splits = build_walk_forward(
            start,
            end + 1,
            folds=walk.folds,
            train_share=walk.train_share,
            purge_ns=int(walk.purge_days * _DAY_NS),
            embargo_ns=int(walk.embargo_days * _DAY_NS),
            is_anchored=walk.is_anchored,
        )
        self._expected = len(splits) * (self._search.space.size + 1)
        for fold, split in enumerate(splits):
            best = self._run_search(_build_range(split, "train"), fold)
            if self._is_stopped:
                return
            if best is not None:
                self._run_all(_Once(best.point), _build_range(split, "test"), fold, "test")

    def _run_search(self, span: dict[str, Any], fold: int | None) -> Trial | None:
        """Try all points over one range; return the best."""
        first = len(self._log.trials)
        self._run_all(build_plan(self._search), span, fold, "" if fold is None else "train")
        return find_best(self._log.trials[first:], self._search.direction)

    def _run_all(self, plan: Plan, span: dict[str, Any], fold: int | None, part: str) -> None:
        slots = int(self._service.describe_resources()["slots"])
        window = self._spec["parallel"] or 2 * max(slots, 1)
        flying = self._flying = {}
        has_more = True
        while flying or (has_more and not self._is_stopped):
            while has_more and len(flying) < window and not (self._is_stopped or self._switch.is_paused):
                asked = plan.ask()
                has_more = asked is not None
                if asked is not None and (job_id := self._submit(plan, *asked, span, fold, part)):
                    flying[job_id] = asked
            if self._is_stopped and not self._stop(list(flying)):
                return  # They end by themselves, or with the server
            for job_id in list(flying):
                job = self._look_at(job_id)
                if job is not None and job.state.is_finished:
                    number, point = flying.pop(job_id)
                    trial = build_trial(job, self._search.objective, point, fold, part)
                    self._add(trial)
                    plan.tell(number, trial.value)
            if flying or self._switch.is_paused:
                self._wait_for_news()

    def _wait_for_news(self) -> None:
        self._log.write_if_due()
        due_secs = self._log.due_secs
        self._news.wait(_POLL_SECS if due_secs is None else min(due_secs, _POLL_SECS))
        self._news.clear()

    def _submit(
        self,
        plan: Plan,
        number: int,
        point: dict[str, Any],
        span: dict[str, Any],
        fold: int | None,
        part: str,
    ) -> str:
        """Submit a point and return its job; a point that is known, or cannot run, is told at once."""
        known = self._known.get(name_trial(point, fold, part))
        if known is not None:
            self._add(known)
            plan.tell(number, known.value)
            return ""
        place = {} if fold is None else {"fold": fold, "part": part}
        places = [] if fold is None else [f"fold {fold + 1}", part]
        wish = {**self._spec["backtest"], "overrides": {**point, **span}}
        try:
            job = self._service.submit(
                "backtest",
                wish,
                owner=self._spec["owner"],
                name=" ".join([self._spec["name"] or self._id, *places, f"{number + 1:04d}"]),
                parent_id=self._id,
                point={**point, **place},
                is_by_machine=True,
            )
        except (ConflictError, ServerError, StoreError, WorkerError) as e:  # Not because of this point
            self._obstacle = e.message
            self._switch.interrupt()
            return ""
        except WorkbenchError as e:
            refused = JobState.FAILED
            self._add(Trial(job_id="", point=point, fold=fold, part=part, state=refused, error=str(e)))
            plan.tell(number, None)
            return ""
        return job.id

    def _add(self, trial: Trial) -> None:
        self._log.add(trial)
        self._report(JobState.PAUSED if self._switch.is_paused else JobState.RUNNING)

    def _report(self, state: JobState) -> None:
        done = len(self._log.trials)
        fraction = min(done / self._expected, 1.0) if self._expected else 0.0
        self._listener.note_progress(
            self._id, Progress(state=state, stage="run", fraction=fraction, events=done)
        )

    def _stop(self, jobs: list[str]) -> bool:
        """Cancel the trials that are under way, and return whether to wait for them."""
        for job_id in jobs:
            with suppress(WorkbenchError):  # It has ended, the server is stopping, or the store is away
                self._service.cancel(job_id)
        return not self._switch.is_interrupted

    def _look_at(self, job_id: str) -> JobRecord | None:
        try:
            return self._service.get(job_id)
        except StoreError:  # Away: look again later
            return None

    def _finish(self) -> Outcome:
        state, failure = JobState.COMPLETED, None
        self._log.write()  # The summary may take a while
        summary = self._summarise_in_time()
        if self._switch.is_interrupted:  # Perhaps only now: the summary may lack what was being measured
            state = JobState.INTERRUPTED
            failure = Failure(kind="interrupted", message=self._obstacle)
        elif self._is_stopped:
            state = JobState.CANCELLED
        elif not any(t.value is not None for t in self._log.trials):
            errors = sorted({t.error for t in self._log.trials})
            state = JobState.FAILED
            failure = Failure(kind="input", message=f"no trial has a value: {'; '.join(errors[:3])}")
        self._log.write(**({} if state == JobState.INTERRUPTED else summary))
        directory = JobDirectory(self._root / self._id)
        directory.write_manifest(
            RunRecord(
                run_id=self._id,
                name=self._spec["name"],
                state=state,
                failure=failure,
                started_at=self._spec["started_at"] or utc_now(),
                finished_at=utc_now(),
                lineage=self._spec["lineage"],
                dataset=self._spec["dataset"],
            )
        )
        return Outcome(state=state, result={}, failure=failure)

    def _summarise_in_time(self) -> dict[str, Any]:
        """Return the summary; where the store stays away the sweep is interrupted: it can be queued again."""
        if self._switch.is_interrupted:
            return {}
        try:
            return self._summarise()
        except StoreError as e:
            self._obstacle = e.message
            self._switch.interrupt()
            return {}

    def _read[T](self, read: Callable[[], T]) -> T:
        """
        Return what the store says; while it is away, ask it again for a while.

        Raises
        ------
        StoreError
            If it stays away, or the sweep is interrupted.

        """
        deadline = time.monotonic() + _STORE_SECS
        while True:
            try:
                return read()
            except StoreError:
                if self._switch.is_interrupted or time.monotonic() > deadline:
                    raise
            self._news.wait(_STORE_POLL_SECS)
            self._news.clear()

    def _summarise(self) -> dict[str, Any]:
        is_walk = self._search.walk_forward is not None
        judged = [t for t in self._log.trials if t.part == ("test" if is_walk else "")]
        best = find_best(judged, self._search.direction)
        count = self._read(lambda: self._service.count_trials(self._spec["lineage"], self._spec["dataset"]))
        summary: dict[str, Any] = {"best": best and msgspec.to_builtins(best), "trials_of_lineage": count}
        if best is None:
            return summary
        if is_walk:  # The tests lie one behind the other: there is nothing to compare side by side
            values = [t.value for t in judged if t.value is not None]
            mean = sum(values) / len(values)
            summary["out_of_sample"] = {"tests": len(values), "mean": mean}
            summary["headline"] = {self._search.objective: mean}  # Not that of its luckiest test
            return summary
        summary["headline"] = self._read(lambda: self._service.get(best.job_id)).headline
        paths = [str(self._root / t.job_id) for t in judged if t.state == JobState.COMPLETED]
        wish = {"trials": paths, "best": str(self._root / best.job_id), "count": count}
        try:
            summary["statistics"] = self._service.examine(
                "workbench.backtest.sweep_tasks:measure", wish, timeout_secs=_MEASURE_SECS
            )
        except WorkbenchError as e:
            summary["statistics"] = {"error": str(e)}
        return summary


class _Once:
    """A plan with one point."""

    def __init__(self, point: dict[str, Any]) -> None:
        self._points = [point]

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        return (0, self._points.pop()) if self._points else None

    def tell(self, number: int, value: float | None) -> None:
        """Learn nothing: there is nothing left to choose."""


def _build_range(split: Split, part: str) -> dict[str, Any]:
    """Return the overrides for a window; nautilus's end is inside the range, the split's is not."""
    train = part == "train"
    start = split.train_start_ns if train else split.test_start_ns
    end = split.train_end_ns if train else split.test_end_ns
    return {"start": start, "end": end - 1}


def _to_ns(text: str) -> int:
    """Return UNIX nanoseconds of an ISO 8601 time in UTC with up to nine decimals."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    elapsed = datetime.fromisoformat(f"{whole}+00:00") - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return elapsed // timedelta(seconds=1) * 1_000_000_000 + int(rest.ljust(9, "0") or 0)
