"""
An emergency stop under load: from the call to the gate shut, against the 50 ms that a trader was promised.

A real host on a replay, whose strategy sends orders as fast as quotes come. It is stopped and set going again, over and
over. The second row is how long the whole call takes, with the latch on disk.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from busy_engine import prepare, run_host
from rounds import build_row, run_script

from workbench.live.host_call import call_host

__all__ = ["measure"]

STOPS = 200
MOST_MS = 50.0


def measure(rounds: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Stop and go on, over and over."""
    shut: list[float] = []
    whole: list[float] = []
    stops = STOPS // 10 if quick else STOPS
    with tempfile.TemporaryDirectory() as place, run_host(prepare(Path(place) / "load")) as socket:
        for _ in range(stops * rounds):
            began_ns, began = time.time_ns(), time.perf_counter()
            outcome = call_host(
                socket, "/emergency-stop", {"reason": "a drill"}, by="benchmark", timeout_secs=10
            )
            whole.append((time.perf_counter() - began) * 1e3)
            shut.append((outcome["shut_ns"] - began_ns) / 1e6)
            call_host(socket, "/emergency-clear", {"reason": "a drill"}, by="benchmark", timeout_secs=10)
            call_host(socket, "/trading-state", {"state": "ACTIVE"}, by="benchmark", timeout_secs=10)
            time.sleep(0.02)  # For the strategy to trade again
    return [_judge("call to gate shut, p99", shut), _judge("the whole call, p99", whole)]


def _judge(name: str, took: list[float]) -> dict[str, Any]:
    p99 = statistics.quantiles(took, n=100)[98]
    detail = f"median {statistics.median(took):.1f} ms, p99 {p99:.1f} ms, worst {max(took):.1f} ms, {len(took)} stops"
    return build_row(name, [p99 / MOST_MS], 1.0, detail, p99_ms=p99, worst_ms=max(took))


if __name__ == "__main__":
    run_script(measure, __doc__)
