"""Who listens to the jobs: every change of state in order, and of progress the latest."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from workbench.records import JobRecord, Progress
from workbench.store.store import Store

__all__ = ["Feed", "Subscription"]

_PAGE = 500

_log = logging.getLogger(__name__)


class Feed:
    """
    Tells listeners about the jobs.

    Changes of state, and of the reason why a job waits, are read from the store, so that a listener who was away
    misses none that is kept. Progress is told as it is when a listener comes to take it: what came between is
    left out.

    Parameters
    ----------
    store : Store
        Where the events are.
    find_active : Callable[[], list[JobRecord]]
        Returns the jobs that have not ended, with their progress.

    """

    def __init__(self, store: Store, find_active: Callable[[], list[JobRecord]]) -> None:
        self._store = store
        self._find_active = find_active
        self._lock = threading.Lock()
        self._listeners: set[Subscription] = set()

    @property
    def count(self) -> int:
        """Return how many listen."""
        return len(self._listeners)

    def subscribe(
        self, wake: Callable[[], None], *, after: int | None = None, has_progress: bool = True
    ) -> Subscription:
        """
        Listen from now on.

        Parameters
        ----------
        wake : Callable[[], None]
            Called on any thread when there is something to take; it must not block.
        after : int, optional
            The sequence number of the last event that the listener knows; default: it knows nothing, and is
            told what is there now.
        has_progress : bool
            Whether it is told of progress too, not of changes of state alone.

        """
        _, last = self._store.find_event_bounds()
        subscription = Subscription(
            self._store, self._find_active, self.leave, wake, after, last, has_progress=has_progress
        )
        with self._lock:
            self._listeners.add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Tell this listener nothing any more."""
        with self._lock:
            self._listeners.discard(subscription)

    def publish(self) -> None:
        """Say that the store has new events."""
        self._tell(lambda listener: listener.note_event())

    def tick(self, job_id: str, progress: Progress) -> None:
        """Say how far a job has come."""
        self._tell(lambda listener: listener.note_progress(job_id, progress))

    def _tell(self, say: Callable[[Subscription], None]) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                say(listener)
            except Exception:  # noqa: BLE001 - such as a closed event loop: no job may suffer from who listens
                _log.warning("a listener cannot be woken and is left out", exc_info=True)
                self.leave(listener)


class Subscription:
    """One listener; made by `Feed.subscribe`. Taking is for one thread at a time."""

    def __init__(
        self,
        store: Store,
        find_active: Callable[[], list[JobRecord]],
        leave: Callable[[Subscription], None],
        wake: Callable[[], None],
        after: int | None,
        last: int,
        *,
        has_progress: bool,
    ) -> None:
        self._has_progress = has_progress
        self._store = store
        self._find_active = find_active
        self._leave = leave
        self._wake = wake
        self._lock = threading.Lock()
        self._progress: dict[str, Progress] = {}
        self._has_news = True
        self._greeting: list[dict[str, Any]] = [{"type": "hello", "seq": last}]
        self._needs_snapshot = after is None
        # A number that the store has not reached is of another database: begin anew.
        is_foreign = after is not None and after > last
        if after is not None:
            first, _ = store.find_event_bounds()
            if is_foreign or after < first - 1:
                self._greeting.append({"type": "gap", "after": after, "first": first})
                self._needs_snapshot = True
        self._after = last if after is None or self._needs_snapshot else after

    def note_event(self) -> None:
        """Remember that there are new events."""
        with self._lock:
            self._has_news = True
        self._wake()

    def note_progress(self, job_id: str, progress: Progress) -> None:
        """Remember the latest progress of a job in the place of an earlier one."""
        if not self._has_progress:
            return
        with self._lock:
            self._progress[job_id] = progress
        self._wake()

    def take(self, limit: int = _PAGE) -> list[dict[str, Any]]:
        """
        Return what there is to tell, at most `limit` events and the progress; empty when there is nothing.

        Does not block, but reads the store.
        """
        if self._needs_snapshot:
            # The number first: a change in between is told again by its event, and none is lost.
            _, after = self._store.find_event_bounds()
            jobs = [_strip(job) for job in self._find_active()]
            self._after, self._needs_snapshot = after, False
            self._greeting.append({"type": "snapshot", "seq": after, "jobs": jobs})
        with self._lock:
            has_news, self._has_news = self._has_news, False
        try:
            events = self._take_events(limit) if has_news else []
        except BaseException:
            with self._lock:
                self._has_news = True  # The next one takes what could not be read now
            raise
        with self._lock:
            progress, self._progress = self._progress, {}
        messages, self._greeting = [*self._greeting, *events], []
        messages += [
            {"type": "progress", "job_id": job_id, "progress": msgspec.to_builtins(p)}
            for job_id, p in progress.items()
        ]
        return messages

    def close(self) -> None:
        """Stop listening."""
        self._leave(self)

    def _take_events(self, limit: int) -> list[dict[str, Any]]:
        events = self._store.find_events(self._after, limit=limit)
        messages: list[dict[str, Any]] = []
        if events and events[0].seq > self._after + 1:
            first, _ = self._store.find_event_bounds()
            if first > self._after + 1:  # Pruned while this listener was slow
                messages.append({"type": "gap", "after": self._after, "first": first})
                self._needs_snapshot = True
        for event in events:
            messages.append({"type": "job", "seq": event.seq, "ts": event.ts, "job": _strip(event.job)})
            self._after = event.seq
        if len(events) == limit or self._needs_snapshot:
            with self._lock:
                self._has_news = True
            self._wake()
        return messages


def _strip(job: JobRecord) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(job)
    plain.pop("spec", None)
    return plain
