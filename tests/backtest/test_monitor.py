"""The monitor: when it samples, what it reports, and that the run is the same without it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.backtest.config import BacktestRunConfig, ImportableLatencyModelConfig
from nautilus_trader.config import ImportableStrategyConfig

from tests.backtest.configs import write_quotes
from tests.backtest.mark_runs import GBPUSD, gated, row_at, script, venue, walk_config, write_walk
from tests.backtest.raw import RawProcess, assert_equals_raw
from workbench.backtest.monitor import choose_interval_ns
from workbench.backtest.run import run_backtest
from workbench.jobs.worker import Worker
from workbench.records import Progress
from workbench.states import JobState

SECOND = 1_000_000_000
DAY_NS = 86_400 * SECOND
START = pd.Timestamp("2024-01-02", tz="UTC").value
LATENCY = ImportableLatencyModelConfig(
    latency_model_path="nautilus_trader.backtest.models:LatencyModel",
    config_path="nautilus_trader.backtest.config:LatencyModelConfig",
    config={"base_latency_nanos": 2 * SECOND},
)
# The bid goes up a pip an hour: the state at any midnight tells which quotes it has seen.
HOURS = [
    (str(pd.Timestamp("2024-01-02T20:00") + pd.Timedelta(hours=i)), f"1.2{i:02}00", f"1.2{i:02}20")
    for i in range(53)
]
SALES = [("2024-01-02T03:00", "GBP/USD.SIM", "-25000", ""), ("2024-01-02T04:00", "GBP/USD.SIM", "5000", "")]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


@pytest.fixture(scope="module")
def hourly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog = tmp_path_factory.mktemp("hourly")
    write_quotes(catalog, GBPUSD, HOURS)
    return catalog


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog = tmp_path_factory.mktemp("walk")
    write_walk(catalog, GBPUSD, 300)
    return catalog


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 4_000 * DAY_NS))
def test_choose_interval_divides_a_day_and_makes_few_ticks(start_ns: int, span_ns: int) -> None:
    interval = choose_interval_ns(start_ns, start_ns + span_ns)
    assert interval >= SECOND
    assert DAY_NS % interval == 0
    if span_ns <= 2_000 * DAY_NS:
        assert span_ns / interval <= 2_000
    else:
        assert interval == DAY_NS


@pytest.mark.parametrize(
    ("span_secs", "interval_secs"),
    [(0, 1), (2_000, 1), (2_001, 5), (86_400, 60), (30 * 86_400, 1_800), (2_000 * 86_400, 86_400)],
)
def test_choose_interval_is_the_shortest_that_fits(span_secs: int, interval_secs: int) -> None:
    assert choose_interval_ns(START, START + span_secs * SECOND) == interval_secs * SECOND


def test_choose_interval_end_before_start_is_a_second() -> None:
    assert choose_interval_ns(START, START - DAY_NS) == SECOND


@pytest.mark.parametrize("latency", [None, LATENCY], ids=["timer", "data"])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_monitor_samples_every_midnight_after_its_data(
    hourly: Path, tmp_path: Path, worker: Worker, chunk_size: int | None, latency: Any
) -> None:
    runs = tmp_path / "runs"
    buy = script(runs, [("2024-01-02T21:00", "GBP/USD.SIM", "10000", "")], [GBPUSD])
    where = venue("SIM", "100000 USD", base="USD", **({"latency_model": latency} if latency else {}))
    config = walk_config(hourly, buy, venue=where, chunk_size=chunk_size)
    equity = run_backtest(config, runs=runs, worker=worker).load_table("equity")
    times = equity["ts"]
    assert times.is_monotonic_increasing
    assert times.is_unique
    midnights = [t for t in times if t == t.normalize()]
    assert [str(t.date()) for t in midnights] == ["2024-01-03", "2024-01-04", "2024-01-05"]
    # Bought at the ask of 21:00, or with the latency at that of 22:00: the next data.
    paid = Decimal("1.20120") if latency is None else Decimal("1.20220")
    # The quotes stamped exactly at midnight count: the fifth, the 29th and the last but ... of all
    for day, bid in (("03", "1.20400"), ("04", "1.22800"), ("05", "1.25200")):
        sample = row_at(equity, f"2024-01-{day}")
        assert sample["equity"] == Decimal(100000) + 10_000 * (Decimal(bid) - paid), day
    first, last = equity.iloc[0], equity.iloc[-1]
    assert (first["ts"], first["equity"], first["events"]) == (
        pd.Timestamp(HOURS[0][0], tz="UTC"),
        Decimal(100000),
        0,
    )
    assert last["ts"] == pd.Timestamp(HOURS[-1][0], tz="UTC")
    assert last["events"] == len(HOURS)
    assert last["equity"] == Decimal(100000) + 10_000 * (Decimal(HOURS[-1][1]) - paid)


def test_monitor_first_sample_is_the_start_and_last_is_what_is_left(
    hourly: Path, tmp_path: Path, worker: Worker
) -> None:
    """What closes when the run stops is in the last sample, though no data came after it."""
    runs = tmp_path / "runs"
    buy = script(runs, [("2024-01-02T20:00", "GBP/USD.SIM", "10000", "")], [GBPUSD], closes=True)
    run = run_backtest(walk_config(hourly, buy), runs=runs, worker=worker)
    equity = run.load_table("equity")
    # The order goes out with the very first quote, but the first sample comes before it.
    assert equity["equity"].iloc[0] == Decimal(1000000)
    assert equity["open_positions"].iloc[0] == 0
    last = equity.iloc[-1]
    assert (last["open_positions"], last["open_orders"]) == (0, 0)
    assert (
        last["equity"]
        == last["balance"]
        == Decimal(1000000) + 10_000 * (Decimal(HOURS[-1][1]) - Decimal("1.20020"))
    )
    assert run.record.fills == 2


def test_monitor_configured_start_before_the_data_has_its_midnights(
    hourly: Path, tmp_path: Path, worker: Worker
) -> None:
    config = walk_config(hourly, start="2023-12-31", end="2024-01-03T12:00:00Z")
    equity = run_backtest(config, runs=tmp_path / "runs", worker=worker).load_table("equity")
    assert [str(t.date()) for t in equity["ts"] if t == t.normalize()] == [
        "2023-12-31",
        "2024-01-01",
        "2024-01-02",
        "2024-01-03",
    ]
    assert set(equity["equity"]) == {Decimal(1000000)}


def _importable(steps: list[Any], **config: Any) -> ImportableStrategyConfig:
    """Return a script by its import path: raw nautilus finds no captured source."""
    return ImportableStrategyConfig(
        strategy_path="mark_strategies:Script",
        config_path="mark_strategies:ScriptConfig",
        config={"steps": steps, "instruments": ["GBP/USD.SIM"], **config},
    )


def _cases(catalog: Path) -> list[BacktestRunConfig]:
    steps = [
        (str(pd.Timestamp("2024-01-02") + pd.Timedelta(minutes=10 * i)), "GBP/USD.SIM", q, px)
        for i, (q, px) in enumerate(
            [("10000", ""), ("-25000", ""), ("9000", "1.20100"), ("20000", ""), ("-3000", "1.20900")] * 5
        )
    ]
    where = venue("SIM", "1000000 USD", base="USD")
    return [
        walk_config(catalog, _importable(steps, closes=True), venue=where),
        walk_config(catalog, _importable(steps), venue={**where, "oms_type": "HEDGING"}),
        walk_config(catalog, _importable(steps), venue={**where, "latency_model": LATENCY}),
    ]


@pytest.fixture(scope="module")
def raw(walk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawProcess]:
    process = RawProcess(tmp_path_factory.mktemp("raw") / "cases", _cases(walk))
    yield process
    process.close()


@pytest.mark.parametrize("case", range(3), ids=["netting", "hedging", "latency"])
def test_monitor_leaves_the_results_as_they_are_without_it(
    walk: Path, tmp_path: Path, worker: Worker, raw: RawProcess, case: int
) -> None:
    run = run_backtest(_cases(walk)[case], runs=tmp_path / "runs", worker=worker)
    assert run.record.fills >= 20
    assert_equals_raw(run, raw.read(case))


def test_monitor_progress_goes_forward_and_ends_with_the_final_state(
    walk: Path, tmp_path: Path, worker: Worker
) -> None:
    runs = tmp_path / "runs"
    seen: list[Progress] = []
    strategy = script(runs, SALES, [GBPUSD])
    run = run_backtest(walk_config(walk, strategy), runs=runs, worker=worker, on_progress=seen.append)
    assert seen[0].stage == "load"
    for earlier, later in itertools.pairwise(seen):
        assert earlier.fraction <= later.fraction
        assert earlier.events <= later.events
        assert (earlier.simulated_ts_ns or 0) <= (later.simulated_ts_ns or START)
    end = START + 299 * 60 * SECOND
    assert all(START <= p.simulated_ts_ns <= end for p in seen if p.simulated_ts_ns is not None)
    last = seen[-1]
    assert (last.state, last.fraction, last.events) == (JobState.COMPLETED, 1.0, 300)
    assert last.simulated_ts_ns == end
    equity = run.load_table("equity")["equity"].iloc[-1]
    assert equity != Decimal(1000000)
    assert Decimal(last.equity or "") == equity
    assert (last.currency, last.open_positions, last.open_orders) == ("USD", 1, 0)
    assert last.events_per_sec > 0
    assert last.rss_bytes > 50_000_000
    assert last.eta_secs is None


def test_monitor_progress_of_a_longer_run_arrives_on_the_way(
    walk: Path, tmp_path: Path, worker: Worker
) -> None:
    """A strategy that needs two milliseconds a quote is seen several times, ten times a second at most."""
    runs = tmp_path / "runs"
    seen: list[Progress] = []
    config = walk_config(walk, gated(runs, tmp_path, at=0, secs=0.002))
    run = run_backtest(config, runs=runs, worker=worker, on_progress=seen.append)
    running = [p for p in seen if p.stage == "run" and p.state == JobState.RUNNING]
    assert 2 <= len(running) <= run.record.elapsed_secs * 10 + 1
    middle = [p for p in running if 0 < p.fraction < 1]
    assert middle
    for progress in middle:
        assert progress.fraction == progress.events / 300
        assert progress.simulated_ts_ns is not None
        # Between this quote and the next, a minute later. Nautilus counts a quote after the timers of its time.
        ahead = progress.simulated_ts_ns - START - (progress.events - 1) * 60 * SECOND
        assert 0 <= ahead <= 60 * SECOND
        assert progress.eta_secs is not None
        assert progress.eta_secs == pytest.approx((300 - progress.events) / progress.events_per_sec)
