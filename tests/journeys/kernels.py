"""What shows an engine to people, without a browser: the kernel of a notebook, and Voila."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from tests.browser.pages import find_free_port
from tests.live.engines import ROOT
from workbench.ui.jupyter.runtime import RuntimeDirectory

__all__ = ["Kernel", "Voila", "run_kernel", "run_voila"]

_SECS = 60.0


class Kernel:
    """A kernel that runs cells and prints."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client
        self.pid = int(self.run("import os; print(os.getpid())"))

    def run(self, code: str) -> str:
        """Run a cell and return what it printed."""
        printed: list[str] = []

        def hear(message: Any) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])
            elif message["msg_type"] == "error":
                raise AssertionError("\n".join(message["content"]["traceback"]))

        self._client.execute_interactive(code, output_hook=hear, timeout=_SECS)
        return "".join(printed)

    def kill(self) -> None:
        """End it without a warning."""
        process = psutil.Process(self.pid)
        process.kill()
        psutil.wait_procs([process], timeout=_SECS)


@contextlib.contextmanager
def run_kernel(workspace: Path, **environ: str) -> Iterator[Kernel]:
    """Run a kernel in a workspace until it is done with."""
    environment = {**os.environ, "WORKBENCH_HOME": str(workspace), **environ}
    manager, client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(workspace))
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


class Voila:
    """The app of the live engine, as a server and without a browser."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._port = port
        self._tickets = RuntimeDirectory(Path(os.environ["XDG_RUNTIME_DIR"]), port)

    def load_page(self) -> str:
        """Sign in and return the page, whose kernel has run the notebook by then; nothing before it answers."""
        url = f"http://127.0.0.1:{self._port}"
        try:
            httpx.get(url, timeout=_SECS)
            path = self._tickets.build_path(self._tickets.make_ticket(), "/voila/render/live.ipynb")
            answer = httpx.get(f"{url}{path}", timeout=_SECS, follow_redirects=True)
        except httpx.TransportError:
            assert self._process.poll() is None, "Voila ended"
            return ""
        assert answer.status_code == 200, answer.text[:2_000]
        return answer.text

    def find_kernels(self) -> list[psutil.Process]:
        """Return the kernels of its pages."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        return [child for child in children if "ipykernel_launcher" in " ".join(child.cmdline())]

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def run_voila(workspace: Path, folder: Path) -> Iterator[Voila]:
    """Serve the app of the live engine, for the person who runs the tests."""
    port = find_free_port()
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    shutil.copy(ROOT / "dashboards" / "live.ipynb", notebooks)
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")},
        "IPYTHONDIR": str(folder / "ipython"),
        "WORKBENCH_HOME": str(workspace),
    }
    command = [sys.executable, "-P", "-m", "workbench.cli.main", "live", f"--folder={notebooks}"]
    with (folder / "voila.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--port={port}", "--no-browser", "--preheated=0"],
            env=environment,
            cwd=notebooks,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    voila = Voila(process, port)
    try:
        yield voila
    finally:
        voila.kill()
