"""The database of a node: it is asked before nautilus waits for it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.config import CacheConfig
from nautilus_trader.live.config import TradingNodeConfig

from workbench.errors import ServerError
from workbench.live.config import parse_engine_config
from workbench.live.databases import check_database, check_engine_database
from workbench.live.engine_directory import EngineDirectory
from workbench.live.launch import start_engine


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


@pytest.mark.parametrize("place", ["cache", "message_bus"])
def test_engine_whose_database_is_gone_is_refused_before_anything_starts(tmp_path: Path, place: str) -> None:
    directory = EngineDirectory(tmp_path / "one")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    node = {place: {"database": {"host": "127.0.0.1", "port": port}}}
    directory.save_config(parse_engine_config({"node": node}), by="ann")

    with pytest.raises(ServerError, match=f"Redis at 127.0.0.1:{port} does not answer: Connection refused"):
        start_engine(directory, by="ann")
    assert directory.load_desired() is None
    assert not directory.is_held("guardian")


@pytest.mark.parametrize(
    "node",
    [
        {},
        {"cache": None},
        {"cache": {"database": None}},
        {"cache": {"database": {"type": "other", "port": 1}}},
        {"cache": {"database": {"host": "env:REDIS_HOST", "port": 1}}},
        {"cache": {"database": {"host": 7, "port": 1}}},
    ],
)
def test_engine_without_a_database_that_can_be_asked_is_not_held_up(node: dict[str, Any]) -> None:
    check_engine_database(parse_engine_config({"node": node}))
