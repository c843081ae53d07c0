"""What a host does about Redis before there is a node, with a real one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.common.config import DatabaseConfig
from nautilus_trader.config import CacheConfig, MessageBusConfig
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.model.identifiers import TraderId

from tests.conftest import require_or_skip
from tests.redis import Redis, find_redis, start_redis
from workbench.engine_records import HostMode, HostRecord
from workbench.errors import ServerError
from workbench.live.config import EngineConfig, Environment
from workbench.live.context import HostContext
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal import Journal
from workbench.live.node import NodePlan
from workbench.live.node_databases import leave_databases, prepare_databases, reset_database
from workbench.live.secret_references import Secrets

KEYS = ("orders:O-1", "orders:O-2", "positions:GBP/USD.SIM-S-1", "strategies:S-1:state", "accounts:SIM-001")


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    program = find_redis()
    if program is None:
        require_or_skip("redis", "there is no redis-server; install Debian's package redis-server")
    with start_redis(program) as server:
        yield server


@pytest.fixture
def filled(redis: Redis) -> Redis:
    """Return a Redis in which two traders have kept something."""
    redis.ask("FLUSHALL")
    for trader in ("ONE-001", "TWO-001"):
        for key in KEYS:
            redis.ask("RPUSH", f"trader-{trader}:{key}", "kept")
    return redis


def _list_keys(redis: Redis, trader: str) -> set[str]:
    words = redis.ask("KEYS", f"trader-{trader}:*").decode().split("\r\n")
    return {word.partition(":")[2] for word in words if word.startswith("trader-")}


def _build_node(database: dict[str, Any]) -> TradingNodeConfig:
    found = DatabaseConfig(**database)
    return TradingNodeConfig(trader_id=TraderId("ONE-001"), cache=CacheConfig(database=found))


def _find_free() -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return {"type": "redis", "host": "127.0.0.1", "port": listener.getsockname()[1]}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[HostContext]:
    directory = EngineDirectory(tmp_path / "one")
    record = HostRecord(
        pid=1,
        incarnation=1,
        config_version=1,
        environment="SANDBOX",
        mode=HostMode.TRADE,
        started_at="2026-01-01T00:00:00Z",
        socket="",
    )
    with Journal.open(directory.journal, incarnation=1) as journal:
        yield HostContext(directory, EngineConfig(), record, journal)


def _plan(config: TradingNodeConfig) -> NodePlan:
    return NodePlan(config=config, clients=config, components={}, secrets=Secrets())


def test_reset_forgets_the_orders_and_positions_of_one_trader_alone(filled: Redis) -> None:
    config = reset_database(_build_node(filled.build_database()))

    assert not config.exec_engine.load_cache
    assert config.cache.database is not None
    assert _list_keys(filled, "ONE-001") == {"strategies:S-1:state", "accounts:SIM-001"}
    assert _list_keys(filled, "TWO-001") == set(KEYS)


def test_sandbox_begins_with_its_journal_and_others_with_redis(filled: Redis, context: HostContext) -> None:
    plan = _plan(_build_node(filled.build_database()))

    context.config = EngineConfig(environment=Environment.LIVE)
    assert prepare_databases(plan, context).config.exec_engine.load_cache
    assert _list_keys(filled, "ONE-001") == set(KEYS)
    assert context.ask_database is not None
    assert context.ask_database() == ""

    context.config = EngineConfig(environment=Environment.SANDBOX)
    assert not prepare_databases(plan, context).config.exec_engine.load_cache
    assert "orders:O-1" not in _list_keys(filled, "ONE-001")


def test_redis_that_is_gone_is_refused_by_who_trades_and_not_missed_by_who_closes(
    context: HostContext,
) -> None:
    plan = _plan(_build_node(_find_free()))

    with pytest.raises(ServerError, match="does not answer"):
        prepare_databases(plan, context)

    context.record = msgspec.structs.replace(context.record, mode=HostMode.LIQUIDATE)
    assert prepare_databases(plan, context).config.cache.database is None
    assert context.ask_database is None
    assert context.alarms == 1


def test_node_without_databases_keeps_the_rest_of_its_configuration() -> None:
    database = DatabaseConfig(**_find_free())
    config = TradingNodeConfig(
        cache=CacheConfig(database=database, tick_capacity=7), message_bus=MessageBusConfig(database=database)
    )

    left = leave_databases(config)

    assert left.cache.database is None
    assert left.message_bus.database is None
    assert left.cache.tick_capacity == 7
    assert leave_databases(TradingNodeConfig()).trader_id == TradingNodeConfig().trader_id
