"""The node of an engine: its configuration as nautilus reads it, secrets filled in, and what is built from it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.common.config import ImportableConfig, msgspec_decoding_hook
from nautilus_trader.live.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.objects import Currency

from workbench.engine_records import HostMode
from workbench.errors import ConfigError, InputError, WorkbenchError
from workbench.gate.limits import Limits, parse_limits
from workbench.live.config import EngineConfig, Environment
from workbench.live.engine_directory import EngineDirectory
from workbench.live.isolation import IsolatingController, Isolation
from workbench.live.secret_references import Secrets

__all__ = ["NodePlan", "build_node", "parse_currency", "parse_risk", "plan_node"]

_TRADER = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)+", re.ASCII)
# Ours: where nautilus logs and what it is called is no matter of a configuration.
_LOGGING = {"log_level": "OFF", "log_colors": False, "print_config": False, "log_file_format": "json"}
_LOG_BYTES = 32 * 1024 * 1024
# Shorter than nautilus's: a stop is waited for.
_DEFAULTS: dict[str, Any] = {
    "timeout_connection": 30.0,
    "timeout_reconciliation": 30.0,
    "timeout_portfolio": 10.0,
    "timeout_disconnection": 5.0,
    "timeout_post_stop": 0.5,
    "timeout_shutdown": 2.0,
    "load_state": True,
    "save_state": True,
}
_PARTS = ("strategies", "actors", "exec_algorithms")


class NodePlan(NamedTuple):
    """
    What a node is built from.

    Attributes
    ----------
    config : TradingNodeConfig
        What the kernel gets: without components, and with references where the clients have secrets, because nautilus
        may write it to disk.
    clients : TradingNodeConfig
        The same with the clients' secrets, in memory only.
    components : dict[str, list]
        Strategies, actors and execution algorithms: importable configurations.
    secrets : Secrets
        What must not be told.

    """

    config: TradingNodeConfig
    clients: TradingNodeConfig
    components: dict[str, list[Any]]
    secrets: Secrets


def plan_node(config: EngineConfig, directory: EngineDirectory, mode: HostMode = HostMode.TRADE) -> NodePlan:
    """
    Return what the node of an engine is built from.

    Raises
    ------
    ConfigError
        If a field is unknown or wrong, a secret is missing, or a SANDBOX engine has a client that trades elsewhere;
        `field` names the place.

    """
    values = {**_DEFAULTS, "trader_id": f"{directory.name.replace('-', '_').upper()}-001", **config.node}
    # Nautilus ends the process over a name that it does not like.
    if not isinstance(values["trader_id"], str) or _TRADER.fullmatch(values["trader_id"]) is None:
        raise ConfigError(
            f"trader_id is {values['trader_id']!r}", expected="such as TRADER-001", field="node.trader_id"
        )
    values["environment"] = config.environment.value.lower()
    values["logging"] = _build_logging(values.get("logging"), directory)
    controller = f"{IsolatingController.__module__}:{IsolatingController.__name__}"
    values["controller"] = {
        "controller_path": controller,
        "config_path": "nautilus_trader.live.config:ControllerConfig",
        "config": {},
    }
    secrets = Secrets()
    parts = {name: values.pop(name, []) for name in _PARTS}
    clients = {name: values.pop(name, {}) for name in ("data_clients", "exec_clients")}
    # First with the references: what is wrong is told with its value.
    _parse({**values, **parts, **clients}, Secrets())
    values = secrets.resolve(values)
    components = _parse({**values, **secrets.resolve(parts)}, secrets)
    plan = NodePlan(
        config=_parse({**values, **clients}, secrets),
        clients=_parse({**values, **secrets.resolve(clients)}, secrets),
        components={
            name: [] if mode == HostMode.LIQUIDATE else list(getattr(components, name)) for name in _PARTS
        },
        secrets=secrets,
    )
    if config.environment == Environment.SANDBOX:
        _check_sandbox(plan.clients, secrets)
    return plan


def build_node(plan: NodePlan, loop: asyncio.AbstractEventLoop, isolation: Isolation) -> TradingNode:
    """
    Return the node of an engine, with its clients and, isolated, its components.

    Raises
    ------
    ConfigError
        If a component or a client cannot be built; `field` names the place.

    """
    node = TradingNode(config=plan.config, loop=loop)
    node.kernel._controller.isolation = isolation
    trader = node.trader
    adders: dict[str, tuple[str, Callable[[Any], None]]] = {
        "actors": ("actor_path", trader.add_actor),
        "strategies": ("strategy_path", trader.add_strategy),
        "exec_algorithms": ("exec_algorithm_path", trader.add_exec_algorithm),
    }
    for name, (path, add) in adders.items():
        for i, part in enumerate(plan.components[name]):
            with _naming(f"node.{name}.{i}", "cannot be built", plan.secrets):
                add(isolation.build(getattr(part, path), part.config_path, part.config))
    node._config = plan.clients
    with _naming("node", "has a client that cannot be built", plan.secrets):
        node.build()
    known = {c.value for c in node.kernel.exec_engine.registered_clients}
    for name in plan.clients.exec_clients:
        if not known:
            raise ConfigError(f"the execution client {name} was not built", field=f"node.exec_clients.{name}")
    return node


def parse_risk(risk: dict[str, Any]) -> Limits:
    """
    Return the limits of an engine.

    Raises
    ------
    ConfigError
        If one is unknown or makes no sense; `field` names it.

    """
    try:
        return parse_limits(**risk)
    except TypeError as e:
        raise ConfigError(f"the limits of the engine: {e}", field="risk") from e
    except InputError as e:
        e.field = f"risk.{e.field}"
        raise


def parse_currency(code: str) -> Currency:
    """
    Return the currency of a code.

    Raises
    ------
    ConfigError
        If there is none.

    """
    currency = Currency.from_str(code, strict=True)
    if currency is None:
        raise ConfigError(f"there is no currency {code!r}", expected="such as USD", field="currency")
    return currency


@contextlib.contextmanager
def _naming(field: str, what: str, secrets: Secrets) -> Iterator[None]:
    """Turn whatever somebody's class raises into an error that names the place, and no secret."""
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as e:  # noqa: BLE001 - whatever somebody's module raises
        lines = str(e).splitlines() or [""]
        message = secrets.scrub(f"{field} {what}: {type(e).__name__}: {lines[0]}")
        raise ConfigError(message, field=field) from None


def _build_logging(given: Any, directory: EngineDirectory) -> dict[str, Any]:
    fields = given if isinstance(given, dict) else {}
    return {
        "log_level_file": "INFO",
        "log_file_max_size": _LOG_BYTES,
        "log_file_max_backup_count": 4,
        **fields,
        **_LOGGING,
        "log_directory": str(directory.log.parent),
        "log_file_name": directory.log.stem,
    }


def _parse(values: dict[str, Any], secrets: Secrets) -> TradingNodeConfig:
    try:
        return msgspec.json.decode(
            msgspec.json.encode(values), type=TradingNodeConfig, dec_hook=msgspec_decoding_hook
        )
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, ImportError, ArithmeticError) as e:
        message, _, place = secrets.scrub(str(e)).partition(" - at `$")
        unknown = re.search(r"field `(?P<name>[^`]*)`", message)
        parts = [
            "node",
            re.sub(r"[\[\]]", ".", place.rstrip("`")).strip("."),
            unknown["name"] if unknown else "",
        ]
        raise ConfigError(
            f"nautilus cannot use this configuration: {message}",
            expected="the fields of nautilus's TradingNodeConfig",
            field=".".join(p for p in parts if p).replace("..", "."),
        ) from None


def _check_sandbox(config: TradingNodeConfig, secrets: Secrets) -> None:
    """Refuse a client that would send orders to a venue: what is called SANDBOX matches them here."""
    for name, client in config.exec_clients.items():
        field = f"node.exec_clients.{name}"
        with _naming(field, "cannot be used", secrets):
            built = client.create() if isinstance(client, ImportableConfig) else client
        if not isinstance(built, SandboxExecutionClientConfig):
            raise ConfigError(
                f"{field} sends orders to a venue, and the engine is a SANDBOX",
                expected="a sandbox's execution client",
                advice="set environment to LIVE",
                field=field,
            )
