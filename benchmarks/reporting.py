"""A task that only reports, and the real server with that task in the place of the backtest."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.config import Settings
from workbench.jobs.control import Control
from workbench.jobs.kinds import JobEnd
from workbench.jobs.pool import Launcher
from workbench.records import JobRecord, Progress

__all__ = ["ReportKind", "build_settings", "prepare", "report", "serve"]


class ReportKind:
    """Takes the place of the backtest: the task reports as often as a run does."""

    name = "backtest"
    can_pause = False
    preparation = "reporting:prepare"
    launcher: Launcher | None = None

    def build_task(self, job: JobRecord, directory: Path) -> tuple[str, dict[str, Any]]:
        """Return the task with what was asked."""
        return "reporting:report", job.spec["config"]

    def build_wish(self, job: JobRecord, directory: Path) -> dict[str, Any]:
        """Return what was asked."""
        return job.spec

    def read_end(self, directory: Path) -> JobEnd | None:
        """Return nothing: the task keeps nothing."""
        return None


def prepare(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """Take any wish as it is."""
    return {"spec": {"config": spec["config"]}}


def report(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """Report for ``secs`` with a pause of ``pause_secs``; the time of the wall is in the report."""
    until = time.monotonic() + spec["secs"]
    while time.monotonic() < until:
        control.report(Progress(simulated_ts_ns=time.time_ns()))
        if spec["pause_secs"]:
            time.sleep(spec["pause_secs"])
    return {}


@contextlib.contextmanager
def serve(workspace: Path) -> Iterator[Settings]:
    """Run the server in a process of its own, and end it."""
    settings = build_settings(workspace)
    here = str(Path(__file__).resolve().parent)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        [sys.executable, __file__, str(workspace)], env={**os.environ, "PYTHONPATH": path}
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not (settings.state / "server.json").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the server did not start")
                time.sleep(0.05)
            yield settings
        finally:
            process.terminate()


def build_settings(workspace: Path) -> Settings:
    """Return the settings of a workspace that is for the benchmark alone."""
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


if __name__ == "__main__":
    from workbench.api import server

    server.BacktestKind = ReportKind  # type: ignore[misc, assignment]
    server.run(build_settings(Path(sys.argv[1])))
