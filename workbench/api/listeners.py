"""What every WebSocket that only tells has in common: who does not take what is sent, or talks, is shown the door."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

__all__ = ["POLICY_VIOLATION", "TRY_AGAIN_LATER", "UNAUTHENTICATED", "close", "send_text", "wait_for_end"]

POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
UNAUTHENTICATED = 4401


async def send_text(websocket: WebSocket, text: str, timeout_secs: float) -> bool:
    """Send a frame; return whether the client took it."""
    try:
        async with asyncio.timeout(timeout_secs):
            await websocket.send_text(text)
    except TimeoutError:
        return False
    except (WebSocketDisconnect, RuntimeError):  # Gone, or the connection is being closed
        return False
    return True


async def wait_for_end(websocket: WebSocket) -> None:
    """Return when the client goes; one that talks is shown the door."""
    message = await websocket.receive()
    if message["type"] != "websocket.disconnect":
        await close(websocket, POLICY_VIOLATION, "a listener has nothing to say here")


async def close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close the connection, if it is open."""
    if websocket.application_state == WebSocketState.CONNECTED:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(code, reason)
