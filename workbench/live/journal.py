"""The journal of an engine: every event gets a number and is on disk before anybody is told of it."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from workbench.engine_records import EngineEvent
from workbench.errors import ConflictError, InputError, StoreError
from workbench.live.journal_backlog import Backlog, Entry, JournalBounds, build_alarm
from workbench.live.journal_feed import Feed, Subscription
from workbench.live.journal_file import JournalFile, is_damage
from workbench.live.journal_reader import JournalReader

__all__ = ["Journal", "JournalBounds", "JournalReader", "Subscription"]

logger = logging.getLogger(__name__)

BATCH_EVENTS = 1_000
# From the start of one commit to the next: a disk that syncs is slow, and what comes meanwhile shares the next one.
# The first event after a pause waits for nothing.
PACE_SECS = 0.01
RETRY_SECS = 0.25

_FULL = "more events wait than memory is set aside for: essential ones are lost"
_MAX_INT = 2**63 - 1


class Journal:
    """
    The one writer of an engine's journal. Open it with `open`.

    Numbers have no holes and never repeat, across all incarnations of the engine; only where the file was lost or
    damaged do they go on above all that were ever shown. Whatever happens to the disk, `append` takes events and
    returns at once; what cannot be written waits in memory, within bounds, and `trouble` says why.

    It writes events of its own, all of kind ``alarm``: ``JournalDropped`` (how many events of which sort never came
    to disk), ``JournalResumed`` (trouble ended: what it was and how long) and ``JournalRecovered`` (the file was
    damaged or gone: where the old one lies).

    Parameters
    ----------
    path : Path
        The file.
    incarnation : int
        Which host of the engine writes.
    limit_events, limit_bytes : int
        How much is kept on disk; the oldest events go.
    on_trouble : Callable[[str], None], optional
        Called once when trouble begins, from any thread; it must return at once.
    bounds : JournalBounds
        Memory and patience.

    Attributes
    ----------
    recovered_from : Path, optional
        Where the file is that was found damaged, at open or later; a new one was begun.

    """

    def __init__(
        self,
        path: Path,
        *,
        incarnation: int,
        limit_events: int,
        limit_bytes: int,
        on_trouble: Callable[[str], None] | None,
        bounds: JournalBounds,
    ) -> None:
        self.path = path
        self.incarnation = incarnation
        self.recovered_from: Path | None = None
        self._limits = (limit_events, limit_bytes)
        self._on_trouble = on_trouble
        self._bounds = bounds
        self._feed = Feed(path, limit_events=bounds.recent_events, limit_bytes=bounds.recent_bytes)
        self._backlog = Backlog(bounds)
        # Reentrant: a signal handler or a finalizer may append while its thread does.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)  # The writer waits
        self._settled = threading.Condition(lock)  # Whoever flushes waits
        self._batch: list[Entry] = []  # What the writer is at; after a failure, the same once more
        self._written = 0
        self._next_at = 0.0
        self._is_urgent = False
        self._is_failing = False
        self._closes_at: float | None = None
        self._trouble: str | None = None
        self._trouble_began = 0.0
        self._write_began: float | None = None
        self._file: JournalFile | None = None
        self._is_damaged = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        incarnation: int,
        limit_events: int = 1_000_000,
        limit_bytes: int = 1024 * 1024 * 1024,
        on_trouble: Callable[[str], None] | None = None,
        bounds: JournalBounds | None = None,
    ) -> Journal:
        """
        Open the journal at `path`, or begin one, and start to write.

        It opens always: a damaged file is moved aside (`recovered_from`), and one that can be neither opened nor
        begun now is tried again until it can (`trouble`).
        """
        journal = cls(
            path,
            incarnation=incarnation,
            limit_events=limit_events,
            limit_bytes=limit_bytes,
            on_trouble=on_trouble,
            bounds=bounds or JournalBounds(),
        )
        try:
            journal._open_file()
        except (sqlite3.Error, OSError) as e:
            journal._fail(e)
        journal._thread.start()
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def first_seq(self) -> int:
        """Return the number of the oldest event on disk; without any, of the next."""
        return self._feed.find_bounds()[0]

    @property
    def last_seq(self) -> int:
        """Return the number of the newest event on disk, 0 if there was none ever."""
        return self._feed.find_bounds()[1]

    @property
    def trouble(self) -> str | None:
        """Return why the journal cannot be written, or nothing."""
        self._watch_disk()
        return self._trouble

    def append(
        self, kind: str, name: str, body: bytes, *, is_essential: bool = True, ts_ns: int | None = None
    ) -> None:
        """
        Take an event to be written. Any thread may call; it never waits for the disk.

        Parameters
        ----------
        kind, name : str
            What happened, as in `EngineEvent`.
        body : bytes
            The rest, JSON. It is not looked at.
        is_essential : bool
            False for market data and log lines, which are dropped where the disk or a listener is too slow.
        ts_ns : int, optional
            When, UNIX nanoseconds UTC; by default, now.

        Raises
        ------
        InputError
            If `body` is not bytes or `ts_ns` is no such time.
        ConflictError
            If the journal is closed.

        """
        if type(body) is not bytes:
            raise InputError(f"the body is {type(body).__name__}", expected="bytes of JSON", field="body")
        ts_ns = time.time_ns() if ts_ns is None else ts_ns
        if not 0 <= ts_ns <= _MAX_INT:
            raise InputError(f"the time is {ts_ns}", expected="nanoseconds since 1970", field="ts_ns")
        entry = (ts_ns, _clean(kind), _clean(name), body, is_essential)
        with self._changed:
            if self._closes_at is not None:
                raise ConflictError(f"the journal {self.path} is closed", advice="append before it is closed")
            is_kept = self._backlog.add(entry)
            if len(self._backlog) in (1, BATCH_EVENTS):
                self._changed.notify()
            # With the lock: whoever empties the backlog next ends this trouble again
            is_new = not is_kept and is_essential and self._note_trouble(_FULL)
        if is_new:
            self._tell_trouble(_FULL)
        self._watch_disk()

    def flush(self, timeout_secs: float = 5.0) -> bool:
        """Wait until all that was appended so far is on disk, and return whether it is in time."""
        with self._changed:
            goal = self._backlog.accepted
            self._is_urgent = True
            self._changed.notify()
            return self._settled.wait_for(lambda: self._written >= goal, timeout_secs)

    def subscribe(self, wake: Callable[[], None], *, after: int | None) -> Subscription:
        """
        Return a place in the journal from which a listener takes events, once they are on disk.

        `after` is the last number that the listener knows; without it, it is given what comes from now on.
        """
        return Subscription(self._feed, wake, after=after)

    def close(self, timeout_secs: float = 5.0) -> bool:
        """Write what waits, let the file go, and return whether all came to disk in time."""
        with self._changed:
            if self._closes_at is None:
                self._closes_at = time.monotonic() + timeout_secs
            self._changed.notify()
        self._thread.join(timeout_secs + 1.0)
        with self._changed:
            return self._written >= self._backlog.accepted

    def _run(self) -> None:
        while self._wait():
            with self._changed:
                if not self._batch:
                    self._batch = self._backlog.take(BATCH_EVENTS)
                self._is_urgent = False
            self._next_at = time.monotonic() + PACE_SECS
            try:
                events = self._write(self._batch)
            except Exception as e:  # noqa: BLE001 - whatever it is, trading goes on and people are told
                self._fail(e)
            else:
                self._settle(events)
        self._let_file_go()

    def _wait(self) -> bool:
        """Wait for work, and return whether there may be any."""
        with self._changed:
            if self._is_failing:
                self._changed.wait_for(lambda: self._closes_at is not None, RETRY_SECS)
                if self._closes_at is None:
                    return True
                self._changed.wait(min(RETRY_SECS, max(0.0, self._closes_at - time.monotonic())))
                return time.monotonic() < self._closes_at
            self._changed.wait_for(
                lambda: self._is_closing or len(self._backlog) > 0 or self._count_excess() > 0
            )
            self._changed.wait_for(
                lambda: self._is_closing or self._is_urgent or len(self._backlog) >= BATCH_EVENTS,
                max(0.0, self._next_at - time.monotonic()),
            )
            return not self._is_closing or len(self._backlog) > 0

    @property
    def _is_closing(self) -> bool:
        return self._closes_at is not None

    def _count_excess(self, coming: int = 0) -> int:
        return 0 if self._file is None else self._file.count_excess(*self._limits, coming)

    def _write(self, batch: list[Entry]) -> list[EngineEvent]:
        """Write the batch to disk and return its events, with their numbers."""
        self._write_began = time.monotonic()
        try:
            if self._file is not None and not self._file.is_in_place():
                self._let_file_go()
            file = self._file or self._open_file()
            start = self._feed.last_seq + 1
            file.write(
                [
                    (seq, ts_ns, self.incarnation, kind, name, body, is_essential)
                    for seq, (ts_ns, kind, name, body, is_essential) in enumerate(batch, start)
                ],
                self._count_excess(len(batch)),
            )
        finally:
            self._write_began = None
        return [
            EngineEvent(
                seq=seq,
                ts_ns=ts_ns,
                incarnation=self.incarnation,
                kind=kind,
                name=name,
                body=msgspec.Raw(body),
            )
            for seq, (ts_ns, kind, name, body, _) in enumerate(batch, start)
        ]

    def _settle(self, events: list[EngineEvent]) -> None:
        """Tell of what is on disk, and of trouble that has ended."""
        if self._file is not None:
            self._feed.publish(events, self._file.first_seq)
        with self._changed:
            self._written += len(self._batch)
            self._batch = []
            self._is_failing = False
            if self._trouble is not None and not self._backlog.is_long:
                secs = round(time.monotonic() - self._trouble_began, 3)
                self._backlog.force(build_alarm("JournalResumed", {"trouble": self._trouble, "secs": secs}))
                self._trouble = None
            self._settled.notify_all()

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, (sqlite3.Error, OSError, StoreError)):
            logger.error("the journal %s failed", self.path, exc_info=error)
        self._is_failing = True
        self._is_damaged = self._is_damaged or is_damage(error)
        # A full disk is no reason to close the file: to open it again takes room, too.
        if self._is_damaged or not isinstance(error, (sqlite3.OperationalError, OSError)):
            self._let_file_go()
        reason = str(error) or type(error).__name__
        with self._changed:
            is_new = self._note_trouble(reason)
        if is_new:
            self._tell_trouble(reason)

    def _open_file(self) -> JournalFile:
        feed = self._feed
        file = JournalFile(
            self.path, known_last=feed.last_seq if feed.is_open else None, is_damaged=self._is_damaged
        )
        self._is_damaged = False
        self._file = file
        feed.begin(file.first_seq, feed.last_seq if feed.is_open else file.last_seq)
        if file.damage:
            self.recovered_from = file.recovered_from
            moved_to = None if file.recovered_from is None else str(file.recovered_from)
            with self._changed:
                self._backlog.force(
                    build_alarm(
                        "JournalRecovered",
                        {"damage": file.damage, "moved_to": moved_to, "first_seq": file.first_seq},
                    )
                )
        return file

    def _let_file_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _note_trouble(self, reason: str) -> bool:
        """Note trouble, with the lock held, and return whether it begins."""
        is_new = self._trouble is None
        self._trouble = reason
        if is_new:
            self._trouble_began = time.monotonic()
        return is_new

    def _tell_trouble(self, reason: str) -> None:
        if self._on_trouble is not None:
            try:
                self._on_trouble(reason)
            except Exception:  # The journal must go on whatever is done about it
                logger.exception("what was to be done about the journal's trouble failed")

    def _watch_disk(self) -> None:
        """Notice a disk that does not answer: the writer waits in it and cannot say so."""
        began = self._write_began
        if began is None or self._trouble is not None:
            return
        secs = time.monotonic() - began
        if secs > self._bounds.stall_secs:
            reason = f"the disk has not answered for {secs:.1f} s"
            with self._changed:  # With the lock: what ends the write ends this trouble, too
                is_new = self._write_began is not None and self._note_trouble(reason)
            if is_new:
                self._tell_trouble(reason)


def _clean(text: str) -> str:
    """Return `text` such that it can be written: without halves of surrogate pairs."""
    return text if text.isascii() else text.encode(errors="replace").decode()
