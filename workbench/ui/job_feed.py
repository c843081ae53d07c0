"""The server's events, followed by one thread for all components of a kernel that show jobs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench.errors import NotFoundError
from workbench.records import EquityTrace, JobRecord
from workbench.ui.feed import Feed, FeedState, FeedStatus
from workbench.ui.job_book import JobBook
from workbench.ui.sparkline import Curve

if TYPE_CHECKING:
    from workbench.client.client import Client
    from workbench.client.events import EventStream

__all__ = ["JobFeed"]

_POLL_SECS = 0.25
# Subscribers render: more often than this they would for nothing.
_LEAST_GAP_SECS = 0.05
_TICK_SECS = 1.0  # Ages are shown in seconds
_RETRY_SECS = 1.0
_REFUSED_SECS = 30.0
_RECENT = 200


class JobFeed(Feed[JobBook]):
    """
    Follows what happens to the jobs and keeps their records; for any number of components.

    Its thread runs while there are subscribers. It goes on over lost connections and restarts of the server.

    Parameters
    ----------
    client : Client
        The server. The feed does not keep it alive while nobody subscribes.

    """

    def __init__(self, client: Client) -> None:
        super().__init__(client, JobBook(), subject="the events", thread_name="workbench-job-feed")

    @classmethod
    def of(cls, client: Client) -> JobFeed:
        """Return the feed of a client: the same one for all who ask."""
        with _FEEDS_LOCK:
            feed = _FEEDS.get(client)
            if feed is None:
                feed = _FEEDS[client] = cls(client)
            return feed

    @property
    def jobs(self) -> dict[str, JobRecord]:
        """Return what is known: all jobs that have not ended, and some hundreds of those that ended last."""
        with self._lock:
            return dict(self._book.jobs)

    @property
    def version(self) -> int:
        """Return a number that grows with every change of a record, not with progress."""
        return self._book.version

    def fill(self, job_id: str, trace: EquityTrace) -> None:
        """Take the equity of a run from before this feed began to listen."""
        with self._lock:
            self._book.curves.setdefault(job_id, Curve()).fill(trace)

    def retry(self) -> None:
        """Look for a lost server at once."""
        self._bell.set()

    def _follow(self, client: Client, end: threading.Event, bell: threading.Event) -> None:
        """Take what the server says until `end`; `bell` cuts a wait short."""
        told_at, is_news = 0.0, True
        with client.listen() as stream:
            while not end.is_set():
                before = self._status.state
                rest = told_at + _LEAST_GAP_SECS - time.monotonic() if is_news else _POLL_SECS
                try:
                    is_news |= self._hear(client, stream, end, max(rest, 0.0))
                except Exception as error:  # noqa: BLE001 - a thread that died would leave what is old as if it were new
                    self._note_loss(end, error)
                    self._tell(end)
                    bell.wait(_REFUSED_SECS if self._status.state == FeedState.REFUSED else _RETRY_SECS)
                    bell.clear()
                    continue
                is_news |= self._status.state != before
                now = time.monotonic()
                is_due = now - told_at >= (_LEAST_GAP_SECS if is_news else _TICK_SECS)
                if is_due and (is_news or self._has_ages()):
                    self._tell(end)
                    told_at, is_news = now, False

    def _hear(self, client: Client, stream: EventStream, end: threading.Event, wait_secs: float) -> bool:
        """Take one message, if there is one in time; return whether that changed anything."""
        message = stream.take(wait_secs)
        if stream.is_lost:
            self._note_loss(end, None)
            return False
        self._take(end, message)
        return self._settle(client, end) or message is not None

    def _take(self, end: threading.Event, message: dict[str, Any] | None) -> None:
        with self._lock:
            if end.is_set():
                return
            if message is not None:
                self._book.note(message, time.monotonic())
            state = FeedState.LIVE if self._book.has_snapshot else FeedState.CONNECTING
            self._status = FeedStatus(state, time.time())

    def _settle(self, client: Client, end: threading.Event) -> bool:
        """Ask what became of the jobs that a snapshot does not name; return whether anything was asked."""
        with self._lock:
            unsure = list(self._book.unsure)
        if not unsure:
            return False
        recent = client.list_jobs(sort="-seq", limit=_RECENT).items
        with self._lock:
            self._book.take(record for record in reversed(recent) if record.id in unsure)
            unsure = list(self._book.unsure)
        for job_id in unsure:
            if end.is_set():
                break
            try:
                record = client.job(job_id).record
            except NotFoundError:
                with self._lock:
                    self._book.forget(job_id)
            else:
                with self._lock:
                    self._book.take([record])
        return True

    def _has_ages(self) -> bool:
        return self._status.state != FeedState.LIVE or bool(self._book.heard_at)


_FEEDS: WeakKeyDictionary[Client, JobFeed] = WeakKeyDictionary()
_FEEDS_LOCK = threading.Lock()
