"""What happens to the jobs, in order, over lost connections and new servers."""

from __future__ import annotations

import contextlib
import math
import time
from types import TracebackType
from typing import Any, Self

import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from workbench.client.sockets import open_socket, raise_if_refused
from workbench.client.transport import Transport
from workbench.errors import ServerError

__all__ = ["EventStream"]

_CLOSE_SECS = 2.0
# How long a lost server is looked for: it may be on its way up again.
_LOST_SECS = 30.0
_RETRY_SECS = 0.3


class EventStream:
    """
    The messages of the server's WebSocket, one after the other.

    A lost connection is made again, with the number of the last event: no change of state is missed or told twice.
    Each connection begins with a ``hello``.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    after : int, optional
        Begin after this sequence number; default: with a snapshot of what is unfinished.

    """

    def __init__(self, transport: Transport, *, after: int | None = None) -> None:
        self._transport = transport
        self._after = after
        self._socket: ClientConnection | None = None
        self._stack = contextlib.ExitStack()
        self._lost_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_lost(self) -> bool:
        """Return whether nobody has answered since the connection was lost, or was tried for the first time."""
        return self._lost_at is not None

    def close(self) -> None:
        """Close the connection; `take` opens a new one."""
        self._socket = None
        self._stack.close()

    def take(self, timeout_secs: float | None = None) -> dict[str, Any] | None:
        """
        Return the next message, or ``None`` if there is none for `timeout_secs`.

        Raises
        ------
        ServerError
            If the server is lost and does not come back.
        WorkbenchError
            If it refuses: an unknown token, for example.

        """
        deadline = math.inf if timeout_secs is None else time.monotonic() + timeout_secs
        while True:
            try:
                if self._socket is None:
                    self._socket = self._connect()
                rest = None if timeout_secs is None else max(deadline - time.monotonic(), 0)
                text = _receive(self._socket, rest)
            except (WebSocketException, OSError) as e:
                self.close()
                self._raise_if_over(e)
                if time.monotonic() > deadline:
                    return None
                self._transport.pause(_RETRY_SECS)
                self._transport.relocate()
                continue
            if text is None:
                return None
            self._lost_at = None
            message: dict[str, Any] = msgspec.json.decode(text)
            self._note(message)
            return message

    def _note(self, message: dict[str, Any]) -> None:
        """Remember how far the events have come, to go on from there over another connection."""
        if message["type"] in {"job", "snapshot"} or self._after is None:
            self._after = message.get("seq", self._after)

    def _raise_if_over(self, error: Exception) -> None:
        """Raise if the server has refused, or has been lost for too long."""
        raise_if_refused(error, self._transport)
        self._lost_at = self._lost_at or time.monotonic()
        if time.monotonic() - self._lost_at > _LOST_SECS:
            raise ServerError(
                f"the server at {self._transport.endpoint.url} is lost: {error}",
                advice="`workbench.connect()` starts it; its jobs are kept",
            ) from error

    def _connect(self) -> ClientConnection:
        connection = open_socket(
            self._transport,
            "jobs",
            after=self._after,
            close_timeout=_CLOSE_SECS,
        )
        return self._stack.enter_context(connection)


def _receive(socket: ClientConnection, timeout_secs: float | None) -> str | bytes | None:
    try:
        return socket.recv(timeout=timeout_secs)
    except TimeoutError:
        return None
