"""The WebSocket that a guard on another machine dials: frames in and out, and no decision."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, WebSocket
from starlette.websockets import WebSocketDisconnect

from workbench.api.context import ContextOf
from workbench.api.jobs import JobId
from workbench.errors import ForbiddenError, WorkerError
from workbench.jobs.channel import Message

__all__ = ["router"]

router = APIRouter()

_SEND_SECS = 30.0
_NORMAL_CLOSURE = 1000
_POLICY_VIOLATION = 1008


@router.websocket("/jobs/{job_id}/channel")
async def connect_guard(
    websocket: WebSocket,
    context: ContextOf,
    job_id: JobId,
    guard: Annotated[str, Query(min_length=16, max_length=100)],
) -> None:
    """Let the guard of a job report and be steered. The token is the job's own, not a user's."""
    if (links := context.links) is None:  # The jobs of this server run beside it
        await websocket.close(_POLICY_VIOLATION)  # Before it is accepted: HTTP 403
        return
    token = websocket.headers.get("authorization", "").partition(" ")[2]
    link = _Link(websocket)
    try:
        links.connect(job_id, token, guard, link)
    except ForbiddenError as e:
        await websocket.close(_POLICY_VIOLATION, e.message)
        return
    speaker = None
    try:
        await websocket.accept()
        speaker = asyncio.create_task(link.speak())
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                break
            links.receive(job_id, link, message.get("bytes") or b"")
    except WorkerError as e:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(_POLICY_VIOLATION, e.message[:100])
    except (WebSocketDisconnect, RuntimeError):  # Gone
        pass
    finally:
        links.lose(job_id, link)
        if speaker is not None:
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)


class _Link:
    """Takes messages from any thread to the WebSocket; see `workbench.jobs.links.Link`."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Message | str] = asyncio.Queue()

    def send(self, message: Message) -> None:
        self._put(message)

    def close(self, reason: str) -> None:
        self._put(reason)

    def _put(self, item: Message | str) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended: so has the line
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def speak(self) -> None:
        """Send what is to be sent until the line is closed; the one who receives notices when it breaks."""
        encoder = msgspec.msgpack.Encoder()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            while True:
                item = await self._queue.get()
                async with asyncio.timeout(_SEND_SECS):
                    if isinstance(item, str):
                        await self._websocket.close(_NORMAL_CLOSURE, item)
                        return
                    await self._websocket.send_bytes(encoder.encode(item))
