"""Find the server, or start it."""

from __future__ import annotations

import contextlib

from workbench.client.client import Client
from workbench.client.local_server import LocalServer, check_version, load_token
from workbench.client.page import wait_for_page
from workbench.client.transport import Endpoint, Transport
from workbench.config import Settings, load_settings
from workbench.errors import WorkbenchError

__all__ = ["connect", "stop_server"]


def connect(*, settings: Settings | None = None, start: bool = True, timeout_secs: float = 30.0) -> Client:
    """
    Return a client of the server that the settings name, or else of the workspace's own.

    The workspace's own server is started where it does not run. It outlives this process, and ends when nobody
    has used it for half an hour.

    In a kernel that the app started ahead it waits for the page, whose person's token it uses.

    Parameters
    ----------
    settings : Settings, optional
        Default: those of this process.
    start : bool
        Whether to start the workspace's server.
    timeout_secs : float
        How long its start may take.

    Raises
    ------
    ServerError
        If there is no server, it cannot be started, or it is of another version.
    AuthenticationError
        If there is no token for it.

    Examples
    --------
    >>> client = workbench.connect()  # doctest: +SKIP
    >>> job = client.submit_backtest(config)  # doctest: +SKIP
    >>> job.wait().metrics["headline"]["sharpe"]  # doctest: +SKIP

    """
    settings = settings or load_settings()
    wait_for_page(settings)
    if settings.server is not None:
        return _connect_to(settings.server, settings)
    server = LocalServer(settings)
    endpoint = server.find(timeout_secs)
    if endpoint is None:
        endpoint = server.start(timeout_secs) if start else server.wait(timeout_secs)

    def locate() -> Endpoint | None:
        with contextlib.suppress(WorkbenchError):
            return server.find()
        return None

    return Client(Transport(endpoint, locate=locate), settings=settings, is_local=True)


def stop_server(settings: Settings | None = None, *, timeout_secs: float = 60.0) -> bool:
    """
    End the workspace's server and return whether one ran. What runs is kept as interrupted.

    Parameters
    ----------
    settings : Settings, optional
        Default: those of this process.
    timeout_secs : float
        How long it may take to put things away before it is killed.

    Raises
    ------
    ServerError
        If it cannot be ended.

    """
    return LocalServer(settings or load_settings()).stop(timeout_secs)


def _connect_to(url: str, settings: Settings) -> Client:
    transport = Transport(Endpoint(url, load_token(settings.token_file)))
    try:
        check_version(transport.fetch_json("GET", "health"), url)
    except WorkbenchError:
        transport.close()
        raise
    return Client(transport, settings=settings)
