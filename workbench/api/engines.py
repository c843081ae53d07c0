"""The routes about live engines: which there are, where they stand, and what is done to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import Context, ContextOf
from workbench.api.engine_desk import EngineDesk, NameOf
from workbench.api.engine_facts import EngineAnswer, Held, find_environment, load_answer, load_held
from workbench.api.engine_line import ask_host
from workbench.api.engine_risks import build_risks, is_raising_state
from workbench.engine_records import EmergencyOutcome, EngineStatus, Risks
from workbench.errors import ConflictError, WorkbenchError
from workbench.live import emergency, launch
from workbench.live.config import Environment
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import observe_engine
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = [
    "ClearBody",
    "EmergencyAnswer",
    "EmergencyBody",
    "EmergencyList",
    "EngineList",
    "RestartBody",
    "StartBody",
    "StateAnswer",
    "StateBody",
    "StopBody",
    "collection",
    "router",
]

# One engine, whichever its address: `engine/...` or `engines/{name}/...`.
router = APIRouter(tags=["engines"])
# All of them.
collection = APIRouter(tags=["engines"])

_ORDER_SECS = 5.0
# A start takes some seconds. Whoever asks does not wait for a stop that takes as long as its policy allows.
_WAIT_SECS = 20.0
_MOST_LEFT = 6
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Trader = Annotated[UserRecord, require(Permission.TRADE)]
_Reason = Annotated[str, Field(max_length=1_000, pattern=r"^[^\x00]*$")]
_Token = Annotated[str, Field(max_length=200)]


class EngineList(msgspec.Struct, frozen=True, kw_only=True):
    """All engines of the workspace."""

    items: list[EngineStatus]


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The trading state that holds now: other reasons may keep it lower than what was asked for."""

    effective: str


class EmergencyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    An emergency stop of one engine.

    Attributes
    ----------
    engine : str
        Which one.
    outcome : EmergencyOutcome, optional
        How far it has come.
    error : str
        Why it could not even be latched, or nothing.

    """

    engine: str
    outcome: EmergencyOutcome | None = None
    error: str = ""


class EmergencyList(msgspec.Struct, frozen=True, kw_only=True):
    """An emergency stop of all engines."""

    items: list[EmergencyAnswer]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StartBody(_Body):
    """Which version of the configuration to run; default: the last one."""

    config_version: int | None = Field(None, ge=1, le=2**31 - 1)
    confirm_token: _Token = ""


class StopBody(_Body):
    """Whether positions are closed first."""

    is_flattening: bool = False


class RestartBody(StartBody):
    """Whether positions are closed first, and which version of the configuration to run then."""

    is_flattening: bool = False


class StateBody(_Body):
    """What the gate is to let through."""

    state: Literal["ACTIVE", "REDUCING", "HALTED"]
    reason: _Reason = ""
    confirm_token: _Token = ""


class EmergencyBody(_Body):
    """Why."""

    reason: _Reason = ""


class ClearBody(_Body):
    """Why it is safe to clear the emergency stop."""

    reason: str = Field(min_length=1, max_length=1_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
    confirm_token: _Token = ""


_START = StartBody(config_version=None)
_STOP = StopBody()
_RESTART = RestartBody(config_version=None)
_EMERGENCY = EmergencyBody()


@collection.get("/engines", **answer(EngineList))
async def list_engines(context: ContextOf, user: _Viewer) -> Response:
    """List the engines of the workspace, and where each of them stands."""
    desk = context.engines
    found = await desk.work(desk.find_all)
    return encode(EngineList(items=[await desk.work(observe_engine, one) for one in found]))


@collection.post("/engines/emergency-stop", **answer(EmergencyList, has_body=True))
async def stop_all_engines(context: ContextOf, trader: _Trader, body: EmergencyBody = _EMERGENCY) -> Response:
    """Stop every engine at once: all gates are shut first. It takes one call, and may be repeated."""
    desk = context.engines

    async def stop(directory: EngineDirectory) -> EmergencyAnswer:
        try:
            return await _stop_emergency(context, directory, trader.name, body.reason)
        except WorkbenchError as e:
            return EmergencyAnswer(engine=directory.name, error=str(e))

    found = await desk.rescue(desk.find_all)
    return encode(EmergencyList(items=list(await asyncio.gather(*(stop(one) for one in found)))))


@router.get("/status", **answer(EngineAnswer, HTTPStatus.NOT_FOUND))
async def get_status(context: ContextOf, user: _Viewer, name: NameOf) -> Response:
    """Say where an engine stands, whether or not its host answers."""
    directory = await context.engines.work(context.engines.find, name)
    return encode(await load_answer(context.engines, directory, user.name))


@router.post(
    "/start",
    **answer(
        EngineStatus, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED, has_body=True
    ),
)
async def start_engine(
    context: ContextOf, trader: _Trader, name: NameOf, body: StartBody = _START
) -> Response:
    """Start an engine; one that runs goes on. LIVE takes a second call. It answers when it runs, or after 20 s."""
    desk = context.engines
    directory = await desk.work(desk.find, name)
    version = await desk.work(_confirm_start, context, directory, "start", body, trader.name, Held())
    start = partial(launch.start_engine, directory, by=trader.name, config_version=version)
    return encode(await _await(desk, directory, start), HTTPStatus.ACCEPTED)


@router.post(
    "/stop",
    **answer(
        EngineStatus, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED, has_body=True
    ),
)
async def stop_engine(context: ContextOf, trader: _Trader, name: NameOf, body: StopBody = _STOP) -> Response:
    """Stop an engine in an orderly way; positions are left as they are, or closed first."""
    desk = context.engines
    directory = await desk.work(desk.find, name)
    stop = partial(launch.stop_engine, directory, by=trader.name, is_flattening=body.is_flattening)
    return encode(await _await(desk, directory, stop), HTTPStatus.ACCEPTED)


@router.post(
    "/restart",
    **answer(
        EngineStatus, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED, has_body=True
    ),
)
async def restart_engine(
    context: ContextOf, trader: _Trader, name: NameOf, body: RestartBody = _RESTART
) -> Response:
    """Stop an engine and start it again. A LIVE engine takes a second call."""
    desk = context.engines
    directory = await desk.work(desk.find, name)
    held = await load_held(desk, directory, trader.name)
    version = await desk.work(_confirm_start, context, directory, "restart", body, trader.name, held)
    restart = partial(
        launch.restart_engine,
        directory,
        by=trader.name,
        config_version=version,
        is_flattening=body.is_flattening,
    )
    return encode(await _await(desk, directory, restart), HTTPStatus.ACCEPTED)


@router.post(
    "/trading-state", **answer(StateAnswer, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, has_body=True)
)
async def set_trading_state(context: ContextOf, trader: _Trader, name: NameOf, body: StateBody) -> Response:
    """
    Set what the gate lets through: ACTIVE everything, REDUCING no new risk, HALTED cancels only.

    Leaving HALTED, and any more risk in a LIVE engine, takes a second call.
    """
    desk = context.engines
    directory = await desk.work(desk.find, name)
    status = await desk.work(observe_engine, directory)
    if not status.is_alive:
        raise ConflictError(f"the engine {name} is not running", advice="a start decides its trading state")
    before = "" if status.heartbeat is None else status.heartbeat.trading_state
    environment = find_environment(status)
    if is_raising_state(before, body.state, environment):
        change = {"engine": name, "action": "trading-state", "before": before, "after": body.state}
        held = await load_held(desk, directory, trader.name)
        lines = [f"the trading state goes from {before or 'unknown'} to {body.state}"]
        if status.heartbeat is not None and status.heartbeat.breach:
            lines.append(f"the limit {status.heartbeat.breach} was reached")
        await desk.work(
            desk.confirm,
            body.confirm_token,
            change,
            trader.name,
            lambda: _build_risks(name, "trading-state", environment, lines, held),
        )
    found = await ask_host(
        directory,
        "POST",
        "/trading-state",
        StateAnswer,
        user=trader.name,
        body={"state": body.state, "reason": body.reason},
        timeout_secs=_ORDER_SECS,
    )
    return encode(found)


@router.post("/emergency-stop", **answer(EmergencyAnswer, HTTPStatus.NOT_FOUND, has_body=True))
async def stop_emergency(
    context: ContextOf, trader: _Trader, name: NameOf, body: EmergencyBody = _EMERGENCY
) -> Response:
    """Shut the gate, then cancel and close as the engine's policy says. One call; it may be repeated."""
    directory = await context.engines.rescue(context.engines.find, name)
    return encode(await _stop_emergency(context, directory, trader.name, body.reason))


@router.post(
    "/emergency-clear", **answer(EngineStatus, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, has_body=True)
)
async def clear_emergency(context: ContextOf, trader: _Trader, name: NameOf, body: ClearBody) -> Response:
    """Take the emergency stop away, in two calls. The gate stays HALTED until its state is set."""
    desk = context.engines
    directory = await desk.work(desk.find, name)
    status = await desk.work(observe_engine, directory)
    if not await desk.work(lambda: directory.is_latched):
        raise ConflictError(f"no emergency stop of {name} holds")
    # Another stop than the one that was looked at is not cleared.
    stopped_at = 0 if status.latch is None else status.latch.ts_ns
    change = {"engine": name, "action": "emergency-clear", "latch": stopped_at}
    held = await load_held(desk, directory, trader.name)
    environment = find_environment(status)
    await desk.work(
        desk.confirm,
        body.confirm_token,
        change,
        trader.name,
        lambda: _build_risks(name, "emergency-clear", environment, _describe_latch(status), held),
    )
    await desk.work(emergency.clear_emergency, directory, by=trader.name, reason=body.reason)
    return encode(await desk.work(observe_engine, directory))


async def _stop_emergency(
    context: Context, directory: EngineDirectory, by: str, reason: str
) -> EmergencyAnswer:
    outcome = await context.engines.rescue(emergency.stop_emergency, directory, by=by, reason=reason)
    return EmergencyAnswer(engine=directory.name, outcome=outcome)


async def _await(
    desk: EngineDesk, directory: EngineDirectory, change: Callable[[], EngineStatus]
) -> EngineStatus:
    """Return how a change ended; or where the engine stands when the time is over, and it goes on."""
    try:
        async with asyncio.timeout(_WAIT_SECS):
            return await desk.change(change)
    except TimeoutError:
        return await desk.work(observe_engine, directory)


def _confirm_start(
    context: Context, directory: EngineDirectory, action: str, body: StartBody, by: str, held: Held
) -> int:
    """Return the version to run, confirmed where it is LIVE."""
    version = directory.load_version(body.config_version).version
    config = directory.load_config(version)
    if config.environment != Environment.LIVE:
        return version
    if action == "start" and directory.is_held("host"):  # Nothing is started
        return version
    change: dict[str, Any] = {"engine": directory.name, "action": action, "version": version}
    if isinstance(body, RestartBody):
        change["is_flattening"] = body.is_flattening
    lines = [f"version {version} of the configuration trades at {_name_venues(config.node)}"]
    if directory.is_latched:
        lines.append("an emergency stop holds: it starts HALTED")
    if not config.risk:
        lines.append("no risk limits are configured")
    context.engines.confirm(
        body.confirm_token,
        change,
        by,
        lambda: _build_risks(directory.name, action, config.environment, lines, held),
    )
    return version


def _build_risks(engine: str, action: str, environment: str, lines: list[str], held: Held) -> Risks:
    return build_risks(
        engine,
        action,
        environment,
        lines=lines,
        orders=held.orders,
        positions=held.positions,
        valuation=held.valuation,
    )


def _describe_latch(status: EngineStatus) -> list[str]:
    latch, outcome = status.latch, status.outcome
    lines = ["the emergency stop is cleared; the gate stays HALTED until its state is set"]
    if latch is not None:
        lines.append(f"it was pulled by {latch.by} at {latch.at}: {latch.reason or 'no reason given'}")
    if outcome is None or outcome.settled_ns is None or latch is None or outcome.latch.ts_ns != latch.ts_ns:
        lines.append("it is not finished")
    elif outcome.still_open:
        # Of that moment: what is open now is told besides, where it is known.
        left = [
            " ".join(filter(None, (o.kind, o.quantity, o.instrument_id or o.key))) for o in outcome.still_open
        ]
        more = f" and {len(left) - _MOST_LEFT:,} more" if len(left) > _MOST_LEFT else ""
        lines.append(f"when it was done it had left open: {', '.join(left[:_MOST_LEFT])}{more}")
    return lines


def _name_venues(node: dict[str, Any]) -> str:
    clients = node.get("exec_clients")
    return ", ".join(sorted(clients)) if isinstance(clients, dict) and clients else "no venue"
