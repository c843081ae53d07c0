"""A batch: one notebook over a grid of parameters, several at a time, and a summary at the end."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from workbench.analysis.definitions import HEADLINE
from workbench.backtest.rundir import RunDirectory, find_runs
from workbench.errors import ConfigError, ExistsError, NotFoundError
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Limits, Worker
from workbench.records import Failure, Progress
from workbench.states import JobState

__all__ = ["BatchItem", "BatchResult", "Sweep", "build_items", "load_sweep", "run_batch"]

_TASK = "workbench.jobs.notebook:execute"
_MAX_ITEMS = 10_000
_DAY_SECS = 86_400.0


class Sweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a batch does, as its YAML file says it.

    Attributes
    ----------
    notebook : str
        The notebook, relative to the YAML file.
    grid : dict[str, list]
        Values to try, by name. A name with a dot changes the run configuration of the notebook
        (``engine.strategies.0.config.fast_ema_period``) through its parameter ``overrides``; any other is
        a parameter of the notebook.
    parameters : dict
        Parameters that are the same for all.
    output : str, optional
        Where notebooks and runs go, relative to the YAML file; default ``batches/<name>-<time>``
        in the current directory.
    parallel : int
        How many notebooks run at a time.
    timeout_secs : float
        How long one cell may take.

    """

    notebook: str
    grid: dict[str, list[Any]]
    parameters: dict[str, Any] = {}
    output: str | None = None
    parallel: int = 2
    timeout_secs: float = _DAY_SECS


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """One notebook of a batch: its name, its point of the grid, and the parameters it gets."""

    name: str
    point: dict[str, Any]
    parameters: dict[str, Any]


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one notebook ended: what it ran, where it is, and the headline of its run, if there was one."""

    name: str
    point: dict[str, Any]
    state: JobState
    notebook: str
    run: str | None = None
    error: str | None = None
    headline: dict[str, Any] = {}


def load_sweep(path: Path) -> Sweep:
    """
    Read a sweep from a YAML file.

    Raises
    ------
    NotFoundError
        If there is no such file, or no such notebook.
    ConfigError
        If the file is not a sweep; the message names the field.

    """
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", expected="a sweep as YAML", advice="see the README")
    try:
        sweep = msgspec.convert(yaml.safe_load(path.read_text()), Sweep)
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(e).split())}") from e
    except msgspec.ValidationError as e:
        raise ConfigError(
            f"{path}: {e}", expected="notebook, grid, and optionally parameters, output, parallel"
        ) from e
    for name, values in sweep.grid.items():
        if not values:
            raise ConfigError(f"{path}: grid.{name} is empty", expected="at least one value")
    if sweep.parallel < 1:
        raise ConfigError(f"{path}: parallel is {sweep.parallel}", expected="at least 1")
    if not (path.parent / sweep.notebook).is_file():
        raise NotFoundError(f"{path}: there is no notebook {path.parent / sweep.notebook}")
    return sweep


def build_items(sweep: Sweep) -> list[BatchItem]:
    """
    Return one item for every point of the grid, in the order of the file.

    Raises
    ------
    ConfigError
        If the grid has more than 10,000 points.

    """
    names = list(sweep.grid)
    size = 1
    for values in sweep.grid.values():
        size *= len(values)
    if size > _MAX_ITEMS:
        raise ConfigError(f"the grid has {size:,} points", expected=f"at most {_MAX_ITEMS:,}")
    items = []
    for number, chosen in enumerate(itertools.product(*sweep.grid.values()), start=1):
        point = dict(zip(names, chosen, strict=True))
        parameters = {**sweep.parameters, **{k: v for k, v in point.items() if "." not in k}}
        overrides = {k: v for k, v in point.items() if "." in k}
        if overrides:
            parameters["overrides"] = {**parameters.get("overrides", {}), **overrides}
        items.append(BatchItem(name=f"{number:04d}", point=point, parameters=parameters))
    return items


def run_batch(
    sweep: Sweep,
    *,
    base: Path,
    name: str,
    on_progress: Callable[[BatchItem, Progress], None] | None = None,
    on_result: Callable[[BatchResult], None] | None = None,
) -> tuple[Path, list[BatchResult]]:
    """
    Execute the notebook at every point of the grid; a failing one never stops the others.

    Parameters
    ----------
    sweep : Sweep
        What to do.
    base : Path
        The directory that relative paths of the sweep start from.
    name : str
        The name of the batch.
    on_progress, on_result : Callable, optional
        Called on the threads of the batch, one call at a time.

    Returns
    -------
    tuple[Path, list[BatchResult]]
        The output directory and the results, in the order of the grid. The directory holds every notebook
        as it was executed, the runs, and ``summary.json``.

    Raises
    ------
    ExistsError
        If the output directory holds something already.

    """
    output = (
        base / sweep.output if sweep.output else Path("batches") / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    )
    output = output.resolve()
    if output.exists() and any(output.iterdir()):
        raise ExistsError(
            f"the output directory {output} is not empty", advice="name another one, or move it away"
        )
    output.mkdir(parents=True, exist_ok=True)
    items = build_items(sweep)
    batch = _Batch(sweep, base, output, items, on_progress, on_result)
    results = batch.run()
    RunDirectory(output).write_json("summary.json", msgspec.to_builtins(results))
    return output, results


class _Batch:
    """The threads of a batch: each guards one worker and takes items until there are none."""

    def __init__(
        self,
        sweep: Sweep,
        base: Path,
        output: Path,
        items: list[BatchItem],
        on_progress: Callable[[BatchItem, Progress], None] | None,
        on_result: Callable[[BatchResult], None] | None,
    ) -> None:
        self._sweep = sweep
        self._notebook = (base / sweep.notebook).resolve()
        self._output = output
        self._items = items
        self._on_progress = on_progress
        self._on_result = on_result
        self._todo: queue.SimpleQueue[BatchItem] = queue.SimpleQueue()
        # One for every item, not for every worker: a cancel reaches what is taken but has not started, too.
        self._switches = {item.name: Switch() for item in items}
        self._results: dict[str, BatchResult] = {}
        self._lock = threading.Lock()
        self._workers: list[Worker] = []

    def run(self) -> list[BatchResult]:
        for item in self._items:
            self._todo.put(item)
        self._workers = [Worker() for _ in range(min(self._sweep.parallel, len(self._items)))]
        threads = [threading.Thread(target=self._take, args=(w,), daemon=True) for w in self._workers]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            for switch in self._switches.values():
                switch.cancel()
            for thread in threads:
                if thread.is_alive():  # One that has not been started cannot be joined
                    thread.join()
            raise
        finally:
            for worker in self._workers:
                worker.close()
        return [self._results[item.name] for item in self._items]

    def _take(self, worker: Worker) -> None:
        while True:
            try:
                item = self._todo.get_nowait()
            except queue.Empty:
                return
            switch = self._switches[item.name]
            if switch.cancelled_at is not None:
                failure = Failure(kind="cancel", message="cancelled before it started")
                self._finish(item, JobState.CANCELLED, failure)
                continue
            spec = {
                "notebook": str(self._notebook),
                "output": str(self._path(item)),
                "parameters": {**item.parameters, "runs": str(self._output / "runs"), "name": item.name},
                "cwd": str(self._notebook.parent),
            }
            outcome = worker.run(
                _TASK,
                spec,
                on_progress=lambda progress, item=item: self._note(item, progress),  # type: ignore[misc]
                limits=Limits(stall_secs=self._sweep.timeout_secs),
                switch=switch,
            )
            self._finish(item, outcome.state, outcome.failure)

    def _path(self, item: BatchItem) -> Path:
        return self._output / f"{item.name}.ipynb"

    def _note(self, item: BatchItem, progress: Progress) -> None:
        if self._on_progress is not None:
            with self._lock:
                self._on_progress(item, progress)

    def _finish(self, item: BatchItem, state: JobState, failure: Failure | None) -> None:
        run = next((r for r in find_runs(self._output / "runs") if _is_named(r, item.name)), None)
        headline = run.read_json("metrics.json").get("headline", {}) if run is not None else {}
        result = BatchResult(
            name=item.name,
            point=item.point,
            state=state,
            notebook=str(self._path(item)),
            run=None if run is None else str(run.path),
            error=None if failure is None else failure.message,
            headline={key: headline[key] for key in HEADLINE if key in headline},
        )
        with self._lock:
            self._results[item.name] = result
            if self._on_result is not None:
                self._on_result(result)


def _is_named(run: RunDirectory, name: str) -> bool:
    return run.is_finished and run.read_manifest().name == name
