"""A live engine, as the server hands it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from workbench.client.engine_events import EngineListener, EngineStream, Item
from workbench.client.engine_orders import EngineOrders
from workbench.client.engine_strategies import EngineStrategies
from workbench.client.engine_tables import EngineTables
from workbench.client.transport import Transport
from workbench.engine_records import (
    ConfigCheck,
    ConfigVersion,
    EmergencyOutcome,
    EngineStatus,
)

__all__ = ["Engine", "EngineReport", "Engines"]

# The server waits for the host for less than that.
_TABLE_SECS = 10.0
_ACTION_SECS = 30.0
_RESTART_SECS = 150.0
_CHECK_SECS = 60.0


class EngineReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where an engine stands.

    Attributes
    ----------
    status : EngineStatus
        What its directory tells, with or without a host.
    facts : dict, optional
        What its host says besides: strategies, valuation, clients, feeds, resources; ``None`` without one that answers.
    trouble : str
        Why a host that is there does not say anything.

    """

    status: EngineStatus
    facts: dict[str, Any] | None = None
    trouble: str = ""


class Engine(EngineTables, EngineOrders):
    """
    One engine; may be used from any thread. `Client.engine` makes one.

    What raises risk takes two calls. The first raises a `ConfirmationRequiredError`, whose `risks` say what is at
    stake (`workbench.engine_records.Risks`); the second is the same with ``confirm=error.confirm_token``.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    name : str
        Which engine.

    """

    @property
    def strategies(self) -> EngineStrategies:
        """Return what stops, starts, adds and removes strategies while the engine runs."""
        return EngineStrategies(self._transport, self.name)

    def status(self) -> EngineReport:
        """
        Return where the engine stands, whether or not it runs.

        Raises
        ------
        NotFoundError
            If it has no configuration.

        """
        return self._get("status", EngineReport)

    def start(self, *, config_version: int | None = None, confirm: str = "") -> EngineStatus:
        """
        Start the engine, and return without waiting until it trades; one that runs goes on.

        Parameters
        ----------
        config_version : int, optional
            Which version of the configuration; default: the last one.
        confirm : str
            For a LIVE engine: the token of the first call.

        """
        body = {"config_version": config_version, "confirm_token": confirm}
        return self._post("start", body, EngineStatus, timeout_secs=_ACTION_SECS)

    def stop(self, *, is_flattening: bool = False) -> EngineStatus:
        """Stop the engine in an orderly way: leave positions as they are, or close them first."""
        return self._post("stop", {"is_flattening": is_flattening}, EngineStatus)

    def restart(
        self, *, is_flattening: bool = False, config_version: int | None = None, confirm: str = ""
    ) -> EngineStatus:
        """Stop the engine and start it again; see `stop` and `start`."""
        body = {
            "is_flattening": is_flattening,
            "config_version": config_version,
            "confirm_token": confirm,
        }
        return self._post("restart", body, EngineStatus, timeout_secs=_RESTART_SECS)

    def set_trading_state(self, state: str, *, reason: str = "", confirm: str = "") -> str:
        """
        Set what the gate lets through, and return what holds now.

        Parameters
        ----------
        state : str
            ``ACTIVE``; ``REDUCING``: no new risk; ``HALTED``: cancels only.
        reason : str
            Why, for those who look at it later.
        confirm : str
            For leaving HALTED, or more risk in a LIVE engine: the token of the first call.

        """
        body = {"state": str(state), "reason": reason, "confirm_token": confirm}
        found: str = self._post("trading-state", body, dict[str, Any])["effective"]
        return found

    def emergency_stop(self, *, reason: str = "") -> EmergencyOutcome | None:
        """
        Shut the gate, then cancel and close as the engine's policy says; return how far that has come.

        It may be repeated. Without the server: ``workbench engine emergency-stop``.
        """
        answer = self._post("emergency-stop", {"reason": reason}, dict[str, Any])
        return msgspec.convert(answer["outcome"], EmergencyOutcome | None)

    def clear(self, reason: str, *, confirm: str = "") -> EngineStatus:
        """Take the emergency stop away; the gate stays HALTED until its state is set."""
        return self._post("emergency-clear", {"reason": reason, "confirm_token": confirm}, EngineStatus)

    def set_drill(
        self,
        mode: str | None,
        *,
        secs: float | None = None,
        instrument_id: str | None = None,
        every: int = 5,
        client_id: str | None = None,
    ) -> list[str]:
        """
        Let the replay of a SANDBOX go wrong on purpose, or end that; return the feeds that it is about.

        Parameters
        ----------
        mode : str, optional
            ``stall``, ``disconnect``, ``duplicates``, ``out_of_order``, ``slow`` or ``garbage``; ``None`` ends it.
        secs : float, optional
            How long it lasts; default: until it is ended.
        instrument_id, client_id : str, optional
            The instrument and the feed that it is about; default: all.
        every : int
            Which events are hit, in modes that do not hit all: every nth.

        """
        body = {
            "mode": mode,
            "secs": secs,
            "instrument_id": instrument_id,
            "every": every,
            "client_id": client_id,
        }
        feeds: list[str] = self._post("drills", body, dict[str, Any])["feeds"]
        return feeds

    def config(self, version: int | None = None) -> ConfigVersion:
        """Return a version of the configuration; default: the last one."""
        return self._get("config", ConfigVersion, {} if version is None else {"version": version})

    def config_versions(self) -> list[ConfigVersion]:
        """Return every version of the configuration, the last one first."""
        return self._list("config/versions", ConfigVersion)

    def config_diff(self, before: int | None = None, after: int | None = None) -> dict[str, Any]:
        """Return ``changes`` between two versions (default: the last two), and which ``raised`` a limit."""
        params = {"before": before, "after": after}
        given = {name: value for name, value in params.items() if value is not None}
        return self._get("config/diff", dict[str, Any], given)

    def check_config(self, config: Mapping[str, Any]) -> list[ConfigCheck]:
        """
        Look at a configuration before it is used; nothing is written, and nothing connects.

        Parameters
        ----------
        config : Mapping
            The fields of an `EngineConfig`, as plain values.

        Returns
        -------
        list[ConfigCheck]
            What was found, good and bad: adapters, fields, credentials, instruments, databases.

        Raises
        ------
        ConfigError
            If it is no configuration at all.

        """
        body = {"config": dict(config)}
        found = self._send("POST", "config/check", body, dict[str, Any], timeout_secs=_CHECK_SECS)
        return msgspec.convert(found["items"], list[ConfigCheck])

    def set_config(
        self,
        config: Mapping[str, Any],
        *,
        comment: str = "",
        base_version: int | None = None,
        confirm: str = "",
    ) -> ConfigVersion:
        """
        Write a new version of the configuration; the next start uses it.

        Parameters
        ----------
        config : Mapping
            The fields of an `EngineConfig`, as plain values.
        comment : str
            Why.
        base_version : int, optional
            The one that it was made from (0: none): it is refused where there is a later one by now.
        confirm : str
            For a raised limit, or what is or becomes LIVE: the token of the first call.

        Raises
        ------
        ConfigError
            If it cannot be used; `errors` are all that is wrong.

        """
        body = {
            "config": dict(config),
            "comment": comment,
            "base_version": base_version,
            "confirm_token": confirm,
        }
        return self._send("PUT", "config", body, ConfigVersion, timeout_secs=_CHECK_SECS)

    def stream(self, *, after: int | None = None) -> EngineStream:
        """Return the events one after the other, for who has a thread of their own; see `listen`."""
        return EngineStream(self._transport, self._place, after=after)

    def listen(self, callback: Callable[[Item], None], *, after: int | None = None) -> EngineListener:
        """
        Call `callback` with everything that happens, from a thread of its own, until the listener is closed.

        It goes on over lost connections, new servers and new hosts, and misses and doubles no event.

        Parameters
        ----------
        callback : Callable
            Takes an `EngineEvent`, a `Gap`, or a `Link`, which tells that server or host was lost or is back.
        after : int, optional
            Begin after this number; default: with what happens from now on.

        """
        return EngineListener(self.stream(after=after), callback, name=self.name)


class Engines:
    """
    All engines of the workspace. `Client.engines` is one.

    Parameters
    ----------
    transport : Transport
        The way to the server.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def load_all(self) -> list[EngineStatus]:
        """Return where each engine stands."""
        return msgspec.convert(self._transport.fetch_json("GET", "engines")["items"], list[EngineStatus])

    def emergency_stop(self, *, reason: str = "") -> list[dict[str, Any]]:
        """Stop every engine at once; return ``engine``, ``outcome`` and ``error`` of each."""
        body = {"reason": reason}
        found: list[dict[str, Any]] = self._transport.fetch_json("POST", "engines/emergency-stop", body=body)[
            "items"
        ]
        return found

    def presets(self) -> list[dict[str, Any]]:
        """Return where a configuration can begin, each preset with its parameters and how far it was tried."""
        found: list[dict[str, Any]] = self._transport.fetch_json("GET", "engine-presets")["items"]
        return found

    def adapters(self) -> list[dict[str, Any]]:
        """Return the clients that an engine can have, each with its import paths and how far it was tried."""
        found: list[dict[str, Any]] = self._transport.fetch_json("GET", "engine-adapters")["items"]
        return found

    def describe_part(self, path: str, *, kind: str = "client", config_path: str = "") -> dict[str, Any]:
        """
        Return what a form for a client or a strategy is built from.

        Parameters
        ----------
        path : str
            ``package.module:Class``: of a client's configuration, or of a strategy; a `path` of `Client.strategies`.
        kind : {"client", "strategy"}
            Which of them.
        config_path : str, optional
            The configuration of a strategy, where its name is not ``<Strategy>Config``.

        Returns
        -------
        dict
            ``path``, ``config_path``, ``schema``, ``help`` and ``doc``.

        Raises
        ------
        NotFoundError
            If there is no such class, or a package that it needs is not installed.

        """
        params = {"kind": kind, "config_path": config_path}
        given = {name: value for name, value in params.items() if value}
        place = f"engine-parts/{quote(path, safe='')}/schema"
        found: dict[str, Any] = self._transport.fetch_json(
            "GET", place, params=given, timeout_secs=_CHECK_SECS
        )
        return found

    def build_config(self, preset: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """
        Return the configuration that a preset makes of its parameters, for `Engine.set_config`.

        Raises
        ------
        ConfigError
            If a parameter is missing or wrong.

        """
        body = {"parameters": dict(parameters)}
        place = f"engine-presets/{quote(preset, safe='')}"
        found: dict[str, Any] = self._transport.fetch_json("POST", place, body=body)["config"]
        return found
