"""The tables say what nautilus's events say, exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.backtest.configs import quotes_config, write_quotes
from tests.backtest.mark_runs import AAPL, GBPUSD_WITH_FEE, script, venue, walk_config, write_walk
from workbench.backtest.run import Run, run_backtest
from workbench.jobs.worker import Worker

ID = "GBP/USD.SIM"


def _at(minute: int) -> str:
    return str(pd.Timestamp("2024-01-02") + pd.Timedelta(minutes=minute))


# Opens, adds, reverses, closes, opens again; a limit order that fills later and one that never does.
STEPS = [
    (_at(1), ID, "10000", ""),
    (_at(5), ID, "5000", ""),
    (_at(10), ID, "-25000", ""),
    (_at(20), ID, "10000", ""),
    (_at(30), ID, "7000", "1.20500"),
    (_at(31), ID, "7000", "1.10000"),
    (_at(60), ID, "-3000", ""),
]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as shared:
        yield shared


class Case:
    """A run with a fee of a hundredth of a percent, and the events that its strategy saw."""

    def __init__(self, path: Path, worker: Worker, oms: str) -> None:
        write_walk(path / "catalog", GBPUSD_WITH_FEE, 120)
        journal = path / "journal.jsonl"
        strategy = script(path / "runs", STEPS, [GBPUSD_WITH_FEE], journal=str(journal))
        where = venue("SIM", "1000000 USD", base="USD", oms_type=oms)
        config = walk_config(path / "catalog", strategy, venue=where)
        self.run: Run = run_backtest(config, runs=path / "runs", worker=worker)
        self.events: list[dict[str, Any]] = [json.loads(line) for line in journal.read_text().splitlines()]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, worker: Worker) -> dict[str, Case]:
    return {oms: Case(tmp_path_factory.mktemp(oms), worker, oms) for oms in ("NETTING", "HEDGING")}


@pytest.fixture(params=["NETTING", "HEDGING"])
def case(cases: dict[str, Case], request: pytest.FixtureRequest) -> Case:
    return cases[request.param]


def _quote(minute: int) -> tuple[Decimal, Decimal]:
    bid = Decimal("1.20000") + Decimal(abs(minute * 7 % 200 - 100)) / 10_000
    return bid, bid + Decimal("0.00020")


def test_fills_equal_the_events_of_the_strategy(case: Case) -> None:
    fills = case.run.load_table("fills")
    # A reversal is one fill of the venue; in NETTING nautilus splits it into what closes and what opens.
    assert len(fills) == len(case.events) == case.run.record.fills
    for row, event in zip(fills.to_dict("records"), case.events, strict=True):
        commission, currency = event["commission"].split()
        expected = {
            "ts_event": pd.Timestamp(event["ts_event"], tz="UTC"),
            **{
                name: event[name]
                for name in (
                    *("instrument_id", "strategy_id", "account_id", "position_id", "client_order_id"),
                    *("venue_order_id", "trade_id", "order_side", "order_type", "liquidity_side"),
                )
            },
            "last_qty": Decimal(event["last_qty"]),
            "last_px": Decimal(event["last_px"]),
            "multiplier": Decimal(1),
            "is_inverse": False,
            "currency": "USD",
            "commission": Decimal(commission),
            "commission_currency": currency,
            "rate": Decimal(1),
            "commission_rate": Decimal(1),
        }
        minute = int((row["ts_event"] - pd.Timestamp("2024-01-02", tz="UTC")).total_seconds()) // 60
        bid, ask = _quote(minute)
        assert row == {**expected, "best_bid": bid, "best_ask": ask}
    assert set(fills["liquidity_side"]) == {"TAKER", "MAKER"}
    assert {row["order_type"] for row in case.events} == {"MARKET", "LIMIT"}


def test_fills_commission_is_the_fee_of_the_instrument(case: Case) -> None:
    for fill in case.run.load_table("fills").itertuples():
        fee = (
            fill.last_qty * fill.last_px * Decimal("0.0001") if fill.liquidity_side == "TAKER" else Decimal(0)
        )
        assert abs(fill.commission - fee) <= Decimal("0.005")  # rounded to a cent
        assert (fill.commission > 0) == (fill.liquidity_side == "TAKER")


def test_orders_add_up_to_their_fills(case: Case) -> None:
    orders = case.run.load_table("orders")
    fills = case.run.load_table("fills")
    assert len(orders) == len(STEPS) == case.run.record.orders
    assert orders["client_order_id"].is_unique
    for order, (time, _, quantity, price) in zip(orders.itertuples(), STEPS, strict=True):
        assert order.ts_init == pd.Timestamp(time, tz="UTC")
        assert order.quantity == abs(Decimal(quantity))
        assert order.order_side == ("BUY" if Decimal(quantity) > 0 else "SELL")
        mine = fills[fills["client_order_id"] == order.client_order_id]
        assert order.filled_qty == sum(mine["last_qty"], Decimal(0))
        assert pd.isna(order.reason)
        if price:
            assert (order.order_type, order.price, order.tags) == ("LIMIT", Decimal(price), "limit,test")
        else:
            assert (order.order_type, order.price) == ("MARKET", None)
            assert pd.isna(order.tags)
            assert order.avg_px == mine["last_px"].iloc[0]
    (resting,) = [o for o in orders.itertuples() if o.status != "FILLED"]
    assert (resting.price, resting.avg_px, resting.filled_qty) == (Decimal("1.10000"), None, Decimal(0))


def test_positions_and_snapshots_add_up_to_the_change_of_the_balance(case: Case) -> None:
    positions = case.run.load_table("positions")
    accounts = case.run.load_table("accounts")
    change = accounts["total"].iloc[-1] - accounts["total"].iloc[0]
    assert change != 0
    assert sum(positions["realized_pnl"], Decimal(0)) == change
    equity = case.run.load_table("equity").iloc[-1]
    assert equity["balance"] == accounts["total"].iloc[-1]
    assert sum(positions["commissions"], Decimal(0)) == sum(
        case.run.load_table("fills")["commission"], Decimal(0)
    )
    assert positions["ts_opened"].is_monotonic_increasing
    open_value = Decimal(0)
    bid, ask = _quote(119)
    for position in positions[positions["side"] != "FLAT"].itertuples():
        gain = bid - position.avg_px_open if position.side == "LONG" else position.avg_px_open - ask
        open_value += (position.quantity * gain).quantize(Decimal("0.01"))
        assert position.ts_closed is pd.NaT
        assert pd.isna(position.duration_ns)
    assert abs(equity["equity"] - equity["balance"] - open_value) <= Decimal("0.02")
    for position in positions[positions["side"] == "FLAT"].itertuples():
        assert position.quantity == 0
        assert position.duration_ns == (position.ts_closed - position.ts_opened).value


def test_positions_netting_cycles_are_rows_with_the_id_of_the_fills(cases: dict[str, Case]) -> None:
    positions = cases["NETTING"].run.load_table("positions")
    fills = cases["NETTING"].run.load_table("fills")
    # Long 15,000, reversed to short 10,000, closed; then long by the limit order, reduced by 3,000
    assert list(zip(positions["entry"], positions["side"], positions["peak_qty"], strict=True)) == [
        ("BUY", "FLAT", Decimal(15_000)),
        ("SELL", "FLAT", Decimal(10_000)),
        ("BUY", "LONG", Decimal(7_000)),
    ]
    assert list(positions["is_snapshot"]) == [True, True, False]
    assert set(positions["position_id"]) == set(fills["position_id"])
    assert len(set(positions["position_id"])) == 1
    first = positions.iloc[0]
    (_, ask_1), (_, ask_5), (bid_10, _) = _quote(1), _quote(5), _quote(10)
    fees = sum(
        (
            (q * px * Decimal("0.0001")).quantize(Decimal("0.01"))
            for q, px in ((10_000, ask_1), (5_000, ask_5), (15_000, bid_10))
        ),
        Decimal(0),
    )
    gross = 10_000 * (bid_10 - ask_1) + 5_000 * (bid_10 - ask_5)
    assert abs(first["realized_pnl"] - (gross - fees)) <= Decimal("0.02")
    assert first["avg_px_close"] == bid_10
    assert abs(first["commissions"] - fees) <= Decimal("0.02")
    assert (first["commissions_currency"], first["currency"], first["rate"]) == ("USD", "USD", Decimal(1))
    (limit_fill,) = fills[fills["order_type"] == "LIMIT"]["ts_event"]
    assert list(positions["ts_opened"]) == [
        *(pd.Timestamp(_at(minute), tz="UTC") for minute in (1, 10)),
        limit_fill,
    ]


def test_accounts_hold_every_state_and_the_last_is_the_balance(case: Case) -> None:
    accounts = case.run.load_table("accounts")
    assert accounts["ts_event"].is_monotonic_increasing
    assert accounts["total"].iloc[0] == Decimal(1000000)
    assert (accounts["total"] == accounts["free"] + accounts["locked"]).all()
    assert set(accounts["account_type"]) == {"MARGIN"}
    assert set(accounts["currency"]) == {"USD"}
    assert accounts["is_reported"].iloc[0]
    summary = case.run.metrics["nautilus"]["pnls"]["USD"]
    assert Decimal(str(summary["PnL (total)"])) == accounts["total"].iloc[-1] - Decimal(1000000)


def test_orders_denied_and_rejected_say_why(tmp_path: Path, worker: Worker) -> None:
    rows = [(f"2024-01-02T10:{m:02}", "100.00", "100.10") for m in range(10)]
    write_quotes(tmp_path / "catalog", AAPL, rows)
    steps = [
        ("2024-01-02T10:01", "AAPL.XNAS", "5000", ""),  # more than the cash pays for
        ("2024-01-02T10:02", "AAPL.XNAS", "-10", ""),  # nothing to sell
        ("2024-01-02T10:03", "AAPL.XNAS", "10", ""),
    ]
    strategy = script(tmp_path / "runs", steps, [AAPL])
    where = venue("XNAS", "100000 USD", kind="CASH", base="USD")
    config = quotes_config(tmp_path / "catalog", ["AAPL.XNAS"], strategy, venue=where)
    run = run_backtest(config, runs=tmp_path / "runs", worker=worker)
    large, short, good = run.load_table("orders").itertuples()
    assert (large.status, large.filled_qty, large.avg_px) == ("DENIED", Decimal(0), None)
    assert pd.isna(large.venue_order_id)
    assert "NOTIONAL_EXCEEDS_FREE_BALANCE" in large.reason
    assert short.status in {"DENIED", "REJECTED"}
    assert isinstance(short.reason, str)
    assert short.reason
    assert good.status == "FILLED"
    assert pd.isna(good.reason)
    assert run.metrics["headline"]["orders_filled"]["value"] == 1


def test_tables_of_a_run_without_orders_are_empty_with_all_columns(
    cases: dict[str, Case], tmp_path: Path, worker: Worker
) -> None:
    write_walk(tmp_path / "catalog", GBPUSD_WITH_FEE, 5)
    run = run_backtest(walk_config(tmp_path / "catalog"), runs=tmp_path / "runs", worker=worker)
    for name in ("orders", "fills", "positions"):
        assert len(run.load_table(name)) == 0
        empty, full = (pq.read_schema(r.path / f"{name}.parquet") for r in (run, cases["NETTING"].run))
        assert empty.remove_metadata().equals(full.remove_metadata())
    assert len(run.load_table("accounts")) == 1
