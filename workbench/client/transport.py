"""Requests to the server: token, deadlines, retries, and errors as what they were."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from workbench.client.problems import build_problem_error
from workbench.errors import InputError, ServerError, WorkbenchError

__all__ = ["PREFIX", "Endpoint", "Transport", "build_http", "is_loopback"]

PREFIX = "/api/v1/nautilus"
_CONNECT_SECS = 5.0
# Shorter than a server keeps an idle connection: none is used at the moment at which it is closed.
_KEEP_SECS = 2.0
_RETRY_SECS = (0.1, 0.3, 1.0, 2.0)

type Params = Mapping[str, str | int | Sequence[str]]


class Endpoint(msgspec.Struct, frozen=True):
    """Where a server is, and the token for it."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"  # A token has no place in a traceback


class Transport:
    """
    Sends requests; may be used from any thread.

    Parameters
    ----------
    endpoint : Endpoint
        Where the server is.
    locate : Callable returning Endpoint or None, optional
        Asked where the server is now, when nobody answers at its address: it may have been started again.

    Raises
    ------
    InputError
        If the URL is not one of a server.

    """

    def __init__(self, endpoint: Endpoint, *, locate: Callable[[], Endpoint | None] | None = None) -> None:
        parts = urlsplit(endpoint.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"{endpoint.url!r} is not a server's URL", expected="https://host:port")
        self._endpoint = Endpoint(parts.geturl().rstrip("/"), endpoint.token)
        self._locate = locate
        self._closed = threading.Event()
        self._http = build_http(endpoint.url)

    @property
    def endpoint(self) -> Endpoint:
        """Return where the server was last."""
        return self._endpoint

    def close(self) -> None:
        """Close the connections; a request that waits to be tried again fails."""
        self._closed.set()
        self._http.close()

    def pause(self, secs: float) -> None:
        """Wait before another try, or until this transport is closed."""
        if self._closed.wait(secs):
            raise ServerError("the client was closed")

    def relocate(self) -> bool:
        """Look where the server is now; return whether that is elsewhere, or its token another."""
        before = self._endpoint
        found = None if self._locate is None else self._locate()
        if found is not None:
            self._endpoint = found
        return self._endpoint != before

    def fetch(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        timeout_secs: float = 30,
    ) -> bytes:
        """
        Send one request and return the body of the answer.

        What surely did not reach the server is tried again a few times, and so is a GET whose answer was lost.

        Raises
        ------
        WorkbenchError
            The error that the server describes; a `ServerError` if it does not answer, or not in time.

        """
        content = None if body is None else msgspec.json.encode(body)
        delays = iter(_RETRY_SECS)
        while True:
            try:
                return self._send(method, path, params, content, timeout_secs)
            except ServerError:
                raise
            except WorkbenchError:
                # The port of a server that is gone may be another's by now, who refuses what it does not know.
                if next(delays, None) is None or not self.relocate():
                    raise
                continue
            except httpx.TimeoutException as e:
                raise ServerError(
                    f"the server at {self._endpoint.url} did not answer within {timeout_secs:g} s",
                    advice="its log is server.log in the workspace's .workbench",
                ) from e
            except httpx.TransportError as e:
                is_unsent = isinstance(e, httpx.ConnectError)
                delay = next(delays, None)
                if delay is None or not (is_unsent or method == "GET"):
                    what = "cannot be reached" if is_unsent else "broke the connection before it answered"
                    raise ServerError(
                        f"the server at {self._endpoint.url} {what}: {e}",
                        advice="`workbench.connect()` starts it, and so does every command that needs it",
                    ) from e
            self.pause(delay)
            self.relocate()

    def fetch_json(self, method: str, path: str, **options: Any) -> Any:
        """Send one request and return the JSON of the answer; see `fetch`."""
        content = self.fetch(method, path, **options)
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as e:
            raise ServerError(
                f"the server at {self._endpoint.url} answered {path} with what is not JSON: {e}"
            ) from e

    def _send(
        self, method: str, path: str, params: Params | None, content: bytes | None, timeout_secs: float
    ) -> bytes:
        endpoint = self._endpoint
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        response = self._http.request(
            method,
            f"{endpoint.url}{PREFIX}/{path}",
            params=_flatten(params or {}),
            content=content,
            headers=headers,
            timeout=httpx.Timeout(timeout_secs, connect=_CONNECT_SECS),
        )
        if not response.is_success:
            raise build_problem_error(response.status_code, response.content)
        return response.content


def build_http(url: str) -> httpx.Client:
    """Return what sends requests to `url`."""
    # The certificates of the authorities take long to load, and nobody asks for them without TLS.
    has_tls = urlsplit(url).scheme == "https"
    return httpx.Client(
        verify=ssl.create_default_context() if has_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        # On this machine no proxy of the environment has a say, and none sees the token.
        trust_env=not is_loopback(url),
        limits=httpx.Limits(keepalive_expiry=_KEEP_SECS),
    )


def is_loopback(url: str) -> bool:
    """Return whether `url` is on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _flatten(params: Params) -> list[tuple[str, str | int | float | bool | None]]:
    """Return what is asked for, without what is empty; a list becomes one parameter for each."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in params.items():
        if isinstance(value, str | int):
            pairs += [(name, value)] if value != "" else []
        else:
            pairs += [(name, one) for one in value]
    return pairs
