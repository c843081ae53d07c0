from __future__ import annotations

import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import ServerError
from workbench.live.host_call import call_host


class _Server:
    """Answers one call with fixed bytes, and keeps what it was sent."""

    def __init__(self, path: Path, answer: bytes) -> None:
        self.sent = b""
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(5)
            while not self._is_complete():
                self.sent += connection.recv(65_536)
            if self._answer:
                connection.sendall(self._answer)
            else:
                connection.recv(1)  # Until the caller gives up

    def _is_complete(self) -> bool:
        head, found, body = self.sent.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        return bool(found) and len(body) >= (int(length[1]) if length else 0)

    def close(self) -> None:
        self._thread.join()
        self._socket.close()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        yield Path(folder) / "s"


def _call(path: Path, answer: bytes, body: object = None, by: str = "ann") -> tuple[object, bytes]:
    server = _Server(path, answer)
    try:
        return call_host(str(path), "/stop", body, by=by, timeout_secs=0.3), server.sent
    finally:
        server.close()
        path.unlink()


def _make(status: str, content: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(content), content)


def test_call_host_posts_a_body_and_gets_without_one(path: Path) -> None:
    answer, sent = _call(path, _make("200 OK", b'{"a": 1}'), {"is_flattening": True})
    assert answer == {"a": 1}
    assert sent.startswith(b"POST /stop HTTP/1.1\r\n")
    assert b"X-Workbench-User: ann\r\n" in sent
    answer, sent = _call(path, _make("202 Accepted", b""))
    assert answer is None
    assert sent.startswith(b"GET /stop HTTP/1.1\r\n")


def test_call_host_name_cannot_break_out_of_its_header(path: Path) -> None:
    _, sent = _call(path, _make("200 OK", b""), {}, by="Jürgen\r\nX-Evil: 1\x00")
    assert b"X-Workbench-User: J\\xfcrgen  X-Evil: 1" in sent
    assert b"\r\nX-Evil" not in sent


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_make("409 Conflict", b'{"detail": "an emergency stop holds"}'), "an emergency stop holds"),
        (_make("503 Busy", b'{"title": "ServerError"}'), "ServerError"),
        (_make("500 Broken", b'"oh"'), "oh"),
        (_make("500 Broken", b""), "500"),
        (_make("200 OK", b"<html>"), "not with JSON"),
        (b"nonsense\r\n\r\n", "does not answer"),
        (b"", "does not answer"),
    ],
)
def test_call_host_what_is_no_answer_is_an_error(path: Path, answer: bytes, words: str) -> None:
    began = time.monotonic()
    with pytest.raises(ServerError, match=words):
        _call(path, answer, {})
    assert time.monotonic() - began < 3.0


def test_call_host_without_anybody_there_is_an_error(path: Path) -> None:
    with pytest.raises(ServerError, match="does not answer at /stop"):
        call_host(str(path), "/stop", by="ann", timeout_secs=0.3)
    with pytest.raises(ServerError, match="does not answer"):
        call_host("/" + "x" * 200, "/stop", by="ann", timeout_secs=0.3)
