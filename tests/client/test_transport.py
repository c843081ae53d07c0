"""Requests: what is tried again, what is not, and what is said when nobody answers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workbench.client.transport import Endpoint, Transport, is_loopback
from workbench.errors import InputError, ServerError


@pytest.fixture
def closed_port() -> Iterator[str]:
    """Return a URL at which nobody listens, and nobody else will."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://localhost", "http://", "file:///etc/passwd"])
def test_transport_of_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="not a server's URL"):
        Transport(Endpoint(url, "token"))


def test_token_is_not_shown(closed_port: str) -> None:
    assert "secret" not in repr(Endpoint(closed_port, "secret"))


def test_nobody_answers_is_said_with_the_address(closed_port: str) -> None:
    transport = Transport(Endpoint(closed_port, "token"))

    with pytest.raises(ServerError, match=closed_port):
        transport.fetch("GET", "jobs")
    transport.close()


def test_closed_transport_waits_for_no_other_try(closed_port: str) -> None:
    transport = Transport(Endpoint(closed_port, "token"))
    errors: list[Exception] = []

    def ask() -> None:
        try:
            transport.pause(60)
        except ServerError as e:
            errors.append(e)

    thread = threading.Thread(target=ask)
    thread.start()
    transport.close()
    thread.join(10)

    assert [str(e) for e in errors] == ["the client was closed"]


def test_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        transport = Transport(Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}", "token"))
        began = time.monotonic()

        with pytest.raises(ServerError, match=r"did not answer within 0\.2 s"):
            transport.fetch("GET", "jobs", timeout_secs=0.2)

        assert time.monotonic() - began < 5
        transport.close()


def count_requests(method: str) -> int:
    """Return how often a request is sent to somebody who hangs up on it."""
    count = 0
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            nonlocal count
            while True:
                try:
                    connection, _ = rude.accept()
                except OSError:
                    return
                with connection:
                    count += bool(connection.recv(10_000))

        thread = threading.Thread(target=hang_up)
        thread.start()
        transport = Transport(Endpoint(f"http://127.0.0.1:{rude.getsockname()[1]}", "token"))
        with pytest.raises(ServerError, match="broke the connection"):
            transport.fetch(method, "jobs", body={} if method == "POST" else None)
        transport.close()
        rude.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    return count


def test_get_whose_answer_is_lost_is_tried_again_and_not_for_ever() -> None:
    assert count_requests("GET") == 5


def test_post_whose_answer_is_lost_is_sent_once() -> None:
    assert count_requests("POST") == 1


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:80", True),
        ("http://[::1]:80", True),
        ("http://localhost", True),
        ("http://127.0.0.1.example.com", False),
        ("https://example.com", False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback_is_told_from_the_rest(url: str, is_here: bool) -> None:
    assert is_loopback(url) is is_here


@contextlib.contextmanager
def answering(status: int, body: bytes = b"{}") -> Iterator[str]:
    """Answer every request in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_another_who_has_the_port_of_a_server_that_moved_is_not_believed(status: int) -> None:
    with answering(status) as stranger, answering(200, b'{"moved":true}') as server:
        places = [Endpoint(server, "token")]
        transport = Transport(Endpoint(stranger, "token"), locate=lambda: places[0])
        assert transport.fetch_json("GET", "jobs") == {"moved": True}
        transport.close()


def test_refusal_of_a_server_that_is_where_it_was_is_raised() -> None:
    with answering(404, b"") as server:
        endpoint = Endpoint(server, "token")
        transport = Transport(endpoint, locate=lambda: endpoint)
        with pytest.raises(InputError, match="the server answered 404"):
            transport.fetch("GET", "jobs")
        transport.close()
