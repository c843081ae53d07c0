"""The other side: nautilus's own `BacktestNode`, in a process of its own."""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.backtest.node import BacktestNode

__all__ = ["RawNode", "run_fresh"]


class RawNode:
    """A child process that runs one configuration after the other, as warm as a worker of ours."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, config: BacktestRunConfig) -> dict[str, Any]:
        """Run `config`; return ``secs``, ``cpu_secs`` (build and run, in the child), ``orders``, ``pnls``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(config.json().decode() + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the raw side died with exit code {self._process.wait()}")
        result: dict[str, Any] = json.loads(answer)
        return result


def run_fresh(config: BacktestRunConfig) -> dict[str, Any]:
    """Run `config` in a new process; ``secs`` and ``cpu_secs`` are from its start to its end."""
    began, used = time.perf_counter(), _used_by_children()
    with RawNode() as node:
        result = node.run(config)
    return {**result, "secs": time.perf_counter() - began, "cpu_secs": _used_by_children() - used}


def _used_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(text: str) -> dict[str, Any]:
    config = BacktestRunConfig.parse(text)
    began, used = time.perf_counter(), time.process_time()
    node = BacktestNode([config])
    (result,) = node.run()
    answer = {
        "secs": time.perf_counter() - began,
        "cpu_secs": time.process_time() - used,
        "orders": result.total_orders,
        "pnls": result.stats_pnls,
    }
    node.dispose()
    return answer


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Whatever nautilus prints must not be taken for an answer
    for line in sys.stdin:
        answer = _run(line)
        gc.collect()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
