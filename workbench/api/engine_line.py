"""The way to a live engine: its host answers on a unix socket, with a deadline on every call."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, unix_connect

from workbench.client.problems import build_problem_error
from workbench.engine_records import HostRecord
from workbench.errors import ConflictError, ServerError
from workbench.live.engine_directory import EngineDirectory

__all__ = ["USER_HEADER", "ask_host", "find_host", "listen_to_host"]

USER_HEADER = "X-Workbench-User"
_CONNECT_SECS = 2.0
# A host that says nothing for so long has lost its service thread, whatever its process does.
_PING_SECS = 5.0
_MAX_BYTES = 64_000_000
# Nobody asks for certificates on a unix socket, and to load them takes long.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

type _Params = Mapping[str, str | int | bool]
# By socket: which host it is of, and what asks it.
type _Clients = dict[str, tuple[int, httpx.AsyncClient]]

_KEPT: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[_Clients, AsyncGenerator[None]]] = (
    WeakKeyDictionary()
)


def find_host(directory: EngineDirectory) -> HostRecord | None:
    """Return the host that lives, or ``None``; reads files."""
    return directory.load_host() if directory.is_held("host") else None


async def ask_host[T](
    directory: EngineDirectory,
    method: str,
    path: str,
    kind: type[T],
    *,
    user: str,
    params: _Params | None = None,
    body: Any = None,
    timeout_secs: float = 5.0,
) -> T:
    """
    Ask the host of an engine, and return its answer.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    method, path : str
        What to ask, such as ``GET`` and ``/orders``.
    kind : type
        What the answer is decoded as.
    user : str
        Who asks: the host writes it down.
    params, body
        The query, and what is sent as JSON.
    timeout_secs : float
        How long the whole call may take.

    Raises
    ------
    ConflictError
        If no host lives.
    ServerError
        If it does not answer in time, or not what was agreed.
    WorkbenchError
        What the host itself says is wrong.

    """
    host = await asyncio.to_thread(find_host, directory)
    if host is None:
        raise ConflictError(
            f"the engine {directory.name} is not running",
            advice=f"start it: `workbench engine start --engine {directory.name}`",
        )
    request: dict[str, Any] = {
        "method": method,
        "url": f"http://engine{path}",
        "params": params,
        "content": None if body is None else msgspec.json.encode(body),
        "headers": {USER_HEADER: user, "Content-Type": "application/json"},
    }
    try:
        async with asyncio.timeout(timeout_secs):
            response = await (_read(host, request) if method == "GET" else _act(host, request))
    except TimeoutError as e:
        raise _lost(directory, f"does not answer {path} within {timeout_secs:g} s") from e
    except (httpx.HTTPError, OSError) as e:
        raise _lost(directory, f"cannot be reached: {e or type(e).__name__}") from e
    if not response.is_success:
        raise build_problem_error(response.status_code, response.content)
    try:
        return msgspec.json.decode(response.content or b"null", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise _lost(directory, f"answers {path} with what was not agreed: {e}") from e


@contextlib.asynccontextmanager
async def listen_to_host(host: HostRecord, after: int) -> AsyncIterator[ClientConnection]:
    """
    Open the stream of the host's events after a number.

    Raises
    ------
    OSError, TimeoutError, websockets.WebSocketException
        If it cannot be opened.

    """
    async with unix_connect(
        host.socket,
        uri=f"ws://engine/events?after={after}",
        compression=None,
        open_timeout=_CONNECT_SECS,
        close_timeout=_CONNECT_SECS,
        ping_interval=_PING_SECS,
        ping_timeout=_PING_SECS,
        max_size=_MAX_BYTES,
    ) as connection:
        yield connection


async def _act(host: HostRecord, request: dict[str, Any]) -> httpx.Response:
    """Ask on a connection of its own: nobody can tell whether what was lost on an old one was done."""
    async with _build_client(host) as http:
        return await http.request(**request)


async def _read(host: HostRecord, request: dict[str, Any]) -> httpx.Response:
    """Ask on a connection that is kept; one that the host has closed meanwhile is opened again."""
    try:
        return await (await _find_client(host)).request(**request)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return await _act(host, request)


async def _keep_clients(clients: _Clients) -> AsyncGenerator[None]:
    """Keep connections until the loop ends: it closes the generators that were begun in it."""
    try:
        yield
    finally:
        for _, client in clients.values():
            await client.aclose()
        clients.clear()


async def _find_client(host: HostRecord) -> httpx.AsyncClient:
    loop = asyncio.get_running_loop()
    if loop not in _KEPT:
        clients: _Clients = {}
        _KEPT[loop] = clients, _keep_clients(clients)
        await anext(_KEPT[loop][1])
    clients = _KEPT[loop][0]
    known = clients.get(host.socket)
    if known is not None and known[0] == host.incarnation:
        return known[1]
    client = _build_client(host)
    clients[host.socket] = host.incarnation, client
    if known is not None:
        await known[1].aclose()
    return client


def _build_client(host: HostRecord) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=host.socket, verify=_NO_TLS, trust_env=False)
    # The deadline is that of the whole call.
    return httpx.AsyncClient(transport=transport, timeout=None, trust_env=False)  # noqa: S113


def _lost(directory: EngineDirectory, what: str) -> ServerError:
    return ServerError(
        f"the engine {directory.name} {what}",
        advice="its heartbeat is in its status; an emergency stop works all the same",
    )
