"""The clients and strategies of an engine's configuration: listed, added and taken out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.ui.places import MISSING, find_value, remove_value, set_value

__all__ = [
    "CLIENTS",
    "add_client",
    "add_strategy",
    "list_clients",
    "list_strategies",
    "remove_part",
    "set_database",
    "set_limit",
]

type Config = dict[str, Any]

# Where clients are, and what the adapters of each kind are called.
CLIENTS: Mapping[str, str] = {"data_clients": "data", "exec_clients": "exec"}
_DATABASE = {"type": "redis", "host": "127.0.0.1", "port": 6379}


def list_clients(config: Config, kind: str) -> list[tuple[str, str, Config]]:
    """
    Return the clients of a kind, ``data_clients`` or ``exec_clients``: place, name, and what stands there.

    One with a dot in its name is left out: its fields have no place of their own.
    """
    clients = find_value(config, f"node.{kind}")
    found = clients.items() if isinstance(clients, dict) else ()
    return [(f"node.{kind}.{n}", n, c) for n, c in found if isinstance(c, dict) and "." not in n]


def list_strategies(config: Config) -> list[tuple[str, Config]]:
    """Return the strategies: place, and what stands there."""
    found = find_value(config, "node.strategies")
    items = enumerate(found) if isinstance(found, list) else ()
    return [(f"node.strategies.{i}", one) for i, one in items if isinstance(one, dict)]


def add_client(config: Config, kind: str, name: str, path: str, factory: str) -> str:
    """Add a client under its name, or one like it that is free; return its place."""
    taken = find_value(config, f"node.{kind}")
    names = taken if isinstance(taken, dict) else {}
    own, number = name, 2
    while own in names:
        own, number = f"{name}_{number}", number + 1
    place = f"node.{kind}.{own}"
    set_value(config, place, {"path": path, "factory": {"path": factory}, "config": {}})
    return place


def add_strategy(config: Config, part: Mapping[str, Any]) -> str:
    """Add a strategy that is described, with a tag of its own; return its place."""
    strategies = find_value(config, "node.strategies")
    if not isinstance(strategies, list):
        strategies = []
        set_value(config, "node.strategies", strategies)
    tags = {str(find_value(one, "config.order_id_tag")) for one in strategies}
    number = len(strategies) + 1
    while f"{number:03d}" in tags:
        number += 1
    strategies.append(
        {
            "strategy_path": part["path"],
            "config_path": part["config_path"],
            "config": {"order_id_tag": f"{number:03d}"},
        }
    )
    return f"node.strategies.{len(strategies) - 1}"


def remove_part(config: Config, place: str) -> None:
    """Take out a client or a strategy."""
    parent, _, last = place.rpartition(".")
    found = find_value(config, parent)
    if isinstance(found, list) and last.isdecimal() and int(last) < len(found):
        del found[int(last)]
    elif isinstance(found, dict):
        found.pop(last, None)


def set_database(config: Config, *, is_kept: bool) -> None:
    """Keep the cache in Redis, or not."""
    if is_kept:
        set_value(config, "node.cache.database", dict(_DATABASE))
    else:
        remove_value(config, "node.cache.database")


def set_limit(config: Config, path: str, value: Any) -> None:
    """Set a limit of the gate, or take it out with `MISSING`; the name of an instrument has dots in it."""
    instrument = path.removeprefix("risk.max_position.")
    if instrument != path:
        old = find_value(config, "risk.max_position")
        positions = {k: v for k, v in (old if isinstance(old, dict) else {}).items() if k != instrument}
        path = "risk.max_position"
        value = positions or MISSING if value is MISSING else {**positions, instrument: value}
    if value is MISSING:
        remove_value(config, path)
    else:
        set_value(config, path, value)
