"""``workbench batch``: every point of the grid ends, and is kept as it ended."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.cli.conftest import Cli, build_environment
from workbench.backtest.batch import Sweep, build_items
from workbench.backtest.run import load_run
from workbench.cli.notebooks import find_notebook
from workbench.errors import ConfigError

FAST = "engine.strategies.0.config.fast_ema_period"
SLOW = "engine.strategies.0.config.slow_ema_period"


def write_sweep(workspace: Path, name: str, plain: dict[str, Any], **values: Any) -> Path:
    """Write a sweep over the report notebook (YAML reads JSON) and its configuration."""
    (workspace / "config.json").write_text(json.dumps(plain))
    sweep = {
        "notebook": str(find_notebook("backtest_report.ipynb")),
        "parameters": {"config": str(workspace / "config.json")},
        "output": f"out-{name}",
        **values,
    }
    path = workspace / f"{name}.yaml"
    path.write_text(json.dumps(sweep))
    return path


def test_batch_one_failing_point_does_not_stop_the_others(
    cli: Cli, workspace: Path, config: dict[str, Any]
) -> None:
    # 30/20, the first, is refused by the strategy: fast must be below slow.
    path = write_sweep(workspace, "mixed", config, grid={FAST: [30, 10, 15], SLOW: [20]})
    result = cli("batch", path, "--json", timeout=300)
    assert result.returncode == 1, result.stderr
    document = json.loads(result.stdout)
    states = {(r["point"][FAST], r["point"][SLOW]): r["state"] for r in document["results"]}
    assert states == {(30, 20): "FAILED", (10, 20): "COMPLETED", (15, 20): "COMPLETED"}
    output = Path(document["output"])
    assert json.loads((output / "summary.json").read_text()) == document["results"]
    for item in document["results"]:
        notebook = nbformat.read(item["notebook"], as_version=4)
        errors = [
            o for c in notebook.cells if c.cell_type == "code" for o in c.outputs if o.output_type == "error"
        ]
        assert bool(errors) == (item["state"] == "FAILED")
        assert Path(item["notebook"]).with_suffix(".html").stat().st_size < 1_500_000
        if item["state"] == "COMPLETED":
            run = load_run(item["run"])
            kept = run.config["engine"]["strategies"][0]["config"]
            assert (kept["fast_ema_period"], kept["slow_ema_period"]) == (
                item["point"][FAST],
                item["point"][SLOW],
            )
            assert item["headline"]["trades"] == run.metrics["headline"]["trades"]
    returns = {json.dumps(r["headline"]["total_return"]) for r in document["results"] if r["headline"]}
    assert len(returns) == 2, "different parameters gave equal results"


def test_batch_full_output_directory_is_refused(cli: Cli, workspace: Path, config: dict[str, Any]) -> None:
    path = write_sweep(workspace, "again", config, grid={FAST: [5]})
    (workspace / "out-again").mkdir()
    (workspace / "out-again" / "mine.txt").write_text("keep me")
    result = cli("batch", path)
    assert result.returncode == 2
    assert "is not empty" in result.stderr
    assert [p.name for p in (workspace / "out-again").iterdir()] == ["mine.txt"]


def test_batch_interrupted_keeps_a_summary_of_nothing_and_leaves_no_kernel(
    workspace: Path, config: dict[str, Any]
) -> None:
    path = write_sweep(workspace, "stopped", config, grid={FAST: [5, 6, 7], SLOW: [30, 40, 50]})
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench.cli.main", "batch", str(path)],
        cwd=workspace,
        env=build_environment(workspace),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not list((workspace / "out-stopped").glob("*.ipynb")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    import psutil

    def kernels() -> list[psutil.Process]:
        return [p for p in psutil.process_iter(["cmdline"]) if _is_ours(p, workspace)]

    gone = time.monotonic() + 30
    while kernels() and time.monotonic() < gone:
        time.sleep(0.2)
    assert kernels() == []


def _is_ours(process: Any, workspace: Path) -> bool:
    import psutil

    try:
        return process.pid != 0 and process.environ().get("WORKBENCH_HOME") == str(workspace)
    except (psutil.Error, OSError):
        return False


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("grid: {a: [1]}", "notebook"),
        ("notebook: x.ipynb\ngrid: {a: []}", "grid.a is empty"),
        ("notebook: x.ipynb\ngrid: {a: [1]}\nworkers: 3", "workers"),
        ("notebook: x.ipynb\ngrid: {a: [1]}\nparallel: 0", "parallel is 0"),
        ("notebook: x.ipynb\ngrid: {a: [1]}", "there is no notebook"),
        ("{", "not valid YAML"),
    ],
)
def test_batch_bad_sweep_is_one_clear_line(cli: Cli, workspace: Path, text: str, words: str) -> None:
    (workspace / "bad.yaml").write_text(text)
    result = cli("batch", "bad.yaml")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr


def test_items_are_the_product_of_the_grid_in_order() -> None:
    sweep = Sweep(notebook="x", grid={"name": ["a", "b"], FAST: [1, 2]}, parameters={"overrides": {SLOW: 9}})
    items = build_items(sweep)
    assert [tuple(i.point.values()) for i in items] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert items[1].parameters == {"name": "a", "overrides": {SLOW: 9, FAST: 2}}
    assert len({i.name for i in items}) == 4


def test_items_too_many_are_refused() -> None:
    with pytest.raises(ConfigError, match="1,000,000 points"):
        build_items(Sweep(notebook="x", grid={"a": list(range(1000)), "b": list(range(1000))}))
