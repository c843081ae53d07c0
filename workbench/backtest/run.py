"""Start a backtest in a child process, steer it, and read what it kept."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pandas as pd
from nautilus_trader.backtest.config import BacktestRunConfig

from workbench.backtest.checks import check_run
from workbench.backtest.configuration import parse_run_config, redact_run_config
from workbench.backtest.identity import collect_versions
from workbench.backtest.lineage import describe_dataset, describe_lineage
from workbench.backtest.rundir import RunDirectory
from workbench.backtest.sources import load_captured, restore_sources
from workbench.config import load_settings
from workbench.errors import RunError
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Limits, Outcome, Worker
from workbench.records import Failure, Progress, RunRecord
from workbench.stamps import new_job_id, utc_now
from workbench.states import JobState

__all__ = ["ActiveRun", "Run", "load_run", "run_backtest", "start_backtest"]

# The task by name: this process need not import the engine.
_TASK = "workbench.backtest.engine:execute"
_FAILED = {JobState.FAILED: "failed", JobState.INTERRUPTED: "was interrupted"}


class Run:
    """
    A finished run, read from its directory.

    Parameters
    ----------
    path : Path
        The run directory.

    Attributes
    ----------
    record : RunRecord
        The manifest.

    """

    def __init__(self, path: Path) -> None:
        self._directory = RunDirectory(path)
        self.record: RunRecord = self._directory.read_manifest()

    def __repr__(self) -> str:
        return f"Run({self.record.run_id!r}, {self.record.state}, {self.path})"

    @property
    def path(self) -> Path:
        """Return the run directory."""
        return self._directory.path

    @property
    def manifest(self) -> dict[str, Any]:
        """Return the manifest as plain values."""
        plain: dict[str, Any] = msgspec.to_builtins(self.record)
        return plain

    @property
    def config(self) -> dict[str, Any]:
        """Return the configuration as plain values, without storage options."""
        return self._directory.read_json("config.json")

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the metrics: ``headline``, ``costs``, ``nautilus``, ``definitions``."""
        return self._directory.read_json("metrics.json")

    def load_table(self, name: str) -> pd.DataFrame:
        """
        Return a table of the run: ``equity``, ``orders``, ``fills``, ``positions`` or ``accounts``.

        Amounts are `decimal.Decimal`, times are UTC.

        Raises
        ------
        NotFoundError
            If the run kept no such table.

        """
        frame: pd.DataFrame = self._directory.read_table(name).to_pandas()
        return frame

    def restore_config(self, runs: Path | None = None) -> BacktestRunConfig:
        """
        Return the configuration, ready to run again.

        Captured strategies are put back from the run directory, so that it alone repeats the run.

        Parameters
        ----------
        runs : Path, optional
            Where the new run will be kept; default: the workspace's.

        """
        restore_sources(self.path, runs or load_settings().runs)
        return parse_run_config(msgspec.json.encode(self.config), origin=str(self.path / "config.json"))

    def verify(self) -> list[str]:
        """Return the files that are missing or are not what the manifest says."""
        return self._directory.verify()

    def raise_for_failure(self) -> None:
        """
        Raise if the run failed or was interrupted.

        Raises
        ------
        RunError
            With the reason, the traceback, and where the log is.

        """
        failure = self.record.failure
        if self.record.state not in _FAILED or failure is None:
            return
        trace = f"\n{failure.traceback}" if failure.traceback else ""
        raise RunError(
            f"run {self.record.run_id} {_FAILED[self.record.state]}: {failure.message}{trace}",
            advice=f"see {self.path / 'log.jsonl'}",
        )


def load_run(path: Path | str) -> Run:
    """
    Return the finished run in the directory `path`.

    Raises
    ------
    NotFoundError
        If there is no such run, or it has not ended.

    """
    return Run(Path(path))


class ActiveRun:
    """
    A run that is under way in a child process; made by `start_backtest`.

    It may be steered from any thread. Leaving it as a context cancels the run if it has not ended.

    Attributes
    ----------
    path : Path
        The run directory.

    """

    def __init__(
        self,
        directory: RunDirectory,
        spec: dict[str, Any],
        *,
        worker: Worker | None,
        on_progress: Callable[[Progress], None] | None,
        limits: Limits | None,
    ) -> None:
        self._directory = directory
        self.path = directory.path
        self._spec = spec
        self._worker = worker or Worker()
        self._is_worker_ours = worker is None
        self._on_progress = on_progress
        self._limits = limits
        self._progress = Progress(stage="load")
        self._switch = Switch()
        self._error: BaseException | None = None
        self._callback_error: Exception | None = None
        self._thread = threading.Thread(target=self._guard, name=f"run-{directory.run_id}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_active:
            self.cancel()
        self._thread.join()

    @property
    def is_active(self) -> bool:
        """Return whether the run has not ended."""
        return self._thread.is_alive()

    @property
    def progress(self) -> Progress:
        """Return the latest progress."""
        return self._progress

    def pause(self) -> None:
        """Hold the run in simulated time."""
        self._switch.pause()

    def resume(self) -> None:
        """Let the run go on."""
        self._switch.resume()

    def cancel(self) -> None:
        """Stop the run and keep its results so far."""
        self._switch.cancel()

    def wait(self, timeout_secs: float | None = None) -> Run:
        """
        Wait for the end of the run and return it; a failed run is returned too.

        An interrupt (Ctrl-C, or the kernel's stop button) cancels the run, waits until its results so far
        are kept, and is raised again. So is an error of `on_progress`, which was not called again after it,
        when the run has ended.

        Raises
        ------
        TimeoutError
            If the run has not ended after `timeout_secs`.

        """
        try:
            self._thread.join(timeout_secs)
        except KeyboardInterrupt:
            self.cancel()
            self._thread.join()
            raise
        if self._thread.is_alive():
            raise TimeoutError(f"the run {self._directory.run_id} has not ended after {timeout_secs} s")
        if self._error is not None:
            raise self._error
        if self._callback_error is not None:
            self._callback_error.add_note(f"raised by on_progress; the run itself has ended: {self.path}")
            raise self._callback_error
        return Run(self.path)

    def _guard(self) -> None:
        try:
            outcome = self._worker.run(
                _TASK, self._spec, on_progress=self._note, limits=self._limits, switch=self._switch
            )
            if not self._directory.is_finished:
                _write_end(self._directory, self._spec, outcome)
            self._note_end(self._directory.read_manifest())
        except BaseException as e:  # noqa: BLE001 - raised again where somebody waits
            self._error = e
        finally:
            if self._is_worker_ours:
                self._worker.close()

    def _note_end(self, record: RunRecord) -> None:
        fraction = 1.0 if record.state == JobState.COMPLETED else self._progress.fraction
        self._note(
            msgspec.structs.replace(self._progress, state=record.state, fraction=fraction, eta_secs=None)
        )

    def _note(self, progress: Progress) -> None:
        self._progress = progress
        if self._on_progress is None or self._callback_error is not None:
            return
        try:
            self._on_progress(progress)
        except Exception as e:  # noqa: BLE001 - a broken display must not cost the run
            self._callback_error = e


def start_backtest(
    config: BacktestRunConfig,
    *,
    name: str = "",
    runs: Path | None = None,
    worker: Worker | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    limits: Limits | None = None,
) -> ActiveRun:
    """
    Start a backtest in a child process and return at once.

    Parameters
    ----------
    config : BacktestRunConfig
        What to run.
    name : str
        A name for people.
    runs : Path, optional
        Where run directories are kept; default: the workspace's.
    worker : Worker, optional
        A warm worker to use, one run at a time; default: one for this run alone.
    on_progress : Callable[[Progress], None], optional
        Called about ten times a second, on a thread of the run.
    limits : Limits, optional
        Bounds on memory, on time without progress, and on the time that a cancel may take.

    Raises
    ------
    InputError
        If the configuration cannot run: nothing is started and nothing is written.

    """
    runs = runs or load_settings().runs
    dataset = check_run(config, runs)
    sources = load_captured(config, runs)
    directory = RunDirectory(runs / new_job_id())
    directory.create()
    try:
        directory.write_json("config.json", redact_run_config(config))
        for source in sources:
            source.write(directory.path / "strategies")
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    spec = {
        "config": config.json().decode(),
        "path": str(directory.path.resolve()),
        "name": name,
        "started_at": utc_now(),
        "rows": dataset.rows,
        "lineage": describe_lineage(config),
        "dataset": describe_dataset(config),
    }
    return ActiveRun(directory, spec, worker=worker, on_progress=on_progress, limits=limits)


def run_backtest(
    config: BacktestRunConfig,
    *,
    name: str = "",
    runs: Path | None = None,
    worker: Worker | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    limits: Limits | None = None,
) -> Run:
    """
    Run a backtest in a child process and return the finished run; see `start_backtest`.

    Raises
    ------
    InputError
        If the configuration cannot run.
    RunError
        If the run failed; its directory keeps the reason and the log.

    """
    active = start_backtest(
        config, name=name, runs=runs, worker=worker, on_progress=on_progress, limits=limits
    )
    run = active.wait()
    run.raise_for_failure()
    return run


def _write_end(directory: RunDirectory, spec: dict[str, Any], outcome: Outcome) -> None:
    """Write the manifest for a child that could not: it was killed, it died, or it could not write."""
    directory.write_manifest(
        RunRecord(
            run_id=directory.run_id,
            name=spec["name"],
            state=outcome.state if outcome.state.is_finished else JobState.FAILED,
            failure=outcome.failure or Failure(kind="died", message="the run left no manifest"),
            versions=collect_versions(),
            started_at=spec["started_at"],
            finished_at=utc_now(),
            rows=spec["rows"],
            lineage=spec["lineage"],
            dataset=spec["dataset"],
        )
    )
