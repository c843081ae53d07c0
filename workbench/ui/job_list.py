"""Which jobs a list shows, in which order: the server's page, kept up to date by what is heard since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.records import JobRecord
from workbench.states import JobState

__all__ = ["GROUPS", "ORDERS", "JobList", "JobWish"]

GROUPS: dict[str, tuple[JobState, ...]] = {
    "all": (),
    "running": (JobState.RUNNING, JobState.PAUSED),
    "waiting": (JobState.PENDING,),
    "done": (JobState.COMPLETED, JobState.CANCELLED),
    "failed": (JobState.FAILED, JobState.INTERRUPTED),
}
# What the server sorts by -> what people read.
ORDERS = {"-created_at": "newest first", "-sharpe": "best Sharpe first"}


@dataclass(frozen=True)
class JobWish:
    """
    Which jobs are wanted.

    Attributes
    ----------
    kind, owner : str
        Exactly these; empty: any.
    group : str
        A key of `GROUPS`.
    text : str
        In the id or the name.
    sort : str
        A key of `ORDERS`.
    has_trials : bool
        Whether the trials of sweeps are listed like other jobs, not folded under their sweep.
    limit, offset : int
        How many, and how many are left out first.

    """

    kind: str = ""
    owner: str = ""
    group: str = "all"
    text: str = ""
    sort: str = "-created_at"
    has_trials: bool = False
    limit: int = 50
    offset: int = 0

    def build_query(self) -> dict[str, Any]:
        """Return it as arguments of `Client.list_jobs`."""
        return {
            "kind": self.kind,
            "owner": self.owner,
            "state": GROUPS[self.group],
            "text": self.text,
            "sort": self.sort,
            "is_top_level": not self.has_trials,
            "limit": self.limit,
            "offset": self.offset,
        }

    def is_met(self, record: JobRecord) -> bool:
        """Return whether a job is one of these."""
        states = GROUPS[self.group]
        return (
            (not self.kind or record.kind == self.kind)
            and (not self.owner or record.owner == self.owner)
            and (not states or record.state in states)
            and (self.has_trials or record.parent_id is None)
            and _fold(self.text) in f"{_fold(record.id)}\n{_fold(record.name)}"
        )

    def sort_records(self, records: Iterable[JobRecord]) -> list[JobRecord]:
        """Return jobs in the order of the server: those without a value last, equal ones by id."""
        if self.sort == "-created_at":
            return sorted(records, key=lambda r: (r.created_at, r.id), reverse=True)
        name = self.sort.removeprefix("-")
        known = [r for r in records if name in r.headline]
        others = sorted((r for r in records if name not in r.headline), key=lambda r: r.id, reverse=True)
        return sorted(known, key=lambda r: (r.headline[name], r.id), reverse=True) + others


@dataclass
class JobList:
    """
    One page of the jobs that are wanted.

    Attributes
    ----------
    wish : JobWish
        Which.
    page : list[JobRecord]
        As the server listed them last.
    total : int
        How many there are on all pages, as the server said last.

    """

    wish: JobWish
    page: list[JobRecord] = field(default_factory=list)
    total: int = 0

    def take(self, page: list[JobRecord], total: int) -> None:
        """Take what the server lists."""
        self.page, self.total = page, total

    def build(self, known: Mapping[str, JobRecord]) -> list[JobRecord]:
        """
        Return what to show: the page, with what is known to have changed since.

        On the first page jobs appear that came since. A job that does not meet the wish any more goes; the one that
        takes its place comes with the server's next list.

        Parameters
        ----------
        known : Mapping of str to JobRecord
            What was heard from the server, by id.

        """
        found = {record.id: record for record in self.page}
        for job_id in known if self.wish.offset == 0 else found.keys() & known.keys():
            record = known[job_id]
            listed = found.get(job_id)
            if listed is None or record.seq >= listed.seq:
                found[job_id] = record
        records = self.wish.sort_records([r for r in found.values() if self.wish.is_met(r)])
        return records[: self.wish.limit]


def _fold(text: str) -> str:
    """Return text as the server searches it."""
    return text.casefold().replace("\n", " ")
