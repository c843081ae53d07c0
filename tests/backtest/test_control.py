"""Pause, resume and cancel a run, from outside and in the middle of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from nautilus_trader.backtest.config import BacktestRunConfig

from tests.backtest.mark_runs import GBPUSD, gated, walk_config, write_walk
from workbench.backtest.configuration import redact_run_config
from workbench.backtest.engine import TASK
from workbench.backtest.run import ActiveRun, Run, load_run, run_backtest, start_backtest
from workbench.backtest.rundir import RunDirectory
from workbench.backtest.sources import load_captured
from workbench.errors import RunError
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Limits, Worker
from workbench.records import Inspection, Progress
from workbench.stamps import new_job_id
from workbench.states import JobState

QUOTES = 300
TABLES = ("equity", "orders", "fills", "positions", "accounts")
PATIENCE_SECS = 30


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog = tmp_path_factory.mktemp("walk")
    write_walk(catalog, GBPUSD, QUOTES)
    return catalog


class Stage:
    """A run that can be met at its hundredth quote."""

    def __init__(self, catalog: Path, path: Path, worker: Worker) -> None:
        self.catalog = catalog
        self.path = path
        self.runs = path / "runs"
        self.worker = worker
        self.seen: list[Progress] = []
        self._new: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._started: list[ActiveRun] = []

    def start(self, *, chunk_size: int | None = None, limits: Limits | None = None) -> ActiveRun:
        config = walk_config(self.catalog, gated(self.runs, self.path, at=100), chunk_size=chunk_size)
        active = start_backtest(
            config, runs=self.runs, worker=self.worker, on_progress=self._note, limits=limits
        )
        self._started.append(active)
        return active

    def close(self) -> None:
        """End what a failed test has left: it must not hold the worker."""
        self.open_gate()
        for active in self._started:
            with active:
                pass

    def _note(self, progress: Progress) -> None:
        self.seen.append(progress)
        self._new.put(progress)

    def meet(self) -> None:
        """Wait until the strategy stands at the gate."""
        deadline, pause = time.monotonic() + PATIENCE_SECS, threading.Event()
        while not (self.path / "reached").exists():
            assert time.monotonic() < deadline, "the strategy never came to its gate"
            pause.wait(0.005)

    def open_gate(self) -> None:
        (self.path / "gate").touch()

    def wait_for(self, is_it: Callable[[Progress], bool]) -> Progress:
        """Wait for a progress."""
        while not is_it(progress := self._new.get(timeout=PATIENCE_SECS)):
            pass
        return progress

    def wait_for_pause(self) -> Progress:
        return self.wait_for(lambda p: p.state == JobState.PAUSED)

    def count_quotes(self) -> int:
        return int((self.path / "count").read_text())

    def assert_nothing_moves(self) -> None:
        before = self.count_quotes()
        with pytest.raises(queue.Empty):
            self._new.get(timeout=0.3)
        assert self.count_quotes() == before


@pytest.fixture
def stage(walk: Path, tmp_path: Path, worker: Worker) -> Iterator[Stage]:
    stage = Stage(walk, tmp_path, worker)
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def undisturbed(walk: Path, tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> Run:
    path = tmp_path_factory.mktemp("undisturbed")
    (path / "gate").touch()
    config = walk_config(walk, gated(path / "runs", path, at=100, secs=0))
    return run_backtest(config, runs=path / "runs", worker=worker)


def _assert_same_results(run: Run, other: Run) -> None:
    assert run.record.state == JobState.COMPLETED
    assert run.record.fills == 30
    for name in TABLES:
        pd.testing.assert_frame_equal(run.load_table(name), other.load_table(name))
    for part in ("headline", "costs", "rates"):
        assert run.metrics[part] == other.metrics[part]
    assert run.metrics["nautilus"]["pnls"] == other.metrics["nautilus"]["pnls"]


def _assert_cut_short(run: Run, undisturbed: Run, least_quotes: int = 100) -> None:
    """A cancelled run keeps what it had, and that is the beginning of the whole run."""
    assert run.record.state == JobState.CANCELLED
    assert run.record.failure is None
    run.raise_for_failure()
    _assert_kept(run, undisturbed, least_quotes)


def _assert_kept(run: Run, undisturbed: Run, least_quotes: int = 100) -> None:
    assert run.verify() == []
    assert least_quotes <= run.record.events < QUOTES
    for name in ("fills", "orders"):
        kept = run.load_table(name)
        whole = undisturbed.load_table(name).iloc[: len(kept)]
        assert list(kept["client_order_id"]) == list(whole["client_order_id"])
    assert len(run.load_table("fills")) == run.record.fills == run.record.events // 10
    kept = run.load_table("equity")
    pd.testing.assert_frame_equal(
        kept.iloc[:-1], undisturbed.load_table("equity").iloc[: len(kept) - 1], check_dtype=False
    )
    assert run.metrics["headline"]["fills"]["value"] == run.record.fills


@pytest.mark.parametrize("chunk_size", [None, 37])
def test_pause_holds_simulated_time_and_resume_changes_nothing(
    stage: Stage, undisturbed: Run, chunk_size: int | None
) -> None:
    active = stage.start(chunk_size=chunk_size)
    stage.meet()
    active.pause()
    stage.open_gate()
    paused = stage.wait_for_pause()
    # Nautilus counts a quote after the timers of its time.
    assert 99 <= paused.events < QUOTES
    assert 0 < paused.fraction < 1
    assert paused.equity is not None
    stage.assert_nothing_moves()
    assert active.progress == paused
    assert active.is_active
    active.resume()
    resumed = stage.wait_for(lambda p: p.state == JobState.RUNNING)
    assert (resumed.simulated_ts_ns, resumed.events) == (paused.simulated_ts_ns, paused.events)
    _assert_same_results(active.wait(PATIENCE_SECS), undisturbed)
    assert stage.seen[-1].state == JobState.COMPLETED


def test_pause_shows_what_the_run_holds_and_resume_changes_nothing(stage: Stage, undisturbed: Run) -> None:
    """Held before the first order, and again at the gate: nothing of what is shown is moved."""
    seen: queue.SimpleQueue[Inspection] = queue.SimpleQueue()
    spec = _write_run(walk_config(stage.catalog, gated(stage.runs, stage.path, at=100, secs=0)), stage.runs)
    switch = Switch()
    switch.pause()
    steering = {"switch": switch, "on_inspection": seen.put}
    thread = threading.Thread(target=stage.worker.run, args=(TASK, spec), kwargs=steering)
    thread.start()
    first = seen.get(timeout=PATIENCE_SECS)
    switch.resume()
    stage.meet()
    switch.pause()
    stage.open_gate()
    second = seen.get(timeout=PATIENCE_SECS)
    switch.resume()
    thread.join(PATIENCE_SECS)
    run = load_run(Path(spec["path"]))
    _assert_same_results(run, undisturbed)
    assert (first.positions, first.orders) == ([], [])
    assert [a["total"] for a in first.accounts] == ["1000000"]
    equity = run.load_table("equity").set_index("ts").loc[pd.Timestamp(second.simulated_ts_ns, tz="UTC")]
    (position,) = second.positions
    assert (position["side"], position["currency"]) == ("LONG", "USD")
    assert Decimal(str(position["unrealized_pnl"])) == equity["unrealized_pnl"]
    assert Decimal(str(second.accounts[0]["total"])) == equity["balance"]


def test_interrupt_keeps_the_results_so_far_and_says_so(stage: Stage, undisturbed: Run) -> None:
    spec = _write_run(walk_config(stage.catalog, gated(stage.runs, stage.path, at=100)), stage.runs)
    switch = Switch()
    thread = threading.Thread(target=stage.worker.run, args=(TASK, spec), kwargs={"switch": switch})
    thread.start()
    stage.meet()
    switch.interrupt()
    stage.open_gate()
    thread.join(PATIENCE_SECS)
    run = load_run(Path(spec["path"]))
    failure = run.record.failure
    assert failure is not None
    assert (run.record.state, failure.kind) == (JobState.INTERRUPTED, "interrupted")
    with pytest.raises(RunError, match="was interrupted: the run was interrupted"):
        run.raise_for_failure()
    _assert_kept(run, undisturbed)


def test_interrupt_after_a_cancel_leaves_it_a_cancel(stage: Stage, undisturbed: Run) -> None:
    spec = _write_run(walk_config(stage.catalog, gated(stage.runs, stage.path, at=100)), stage.runs)
    switch = Switch()
    switch.cancel()
    switch.interrupt()
    stage.open_gate()
    stage.worker.run(TASK, spec, switch=switch)
    _assert_cut_short(load_run(Path(spec["path"])), undisturbed, least_quotes=0)


def _write_run(config: BacktestRunConfig, runs: Path) -> dict[str, Any]:
    """Write the first files of a run, as who starts one does, and return its task's spec."""
    directory = RunDirectory(runs / new_job_id())
    directory.create()
    directory.write_json("config.json", redact_run_config(config))
    for source in load_captured(config, runs):
        source.write(directory.path / "strategies")
    return {"config": config.json().decode(), "path": str(directory.path), "name": ""}


def test_pause_twice_holds_twice(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    stage.meet()
    active.pause()
    active.pause()
    stage.open_gate()
    first = stage.wait_for_pause()
    active.resume()
    stage.wait_for(lambda p: p.state == JobState.RUNNING)
    active.pause()
    second = stage.wait_for_pause()
    assert (second.simulated_ts_ns or 0) > (first.simulated_ts_ns or 0)
    active.resume()
    _assert_same_results(active.wait(PATIENCE_SECS), undisturbed)


def test_pause_before_the_run_has_started_holds_it_at_its_beginning(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    active.pause()
    paused = stage.wait_for_pause()
    assert paused.events < 100
    stage.open_gate()
    active.resume()
    _assert_same_results(active.wait(PATIENCE_SECS), undisturbed)


def test_cancel_keeps_the_results_so_far(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    stage.meet()
    active.cancel()
    stage.open_gate()
    run = active.wait(PATIENCE_SECS)
    _assert_cut_short(run, undisturbed)
    last = stage.seen[-1]
    assert (last.state, last.events) == (JobState.CANCELLED, run.record.events)
    assert last.fraction == run.record.events / QUOTES
    assert last.equity is not None


def test_cancel_of_a_streamed_run_keeps_the_results_so_far(stage: Stage, undisturbed: Run) -> None:
    active = stage.start(chunk_size=37)
    stage.meet()
    active.cancel()
    stage.open_gate()
    _assert_cut_short(active.wait(PATIENCE_SECS), undisturbed)


def test_cancel_while_paused_ends_the_run(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    stage.meet()
    active.pause()
    stage.open_gate()
    paused = stage.wait_for_pause()
    active.cancel()
    run = active.wait(PATIENCE_SECS)
    _assert_cut_short(run, undisturbed)
    # Nothing but the quote that the pause came with is done.
    assert run.record.events <= paused.events + 1


def test_cancel_before_the_run_has_started_leaves_a_readable_run(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    active.cancel()
    stage.open_gate()
    _assert_cut_short(active.wait(PATIENCE_SECS), undisturbed, least_quotes=0)


def test_cancel_then_the_next_run_is_whole(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    active.cancel()
    stage.open_gate()
    assert active.wait(PATIENCE_SECS).record.state == JobState.CANCELLED
    _assert_same_results(stage.start().wait(PATIENCE_SECS), undisturbed)


def test_cancel_after_the_end_changes_nothing(stage: Stage, undisturbed: Run) -> None:
    stage.open_gate()
    active = stage.start()
    active.wait(PATIENCE_SECS)
    active.cancel()
    active.pause()
    _assert_same_results(active.wait(PATIENCE_SECS), undisturbed)
    # Nor does it reach the next run of the same worker.
    _assert_same_results(stage.start().wait(PATIENCE_SECS), undisturbed)


def test_cancel_without_an_answer_kills_and_says_where_it_stood(stage: Stage, undisturbed: Run) -> None:
    active = stage.start(limits=Limits(cancel_secs=0.5))
    stage.meet()
    active.cancel()
    run = active.wait(PATIENCE_SECS)
    assert run.record.state == JobState.CANCELLED
    assert run.record.failure is not None
    assert run.record.failure.kind == "cancel"
    assert "on_quote_tick" in run.record.failure.traceback
    assert run.verify() == []
    stage.open_gate()
    _assert_same_results(stage.start().wait(PATIENCE_SECS), undisturbed)


def test_active_run_as_a_context_cancels_what_has_not_ended(stage: Stage, undisturbed: Run) -> None:
    with stage.start() as active:
        stage.meet()
        assert active.is_active
        stage.open_gate()
    assert not active.is_active
    _assert_cut_short(load_run(active.path), undisturbed)


def test_active_run_as_a_context_cancels_when_the_block_raises(stage: Stage, undisturbed: Run) -> None:
    with pytest.raises(ValueError, match="my own"), stage.start() as active:
        stage.meet()
        stage.open_gate()
        raise ValueError("my own")
    _assert_cut_short(load_run(active.path), undisturbed)


def test_active_run_as_a_context_leaves_an_ended_run_alone(stage: Stage, undisturbed: Run) -> None:
    stage.open_gate()
    with stage.start() as active:
        run = active.wait(PATIENCE_SECS)
    _assert_same_results(run, undisturbed)


def test_wait_timeout_raises_and_the_run_goes_on(stage: Stage, undisturbed: Run) -> None:
    active = stage.start()
    stage.meet()
    with pytest.raises(TimeoutError, match=f"{active.path.name} has not ended after 0.01 s"):
        active.wait(0.01)
    assert active.is_active
    stage.open_gate()
    _assert_same_results(active.wait(PATIENCE_SECS), undisturbed)


def test_on_progress_that_raises_is_raised_at_the_end_and_the_run_is_kept(
    walk: Path, tmp_path: Path, worker: Worker, undisturbed: Run
) -> None:
    calls: list[Progress] = []

    def show(progress: Progress) -> None:
        calls.append(progress)
        raise ZeroDivisionError("a broken display")

    (tmp_path / "gate").touch()
    config = walk_config(walk, gated(tmp_path / "runs", tmp_path, at=100, secs=0))
    active = start_backtest(config, runs=tmp_path / "runs", worker=worker, on_progress=show)
    with pytest.raises(ZeroDivisionError, match="a broken display") as caught:
        active.wait(PATIENCE_SECS)
    assert str(active.path) in "".join(caught.value.__notes__)
    assert len(calls) == 1
    assert active.progress.state == JobState.COMPLETED
    _assert_same_results(load_run(active.path), undisturbed)
