"""What a host answers: over HTTP and WebSocket, on the loop of its service thread."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from workbench.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    ServerError,
    StoreError,
    WorkbenchError,
)
from workbench.gate.rules import TradingState
from workbench.live.config import Environment
from workbench.live.context import HostContext
from workbench.live.heartbeat import build_heartbeat
from workbench.live.problem import build_problem_response
from workbench.states import EngineState

__all__ = ["ManualDesk", "Routes", "StrategyOffice"]

MOST_BODY = 1024 * 1024
_MOST_FILLS = 5_000
_AGAIN_SECS = 0.5
_SAVE_SECS = 0.5
_BUILD_SECS = 8.0  # Somebody's module is imported
_MOST_TRACE = 8_000


class ManualDesk(Protocol):
    """What people may do with orders and positions by hand; in the main loop. The host provides it."""

    def submit(self, values: dict[str, Any], user: str) -> dict[str, Any]:
        """Enter an order."""

    def cancel(self, client_order_id: str, user: str) -> dict[str, Any]:
        """Cancel an order."""

    def modify(self, client_order_id: str, values: dict[str, Any], user: str) -> dict[str, Any]:
        """Change an order."""

    def close(self, position_id: str, values: dict[str, Any], user: str) -> dict[str, Any]:
        """Close a position, or a part of it."""


class StrategyOffice(Protocol):
    """What people may do with strategies; in the main loop. The host provides it."""

    def stop(self, strategy_id: str, values: dict[str, Any], user: str) -> dict[str, Any]:
        """Stop one."""

    def start(self, strategy_id: str, user: str) -> dict[str, Any]:
        """Start one that is stopped."""

    def add(self, values: dict[str, Any], user: str) -> dict[str, Any]:
        """Add one."""

    def remove(self, strategy_id: str, user: str) -> dict[str, Any]:
        """Remove one."""


class _StateBody(msgspec.Struct, forbid_unknown_fields=True):
    state: TradingState
    reason: str = ""


class _ReasonBody(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class _StopBody(msgspec.Struct, forbid_unknown_fields=True):
    is_flattening: bool = False


class Routes:
    """
    The routes of a host.

    Parameters
    ----------
    context : HostContext
        The host.

    Attributes
    ----------
    desk : ManualDesk, optional
        Takes orders by hand, once there is a node.
    strategies : StrategyOffice, optional
        Starts and stops strategies, once there is a node.
    switch_drill : Callable, optional
        Switches a drill on or off, from what was sent, and returns the feeds that it is about.

    """

    def __init__(self, context: HostContext) -> None:
        self._context = context
        self.desk: ManualDesk | None = None
        self.strategies: StrategyOffice | None = None
        self.switch_drill: Callable[[dict[str, Any]], list[str]] | None = None

    def build_app(self) -> Starlette:
        """Return the application that answers."""
        routes = [
            Route("/status", _answer(self._show_status)),
            Route("/orders", _answer(self._list_orders)),
            Route("/fills", _answer(self._list_fills)),
            Route("/positions", _answer(self._list_positions)),
            Route("/accounts", _answer(self._list_accounts)),
            Route("/trading-state", _answer(self._set_trading_state), methods=["POST"]),
            Route("/emergency-stop", _answer(self._stop_emergency), methods=["POST"]),
            Route("/emergency-clear", _answer(self._clear_emergency), methods=["POST"]),
            Route("/stop", _answer(self._stop_host, 202), methods=["POST"]),
            Route("/orders", _answer(self._submit, 201), methods=["POST"]),
            Route("/orders/{id:path}", _answer(self._cancel, 202), methods=["DELETE"]),
            Route("/orders/{id:path}", _answer(self._modify, 202), methods=["PATCH"]),
            Route("/positions/{id:path}/close", _answer(self._close, 201), methods=["POST"]),
            Route("/strategies", _answer(self._add_strategy, 201), methods=["POST"]),
            Route("/strategies/{id}", _answer(self._remove_strategy, 202), methods=["DELETE"]),
            Route("/strategies/{id}/start", _answer(self._start_strategy, 202), methods=["POST"]),
            Route("/strategies/{id}/stop", _answer(self._stop_strategy, 202), methods=["POST"]),
            Route("/drills", _answer(self._switch_drill), methods=["POST"]),
            WebSocketRoute("/events", self._stream),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _refuse, Exception: self._admit})

    async def _admit(self, request: Request, error: Exception) -> Response:
        """Answer what nobody foresaw; its traceback is in the journal."""
        text = "".join(traceback.format_exception(error))[-_MOST_TRACE:]
        self._context.tell("alarm", "ServiceError", {"path": request.url.path, "traceback": text})
        return build_problem_response(WorkbenchError(f"the host failed: {type(error).__name__}: {error}"))

    async def _show_status(self, request: Request) -> Any:
        context = self._context
        return {
            "heartbeat": build_heartbeat(context),
            "host": context.record,
            "strategies": context.board.list_strategies(),
            "market_data": context.board.list_feeds(),
            "outcome": context.outcome,
            "alarms": context.alarms,
            "database_trouble": context.database_trouble,
            "trading": _describe_gate(context),
            "resources": context.resources.last,
            "log": context.errors.describe(),
            **context.facts,
        }

    async def _list_orders(self, request: Request) -> Any:
        text = request.query_params.get("open")
        if text not in (None, "true", "false"):
            raise InputError(f"open is {text!r}", expected="true or false", field="open")
        return self._context.board.list_orders(is_open=None if text is None else text == "true")

    async def _list_fills(self, request: Request) -> Any:
        return self._context.board.list_fills(_read_number(request, "limit", 1_000, _MOST_FILLS))

    async def _list_positions(self, request: Request) -> Any:
        return self._context.board.list_positions()

    async def _list_accounts(self, request: Request) -> Any:
        return self._context.board.list_accounts()

    async def _set_trading_state(self, request: Request) -> Any:
        body = await _read(request, _StateBody)
        context, gate = self._context, self._context.gate
        if body.state == TradingState.ACTIVE and context.outcome is not None:
            raise ConflictError(
                "an emergency stop holds", advice="clear it first: a trader does, with a reason"
            )
        if gate is None:
            if body.state == TradingState.ACTIVE:
                raise _build_starting()
            context.restrict("starting", body.state, body.reason)
        else:
            gate.set_trading_state(body.state, f"{_find_user(request)}: {body.reason}")
            if body.state == TradingState.ACTIVE:
                context.lift("starting", body.reason)
        # Answered when a restart would find it so; a disk that is full is told of elsewhere, and is no reason not to.
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(context.save_gate), _SAVE_SECS)
        return {"effective": context.stand.state}

    async def _stop_emergency(self, request: Request) -> Any:
        # The gate first, before a word of the request is looked at.
        self._context.shut("emergency stop")
        try:
            reason = (await _read(request, _ReasonBody)).reason
        except WorkbenchError:
            reason = ""  # Whatever was sent, it is an emergency
        user = _find_user(request)
        return await asyncio.to_thread(self._context.begin_emergency, user, reason)

    async def _clear_emergency(self, request: Request) -> Any:
        body = await _read(request, _ReasonBody)
        if not body.reason.strip():
            raise InputError("an emergency stop is cleared for a reason", field="reason")
        if self._context.outcome is None and not self._context.directory.is_latched:
            raise ConflictError("no emergency stop holds")
        self._context.end_emergency(_find_user(request), body.reason)
        return {"effective": self._context.stand.state}

    async def _stop_host(self, request: Request) -> Any:
        body = await _read(request, _StopBody)
        self._context.ask_to_stop(_find_user(request), is_flattening=body.is_flattening)
        return {"state": EngineState.STOPPING}

    async def _submit(self, request: Request) -> Any:
        values, user, desk = await _read(request, dict[str, Any]), _find_user(request), self._find_desk()
        return await self._context.call(lambda: desk.submit(values, user))

    async def _cancel(self, request: Request) -> Any:
        name, user, desk = request.path_params["id"], _find_user(request), self._find_desk()
        self._find_order(name)
        return await self._context.call(lambda: desk.cancel(name, user))

    async def _modify(self, request: Request) -> Any:
        values, name, user = (
            await _read(request, dict[str, Any]),
            request.path_params["id"],
            _find_user(request),
        )
        desk = self._find_desk()
        self._find_order(name)
        return await self._context.call(lambda: desk.modify(name, values, user))

    async def _close(self, request: Request) -> Any:
        values, name, user = (
            await _read(request, dict[str, Any]),
            request.path_params["id"],
            _find_user(request),
        )
        desk = self._find_desk()
        return await self._context.call(lambda: desk.close(name, values, user))

    async def _add_strategy(self, request: Request) -> Any:
        values, user, office = await _read(request, dict[str, Any]), _find_user(request), self._find_office()
        return await self._context.call(lambda: office.add(values, user), timeout_secs=_BUILD_SECS)

    async def _remove_strategy(self, request: Request) -> Any:
        name, user, office = request.path_params["id"], _find_user(request), self._find_office()
        return await self._context.call(lambda: office.remove(name, user))

    async def _start_strategy(self, request: Request) -> Any:
        name, user, office = request.path_params["id"], _find_user(request), self._find_office()
        return await self._context.call(lambda: office.start(name, user))

    async def _stop_strategy(self, request: Request) -> Any:
        values, user = await _read(request, dict[str, Any]), _find_user(request)
        name, office = request.path_params["id"], self._find_office()
        return await self._context.call(lambda: office.stop(name, values, user))

    async def _switch_drill(self, request: Request) -> Any:
        values, user, switch = await _read(request, dict[str, Any]), _find_user(request), self.switch_drill
        if self._context.config.environment != Environment.SANDBOX:
            raise ConflictError("there are no drills in a LIVE engine", expected="a SANDBOX")
        if switch is None:
            raise _build_starting()
        feeds = switch(values)
        self._context.tell("engine", "DrillSwitched", {"user": user, "feeds": feeds, **values})
        return {"feeds": feeds}

    def _find_desk(self) -> ManualDesk:
        if self.desk is None:
            raise _build_starting()
        return self.desk

    def _find_office(self) -> StrategyOffice:
        if self.strategies is None:
            raise _build_starting()
        return self.strategies

    def _find_order(self, name: str) -> None:
        if self._context.board.find_order(name) is None:
            raise NotFoundError(f"there is no order {name}")

    async def _stream(self, socket: WebSocket) -> None:
        text = socket.query_params.get("after")
        if text is not None and not text.isdecimal():
            await socket.close(1008, "after is no number")
            return
        await socket.accept()
        loop, wanted = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # The service ends
                loop.call_soon_threadsafe(wanted.set)

        place = await asyncio.to_thread(
            self._context.journal.subscribe, wake, after=None if text is None else int(text)
        )
        leaving = asyncio.create_task(_wait_for_end(socket, wanted))
        try:
            while not leaving.done():
                wanted.clear()
                try:
                    events = await asyncio.to_thread(place.take)
                except StoreError:  # Nothing is lost: the disk is asked again
                    await asyncio.sleep(_AGAIN_SECS)
                    continue
                if place.gap is not None:
                    await socket.send_text(msgspec.json.encode({"gap": place.gap}).decode())
                    place.gap = None
                if place.dropped:  # Market data and log lines only
                    await socket.send_text(msgspec.json.encode({"dropped": place.dropped}).decode())
                for event in events:
                    await socket.send_text(msgspec.json.encode(event).decode())
                if not events:
                    await wanted.wait()
        except (WebSocketDisconnect, RuntimeError):
            pass  # Gone in the middle of a word
        finally:
            leaving.cancel()
            place.close()


def _build_starting() -> ServerError:
    return ServerError("the engine is still starting", advice="try again in a moment")


async def _wait_for_end(socket: WebSocket, wanted: asyncio.Event) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
    wanted.set()


async def _refuse(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return build_problem_response(
        NotFoundError(f"{request.method} {request.url.path} is nothing that a host answers"), status
    )


def _answer(
    handler: Callable[[Request], Awaitable[Any]], status: int = 200
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            values = await handler(request)
        except WorkbenchError as e:
            return build_problem_response(e)
        return Response(
            msgspec.json.encode(values, enc_hook=str), status_code=status, media_type="application/json"
        )

    return answer


async def _read[T](request: Request, kind: type[T]) -> T:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BODY:
            raise InputError("the body is too large", expected=f"at most {MOST_BODY} bytes")
    try:
        return msgspec.json.decode(content or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise InputError(f"the body cannot be used: {e}") from e


def _read_number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) <= most:
        raise InputError(f"{name} is {text!r}", expected=f"a number from 1 to {most}", field=name)
    return int(text)


def _find_user(request: Request) -> str:
    return request.headers.get("x-workbench-user", "") or "unknown"


def _describe_gate(context: HostContext) -> dict[str, Any]:
    gate, stand = context.gate, context.stand
    return {
        "effective": stand.state,
        "why": stand.why,
        "requested": stand.state if gate is None else gate.requested.state,
        "restrictions": [
            {"source": source, "state": s.state, "why": s.why} for source, s in context.restrictions.items()
        ],
        "denials": {} if gate is None else dict(gate.log.denials),
    }
