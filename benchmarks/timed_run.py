"""A task for a worker: a run as ever, with a clock around what the monitor does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from workbench.backtest import engine
from workbench.backtest.monitor import Monitor
from workbench.jobs.control import Control

__all__ = ["execute"]

_original = {name: getattr(Monitor, name) for name in ("_report", "take_sample")}


def execute(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Run as `engine.execute` does, timing reports and samples of equity; with ``silent`` in `spec` nothing is reported.

    Returns
    -------
    dict
        ``report_secs`` and ``sample_secs``, ``reports`` and ``samples``, ``loop_secs``, and the CPU seconds of
        this process (``cpu_secs``).

    """
    report, sample = _Clock(_original["_report"]), _Clock(_original["take_sample"])
    Monitor._report = _say_nothing if spec.get("silent") else report.method()
    Monitor.take_sample = sample.method()
    used = time.process_time()
    result = engine.execute(spec, control)
    return {
        "cpu_secs": time.process_time() - used,
        "loop_secs": result["elapsed_secs"],
        "report_secs": report.secs,
        "reports": report.calls,
        "sample_secs": sample.secs,
        "samples": sample.calls,
        "state": result["state"],
    }


class _Clock:
    """Adds up the time that a method takes."""

    def __init__(self, method: Callable[..., None]) -> None:
        self._method = method
        self.secs = 0.0
        self.calls = 0

    def method(self) -> Callable[..., None]:
        def timed(monitor: Monitor, *args: Any) -> None:
            began = time.perf_counter()
            try:
                self._method(monitor, *args)
            finally:
                self.secs += time.perf_counter() - began
                self.calls += 1

        return timed


def _say_nothing(monitor: Monitor, *args: Any) -> None:
    """Report nothing."""
