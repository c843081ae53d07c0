"""A live engine, as the server hands it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from workbench.client.engine_events import EngineListener, EngineStream, Item
from workbench.client.transport import Transport
from workbench.engine_records import (
    AccountRow,
    ConfigVersion,
    EmergencyOutcome,
    EngineStatus,
    FillRow,
    OrderRow,
    PositionRow,
)
from workbench.errors import ServerError

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


class Engine:
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

    def __init__(self, transport: Transport, name: str = "default") -> None:
        self._transport = transport
        self.name = name
        self._place = f"engines/{quote(name, safe='')}"

    def __repr__(self) -> str:
        return f"Engine({self.name!r})"

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

    def orders(self, *, is_open: bool | None = None) -> list[OrderRow]:
        """Return the orders: the open ones, the closed ones, or all."""
        params = {} if is_open is None else {"open": "true" if is_open else "false"}
        return self._list("orders", OrderRow, params)

    def fills(self, *, limit: int = 200) -> list[FillRow]:
        """Return the latest fills."""
        return self._list("fills", FillRow, {"limit": limit})

    def positions(self) -> list[PositionRow]:
        """Return the open positions, with what they are valued at."""
        return self._list("positions", PositionRow)

    def accounts(self) -> list[AccountRow]:
        """Return the accounts."""
        return self._list("accounts", AccountRow)

    def submit(
        self,
        instrument_id: str,
        side: str,
        quantity: str,
        *,
        type: str = "MARKET",  # noqa: A002 - nautilus's word, as in the rows
        price: str | None = None,
        trigger_price: str | None = None,
        time_in_force: str = "GTC",
        is_reduce_only: bool = False,
        is_post_only: bool = False,
    ) -> dict[str, Any]:
        """
        Send an order by hand: through the gate, and with your name on it.

        Parameters
        ----------
        instrument_id, side : str
            What, and ``BUY`` or ``SELL``.
        quantity, price, trigger_price : str
            Decimal text.
        type : str
            ``MARKET``, ``LIMIT``, ``STOP_MARKET`` or ``STOP_LIMIT``.
        time_in_force : str
            ``GTC``, ``IOC``, ``FOK`` or ``DAY``.
        is_reduce_only : bool
            Whether it may only make a position smaller.
        is_post_only : bool
            Whether it may only wait in the book.

        Returns
        -------
        dict
            Its ``client_order_id``; what becomes of it is told by the events.

        """
        wish = {
            "instrument_id": instrument_id,
            "side": side,
            "quantity": quantity,
            "type": type,
            "price": price,
            "trigger_price": trigger_price,
            "time_in_force": time_in_force,
            "is_reduce_only": is_reduce_only,
            "is_post_only": is_post_only,
        }
        return self._post("orders", wish, dict[str, Any])

    def cancel(self, client_order_id: str) -> dict[str, Any]:
        """Cancel an order."""
        return self._send("DELETE", f"orders/{quote(client_order_id, safe='')}", None, dict[str, Any])

    def modify(
        self,
        client_order_id: str,
        *,
        quantity: str | None = None,
        price: str | None = None,
        trigger_price: str | None = None,
    ) -> dict[str, Any]:
        """Change an open order; decimal text."""
        changes = {"quantity": quantity, "price": price, "trigger_price": trigger_price}
        return self._send("PATCH", f"orders/{quote(client_order_id, safe='')}", changes, dict[str, Any])

    def close(self, position_id: str, *, quantity: str | None = None) -> dict[str, Any]:
        """Close a position at the market, or so much of it (decimal text)."""
        place = f"positions/{quote(position_id, safe='')}/close"
        return self._post(place, {"quantity": quantity}, dict[str, Any])

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

    def _get[T](self, place: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> T:
        return self._send("GET", place, None, kind, params=params, timeout_secs=_TABLE_SECS)

    def _post[T](
        self, place: str, body: dict[str, Any], kind: type[T], *, timeout_secs: float = _ACTION_SECS
    ) -> T:
        return self._send("POST", place, body, kind, timeout_secs=timeout_secs)

    def _list[T](self, place: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> list[T]:
        return msgspec.convert(self._get(place, dict[str, Any], params)["items"], list[kind])  # type: ignore[valid-type]

    def _send[T](
        self,
        method: str,
        place: str,
        body: dict[str, Any] | None,
        kind: type[T],
        *,
        params: Mapping[str, str | int] | None = None,
        timeout_secs: float = _ACTION_SECS,
    ) -> T:
        given = None if body is None else {k: v for k, v in body.items() if v is not None and v != ""}
        path = f"{self._place}/{place}"
        content = self._transport.fetch(method, path, params=params, body=given, timeout_secs=timeout_secs)
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as e:
            raise ServerError(f"the server answered {path} with what was not agreed: {e}") from e


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
