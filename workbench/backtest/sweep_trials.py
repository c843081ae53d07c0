"""The trials of a sweep: what became of each point, the file that says so, and what an earlier sweep knows."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from workbench.jobs.directory import JobDirectory
from workbench.jobs.service import JobService
from workbench.records import JobRecord
from workbench.states import JobState
from workbench.store.query import JobQuery

__all__ = ["Trial", "TrialLog", "build_trial", "find_best", "find_known", "name_trial"]

# The file is written whole: at most so often, and for no more than this share of the time.
_WRITE_SECS = 1.0
_WRITE_SHARE = 0.05
_FILE = "sweep.json"
_PAGE = 1000
_PLACE = frozenset({"fold", "part"})


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """
    One backtest of a sweep.

    Attributes
    ----------
    job_id : str
        Its job; empty if its point was refused.
    point : dict
        The values by path.
    fold : int, optional
        The split of a walk-forward, counted from 0.
    part : str
        ``train`` or ``test`` of that split; empty without one.
    state : JobState
        How it ended.
    value : float, optional
        The objective.
    error : str
        Why there is no value.

    """

    job_id: str
    point: dict[str, Any]
    fold: int | None = None
    part: str = ""
    state: JobState
    value: float | None = None
    error: str = ""


class TrialLog:
    """
    The trials of one sweep, and the file ``sweep.json`` in its directory.

    The file follows a little behind: who adds a trial calls `write_if_due` from time to time, and `write` at the
    end. What a crash takes from the file is found in the records of the jobs.

    Parameters
    ----------
    directory : Path
        The directory of the sweep.

    Attributes
    ----------
    trials : list[Trial]
        What has ended, in that order.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = JobDirectory(directory)
        self._due_at: float | None = None  # On the monotonic clock; None while all is written
        self._not_before = 0.0
        self.trials: list[Trial] = []

    def add(self, trial: Trial) -> None:
        """Add a trial; it is written now if the last time is long enough ago."""
        self.trials.append(trial)
        if self._due_at is None:
            self._due_at = self._not_before
        self.write_if_due()

    @property
    def due_secs(self) -> float | None:
        """Return in how many seconds there is something to write; ``None`` while all is written."""
        return None if self._due_at is None else max(self._due_at - time.monotonic(), 0.0)

    def write_if_due(self) -> None:
        """Write the file if there is something to write and the last time is long enough ago."""
        if self._due_at is not None and time.monotonic() >= self._due_at:
            self.write()

    def write(self, **more: Any) -> None:
        """Write the file, with `more` beside the trials."""
        began = time.monotonic()
        self._directory.write_json(_FILE, {"trials": msgspec.to_builtins(self.trials), **more})
        ended = time.monotonic()
        self._not_before = ended + max(_WRITE_SECS, (ended - began) / _WRITE_SHARE)
        self._due_at = None


def build_trial(job: JobRecord, objective: str, point: dict[str, Any], fold: int | None, part: str) -> Trial:
    """Return what came of a backtest that has ended."""
    value = job.headline.get(objective) if job.state == JobState.COMPLETED else None
    error = "" if job.failure is None else job.failure.message
    if value is None and not error:
        error = f"the run has no {objective}"
    return Trial(
        job_id=job.id,
        point=point,
        fold=fold,
        part=part,
        state=job.state,
        value=value,
        error="" if value is not None else error,
    )


def find_best(trials: Iterable[Trial], direction: str) -> Trial | None:
    """Return the best of the trials that have a value, ``maximize`` or ``minimize``; the first of equals."""
    sign = 1 if direction == "maximize" else -1
    valued = [t for t in trials if t.value is not None]
    return max(valued, key=lambda t: sign * (t.value or 0.0), default=None)


def name_trial(point: dict[str, Any], fold: int | None, part: str) -> str:
    """Return what tells a point of a fold from all others."""
    return msgspec.json.encode([sorted(point.items()), fold, part]).decode()


def find_known(service: JobService, root: Path, sweep_id: str | None, objective: str) -> dict[str, Trial]:
    """
    Return the completed trials of a sweep and of those that it has repeated itself, by `name_trial`.

    Raises
    ------
    RunError
        If a file of theirs is damaged.
    StoreError
        If the records cannot be read.

    """
    known: dict[str, Trial] = {}
    while sweep_id:
        directory = JobDirectory(root / sweep_id)
        trials = msgspec.convert(directory.read_json(_FILE).get("trials", []), list[Trial])
        found = {name_trial(t.point, t.fold, t.part): t for t in trials if t.state == JobState.COMPLETED}
        known = {**_find_recorded(service, sweep_id, objective), **found, **known}
        # It may have been stopped before it had taken over all that was known to it.
        asked = directory.read_job()
        sweep_id = None if asked is None else asked.requeued_from
    return known


def _find_recorded(service: JobService, sweep_id: str, objective: str) -> dict[str, Trial]:
    """Return the completed trials that the records know: a killed server may not have written the last ones."""
    found: dict[str, Trial] = {}
    query = JobQuery(parent_id=sweep_id, states=(JobState.COMPLETED,), sort="created_at", limit=_PAGE)
    while page := service.list_jobs(query).items:
        for job in page:
            point = {name: value for name, value in job.point.items() if name not in _PLACE}
            fold, part = job.point.get("fold"), job.point.get("part", "")
            found[name_trial(point, fold, part)] = build_trial(job, objective, point, fold, part)
        query = msgspec.structs.replace(query, offset=query.offset + len(page))
    return found
