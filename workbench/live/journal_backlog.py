"""Events that wait for the disk, within bounds of memory."""

from __future__ import annotations

import time
from collections import Counter, deque

import msgspec

__all__ = ["ALARM", "Backlog", "Entry", "JournalBounds", "build_alarm"]

# ts_ns, kind, name, body, is_essential
Entry = tuple[int, str, str, bytes, bool]

ALARM = "alarm"

_ENTRY_BYTES = 200  # What an entry takes beside its texts, about


class JournalBounds(msgspec.Struct, frozen=True, kw_only=True):
    """
    How much memory the journal may take, and how long the disk may.

    Attributes
    ----------
    soft_events, soft_bytes : int
        What may wait to be written; above it market data and log lines are dropped.
    hard_events, hard_bytes : int
        What may wait at all; above it everything is dropped, and that is trouble.
    recent_events, recent_bytes : int
        What is kept of the newest for listeners, so that they need not read the disk.
    stall_secs : float
        A commit that takes longer is trouble, though the disk has not said no.

    """

    soft_events: int = 20_000
    soft_bytes: int = 32 * 1024 * 1024
    hard_events: int = 200_000
    hard_bytes: int = 256 * 1024 * 1024
    recent_events: int = 10_000
    recent_bytes: int = 16 * 1024 * 1024
    stall_secs: float = 5.0


class Backlog:
    """
    A queue that drops what is least needed once it is too long, and tells of it in an event of its own.

    It has no lock: the journal's own guards it.

    Parameters
    ----------
    bounds : JournalBounds
        How much may wait.

    Attributes
    ----------
    accepted : int
        How many events were ever taken in.

    """

    def __init__(self, bounds: JournalBounds) -> None:
        self.accepted = 0
        self._soft = (bounds.soft_events, bounds.soft_bytes)
        self._hard = (bounds.hard_events, bounds.hard_bytes)
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._dropped: Counter[str] = Counter()
        self._lost = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_long(self) -> bool:
        """Return whether it is above its soft bounds."""
        return len(self._entries) >= self._soft[0] or self._bytes >= self._soft[1]

    def add(self, entry: Entry) -> bool:
        """Put an event at the end, and return whether there was room."""
        is_essential = entry[4]
        events, size = self._hard if is_essential else self._soft
        if len(self._entries) >= events or self._bytes >= size:
            self._dropped[entry[1]] += 1
            self._lost += is_essential
            return False
        self.force(entry)
        return True

    def force(self, entry: Entry) -> None:
        """Put an event at the end, whatever the bounds."""
        self._entries.append(entry)
        self._bytes += _measure(entry)
        self.accepted += 1

    def take(self, limit: int) -> list[Entry]:
        """Remove and return the oldest events, at most `limit`, and after them an alarm that tells of drops."""
        entries = [self._entries.popleft() for _ in range(min(limit, len(self._entries)))]
        self._bytes -= sum(map(_measure, entries))
        if self._dropped:
            body = {"dropped": dict(self._dropped), "essential": self._lost}
            entries.append(build_alarm("JournalDropped", body))
            self.accepted += 1
            self._dropped.clear()
            self._lost = 0
        return entries


def build_alarm(name: str, body: dict[str, object]) -> Entry:
    """Return an event of the journal's own."""
    return time.time_ns(), ALARM, name, msgspec.json.encode(body), True


def _measure(entry: Entry) -> int:
    return len(entry[3]) + len(entry[2]) + _ENTRY_BYTES
