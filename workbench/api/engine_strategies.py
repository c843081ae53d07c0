"""The routes about strategies at run time, and the drills of a replay."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.bodies import Plain
from workbench.api.context import Context, ContextOf
from workbench.api.engine_desk import NameOf
from workbench.api.engine_facts import find_environment, load_held
from workbench.api.engine_line import ask_host
from workbench.api.engine_risks import build_risks
from workbench.live.config import Environment
from workbench.live.engine_directory import EngineDirectory
from workbench.live.observation import observe_engine
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = [
    "DrillAnswer",
    "DrillBody",
    "StrategyBody",
    "StrategyStartBody",
    "StrategyStateAnswer",
    "StrategyStopBody",
    "router",
]

router = APIRouter(tags=["engines"])

_ACTION_SECS = 10.0
_Trader = Annotated[UserRecord, require(Permission.TRADE)]
_Id = Annotated[str, Path(max_length=120, pattern=r"^[A-Za-z0-9_:@+-][A-Za-z0-9_.:@+-]*$")]
_Import = Annotated[str, Field(max_length=300, pattern=r"^[\w.]+:\w+$")]
_Token = Annotated[str, Field(max_length=200)]


class StrategyStateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy, and the state that it is in now."""

    strategy_id: str
    state: str


class DrillAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The feeds that a drill was switched on or off for."""

    feeds: list[str]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class StrategyBody(_Body):
    """A strategy to add, as a configuration names it; whether it trades at once."""

    strategy_path: _Import
    config_path: _Import
    config: Plain = Field(default_factory=dict)
    is_started: bool = True
    confirm_token: _Token = ""


class StrategyStartBody(_Body):
    """The confirmation, where it takes one."""

    confirm_token: _Token = ""


class StrategyStopBody(_Body):
    """Whether its orders are cancelled."""

    is_cancelling: bool = False


class DrillBody(_Body):
    """What is to go wrong with a replay; without a mode it ends."""

    mode: Literal["stall", "disconnect", "duplicates", "out_of_order", "slow", "garbage"] | None = None
    secs: float | None = Field(None, gt=0, le=86_400, strict=False)
    instrument_id: str | None = Field(None, max_length=100, pattern=r"^[^\x00-\x1f]+$")
    every: int = Field(5, ge=1, le=1_000_000)
    client_id: str | None = Field(None, max_length=100, pattern=r"^[^\x00-\x1f]+$")


_START = StrategyStartBody()
_STOP = StrategyStopBody()


@router.post(
    "/strategies",
    **answer(
        StrategyStateAnswer,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        status=HTTPStatus.CREATED,
        has_body=True,
    ),
)
async def add_strategy(context: ContextOf, trader: _Trader, name: NameOf, body: StrategyBody) -> Response:
    """Add a strategy to a running engine whose configuration lets that. LIVE takes a second call."""
    wish = body.model_dump(exclude={"confirm_token"})
    line = f"the strategy {body.strategy_path} is added" + (" and trades at once" if body.is_started else "")
    directory = await _confirm(context, trader, name, "strategy-add", wish, body.confirm_token, line)
    return await _act(directory, trader, "POST", "/strategies", wish, HTTPStatus.CREATED)


@router.delete(
    "/strategies/{strategy_id}",
    **answer(StrategyStateAnswer, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, status=HTTPStatus.ACCEPTED),
)
async def remove_strategy(context: ContextOf, trader: _Trader, name: NameOf, strategy_id: _Id) -> Response:
    """Stop a strategy that holds nothing, and forget it."""
    directory = await context.engines.work(context.engines.find, name)
    return await _act(directory, trader, "DELETE", f"/strategies/{quote(strategy_id, safe='')}", None)


@router.post(
    "/strategies/{strategy_id}/start",
    **answer(
        StrategyStateAnswer,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        status=HTTPStatus.ACCEPTED,
        has_body=True,
    ),
)
async def start_strategy(
    context: ContextOf, trader: _Trader, name: NameOf, strategy_id: _Id, body: StrategyStartBody = _START
) -> Response:
    """Start a strategy that is stopped, by its exception too. LIVE takes a second call."""
    line = f"the strategy {strategy_id} trades again"
    wish = {"strategy_id": strategy_id}
    directory = await _confirm(context, trader, name, "strategy-start", wish, body.confirm_token, line)
    return await _act(directory, trader, "POST", f"/strategies/{quote(strategy_id, safe='')}/start", {})


@router.post(
    "/strategies/{strategy_id}/stop",
    **answer(
        StrategyStateAnswer,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        status=HTTPStatus.ACCEPTED,
        has_body=True,
    ),
)
async def stop_strategy(
    context: ContextOf, trader: _Trader, name: NameOf, strategy_id: _Id, body: StrategyStopBody = _STOP
) -> Response:
    """Stop a strategy; its positions stay, and its orders unless they are to be cancelled."""
    directory = await context.engines.work(context.engines.find, name)
    path = f"/strategies/{quote(strategy_id, safe='')}/stop"
    return await _act(directory, trader, "POST", path, body.model_dump())


@router.post("/drills", **answer(DrillAnswer, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, has_body=True))
async def switch_drill(context: ContextOf, trader: _Trader, name: NameOf, body: DrillBody) -> Response:
    """Let the replay of a SANDBOX go wrong on purpose, or end that."""
    directory = await context.engines.work(context.engines.find, name)
    wish = body.model_dump(exclude_none=True)
    return encode(
        await ask_host(
            directory, "POST", "/drills", DrillAnswer, user=trader.name, body=wish, timeout_secs=_ACTION_SECS
        )
    )


async def _confirm(
    context: Context, trader: UserRecord, name: str, action: str, wish: dict[str, Any], token: str, line: str
) -> EngineDirectory:
    """Return the engine; in LIVE only with the confirmation of exactly this."""
    desk = context.engines
    directory = await desk.work(desk.find, name)
    environment = find_environment(await desk.work(observe_engine, directory))
    if environment == Environment.LIVE:
        held = await load_held(desk, directory, trader.name)
        change = {"engine": name, "action": action, "wish": wish}
        await desk.work(
            desk.confirm,
            token,
            change,
            trader.name,
            lambda: build_risks(
                name,
                action,
                environment,
                lines=[line],
                orders=held.orders,
                positions=held.positions,
                valuation=held.valuation,
            ),
        )
    return directory


async def _act(
    directory: EngineDirectory,
    trader: UserRecord,
    method: str,
    path: str,
    body: dict[str, Any] | None,
    status: HTTPStatus = HTTPStatus.ACCEPTED,
) -> Response:
    found = await ask_host(
        directory, method, path, StrategyStateAnswer, user=trader.name, body=body, timeout_secs=_ACTION_SECS
    )
    return encode(found, status)
