"""Every run has its own log, whole lines of JSON, also when one process runs many."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.config import LoggingConfig

from tests.backtest.tiny import MARKER, build_catalog, tiny_config
from workbench.backtest.run import Run, run_backtest
from workbench.backtest.rundir import find_runs
from workbench.backtest.sources import build_strategy_config
from workbench.errors import ConfigError
from workbench.jobs.worker import Worker


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("logs") / "catalog")


def _run(catalog: Path, runs: Path, worker: Worker, mark: str, logging: LoggingConfig | None = None) -> Run:
    path = runs.parent / "marker.py"
    path.write_text(MARKER)
    strategy = build_strategy_config(f"{path}:Marker", {"mark": mark}, runs=runs)
    return run_backtest(tiny_config(catalog, strategy, logging=logging), runs=runs, worker=worker)


def _lines(run: Run) -> list[dict[str, Any]]:
    content = (run.path / "log.jsonl").read_bytes()
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def _marks(run: Run) -> list[str]:
    return [line["message"] for line in _lines(run) if str(line["message"]).startswith("marked")]


def test_runs_of_one_warm_process_have_each_their_own_lines(
    catalog: Path, runs: Path, worker: Worker
) -> None:
    marks = ["one", "two", "thrée ✓"]
    found, pids = [], set()
    for mark in marks:
        found.append(_run(catalog, runs, worker, mark))
        pids.add(worker.pid)
    assert len(pids) == 1
    assert [_marks(run) for run in found] == [[f"marked {mark}"] for mark in marks]
    for run in found:
        assert all({"timestamp", "level", "component", "message"} <= set(line) for line in _lines(run))
        assert not any(line["level"] == "INFO" for line in _lines(run))
        assert run.verify() == []


def test_another_level_gets_a_fresh_process_and_its_lines(catalog: Path, runs: Path, worker: Worker) -> None:
    before = _run(catalog, runs, worker, "warm")
    pid = worker.pid
    louder = _run(catalog, runs, worker, "loud", LoggingConfig(log_level_file="info"))
    assert worker.pid != pid
    assert _marks(louder) == ["marked loud"]
    assert [m["message"] for m in _lines(louder) if str(m["message"]).startswith("bar ")] == [
        "bar 50",
        "bar 100",
        "bar 150",
        "bar 200",
    ]
    pid = worker.pid
    _run(catalog, runs, worker, "loud again", LoggingConfig(log_level_file="INFO"))
    assert worker.pid == pid
    after = _run(catalog, runs, worker, "quiet")
    assert worker.pid != pid
    assert _marks(before) == ["marked warm"]
    assert _marks(after) == ["marked quiet"]
    assert not any(line["level"] == "INFO" for line in _lines(after))
    assert before.record.identity == _run(catalog, runs, worker, "warm").record.identity


_FOREIGN = """
from nautilus_trader.common.component import init_logging
from workbench.backtest.logs import ProcessLog
from workbench.jobs.control import RecycleError

guard = init_logging()
try:
    ProcessLog(None)
except RecycleError as e:
    print("recycle:", e)
"""


def _execute(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_logger_that_somebody_else_has_set_up_needs_a_fresh_process() -> None:
    assert any(line.startswith("recycle: somebody else has set up") for line in _execute(_FOREIGN))


@pytest.mark.parametrize(
    ("logging", "level"),
    [
        (LoggingConfig(log_level_file="LOUD"), "LOUD"),
        (LoggingConfig(log_component_levels={"Marker": "QUIET"}), "QUIET"),
    ],
)
def test_level_that_does_not_exist_is_refused_before_the_run(
    catalog: Path, runs: Path, worker: Worker, logging: LoggingConfig, level: str
) -> None:
    """Nautilus would end the process."""
    with pytest.raises(ConfigError, match=f"the log level is '{level}'; expected one of OFF, TRACE"):
        _run(catalog, runs, worker, "never", logging)
    assert find_runs(runs) == []


def test_component_has_the_level_that_it_is_given(catalog: Path, runs: Path, worker: Worker) -> None:
    logging = LoggingConfig(log_level_file="INFO", log_component_levels={"Marker": "warning"})
    run = _run(catalog, runs, worker, "component", logging)
    assert _marks(run) == ["marked component"]
    assert not any(str(line["message"]).startswith("bar ") for line in _lines(run))
    assert any(line["level"] == "INFO" for line in _lines(run))
