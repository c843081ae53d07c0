"""What has happened to the jobs, numbered without gaps."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from workbench.records import JobEvent, JobRecord
from workbench.stamps import utc_now
from workbench.store.database import Database
from workbench.store.tables import COUNTERS, EVENTS

__all__ = ["EventRecords", "add_event", "take_seq"]

_MAX_EVENTS = 10_000
_MAX_SEQ = 2**63 - 1


class EventRecords:
    """
    The events.

    Whoever has seen the number n has seen all below it that are kept: a number is visible only when its
    transaction is, and the next one is not given out before that.
    """

    _database: Database

    def find_events(self, after: int, *, limit: int = 1000) -> list[JobEvent]:
        """Return the events above the number `after`, in order, at most `limit` (and 10,000)."""
        statement = (
            sa.select(EVENTS)
            .where(EVENTS.c.seq > min(max(after, -1), _MAX_SEQ))
            .order_by(EVENTS.c.seq)
            .limit(min(max(limit, 1), _MAX_EVENTS))
        )
        with self._database.read() as connection:
            rows = connection.execute(statement).all()
        return [
            JobEvent(seq=seq, ts=ts, job=msgspec.json.decode(job, type=JobRecord)) for seq, ts, job in rows
        ]

    def find_event_bounds(self) -> tuple[int, int]:
        """Return the first and the last number that is kept; ``(0, 0)`` when there is none."""
        statement = sa.select(sa.func.min(EVENTS.c.seq), sa.func.max(EVENTS.c.seq))
        with self._database.read() as connection:
            first, last = connection.execute(statement).one()
        return first or 0, last or 0

    def prune_events(self, keep: int) -> int:
        """Delete all but the latest `keep` events and return how many were deleted."""
        with self._database.write() as connection:
            last = connection.execute(sa.select(sa.func.max(EVENTS.c.seq))).scalar() or 0
            return connection.execute(sa.delete(EVENTS).where(EVENTS.c.seq <= last - max(keep, 0))).rowcount


def take_seq(connection: sa.Connection) -> int:
    """
    Return the next number.

    Until the transaction ends no other one gets a number, in this process or in another: the row is locked.
    """
    statement = (
        sa.update(COUNTERS)
        .where(COUNTERS.c.name == "seq")
        .values(value=COUNTERS.c.value + 1)
        .returning(COUNTERS.c.value)
    )
    return int(connection.execute(statement).scalar_one())


def add_event(connection: sa.Connection, job: JobRecord) -> None:
    """Write down that `job` has come into its state, with the number that it carries."""
    snapshot = msgspec.json.encode(msgspec.structs.replace(job, spec={})).decode()
    connection.execute(sa.insert(EVENTS).values(seq=job.seq, ts=utc_now(), job=snapshot))
