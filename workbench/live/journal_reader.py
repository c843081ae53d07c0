"""A journal as others read it: beside its writer, after a kill, or a copy."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec

from workbench.engine_records import EngineEvent, Gap
from workbench.errors import NotFoundError, StoreError
from workbench.live.journal_file import BUSY_SECS, read_span

__all__ = ["JournalReader", "Page"]

_SELECT = """
SELECT seq, ts_ns, incarnation, kind, name, body FROM events
WHERE seq > ? AND seq <= ? AND is_essential >= ? ORDER BY seq LIMIT ?
"""
_MAX_SEQ = 2**63 - 1


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """
    Some events of a journal, and what it held at that same moment.

    Attributes
    ----------
    events : list[EngineEvent]
        By number.
    first_seq, last_seq : int
        The oldest and the newest event on disk; without any, `first_seq` is the greater.
    gap : Gap, optional
        Set where events between what was asked for and `first_seq` are no longer kept.

    """

    events: list[EngineEvent]
    first_seq: int
    last_seq: int
    gap: Gap | None = None


class JournalReader:
    """
    A journal, read only. Any thread may read.

    It never holds up the writer. The process that writes the journal must read it through this too, and never
    open the file itself: closing it would release SQLite's locks.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    StoreError
        If it cannot be read.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._inode = 0
        self._is_still = False
        self._connection: sqlite3.Connection | None = None
        with self._open():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def first_seq(self) -> int:
        """Return the number of the oldest event on disk, 1 if there was none ever."""
        with self._open() as connection:
            return read_span(connection)[0]

    @property
    def last_seq(self) -> int:
        """Return the number of the newest event on disk, 0 if there is none."""
        with self._open() as connection:
            return read_span(connection)[1]

    def read(self, after: int = 0, limit: int = 1_000) -> list[EngineEvent]:
        """Return the oldest events whose number is greater than `after`, at most `limit` of them."""
        return self.read_page(after, limit).events

    def read_page(
        self, after: int = 0, limit: int = 1_000, *, until: int = _MAX_SEQ, is_essential_only: bool = False
    ) -> Page:
        """
        Return events together with what the journal held at that moment.

        Parameters
        ----------
        after : int
            The number before the first that is wanted. One that the journal has not come to is of another journal:
            the page tells of a gap and begins with the oldest event there is.
        limit : int
            How many at most.
        until : int, optional
            The number of the last that is wanted.
        is_essential_only : bool
            Leave out market data and log lines.

        Raises
        ------
        StoreError
            If the file cannot be read.

        """
        with self._open() as connection:
            connection.execute("BEGIN")  # One moment for both
            try:
                first, last = read_span(connection)
                gap = None
                if after + 1 < first or after > last:
                    gap = Gap(requested=after + 1, first=first)
                    after = first - 1
                rows = connection.execute(_SELECT, (after, until, int(is_essential_only), limit)).fetchall()
            finally:
                connection.execute("ROLLBACK")
        return Page(events=[_build_event(*row) for row in rows], first_seq=first, last_seq=last, gap=gap)

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            self._drop()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection, a new one where the writer has begun another file."""
        with self._lock:
            try:
                inode = self.path.stat().st_ino
                if self._connection is None or inode != self._inode:
                    self._drop()
                    self._connection, self._is_still = _connect(self.path)
                    self._inode = inode
                yield self._connection
                if self._is_still:  # It would not see what a writer does from now on
                    self._drop()
            except FileNotFoundError as e:
                raise NotFoundError(
                    f"there is no journal at {self.path}", advice="the engine writes it when it is started"
                ) from e
            except (sqlite3.Error, OSError) as e:
                self._drop()
                raise StoreError(f"the journal {self.path} cannot be read: {e}") from e

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open the file, and return whether it was opened as one that nobody writes."""
    try:
        return _try(path, "mode=ro"), False
    except sqlite3.OperationalError as e:
        # Nothing can be made beside the file. It can be read all the same where its writer has left no log.
        wal = path.with_name(f"{path.name}-wal")
        if e.sqlite_errorcode & 0xFF not in _CANNOT_OPEN or (wal.exists() and wal.stat().st_size):
            raise
        return _try(path, "mode=ro&immutable=1"), True


def _try(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=BUSY_SECS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        read_span(connection)
    except sqlite3.OperationalError as e:
        connection.close()
        if _NO_TABLE in str(e):  # Its writer has made the file this moment, and nothing in it yet
            raise FileNotFoundError(path) from e
        raise
    except BaseException:
        connection.close()
        raise
    return connection


_NO_TABLE = "no such table"
_CANNOT_OPEN = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _build_event(seq: int, ts_ns: int, incarnation: int, kind: str, name: str, body: bytes) -> EngineEvent:
    return EngineEvent(
        seq=seq, ts_ns=ts_ns, incarnation=incarnation, kind=kind, name=name, body=msgspec.Raw(body)
    )
