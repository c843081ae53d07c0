"""
How long an engine takes to start, to stop and to start again, beside a bare `TradingNode` of nautilus.

Both have the same clients and the same strategy, and end by the same deadlines of nautilus. Ours is started as people
start it: a guardian, which starts a host with journal, gate and service; it has started when it is RUNNING, and is
stopped when its host is gone. The bare node is a Python process: it has started when its trader runs, and is stopped
when it has exited after SIGTERM. A restart is held against a stop and a start of the bare node.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from busy_engine import find_import_paths, prepare
from nautilus_trader.config import TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from rounds import build_row, run_script

from workbench.errors import ServerError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.launch import restart_engine, start_engine, stop_engine

__all__ = ["measure"]

MOST_RATIOS = {"start": 2.0, "stop": 2.0, "restart": 2.0}
EACH = 5
POLL_SECS = 0.01
# As a host has them: see `workbench.live.node`.
DEADLINES = {"timeout_disconnection": 5.0, "timeout_post_stop": 0.5, "timeout_shutdown": 2.0}


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Start and stop both in turns."""
    os.environ["PYTHONPATH"] = find_import_paths()
    ours: list[dict[str, float]] = []
    bare: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        directory = prepare(Path(name) / "start", speed=1.0)
        config = _write_bare_config(directory)
        _time_bare(config)  # What is on the disk is in memory for all that follow
        for _ in range(1 if quick else rounds * EACH):
            ours.append(_time_engine(directory))
            bare.append(_time_bare(config))
    for one in bare:
        one["restart"] = one["stop"] + one["start"]
    return [_compare(what, [o[what] for o in ours], [b[what] for b in bare]) for what in MOST_RATIOS]


def _compare(what: str, ours: list[float], bare: list[float]) -> dict[str, Any]:
    own, other = statistics.median(ours), statistics.median(bare)
    return build_row(
        f"an engine's {what} against a bare node's",
        [a / b for a, b in zip(ours, bare, strict=True)],
        MOST_RATIOS[what],
        f"{own:.2f} s, at most {max(ours):.2f} s, against {other:.2f} s, at most {max(bare):.2f} s",
        secs=own,
        worst_secs=max(ours),
        bare_secs=other,
    )


def _time_engine(directory: EngineDirectory) -> dict[str, float]:
    moments = [time.perf_counter()]
    try:
        start_engine(directory, by="benchmark")
        moments.append(time.perf_counter())
        restart_engine(directory, by="benchmark")
        moments.append(time.perf_counter())
    finally:
        stop_engine(directory, by="benchmark")
    moments.append(time.perf_counter())
    return {
        what: b - a for what, a, b in zip(("start", "restart", "stop"), moments, moments[1:], strict=False)
    }


def _write_bare_config(directory: EngineDirectory) -> Path:
    node = {**directory.load_config(directory.load_version().version).node, **DEADLINES}
    path = directory.path.parent / "bare.json"
    path.write_text(json.dumps({**node, "trader_id": "BARE-001", "logging": {"log_level": "OFF"}}))
    return path


def _time_bare(config: Path) -> dict[str, float]:
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, __file__, str(config)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        if not any(line.strip() == "RUNNING" for line in iter(process.stdout.readline, "")):
            raise ServerError("the bare node did not start")
        running = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        process.wait()
    return {"start": running - began, "stop": time.perf_counter() - running}


def _run_bare(config: Path) -> None:
    node = TradingNode(TradingNodeConfig.parse(config.read_text()))
    node.build()

    def tell() -> None:
        while not node.trader.is_running:
            time.sleep(POLL_SECS)
        print("RUNNING", flush=True)

    threading.Thread(target=tell, daemon=True).start()
    node.run()
    node.dispose()


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].endswith(".json"):
        _run_bare(Path(sys.argv[1]))
    else:
        run_script(measure, __doc__)
