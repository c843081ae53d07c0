"""
What an order costs in a run of 30,000 orders, against one of 3,000.

A strategy that turns its position every so many bars runs on the same month with 3,010 to 30,116 orders, and
once without any: the difference is what the orders cost. The same in a run of any length means a ratio of 1;
nautilus's own bookkeeping makes it grow with the number of orders. CPU seconds of both processes.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from month import MODES, build_config, build_flips, import_month
from our_run import OurRun
from rounds import build_row, run_script

__all__ = ["measure"]

TARGET = 1.25
# Turns every so many bars: none, then 3,010, 6,022, 15,058 and 30,116 orders in the month.
NEVER = 1_000_000_000
EVERY = (20, 10, 4, 2)
QUICK_EVERY = (200, 20)


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure both modes of order management."""
    with tempfile.TemporaryDirectory() as name:
        catalog = import_month(Path(name))
        with OurRun(Path(name)) as worker:
            worker.run(build_config(catalog, [build_flips(100)], MODES[0]))
            return [_measure_mode(worker, catalog, mode, rounds, quick=quick) for mode in MODES]


def _measure_mode(worker: OurRun, catalog: Path, mode: str, rounds: int, *, quick: bool) -> dict[str, Any]:
    sizes = QUICK_EVERY if quick else EVERY
    costs: dict[int, list[float]] = {}
    for _ in range(rounds):
        none = worker.run(build_config(catalog, [build_flips(NEVER)], mode))
        for every in sizes:
            run = worker.run(build_config(catalog, [build_flips(every)], mode))
            costs.setdefault(run["orders"], []).append((run["cpu_secs"] - none["cpu_secs"]) / run["orders"])
    first, *_, last = costs
    ratios = [most / least for least, most in zip(costs[first], costs[last], strict=True)]
    medians = {orders: statistics.median(secs) * 1e6 for orders, secs in costs.items()}
    detail = ", ".join(f"{cost:.0f} us at {orders:,} orders" for orders, cost in medians.items())
    return build_row(f"cost per order {mode}", ratios, TARGET, detail, us_per_order=medians)


if __name__ == "__main__":
    run_script(measure, __doc__)
