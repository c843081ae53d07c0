"""The Redis that nautilus keeps its cache in: it waits for one without end, and says nothing when one is gone."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import ServerError
from workbench.live.config import EngineConfig

if TYPE_CHECKING:
    from nautilus_trader.live.config import TradingNodeConfig

__all__ = ["check_database", "check_engine_database", "find_databases", "ping_databases"]

_PORT = 6379
_PLACES = ("cache", "message_bus")
_REFERENCES = ("env:", "keyring:")


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
    _refuse(ping_databases(config, timeout_secs))


def check_engine_database(config: EngineConfig, timeout_secs: float = 2.0) -> None:
    """
    See that the databases that an engine's configuration names answer, before anything is started.

    Raises
    ------
    ServerError
        If one does not.

    """
    _refuse(_ping_all(_find_addresses(config.node), timeout_secs))


def ping_databases(config: TradingNodeConfig, timeout_secs: float = 2.0) -> str:
    """Return which database does not answer, and why; or nothing."""
    found = find_databases(config)
    return _ping_all(((d.host or "127.0.0.1", d.port or _PORT, bool(d.ssl)) for d in found), timeout_secs)


def _find_addresses(node: Mapping[str, Any]) -> Iterator[tuple[str, int, bool]]:
    """Yield where the databases are; what is wrong with them otherwise is told by who builds the node."""
    for place in _PLACES:
        part = node.get(place)
        database = part.get("database") if isinstance(part, Mapping) else None
        if not isinstance(database, Mapping) or database.get("type", "redis") != "redis":
            continue
        host, port = database.get("host") or "127.0.0.1", database.get("port") or _PORT
        is_plain = isinstance(host, str) and isinstance(port, int) and not host.startswith(_REFERENCES)
        if is_plain:
            yield host, port, bool(database.get("ssl"))


def _ping_all(addresses: Iterator[tuple[str, int, bool]], timeout_secs: float) -> str:
    for host, port, is_secret in addresses:
        reason = _ping((host, port), timeout_secs, is_plain=not is_secret)
        if reason:
            return f"Redis at {host}:{port} does not answer: {reason}"
    return ""


def _refuse(problem: str) -> None:
    if problem:
        raise ServerError(
            problem, advice="start it, or take the database out of the configuration of cache and message bus"
        )


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
        return e.strerror or str(e)
