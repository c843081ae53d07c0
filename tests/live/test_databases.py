"""The database of a node: it is asked before nautilus waits for it."""

from __future__ import annotations

import socket
import threading

import pytest
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.config import CacheConfig
from nautilus_trader.live.config import TradingNodeConfig

from workbench.errors import ServerError
from workbench.live.databases import check_database


def _build_database(port: int) -> TradingNodeConfig:
    return TradingNodeConfig(
        cache=CacheConfig(database=DatabaseConfig(type="redis", host="127.0.0.1", port=port))
    )


def test_database_that_does_not_answer_is_refused_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ServerError, match="timed out"):
            check_database(_build_database(port), timeout_secs=0.1)
    with pytest.raises(ServerError, match=f"127.0.0.1:{port} does not answer"):
        check_database(_build_database(port), timeout_secs=0.5)


def test_database_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(64) == b"PING\r\n"
                connection.sendall(b"+PONG\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        check_database(_build_database(listener.getsockname()[1]))
        thread.join()
    check_database(TradingNodeConfig())
