"""The WebSocket of an engine's events: from its host while that lives, else from its journal, each number once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, WebSocket

from workbench.api.auth import find_user, require
from workbench.api.context import Context, ContextOf
from workbench.api.engine_desk import NameOf
from workbench.api.engine_hub import EngineHub, HostState
from workbench.api.engine_journal import MAX_SEQ, EngineJournal
from workbench.api.engine_line import find_host
from workbench.api.listeners import (
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    UNAUTHENTICATED,
    close,
    send_text,
    wait_for_end,
)
from workbench.engine_records import HostRecord
from workbench.errors import AuthenticationError, NotFoundError, WorkbenchError
from workbench.live.engine_directory import EngineDirectory
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["router"]

router = APIRouter()

_SEND_SECS = 30.0
_CHECK_SECS = 30.0
_PAGE = 1_000

_Viewer = Annotated[UserRecord, require(Permission.VIEW)]


class _GoneError(Exception):
    """The client takes nothing any more."""


@router.websocket("/events")
async def stream_events(
    websocket: WebSocket,
    context: ContextOf,
    user: _Viewer,
    name: NameOf,
    after: Annotated[int | None, Query(ge=0, le=MAX_SEQ)] = None,
) -> None:
    """
    Send the events of an engine, one JSON object a frame.

    With `after`, everything that came after that number; without, what happens from now on. Frames without a ``seq``
    are ``hello`` (the first), ``host`` (it was found, or lost) and ``gap`` (what was asked for is no longer kept).
    """
    await websocket.accept()
    context.activity.listeners += 1
    try:
        directory = await context.engines.work(context.engines.find, name)
        await _serve(websocket, _Stream(websocket, context, directory, after))
    except WorkbenchError as e:
        await close(websocket, _find_code(e), e.message[:100])
    finally:
        context.activity.listeners -= 1
        context.activity.touch()


async def _serve(websocket: WebSocket, stream: _Stream) -> None:
    parts = (wait_for_end(websocket), stream.run(), stream.watch_token())
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        stream.close()
    for task in ended:
        with contextlib.suppress(_GoneError):
            task.result()


class _Stream:
    """What one listener is sent, and how far it has come."""

    def __init__(
        self, websocket: WebSocket, context: Context, directory: EngineDirectory, after: int | None
    ) -> None:
        self._websocket = websocket
        self._context = context
        self._directory = directory
        self._journal = EngineJournal(directory)
        self._begin = after
        self._after = 0

    def close(self) -> None:
        self._journal.close()

    async def run(self) -> None:
        """Send until the client goes; the engine may come and go meanwhile."""
        first, last, host = await self._work(self._look)
        self._after = last if self._begin is None else self._begin
        hello = {
            "engine": self._directory.name,
            "after": self._after,
            "first_seq": first,
            "last_seq": last,
        }
        incarnation = 0 if host is None else host.incarnation
        await self._tell("hello", {**hello, "is_alive": host is not None, "incarnation": incarnation})
        async with self._context.engines.listen(self._directory) as hub:
            await self._send_kept()
            await self._follow(hub)

    async def _follow(self, hub: EngineHub) -> None:
        """Send what the hub hears, and from the journal what it no longer has."""
        told: HostState | None = None
        while True:
            moved, first, state = hub.moved, hub.first, hub.state
            if state is not None and state != told and self._after >= hub.state_at:
                told = state
                message = {} if state.is_alive else {"message": state.message}
                body = {"is_alive": state.is_alive, "incarnation": state.incarnation, **message}
                await self._tell("host", body)
                continue
            texts = hub.take(self._after)
            if texts is None:
                await self._send_kept(until=first - 1)
                self._after = max(self._after, first - 1)
                continue
            if state != told:
                texts = texts[: hub.state_at - self._after]
            for text in texts:
                await self._send(text)
                self._after += 1
            if texts:
                await asyncio.sleep(0)  # A client that takes all at once must not keep the others waiting
                continue
            if self._after > hub.last:  # The journal was read farther than the hub has come, or is another
                await self._send_kept()
            await hub.wait(moved)

    async def watch_token(self) -> None:
        """See now and then whether the token is still good."""
        while True:
            await asyncio.sleep(_CHECK_SECS)
            await self._context.read(find_user, self._websocket.headers, self._context.store)

    async def _send_kept(self, until: int = MAX_SEQ) -> None:
        """Send what is on disk after the last number that was sent."""
        while self._after < until:
            page = await self._work(self._journal.read, self._after, _PAGE, until)
            if page is None:
                return
            if page.gap is not None:
                self._after = page.gap.first - 1
                await self._tell("gap", msgspec.to_builtins(page.gap))
            for event in page.events:
                await self._send(msgspec.json.encode(event).decode())
                self._after = event.seq
            if len(page.events) < _PAGE:
                return

    def _look(self) -> tuple[int, int, HostRecord | None]:
        page = self._journal.read(0, 1)
        first, last = (1, 0) if page is None else (page.first_seq, page.last_seq)
        return first, last, find_host(self._directory)

    async def _tell(self, kind: str, body: dict[str, Any]) -> None:
        await self._send(msgspec.json.encode({kind: body}).decode())

    async def _send(self, text: str) -> None:
        if not await send_text(self._websocket, text, _SEND_SECS):
            raise _GoneError

    async def _work[T](self, function: Callable[..., T], *args: Any) -> T:
        return await self._context.engines.work(function, *args)


def _find_code(error: WorkbenchError) -> int:
    if isinstance(error, AuthenticationError):
        return UNAUTHENTICATED
    return POLICY_VIOLATION if isinstance(error, NotFoundError) else TRY_AGAIN_LATER
