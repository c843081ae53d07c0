"""JupyterLab and Voila as people use them: real servers, kernels and pages, and a log of what a page asks for."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import nbformat
import psutil

from workbench.ui.jupyter.runtime import RuntimeDirectory

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FRONTS = ("lab", "voila")
TABS = int(os.environ.get("WORKBENCH_COUNT") or 5)
IS_FULL = TABS > 5  # `make test-browser`; otherwise a smoke test
START_SECS = 60.0
SHOW_SECS = 60.0
END_SECS = 30.0


def wait_until(is_so: Callable[[], Any], what: str, secs: float = 30.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + secs
    while not is_so():
        assert time.monotonic() < deadline, f"waited {secs:.0f} s for {what}"
        time.sleep(0.05)


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Front:
    """A JupyterLab or a Voila that serves the notebooks in `root`."""

    name: str
    root: Path
    workspace: Path
    port: int
    token: str
    process: subprocess.Popen[bytes]
    log: Path
    sockets: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def build_url(self, notebook: str, **query: str) -> str:
        """Return the address of a notebook, for whoever started the front end: Voila's signs in once."""
        words = "".join(f"&{name}={value}" for name, value in query.items())
        if self.name == "lab":
            return f"{self.url}/lab/tree/{notebook}?token={self.token}&reset{words}"
        page = self.build_page(notebook, **query)
        return f"{self.url}{self.runtime.build_path(self.runtime.make_ticket(), page)}"

    def build_page(self, notebook: str = "", **query: str) -> str:
        """Return the path of a page of Voila, without a notebook of its list."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        page = f"/voila/render/{notebook}" if notebook else "/"
        return f"{page}?{words}" if words else page

    @property
    def runtime(self) -> RuntimeDirectory:
        """Return the private directory of this Voila."""
        return RuntimeDirectory(self.sockets, self.port)

    def write(self, name: str, *cells: str) -> str:
        """Write a notebook of code cells; return its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, self.root / f"{name}.ipynb")
        return f"{name}.ipynb"

    def find_kernels(self) -> list[psutil.Process]:
        """Return the kernels that run."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ipykernel_launcher" in " ".join(process.cmdline()):
                    found.append(process)
        return [process for process in found if process.is_running()]

    def end_kernels(self) -> None:
        """End what the pages of JupyterLab have left; those of Voila end by themselves."""
        if self.name != "lab":
            return
        headers = {"Authorization": f"token {self.token}"}
        for session in httpx.get(f"{self.url}/api/sessions", headers=headers).json():
            httpx.delete(f"{self.url}/api/sessions/{session['id']}", headers=headers)


def _build_command(name: str, root: Path, port: int) -> list[str]:
    if name == "voila":
        command = [
            sys.executable,
            "-P",
            "-m",
            "workbench.cli.main",
            "live",
            f"--folder={root}",
            f"--port={port}",
        ]
        return [*command, "--no-browser", "--preheated=0"]
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
    ]


@contextlib.contextmanager
def run_front(
    name: str, folder: Path, *, root: Path | None = None, arguments: tuple[str, ...] = (), **environ: str
) -> Iterator[Front]:
    """Run a front end with a configuration, a workspace and, unless given, notebooks of its own in `folder`."""
    root = root or folder / "notebooks"
    workspace = Path(environ.pop("WORKBENCH_HOME", str(folder / "workspace")))
    for path in (root, workspace):
        path.mkdir(parents=True, exist_ok=True)
    quiet = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True, exist_ok=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    port, token, log = find_free_port(), secrets.token_hex(16), folder / f"{name}.log"
    own = {
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "WORKBENCH_HOME": str(workspace),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*_build_command(name, root, port), *arguments],
            env={**os.environ, **own, **environ},
            cwd=root,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    sockets = Path({**os.environ, **environ}.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    front = Front(name, root, workspace, port, token, process, log, sockets)
    try:
        wait_until(lambda: _answers(front), f"{name}: {log}", START_SECS)
        yield front
    finally:
        _end(front)


def _answers(front: Front) -> bool:
    assert front.process.poll() is None, front.log.read_text()[-4_000:]
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{front.url}/?token={front.token}", timeout=2).status_code < 500
    return False


def _end(front: Front) -> None:
    """End the server and all that it has started; the workspace's own server is detached, and asked to stop."""
    from tests.client.conftest import find_processes

    children = psutil.Process(front.process.pid).children(recursive=True)
    front.process.send_signal(signal.SIGTERM)
    try:
        front.process.wait(END_SECS)
    except subprocess.TimeoutExpired:
        front.process.kill()
        front.process.wait(END_SECS)
    _, left = psutil.wait_procs(children, timeout=5)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    for process in find_processes(front.workspace):
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(find_processes(front.workspace), timeout=END_SECS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


@dataclass
class Sheet:
    """A page that shows a notebook, and what it asked for."""

    front: Front
    page: Page
    outside: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def note(self, url: str) -> None:
        """Note an address if it is not this machine."""
        local = (f"http://127.0.0.1:{self.front.port}/", f"ws://127.0.0.1:{self.front.port}/")
        if not url.startswith((*local, "data:", "blob:", "about:")):
            self.outside.append(url)

    def show(self, notebook: str, **query: str) -> None:
        """Open a notebook and wait until its cells have run."""
        self.page.goto(self.front.build_url(notebook, **query), wait_until="commit")
        if self.front.name == "lab":
            self._run_cells()
        else:
            self.page.wait_for_function(
                "() => { const e = document.querySelector('#rendered_cells');"
                " return e && e.style.display !== 'none' && !document.querySelector('#loading') }",
                timeout=SHOW_SECS * 1000,
            )

    def show_again(self) -> None:
        """Save and reload the page: JupyterLab finds its kernel and its widgets again, Voila starts another kernel."""
        if self.front.name == "lab":
            self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload(wait_until="commit")
        self.page.locator(".wb-live").first.wait_for(timeout=SHOW_SECS * 1000)

    def _run_cells(self) -> None:
        page = self.page
        page.wait_for_function(
            "() => { const w = window.jupyterapp?.shell?.currentWidget;"
            " return w?.content?.widgets?.length && w.sessionContext?.session?.kernel?.connectionStatus === 'connected'"
            " && w.sessionContext.session.kernel.status === 'idle' }",
            timeout=SHOW_SECS * 1000,
        )
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_function(
            "() => { const w = window.jupyterapp.shell.currentWidget;"
            " return w.content.widgets.every(c => c.model.type !== 'code' || c.model.executionCount) }",
            timeout=SHOW_SECS * 1000,
        )


@contextlib.contextmanager
def open_sheet(
    browser: Browser,
    front: Front,
    notebook: str | None = None,
    *,
    width: int = 1440,
    height: int = 900,
    **query: str,
) -> Iterator[Sheet]:
    """Open a page; afterwards nothing may have left this machine and no script may have failed."""
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    try:
        sheet = Sheet(front, context.new_page())
        context.on("request", lambda request: sheet.note(request.url))
        sheet.page.on("websocket", lambda socket: sheet.note(socket.url))
        sheet.page.on("pageerror", lambda error: sheet.wrong.append(str(error)))
        if notebook is not None:
            sheet.show(notebook, **query)
        yield sheet
        assert sheet.outside == []
        assert sheet.wrong == [], sheet.wrong
    finally:
        context.close()
        front.end_kernels()
