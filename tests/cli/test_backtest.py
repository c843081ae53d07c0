"""``workbench backtest``: what it runs, what it says, and how it refuses."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, build_environment
from tests.client.conftest import make_settings, wait_until
from workbench.backtest.run import load_run
from workbench.client.connection import connect
from workbench.states import JobState

SLOW_STRATEGY = """
import time

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.trading.strategy import Strategy


class SlowConfig(StrategyConfig, frozen=True):
    bar_type: BarType


class Slow(Strategy):
    def on_start(self):
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar):
        time.sleep(0.01)
"""


def write(workspace: Path, name: str, value: Any) -> Path:
    path = workspace / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def count_runs(workspace: Path) -> int:
    runs = workspace / "runs"
    return sum((p / "config.json").exists() for p in runs.iterdir()) if runs.is_dir() else 0


def test_run_valid_config_prints_the_numbers_of_its_run(
    cli: Cli, workspace: Path, config: dict[str, Any]
) -> None:
    result = cli("backtest", "run", write(workspace, "good.json", config))
    assert result.returncode == 0, result.stderr
    path = re.search(r"run +(/\S+)", result.stdout)
    assert path is not None
    run = load_run(path[1])
    assert run.record.state == JobState.COMPLETED
    assert run.verify() == []
    net = run.metrics["headline"]["pnl"]["value"]
    assert f"{float(net):,.2f} USD".replace("-", "\N{MINUS SIGN}") in result.stdout
    assert run.record.orders == len(run.load_table("orders")) > 10


@pytest.fixture(scope="module")
def made(cli: Cli, workspace: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return what the command says of a run; the tests leave it as it is."""
    result = cli("backtest", "run", write(workspace, "good.json", config), "--json", "--name", "for machines")
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_run_with_json_prints_one_document(made: dict[str, Any]) -> None:
    assert made["state"] == "COMPLETED"
    assert made["name"] == "for machines"
    assert made["headline"]["trades"]["value"] > 0


def test_ls_and_show_find_the_run(cli: Cli, made: dict[str, Any]) -> None:
    listed = json.loads(cli("backtest", "ls", "--json").stdout)
    assert made["run_id"] in [run["run_id"] for run in listed]
    assert made["run_id"] in cli("backtest", "ls").stdout
    shown = json.loads(cli("backtest", "show", made["run_id"], "--json").stdout)
    assert shown["metrics"]["headline"] == made["headline"]
    assert shown["damaged"] == []


def test_show_damaged_run_names_the_file_and_fails(cli: Cli, workspace: Path, config: dict[str, Any]) -> None:
    made = json.loads(cli("backtest", "run", write(workspace, "good.json", config), "--json").stdout)
    fills = Path(made["path"]) / "fills.parquet"
    content = bytearray(fills.read_bytes())
    content[len(content) // 2] ^= 1
    fills.write_bytes(content)
    result = cli("backtest", "show", made["run_id"])
    assert result.returncode == 1
    assert "fills.parquet" in result.stderr


def test_run_strategy_file_keeps_its_source(cli: Cli, workspace: Path, config: dict[str, Any]) -> None:
    write(workspace, "slow.py", SLOW_STRATEGY.replace("time.sleep(0.01)", "pass"))
    changed = copy.deepcopy(config)
    changed["engine"]["strategies"][0] = {
        "strategy_path": "slow.py:Slow",
        "config_path": "slow.py:SlowConfig",
        "config": {"bar_type": "AAPL.XNAS-1-DAY-LAST-EXTERNAL"},
    }
    result = cli("backtest", "run", write(workspace, "file.json", changed), "--json")
    assert result.returncode == 0, result.stderr
    (kept,) = (Path(json.loads(result.stdout)["path"]) / "strategies").glob("*.py")
    assert "class Slow(Strategy)" in kept.read_text()


def test_run_failing_strategy_exits_1_with_its_traceback(
    cli: Cli, workspace: Path, config: dict[str, Any]
) -> None:
    write(workspace, "broken.py", SLOW_STRATEGY.replace("time.sleep(0.01)", "raise ValueError('no luck')"))
    changed = copy.deepcopy(config)
    changed["engine"]["strategies"][0] = {
        "strategy_path": "broken.py:Slow",
        "config_path": "broken.py:SlowConfig",
        "config": {"bar_type": "AAPL.XNAS-1-DAY-LAST-EXTERNAL"},
    }
    result = cli("backtest", "run", write(workspace, "broken.json", changed))
    assert result.returncode == 1
    assert "ValueError: no luck" in result.stderr
    assert "in on_bar" in result.stderr


def write_slow(workspace: Path, config: dict[str, Any]) -> Path:
    """Write a configuration whose run takes half a minute, and makes the file ``begun`` when it has begun."""
    begun = workspace / "begun"
    begun.unlink(missing_ok=True)
    write(
        workspace,
        "slow.py",
        SLOW_STRATEGY.replace(
            "    def on_bar", f"        open({str(begun)!r}, 'w').close()\n\n    def on_bar"
        ),
    )
    changed = copy.deepcopy(config)
    changed["engine"]["strategies"][0] = {
        "strategy_path": "slow.py:Slow",
        "config_path": "slow.py:SlowConfig",
        "config": {"bar_type": "AAPL.XNAS-1-DAY-LAST-EXTERNAL"},
    }
    return write(workspace, "slow.json", changed)


@pytest.mark.parametrize("options", [(), ("--local",)])
def test_run_interrupted_keeps_results_so_far(
    workspace: Path, config: dict[str, Any], options: tuple[str, ...]
) -> None:
    path = write_slow(workspace, config)
    before = set((workspace / "runs").iterdir()) if (workspace / "runs").is_dir() else set()
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "backtest", "run", str(path), *options],
        cwd=workspace,
        env=build_environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(workspace / "begun")
    (run_path,) = {p for p in (workspace / "runs").iterdir() if (p / "config.json").exists()} - before
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    run = load_run(run_path)
    assert run.record.state == JobState.CANCELLED
    assert run.record.events < 3_270
    assert "CANCELLED" in out


def test_run_local_needs_no_server(cli: Cli, workspace: Path, config: dict[str, Any], tmp_path: Path) -> None:
    """In a workspace of its own, so that a server that it started would be seen."""
    path = write(workspace, "good.json", config)
    runs = tmp_path / "elsewhere"
    made = cli("backtest", "run", path, "--local", "--runs", runs, "--json")
    assert made.returncode == 0, made.stderr
    document = json.loads(made.stdout)
    assert Path(document["path"]).parent == runs
    (listed,) = json.loads(cli("backtest", "ls", "--local", "--runs", runs, "--json").stdout)
    assert listed["run_id"] == document["run_id"]
    assert document["run_id"] in cli("backtest", "ls", "--local", "--runs", runs).stdout
    shown = json.loads(cli("backtest", "show", document["path"], "--local", "--json").stdout)
    assert shown["damaged"] == []
    assert document["run_id"] not in cli("backtest", "ls").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "good.json", "--runs", "elsewhere"),
        ("run", "good.json", "--local", "--detach"),
        ("ls", "--runs", "elsewhere"),
        ("show", "20120101-000000-abcdef", "--runs", "elsewhere"),
    ],
)
def test_options_that_contradict_each_other_are_refused(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("backtest", *arguments)
    assert result.returncode == 2
    assert "--local" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_detached_run_is_paused_resumed_and_cancelled(
    cli: Cli, workspace: Path, config: dict[str, Any]
) -> None:
    started = cli("backtest", "run", write_slow(workspace, config), "--detach", "--name", "left alone")
    assert started.returncode == 0, started.stderr
    job_id = started.stdout.strip()
    with connect(settings=make_settings(workspace)) as client:
        job = client.job(job_id)
        states = (m for m in client.events(after=job.record.seq - 1, timeout_secs=60) if m["type"] == "job")
        mine = (m["job"]["state"] for m in states if m["job"]["id"] == job_id)
        assert "RUNNING" in mine
        assert cli("backtest", "pause", job_id).returncode == 0
        assert "PAUSED" in mine
        assert "PAUSED" in cli("backtest", "show", job_id).stdout
        assert cli("backtest", "pause", job_id).returncode == 2
        (record,) = json.loads(cli("backtest", "resume", job_id, "--json").stdout)
        assert record["id"] == job_id
        assert "RUNNING" in mine
        assert cli("backtest", "cancel", job_id).returncode == 0
        assert job.wait(60).record.state == JobState.CANCELLED
    again = cli("backtest", "cancel", job_id)
    assert again.returncode == 2
    assert job_id in again.stderr
    (listed,) = json.loads(cli("backtest", "ls", "--name", "left", "--state", "cancelled", "--json").stdout)
    assert listed["run_id"] == job_id


def test_run_whose_server_is_killed_fails_and_says_how_to_run_it_again(
    cli: Cli, workspace: Path, config: dict[str, Any], made: dict[str, Any]
) -> None:
    path = write_slow(workspace, config)
    job_id = cli("backtest", "run", path, "--detach").stdout.strip()
    with connect(settings=make_settings(workspace)) as client:
        wait_until(workspace / "begun")
        os.kill(client.health()["pid"], signal.SIGKILL)

    shown = cli("jobs", "show", job_id)

    assert shown.returncode == 0, shown.stderr
    assert "INTERRUPTED" in shown.stdout
    assert json.loads(cli("backtest", "show", made["run_id"], "--json").stdout)["damaged"] == []
    assert cli("jobs", "requeue", job_id).stdout.strip() not in {"", job_id}


def test_list_is_sorted_by_a_headline_number(cli: Cli, workspace: Path, config: dict[str, Any]) -> None:
    for size in ("100", "2000"):
        changed = set_field(config, "engine.strategies.0.config.trade_size", size)
        made = cli("backtest", "run", write(workspace, "size.json", changed), "--name", f"size {size}")
        assert made.returncode == 0, made.stderr
    rows = json.loads(
        cli("backtest", "ls", "--name", "size", "--sort", "-total_return", "--limit", "2", "--json").stdout
    )
    assert [row["name"] for row in rows] == ["size 2000", "size 100"]
    listed = cli("backtest", "ls", "--limit", "1").stdout
    assert "1 of " in listed
    assert " %" in listed
    assert cli("backtest", "ls", "--sort", "colour").returncode == 2


def set_field(plain: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(plain)
    *parents, last = path.split(".")
    place: Any = changed
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [  # One of each sort; tests/backtest has them all
        ("colour", "red", "unknown field `colour`"),
        ("data.0.bar_types", ["AAPL.XNAS-1-HOUR-LAST-EXTERNAL"], "AAPL.XNAS-1-DAY-LAST-EXTERNAL"),
        ("data.0.catalog_path", "nowhere", "/nowhere; import data with"),
        ("engine.strategies.0.config.trade_sise", "1", "trade_sise"),
    ],
)
def test_run_bad_config_is_one_clear_line_and_no_run(
    cli: Cli, workspace: Path, config: dict[str, Any], path: str, value: Any, words: str
) -> None:
    changed = set_field(config, path, value)
    before = count_runs(workspace)
    result = cli("backtest", "run", write(workspace, "bad.json", changed))
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr
    assert count_runs(workspace) == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d / "missing.json", "there is no file"),
        (lambda d: d, "is a directory"),
        (lambda d: write(d, "empty.json", ""), "not valid JSON"),
        (lambda d: write(d, "cut.json", '{"venues": ['), "not valid JSON"),
    ],
)
def test_run_unreadable_file_is_one_clear_line(
    cli: Cli, workspace: Path, make: Callable[[Path], Path], words: str
) -> None:
    result = cli("backtest", "run", make(workspace))
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr


def test_errors_with_json_are_one_document(cli: Cli) -> None:
    result = cli("backtest", "run", "missing.json", "--json")
    assert result.returncode == 2
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "not_found"
    assert "missing.json" in error["message"]


@pytest.mark.parametrize("options", [(), ("--local",)])
def test_show_unknown_run_is_one_clear_line(cli: Cli, options: tuple[str, ...]) -> None:
    result = cli("backtest", "show", "20120101-000000-abcdef", *options)
    assert result.returncode == 2
    assert "20120101-000000-abcdef" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_run_full_disk_is_one_clear_line(workspace: Path, config: dict[str, Any]) -> None:
    """A limit on the size of files stands for a full disk: the same write fails, on any machine."""
    path = write(workspace, "good.json", config)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "sys.argv = ['workbench', 'backtest', 'run', sys.argv[1], '--local', '--runs', sys.argv[2]];"
        "from workbench.cli.main import main; main()"
    )
    runs = workspace / "full"
    result = subprocess.run(
        [sys.executable, "-c", script, str(path), str(runs)],
        cwd=workspace,
        env={**build_environment(workspace), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    assert "cannot be written" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not [p for p in runs.rglob("*") if p.is_file() and os.path.getsize(p)]  # noqa: PTH202
