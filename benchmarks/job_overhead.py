"""
What the server adds to a run: the same month as a job, against the same task alone on a warm worker.

In turns. The job's time is from the moment its process is asked to begin until its end is recorded, as the
record says; the detail says what the caller waits from the submission on, which includes the check of the
configuration in another process, and how long that check alone takes.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from month import build_config, build_ema_cross, import_month
from nautilus_trader.backtest.config import BacktestRunConfig
from rounds import build_row, run_script
from served import run_job, running_service

from workbench.backtest.run import run_backtest
from workbench.jobs.worker import Worker

__all__ = ["measure"]

TARGET = 1.03


def measure(rounds: int = 5, quick: bool = False) -> list[dict[str, Any]]:
    """Measure EMACross 10/20 on the month."""
    alone, recorded, waited, checks = [], [], [], []
    with tempfile.TemporaryDirectory() as name:
        catalog = import_month(Path(name))
        options = {"end": "2012-02-05T00:00:00Z"} if quick else {}
        config = build_config(catalog, [build_ema_cross(10, 20)], "NETTING", **options)
        with running_service(Path(name) / "served", slots=1) as service, Worker() as worker:
            wish = {"config": json.loads(config.json())}
            _run_alone(worker, config, Path(name))
            run_job(service, wish)
            for _ in range(rounds):
                alone.append(_run_alone(worker, config, Path(name)))
                began = time.perf_counter()
                service.preview("backtest", wish)
                checks.append(time.perf_counter() - began)
                began = time.perf_counter()
                recorded.append(run_job(service, wish).elapsed_secs)
                waited.append(time.perf_counter() - began)
    detail = (
        f"{statistics.median(recorded):.2f} s against {statistics.median(alone):.2f} s; from the submission on "
        f"{statistics.median(waited):.2f} s, of which the check takes {statistics.median(checks):.2f} s"
    )
    ratios = [job / bare for job, bare in zip(recorded, alone, strict=True)]
    return [build_row("a job, against the bare run", ratios, TARGET, detail)]


def _run_alone(worker: Worker, config: BacktestRunConfig, folder: Path) -> float:
    # The time of the task alone: `run_backtest` checks the data before it, as the submission of a job does.
    began = time.perf_counter()
    moments: list[float] = []
    run_backtest(
        config,
        runs=folder / "alone",
        worker=worker,
        on_progress=lambda p: moments.append(time.perf_counter()),
    )
    return time.perf_counter() - (moments[0] if moments else began)


if __name__ == "__main__":
    run_script(measure, __doc__)
