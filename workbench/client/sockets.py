"""WebSockets to the server: opened in one way, and refused in one way."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from workbench.client.problems import build_problem_error
from workbench.client.transport import PREFIX, Transport, is_loopback
from workbench.errors import AuthenticationError, ForbiddenError, InputError, WorkbenchError

__all__ = ["open_socket", "raise_if_refused"]

_OPEN_SECS = 10.0
# A snapshot of all unfinished jobs is the largest message.
_MAX_BYTES = 64_000_000
_CLIENT_ERRORS = range(400, 500)
# How a server that refuses closes a connection: the reason comes with it.
_REFUSALS: dict[int, type[WorkbenchError]] = {
    1008: InputError,
    4401: AuthenticationError,
    4403: ForbiddenError,
}


def open_socket(transport: Transport, place: str, *, after: int | None, **options: Any) -> ClientConnection:
    """
    Return a connection to the events at `place`.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    place : str
        Whose events, such as ``jobs`` or ``engines/mine``.
    after : int, optional
        Begin after this number.
    **options
        For `websockets.sync.client.connect`.

    """
    endpoint = transport.endpoint
    query = "" if after is None else "?" + urlencode({"after": after})
    connection: ClientConnection = connect(
        f"ws{endpoint.url.removeprefix('http')}{PREFIX}/{place}/events{query}",
        additional_headers={"Authorization": f"Bearer {endpoint.token}"},
        proxy=None if is_loopback(endpoint.url) else True,
        open_timeout=_OPEN_SECS,
        max_size=_MAX_BYTES,
        **options,
    )
    return connection


def raise_if_refused(error: Exception | None, transport: Transport) -> None:
    """
    Raise what the server said, if a connection ended because it refused, and it still is where it was.

    Raises
    ------
    WorkbenchError
        An unknown token, for example.

    """
    is_http = isinstance(error, InvalidStatus) and error.response.status_code in _CLIENT_ERRORS
    close = error.rcvd if isinstance(error, ConnectionClosed) else None
    is_close = close is not None and close.code in _REFUSALS
    # The port of a server that is gone may be another's by now, who refuses what it does not know.
    if (is_http or is_close) and transport.relocate():
        return
    if isinstance(error, InvalidStatus) and is_http:
        raise build_problem_error(error.response.status_code, bytes(error.response.body or b"")) from error
    if close is not None and is_close:
        raise _REFUSALS[close.code](close.reason or "the server refused the connection") from error
