"""The calls about one engine: where they go, and what is made of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from workbench.client.transport import Transport
from workbench.errors import ServerError

__all__ = ["EngineCalls"]

# The server waits for the host for less than that.
_TABLE_SECS = 10.0
_ACTION_SECS = 30.0


class EngineCalls:
    """
    What everything that asks for one engine has in common; may be used from any thread.

    Parameters
    ----------
    transport : Transport
        The way to the server.
    name : str
        Which engine.

    """

    def __init__(self, transport: Transport, name: str = "default") -> None:
        self._transport = transport
        self.name = name
        self._place = f"engines/{quote(name, safe='')}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _get[T](self, place: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> T:
        return self._send("GET", place, None, kind, params=params, timeout_secs=_TABLE_SECS)

    def _post[T](
        self, place: str, body: dict[str, Any], kind: type[T], *, timeout_secs: float = _ACTION_SECS
    ) -> T:
        return self._send("POST", place, body, kind, timeout_secs=timeout_secs)

    def _list[T](self, place: str, kind: type[T], params: Mapping[str, str | int] | None = None) -> list[T]:
        return msgspec.convert(self._get(place, dict[str, Any], params)["items"], list[kind])  # type: ignore[valid-type]

    def _send[T](
        self,
        method: str,
        place: str,
        body: dict[str, Any] | None,
        kind: type[T],
        *,
        params: Mapping[str, str | int] | None = None,
        timeout_secs: float = _ACTION_SECS,
    ) -> T:
        given = None if body is None else {k: v for k, v in body.items() if v is not None and v != ""}
        path = f"{self._place}/{place}"
        content = self._transport.fetch(method, path, params=params, body=given, timeout_secs=timeout_secs)
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as e:
            raise ServerError(f"the server answered {path} with what was not agreed: {e}") from e
