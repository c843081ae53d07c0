"""
What a host does about the databases of its node before there is a node.

What Redis has of a sandbox's orders and positions is forgotten at a start. A sandbox venue dies with its process, and
the journal tells what it held. Nautilus would load what Redis has instead: orders that no venue knows any more, an
account that nothing settles, and whatever it missed while it was away.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from nautilus_trader.cache.database import CacheDatabaseAdapter
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.model.identifiers import ClientOrderId, PositionId
from nautilus_trader.serialization.serializer import MsgSpecSerializer

from workbench.engine_records import HostMode
from workbench.live.config import Environment
from workbench.live.context import HostContext
from workbench.live.databases import check_database, find_databases, ping_databases
from workbench.live.node import NodePlan

__all__ = ["leave_databases", "prepare_databases", "reset_database"]


def prepare_databases(plan: NodePlan, context: HostContext) -> NodePlan:
    """
    See that the databases of a node answer, and return what it is built from.

    A host that only closes what is open does without one that is gone: its venue and the journal tell of it.

    Raises
    ------
    ServerError
        If one does not answer.

    """
    if context.record.mode == HostMode.LIQUIDATE and (trouble := ping_databases(plan.config)):
        context.tell("alarm", "DatabaseLost", {"error": trouble})
        return plan._replace(config=leave_databases(plan.config))
    check_database(plan.config)
    if find_databases(plan.config):
        context.ask_database = partial(ping_databases, plan.config)
    has_cache = plan.config.cache is not None and plan.config.cache.database is not None
    if has_cache and context.config.environment == Environment.SANDBOX:
        return plan._replace(config=reset_database(plan.config))
    return plan


def reset_database(config: TradingNodeConfig) -> TradingNodeConfig:
    """
    Forget the orders and positions of a node in its database; the states of its strategies stay.

    Other nodes' are not touched: the keys of each begin with its trader id.

    Returns
    -------
    TradingNodeConfig
        The same, but that nautilus loads no orders, positions and accounts from there.

    """
    database = _open(config)
    try:
        for name in _find_names(database, "orders"):
            database.delete_order(ClientOrderId(name))
        for name in _find_names(database, "positions"):
            database.delete_position(PositionId(name))
    finally:
        database.close()
    engine = msgspec.structs.replace(config.exec_engine, load_cache=False)
    return msgspec.structs.replace(config, exec_engine=engine)


def leave_databases(config: TradingNodeConfig) -> TradingNodeConfig:
    """Return the configuration of a node that does without its databases."""
    changes = {
        name: msgspec.structs.replace(part, database=None)
        for name in ("cache", "message_bus")
        if (part := getattr(config, name)) is not None
    }
    return msgspec.structs.replace(config, **changes)


def _open(config: TradingNodeConfig) -> Any:
    """Return the database as nautilus's kernel opens it."""
    encoding = msgspec.msgpack if config.cache.encoding.lower() == "msgpack" else msgspec.json
    database: Any = CacheDatabaseAdapter  # Nautilus's own says nothing of its types
    return database(
        trader_id=config.trader_id,
        instance_id=config.instance_id or UUID4(),
        serializer=MsgSpecSerializer(
            encoding=encoding,
            timestamps_as_str=True,
            timestamps_as_iso8601=config.cache.timestamps_as_iso8601,
        ),
        config=config.cache,
    )


def _find_names(database: Any, kind: str) -> list[str]:
    mark = f"{kind}:"
    keys = [key for key in database.keys(f"*{mark}*") if f":{mark}" in f":{key}"]
    return [f":{key}".partition(f":{mark}")[2] for key in keys]
