"""What the server's messages say about its jobs: records, their progress, the equity so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from workbench.records import JobRecord, Progress
from workbench.ui.sparkline import Curve

__all__ = ["JobBook"]

_MOST_FINISHED = 500


class JobBook:
    """
    The jobs that have not ended, and those of the others that changed last. Not for several threads.

    Parameters
    ----------
    most_finished : int
        How many ended jobs are kept.

    Attributes
    ----------
    jobs : dict[str, JobRecord]
        The records by id, without `spec`; those at work with their latest progress, ended ones with their last.
    curves : dict[str, Curve]
        The equity of the runs that reported any since this book is kept.
    heard_at : dict[str, float]
        When a job last said how far it has come, in the caller's own clock.
    unsure : set[str]
        Jobs that had not ended and that a snapshot does not name: they have ended, or are gone.
    version : int
        Grows with every change of a record, not with progress.
    has_snapshot : bool
        Whether the book knows all jobs that have not ended.

    """

    def __init__(self, *, most_finished: int = _MOST_FINISHED) -> None:
        self._most_finished = most_finished
        self.jobs: dict[str, JobRecord] = {}
        self.curves: dict[str, Curve] = {}
        self.heard_at: dict[str, float] = {}
        self.unsure: set[str] = set()
        self.version = 0
        self.has_snapshot = False
        self._finished: dict[str, None] = {}  # In the order in which they ended

    def note(self, message: Mapping[str, Any], now: float = 0.0) -> None:
        """
        Take a message of the server.

        Parameters
        ----------
        message : dict
            As `workbench.client.events.EventStream` gives it; what is not known here says nothing.
        now : float
            The time of a clock that only goes forward, in seconds.

        """
        match message["type"]:
            case "snapshot":
                records = [msgspec.convert(job, JobRecord) for job in message["jobs"]]
                named = {record.id for record in records}
                self.unsure |= {r.id for r in self.jobs.values() if not r.state.is_finished} - named
                self.has_snapshot = True
                self.version += 1
                for record in records:
                    self._keep(record)
                    if record.progress is not None:
                        self._note_progress(record.id, record.progress, now)
            case "job":
                self._keep(msgspec.convert(message["job"], JobRecord))
            case "progress":
                self._note_progress(message["job_id"], msgspec.convert(message["progress"], Progress), now)
        self._forget_old()

    def take(self, records: Iterable[JobRecord]) -> None:
        """Take records that the server was asked for."""
        for record in records:
            self._keep(record)
        self._forget_old()

    def forget(self, job_id: str) -> None:
        """Forget a job that is gone."""
        self._drop(job_id)
        self.unsure.discard(job_id)
        self.version += 1

    def _keep(self, record: JobRecord) -> None:
        known = self.jobs.get(record.id)
        if known is not None and record.seq < known.seq:
            return  # Told again after a lost connection
        if known is None or record.seq > known.seq:
            self.version += 1
        self.unsure.discard(record.id)
        progress = record.progress or (None if known is None else known.progress)
        self.jobs[record.id] = msgspec.structs.replace(record, progress=progress, spec={})
        if record.state.is_finished:
            self.heard_at.pop(record.id, None)
            self._finished.pop(record.id, None)
            self._finished[record.id] = None

    def _note_progress(self, job_id: str, progress: Progress, now: float) -> None:
        record = self.jobs.get(job_id)
        if record is None or record.state.is_finished:
            return
        self.jobs[job_id] = msgspec.structs.replace(record, progress=progress)
        self.heard_at[job_id] = now
        if progress.equity is not None:
            curve = self.curves.setdefault(job_id, Curve())
            curve.note(progress.simulated_ts_ns, progress.equity, progress.currency)

    def _forget_old(self) -> None:
        while len(self._finished) > self._most_finished:
            self._drop(next(iter(self._finished)))

    def _drop(self, job_id: str) -> None:
        for known in (self.jobs, self.curves, self.heard_at, self._finished):
            known.pop(job_id, None)
