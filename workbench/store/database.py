"""A database that many threads read and one at a time writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from workbench.errors import StoreError
from workbench.store.address import WAIT_SECS, Address

__all__ = ["Database"]

# What a driver says, and what to do about it.
_ADVICE = (
    ("disk is full", "free some space on that disk"),
    ("disk i/o error", "look whether that disk is full or damaged"),
    ("readonly", "look who may write the file and its directory"),
    ("unable to open", "look whether it is a file that may be written"),
    ("not a database", "WORKBENCH_DATABASE names another kind of file"),
    ("malformed", "the file is damaged: move it away and run `workbench jobs reindex`"),
    ("locked", "another process is writing"),
    ("already exists", "the database holds tables of something else; give the records one of their own"),
    ("connection", "look whether PostgreSQL runs there and what WORKBENCH_DATABASE says"),
)


class Database:
    """
    Transactions over a pool of connections.

    Parameters
    ----------
    address : Address
        Where it is. Nothing is connected yet.

    Raises
    ------
    StoreError
        Here if the driver is not installed or the directory of an SQLite file cannot be made; from a
        transaction if the database does not do its part.

    """

    def __init__(self, address: Address) -> None:
        self.place = address.place
        self._secret = address.url.password or address.url.query.get("password")
        self._lock = threading.Lock()
        self._is_closed = False
        if address.path is not None:
            _prepare_file(address)
        self._engine = self._build_engine(address)

    @property
    def is_sqlite(self) -> bool:
        """Return whether it is a file."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Read in one transaction; on SQLite it sees one state of everything."""
        with self._explain("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, verb: str = "written") -> Iterator[sa.Connection]:
        """Write in one transaction: all is kept, or nothing if the block raises. `verb` is for its errors."""
        if not self._lock.acquire(timeout=WAIT_SECS):
            raise StoreError(f"the records at {self.place} are being written for {WAIT_SECS} s and longer")
        try:
            with (
                self._explain(verb),
                self._engine.connect() as connection,
                connection.execution_options(is_writing=True).begin(),
            ):
                yield connection
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close every connection, after what is being written."""
        with self._lock:
            self._is_closed = True
            self._engine.dispose()

    def _build_engine(self, address: Address) -> sa.Engine:
        try:
            engine = sa.create_engine(
                address.url,
                connect_args=address.arguments,
                hide_parameters=True,
                json_deserializer=msgspec.json.decode,
                # A server that was started anew has dropped its connections.
                pool_pre_ping=address.path is None,
                pool_timeout=WAIT_SECS,
            )
        except ModuleNotFoundError as error:
            raise StoreError(
                f"PostgreSQL needs the package {error.name}",
                advice='pip install "nautilus-workbench[postgres]"',
            ) from error
        except SQLAlchemyError as error:
            raise self._build_error("opened", error) from error
        if address.path is not None:
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def _explain(self, verb: str) -> Iterator[None]:
        if self._is_closed:
            raise StoreError(f"the records at {self.place} are closed")
        try:
            yield
        except SQLAlchemyError as error:
            raise self._build_error(verb, error) from error

    def _build_error(self, verb: str, error: SQLAlchemyError) -> StoreError:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        if self._secret:
            reason = reason.replace(str(self._secret), "***")
        advice = next((advice for words, advice in _ADVICE if words in reason.lower()), "")
        return StoreError(f"the records at {self.place} cannot be {verb}: {reason}", advice=advice)


def _prepare_file(address: Address) -> None:
    path = address.path
    assert path is not None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)  # SQLite gives its two companions the same rights
    except OSError as error:
        raise StoreError(
            f"the records at {path} cannot be opened: {error.strerror}",
            advice="look who may write that directory",
        ) from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Transactions begin where `_begin_sqlite` says, not where the driver thinks that one is needed.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # With NORMAL the last transactions may be gone after a loss of power: a revoked token would be valid
    # again, and a number given out twice.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes the lock at once: it never has to wait for another one after it has read.
    is_writing = connection.get_execution_options().get("is_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
