"""An engine in the workspace of these tests' own server: a host that answers as told, and what a page shows."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.api.engine_hosts import Host, hosting
from tests.jobs.walks import wait_until
from tests.live.engines import wait_for
from tests.ui.walking import Walks
from workbench.client.client import Client
from workbench.errors import WorkbenchError
from workbench.live.emergency import clear_emergency
from workbench.live.engine_directory import EngineDirectory
from workbench.live.launch import stop_engine
from workbench.ui.engine_piece import EnginePiece
from workbench.ui.live_html import Action


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Return a folder whose path is short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="wb"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def running_host(walks: Walks, *, config: Any = None, incarnation: int = 1) -> Iterator[Host]:
    """Run a host of the default engine, which is gone afterwards."""
    with short_folder() as runtime:
        try:
            engines = walks.serving.settings.engines
            with hosting(engines, runtime, config=config, incarnation=incarnation) as host:
                yield host
        finally:
            shutil.rmtree(walks.serving.settings.engines, ignore_errors=True)


def end_engine(directory: EngineDirectory) -> None:
    """End an engine whatever its state: a test that failed must leave no process."""
    with contextlib.suppress(WorkbenchError):
        if directory.is_latched:
            clear_emergency(directory, by="tester", reason="the test is over")
        stop_engine(directory, by="tester", timeout_secs=20)
    for role in ("guardian", "host"):
        with contextlib.suppress(AssertionError):
            wait_for(lambda role=role: not directory.is_held(role), f"the end of the {role}")
        process = directory.find_process(role)
        if process is not None:
            process.kill()
    wait_until(lambda: not directory.is_held("host") and not directory.is_held("guardian"))


class Screen:
    """A component on a page: what it shows, and what is pressed."""

    def __init__(self, piece: EnginePiece) -> None:
        self.piece = piece
        self.widget = piece.widget

    @property
    def html(self) -> str:
        return str(self.widget.html)

    def press(self, name: str, key: str = "", value: Any = None) -> None:
        self.piece._on_action(Action(name, key, value))

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.html)

    def wait_until_gone(self, text: str) -> None:
        wait_until(lambda: text not in self.html)


@contextlib.contextmanager
def shown(kind: Callable[[Client], EnginePiece], client: Client) -> Iterator[Screen]:
    """Show a component until it is closed."""
    piece = kind(client)
    try:
        yield Screen(piece)
    finally:
        piece.close()
        piece._feed.close()
