"""The Redis that nautilus keeps its cache in: it waits for one without end, and says nothing when one is gone."""

from __future__ import annotations

import socket
from typing import Any

from nautilus_trader.live.config import TradingNodeConfig

from workbench.errors import ServerError

__all__ = ["check_database", "find_databases", "ping_databases"]

_PORT = 6379


def find_databases(config: TradingNodeConfig) -> list[Any]:
    """Return the configurations of the databases that a node uses."""
    parts = (config.cache, config.message_bus)
    found = [part.database for part in parts if part is not None and part.database is not None]
    return [database for database in found if database.type == "redis"]


def check_database(config: TradingNodeConfig, timeout_secs: float = 2.0) -> None:
    """
    See that the databases of a node answer.

    Raises
    ------
    ServerError
        If one does not.

    """
    problem = ping_databases(config, timeout_secs)
    if problem:
        raise ServerError(
            problem,
            advice="start it, or take the database out of the configuration of cache and message bus",
        )


def ping_databases(config: TradingNodeConfig, timeout_secs: float = 2.0) -> str:
    """Return which database does not answer, and why; or nothing."""
    for database in find_databases(config):
        address = (database.host or "127.0.0.1", database.port or _PORT)
        reason = _ping(address, timeout_secs, is_plain=not database.ssl)
        if reason:
            return f"Redis at {address[0]}:{address[1]} does not answer: {reason}"
    return ""


def _ping(address: tuple[str, int], timeout_secs: float, *, is_plain: bool) -> str:
    try:
        with socket.create_connection(address, timeout_secs) as connection:
            if not is_plain:
                return ""  # Somebody listens
            connection.settimeout(timeout_secs)
            connection.sendall(b"PING\r\n")
            # An answer of any sort, also that a password is wanted
            return "" if connection.recv(64) else "it hung up"
    except OSError as e:
        return str(e)
