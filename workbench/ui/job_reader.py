"""What a list of jobs asks the server for: the page, who reads it, what the server has, the equity of runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import ForbiddenError, NotFoundError
from workbench.records import EquityTrace, JobRecord
from workbench.states import JobState
from workbench.ui.job_list import JobWish

if TYPE_CHECKING:
    from workbench.client.client import Client

__all__ = ["JobAnswer", "load_answer", "load_traces"]

# About as many as a cell is wide: two for each three pixels.
_POINTS = 60
_WITHOUT = frozenset({JobState.PENDING, JobState.FAILED, JobState.INTERRUPTED})


@dataclass(frozen=True)
class JobAnswer:
    """
    What the server says when it is asked for a list.

    Attributes
    ----------
    who : Mapping
        Who reads: ``name``, ``permissions``.
    page : list[JobRecord]
        The jobs.
    total : int
        How many there are on all pages.
    resources : Mapping
        ``slots`` and ``memory_bytes``, among others.
    trials : Mapping of str to int
        How many trials the sweeps on the page have, by their id.

    """

    who: Mapping[str, Any]
    page: list[JobRecord]
    total: int
    resources: Mapping[str, Any]
    trials: Mapping[str, int]

    def is_mine(self, record: JobRecord) -> bool:
        """Return whether the job is the reader's own."""
        return bool(record.owner == self.who["name"])

    def has_permission(self, permission: str) -> bool:
        """Return whether the reader may do what `permission` stands for."""
        return permission in self.who["permissions"]


def load_answer(client: Client, wish: JobWish, known: JobAnswer | None = None) -> JobAnswer:
    """
    Ask for a list.

    Parameters
    ----------
    client : Client
        The server.
    wish : JobWish
        Which jobs.
    known : JobAnswer, optional
        What was answered before: what cannot have changed since is not asked for again.

    """
    page = client.list_jobs(**wish.build_query())
    trials = {}
    for record in page.items:
        if record.kind == "sweep":
            is_known = (
                known is not None and record.state.is_finished and _find(known.page, record) is not None
            )
            count = known.trials.get(record.id) if known is not None and is_known else None
            trials[record.id] = (
                client.list_jobs(parent_id=record.id, limit=1).total if count is None else count
            )
    who = client.whoami() if known is None else known.who
    return JobAnswer(who, page.items, page.total, client.resources(), trials)


def load_traces(client: Client, records: Iterable[JobRecord]) -> dict[str, EquityTrace]:
    """Return the equity, by id, of those runs that have one: so far, or of all of a run that has ended."""
    traces = {}
    for record in records:
        if record.kind != "backtest" or record.state in _WITHOUT:
            continue
        try:
            job = client.job(record.id)
            traces[record.id] = job.load_curve(_POINTS) if record.state.is_finished else job.load_trace()
        except (NotFoundError, ForbiddenError):  # It kept none
            continue
    return traces


def _find(page: Iterable[JobRecord], record: JobRecord) -> JobRecord | None:
    """Return the same record with the same number, if it is on a page."""
    return next((r for r in page if r.id == record.id and r.seq == record.seq), None)
