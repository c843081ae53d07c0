"""The service thread of a host: a unix socket, and a loop of its own that no strategy can block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from workbench.errors import ServerError
from workbench.live.context import HostContext
from workbench.live.heartbeat import watch
from workbench.live.routes import MOST_BODY, Routes

__all__ = ["Service"]

_GRACE_SECS = 1
_START_SECS = 10.0


class Service:
    """
    Answers for a host from its first second to its last.

    Parameters
    ----------
    context : HostContext
        The host.
    start_guardian : Callable[[], object], optional
        Starts a guardian where there is none.

    Attributes
    ----------
    routes : Routes
        What it answers.

    """

    def __init__(self, context: HostContext, start_guardian: Callable[[], object] | None = None) -> None:
        self._context = context
        self._start_guardian = start_guardian
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="service", daemon=True)
        self._server: uvicorn.Server | None = None
        self.routes = Routes(context)

    def start(self) -> None:
        """
        Listen; return when it does.

        Raises
        ------
        ServerError
            If the socket cannot be made.

        """
        self._thread.start()
        if not self._ready.wait(_START_SECS) or self._error is not None:
            raise ServerError(f"the host's socket cannot be listened on: {self._error or 'no answer'}")

    def stop(self) -> None:
        """Stop listening, and wait for the thread to end."""
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(_GRACE_SECS + 2.0)

    def _run(self) -> None:
        try:
            # Not uvloop, which nautilus makes the default: this loop must not share anything with the other one.
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve())
        except BaseException as e:  # noqa: BLE001 - the main thread is told, and goes on trading
            self._error = e
            self._context.tell("alarm", "ServiceFailed", {"error": f"{type(e).__name__}: {e}"})
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        path = Path(self._context.record.socket)
        with _bind(path) as listener:
            config = uvicorn.Config(
                self.routes.build_app(),
                loop="asyncio",
                http="h11",
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=MOST_BODY,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_GRACE_SECS,
            )
            self._server = _Server(config, self._ready)
            watching = asyncio.create_task(watch(self._context, self._start_guardian))
            try:
                await self._server.serve(sockets=[listener])
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


@contextlib.contextmanager
def _bind(path: Path) -> Iterator[socket.socket]:
    # Nobody listens there: the host's lock is ours.
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
