"""``workbench backtest``: run a configuration, list the runs, show one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from workbench.backtest.configuration import load_run_config
from workbench.backtest.run import ActiveRun, Run, load_run, start_backtest
from workbench.backtest.rundir import find_runs
from workbench.backtest.sources import capture_config_files
from workbench.cli.tables import HEADLINE, echo_json, echo_metrics, echo_table, headline_cells, live_progress
from workbench.config import load_settings
from workbench.jobs.worker import Limits
from workbench.records import Progress
from workbench.states import JobState

if TYPE_CHECKING:
    import rich.progress

__all__ = ["backtest", "echo_run"]

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")
_runs = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="Where run directories are kept (default: the workspace's).",
)


@click.group()
def backtest() -> None:
    """Run backtests and look at what they kept."""


@backtest.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--name", default="", help="A name for people.")
@click.option("--memory-mb", type=click.IntRange(min=1), help="Kill the run above this memory.")
@click.option(
    "--stall-secs",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Kill the run after this long without progress in simulated time.",
)
@_runs
@_json
def run(
    config: Path, name: str, memory_mb: int | None, stall_secs: float, runs: Path | None, as_json: bool
) -> None:
    """
    Run the BacktestRunConfig in the JSON file CONFIG.

    A strategy may be named by import path (package.module:Class) or by file (path/to/file.py:Class).
    Ctrl-C cancels the run and keeps its results so far.
    """
    runs = runs or load_settings().runs
    checked = capture_config_files(load_run_config(config), runs)
    limits = Limits(memory_bytes=None if memory_mb is None else memory_mb * 1_000_000, stall_secs=stall_secs)
    with live_progress(is_quiet=as_json) as bars:
        task = None if bars is None else bars.add_task(name or config.stem, total=1.0, note="")
        active = start_backtest(
            checked,
            name=name or config.stem,
            runs=runs,
            on_progress=None if bars is None or task is None else lambda p: _draw(bars, task, p),
            limits=limits,
        )
        finished = _wait(active)
    if as_json:
        echo_json(_summarise(finished))
    else:
        echo_run(finished)
    finished.raise_for_failure()
    if finished.record.state == JobState.CANCELLED:
        raise click.exceptions.Exit(130)


@backtest.command()
@_runs
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many."
)
@_json
def ls(runs: Path | None, limit: int, as_json: bool) -> None:
    """List the runs, the newest first."""
    found = find_runs(runs or load_settings().runs)[:limit]
    finished = [load_run(r.path) for r in found if r.is_finished]
    if as_json:
        echo_json([_summarise(r) for r in finished])
        return
    if not found:
        click.echo("no runs yet; start one with `workbench backtest run CONFIG.json` or `workbench demo`")
        return
    rows = []
    for directory in found:
        if not directory.is_finished:
            rows.append([directory.run_id, "", "not ended", *("" for _ in HEADLINE)])
            continue
        record = load_run(directory.path).record
        headline = directory.read_json("metrics.json").get("headline", {})
        rows.append([record.run_id, record.name, str(record.state), *headline_cells(headline)])
    columns = [("run", "left"), ("name", "left"), ("state", "left")]
    echo_table([*columns, *((name.replace("_", " "), "right") for name in HEADLINE)], rows)


@backtest.command()
@click.argument("run_id")
@_runs
@_json
def show(run_id: str, runs: Path | None, as_json: bool) -> None:
    """Show the run RUN_ID (or its directory): how it ended, its numbers, where its files are."""
    path = Path(run_id)
    if not path.is_dir():
        path = (runs or load_settings().runs) / run_id
    finished = load_run(path)
    damaged = finished.verify()
    if as_json:
        echo_json({**_summarise(finished), "metrics": finished.metrics, "damaged": damaged})
    else:
        echo_run(finished)
        if damaged:
            click.echo(f"damaged: {', '.join(damaged)} are not what the manifest says", err=True)
    if damaged:
        raise click.exceptions.Exit(1)


def echo_run(finished: Run) -> None:
    """Write how a run ended and its numbers."""
    record = finished.record
    if finished.metrics:
        echo_metrics(finished.metrics)
    facts = [
        ("state", str(record.state)),
        ("events", f"{record.events:,} in {record.elapsed_secs:.2f} s"),
        ("identity", record.identity.run[:16] if record.identity is not None else "-"),
        ("run", str(finished.path)),
    ]
    echo_table([("", "left"), ("", "left")], facts)
    for warning in record.warnings:
        click.echo(f"warning   {warning}")


def _wait(active: ActiveRun) -> Run:
    try:
        return active.wait()
    except KeyboardInterrupt:
        # `wait` has cancelled the run and waited for what it keeps.
        return load_run(active.path)


def _summarise(finished: Run) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(finished.record)
    record.pop("files")
    return {**record, "path": str(finished.path), "headline": finished.metrics.get("headline", {})}


def _draw(bars: rich.progress.Progress, task: rich.progress.TaskID, progress: Progress) -> None:
    parts = []
    if progress.events:
        parts.append(f"{progress.events:,} events, {progress.events_per_sec:,.0f}/s")
    if progress.eta_secs is not None:
        parts.append(f"{progress.eta_secs:.0f} s left")
    if progress.equity is not None:
        parts.append(f"equity {float(progress.equity):,.2f} {progress.currency}")
    bars.update(task, completed=progress.fraction, note=", ".join(parts) or progress.stage)
