"""The outermost layer: whom the server listens to, how much, and that it notes that somebody was there."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.api.context import Activity
from workbench.api.problems import build_response
from workbench.errors import ForbiddenError

__all__ = ["Edge"]

_MAX_BODY_BYTES = 16 * 1024 * 1024


class Edge:
    """
    Refuses foreign hosts and origins and bodies that are too large.

    A web page that a browser was lured to can send requests to this server under a name of its own (DNS
    rebinding), or from its own origin. No browser has business here: programs send no ``Origin``.

    Parameters
    ----------
    app : ASGIApp
        The application behind.
    activity : Activity
        Where the use of the server is noted.
    hosts : frozenset[str]
        The names under which the server is known; empty: any.

    """

    def __init__(self, app: ASGIApp, activity: Activity, hosts: frozenset[str]) -> None:
        self._app = app
        self._activity = activity
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        error = self._find_stranger(headers) or _find_excess(headers)
        if error is not None:
            await _refuse(error, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            self._activity.requests += 1
            try:
                await self._app(scope, _limit(receive), send)
            finally:
                self._activity.requests -= 1
                self._activity.touch()

    def _find_stranger(self, headers: Headers) -> Exception | None:
        host = headers.get("host", "")
        if self._hosts and _read_name(f"//{host}") not in self._hosts:
            return ForbiddenError(
                "the request is for another host", expected=" or ".join(sorted(self._hosts))
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != host.lower():
            return ForbiddenError("the request comes from a page of another origin")
        return None


def _read_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # Brackets that hold no address
        return None


def _find_excess(headers: Headers) -> Exception | None:
    length = headers.get("content-length", "")
    return _build_excess() if length.isdigit() and int(length) > _MAX_BODY_BYTES else None


def _build_excess() -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {_MAX_BODY_BYTES} bytes"
    )


def _limit(receive: Receive) -> Receive:
    """Count the bytes of a body that did not say its length."""
    count = 0

    async def counted() -> Message:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > _MAX_BODY_BYTES:
            raise _build_excess()
        return message

    return counted


async def _refuse(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await build_response(error)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
