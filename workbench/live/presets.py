"""Where a configuration of an engine can begin: a replay in the sandbox, and venues, each with how far it was tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from workbench.errors import ConfigError, NotFoundError
from workbench.live.config import EngineConfig, Environment, parse_engine_config

__all__ = ["PRESETS", "Parameter", "Preset", "Trial", "build_preset", "find_preset"]

_REPLAY = "workbench.live.replay"
_SANDBOX = "workbench.live.sandbox"
_BINANCE = "nautilus_trader.adapters.binance"
_IB = "nautilus_trader.adapters.interactive_brokers"


class Trial(StrEnum):
    """How far a preset was tried: engines of it ran in tests, the adapter took its fields in tests, or neither."""

    TESTED = "tested"
    PARSED = "configuration only"
    UNTESTED = "untested"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that a preset asks for.

    Attributes
    ----------
    name, help : str
        What it is called, and what it is.
    default : str
        What is taken if nothing is said; where that is nothing it must be said.
    choices : list[str]
        What it may be; empty: any text.
    is_list : bool
        Whether several values may be given, with commas between them.

    """

    name: str
    help: str
    default: str = ""
    choices: list[str] = []
    is_list: bool = False
    is_optional: bool = False


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """
    One preset.

    Attributes
    ----------
    name, title, help : str
        What it is called, in a command and for people, and what it is for.
    environment : Environment
        ``SANDBOX`` or ``LIVE``. A venue's test network counts as LIVE: real orders leave this machine.
    trial : Trial
        How far it was tried.
    tried : str
        The same in words.
    parameters : list[Parameter]
        What it asks for.

    """

    name: str
    title: str
    help: str
    environment: Environment
    trial: Trial
    tried: str
    parameters: list[Parameter]


def find_preset(name: str) -> Preset:
    """
    Return a preset.

    Raises
    ------
    NotFoundError
        If there is none of this name.

    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise NotFoundError(
        f"there is no preset {name[:80]!r}", expected=", ".join(p.name for p in PRESETS), field="preset"
    )


def build_preset(name: str, values: Mapping[str, str]) -> EngineConfig:
    """
    Return the configuration of a preset; strategies and limits are still to be added to it.

    Parameters
    ----------
    name : str
        The preset.
    values : Mapping[str, str]
        Its parameters.

    Raises
    ------
    NotFoundError
        If there is no such preset.
    ConfigError
        If a parameter is unknown, missing or wrong; `errors` are all that were found.

    """
    preset = find_preset(name)
    known = {p.name: p for p in preset.parameters}
    errors = [
        ConfigError(f"{name} has no parameter {one[:80]!r}", expected=", ".join(known), field=one[:80])
        for one in values
        if one not in known
    ]
    taken = {p.name: str(values.get(p.name, "")).strip() or p.default for p in preset.parameters}
    for parameter in preset.parameters:
        value = taken[parameter.name]
        if not value and not parameter.is_optional:
            errors.append(
                ConfigError(f"{parameter.name} is missing", expected=parameter.help, field=parameter.name)
            )
        elif value and parameter.choices and value not in parameter.choices:
            errors.append(
                ConfigError(
                    f"{parameter.name} is {value[:80]!r}",
                    expected=" or ".join(parameter.choices),
                    field=parameter.name,
                )
            )
    if errors:
        first = errors[0]
        raise ConfigError(first.message, expected=first.expected, field=first.field, errors=errors)
    return parse_engine_config({"environment": preset.environment.value, **_BUILDERS[name](taken)})


def _build_replay(values: Mapping[str, str]) -> dict[str, Any]:
    venue = values["venue"]
    optional = {name: values[name] for name in ("start", "end") if values[name]}
    return {
        "currency": values["currency"],
        "node": {
            "data_clients": {
                "REPLAY": {
                    "path": f"{_REPLAY}_config:ReplayDataClientConfig",
                    "factory": {"path": f"{_REPLAY}:ReplayDataClientFactory"},
                    "config": {
                        "catalog_path": values["catalog_path"],
                        "venues": [venue],
                        "speed": _parse_number("speed", values["speed"]),
                        **optional,
                    },
                }
            },
            "exec_clients": {
                venue: {
                    "path": f"{_SANDBOX}_config:SandboxClientConfig",
                    "factory": {"path": f"{_SANDBOX}:SandboxLiveExecClientFactory"},
                    "config": {
                        "venue": venue,
                        "starting_balances": _split(values["balances"]),
                        "base_currency": values["currency"],
                        "account_type": values["account_type"],
                        "oms_type": values["oms_type"],
                        "bar_types": _split(values["bar_types"]),
                        "quotes": _split(values["quotes"]),
                    },
                }
            },
        },
    }


def _build_binance(values: Mapping[str, str], network: str, prefix: str) -> dict[str, Any]:
    provider = {"load_ids": _split(values["instrument_ids"])}
    shared = {
        "api_key": f"env:{prefix}_API_KEY",
        "api_secret": f"env:{prefix}_API_SECRET",
        "account_type": "SPOT",
        "environment": network,
        "instrument_provider": provider,
    }

    def client(kind: str) -> dict[str, Any]:
        return {
            "path": f"{_BINANCE}.config:Binance{kind}ClientConfig",
            "factory": {"path": f"{_BINANCE}.factories:BinanceLive{kind}ClientFactory"},
            "config": shared,
        }

    return {
        "currency": values["currency"],
        "node": {
            "data_clients": {"BINANCE": client("Data")},
            "exec_clients": {"BINANCE": client("Exec")},
            # With orders kept in Redis, a restart would book a position twice otherwise.
            "exec_engine": {"generate_missing_orders": False},
        },
    }


def _build_ib(values: Mapping[str, str]) -> dict[str, Any]:
    port = int(_parse_number("port", values["port"]))
    number = int(_parse_number("client_id", values["client_id"]))
    gateway = {"ibg_host": values["host"], "ibg_port": port, "ibg_client_id": number}
    gateway["instrument_provider"] = {"load_ids": _split(values["instrument_ids"])}

    def client(kind: str, **fields: Any) -> dict[str, Any]:
        return {
            "path": f"{_IB}.config:InteractiveBrokers{kind}ClientConfig",
            "factory": {"path": f"{_IB}.factories:InteractiveBrokersLive{kind}ClientFactory"},
            "config": {**gateway, **fields},
        }

    return {
        "currency": values["currency"],
        "node": {
            "data_clients": {"INTERACTIVE_BROKERS": client("Data")},
            "exec_clients": {
                "INTERACTIVE_BROKERS": client(
                    "Exec", account_id=f"env:{values['account_env']}", routing={"default": True}
                )
            },
        },
    }


def _build_adapter(values: Mapping[str, str]) -> dict[str, Any]:
    node: dict[str, Any] = {}
    for kind in ("data", "exec"):
        path, factory = values[f"{kind}_config"], values[f"{kind}_factory"]
        if bool(path) != bool(factory):
            missing = f"{kind}_factory" if path else f"{kind}_config"
            raise ConfigError(f"{missing} is missing", expected="package.module:Class", field=missing)
        if path:
            provider = {"load_ids": _split(values["instrument_ids"])} if values["instrument_ids"] else None
            node[f"{kind}_clients"] = {
                values["name"]: {
                    "path": path,
                    "factory": {"path": factory},
                    "config": {"instrument_provider": provider} if provider else {},
                }
            }
    if not node:
        raise ConfigError("no client is named", expected="data_config or exec_config", field="data_config")
    return {"currency": values["currency"], "node": node}


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_number(field: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 1e9:
        raise ConfigError(f"{field} is {text[:80]!r}", expected="a number above 0", field=field)
    return int(found) if found.is_integer() else found


_CURRENCY = Parameter(name="currency", help="What equity and limits are counted in.", default="USD")
_SPOT = [
    Parameter(
        name="instrument_ids",
        help="What is traded, such as BTCUSDT.BINANCE.",
        default="BTCUSDT.BINANCE",
        is_list=True,
    ),
    msgspec.structs.replace(_CURRENCY, default="USDT"),
]
_ADAPTER = "A test has nautilus's adapter take the configuration; no order has left this machine."

PRESETS = (
    Preset(
        name="sandbox-replay",
        title="Sandbox, fed by a replay of the catalog",
        help="The catalog's data come as if they were live, and orders are matched in this process. Nothing leaves it.",
        environment=Environment.SANDBOX,
        trial=Trial.TESTED,
        tried="Engines of it are started, stopped, killed and drilled in the tests.",
        parameters=[
            Parameter(name="catalog_path", help="The root of a catalog on this machine."),
            Parameter(name="venue", help="The venue whose data are replayed, such as SIM."),
            Parameter(name="speed", help="Seconds of the catalog in one second.", default="1"),
            Parameter(name="start", help="Where the replay begins, ISO 8601.", is_optional=True),
            Parameter(name="end", help="Where it ends, ISO 8601.", is_optional=True),
            _CURRENCY,
            Parameter(
                name="balances", help="What the account begins with.", default="1000000 USD", is_list=True
            ),
            Parameter(name="account_type", help="The account.", default="MARGIN", choices=["CASH", "MARGIN"]),
            Parameter(
                name="oms_type",
                help="One position for each instrument, or for each order.",
                default="NETTING",
                choices=["NETTING", "HEDGING"],
            ),
            Parameter(
                name="bar_types",
                help="Bars that move the market: bid and ask of the same length, or LAST or MID.",
                is_list=True,
                is_optional=True,
            ),
            Parameter(
                name="quotes",
                help="Instruments whose quotes move the market.",
                is_list=True,
                is_optional=True,
            ),
        ],
    ),
    Preset(
        name="binance-testnet",
        title="Binance Spot, test network",
        help="Real orders with play money. BINANCE_TESTNET_API_KEY and BINANCE_TESTNET_API_SECRET hold the key.",
        environment=Environment.LIVE,
        trial=Trial.PARSED,
        tried=_ADAPTER,
        parameters=_SPOT,
    ),
    Preset(
        name="binance-live",
        title="Binance Spot",
        help="Real money. BINANCE_API_KEY and BINANCE_API_SECRET hold the key.",
        environment=Environment.LIVE,
        trial=Trial.UNTESTED,
        tried="Never run against the venue.",
        parameters=_SPOT,
    ),
    Preset(
        name="interactive-brokers",
        title="Interactive Brokers, by a gateway or TWS",
        help="Needs the package ibapi and a gateway that is logged in; 4002 and 7497 are the ports of paper accounts.",
        environment=Environment.LIVE,
        trial=Trial.UNTESTED,
        tried="Never run against a gateway.",
        parameters=[
            Parameter(name="host", help="The gateway's host.", default="127.0.0.1"),
            Parameter(name="port", help="The gateway's port.", default="4002"),
            Parameter(name="client_id", help="A number that no other program uses there.", default="1"),
            Parameter(
                name="account_env",
                help="The environment variable that holds the account's number.",
                default="TWS_ACCOUNT",
            ),
            Parameter(name="instrument_ids", help="What is traded, such as AAPL.NASDAQ.", is_list=True),
            _CURRENCY,
        ],
    ),
    Preset(
        name="adapter",
        title="Any adapter of nautilus, by import path",
        help="Client configurations and factories as nautilus has them; what else they take is set afterwards.",
        environment=Environment.LIVE,
        trial=Trial.UNTESTED,
        tried="Nobody has tried what is not known yet.",
        parameters=[
            Parameter(name="name", help="What the clients are called: the venue, as a rule, such as BYBIT."),
            Parameter(name="data_config", help="Of data: package.module:ClientConfig.", is_optional=True),
            Parameter(name="data_factory", help="Its package.module:ClientFactory.", is_optional=True),
            Parameter(name="exec_config", help="Of orders: package.module:ClientConfig.", is_optional=True),
            Parameter(name="exec_factory", help="Its package.module:ClientFactory.", is_optional=True),
            Parameter(
                name="instrument_ids",
                help="What is traded, such as BTCUSDT-LINEAR.BYBIT.",
                is_list=True,
                is_optional=True,
            ),
            msgspec.structs.replace(_CURRENCY, default="USDT"),
        ],
    ),
)

_BUILDERS: dict[str, Callable[[Mapping[str, str]], dict[str, Any]]] = {
    "sandbox-replay": _build_replay,
    "binance-testnet": lambda values: _build_binance(values, "TESTNET", "BINANCE_TESTNET"),
    "binance-live": lambda values: _build_binance(values, "LIVE", "BINANCE"),
    "interactive-brokers": _build_ib,
    "adapter": _build_adapter,
}
