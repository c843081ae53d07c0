"""The server's process: one for a workspace, private files, a socket of its own, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec
import uvicorn
from fastapi import FastAPI

import workbench
from workbench.api.app import API_VERSION, build_app
from workbench.api.context import Context
from workbench.api.logs import keep_log
from workbench.api.owner import ensure_owner, make_private, write_private
from workbench.backtest.kind import BacktestKind
from workbench.backtest.sweep_kind import SweepKind
from workbench.config import Settings
from workbench.errors import InputError, ServerError
from workbench.files import take_lock
from workbench.jobs import recovery
from workbench.jobs.service import JobService
from workbench.stamps import utc_now
from workbench.store.store import Store

if TYPE_CHECKING:
    from workbench.jobs.cluster import DaskLauncher

__all__ = ["ServerRecord", "run"]

_BACKLOG = 256
_LOCK_SECS = 0.5
_MAX_CONNECTIONS = 1_000
_GRACE_SECS = 5
_PING_SECS = 20.0
_IDLE_CHECK_SECS = 1.0
# A peer that takes nothing for so long is gone, whatever its machine says.
_DEAD_PEER_MS = 60_000
_MAX_INCOMING = 16 * 1024 * 1024  # As a body: the guard of a paused job tells all that it holds
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class ServerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Where the workspace's server is: what ``server.json`` holds while it listens."""

    url: str
    pid: int
    version: str
    api: int
    started_at: str


def run(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    is_plain_allowed: bool = False,
    idle_secs: float | None = None,
    slots: int | None = None,
    memory_bytes: int | None = None,
) -> None:
    """
    Serve the workspace until a signal, or until nobody needs the server.

    Parameters
    ----------
    settings : Settings
        The workspace.
    host, port : str, int
        Where to listen; port 0: any that is free.
    tls_cert, tls_key : Path, optional
        The certificate and its key, in PEM.
    is_plain_allowed : bool
        Whether to listen beyond this machine without TLS.
    idle_secs : float, optional
        End after so long without a job, a listener or a request; default: never.
    slots, memory_bytes : int, optional
        How many jobs run at a time, and what they may use together; see `JobService`.

    Raises
    ------
    InputError
        If the address may not be listened on.
    ServerError
        If the workspace has a server already, or the address is taken.
    StoreError
        If the records cannot be opened.

    """
    is_local = _is_loopback(host)
    has_tls = tls_cert is not None and tls_key is not None
    if (tls_cert is None) != (tls_key is None):
        raise InputError("TLS needs a certificate and its key", expected="both or none", field="tls_key")
    if not (is_local or has_tls or is_plain_allowed):
        raise InputError(
            f"{host} can be reached from other machines, which would send their tokens in the clear",
            expected="127.0.0.1, or TLS",
            advice="give a certificate and its key, or allow plain HTTP explicitly",
            field="host",
        )
    make_private(settings.state)
    with (
        _catch_signals(_give_up),
        _hold_lock(settings.state / "server.lock"),
        keep_log(settings.state / "server.log"),
        contextlib.ExitStack() as stack,
    ):
        listener = stack.enter_context(_bind(host, port))
        store = Store.open(settings.database)
        stack.callback(store.close)
        ensure_owner(store, settings.state / "token")
        url = _build_url(listener, host, "https" if has_tls else "http")
        launcher = _join_cluster(settings, url)
        if launcher is not None:
            stack.callback(launcher.close)
            recovery.salvage(store, settings.runs, launcher.fetch)
            memory_bytes = memory_bytes or launcher.memory_bytes or None
        kinds = [BacktestKind()]
        service = JobService(
            store,
            settings.runs,
            kinds,
            slots=slots,
            memory_bytes=memory_bytes,
            launcher=launcher,
            owner=str(settings.workspace),
        )
        service.add_kind(SweepKind(service, settings.runs))
        service.start()
        stack.callback(service.stop)
        app = build_app(
            service,
            store,
            settings,
            hosts=_find_hosts(host, is_local=is_local),
            is_multi_user=not is_local,
            links=None if launcher is None else launcher.links,
        )
        config = _configure(app, tls_cert, tls_key)
        _Server(config, app, settings.state / "server.json", url, idle_secs).run_on(listener)


def _join_cluster(settings: Settings, url: str) -> DaskLauncher | None:
    """Return what runs the jobs on the cluster that the settings name, or ``None``: they run here."""
    if settings.cluster is None:
        return None
    if settings.results is None:
        raise InputError(
            f"the cluster {settings.cluster} has no place for results",
            expected="WORKBENCH_RESULTS, for example s3://bucket/runs",
            field="results",
        )
    try:
        from workbench.jobs.cluster import DaskLauncher  # Heavy, and of the extra `dask`
    except ImportError as e:
        raise ServerError(
            f"the cluster {settings.cluster} cannot be used: {e}",
            advice="install the extra: pip install 'nautilus-workbench[dask]'",
        ) from e
    return DaskLauncher(settings.cluster, server_url=settings.url or url, results=settings.results)


def _configure(app: FastAPI, tls_cert: Path | None = None, tls_key: Path | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=_MAX_INCOMING,
        ws_ping_interval=_PING_SECS,
        ws_ping_timeout=_PING_SECS,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_SECS,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )


class _Server(uvicorn.Server):
    """Says where it is once it listens, and ends when it is not needed."""

    def __init__(
        self, config: uvicorn.Config, app: FastAPI, record: Path, url: str, idle_secs: float | None
    ) -> None:
        super().__init__(config)
        self._context: Context = app.state.context
        self._record = record
        self._url = url
        self._idle_secs = idle_secs

    def run_on(self, listener: socket.socket) -> None:
        # uvicorn listens to signals itself, and raises them again when it has ended.
        with _catch_signals(self._end):
            try:
                self.run(sockets=[listener])
            finally:
                self._record.unlink(missing_ok=True)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        record = ServerRecord(
            url=self._url,
            pid=os.getpid(),
            version=workbench.__version__,
            api=API_VERSION,
            started_at=utc_now(),
        )
        write_private(self._record, msgspec.json.encode(record) + b"\n")

    async def main_loop(self) -> None:
        watch = asyncio.create_task(self._watch_idleness())
        try:
            await super().main_loop()
        finally:
            watch.cancel()
            # While the server listens: guards elsewhere say over their lines how it ended.
            await asyncio.to_thread(self._context.service.stop)

    async def _watch_idleness(self) -> None:
        while self._idle_secs is not None and not self.should_exit:
            await asyncio.sleep(min(_IDLE_CHECK_SECS, self._idle_secs))
            is_quiet = self._context.activity.quiet_secs >= self._idle_secs
            self.should_exit |= is_quiet and self._context.service.is_idle


def _give_up(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _catch_signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextlib.contextmanager
def _hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock of the workspace's server for the server's life."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Somebody who only asks whether there is a server holds it for a moment.
        if not take_lock(descriptor, time.monotonic() + _LOCK_SECS):
            raise ServerError(
                f"the workspace {path.parent.parent} has a server already",
                advice="use it, or end it first: `workbench serve --stop`",
            )
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _bind(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as e:
        raise ServerError(f"{host} is no address to listen on: {e.strerror}") from e
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Handed down to the connections
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_PEER_MS)
        try:
            listener.bind(address)
        except (OSError, OverflowError) as e:
            raise ServerError(
                f"{host}:{port} cannot be listened on: {e}", advice="choose another port, or 0 for any"
            ) from e
        yield listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _find_hosts(host: str, *, is_local: bool) -> frozenset[str]:
    """Return the names under which the server answers; none: beyond this machine it may have any."""
    return _LOCAL_NAMES | {host.lower()} if is_local else frozenset()


def _build_url(listener: socket.socket, host: str, scheme: str) -> str:
    port = listener.getsockname()[1]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - every address, so also the local one
        host = "127.0.0.1" if listener.family == socket.AF_INET else "::1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
