"""The gate in real backtests: on every way to the venue, at every kind of limit."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from nautilus_trader.backtest.config import BacktestDataConfig
from nautilus_trader.config import (
    ImportableActorConfig,
    ImportableExecAlgorithmConfig,
    ImportableStrategyConfig,
)
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from tests.backtest.configs import ema_cross, fx_config
from tests.backtest.conftest import gbpusd  # noqa: F401 - a fixture
from workbench.backtest.run import Run, run_backtest
from workbench.errors import WorkbenchError
from workbench.jobs.worker import Worker
from workbench.states import JobState

pytestmark = pytest.mark.data

HERE = Path(__file__).parent
MORNING = {"start": "2012-02-01", "end": "2012-02-01T06:00:00Z"}
PATHS = ("market", "bracket", "emulated", "algorithm", "direct", "risk")


@pytest.fixture(autouse=True)
def _strategy_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


@pytest.fixture(scope="module")
def quotes(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalog with a quote a minute: the emulator listens to nothing else."""
    path = tmp_path_factory.mktemp("quotes")
    bid, ask = (
        pd.read_csv(test_data / "fxcm" / f"gbpusd-m1-{side}-2012.csv", dtype=str, nrows=500)
        for side in ("bid", "ask")
    )
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD", Venue("SIM"))
    size = Quantity.from_int(10_000_000)
    ticks = [
        QuoteTick(instrument.id, Price.from_str(b), Price.from_str(a), size, size, ts, ts)
        for b, a, ts in zip(
            bid["close"],
            ask["close"],
            pd.to_datetime(bid["timestamp"], utc=True).astype("datetime64[ns, UTC]").astype("int64"),
            strict=True,
        )
    ]
    catalog = ParquetDataCatalog(path)
    catalog.write_data([instrument])
    catalog.write_data(ticks)
    return path


class Runner:
    """Runs one strategy with a gate."""

    def __init__(self, catalog: Path, quotes: Path, runs: Path, worker: Worker) -> None:
        self._catalog, self._quotes, self._runs, self._worker = catalog, quotes, runs, worker

    def run(
        self,
        limits: dict[str, Any] | None,
        *strategies: ImportableStrategyConfig,
        oms: str = "NETTING",
        gates: int = 1,
        has_quotes: bool = False,
        **more: Any,
    ) -> Run:
        config = fx_config(self._catalog, *strategies, oms=oms, **{**MORNING, **more})
        gate = ImportableActorConfig(
            actor_path="workbench.gate.actor:RiskGate",
            config_path="workbench.gate.actor:RiskGateConfig",
            config=limits or {},
        )
        twap = ImportableExecAlgorithmConfig(
            exec_algorithm_path="nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithm",
            config_path="nautilus_trader.examples.algorithms.twap:TWAPExecAlgorithmConfig",
            config={},
        )
        engine = msgspec.structs.replace(
            config.engine, actors=[] if limits is None else [gate] * gates, exec_algorithms=[twap]
        )
        ticks = BacktestDataConfig(
            catalog_path=str(self._quotes),
            data_cls="nautilus_trader.model.data:QuoteTick",
            instrument_id="GBP/USD.SIM",
        )
        data = [*config.data, ticks] if has_quotes else config.data
        config = msgspec.structs.replace(config, engine=engine, data=data)
        return run_backtest(config, runs=self._runs, worker=self._worker)


@pytest.fixture
def runner(gbpusd: Path, quotes: Path, tmp_path: Path, worker: Worker) -> Runner:  # noqa: F811
    return Runner(gbpusd, quotes, tmp_path / "runs", worker)


def paths(path: str, *sizes: int, close_at: int = 0, tag: str = "000") -> ImportableStrategyConfig:
    return ImportableStrategyConfig(
        strategy_path="gate_strategies:Paths",
        config_path="gate_strategies:PathsConfig",
        config={
            "instrument_id": "GBP/USD.SIM",
            "bar_type": "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
            "path": path,
            "sizes": [str(size) for size in sizes],
            "close_at": close_at,
            "order_id_tag": tag,
        },
    )


def read_gate(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.path / "gate.json").read_text())
    return found


def find_states(run: Run) -> list[tuple[str, int]]:
    orders = run.load_table("orders").sort_values("ts_init", kind="stable")
    return [(str(o.status), int(o.quantity)) for o in orders.itertuples()]


def find_positions(run: Run) -> list[int]:
    """Return the net position after every fill."""
    fills = run.load_table("fills")
    if fills.empty:
        return []
    signs = fills["order_side"].map({"BUY": 1, "SELL": -1})
    net: list[int] = (fills["last_qty"].map(int) * signs).cumsum().tolist()
    return net


@pytest.mark.parametrize("path", PATHS)
def test_order_within_its_limit_passes_on_every_path(runner: Runner, path: str) -> None:
    run = runner.run({"max_position": {"*": "100000"}}, paths(path, 100_000), has_quotes=path == "emulated")

    assert run.record.state == JobState.COMPLETED
    assert max(find_positions(run)) == 100_000
    assert read_gate(run) == {"denials": {}, "events": [], "denied": []}
    assert not [w for w in run.record.warnings if "gate" in w]


@pytest.mark.parametrize("path", PATHS)
def test_order_above_its_limit_is_denied_on_every_path(runner: Runner, path: str) -> None:
    run = runner.run(
        {"max_position": {"*": "100000"}}, paths(path, 200_000, 60_000, 60_000), has_quotes=path == "emulated"
    )

    assert run.record.state == JobState.COMPLETED
    assert 0 < max(find_positions(run)) <= 100_000
    gate = read_gate(run)
    assert gate["denials"]["GBP/USD.SIM"] >= 2
    assert all(event["kind"] == "denied" for event in gate["denied"])
    assert gate["events"] == []
    assert "DENIED" in {state for state, _ in find_states(run)}
    assert [w for w in run.record.warnings if w.startswith("the risk gate denied")]


def test_bracket_denied_sends_none_of_its_orders(runner: Runner) -> None:
    run = runner.run({"max_position": {"*": "100000"}}, paths("bracket", 200_000))

    assert find_states(run) == [("DENIED", 200_000)] * 3
    assert len(run.load_table("fills")) == 0


def test_order_may_not_grow_above_the_limit(runner: Runner) -> None:
    run = runner.run({"max_position": {"*": "100000"}}, paths("modify", 50_000, 100_000, 150_000, 80_000))

    (order,) = find_states(run)
    assert order[1] == 80_000, "growing to the limit and shrinking passed"
    (event,) = read_gate(run)["denied"]
    assert event["reason"] == "150000 long would be more than the limit of 100000"


def test_order_may_not_become_dearer_above_the_limit(runner: Runner) -> None:
    run = runner.run({"max_exposure": "100000"}, paths("dearer", 100_000, 600, 700, 500))

    (event,) = read_gate(run)["denied"]
    assert event["reason"].startswith("a gross exposure of 110")
    (price,) = run.load_table("orders")["price"]
    assert Decimal("0.7") < Decimal(price) < Decimal("0.9"), (
        "nearer within the limit, and farther again, passed"
    )


def test_modification_under_way_counts_before_the_venue_has_answered(runner: Runner) -> None:
    run = runner.run({"max_position": {"*": "100000"}}, paths("twice", 10_000, 60_000))

    (event,) = read_gate(run)["denied"]
    assert event["reason"] == "120000 long would be more than the limit of 100000"


def test_batch_cancel_passes_whatever_holds(runner: Runner) -> None:
    limits = {"max_orders_per_sec": 2}
    run = runner.run(limits, paths("batch", 10_000, 10_000))

    assert find_states(run) == [("CANCELED", 10_000)] * 2
    assert read_gate(run)["denied"] == []


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_net_exposure": "160000"}, "a net long exposure of 315"),
        ({"max_margin": "0.006"}, "a used margin of 9"),
    ],
)
def test_net_exposure_and_margin_are_limited_with_what_is_held(
    runner: Runner, limits: dict[str, Any], reason: str
) -> None:
    run = runner.run(limits, paths("market", 100_000, 100_000, -100_000))

    assert [state for state, _ in find_states(run)] == ["FILLED", "DENIED", "FILLED"]
    (event,) = read_gate(run)["denied"]
    assert event["reason"].startswith(reason)


def test_flattening_closes_positions_of_strategies_that_stand_against_each_other(runner: Runner) -> None:
    """What they add up to for the account is less than what either of them closes."""
    limits = {"max_daily_loss": "1", "on_breach": "FLATTEN"}
    run = runner.run(limits, paths("market", 100_000), paths("market", -60_000, tag="001"))

    positions = run.load_table("positions")
    assert len(positions) == 2
    assert positions["ts_closed"].notna().all()
    assert [e["kind"] for e in read_gate(run)["events"]] == ["breach"]


def test_pending_orders_count_to_the_position(runner: Runner) -> None:
    run = runner.run(
        {"max_position": {"*": "100000"}}, paths("modify", 80_000), paths("market", 30_000, tag="001")
    )

    assert len(run.load_table("fills")) == 0
    (event,) = read_gate(run)["denied"]
    assert event["reason"] == "110000 long would be more than the limit of 100000"


def test_instruments_own_limit_goes_before_the_general_one(runner: Runner) -> None:
    limits = {"max_position": {"*": "1", "GBP/USD.SIM": "100000"}}

    assert max(find_positions(runner.run(limits, paths("market", 100_000)))) == 100_000


def test_position_may_always_be_closed_and_turned_within_the_limit(runner: Runner) -> None:
    run = runner.run(
        {"max_position": {"*": "100000"}}, paths("market", 100_000, -200_000, 200_000, close_at=30)
    )

    assert find_positions(run) == [100_000, -100_000, 100_000, 0]


def test_hedging_positions_of_both_sides_are_limited_each(runner: Runner) -> None:
    sizes = (60_000, -60_000, 60_000, -30_000)
    run = runner.run({"max_position": {"*": "100000"}}, paths("market", *sizes, close_at=40), oms="HEDGING")

    assert find_states(run)[:4] == [
        ("FILLED", 60_000),
        ("FILLED", 60_000),
        ("DENIED", 60_000),
        ("FILLED", 30_000),
    ]
    assert find_positions(run)[-1] == 0, "all could be closed"


def test_exposure_is_limited_in_the_reporting_currency(runner: Runner) -> None:
    run = runner.run({"max_exposure": "160000"}, paths("market", 100_000, 100_000))

    assert [state for state, _ in find_states(run)] == ["FILLED", "DENIED"], "a pound was worth 1.58 dollars"
    (event,) = read_gate(run)["denied"]
    assert event["reason"].startswith("a gross exposure of 315")


def test_orders_within_a_second_are_limited(runner: Runner) -> None:
    three = [paths("market", 1_000, 1_000, tag=f"00{n}") for n in range(3)]
    run = runner.run({"max_orders_per_sec": 2}, *three)

    assert sorted(state for state, _ in find_states(run)) == ["DENIED"] * 2 + ["FILLED"] * 4


@pytest.mark.parametrize("action", ["DENY", "CANCEL", "FLATTEN"])
def test_daily_loss_reached_takes_no_new_risk_that_day(runner: Runner, action: str) -> None:
    limits = {"max_daily_loss": "2000", "on_breach": action}
    days = {"start": "2012-02-01", "end": "2012-02-04"}

    run = runner.run(limits, ema_cross(trade_size="1000000"), **days)

    gate = read_gate(run)
    first = next(e for e in gate["events"] if e["kind"] == "breach")
    at = pd.Timestamp(first["ts_ns"], tz="UTC")
    midnight = at.normalize() + pd.Timedelta("1D")
    assert 1_000_000 - Decimal(first["reason"].split()[-1]) >= 2000
    fills = run.load_table("fills").set_index("ts_event")
    signed = fills["last_qty"].map(int) * fills["order_side"].map({"BUY": 1, "SELL": -1})
    held = [int(signed[signed.index <= at].sum())]
    held += (held[0] + signed[(signed.index > at) & (signed.index < midnight)].cumsum()).astype(int).tolist()
    for before, after in itertools.pairwise(held):
        assert abs(after) < abs(before), "positions were reduced only"
        assert after * before >= 0
    if action == "FLATTEN":
        assert held[-1] == 0
    assert gate["denials"]["GBP/USD.SIM"] > 0
    assert [e for e in gate["events"] if e["kind"] == "day"], "the next day begins anew"
    assert (signed.index > midnight).any()
    assert [w for w in run.record.warnings if "a loss limit was reached" in w]


def test_drawdown_reached_stops_new_risk_for_good(runner: Runner) -> None:
    limits = {"max_drawdown": "0.004"}
    days = {"start": "2012-02-01", "end": "2012-02-04"}

    run = runner.run(limits, ema_cross(trade_size="1000000"), **days)

    (breach,) = [e for e in read_gate(run)["events"] if e["kind"] == "breach"]
    fills = run.load_table("fills")
    late = fills[fills["ts_event"] > pd.Timestamp(breach["ts_ns"], tz="UTC")]
    assert len(late) <= 1, "flat, and then nothing"


def test_gate_without_limits_changes_nothing(runner: Runner) -> None:
    plain, gated = (runner.run(limits, ema_cross()) for limits in (None, {}))

    for name in ("fills", "equity", "positions"):
        columns = [c for c in plain.load_table(name).columns if not c.endswith("_id")]
        pd.testing.assert_frame_equal(plain.load_table(name)[columns], gated.load_table(name)[columns])


def test_second_gate_is_refused(runner: Runner) -> None:
    with pytest.raises(WorkbenchError):
        runner.run({}, ema_cross(), gates=2).raise_for_failure()


def test_limit_that_makes_no_sense_is_refused_before_the_run(runner: Runner) -> None:
    with pytest.raises(WorkbenchError, match="max_daily_loss"):
        runner.run({"max_daily_loss": "-1"}, ema_cross())


def test_engine_that_does_not_know_the_gate_does_not_start_with_it(gbpusd: Path, tmp_path: Path) -> None:  # noqa: F811
    """Raw nautilus would trade without the limits that its configuration names."""
    program = f"""
import msgspec
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import ImportableActorConfig, LoggingConfig
from tests.backtest.configs import ema_cross, fx_config
config = fx_config({str(gbpusd)!r}, ema_cross(), logging=LoggingConfig(bypass_logging=True), raise_exception=True,
                   start="2012-02-01", end="2012-02-01T06:00:00Z")
gate = ImportableActorConfig(actor_path="workbench.gate.actor:RiskGate",
                             config_path="workbench.gate.actor:RiskGateConfig", config={{"max_daily_loss": "1"}})
config = msgspec.structs.replace(config, engine=msgspec.structs.replace(config.engine, actors=[gate]))
BacktestNode([config]).run()
print("it ran")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=HERE.parents[1]
    )
    assert "it ran" not in ended.stdout
    assert "only the workbench's engine enforces" in ended.stderr
