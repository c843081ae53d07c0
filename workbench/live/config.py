"""What an engine is made of: its configuration, checked before it is used, and what differs between two of them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from workbench.engine_records import EmergencyPolicy
from workbench.errors import ConfigError

__all__ = [
    "Change",
    "EngineConfig",
    "Environment",
    "HealthPolicy",
    "RestartPolicy",
    "StopPolicy",
    "find_changes",
    "parse_engine_config",
]

_PLAIN = re.compile(r"[A-Za-z_][\w:/-]*", re.ASCII)
_Secs = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Environment(StrEnum):
    """Whether orders are matched here, or sent to a venue. The words are nautilus's."""

    SANDBOX = "SANDBOX"
    LIVE = "LIVE"


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What follows when a host dies.

    Attributes
    ----------
    most : int
        How often it is started again within `window_secs`; 0: never.
    window_secs : float
        Restarts longer ago do not count.
    backoff_secs, max_backoff_secs : float
        How long it waits before the first restart; twice as long before each further one, up to the most.

    """

    most: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 5
    window_secs: _Secs = 600.0
    backoff_secs: _Secs = 1.0
    max_backoff_secs: _Secs = 60.0


class StopPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How an engine is stopped.

    Attributes
    ----------
    timeout_secs : float
        How long an orderly end may take before the host is told to go (SIGTERM).
    kill_secs : float
        How long after that it is killed.

    """

    timeout_secs: _Secs = 20.0
    kill_secs: _Secs = 10.0


class HealthPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    When the light of an engine is not green.

    Attributes
    ----------
    max_quote_age_secs : float, optional
        How old the latest quote, trade or bar of what is subscribed to may be; for bars on top of their length.
        ``None``: any.
    max_queue : int
        How many messages may wait in one of nautilus's queues.
    max_round_trip_ms : float
        How long a venue may take to answer an order, the median of the latest.
    min_disk_free_bytes : int
        What has to be left on the disk.
    max_memory_bytes : int, optional
        What the host may take; ``None``: anything.
    max_cpu_percent : float, optional
        How much of one core the host may take, over ten seconds; ``None``: anything.
    max_threads : int
        How many threads it may have.
    max_descriptors_share : float
        How much of the file descriptors that it may have it may use.
    max_clock_offset_ms : float
        How far the clock may be off: by the stamps of live market data, or by what the kernel knows of it.
    max_errors : int
        How many errors nautilus may log in five minutes.

    """

    max_quote_age_secs: _Secs | None = 30.0
    max_queue: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    max_round_trip_ms: Annotated[float, msgspec.Meta(gt=0)] = 2_000.0
    min_disk_free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1_000_000_000
    max_memory_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_cpu_percent: Annotated[float, msgspec.Meta(gt=0)] | None = 95.0
    max_threads: Annotated[int, msgspec.Meta(ge=1)] = 1_000
    max_descriptors_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.8
    max_clock_offset_ms: Annotated[float, msgspec.Meta(gt=0)] = 500.0
    max_errors: Annotated[int, msgspec.Meta(ge=0)] = 10


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One engine.

    Attributes
    ----------
    environment : Environment
        ``SANDBOX`` or ``LIVE``.
    node : dict
        The fields of nautilus's `TradingNodeConfig`, as JSON: `strategies`, `actors`, `exec_algorithms`,
        `data_clients` and `exec_clients` (adapters by import path, as nautilus's `ImportableConfig`), `cache` and
        so on. Secrets are references, ``env:NAME`` or ``keyring:SERVICE/NAME``, wherever a text stands.
    risk : dict
        The limits: the fields of `workbench.gate.actor.RiskGateConfig`.
    currency : str
        What equity, loss and exposure are counted in.
    emergency : EmergencyPolicy
        What an emergency stop does.
    restart : RestartPolicy
        What follows when the host dies.
    stop : StopPolicy
        How it is stopped.
    health : HealthPolicy
        When its light is not green.
    is_extensible : bool, optional
        Whether strategies may be added and removed while it runs; default: in a SANDBOX. They may be stopped and
        started again in any engine.

    """

    environment: Environment = Environment.SANDBOX
    node: dict[str, Any] = {}
    risk: dict[str, Any] = {}
    currency: str = "USD"
    emergency: EmergencyPolicy = EmergencyPolicy()
    restart: RestartPolicy = RestartPolicy()
    stop: StopPolicy = StopPolicy()
    health: HealthPolicy = HealthPolicy()
    is_extensible: bool | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One place in which two configurations differ; what is not there is ``None``."""

    field: str
    before: Any
    after: Any


def parse_engine_config(values: object) -> EngineConfig:
    """
    Return a configuration from plain values.

    Raises
    ------
    ConfigError
        If they describe none; `field` names the place.

    """
    try:
        return msgspec.convert(values, EngineConfig)
    except msgspec.ValidationError as e:
        message, _, place = str(e).partition(" - at `$")
        raise ConfigError(
            f"this is no configuration of an engine: {message}",
            expected="the fields of EngineConfig",
            field=place.rstrip("`").lstrip("."),
        ) from e


def find_changes(before: EngineConfig, after: EngineConfig) -> list[Change]:
    """Return where two configurations differ, in the order of their fields."""
    old, new = _flatten(msgspec.to_builtins(before)), _flatten(msgspec.to_builtins(after))
    return [
        Change(field=field, before=old.get(field), after=new.get(field))
        for field in dict.fromkeys((*old, *new))
        if _is_other(old.get(field, msgspec.UNSET), new.get(field, msgspec.UNSET))
        and not (_is_emptied(field, old, new) or _is_emptied(field, new, old))
    ]


def _is_emptied(field: str, values: dict[str, Any], others: dict[str, Any]) -> bool:
    """Return whether it is empty in `values` alone: what it has in `others` tells of that."""
    is_empty = field not in others and values.get(field) in ({}, [])
    return is_empty and any(other.startswith(f"{field}.") for other in others)


def _is_other(old: Any, new: Any) -> bool:
    # True is 1 to Python, but not to who reads the configuration.
    return old != new or isinstance(old, bool) != isinstance(new, bool)


def _flatten(values: Any, place: str = "") -> dict[str, Any]:
    children: list[tuple[str, Any]] = []
    if isinstance(values, dict):
        children = [(_quote(str(name)), value) for name, value in values.items()]
    elif isinstance(values, list):
        children = [(str(i), value) for i, value in enumerate(values)]
    if not children:
        return {place: values}
    found: dict[str, Any] = {}
    for name, value in children:
        found |= _flatten(value, f"{place}.{name}" if place else name)
    return found


def _quote(name: str) -> str:
    """Return a key as it stands in a place: what looks like two, or like a number in a list, in quotes."""
    return name if _PLAIN.fullmatch(name) else msgspec.json.encode(name).decode()
