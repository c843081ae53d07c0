"""A run equals raw nautilus: every fill, order, position, balance and statistic."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nautilus_trader.backtest.config import BacktestRunConfig, ImportableLatencyModelConfig

from tests.backtest.configs import ASK, BID, HALF_A_DAY, TWO_DAYS, WEEK, ema_cross, fx_config, strategy
from tests.backtest.raw import RawProcess, assert_equals_raw, read_fills
from workbench.backtest.configuration import build_fill_model
from workbench.backtest.run import Run, run_backtest
from workbench.jobs.worker import Worker

Raws = dict[str, RawProcess]
COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))

_LATENCY = ImportableLatencyModelConfig(
    latency_model_path="nautilus_trader.backtest.models:LatencyModel",
    config_path="nautilus_trader.backtest.config:LatencyModelConfig",
    config={"base_latency_nanos": 2_000_000_000},
)
_ONE_HOUR = {"start": "2012-02-01T08:00:00", "end": "2012-02-01T09:30:00Z"}
_SLIPPING = {"fill_model": build_fill_model(), "liquidity_consumption": True}


def _cases(catalog: Path) -> dict[str, BacktestRunConfig]:
    brackets = strategy("Brackets")
    return {
        "ema netting": fx_config(catalog, ema_cross(2, 3), **TWO_DAYS),
        "ema hedging": fx_config(catalog, ema_cross(2, 3), oms="HEDGING", **TWO_DAYS),
        "slipping": fx_config(catalog, ema_cross(2, 3), venue=_SLIPPING, **HALF_A_DAY),
        "brackets netting": fx_config(catalog, brackets, **TWO_DAYS),
        "brackets hedging": fx_config(catalog, brackets, oms="HEDGING", **TWO_DAYS),
        "two strategies": fx_config(
            catalog, ema_cross(order_id_tag="1"), strategy("Brackets", order_id_tag="2"), **HALF_A_DAY
        ),
        "latency": fx_config(catalog, ema_cross(2, 3), venue={"latency_model": _LATENCY}, **_ONE_HOUR),
        "clockwork": fx_config(catalog, strategy("Clockwork"), **HALF_A_DAY),
        "clockwork two entries": fx_config(catalog, strategy("Clockwork"), data=[[ASK], [BID]], **HALF_A_DAY),
        "no end of data": fx_config(catalog, ema_cross(), start="2012-01-30", end="2012-02-02T23:59:59Z"),
        "two currencies": fx_config(
            catalog,
            ema_cross(2, 3),
            venue={"base_currency": None, "starting_balances": ["1000000 USD", "5000 GBP"]},
            **HALF_A_DAY,
        ),
        "base is not the quote": fx_config(
            catalog,
            ema_cross(2, 3),
            venue={"base_currency": "GBP", "starting_balances": ["1000000 GBP"]},
            **HALF_A_DAY,
        ),
    }


NAMES = list(_cases(Path()))
# Bids and asks have equal stamps: of the ends of such chunks one lies between the two of a pair, the next one does not.
_CHUNK_SIZES = {"latency": 41}
_CHUNK_SIZE = 499


def _month(catalog: Path, oms: str) -> BacktestRunConfig:
    """Return a run of the month; with hedging a week of it where tests are to be quick."""
    is_whole = oms == "NETTING" or COUNT > 5
    return fx_config(catalog, oms=oms, **({} if is_whole else WEEK))


@pytest.fixture(scope="module")
def raws(gbpusd: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raws]:
    """Return what raw nautilus makes of every case, as quickly as it can; the month in processes of its own."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # One for all test processes
        base = base.parent
    base = base / "raw"
    cases = list(_cases(gbpusd).values())
    processes = {
        "cases": RawProcess(base / "cases", cases, is_quick=True),
        "NETTING": RawProcess(base / "netting", [_month(gbpusd, "NETTING")], is_quick=True),
        "HEDGING": RawProcess(base / "hedging", [_month(gbpusd, "HEDGING")], is_quick=True),
        "plain": RawProcess(base / "plain", [cases[NAMES.index("slipping")]]),
    }
    yield processes
    for process in processes.values():
        process.close()


@pytest.mark.data
@pytest.mark.parametrize("name", NAMES)
def test_run_equals_raw_one_shot_and_chunked(
    gbpusd: Path, raws: Raws, runs: Path, worker: Worker, name: str
) -> None:
    config = _cases(gbpusd)[name]
    raw = raws["cases"].read(NAMES.index(name))
    assert len(raw["fills"]) >= 10
    has_reduce_only = "brackets" in name or "two strategies" in name
    for chunk_size in (None, _CHUNK_SIZES.get(name, _CHUNK_SIZE)):
        chunked = msgspec.structs.replace(config, chunk_size=chunk_size)
        run = run_backtest(chunked, runs=runs, worker=worker)
        assert_equals_raw(run, raw, has_reduce_only=has_reduce_only)


@pytest.mark.data
@pytest.mark.parametrize("oms", ["NETTING", "HEDGING"])
def test_run_of_the_month_equals_a_fresh_raw_process(
    gbpusd: Path, raws: Raws, runs: Path, worker: Worker, oms: str
) -> None:
    run = run_backtest(_month(gbpusd, oms), runs=runs, worker=worker)
    assert_equals_raw(run, raws[oms].read())
    equity = run.load_table("equity")
    assert equity["equity"].iloc[-1] == equity["balance"].iloc[-1]
    if oms == "NETTING":
        assert run.record.fills == 2_984
        assert run.record.events == 60_234
    assert run.verify() == []


@pytest.mark.data
def test_raw_nautilus_without_arrow_strings_finds_the_same(raws: Raws) -> None:
    """The comparisons above are with the quick way, so that must be as good as the other."""
    quick, plain = raws["cases"].read(NAMES.index("slipping")), raws["plain"].read()
    assert len(quick["positions"]) >= 10
    for found in (quick, plain):
        found.pop("secs")
        for fill in found["fills"]:
            fill.pop("event_id")  # New in every run
    assert repr(quick) == repr(plain)  # As text: nan is not equal to itself


@pytest.mark.data
def test_run_of_the_month_in_chunks_equals_one_shot(
    gbpusd: Path, raws: Raws, runs: Path, worker: Worker
) -> None:
    run = run_backtest(fx_config(gbpusd, chunk_size=9_973), runs=runs, worker=worker)
    assert_equals_raw(run, raws["NETTING"].read())


@pytest.mark.data
def test_clockwork_depends_on_the_order_of_equal_stamps(gbpusd: Path, runs: Path, worker: Worker) -> None:
    """The strategy of the chunk tests does see a change in that order: else they would prove nothing."""
    fills: list[list[dict[str, object]]] = []
    for data in ([[ASK], [BID]], [[BID], [ASK]]):
        config = fx_config(gbpusd, strategy("Clockwork"), data=data, **HALF_A_DAY)
        run: Run = run_backtest(config, runs=runs, worker=worker)
        fills.append([{"side": f["order_side"], "qty": f["last_qty"]} for f in read_fills(run)])
    assert fills[0] != fills[1]
