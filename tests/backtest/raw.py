"""Raw nautilus in a process of its own, and the comparison of a run with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.core.datetime import unix_nanos_to_iso8601

from workbench.backtest.run import Run

HERE = Path(__file__).parent
PATIENCE_SECS = 250.0


class RawProcess:
    """
    A process that runs `configs` one after the other, started at once and waited for when needed.

    Test processes that name the same directory share one: the first starts it, the others wait for it.
    """

    def __init__(self, directory: Path, configs: list[BacktestRunConfig], *, is_quick: bool = False) -> None:
        self._output = directory / "output.json"
        self._error = directory / "error.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._found: list[dict[str, Any]] | None = None
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            return
        (directory / "input.json").write_text(json.dumps([_silence(c) for c in configs]))
        with self._error.open("w") as error:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    str(HERE / "raw_run.py"),
                    str(directory / "input.json"),
                    str(self._output),
                    *(["quick"] if is_quick else []),
                ],
                env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0"},
                stdout=subprocess.DEVNULL,
                stderr=error,
            )

    def close(self) -> None:
        if self._process is not None:  # Another test process may wait for what it finds
            self._process.wait(timeout=PATIENCE_SECS)

    def read(self, index: int = 0) -> dict[str, Any]:
        if self._found is None:
            pause, deadline = threading.Event(), time.monotonic() + PATIENCE_SECS
            while not self._output.exists():
                is_over = self._process is not None and self._process.poll() not in (None, 0)
                assert not is_over, self._error.read_text()
                assert time.monotonic() < deadline, self._error.read_text()
                pause.wait(0.05)
            self._found = json.loads(self._output.read_text())
        return self._found[index]


def _silence(config: BacktestRunConfig) -> str:
    engine = msgspec.structs.replace(config.engine, logging=LoggingConfig(bypass_logging=True))
    return str(msgspec.structs.replace(config, engine=engine).json().decode())


def assert_equals_raw(run: Run, raw: dict[str, Any], *, has_reduce_only: bool = False) -> None:
    """
    Compare every fill, order, position, balance and statistic with what raw nautilus found.

    Where several reduce-only orders are open at once, raw nautilus resizes and cancels them in the order of a
    set, which changes with Python's hash seed, and with it the number of events and the size at which an
    order was cancelled (not what is filled).
    """
    assert read_fills(run) == [_project(f) for f in raw["fills"]]
    nautilus = run.metrics["nautilus"]
    if has_reduce_only:
        for summary in (nautilus["summary"], raw["summary"]):
            for key in ("total_events", "account.SIM.event_count"):
                summary.pop(key, None)
    for key in ("pnls", "returns", "general", "summary"):
        assert json.dumps(nautilus[key]) == json.dumps(_clean(raw[key])), key
    record = run.record
    assert record.orders == raw["total_orders"]
    assert record.positions == raw["total_positions"]
    assert record.events == raw["iterations"]
    assert record.backtest_end == unix_nanos_to_iso8601(raw["backtest_end"])
    orders = run.load_table("orders")
    ours = zip(
        orders["client_order_id"], orders["status"], orders["quantity"], orders["ts_last"], strict=True
    )
    found = sorted((i, s, Decimal(q), t.value) for i, s, q, t in ours)
    expected = [(i, s, Decimal(q), t) for i, s, q, t in raw["orders"]]
    if has_reduce_only:
        found, expected = _without_cancelled_qty(found), _without_cancelled_qty(expected)
    assert found == expected
    positions = run.load_table("positions")
    assert sorted(
        (str(o.value), str(0 if c is pd.NaT else c.value), p, repr(r))
        for o, c, p, r in zip(
            positions["ts_opened"],
            positions["ts_closed"],
            positions["realized_pnl"],
            positions["realized_return"],
            strict=True,
        )
    ) == [(o, c, Decimal(p.split()[0].replace("_", "")), r) for o, c, p, _, r in raw["positions"]]
    accounts = run.load_table("accounts")
    last = accounts.groupby(["account_id", "currency"], sort=False)["total"].last()
    assert sorted(last) == sorted(Decimal(b.split()[0].replace("_", "")) for b in raw["balances"])


def _without_cancelled_qty(orders: list[Any]) -> list[Any]:
    return [(i, s, None if s == "CANCELED" else q, t) for i, s, q, t in orders]


def read_fills(run: Run) -> list[dict[str, Any]]:
    """Return the fills of a run with the columns that raw nautilus gives as well."""
    frame = run.load_table("fills")
    frame["ts_event"] = [t.value for t in frame["ts_event"]]
    return [{k: row[k] for k in _PROJECTED} for row in frame.to_dict("records")]


_PROJECTED = (
    "ts_event",
    "instrument_id",
    "strategy_id",
    "account_id",
    "position_id",
    "client_order_id",
    "venue_order_id",
    "trade_id",
    "order_side",
    "order_type",
    "last_qty",
    "last_px",
    "currency",
    "commission",
    "commission_currency",
    "liquidity_side",
)


def _project(fill: dict[str, Any]) -> dict[str, Any]:
    amount, currency = fill["commission"].split()
    known = {
        **fill,
        "last_qty": Decimal(fill["last_qty"]),
        "last_px": Decimal(fill["last_px"]),
        "commission": Decimal(amount.replace("_", "")),
        "commission_currency": currency,
    }
    return {k: known[k] for k in _PROJECTED}


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    return None if isinstance(value, float) and value != value else value
