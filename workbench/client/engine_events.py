"""What happens in a live engine, in order, over lost connections, new servers and new hosts."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from workbench.client.sockets import open_socket, raise_if_refused
from workbench.client.transport import Transport
from workbench.engine_records import EngineEvent, Gap
from workbench.errors import WorkbenchError

__all__ = ["EngineListener", "EngineStream", "Item", "Link"]

_LOG = logging.getLogger(__name__)
_CLOSE_SECS = 1.0
_RETRY_SECS = 0.2
_TAKE_SECS = 0.25
# A server whose machine is gone says nothing; one that lives answers at once.
_PING_SECS = 10.0


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the engine is heard from now on.

    Attributes
    ----------
    is_server : bool
        Whether the server answers. If not, nothing is known of the engine, which trades on if it lives.
    is_host : bool
        Whether the server hears the engine's host.
    incarnation : int
        Which host; 0: unknown.
    message : str
        Why it is not heard, or nothing.
    is_final : bool
        Whether the server refuses for good: nothing more will come.

    """

    is_server: bool
    is_host: bool
    incarnation: int = 0
    message: str = ""
    is_final: bool = False


type Item = EngineEvent | Gap | Link


class EngineStream:
    """
    The events of one engine, one after the other; for one thread.

    A lost connection is made again with the number of the last event, for as long as it takes.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    place : str
        The engine's address, such as ``engine`` or ``engines/mine``.
    after : int, optional
        Begin after this number; default: with what happens from now on.

    Attributes
    ----------
    after : int, optional
        How far it has come.

    """

    def __init__(self, transport: Transport, place: str = "engine", *, after: int | None = None) -> None:
        self.after = after
        self._transport = transport
        self._place = place
        self._socket: ClientConnection | None = None
        self._stack = contextlib.ExitStack()
        self._link: Link | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; `take` opens a new one."""
        self._socket = None
        self._stack.close()

    def take(self, timeout_secs: float | None = None) -> Item | None:
        """
        Return what comes next, or ``None`` if there is nothing for `timeout_secs`.

        Raises
        ------
        WorkbenchError
            If the server refuses: an unknown engine or token, for example.
        ServerError
            If the client was closed.

        """
        deadline = math.inf if timeout_secs is None else time.monotonic() + timeout_secs
        while True:
            try:
                if self._socket is None:
                    self._socket = self._connect()
                rest = None if timeout_secs is None else max(deadline - time.monotonic(), 0)
                text = self._socket.recv(timeout=rest, decode=True)
            except TimeoutError:
                if self._socket is not None:
                    return None
                lost = self._lose("the server does not answer")
            except (WebSocketException, OSError) as e:
                lost = self._lose(f"the server is lost: {e or type(e).__name__}", e)
            else:
                item = self._read(text)
                if item is not None:
                    return item
                continue
            if lost is not None:
                return lost
            if time.monotonic() > deadline:
                return None
            self._transport.pause(_RETRY_SECS)
            self._transport.relocate()

    def _read(self, text: str) -> Item | None:
        if text.startswith('{"seq"'):
            event = msgspec.json.decode(text, type=EngineEvent)
            if self.after is not None and event.seq <= self.after:
                return None
            self.after = event.seq
            return event
        frame: dict[str, Any] = msgspec.json.decode(text)
        if "gap" in frame:
            gap = msgspec.convert(frame["gap"], Gap)
            self.after = gap.first - 1
            return gap
        told = frame.get("hello") or frame.get("host")
        if not isinstance(told, dict):
            return None
        if "hello" in frame and self.after is None:
            self.after = told["after"]
        link = Link(
            is_server=True,
            is_host=told["is_alive"],
            incarnation=told.get("incarnation", 0),
            message=told.get("message", ""),
        )
        before, self._link = self._link, link
        is_same = before is not None and before.is_server and before.is_host == link.is_host
        if is_same and before is not None and (not link.is_host or before.incarnation == link.incarnation):
            return None
        return link

    def _lose(self, message: str, error: Exception | None = None) -> Link | None:
        """Let the connection go; return what is to be said of it, unless that has been said."""
        self.close()
        raise_if_refused(error, self._transport)
        is_known = self._link is not None and not self._link.is_server
        self._link = Link(is_server=False, is_host=False, message=message)
        return None if is_known else self._link

    def _connect(self) -> ClientConnection:
        connection = open_socket(
            self._transport,
            self._place,
            after=self.after,
            compression=None,
            close_timeout=_CLOSE_SECS,
            ping_interval=_PING_SECS,
            ping_timeout=_PING_SECS,
        )
        return self._stack.enter_context(connection)


class EngineListener:
    """
    Hands what a stream gives to a callback, from a thread of its own. `Engine.listen` makes one.

    A callback that raises is logged, and called again with what comes next.

    Parameters
    ----------
    stream : EngineStream
        What is listened to; closed at the end.
    callback : Callable
        Takes an `EngineEvent`, a `Gap` or a `Link`.
    name : str
        The engine, for the thread's name.

    Attributes
    ----------
    error : WorkbenchError, optional
        Why the server refused: then nothing more comes.

    """

    def __init__(self, stream: EngineStream, callback: Callable[[Item], None], *, name: str) -> None:
        self.error: WorkbenchError | None = None
        self._stream = stream
        self._callback = callback
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"engine-{name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def after(self) -> int | None:
        """Return the number of the last event that was handed on, to go on from in another listener."""
        return self._stream.after

    def close(self, timeout_secs: float = 5.0) -> None:
        """End it; from within the callback, without waiting for it."""
        self._closing.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_secs)

    def _run(self) -> None:
        with self._stream:
            while not self._closing.is_set():
                try:
                    item = self._stream.take(_TAKE_SECS)
                except WorkbenchError as e:
                    self.error = e
                    if not self._closing.is_set():
                        self._call(Link(is_server=False, is_host=False, message=str(e), is_final=True))
                    return
                if item is not None and not self._closing.is_set():
                    self._call(item)

    def _call(self, item: Item) -> None:
        try:
            self._callback(item)
        except Exception:  # noqa: BLE001 - somebody else's code must not end the stream
            _LOG.exception("a callback of the engine's events failed")
