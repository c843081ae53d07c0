"""Our side: `run_backtest` on a warm worker."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from nautilus_trader.backtest.config import BacktestRunConfig

from workbench.backtest.run import run_backtest
from workbench.jobs.worker import Worker

__all__ = ["OurRun", "check_same"]


class OurRun:
    """A warm worker, and a place for the run directories that it leaves."""

    def __init__(self, folder: Path) -> None:
        self._runs = folder / "runs"
        self._stack = ExitStack()
        self._worker = self._stack.enter_context(Worker())
        # The worker's child finds the strategies and tasks that lie here.
        here = str(Path(__file__).resolve().parent)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
        self._worker.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, config: BacktestRunConfig) -> dict[str, Any]:
        """
        Run `config`; return ``secs``, ``cpu_secs`` (of both processes), ``orders`` and ``pnls``.

        The time is all that the caller waits: checking the data, hashing, running, writing the run directory.
        """
        seen = 0

        def note(_: object) -> None:
            nonlocal seen
            seen += 1

        began, used = time.perf_counter(), self._used()
        run = run_backtest(config, runs=self._runs, worker=self._worker, on_progress=note)
        return {
            "secs": time.perf_counter() - began,
            "cpu_secs": self._used() - used,
            "orders": run.record.orders,
            "pnls": run.metrics["nautilus"]["pnls"],
            "reports": seen,
        }

    def _used(self) -> float:
        child = psutil.Process(self._worker.pid).cpu_times()
        return time.process_time() + child.user + child.system


def check_same(ours: dict[str, Any], raw: dict[str, Any]) -> None:
    """Stop if the two sides did not do the same: then there is nothing to compare."""
    for key in ("orders", "pnls"):
        if ours[key] != raw[key]:
            sys.exit(f"the sides differ in {key}: ours {ours[key]}, raw {raw[key]}")
