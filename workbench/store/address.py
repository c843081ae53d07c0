"""Where the records are: the URL of a database, taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from workbench.errors import StoreError

__all__ = ["WAIT_SECS", "Address", "parse_address"]

# How long to wait for a connection, or for another process that is writing.
WAIT_SECS = 10
_STATEMENT_SECS = 30
_EXPECTED = "sqlite:///path/to/file or postgresql://user:password@host/database"


class Address(NamedTuple):
    """
    A database.

    Attributes
    ----------
    url : URL
        What the driver is given.
    place : str
        What people are told: without user, password and options.
    path : Path, optional
        The file of an SQLite database.
    arguments : dict
        What the driver is given beside the URL: the deadlines.

    """

    url: URL
    place: str
    path: Path | None
    arguments: dict[str, Any]


def parse_address(text: str) -> Address:
    """
    Return the parts of a URL.

    Raises
    ------
    StoreError
        If it is neither of SQLite nor of PostgreSQL. The message does not repeat it: it may hold a password.

    """
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        raise StoreError("the address of the database is no URL", expected=_EXPECTED) from None
    if backend == "sqlite":
        return _parse_sqlite(url)
    if backend in ("postgres", "postgresql"):
        return _parse_postgresql(url)
    raise StoreError(f"a database of the kind {backend!r} cannot hold the records", expected=_EXPECTED)


def _parse_sqlite(url: URL) -> Address:
    # Each connection to a database in memory would see one of its own.
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StoreError("the address of the database names no file", expected=_EXPECTED)
    path = Path(url.database)
    return Address(url.set(drivername="sqlite"), str(path), path, {"timeout": WAIT_SECS})


def _parse_postgresql(url: URL) -> Address:
    given = url.query.get("options", "")
    options = (
        f"-c statement_timeout={_STATEMENT_SECS}s -c lock_timeout={WAIT_SECS}s "
        f"-c idle_in_transaction_session_timeout={2 * _STATEMENT_SECS}s"
    )
    arguments = {
        "application_name": "workbench",
        "connect_timeout": WAIT_SECS,
        # A server that has vanished from the network is noticed.
        "keepalives_idle": WAIT_SECS,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 1000 * _STATEMENT_SECS,
        # The later of two settings holds: the URL's.
        "options": " ".join([options, given if isinstance(given, str) else " ".join(given)]).strip(),
    }
    kept = {name: value for name, value in arguments.items() if name == "options" or name not in url.query}
    hosts = url.query.get("host") or url.host or "localhost"
    host = hosts if isinstance(hosts, str) else ",".join(hosts)
    place = f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"
    return Address(url.set(drivername="postgresql+psycopg"), place, None, kept)
