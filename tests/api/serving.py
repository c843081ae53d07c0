"""A real server's parts for these tests: records, jobs, users of every role, and ways to ask."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn
from fastapi import FastAPI

from tests.jobs.walks import Walk, wait_until
from workbench.api.app import build_app
from workbench.api.auth import hash_token, make_token
from workbench.api.backtests import PREFIX
from workbench.api.server import ServerRecord, _configure
from workbench.backtest.kind import BacktestKind
from workbench.backtest.sweep_kind import SweepKind
from workbench.config import Settings
from workbench.errors import ExistsError
from workbench.jobs.service import JobService
from workbench.roles import Role
from workbench.store.store import Store

EXIT_SECS = 40.0


def build_settings(workspace: Path) -> Settings:
    state = workspace / ".workbench"
    return Settings(
        workspace=workspace,
        catalog=workspace / "catalog",
        runs=workspace / "runs",
        engines=workspace / "engines",
        state=state,
        database=f"sqlite:///{state / 'records.sqlite'}",
        token_file=state / "token",
    )


class Serving:
    """The application of a workspace, with a user for every role, and requests to it without a network."""

    def __init__(self, settings: Settings, store: Store, service: JobService) -> None:
        self.settings = settings
        self.store = store
        self.service = service
        self.app: FastAPI = build_app(service, store, settings)
        self.tokens: dict[str, str] = {}
        for role in Role:
            self.add_user(role.value, role)
        self._runner = asyncio.Runner()

    def add_user(self, name: str, role: Role) -> str:
        with contextlib.suppress(ExistsError):  # The workspace was served before
            self.store.add_user(name, role)
        self.tokens[name] = make_token()
        self.store.add_token(name, token_hash=hash_token(self.tokens[name]))
        return self.tokens[name]

    def request(
        self, method: str, path: str, *, user: str | None = "admin", **options: Any
    ) -> httpx.Response:
        """Ask as `user`, one of the roles' names."""
        headers = {} if user is None else {"Authorization": f"Bearer {self.tokens[user]}"}
        headers |= options.pop("headers", {})

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                address = path if path.startswith("/api/") else f"{PREFIX}{path}"
                return await client.request(method, address, headers=headers, **options)

        return self._runner.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def close(self) -> None:
        self._runner.close()


@contextlib.contextmanager
def serving(workspace: Path, **options: Any) -> Iterator[Serving]:
    settings = build_settings(workspace)
    store = Store.open(settings.database)
    kinds = [Walk(), BacktestKind()]
    service = JobService(store, settings.runs, kinds, owner=f"test-{workspace}", **options)
    service.add_kind(SweepKind(service, settings.runs))
    try:
        service.start()
        parts = Serving(settings, store, service)
        try:
            yield parts
        finally:
            parts.close()
    finally:
        service.stop()
        store.close()


@contextlib.contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve `app` on a free port of this process; gives ``host:port``. Little fits on the way to a client."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(_configure(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(EXIT_SECS)
            assert not thread.is_alive()


class Process:
    """A server in a process of its own, as the command line starts it."""

    def __init__(self, workspace: Path, **options: Any) -> None:
        self.settings = build_settings(workspace)
        program = (
            "import sys\n"
            "from workbench.api.server import run\n"
            "from workbench.config import load_settings\n"
            "from workbench.errors import WorkbenchError\n"
            "try:\n"
            f"    run(load_settings(), **{options!r})\n"
            "except WorkbenchError as e:\n"
            "    sys.exit(f'{e.code}: {e}')\n"
        )
        self.popen = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "WORKBENCH_HOME": str(workspace)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def record_path(self) -> Path:
        return self.settings.state / "server.json"

    def wait_until_up(self) -> ServerRecord:
        wait_until(lambda: self.record_path.is_file() or self.popen.poll() is not None)
        assert self.popen.poll() is None, self.popen.communicate()[0]
        return msgspec.json.decode(self.record_path.read_bytes(), type=ServerRecord)

    def wait_for_end(self) -> tuple[int, str]:
        output, _ = self.popen.communicate(timeout=EXIT_SECS)
        return self.popen.returncode, output

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.popen.send_signal(number)
        return self.wait_for_end()

    @property
    def token(self) -> str:
        return (self.settings.state / "token").read_text().strip()

    def get(self, path: str) -> httpx.Response:
        url = self.wait_until_up().url
        return httpx.get(
            f"{url}{PREFIX}{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=20
        )


@contextlib.contextmanager
def server_process(workspace: Path, **options: Any) -> Iterator[Process]:
    process = Process(workspace, **options)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.end()
