"""One call to a host, over its unix socket, by the standard library alone: an emergency waits for no imports."""

from __future__ import annotations

import http.client
import socket
from typing import Any

import msgspec

from workbench.errors import ServerError

__all__ = ["call_host"]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_secs: float) -> None:
        super().__init__("engine", timeout=timeout_secs)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call_host(path: str, target: str, body: object = None, *, by: str, timeout_secs: float) -> Any:
    """
    Post `body` to a host, or get what is at `target` where there is none; return the answer, plain values.

    Parameters
    ----------
    path : str
        Its socket: `HostRecord.socket`.
    target : str
        What is asked of it, such as ``/stop``.
    body : object, optional
        What msgspec can write as JSON.
    by : str
        Who asks.
    timeout_secs : float
        How long it may be silent.

    Raises
    ------
    ServerError
        If it does not answer in time, refuses, or answers something else than JSON.

    """
    connection = _Connection(path, timeout_secs)
    # A header is Latin-1; a name that is not is told as well as it can be.
    name = by.encode("ascii", "backslashreplace").decode().replace("\n", " ").replace("\r", " ")
    try:
        connection.request(
            "GET" if body is None else "POST",
            target,
            None if body is None else msgspec.json.encode(body),
            {"Content-Type": "application/json", "X-Workbench-User": name},
        )
        answer = connection.getresponse()
        content = answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException) as e:
        raise ServerError(f"the engine does not answer at {target}: {str(e) or type(e).__name__}") from e
    finally:
        connection.close()
    try:
        values = msgspec.json.decode(content) if content.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ServerError(f"the engine answers {target} with {content[:200]!r}, not with JSON") from e
    if status >= 400:
        detail = values.get("detail") or values.get("title") if isinstance(values, dict) else values
        raise ServerError(f"the engine refuses {target}: {detail or status}")
    return values
