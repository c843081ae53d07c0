"""Backtests without a server: run in a child of this process, and read from their directories."""

from __future__ import annotations

from pathlib import Path

import click

from workbench.analysis.definitions import HEADLINE
from workbench.backtest.configuration import load_run_config
from workbench.backtest.run import ActiveRun, Run, load_run, start_backtest
from workbench.backtest.rundir import find_runs
from workbench.backtest.sources import capture_config_files
from workbench.cli.outcomes import Bar, echo_outcome, summarise_outcome
from workbench.cli.tables import echo_json, echo_table, headline_cells, live_progress
from workbench.jobs.worker import Limits
from workbench.states import JobState

__all__ = ["list_local", "run_local", "show_local"]


def run_local(config: Path, name: str, limits: Limits, runs: Path, *, as_json: bool) -> None:
    """Run the configuration in the file `config`; Ctrl-C cancels it and keeps its results so far."""
    checked = capture_config_files(load_run_config(config), runs)
    with live_progress(is_quiet=as_json) as bars:
        finished = _wait(
            start_backtest(checked, name=name, runs=runs, on_progress=Bar(bars, name).draw, limits=limits)
        )
    if as_json:
        echo_json(summarise_outcome(finished.record, finished.metrics, str(finished.path)))
    else:
        echo_outcome(finished.record, finished.metrics, str(finished.path))
    finished.raise_for_failure()
    if finished.record.state == JobState.CANCELLED:
        raise click.exceptions.Exit(130)


def list_local(runs: Path, limit: int, *, as_json: bool) -> None:
    """List the runs under `runs`, the newest first."""
    found = find_runs(runs)[:limit]
    if as_json:
        finished = [load_run(r.path) for r in found if r.is_finished]
        echo_json([summarise_outcome(r.record, r.metrics, str(r.path)) for r in finished])
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


def show_local(run_id: str, runs: Path, *, as_json: bool) -> None:
    """Show the run `run_id`, or the one in that directory."""
    path = Path(run_id)
    finished = load_run(path if path.is_dir() else runs / run_id)
    damaged = finished.verify()
    summary = summarise_outcome(finished.record, finished.metrics, str(finished.path))
    if as_json:
        echo_json({**summary, "metrics": finished.metrics, "damaged": damaged})
    else:
        echo_outcome(finished.record, finished.metrics, str(finished.path))
    if damaged:
        click.echo(f"damaged: {', '.join(damaged)} are not what the manifest says", err=True)
        raise click.exceptions.Exit(1)


def _wait(active: ActiveRun) -> Run:
    try:
        return active.wait()
    except KeyboardInterrupt:
        # `wait` has cancelled the run and waited for what it keeps.
        return load_run(active.path)
