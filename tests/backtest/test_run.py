"""A run from outside: its end, its control, its failures, and the worker after each of them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import psutil
import pytest
from nautilus_trader.config import LoggingConfig

from tests.backtest.configs import HALF_A_DAY, TWO_DAYS, ema_cross, fx_config, strategy
from tests.backtest.raw import read_fills
from workbench.backtest.configuration import build_fill_model
from workbench.backtest.run import Run, load_run, run_backtest, start_backtest
from workbench.errors import ConfigError, InputError, NotFoundError, RunError, WorkbenchError
from workbench.jobs.worker import Worker
from workbench.records import Progress
from workbench.states import JobState

pytestmark = pytest.mark.data
COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))


def _tables(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return everything that a run kept, without what differs from run to run."""
    found = {}
    for name in ("equity", "orders", "fills", "positions", "accounts"):
        frame = run.load_table(name)
        found[name] = json.loads(frame.astype(str).to_json(orient="records"))
    found["metrics"] = [run.metrics]
    return found


# -- PROGRESS -------------------------------------------------------------------------------------


def test_progress_moves_forward_and_arrives(gbpusd: Path, runs: Path, worker: Worker) -> None:
    seen: list[Progress] = []
    config = fx_config(gbpusd, strategy("Slow", secs=0.0005), **TWO_DAYS)
    run = run_backtest(config, runs=runs, worker=worker, on_progress=seen.append)
    assert seen[0].stage == "load"
    running = [p for p in seen if p.stage == "run"]
    assert len(running) >= 4
    assert "save" in {p.stage for p in seen}
    assert seen[-1].state == JobState.COMPLETED
    assert seen[-1].fraction == 1.0
    for field in ("fraction", "events", "simulated_ts_ns"):
        values = [getattr(p, field) for p in running]
        assert values == sorted(values), field
    for p in running:
        assert p.currency == "USD"
        assert p.equity == "1000000"
        assert p.events_per_sec > 0
        assert p.eta_secs is not None
        assert p.rss_bytes > 50_000_000
        assert p.fraction == pytest.approx(p.events / run.record.events)


# -- INTERRUPT ------------------------------------------------------------------------------------


class Steering:
    """Does something to a run when its progress says so, and keeps what it saw."""

    def __init__(self, when: Callable[[Progress], bool], do: Callable[[], None]) -> None:
        self.when, self.do = when, do
        self.seen: list[Progress] = []
        self.happened = threading.Event()

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)
        if not self.happened.is_set() and self.when(progress):
            self.happened.set()
            self.do()


def test_wait_interrupted_cancels_keeps_and_raises(gbpusd: Path, runs: Path, worker: Worker) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    steering = Steering(lambda p: p.stage == "run", interrupt)
    config = fx_config(gbpusd, strategy("Slow", secs=0.01))
    active = start_backtest(config, runs=runs, worker=worker, on_progress=steering)
    with pytest.raises(KeyboardInterrupt):
        active.wait()
    assert load_run(active.path).record.state == JobState.CANCELLED


# -- FAILURES -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "message", "where"),
    [
        ("start", "RuntimeError: trouble in on_start", "in on_start"),
        ("bar", "RuntimeError: trouble in on_bar", "in _do_bar"),
        ("exit", "SystemExit: 3", "in _do_exit"),
        ("stop", "RuntimeError: trouble in on_stop", "in on_stop"),
    ],
)
def test_strategy_that_raises_fails_with_its_line(
    gbpusd: Path, runs: Path, worker: Worker, kind: str, message: str, where: str
) -> None:
    config = fx_config(gbpusd, strategy("Trouble", kind=kind), **HALF_A_DAY)
    with pytest.raises(RunError, match=r"log\.jsonl") as caught:
        run_backtest(config, runs=runs, worker=worker)
    (path,) = (p for p in runs.iterdir() if p.name != "_strategies")
    run = load_run(path)
    assert run.record.state == JobState.FAILED
    assert run.record.failure is not None
    assert run.record.failure.kind == "exception"
    assert run.record.failure.message == message
    assert where in run.record.failure.traceback
    assert "bt_strategies.py" in run.record.failure.traceback
    assert message in str(caught.value)
    assert run.record.identity is not None
    assert run.verify() == []
    assert "log.jsonl" in run.record.files
    if kind == "bar":  # What it did until then is kept
        assert len(run.load_table("fills")) == 2
        assert len(run.load_table("equity")) > 2


@pytest.mark.parametrize("chunk_size", [None, 97])
def test_account_that_nautilus_breaks_off_fails_and_keeps_its_results(
    gbpusd: Path, runs: Path, worker: Worker, chunk_size: int | None
) -> None:
    venue = {
        "account_type": "CASH",
        "base_currency": None,
        "starting_balances": ["31600000 USD", "100 GBP"],
    }
    config = fx_config(
        gbpusd, strategy("Ruin", sells_first=True), venue=venue, chunk_size=chunk_size, **HALF_A_DAY
    )
    run = start_backtest(config, runs=runs, worker=worker).wait(60)
    assert run.record.state == JobState.FAILED
    assert run.record.failure is not None
    assert run.record.failure.kind == "account"
    assert run.record.failure.message.startswith("nautilus stopped the run: AccountBalanceNegative(balance=-")
    assert run.record.events == 18
    assert len(run.load_table("orders")) == 1
    assert run.metrics["nautilus"]["summary"]["iterations"] == "18"


def test_account_below_zero_that_nautilus_lets_go_on_is_warned_of(
    gbpusd: Path, runs: Path, worker: Worker
) -> None:
    venue = {"starting_balances": ["5000 USD"], "default_leverage": 10_000.0}
    run = run_backtest(
        fx_config(gbpusd, strategy("Ruin"), venue=venue, **HALF_A_DAY), runs=runs, worker=worker
    )
    assert run.record.state == JobState.COMPLETED
    (warning,) = run.record.warnings
    assert warning.startswith("the equity fell below zero at 2012-02-01T")
    assert warning in (run.path / "log.jsonl").read_text()
    assert run.load_table("equity")["equity"].min() < 0


# -- A WARM WORKER --------------------------------------------------------------------------------


def _kinds(catalog: Path) -> dict[str, Any]:
    return {
        "netting": fx_config(catalog, ema_cross(2, 3), **HALF_A_DAY),
        "brackets": fx_config(catalog, strategy("Brackets"), oms="HEDGING", **HALF_A_DAY),
        "chunked": fx_config(catalog, strategy("Clockwork"), chunk_size=100, **HALF_A_DAY),
        "failing": fx_config(catalog, strategy("Trouble", kind="bar"), **HALF_A_DAY),
        "poison": fx_config(catalog, strategy("Trouble", kind="poison"), **HALF_A_DAY),
        "cancelled": fx_config(catalog, strategy("Slow", secs=0.005)),
    }


def test_warm_worker_equals_fresh_processes_in_any_order(gbpusd: Path, runs: Path) -> None:
    configs = _kinds(gbpusd)

    def go(name: str, worker: Worker | None) -> Any:
        steering = Steering(lambda p: p.events > 20, lambda: active.cancel())
        active = start_backtest(
            configs[name], runs=runs, worker=worker, on_progress=steering if name == "cancelled" else None
        )
        run = active.wait(100)
        if name == "cancelled":
            assert run.record.state == JobState.CANCELLED
            return None
        return run.record.identity, run.record.events, run.record.state, _tables(run)

    fresh = {name: go(name, None) for name in configs if name != "cancelled"}
    with Worker() as warm:
        pids = set()
        # The first and the last: one is the other backwards.
        for order in itertools.islice(itertools.permutations(configs), 0, 720, 187 if COUNT > 5 else 719):
            for name in order:
                found = go(name, warm)
                assert found is None or found == fresh[name], (order, name)
            pids.add(warm.pid)
        assert len(pids) == 1  # It was one warm process all the time


def test_warm_worker_forgets_the_state_of_strategy_modules(gbpusd: Path, runs: Path, worker: Worker) -> None:
    config = fx_config(gbpusd, strategy("Stateful"), **HALF_A_DAY)
    for _ in range(2):
        run = run_backtest(config, runs=runs, worker=worker)
        assert "run number 1 in this process" in (run.path / "log.jsonl").read_text()


def test_strategy_that_changes_the_decimal_context_changes_no_number(
    gbpusd: Path, runs: Path, worker: Worker
) -> None:
    found = []
    for kind in ("poison", "wait"):
        config = fx_config(gbpusd, strategy("Trouble", kind=kind, at=15), **HALF_A_DAY)
        tables = _tables(run_backtest(config, runs=runs, worker=worker))
        found.append({name: tables[name] for name in ("equity", "fills", "positions")})
    assert found[0] == found[1]


def test_warm_worker_memory_does_not_grow_from_run_to_run(gbpusd: Path, runs: Path) -> None:
    config = fx_config(gbpusd, ema_cross(2, 3), **TWO_DAYS)
    with Worker() as warm:
        resident = []
        for _ in range(6):
            run_backtest(config, runs=runs, worker=warm)
            assert warm.pid is not None
            resident.append(psutil.Process(warm.pid).memory_info().rss)
    assert resident[-1] - resident[2] < 15_000_000


# -- BAD INPUT ------------------------------------------------------------------------------------


def _bad(config: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(config, **changes)


def _bad_configs(catalog: Path) -> dict[str, tuple[Any, type[Exception], str]]:
    good = fx_config(catalog, **HALF_A_DAY)
    data, venue = good.data[0], good.venues[0]
    other = "EUR/USD.SIM-1-MINUTE-BID-EXTERNAL"
    return {
        "no data": (_bad(good, data=[]), ConfigError, "names no data"),
        "no venue": (_bad(good, venues=[]), ConfigError, "names no venue"),
        "end before start": (_bad(good, end="2012-01-01"), ConfigError, "is before the start"),
        "a start that is no time": (_bad(good, start="soon"), ConfigError, "start is 'soon'"),
        "range without data": (
            _bad(good, start="2020-01-01", end="2020-02-01"),
            ConfigError,
            "a range that meets 2012-02-01T00:01:00Z to 2012-03-01T00:01:00Z",
        ),
        "missing catalog": (
            _bad(good, data=[_bad(data, catalog_path="/no/where")]),
            NotFoundError,
            "no catalog at /no/where",
        ),
        "instrument not there": (
            _bad(good, data=[_bad(data, bar_types=[other])]),
            NotFoundError,
            "EUR/USD.SIM is not in the catalog",
        ),
        "bar type not there": (
            _bad(good, data=[_bad(data, bar_types=["GBP/USD.SIM-5-MINUTE-BID-EXTERNAL"])]),
            NotFoundError,
            "expected one of GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL, GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
        ),
        "bar type nonsense": (_bad(good, data=[_bad(data, bar_types=["nonsense"])]), ConfigError, "nonsense"),
        "quotes not there": (
            _bad(
                good,
                data=[
                    _bad(
                        data,
                        data_cls="nautilus_trader.model.data:QuoteTick",
                        bar_types=None,
                        instrument_ids=["GBP/USD.SIM"],
                    )
                ],
            ),
            NotFoundError,
            "no QuoteTick data of GBP/USD.SIM",
        ),
        "data class nonsense": (_bad(good, data=[_bad(data, data_cls="no.where:Bar")]), ConfigError, "data:"),
        "venue missing": (_bad(good, venues=[_bad(venue, name="XNAS")]), ConfigError, "venue SIM"),
        "venue twice": (_bad(good, venues=[venue, venue]), ConfigError, "configured twice"),
        "oms type": (_bad(good, venues=[_bad(venue, oms_type="NOPE")]), ConfigError, "oms_type is 'NOPE'"),
        "account type": (
            _bad(good, venues=[_bad(venue, account_type="NOPE")]),
            ConfigError,
            "account_type is 'NOPE'",
        ),
        "book type": (_bad(good, venues=[_bad(venue, book_type="L9")]), ConfigError, "book_type is 'L9'"),
        "venue name": (_bad(good, venues=[_bad(venue, name="Börse")]), ConfigError, "venue SIM"),
        "second venue name": (
            _bad(good, venues=[venue, _bad(venue, name="Börse")]),
            ConfigError,
            "a venue is named 'Börse'",
        ),
        "log level": (
            fx_config(catalog, logging=LoggingConfig(log_level_file="LOUD"), **HALF_A_DAY),
            ConfigError,
            "the log level is 'LOUD'",
        ),
        "strategy id": (
            fx_config(catalog, ema_cross(strategy_id="X"), **HALF_A_DAY),
            ConfigError,
            "NAME-TAG",
        ),
        "fill model": (
            _bad(good, venues=[_bad(venue, fill_model=build_fill_model(prob_slippage=2.0))]),
            ConfigError,
            "fill_model is",
        ),
        "cash account of one currency for a pair": (
            fx_config(catalog, venue={"account_type": "CASH"}, **HALF_A_DAY),
            ConfigError,
            "leave base_currency out",
        ),
        "strategy that cannot be made": (
            fx_config(catalog, strategy("Trouble", kind="init"), **HALF_A_DAY),
            ConfigError,
            "RuntimeError: trouble in init (bt_strategies.py, line",
        ),
        "balance": (_bad(good, venues=[_bad(venue, starting_balances=["much"])]), ConfigError, "much"),
        "no balance": (_bad(good, venues=[_bad(venue, starting_balances=[])]), ConfigError, "no starting"),
        "balance in another currency": (
            _bad(good, venues=[_bad(venue, starting_balances=["1 GBP"])]),
            ConfigError,
            "one balance, in USD",
        ),
        "book without data": (
            _bad(good, venues=[_bad(venue, book_type="L2_MBP")]),
            ConfigError,
            "No order book data",
        ),
        "strategy path": (
            fx_config(catalog, strategy("NoSuchStrategy"), **HALF_A_DAY),
            NotFoundError,
            "bt_strategies:NoSuchStrategy",
        ),
        "strategy field": (fx_config(catalog, ema_cross(wrong=1), **HALF_A_DAY), ConfigError, "wrong"),
        "strategy value": (
            fx_config(catalog, ema_cross("ten"), **HALF_A_DAY),
            ConfigError,
            "fast_ema_period",
        ),
        "not a strategy": (
            fx_config(catalog, strategy("Decimal"), **HALF_A_DAY),
            InputError,
            "bt_strategies:Decimal",
        ),
    }


@pytest.mark.parametrize("name", list(_bad_configs(Path("/nowhere"))))
def test_bad_input_is_refused_and_nothing_is_written(gbpusd: Path, runs: Path, name: str) -> None:
    config, kind, words = _bad_configs(gbpusd)[name]
    with pytest.raises(kind) as caught:
        start_backtest(config, runs=runs)
    assert isinstance(caught.value, WorkbenchError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.field
    assert not runs.exists()


# -- THE REPORTING OF A FINISHED RUN --------------------------------------------------------------


def test_run_is_read_back_from_its_directory(gbpusd: Path, runs: Path, worker: Worker) -> None:
    run = run_backtest(fx_config(gbpusd, **HALF_A_DAY), name="my run", runs=runs, worker=worker)
    again = load_run(str(run.path))
    assert again.record == run.record
    assert again.record.name == "my run"
    assert again.config == run.config
    assert set(again.metrics) >= {"headline", "costs", "definitions", "nautilus", "rates"}
    assert run.record.backtest_start == "2012-02-01T00:00:00.000000000Z"
    assert again.record.elapsed_secs > 0
    assert again.manifest["state"] == "COMPLETED"
    with pytest.raises(NotFoundError, match="kept no table 'nothing'"):
        again.load_table("nothing")
    equity = run.load_table("equity")
    assert equity["ts"].is_monotonic_increasing
    assert equity["ts"].is_unique
    assert isinstance(equity["ts"].dtype, pd.DatetimeTZDtype)


def test_run_that_has_not_ended_or_does_not_exist_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    for name, words in (("open", "has not ended"), ("none", "does not exist")):
        with pytest.raises(NotFoundError, match=words):
            load_run(tmp_path / name)


def test_run_repeats_from_a_copy_of_the_catalog_with_equal_fills(
    gbpusd: Path, runs: Path, worker: Worker, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    copy.symlink_to(gbpusd)
    one, other = (
        run_backtest(fx_config(path, **HALF_A_DAY), runs=runs, worker=worker) for path in (gbpusd, copy)
    )
    assert one.record.identity == other.record.identity
    assert read_fills(one) == read_fills(other)
