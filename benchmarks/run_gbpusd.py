"""
A run on a warm worker against raw `BacktestNode`, on one month of GBP/USD.

EMACross 10/20 makes 2,984 orders, EMACross 2/3 15,070. Both sides are warm processes that have run a day
before; both sides read the same catalog and must end with the same orders and PnL. Ours is timed by the
caller and includes checking, hashing and writing the run directory; raw is timed inside its process, without
logging, and writes nothing. EMACross 2/3 takes raw minutes on pandas 3, so raw does it once.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from month import MODES, build_config, build_ema_cross, import_month, quieten
from our_run import OurRun, check_same
from raw_node import RawNode
from rounds import build_row, compare, run_script

__all__ = ["measure", "measure_pair"]

# Of raw wall time, by the strategy's periods; with pandas 2 the raw side is faster.
TARGETS = {(10, 20): 0.4, (2, 3): 0.06}
TARGET_PANDAS_2 = 0.6
WARM_UP = {"end": "2012-02-01T23:00:00Z"}
QUICK = {"end": "2012-02-05T00:00:00Z"}


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure both strategies in both modes of order management."""
    is_pandas_2 = pd.__version__.startswith("2.")
    rows = []
    for periods, target in TARGETS.items():
        for mode in MODES:
            if is_pandas_2 and periods != (2, 3):
                continue
            target = TARGET_PANDAS_2 if is_pandas_2 else target
            raw_rounds = 1 if periods == (2, 3) and not is_pandas_2 else rounds
            rows.append(measure_pair(periods, mode, target, rounds, raw_rounds, quick=quick))
    return rows


def measure_pair(
    periods: tuple[int, int], mode: str, target: float, rounds: int, raw_rounds: int, *, quick: bool
) -> dict[str, Any]:
    """Measure one strategy in one mode, the sides in turns; raw only in the first `raw_rounds`."""
    with tempfile.TemporaryDirectory() as name:
        catalog = import_month(Path(name))
        strategies = [build_ema_cross(*periods)]
        config = build_config(catalog, strategies, mode, **(QUICK if quick else {}))
        warm_up = build_config(catalog, strategies, mode, **WARM_UP)
        ours: list[dict[str, Any]] = []
        raw: list[dict[str, Any]] = []
        with OurRun(Path(name)) as worker, RawNode() as node:
            worker.run(warm_up)
            node.run(quieten(warm_up))
            for turn in range(rounds):
                ours.append(worker.run(config))
                if turn < raw_rounds:
                    raw.append(node.run(quieten(config)))
                check_same(ours[-1], raw[-1])
    theirs = statistics.median(r["secs"] for r in raw)
    ratios = [
        own["secs"] / (raw[turn]["secs"] if turn < len(raw) else theirs) for turn, own in enumerate(ours)
    ]
    detail = (
        f"{compare(ours, raw)}, {ours[0]['orders']:,} orders, pandas {pd.__version__}"
        f"{', raw measured once' if len(raw) == 1 < rounds else ''}"
    )
    return build_row(
        f"run EMACross {periods[0]}/{periods[1]} {mode}, pandas {pd.__version__.split('.')[0]}",
        ratios,
        target,
        detail,
        ours_secs=[round(r["secs"], 3) for r in ours],
        raw_secs=[round(r["secs"], 3) for r in raw],
        orders=ours[0]["orders"],
    )


if __name__ == "__main__":
    run_script(measure, __doc__)
