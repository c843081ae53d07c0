"""A paused run shows its positions, orders and balances as exact decimals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.backtest.mark_runs import GBPUSD, script, venue, walk_config, write_walk
from workbench.backtest.engine import TASK
from workbench.backtest.run import load_run
from workbench.backtest.rundir import RunDirectory
from workbench.backtest.sources import load_captured
from workbench.jobs.switch import Switch
from workbench.jobs.worker import Worker
from workbench.records import Inspection, Progress
from workbench.states import JobState

ID = "GBP/USD.SIM"


def _inspect(worker: Worker, tmp_path: Path, where: Any) -> Inspection:
    """Hold a run at its first tick: it has bought at the first quote, and an order waits far below."""
    write_walk(tmp_path / "catalog", GBPUSD, 60)
    start = "2024-01-02T00:00"
    steps = [(start, ID, "1000", ""), (start, ID, "2000", "1.10000")]
    config = walk_config(tmp_path / "catalog", script(tmp_path, steps, [GBPUSD]), venue=where)
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    for source in load_captured(config, tmp_path):
        source.write(directory.path / "strategies")
    seen: list[Inspection] = []
    switch = Switch()

    def end(progress: Progress) -> None:
        if progress.state == JobState.PAUSED:
            switch.cancel()

    switch.pause()
    spec = {"config": config.json().decode(), "path": str(directory.path)}
    outcome = worker.run(TASK, spec, switch=switch, on_progress=end, on_inspection=seen.append)
    assert outcome.state == JobState.CANCELLED
    assert load_run(directory.path).record.fills == 1
    (inspection,) = seen
    return inspection


def test_inspection_of_a_margin_account(worker: Worker, tmp_path: Path) -> None:
    found = _inspect(worker, tmp_path, venue("SIM", "1000000 USD", base="USD"))
    assert found.simulated_ts_ns > 1_704_153_600_000_000_000
    assert found.positions == [
        {
            "position_id": f"{ID}-Script-000",
            "instrument_id": ID,
            "strategy_id": "Script-000",
            "account_id": "SIM-001",
            "side": "LONG",
            "quantity": "1000",
            "avg_px_open": "1.2102",
            "price": "1.21",
            "unrealized_pnl": "-0.2",
            "currency": "USD",
            "ts_opened": "2024-01-02T00:00:00.000000000Z",
        }
    ]
    (order,) = found.orders
    assert str(order.pop("client_order_id")).startswith("O-20240102-")
    assert order == {
        "instrument_id": ID,
        "strategy_id": "Script-000",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "2000",
        "filled_qty": "0",
        "price": "1.1",
        "trigger_price": None,
        "status": "ACCEPTED",
        "ts_init": "2024-01-02T00:00:00.000000000Z",
    }
    (account,) = found.accounts
    assert (account["account_id"], account["type"], account["currency"]) == ("SIM-001", "MARGIN", "USD")
    assert account["total"] == "1000000"


def test_inspection_of_an_account_of_several_currencies_has_a_row_for_each(
    worker: Worker, tmp_path: Path
) -> None:
    found = _inspect(worker, tmp_path, venue("SIM", "1000000 USD", "500 GBP", kind="CASH"))
    assert [(a["type"], a["currency"], a["total"]) for a in found.accounts] == [
        ("CASH", "GBP", "1500"),
        ("CASH", "USD", "998789.8"),
    ]
    assert found.accounts[1]["locked"] == "2200"
