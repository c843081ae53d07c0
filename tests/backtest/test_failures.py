"""Every way in which a run can break ends as a reason, and the same worker runs the next one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.backtest.config import BacktestRunConfig

from tests.backtest.configs import quotes_config, write_quotes
from tests.backtest.mark_runs import GBPUSD, gated, row_at, script, strategy, venue, walk_config, write_walk
from workbench.backtest.run import Run, load_run, run_backtest, start_backtest
from workbench.catalog.instruments import build_instrument
from workbench.errors import ConfigError, NotFoundError, RunError
from workbench.jobs.worker import Limits, Worker
from workbench.records import Failure, Progress
from workbench.states import JobState

ID = "GBP/USD.SIM"
QUOTES = 60


@pytest.fixture(scope="module")
def worker(walk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with Worker() as shared:
        # Warm, so that a limit on the time without progress does not measure the import of nautilus.
        _assert_usable(shared, walk, tmp_path_factory.mktemp("warm"))
        yield shared


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog = tmp_path_factory.mktemp("walk")
    write_walk(catalog, GBPUSD, QUOTES)
    return catalog


def _assert_usable(worker: Worker, walk: Path, path: Path) -> None:
    """Assert that the next run on this worker has the numbers that it must have."""
    steps = [("2024-01-02T00:05", ID, "10000", ""), ("2024-01-02T00:20", ID, "-10000", "")]
    seen: list[Progress] = []
    run = run_backtest(
        walk_config(walk, script(path / "runs", steps, [GBPUSD])),
        runs=path / "runs",
        worker=worker,
        on_progress=seen.append,
    )
    bought, sold = run.load_table("fills").itertuples()
    # 1.20000 plus |35 - 100| pips for the bid of the fifth minute, two more for the ask
    assert (bought.last_px, sold.last_px) == (Decimal("1.20670"), Decimal("1.20400"))
    assert run.load_table("equity")["equity"].iloc[-1] == Decimal(1000000) + 10_000 * (
        Decimal("1.20400") - Decimal("1.20670")
    )
    assert (run.record.state, run.record.events) == (JobState.COMPLETED, QUOTES)
    assert run.verify() == []
    assert seen[-1].state == JobState.COMPLETED


class Trial:
    """Runs what breaks, and then checks the worker."""

    def __init__(self, walk: Path, path: Path, worker: Worker) -> None:
        self.walk, self.path, self.worker = walk, path, worker
        self.runs = path / "runs"
        self.seen: list[Progress] = []

    def build_config(self, kind: str) -> BacktestRunConfig:
        return walk_config(self.walk, strategy("Faulty", self.runs, instrument_id=ID, kind=kind))

    def break_run(
        self,
        how: str | BacktestRunConfig,
        *,
        limits: Limits | None = None,
        state: JobState = JobState.FAILED,
    ) -> tuple[Run, Failure, str]:
        """Return the run, why it failed, and what `run_backtest` raised."""
        config = how if isinstance(how, BacktestRunConfig) else self.build_config(how)
        with pytest.raises(RunError) as caught:
            run_backtest(
                config, runs=self.runs, worker=self.worker, limits=limits, on_progress=self.seen.append
            )
        (path,) = [p.parent for p in self.runs.glob("*/manifest.json")]
        run = load_run(path)
        assert run.record.state == state
        assert run.record.failure is not None
        assert run.verify() == []
        assert str(path) in str(caught.value)
        assert run.record.failure.message in str(caught.value)
        assert self.seen[-1].state == state
        assert run.config["venues"]
        return run, run.record.failure, str(caught.value)


@pytest.fixture
def trial(walk: Path, tmp_path: Path, worker: Worker) -> Iterator[Trial]:
    trial = Trial(walk, tmp_path, worker)
    yield trial
    _assert_usable(worker, walk, tmp_path / "after")


@pytest.mark.parametrize(
    ("kind", "function", "events"),
    [
        ("start", "on_start", 0),
        ("data", "on_quote_tick", 19),
        ("stop", "on_stop", QUOTES),
    ],
)
def test_failure_of_the_strategy_names_the_function(
    trial: Trial, kind: str, function: str, events: int
) -> None:
    run, failure, raised = trial.break_run(kind)
    assert failure.kind == "exception"
    assert failure.message == f"RuntimeError: broken in {kind}"
    assert f"in {function}" in failure.traceback
    assert f"in {function}" in raised
    assert "workbench_strategy_" in failure.traceback  # the file that was captured
    # What was done until then is kept.
    assert run.record.events == events
    assert run.record.fills == len(run.load_table("fills")) == (1 if events else 0)
    if events:
        last = run.load_table("equity").iloc[-1]
        assert (last["open_positions"], last["events"]) == (1, events)
        assert trial.seen[-1].open_positions == 1
        assert Decimal(trial.seen[-1].equity or "") == last["equity"]


def test_strategy_that_cannot_be_made_is_refused_before_anything_starts(trial: Trial) -> None:
    words = r"strategies 0 cannot be made: RuntimeError: broken in init \(workbench_strategy_.*, line \d+\)"
    with pytest.raises(ConfigError, match=words) as caught:
        start_backtest(trial.build_config("init"), runs=trial.runs, worker=trial.worker)
    assert caught.value.field == "engine.strategies.0.config"
    assert [p.name for p in trial.runs.iterdir()] == ["_strategies"]


def test_failure_of_a_hanging_strategy_is_stalled_and_names_it(trial: Trial) -> None:
    run, failure, _ = trial.break_run("hang", limits=Limits(stall_secs=2))
    assert failure.kind == "stalled"
    assert "no progress for 2 s" in failure.message
    assert "break_by_hang" in failure.traceback
    assert "on_quote_tick" in failure.traceback
    with pytest.raises(NotFoundError):
        run.load_table("fills")


def test_failure_of_an_eating_strategy_is_memory_and_names_it(trial: Trial) -> None:
    _, failure, _ = trial.break_run("eating", limits=Limits(memory_bytes=900_000_000))
    assert failure.kind == "memory"
    assert "more than its limit of 900 MB" in failure.message
    assert "break_by_eating" in failure.traceback


def test_failure_by_exit_is_died_with_the_code_and_the_last_words(trial: Trial) -> None:
    _, failure, _ = trial.break_run("exit")
    assert failure.kind == "died"
    assert "exit code 5" in failure.message
    assert "last words" in failure.traceback


def test_failure_by_kill_is_an_interruption(trial: Trial) -> None:
    run, failure, raised = trial.break_run("kill", state=JobState.INTERRUPTED)
    assert failure.kind == "killed"
    assert f"{run.record.run_id} was interrupted" in raised
    # What was known before it began
    assert run.record.rows == QUOTES
    assert (run.record.lineage, run.record.dataset) == ("Faulty", f"{ID}@QuoteTick")
    assert "SIGKILL" in failure.message


def test_failure_by_kill_from_outside_leaves_a_manifest(trial: Trial) -> None:
    config = walk_config(trial.walk, gated(trial.runs, trial.path, at=30))
    active = start_backtest(config, runs=trial.runs, worker=trial.worker)
    deadline, pause = time.monotonic() + 30, threading.Event()
    while not (trial.path / "reached").exists():
        assert time.monotonic() < deadline
        pause.wait(0.005)
    pid = trial.worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    run = active.wait(30)
    assert run.record.state == JobState.INTERRUPTED
    assert run.record.failure is not None
    assert run.record.failure.kind == "killed"
    assert active.progress.state == JobState.INTERRUPTED
    assert run.verify() == []
    with pytest.raises(RunError, match="SIGKILL"):
        run.raise_for_failure()


@pytest.mark.parametrize("chunk_size", [None, 7])
def test_failure_of_the_account_says_so_and_keeps_the_results(
    trial: Trial, tmp_path: Path, chunk_size: int | None
) -> None:
    """Nautilus checks the price of an order before it goes out, but not its fee: that takes the last cent."""
    stock = build_instrument("equity", "AAPL.XNAS", taker_fee="0.01", maker_fee="0")
    rows = [(f"2024-01-02T10:{m:02}", "100.00", "100.10") for m in range(30)]
    write_quotes(tmp_path / "catalog", stock, rows)
    # 1,001 + 10.01 are paid first, then 9,009 + 90.09 of the 9,009 that are left.
    steps = [("2024-01-02T10:05", str(stock.id), "10", ""), ("2024-01-02T10:15", str(stock.id), "90", "")]
    config = quotes_config(
        tmp_path / "catalog",
        [str(stock.id)],
        script(trial.runs, steps, [stock]),
        venue=venue("XNAS", "10020.01 USD", kind="CASH", base="USD"),
        chunk_size=chunk_size,
    )
    run, failure, _ = trial.break_run(config)
    assert failure.kind == "account"
    assert failure.message.startswith("nautilus stopped the run: AccountBalanceNegative")
    assert "-90.09" in failure.message
    assert run.record.events == 15
    assert list(run.load_table("orders")["quantity"]) == [Decimal(10), Decimal(90)]
    bought = row_at(run.load_table("equity"), "2024-01-02T10:14")
    assert bought["balance"] == Decimal("9009.00")
    assert bought["equity"] == Decimal("10009.00")
    assert run.load_table("fills")["commission"].iloc[0] == Decimal("10.01")


def test_margin_account_below_zero_is_shown_as_it_is(walk: Path, tmp_path: Path, worker: Worker) -> None:
    """Nautilus lets a margin account lose more than it holds: the run ends as any other, and the loss shows."""
    # A million pounds, bought at 1.20670 and sold at 1.20020
    steps = [("2024-01-02T00:05", ID, "1000000", ""), ("2024-01-02T00:14", ID, "-1000000", "")]
    runs = tmp_path / "runs"
    where = venue("SIM", "1000 USD", base="USD", default_leverage=1_000.0)
    config = walk_config(walk, script(runs, steps, [GBPUSD]), venue=where)
    run = run_backtest(config, runs=runs, worker=worker)
    equity = run.load_table("equity")["equity"]
    assert equity.iloc[-1] == Decimal(1000) - 1_000_000 * (Decimal("1.20670") - Decimal("1.20020"))
    headline = run.metrics["headline"]
    assert Decimal(headline["ending_equity"]["value"]) == Decimal(-5500)
    assert headline["total_return"]["value"] == pytest.approx(-6.5)


def test_failure_is_not_raised_by_wait_but_by_run_backtest(trial: Trial) -> None:
    active = start_backtest(trial.build_config("data"), runs=trial.runs, worker=trial.worker)
    run = active.wait(30)
    assert run.record.state == JobState.FAILED
    with pytest.raises(RunError, match="broken in data"):
        run.raise_for_failure()
