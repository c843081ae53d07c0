"""What listeners of a journal are given: the newest events from memory, older ones from disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from workbench.engine_records import EngineEvent, Gap
from workbench.live.journal_reader import JournalReader

__all__ = ["Feed", "Subscription"]

logger = logging.getLogger(__name__)

_EVENT_BYTES = 200  # What an event takes beside its body, about


class Feed:
    """
    The newest events, once for all listeners, and who listens. Any thread may call.

    Parameters
    ----------
    path : Path
        The journal's file, for what is no longer in memory.
    limit_events, limit_bytes : int
        How much is kept in memory.

    """

    def __init__(self, path: Path, *, limit_events: int, limit_bytes: int) -> None:
        self.path = path
        self.first_seq = 1
        self.last_seq = 0
        self.base_seq = 0
        self.is_open = False
        self._limit_events = limit_events
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._chunks: deque[tuple[Sequence[EngineEvent], int]] = deque()  # Oldest first, without holes
        self._events = 0
        self._bytes = 0
        self._listeners: list[Subscription] = []

    def begin(self, first_seq: int, last_seq: int) -> None:
        """Take what the file holds as the start, or as the present state after it was begun anew."""
        with self._lock:
            if not self.is_open:
                self.base_seq = last_seq
            self.first_seq, self.last_seq = first_seq, last_seq
            self.is_open = True

    def publish(self, events: Sequence[EngineEvent], first_seq: int) -> None:
        """Show events that are on disk, and wake who waits for them."""
        with self._lock:
            self.first_seq = first_seq
            if not events:
                return
            self.last_seq = events[-1].seq
            size = sum(len(memoryview(e.body)) + _EVENT_BYTES for e in events)
            self._chunks.append((events, size))
            self._events += len(events)
            self._bytes += size
            # The newest chunk stays whatever its size: a listener that keeps pace never reads the disk.
            while len(self._chunks) > 1 and (
                self._events > self._limit_events or self._bytes > self._limit_bytes
            ):
                old, size = self._chunks.popleft()
                self._events -= len(old)
                self._bytes -= size
            listeners = list(self._listeners)
        for listener in listeners:
            listener.notify()

    def find_recent(self, after: int, limit: int) -> list[EngineEvent] | None:
        """Return what follows `after`, or nothing where memory does not reach back so far."""
        found: list[Sequence[EngineEvent]] = []
        with self._lock:
            if after >= self.last_seq:
                return []
            for events, _ in reversed(self._chunks):
                found.append(events)
                if events[0].seq <= after + 1:
                    break
            else:
                return None
        events = found.pop()
        result = list(events[after + 1 - events[0].seq :][:limit])
        while found and len(result) < limit:
            result += found.pop()[: limit - len(result)]
        return result

    def find_bounds(self) -> tuple[int, int, int]:
        """Return the first and last number on disk, and the first that is in memory."""
        with self._lock:
            recent = self._chunks[0][0][0].seq if self._chunks else self.last_seq + 1
            return self.first_seq, self.last_seq, recent

    def add(self, listener: Subscription) -> None:
        """Wake `listener` from now on."""
        with self._lock:
            self._listeners.append(listener)

    def remove(self, listener: Subscription) -> None:
        """Wake it no longer."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)


class Subscription:
    """
    A place in the journal that moves on as its events are taken. One thread takes.

    It holds no events of its own, so a slow listener costs nothing. One that has fallen behind what is in memory is
    given the rest from disk, without market data and log lines, and `dropped` says how many of these it missed. What
    was there when it subscribed it is given whole.

    Parameters
    ----------
    feed : Feed
        Where the events come from.
    wake : Callable[[], None]
        Called by the journal's thread, without locks, when something new is there: at most once until the next
        `take`. It must return at once, such as ``lambda: loop.call_soon_threadsafe(event.set)``.
    after : int, optional
        Begin after this number; without it, with what comes from now on.

    Attributes
    ----------
    after : int, optional
        Up to where everything was given, or told of as dropped or gone: what to go on from in another subscription.
    gap : Gap, optional
        Set where events before those of the last `take` are no longer on disk. It is known at once for a number
        that is too old, or that this journal has not come to.
    dropped : int
        How many events that are not essential were left out by the last `take`.

    """

    def __init__(self, feed: Feed, wake: Callable[[], None], *, after: int | None) -> None:
        self.after = after if after is None else max(0, after)
        self.gap: Gap | None = None
        self.dropped = 0
        self._feed = feed
        self._wake = wake
        self._is_woken = False
        self._is_new = True
        self._is_early = not feed.is_open
        self._whole_until: int | None = None
        self._reader: JournalReader | None = None
        self._lock = threading.Lock()
        feed.add(self)  # First, so that nothing comes unnoticed between
        if feed.is_open:
            self._find_place()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, limit: int = 1_000) -> list[EngineEvent]:
        """
        Return the next events, at most `limit`, in order and each once.

        Take once after subscribing, and whenever woken, until the list is empty: there may be more than one page.

        Raises
        ------
        StoreError
            If older events cannot be read from disk. They are not lost: take again.

        """
        with self._lock:
            self._is_woken = False
            if not self._feed.is_open:
                return []
            is_first, self._is_new = self._is_new, False
            if not is_first:
                self.gap = None
            self.dropped = 0
            while True:
                after = self._find_place()
                events = self._feed.find_recent(after, limit)
                if events is None:
                    events = self._read_disk(after, limit)
                else:
                    self._close_reader()
                    if events:
                        self.after = events[-1].seq
                if events or self.after == after:
                    return events

    def notify(self) -> None:
        """Wake the listener unless it was and has not come yet."""
        if self._is_woken:
            return
        self._is_woken = True
        try:
            self._wake()
        except Exception:  # A listener that is gone, such as a closed loop, must not hold up the journal
            logger.exception("a listener of the journal cannot be woken and is left alone")
            self._feed.remove(self)

    def close(self) -> None:
        """End it: it is not woken again."""
        self._feed.remove(self)
        with self._lock:
            self._close_reader()

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _find_place(self) -> int:
        """Return the number to go on from, past a gap where there is one."""
        first, last, recent = self._feed.find_bounds()
        oldest = min(first, recent)
        start = self._feed.base_seq if self._is_early else last
        if self._whole_until is None:
            self._whole_until = start
        if self.after is None:
            self.after = start
        elif self.after > last or self.after + 1 < oldest:
            self._skip(self.after, oldest)
        return self.after

    def _skip(self, after: int, first: int) -> None:
        requested = self.gap.requested if self.gap else after + 1
        self.gap = Gap(requested=requested, first=first)
        self.after = first - 1

    def _read_disk(self, after: int, limit: int) -> list[EngineEvent]:
        if self._reader is None:
            self._reader = JournalReader(self._feed.path)
        _, last, recent = self._feed.find_bounds()
        whole = min(self._whole_until or 0, last)
        is_whole = after < whole
        until = whole if is_whole else recent - 1
        page = self._reader.read_page(after, limit, until=until, is_essential_only=not is_whole)
        if page.last_seq < after:  # Begun anew a moment ago: the next look finds the gap
            return []
        if page.first_seq > after + 1:
            self._skip(after, page.first_seq)
            after = page.first_seq - 1
        covered = page.events[-1].seq if len(page.events) == limit else max(after, until)
        self.dropped += covered - after - len(page.events)
        self.after = covered
        return page.events
