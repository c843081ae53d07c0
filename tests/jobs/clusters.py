"""A Dask cluster of real processes, an object store, and a server in this process whose jobs run on the cluster."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.api.serving import build_settings
from tests.jobs.walks import Walk, wait_until
from workbench.api.app import build_app
from workbench.api.server import _configure
from workbench.backtest.kind import BacktestKind
from workbench.jobs import recovery
from workbench.jobs.cluster import DaskLauncher
from workbench.jobs.service import JobService
from workbench.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
EXIT_SECS = 40.0
BUCKET = "bench"


@contextlib.contextmanager
def object_store() -> Iterator[None]:
    """Serve an empty bucket, and tell fsspec of this process and of its children where it is."""
    import fsspec
    import fsspec.config
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "test", "secret": "test"}
    httpx.post(f"http://{host}:{port}/moto-api/reset")  # What another one of this process has left
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(fsspec.config.conf, "s3", options)  # Read from the environment when it was imported
            for name, value in options.items():
                patch.setenv(f"FSSPEC_S3_{name.upper()}", value)
            fsspec.filesystem("s3").mkdir(BUCKET)
            yield
    finally:
        server.stop()


class Process:
    """A process of the cluster, in a directory of its own."""

    def __init__(self, home: Path, program: str, *arguments: str) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.log = home / "log.txt"
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments],
                cwd=home,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def find(self, pattern: str) -> str:
        """Wait until the process says something, and return it."""
        found: list[str] = []

        def has_said() -> bool:
            assert self.popen.poll() is None, self.log.read_text()
            found[:] = re.findall(pattern, self.log.read_text())
            return bool(found)

        wait_until(has_said)
        return found[0]

    def end(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(EXIT_SECS)


class Cluster:
    """A scheduler, and workers of one thread each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.workers: list[Process] = []
        self.schedulers: list[Process] = []
        self.address = self.add_scheduler(port=0)

    def add_scheduler(self, port: int) -> str:
        """Start a scheduler, and return its address."""
        home = self._root / f"scheduler-{len(self.schedulers)}"
        arguments = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        self.schedulers.append(Process(home, "scheduler", *arguments))
        return self.schedulers[-1].find(r"Scheduler at:\s+(tcp://\S+)")

    def add_worker(self) -> Process:
        home = self._root / f"worker-{len(self.workers)}"
        worker = Process(
            home,
            "worker",
            self.address,
            *("--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--nthreads", "1"),
            *("--memory-limit", "4GB", "--local-directory", str(home / "scratch"), "--death-timeout", "20"),
        )
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        for process in [*self.workers, *self.schedulers]:
            process.end()


@contextlib.contextmanager
def cluster(root: Path, workers: int) -> Iterator[Cluster]:
    """Run a cluster; its processes are gone afterwards."""
    processes = Cluster(root)
    try:
        for worker in [processes.add_worker() for _ in range(workers)]:
            worker.find("(Registered to)")
        yield processes
    finally:
        processes.close()


@contextlib.contextmanager
def serving_cluster(
    workspace: Path, address: str, results: str, *, link_secs: float = 30.0, url: str | None = None
) -> Iterator[JobService]:
    """Serve the workspace from this process; its jobs run on the cluster."""
    settings = build_settings(workspace)
    store = Store.open(settings.database)
    with contextlib.ExitStack() as stack:
        stack.callback(store.close)
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        own = f"http://127.0.0.1:{listener.getsockname()[1]}"
        launcher = DaskLauncher(address, server_url=url or own, results=results, link_secs=link_secs)
        stack.callback(launcher.close)
        service = JobService(
            store, settings.runs, [Walk(), BacktestKind()], launcher=launcher, owner=f"test-{workspace}"
        )
        app = build_app(service, store, settings, links=launcher.links)
        server = uvicorn.Server(_configure(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started)
            recovery.salvage(store, settings.runs, launcher.fetch)
            service.start()
            yield service
        finally:
            service.stop()
            server.should_exit = True
            thread.join(EXIT_SECS)
            assert not thread.is_alive()
