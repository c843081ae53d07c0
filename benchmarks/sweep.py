"""
A sweep over 50 configurations: one warm worker against one fresh `BacktestNode` process for each.

Both sides use one core and run one configuration at a time, in turns of five: five of ours, the same five
raw. Ours includes the start of the worker and all that it writes; raw writes nothing and logs nothing. Both
must end with the same orders and PnL.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

from month import build_config, build_ema_cross, import_month, quieten
from nautilus_trader.backtest.config import BacktestRunConfig
from our_run import OurRun, check_same
from raw_node import run_fresh
from rounds import build_row, run_script

__all__ = ["measure"]

TARGET = 4.0
PERIODS = tuple(itertools.product((5, 8, 10, 12, 15), (20, 24, 28, 32, 36, 40, 44, 48, 52, 60)))
TURN = 5


def measure(rounds: int = 1, quick: bool = False, raw: int | None = None) -> list[dict[str, Any]]:
    """
    Measure the sweep; `rounds` is not used, because the turns are the rounds.

    Parameters
    ----------
    raw : int, optional
        How many of the configurations the raw side runs (default: all).

    """
    periods = PERIODS[:2] if quick else PERIODS
    options = {"end": "2012-02-05T00:00:00Z"} if quick else {}
    wanted = len(periods) if raw is None else raw
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        catalog = import_month(Path(name))
        configs = [build_config(catalog, [build_ema_cross(*p)], "NETTING", **options) for p in periods]
        began = time.perf_counter()
        with OurRun(Path(name)) as worker:
            started = time.perf_counter() - began
            for turn in itertools.batched(configs, TURN, strict=False):
                mine = [worker.run(config) for config in turn]
                mine[0]["secs"] += started
                started = 0.0
                ours += mine
                others = _run_raw(turn[: max(wanted - len(theirs), 0)])
                theirs += others
                for own, other in zip(mine, others, strict=False):
                    check_same(own, other)
                if others:
                    ratios.append(_total(others) / _total(mine[: len(others)]))
    cpu = [_total(side, "cpu_secs") for side in (ours[: len(theirs)], theirs)]
    detail = (
        f"{_total(ours):.0f} s for {len(ours)} runs of ours, {_total(theirs):.0f} s for {len(theirs)} raw; "
        f"CPU of the same runs {cpu[0]:.0f} s against {cpu[1]:.0f} s"
    )
    return [
        build_row(
            f"sweep of {len(periods)}, times faster per core",
            ratios,
            TARGET,
            detail,
            is_more_better=True,
            ours_secs=[round(r["secs"], 3) for r in ours],
            raw_secs=[round(r["secs"], 3) for r in theirs],
        )
    ]


def _run_raw(configs: tuple[BacktestRunConfig, ...]) -> list[dict[str, Any]]:
    return [run_fresh(quieten(config)) for config in configs]


def _total(runs: list[dict[str, Any]], key: str = "secs") -> float:
    return float(sum(run[key] for run in runs))


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--raw", type=int, help="how many configurations the raw side runs (default: all)")


if __name__ == "__main__":
    run_script(measure, __doc__, _add)
