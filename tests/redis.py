"""A Redis of the tests' own: started on demand, killed and started again by them, gone afterwards."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["Redis", "find_redis", "start_redis"]

START_SECS = 20


class Redis:
    """
    A server on a port of this machine, without a password.

    What it holds outlives a kill: it appends to a file, as one does that an engine relies on.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        """Start it, on the port that it had before."""
        ports = [self.port] if self.port else [_find_port() for _ in range(5)]
        for port in ports:
            if self._start(port):
                self.port = port
                return
        raise RuntimeError(f"Redis does not start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it without a warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECS)
            self._process = None

    def build_database(self) -> dict[str, Any]:
        """Return it as nautilus's configuration names it."""
        return {"type": "redis", "host": "127.0.0.1", "port": self.port, "connection_timeout": 2}

    def ask(self, *words: str) -> bytes:
        """Return the answer to one command, as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.settimeout(5)
            connection.sendall(" ".join(words).encode() + b"\r\nQUIT\r\n")
            return b"".join(iter(lambda: connection.recv(65_536), b"")).removesuffix(b"+OK\r\n")

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _start(self, port: int) -> bool:
        settings = {
            "port": port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "appendonly": "yes",
            "appendfsync": "no",  # The machine does not die, only the process
            "save": "''",
            "databases": 1,
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        setpriv = shutil.which("setpriv")
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), str(self._program), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_SECS
        while process.poll() is None and time.monotonic() < deadline:
            if _is_ours(port, process.pid):
                self._process = process
                return True
            time.sleep(0.01)
        process.kill()  # Somebody else took the port
        process.wait(START_SECS)
        return False


def find_redis() -> Path | None:
    """Return the program of a Redis server, if there is one."""
    found = shutil.which("redis-server")
    return None if found is None else Path(found)


@contextmanager
def start_redis(program: Path) -> Iterator[Redis]:
    """Start a server with a new directory and kill it afterwards; it also ends if this thread does."""
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
    redis = Redis(program, folder)
    try:
        redis.start()
        yield redis
    finally:
        redis.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_ours(port: int, pid: int) -> bool:
    """Return whether the server that answers is the one that was started: another one may have taken the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(b"INFO server\r\n")
            return f"process_id:{pid}\r\n".encode() in connection.recv(65_536)
    except OSError:
        return False
