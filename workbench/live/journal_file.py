"""The file of a journal, as its one writer has it: opened, or moved aside and begun anew; written; kept small."""

from __future__ import annotations

import contextlib
import math
import shutil
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import StoreError
from workbench.files import write_atomically

__all__ = ["JournalFile", "Row", "is_damage", "read_span"]

# seq, ts_ns, incarnation, kind, name, body, is_essential
Row = tuple[int, int, int, str, str, bytes, bool]

SCHEMA_VERSION = 1
# So many numbers are taken at a time in a small file of its own: where the journal is lost, those that listeners
# were shown are known to lie below.
RESERVED = 100_000
# Not more than so many go with one transaction, so that nothing waits long behind them.
PRUNED_AT_ONCE = 2_000
BUSY_SECS = 2.0
# Read at open, from both ends: a damaged page in between is found when it is read, and a whole check takes seconds.
CHECKED_EVENTS = 200

_WAL_BYTES_KEPT = 64 * 1024 * 1024
_TABLE = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY,
    ts_ns INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    is_essential INTEGER NOT NULL
)
"""
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)"
_SELECT_LAST = "SELECT * FROM events WHERE seq = ?"


class JournalFile:
    """
    The file of a journal that its one writer has open.

    SQLite in WAL mode, synced at every commit: what was committed outlives the process and the machine.

    Parameters
    ----------
    path : Path
        Where it is, or will be.
    known_last : int, optional
        The last number that was given, where the writer knows better than the file.

    Attributes
    ----------
    first_seq, last_seq : int
        The oldest and the newest event in the file; without any, `first_seq` is the number of the next.
    recovered_from : Path, optional
        Where the file is that was found damaged.
    damage : str
        What was wrong with it; nothing where all was well.

    Raises
    ------
    sqlite3.Error, OSError
        If it can be neither opened nor begun: a full disk, a directory that cannot be written.

    """

    def __init__(self, path: Path, *, known_last: int | None = None, is_damaged: bool = False) -> None:
        self.path = path
        self.recovered_from: Path | None = None
        self.damage = "a damaged page was met" if is_damaged else ""
        self._mark = path.with_name(f"{path.name}.reserved")
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_damaged:
            self.recovered_from = _move_aside(path)
        elif _has_lost_its_file(path):  # SQLite would remove the log, and all that is left with it
            self.damage = "the file was gone or empty, its log was not"
            self.recovered_from = _move_aside(path)
        spare = _spare_log(path)
        try:
            has_events = spare.exists() and _read_mark(self._mark) > 0
            self._connection = _connect(path, has_events=has_events)
        except (sqlite3.DatabaseError, _DamageError) as e:
            if not is_damage(e):
                raise
            self.damage = str(e)
            self.recovered_from = _move_aside(path, spare)
            self._connection = _connect(path)
        finally:
            spare.unlink(missing_ok=True)
        first, last = read_span(self._connection)
        self._reserved = _read_mark(self._mark)
        if last == 0:
            last = self._reserved if known_last is None else known_last
            first = last + 1
            if last and not self.damage:
                self.damage = "the file was gone or empty"
        self.first_seq = first
        self.last_seq = last
        self._inode = path.stat().st_ino
        self._is_unsure = True
        self._used_bytes = self._measure()

    def is_in_place(self) -> bool:
        """Return whether the file is still at its path: nobody removed or replaced it."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def count_excess(self, limit_events: int, limit_bytes: int, coming: int = 0) -> int:
        """Return how many of the oldest events are too many when `coming` more are there; the newest one stays."""
        held = self.last_seq - self.first_seq + 1
        excess = held + coming - limit_events
        if self._used_bytes > limit_bytes:
            excess = max(excess, math.ceil(held * (1 - limit_bytes / self._used_bytes)))
        return max(0, min(excess, held + coming - 1))

    def write(self, rows: Sequence[Row], remove: int = 0) -> None:
        """
        Write `rows` and remove so many of the oldest, both or neither, and return when that is on disk.

        After an error the same rows may be given again: they are not written twice.

        Raises
        ------
        sqlite3.Error, OSError
            If that is not possible now.
        StoreError
            If somebody else wrote to the file.

        """
        first = self.first_seq + min(remove, PRUNED_AT_ONCE)
        if self._is_unsure and rows and self._has(rows):
            first, _ = read_span(self._connection)
        else:
            self._is_unsure = True
            self._commit(rows, first)
        last = rows[-1][0] if rows else self.last_seq
        if last > self._reserved:
            write_atomically(self._mark, b"%d\n" % (last + RESERVED))
            self._reserved = last + RESERVED
        self._is_unsure = False
        self.first_seq, self.last_seq = first, last
        self._used_bytes = self._measure()

    def close(self) -> None:
        """Close it; what is in the write-ahead log goes into the file if that is possible."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _commit(self, rows: Sequence[Row], first: int) -> None:
        connection = self._connection
        if connection.in_transaction:  # What an error has left
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_INSERT, rows)
            if first > self.first_seq:
                connection.execute("DELETE FROM events WHERE seq < ?", (first,))
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _has(self, rows: Sequence[Row]) -> bool:
        """Return whether a commit that ended with an error is on disk all the same."""
        _, last = read_span(self._connection)
        if last < rows[0][0]:
            return False
        if last == rows[-1][0]:
            (found,) = self._connection.execute(_SELECT_LAST, (last,))
            if found == rows[-1]:
                return True
        raise StoreError(
            f"the journal {self.path} holds event {last}, which this writer has not written",
            expected="one writer",
            advice="stop the other process that writes it",
        )

    def _measure(self) -> int:
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)


class _DamageError(Exception):
    """The file is a database, but no journal that this version can go on with."""


def is_damage(error: BaseException) -> bool:
    """Return whether `error` says that the file itself is unusable, and not just the moment."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, _DamageError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def read_span(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the first and the last number in the file; 1 and 0 where there is none."""
    # One by one, each comes from an end of the tree; asked for together they would read all of it.
    first, last = connection.execute(
        "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)"
    ).fetchone()
    return (1, 0) if last is None else (first, last)


def _connect(path: Path, *, has_events: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
        _check(connection, has_events=has_events)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, *, has_events: bool) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0 and has_events:
        raise _DamageError("its events are gone: its log cannot be read")
    if version not in (0, SCHEMA_VERSION):
        raise _DamageError(f"its schema is {version}, this version knows {SCHEMA_VERSION}")
    connection.execute(_TABLE)
    if version == 0:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
    if columns != ["seq", "ts_ns", "incarnation", "kind", "name", "body", "is_essential"]:
        raise _DamageError("its table is no journal's")
    for order in ("ASC", "DESC"):
        found = connection.execute(f"SELECT * FROM events ORDER BY seq {order} LIMIT {CHECKED_EVENTS}")  # noqa: S608 - constants
        seqs = [row[0] for row in found]
        if seqs and abs(seqs[-1] - seqs[0]) != len(seqs) - 1:
            raise _DamageError("events are missing from it")


def _has_lost_its_file(path: Path) -> bool:
    return _find_size(path) == 0 and _find_size(_find_log(path)) > 0


def _spare_log(path: Path) -> Path:
    """
    Keep the log that a killed writer has left, until it is known that it could be read.

    SQLite removes it with the last connection, read or not.
    """
    spare = path.with_name(f"{path.name}.spare-wal")
    spare.unlink(missing_ok=True)
    if _find_size(_find_log(path)) > 0:
        with contextlib.suppress(OSError):  # No room: it is in its place still
            shutil.copyfile(_find_log(path), spare)
    return spare


def _move_aside(path: Path, spare: Path | None = None) -> Path:
    """Move a file that cannot be gone on with out of the way, with all that SQLite keeps beside it."""
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    target = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("-wal", "", "-shm"):  # A new file must never meet the old one's log
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    if spare is not None and _find_size(_find_log(target)) == 0:
        with contextlib.suppress(FileNotFoundError):
            spare.rename(_find_log(target))
    return target


def _find_log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _find_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_mark(path: Path) -> int:
    try:
        return max(0, int(path.read_bytes()))
    except (OSError, ValueError):
        return 0
