"""The WebSocket of the jobs: every change of state in order, from any number that is kept."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, WebSocket

from workbench.api.auth import find_user, require
from workbench.api.context import Context, ContextOf
from workbench.api.listeners import TRY_AGAIN_LATER, UNAUTHENTICATED, close, send_text, wait_for_end
from workbench.errors import AuthenticationError, WorkbenchError
from workbench.jobs.feed import Subscription
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = ["router"]

router = APIRouter()

_SEND_SECS = 30.0
_CHECK_SECS = 30.0
_MAX_SEQ = 2**63 - 1

_Viewer = Annotated[UserRecord, require(Permission.VIEW)]


@router.websocket("/jobs/events")
async def stream_events(
    websocket: WebSocket,
    context: ContextOf,
    user: _Viewer,
    after: Annotated[int | None, Query(ge=0, le=_MAX_SEQ)] = None,
) -> None:
    """
    Send the changes of state of all jobs, one JSON object a frame, and the progress of those at work.

    With `after`, everything that came after that number; without, what is there now. A client that reads
    slowly is sent the latest progress alone; one that does not read at all is dropped. It sends nothing.
    """
    await websocket.accept()
    context.activity.listeners += 1
    try:
        await _serve(websocket, context, after)
    finally:
        context.activity.listeners -= 1
        context.activity.touch()


async def _serve(websocket: WebSocket, context: Context, after: int | None) -> None:
    bell = _Bell()
    try:
        subscription = await context.read(context.service.feed.subscribe, bell.ring, after=after)
    except WorkbenchError as e:
        await close(websocket, TRY_AGAIN_LATER, e.message)
        return
    tasks = [
        asyncio.create_task(wait_for_end(websocket)),
        asyncio.create_task(_send_all(websocket, context, subscription, bell)),
    ]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        subscription.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


async def _send_all(websocket: WebSocket, context: Context, subscription: Subscription, bell: _Bell) -> None:
    clock = asyncio.get_running_loop().time
    checked = clock()
    while True:
        try:
            messages = await context.read(subscription.take)
            if clock() - checked > _CHECK_SECS:  # The token may have been revoked meanwhile
                await context.read(find_user, websocket.headers, context.store)
                checked = clock()
        except AuthenticationError as e:
            await close(websocket, UNAUTHENTICATED, e.message)
            return
        except WorkbenchError as e:  # The store is away
            await close(websocket, TRY_AGAIN_LATER, e.message)
            return
        for message in messages:
            if not await send_text(websocket, msgspec.json.encode(message).decode(), _SEND_SECS):
                return
        await bell.wait(_CHECK_SECS)


class _Bell:
    """Wakes a task of this loop from any thread, once for any number of rings."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._is_rung = False

    def ring(self) -> None:
        """Wake who waits; does not block."""
        if not self._is_rung:
            self._is_rung = True
            with contextlib.suppress(RuntimeError):  # The loop has ended: nobody waits any more
                self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, timeout_secs: float) -> None:
        """Wait for a ring, or until the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                await self._event.wait()
        # A ring from here on finds its news taken by who waited, or rings again.
        self._is_rung = False
        self._event.clear()
