"""The messages between a worker and its child: length-prefixed msgpack over a stream socket."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any

import msgspec

from workbench.errors import WorkerError
from workbench.records import Failure, Inspection, Progress
from workbench.states import JobState

__all__ = [
    "Cancel",
    "Channel",
    "Finished",
    "Heard",
    "Inspected",
    "Interrupt",
    "Message",
    "Pause",
    "Recycle",
    "Resume",
    "Run",
    "Tick",
]

_LENGTH = struct.Struct("!I")
_MAX_BYTES = 16 * 1024 * 1024


class Run(msgspec.Struct, frozen=True, tag=True):
    """
    To the child: run the callable at `task` (``module:function``) with `spec`.

    `search_path` is where the caller finds modules; `stall_secs` is when it loses its patience. The task
    starts as it was steered before: held if `is_paused`, told to stop if `is_cancelled` or `is_interrupted`. While it
    runs the child holds a lock on the file `lock`, if one is named: who finds it free knows nobody works there.
    """

    task: str
    spec: dict[str, Any]
    search_path: list[str] = []
    lock: str = ""
    stall_secs: float = 600.0
    is_paused: bool = False
    is_cancelled: bool = False
    is_interrupted: bool = False


class Pause(msgspec.Struct, frozen=True, tag=True):
    """To the child: hold the work at its next checkpoint."""


class Resume(msgspec.Struct, frozen=True, tag=True):
    """To the child: go on."""


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """To the child: stop at the next checkpoint and keep what is done."""


class Interrupt(msgspec.Struct, frozen=True, tag=True):
    """To the child: stop as for a cancel, though nobody asked for it; whoever ran the task has to go."""


class Heard(msgspec.Struct, frozen=True, tag=True):
    """To the worker: a pause or a resume has arrived, though the task may not have come to its checkpoint."""


class Tick(msgspec.Struct, frozen=True, tag=True):
    """To the worker: the work has come this far."""

    progress: Progress


class Inspected(msgspec.Struct, frozen=True, tag=True):
    """To the worker: this is what the paused task holds."""

    inspection: Inspection


class Finished(msgspec.Struct, frozen=True, tag=True):
    """To the worker: the task has ended. `peak_rss_bytes` is what a guard saw, for its server."""

    state: JobState
    result: dict[str, Any]
    failure: Failure | None = None
    peak_rss_bytes: int = 0


class Recycle(msgspec.Struct, frozen=True, tag=True):
    """To the worker: this process cannot run the task; run it in a fresh one."""

    reason: str


Message = Run | Pause | Resume | Cancel | Interrupt | Heard | Tick | Inspected | Finished | Recycle


class Channel:
    """
    One end of the conversation.

    Sending is safe from several threads; receiving is for one thread.

    Parameters
    ----------
    sock : socket.socket
        A connected stream socket, owned by the channel from now on.

    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Message)

    def send(self, message: Message) -> None:
        """
        Send a message.

        Raises
        ------
        WorkerError
            If `message` holds what msgpack cannot carry, or too much of it. Nothing was sent.
        OSError
            If the other side is gone.

        """
        try:
            payload = self._encoder.encode(message)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as e:
            raise WorkerError(f"a message cannot be sent: {e}", expected="plain values") from e
        if len(payload) > _MAX_BYTES:
            raise WorkerError(
                f"a message of {len(payload)} bytes cannot be sent", expected=f"at most {_MAX_BYTES}"
            )
        with self._lock:
            self._sock.sendall(_LENGTH.pack(len(payload)) + payload)

    def receive(self) -> Message | None:
        """
        Return the next message, or ``None`` when the other side is gone.

        Raises
        ------
        WorkerError
            If what arrives is not a message.

        """
        header = self._read(_LENGTH.size)
        if header is None:
            return None
        (length,) = _LENGTH.unpack(header)
        if length > _MAX_BYTES:
            raise WorkerError(f"a message of {length} bytes arrived", expected=f"at most {_MAX_BYTES}")
        payload = self._read(length)
        if payload is None:
            return None
        try:
            message: Message = self._decoder.decode(payload)
        except msgspec.MsgspecError as e:
            raise WorkerError(f"a message could not be read: {e}") from e
        return message

    def close(self) -> None:
        """Close the channel; the other side receives ``None``."""
        with contextlib.suppress(OSError):  # Closed by the other side before
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _read(self, count: int) -> bytes | None:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._sock.recv(count - len(parts))
            except OSError:  # Reset by a process that died
                return None
            if not part:
                return None
            parts += part
        return bytes(parts)
