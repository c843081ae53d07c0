"""``workbench backtest``: run a configuration, list the runs, show one, steer those at work."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click
import msgspec

from workbench.cli.jobs import CANCEL, PAUSE, RESUME, echo_job, echo_page, list_options
from workbench.cli.outcomes import Bar, echo_outcome, format_headline, summarise_outcome
from workbench.cli.tables import echo_json, live_progress
from workbench.client.client import Client
from workbench.client.connection import connect
from workbench.client.job import Job
from workbench.config import load_settings
from workbench.errors import ConfigError, ConflictError, InputError, NotFoundError
from workbench.jobs.worker import Limits
from workbench.states import JobState

__all__ = ["backtest"]

# Beside the time that a cancelled run has to put its results away.
_END_SECS = 30.0

_json = click.option("--json", "as_json", is_flag=True, help="Write JSON for machines.")
_local = click.option("--local", "is_local", is_flag=True, help="Without the server, in the run directories.")
_runs = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="With --local: where run directories are kept (default: the workspace's).",
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
@click.option("--detach", is_flag=True, help="Return at once, with the id of the job; it runs on.")
@_local
@_runs
@_json
def run(
    config: Path,
    name: str,
    memory_mb: int | None,
    stall_secs: float,
    detach: bool,
    is_local: bool,
    runs: Path | None,
    as_json: bool,
) -> None:
    """
    Run the BacktestRunConfig in the JSON file CONFIG.

    A strategy may be named by import path (package.module:Class) or by file (path/to/file.py:Class).
    Ctrl-C cancels the run and keeps its results so far.
    """
    limits = Limits(memory_bytes=None if memory_mb is None else memory_mb * 1_000_000, stall_secs=stall_secs)
    name = name or config.stem
    runs = _find_runs(runs, is_local=is_local)
    if is_local:
        if detach:
            raise InputError("--detach comes with --local", advice="without the server nobody would run it")
        from workbench.cli.local_backtest import run_local

        run_local(config, name, limits, runs, as_json=as_json)
        return
    plain = _read_config(config)
    _capture_files(plain, runs)
    with connect() as client:
        job = client.submit_backtest(plain, name=name, limits=limits)
        if detach:
            if as_json:
                echo_json(job.record)
            else:
                click.echo(job.id)
            return
        with live_progress(is_quiet=as_json) as bars:
            _follow(job, Bar(bars, name), limits.cancel_secs)
        _echo_end(client, job, as_json=as_json)
    job.raise_for_failure()
    if job.record.state == JobState.CANCELLED:
        raise click.exceptions.Exit(130)


@backtest.command()
@list_options
@_local
@_runs
@_json
def ls(
    state: tuple[str, ...],
    text: str,
    sort: str,
    limit: int,
    is_local: bool,
    runs: Path | None,
    as_json: bool,
) -> None:
    """List the runs, the newest first. With --local only --limit has a say."""
    runs = _find_runs(runs, is_local=is_local)
    if is_local:
        from workbench.cli.local_backtest import list_local

        list_local(runs, limit, as_json=as_json)
        return
    from workbench.analysis.definitions import HEADLINE  # It imports pandas: not for every command

    with connect() as client:
        page = client.list_jobs(kind="backtest", state=state, text=text, sort=sort, limit=limit)
    if as_json:
        echo_json([{"run_id": job.id, **msgspec.to_builtins(job)} for job in page.items])
        return
    columns = [("run", "left"), ("name", "left"), ("state", "left")]
    columns += [(title.replace("_", " "), "right") for title in HEADLINE]
    echo_page(page, columns, lambda job: [job.id, job.name, str(job.state), *format_headline(job.headline)])


@backtest.command()
@click.argument("run_id")
@_local
@_runs
@_json
def show(run_id: str, is_local: bool, runs: Path | None, as_json: bool) -> None:
    """Show the run RUN_ID: how it ended, its numbers, where its files are. With --local also a directory."""
    runs = _find_runs(runs, is_local=is_local)
    if is_local:
        from workbench.cli.local_backtest import show_local

        show_local(run_id, runs, as_json=as_json)
        return
    with connect() as client:
        _echo_end(client, client.job(run_id), as_json=as_json, is_whole=True)


for _command in (CANCEL, PAUSE, RESUME):
    backtest.add_command(_command)


def _find_runs(runs: Path | None, *, is_local: bool) -> Path:
    if runs is not None and not is_local:
        raise InputError(
            "--runs comes without --local", advice="the server keeps its runs in the workspace's"
        )
    return runs or load_settings().runs


def _read_config(path: Path) -> dict[str, Any]:
    """Return the configuration as it stands in the file: the server says what is wrong with it."""
    if not path.exists():
        raise NotFoundError(
            f"there is no file {path}", expected="a BacktestRunConfig as JSON", advice="check the path"
        )
    if path.is_dir():
        raise ConfigError(f"{path} is a directory", expected="a file with a BacktestRunConfig as JSON")
    try:
        plain: dict[str, Any] = msgspec.json.decode(
            path.read_bytes().removeprefix(b"\xef\xbb\xbf"), type=dict[str, Any]
        )
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}") from e
    except msgspec.ValidationError as e:
        raise ConfigError(f"{path}: {e}", expected="a BacktestRunConfig as JSON") from e
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} is not valid JSON: {e}", expected="a BacktestRunConfig as JSON") from e
    return plain


def _capture_files(plain: dict[str, Any], runs: Path) -> None:
    """Keep the source of every strategy that is named by file, and name it by what was kept."""
    engine = plain.get("engine")
    strategies = engine.get("strategies") if isinstance(engine, dict) else None
    for strategy in strategies if isinstance(strategies, list) else []:
        for field in ("strategy_path", "config_path"):
            named = strategy.get(field) if isinstance(strategy, dict) else None
            module, _, name = named.rpartition(":") if isinstance(named, str) else ("", "", "")
            if module.endswith(".py"):
                from workbench.backtest.capture import capture_file

                captured = capture_file(Path(module))
                captured.write(runs / "_strategies")
                strategy[field] = f"{captured.name}:{name}"


def _follow(job: Job, bar: Bar, cancel_secs: float) -> None:
    """Wait for the end; an interrupt cancels the run, and waits for what it keeps."""
    try:
        job.wait(on_progress=bar.draw)
    except KeyboardInterrupt:
        with contextlib.suppress(ConflictError):  # It has ended meanwhile
            job.cancel()
        job.wait(cancel_secs + _END_SECS)


def _echo_end(client: Client, job: Job, *, as_json: bool, is_whole: bool = False) -> None:
    """Write how a run ended, or where it stands; `is_whole`: all of its metrics, and whether its files are."""
    manifest = job.load_manifest()
    if manifest is None:
        if as_json:
            echo_json({"run_id": job.id, **msgspec.to_builtins(job.record)})
        else:
            echo_job(job.record)
        return
    path = load_settings().runs / job.id
    metrics, damaged = job.metrics if "metrics.json" in manifest.files else {}, []
    if is_whole and client.is_local:
        from workbench.backtest.rundir import RunDirectory

        damaged = RunDirectory(path).verify()
    place = str(path) if client.is_local else f"{job.id} at {client.url}"
    if as_json:
        summary = summarise_outcome(manifest, metrics, place)
        echo_json({**summary, "metrics": metrics, "damaged": damaged} if is_whole else summary)
    else:
        echo_outcome(manifest, metrics, place)
    if damaged:
        click.echo(f"damaged: {', '.join(damaged)} are not what the manifest says", err=True)
        raise click.exceptions.Exit(1)
