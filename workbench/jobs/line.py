"""A guard's end of its line to the server: the latest of each sort of message out, steering in."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlencode

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from workbench.client.transport import is_loopback
from workbench.errors import ForbiddenError, ServerError
from workbench.jobs.channel import Cancel, Finished, Heard, Inspected, Interrupt, Message, Pause, Resume, Tick
from workbench.jobs.switch import Switch

__all__ = ["Line"]

_OPEN_SECS = 5.0
_CLOSE_SECS = 1.0
_RETRY_SECS = (0.1, 0.3, 1.0, 2.0)
_REFUSALS = frozenset({401, 403, 404})
_MAX_BYTES = 65_536  # Steering is small


class Line:
    """
    Holds a line to the server, and dials again when it is lost.

    Whatever cuts it for good, the task is interrupted: the server refuses it, has ended the job, or stays
    lost for `deadline_secs`. What is said while there is no line is said when there is one again, the latest of
    each sort alone.

    Parameters
    ----------
    url : str
        The server's channel of this job, ``http://`` or ``https://``.
    token : str
        The token for it.
    guard : str
        What tells this guard from any other.
    switch : Switch
        Steered by the server.
    deadline_secs : float
        How long the server may be lost.

    """

    def __init__(self, url: str, token: str, guard: str, switch: Switch, *, deadline_secs: float) -> None:
        self._url = f"ws{url.removeprefix('http')}?{urlencode({'guard': guard})}"
        self._proxy: Literal[True] | None = None if is_loopback(url) else True
        self._headers = {"Authorization": f"Bearer {token}"}
        self._switch = switch
        self._deadline_secs = deadline_secs
        self._changed = threading.Condition()
        self._socket: ClientConnection | None = None
        self._latest: dict[type, Message] = {}
        self._unsent: set[type] = set()
        self._was_open = False
        self._is_over = threading.Event()
        self._end: Exception | None = None
        self._threads = [
            threading.Thread(target=t, name=f"line-{t.__name__}", daemon=True)
            for t in (self._keep, self._speak)
        ]
        self._decoder = msgspec.msgpack.Decoder(Message)

    def __enter__(self) -> Self:
        """
        Dial; afterwards the line is up, or refused.

        Raises
        ------
        ServerError
            If it cannot be reached within the deadline.

        """
        for thread in self._threads:
            thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._was_open or self._is_over.is_set())
        if not self._was_open and isinstance(self._end, ServerError):
            raise self._end
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self._cut(None)
        if (socket := self._socket) is not None:
            with suppress(OSError, WebSocketException):
                socket.close()
        for thread in self._threads:
            thread.join(_OPEN_SECS + _CLOSE_SECS)

    @property
    def is_refused(self) -> bool:
        """Return whether the server wants nothing from this guard any more."""
        return isinstance(self._end, ForbiddenError)

    def say(self, message: Heard | Tick | Inspected | Finished) -> None:
        """Say something; does not wait until it is heard."""
        with self._changed:
            self._latest[type(message)] = message
            self._unsent.add(type(message))
            self._changed.notify_all()

    def finish(self, message: Finished) -> None:
        """Say how the task ended, and wait until the server has heard it or is lost for good."""
        self.say(message)
        self._is_over.wait()

    def wait(self, secs: float) -> None:
        """Wait so long, or until the line is cut for good."""
        self._is_over.wait(secs)

    def _keep(self) -> None:
        """Dial, listen, and dial again."""
        lost_at, delays = time.monotonic(), iter(_RETRY_SECS)
        while not self._is_over.is_set():
            rest = lost_at + self._deadline_secs - time.monotonic()
            try:
                with self._dial(max(min(rest, _OPEN_SECS), 0.1)) as socket:
                    self._attach(socket)
                    try:
                        self._listen(socket)
                    finally:
                        lost_at, delays = time.monotonic(), iter(_RETRY_SECS)
            except ForbiddenError as e:
                self._cut(e)
            except Exception as e:  # noqa: BLE001 - whatever broke it: the deadline holds
                self._detach()
                rest = lost_at + self._deadline_secs - time.monotonic()
                if rest <= 0:
                    url = self._url.partition("?")[0]
                    self._cut(ServerError(f"{url} was lost for {self._deadline_secs:g} s: {e}"))
                self._is_over.wait(max(min(next(delays, _RETRY_SECS[-1]), rest), 0.01))

    def _dial(self, timeout_secs: float) -> ClientConnection:
        try:
            return connect(
                self._url,
                additional_headers=self._headers,
                proxy=self._proxy,
                open_timeout=timeout_secs,
                close_timeout=_CLOSE_SECS,
                compression=None,
                max_size=_MAX_BYTES,
            )
        except InvalidStatus as e:
            if e.response.status_code in _REFUSALS:
                raise ForbiddenError(f"the server wants no guard here: HTTP {e.response.status_code}") from e
            raise

    def _listen(self, socket: ClientConnection) -> None:
        try:
            while True:
                frame = socket.recv()
                self._steer(self._decoder.decode(frame if isinstance(frame, bytes) else frame.encode()))
        except ConnectionClosed as e:
            if e.rcvd is not None and e.rcvd.code == CloseCode.NORMAL_CLOSURE:
                # The job has ended, by this guard's word or without it
                raise ForbiddenError(e.rcvd.reason) from e
            raise

    def _steer(self, message: Message) -> None:
        if isinstance(message, Pause | Resume):
            self.say(Heard())
        if isinstance(message, Pause):
            self._switch.pause()
        elif isinstance(message, Resume):
            with self._changed:  # What it held is no news any more
                self._latest.pop(Inspected, None)
                self._unsent.discard(Inspected)
            self._switch.resume()
        elif isinstance(message, Cancel):
            self._switch.cancel()
        elif isinstance(message, Interrupt):
            self._switch.interrupt()

    def _speak(self) -> None:
        encoder = msgspec.msgpack.Encoder()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._is_over.is_set() or (self._socket is not None and self._unsent)
                )
                if self._is_over.is_set() or self._socket is None:
                    return
                socket = self._socket
                # What is held comes before the news that it is held, and the end comes last.
                due = [self._latest[k] for k in (Heard, Inspected, Tick, Finished) if k in self._unsent]
                self._unsent.clear()
            try:
                for message in due:
                    socket.send(encoder.encode(message))
            except (OSError, WebSocketException):
                self._detach()  # The other thread notices too, and dials again
                with suppress(OSError, WebSocketException):
                    socket.close()

    def _attach(self, socket: ClientConnection) -> None:
        with self._changed:
            self._socket, self._was_open = socket, True
            self._unsent = set(self._latest)
            self._changed.notify_all()

    def _detach(self) -> None:
        with self._changed:
            self._socket = None

    def _cut(self, reason: Exception | None) -> None:
        if self._is_over.is_set():
            return
        self._end = reason
        with self._changed:
            self._is_over.set()
            self._changed.notify_all()
        self._switch.interrupt()
