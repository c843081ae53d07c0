"""Who asks, and whether they may: bearer tokens and the permission that every route declares."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread
from fastapi import Depends, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.api.problems import build_response
from workbench.errors import AuthenticationError, ForbiddenError, StoreError
from workbench.records import UserRecord
from workbench.roles import Permission, is_allowed
from workbench.stamps import utc_now
from workbench.store.store import Store

__all__ = [
    "Authentication",
    "find_user",
    "hash_token",
    "list_permissions",
    "make_token",
    "require",
]

_PREFIX = "wb_"
_MAX_LENGTH = 200
_ADVICE = "send the header `Authorization: Bearer <token>`"
# Looking up tokens must not wait behind long work in the threads of the routes.
_LOOKUPS = 8

_Check = Callable[[HTTPConnection], Coroutine[Any, Any, UserRecord]]


def make_token() -> str:
    """Return a new token: 256 random bits, with a prefix by which it is recognised where it does not belong."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token (hex): all that is stored of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def find_user(headers: Headers, store: Store) -> UserRecord:
    """
    Return the user whose token is in `headers`.

    The token is found by its hash, so that the time of the search tells nothing about it.

    Raises
    ------
    AuthenticationError
        If there is no token, or none that is good.

    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AuthenticationError("the request carries no token", advice=_ADVICE)
    user = None
    if len(token) <= _MAX_LENGTH:
        user = store.find_user_by_token(hash_token(token.strip()), utc_now())
    if user is None:
        raise AuthenticationError(
            "the token is unknown, expired or revoked",
            advice="ask for a new one: `workbench user token`",
        )
    return user


def require(permission: Permission) -> Any:
    """Return the dependency of a route that asks for `permission`; it gives the user."""
    return Depends(_CHECKS[permission])


def list_permissions(app: FastAPI) -> dict[tuple[str, str], frozenset[Permission]]:
    """Return what each route of `app` asks for, by method (``WS`` for a WebSocket) and path."""
    names = {check: permission for permission, check in _CHECKS.items()}
    table = {}
    for route in iter_route_contexts(app.routes):
        calls = {d.call for d in route.dependant.dependencies}
        asked = frozenset(names[c] for c in calls if c in names)
        for method in route.methods or {"WS"}:
            table[method, str(route.path)] = asked
    return table


class Authentication:
    """
    Turns away who has no good token, before anything of a request is read.

    A WebSocket is let in to its route, which tells the reason by its close code.

    Parameters
    ----------
    app : ASGIApp
        The application behind.
    store : Store
        Where users and tokens are.
    open_paths : frozenset[str]
        What needs no token.

    """

    def __init__(self, app: ASGIApp, store: Store, open_paths: frozenset[str]) -> None:
        self._app = app
        self._store = store
        self._open_paths = open_paths
        self._limiter = anyio.CapacityLimiter(_LOOKUPS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or WebSocket."""
        if scope["type"] in ("http", "websocket") and scope["path"] not in self._open_paths:
            try:
                scope["user"] = await anyio.to_thread.run_sync(
                    find_user, Headers(scope=scope), self._store, limiter=self._limiter
                )
            except (AuthenticationError, StoreError) as e:
                if scope["type"] == "http":
                    await build_response(e)(scope, receive, send)
                    return
                scope["refusal"] = e
        await self._app(scope, receive, send)


def _build_check(permission: Permission) -> _Check:
    async def check(connection: HTTPConnection) -> UserRecord:
        refusal = connection.scope.get("refusal")
        if refusal is not None:
            raise refusal
        user: UserRecord = connection.scope["user"]
        if not is_allowed(user.role, permission):
            raise ForbiddenError(
                f"the {user.role} {user.name!r} may not {permission}",
                advice="ask an admin of the server",
            )
        return user

    return check


_CHECKS: dict[Permission, _Check] = {p: _build_check(p) for p in Permission}
