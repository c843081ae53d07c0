"""
A sweep on the server's pool against the same sweep by raw nautilus: one process for each configuration.

Both use all cores: ours as many warm children as there are cores, raw as many fresh processes at a time. Ours
writes a run directory for every configuration, counts its trials and measures what its best is worth; raw
writes nothing. Both must end with the same numbers of orders.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from month import build_config, build_ema_cross, import_month, quieten
from raw_node import run_fresh
from rounds import build_row, run_script
from served import run_job, running_service

from workbench.jobs.directory import JobDirectory

__all__ = ["measure"]

TARGET = 4.0
FAST = "engine.strategies.0.config.fast_ema_period"
SLOW = "engine.strategies.0.config.slow_ema_period"


def measure(rounds: int = 1, quick: bool = False) -> list[dict[str, Any]]:
    """Measure a grid of 20 points over the month."""
    grid = {FAST: [5, 8, 10, 12], SLOW: [20, 28, 36, 44, 52]} if not quick else {FAST: [5], SLOW: [20, 28]}
    options = {"end": "2012-02-05T00:00:00Z"} if quick else {}
    cores = len(os.sched_getaffinity(0))
    ratios, details = [], []
    with tempfile.TemporaryDirectory() as name:
        catalog = import_month(Path(name))
        base = build_config(catalog, [build_ema_cross(10, 20)], "NETTING", **options)
        wish = {
            "backtest": {"config": json.loads(base.json())},
            "search": {"space": {"kind": "grid", "grid": grid}},
        }
        for turn in range(rounds):
            root = Path(name) / f"served-{turn}"
            began = time.perf_counter()
            with running_service(root) as service:
                job = run_job(service, wish, "sweep")
                ours = time.perf_counter() - began
            trials = JobDirectory(root / "runs" / job.id).read_json("sweep.json")["trials"]
            points = list(itertools.product(*grid.values()))
            configs = [
                quieten(build_config(catalog, [build_ema_cross(*p)], "NETTING", **options)) for p in points
            ]
            began = time.perf_counter()
            with ThreadPoolExecutor(cores) as pool:
                raw = list(pool.map(run_fresh, configs))
            theirs = time.perf_counter() - began
            counts = {
                tuple(t["point"].values()): JobDirectory(root / "runs" / t["job_id"]).read_manifest().orders
                for t in trials
            }
            if [counts[p] for p in points] != [r["orders"] for r in raw]:
                raise RuntimeError("the two sides made different orders")
            ratios.append(theirs / ours)
            details.append(f"{ours:.1f} s against {theirs:.1f} s for {len(points)} runs")
    return [
        build_row(
            "sweep on the pool, times faster",
            ratios,
            TARGET,
            f"{cores} cores; {details[-1]}",
            is_more_better=True,
        )
    ]


if __name__ == "__main__":
    run_script(measure, __doc__)
