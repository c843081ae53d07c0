"""The backtest as a kind of job: its task, its wish, and its end read from the directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.backtest.configs import HALF_A_DAY, ema_cross, fx_config
from workbench.backtest.kind import BacktestKind
from workbench.backtest.run import run_backtest
from workbench.backtest.sources import build_strategy_config
from workbench.errors import RunError
from workbench.jobs.kinds import Kind
from workbench.jobs.worker import Worker
from workbench.records import JobRecord
from workbench.stamps import normalise_stamp
from workbench.states import JobState

STRATEGIES = Path(__file__).with_name("bt_strategies.py")
KIND: Kind = BacktestKind()


def test_import_knows_neither_nautilus_nor_pandas() -> None:
    code = "import sys, workbench.backtest.kind; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"nautilus_trader", "pandas", "pyarrow", "numpy"}.isdisjoint(found.split())


def test_end_of_a_run_is_its_manifest_and_its_headline_as_numbers(
    gbpusd: Path, runs: Path, worker: Worker
) -> None:
    run = run_backtest(fx_config(gbpusd, ema_cross(), **HALF_A_DAY), name="mine", runs=runs, worker=worker)
    end = KIND.read_end(run.path)
    assert end is not None
    assert (end.state, end.failure, end.name) == (JobState.COMPLETED, None, "mine")
    assert run.record.identity is not None
    assert end.identity == run.record.identity.run
    assert end.rows == run.record.rows == run.record.events > 0
    assert end.lineage == "nautilus_trader.examples.strategies.ema_cross:EMACross"
    assert end.dataset == "GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL,GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"
    assert (end.started_at, end.finished_at) == (run.record.started_at, run.record.finished_at)
    assert (end.start, end.end) == (run.record.backtest_start, run.record.backtest_end)
    assert end.start is not None
    assert normalise_stamp(end.start) == end.start, "it compares with a sealed range"
    assert all(type(value) is float for value in end.headline.values())
    metrics = run.metrics["headline"]
    assert end.headline["turnover"] == float(metrics["turnover"]["value"])
    assert isinstance(metrics["turnover"]["value"], str)
    assert end.headline["fills"] == metrics["fills"]["value"]
    # Neither times nor what is unknown is a number
    assert {"start", "end"}.isdisjoint(end.headline)
    assert all(metrics[name]["value"] is not None for name in end.headline)


def test_end_of_a_run_that_has_not_ended_is_nothing(tmp_path: Path) -> None:
    assert KIND.read_end(tmp_path) is None
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        KIND.read_end(tmp_path)


def test_task_and_wish_of_a_job_repeat_its_run(gbpusd: Path, runs: Path, worker: Worker) -> None:
    captured = build_strategy_config(f"{STRATEGIES}:Clockwork", {}, runs=runs)
    run = run_backtest(fx_config(gbpusd, captured, **HALF_A_DAY), runs=runs, worker=worker)
    job = JobRecord(id="again", kind=KIND.name, name="again", created_at="", spec={"search_path": ["/x"]})
    wish = KIND.build_wish(job, run.path)
    outcome = worker.run(KIND.preparation, {**wish, "runs": str(runs / "other")})
    assert outcome.failure is None
    assert not wish["use_holdout"]
    used = msgspec.structs.replace(job, spec={"use_holdout": True})
    assert KIND.build_wish(used, run.path)["use_holdout"]
    directory = runs / "again"
    for name, text in outcome.result["files"].items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    task, spec = KIND.build_task(job, directory)
    assert (spec["name"], spec["search_path"]) == ("again", ["/x"])
    assert worker.run(task, spec).state == JobState.COMPLETED
    end = KIND.read_end(directory)
    assert end is not None
    assert run.record.identity is not None
    assert (end.identity, end.lineage) == (run.record.identity.run, "Clockwork")
