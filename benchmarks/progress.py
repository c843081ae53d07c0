"""
What progress reports cost, as a share of the run.

Inside the run: the time spent in reporting over the time of the run, with a clock around the monitor's own
method. It counts building the report, encoding it and handing it to the parent. In the detail: the same with
the samples of equity, which are results and not progress, and the CPU seconds of whole runs with and
without reports, in turns, which are too noisy to show less than some per cent.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from month import build_config, build_ema_cross, import_month
from nautilus_trader.backtest.config import BacktestRunConfig
from rounds import build_row, run_script

from workbench.jobs.worker import Worker

__all__ = ["measure"]

TARGET = 0.01
TASK = "timed_run:execute"


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure EMACross 10/20 on the month."""
    here = str(Path(__file__).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as name:
        catalog = import_month(Path(name))
        options = {"end": "2012-02-05T00:00:00Z"} if quick else {}
        config = build_config(catalog, [build_ema_cross(10, 20)], "NETTING", **options)
        told, silent = [], []
        with Worker() as worker:
            _run(worker, config, Path(name) / "warm-up", silent=False)
            for turn in range(rounds):
                told.append(_run(worker, config, Path(name) / f"told-{turn}", silent=False))
                silent.append(_run(worker, config, Path(name) / f"silent-{turn}", silent=True))
    shares = [r["report_secs"] / r["loop_secs"] for r in told]
    sampled = statistics.median((r["report_secs"] + r["sample_secs"]) / r["loop_secs"] for r in told)
    cpu = [statistics.median(r["cpu_secs"] for r in side) for side in (told, silent)]
    last = told[-1]
    detail = (
        f"{last['reports']} reports in {last['loop_secs']:.2f} s, {last['seen']} received; "
        f"with the {last['samples']:,} samples of equity {sampled:.2%}; "
        f"CPU of whole runs {cpu[0]:.2f} s, silent {cpu[1]:.2f} s"
    )
    return [build_row("progress reports, share of the run", shares, TARGET, detail)]


def _run(worker: Worker, config: BacktestRunConfig, path: Path, *, silent: bool) -> dict[str, Any]:
    path.mkdir()
    spec = {"config": config.json().decode(), "path": str(path), "started_at": "", "silent": silent}
    seen: list[object] = []
    outcome = worker.run(TASK, spec, on_progress=seen.append)
    if outcome.failure is not None:
        raise RuntimeError(f"{outcome.failure.message}\n{outcome.failure.traceback}")
    return {**outcome.result, "seen": len(seen)}


if __name__ == "__main__":
    run_script(measure, __doc__)
