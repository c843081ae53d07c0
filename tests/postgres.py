"""A PostgreSQL of the tests' own: started on demand, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

__all__ = ["Postgres", "find_postgres", "start_postgres"]

START_SECS = 60
# Nothing here has to outlive the machine.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
}


class Postgres:
    """A running server with a superuser ``workbench`` that needs no password."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    def url(self, database: str) -> str:
        return f"postgresql://workbench@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str) -> str:
        return f"postgresql://workbench@/{database}?host={self.folder}&port={self.port}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    @contextmanager
    def make_database(self) -> Iterator[str]:
        """Yield the URL of a new, empty database and drop it afterwards, whoever is still connected."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def find_postgres() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, if there is one."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


@contextmanager
def start_postgres(programs: Path) -> Iterator[Postgres]:
    """Start a server in a new directory and stop it afterwards; it also ends if this process is killed."""
    # Short: the path of a socket has a limit of about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        user = _find_user()
        if user is not None:
            shutil.chown(folder, user, user if user != "nobody" else "nogroup")
        data = folder / "data"
        # Sorted as people do: what relies on the order of code points must say so.
        initdb = [
            *(str(programs / "initdb"), "-D", str(data), "-U", "workbench", "--auth=trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"),
        ]
        done = subprocess.run(_as_user(user, initdb), capture_output=True, text=True, timeout=120, cwd="/")
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr}")
        process, port = _start(programs, data, user)
        try:
            yield Postgres(port, folder)
        finally:
            process.send_signal(signal.SIGQUIT)  # At once: nothing has to be kept
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(programs: Path, data: Path, user: str | None) -> tuple[subprocess.Popen[bytes], int]:
    log = data.parent / "log"
    for _ in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        settings = {
            **SETTINGS,
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(data.parent),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                _as_user(user, [str(programs / "postgres"), "-D", str(data), *options]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
            )
        deadline = time.monotonic() + START_SECS
        while process.poll() is None and time.monotonic() < deadline:
            if _is_ours(port, data):
                return process, port
            time.sleep(0.05)
        process.kill()  # Somebody else took the port
        process.wait(30)
    raise RuntimeError(f"PostgreSQL does not start: {log.read_text()[-2000:]}")


def _is_ours(port: int, data: Path) -> bool:
    """Return whether the server that answers is the one in `data`: another one may have taken the port."""
    address = f"postgresql://workbench@127.0.0.1:{port}/postgres"
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            return connection.execute("SHOW data_directory").fetchone() == (str(data),)
    except psycopg.OperationalError:
        return False


def _find_user() -> str | None:
    """Return who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines()}
    return "postgres" if "postgres" in names else "nobody"


def _as_user(user: str | None, command: list[str]) -> list[str]:
    setpriv = shutil.which("setpriv")
    if user is None:
        return [setpriv, "--pdeathsig", "QUIT", *command] if setpriv else command
    if setpriv is None:
        raise RuntimeError("there is no setpriv (Debian's package util-linux)")
    group = user if user != "nobody" else "nogroup"
    identity = ["--reuid", user, "--regid", group, "--clear-groups"]
    return [setpriv, *identity, "--pdeathsig", "QUIT", *command]
