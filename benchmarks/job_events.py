"""
Progress from a child process to a client: how many reports a second, and how late they arrive.

A task reports as fast as it can, with its own clock in the report; the client is a WebSocket of the server in
another process, through HTTP and all. A client is told the latest progress of a job, so a fast job's reports
are merged on the way: the first row counts what the server took from the child, in thousands a second; the
second is the 99th percentile of the age of what the client received while a job reports ten times a second, as
a run does, in milliseconds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from reporting import serve
from rounds import build_row, run_script

from workbench.client.connection import connect
from workbench.jobs.worker import Worker
from workbench.records import Progress
from workbench.states import JobState

__all__ = ["measure"]

RATE_TARGET = 5.0
AGE_TARGET = 50.0
SECS = 5.0


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure on a server of a workspace of its own."""
    here = str(Path(__file__).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    secs = 0.5 if quick else SECS
    rates = []
    with Worker() as worker:
        for _ in range(rounds):
            seen: list[Progress] = []
            began = time.perf_counter()
            worker.run("reporting:report", {"secs": secs, "pause_secs": 0.0}, on_progress=seen.append)
            rates.append(len(seen) / (time.perf_counter() - began) / 1_000)
    ages = [_measure_ages(secs) for _ in range(rounds)]
    p99 = [statistics.quantiles(a, n=100)[98] for a in ages]
    middle = statistics.median(statistics.median(a) for a in ages)
    return [
        build_row(
            "reports from child to server, thousands/s",
            rates,
            RATE_TARGET,
            f"{secs:g} s each",
            is_more_better=True,
        ),
        build_row(
            "age of progress at the client, p99 in ms",
            p99,
            AGE_TARGET,
            f"median {middle:.1f} ms, {sum(map(len, ages))} messages through the WebSocket",
        ),
    ]


def _measure_ages(secs: float) -> list[float]:
    with tempfile.TemporaryDirectory() as name, serve(Path(name)) as settings:
        client = connect(settings=settings, start=False)
        job = client.submit_backtest({"secs": secs, "pause_secs": 0.1})
        ages = []
        for message in client.events(timeout_secs=secs + 30):
            if message["type"] == "progress" and (sent := message["progress"].get("simulated_ts_ns")):
                ages.append((time.time_ns() - sent) / 1e6)
            is_mine = message["type"] == "job" and message["job"]["id"] == job.id
            if is_mine and JobState(message["job"]["state"]).is_finished:
                break
        client.close()
    return ages


if __name__ == "__main__":
    run_script(measure, __doc__)
