"""A small, deterministic run made from real GBP/USD bars, and a browser."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.analysis.costs import build_costs
from workbench.analysis.definitions import build_definitions
from workbench.analysis.metrics import build_headline
from workbench.ui.report import RunView

INSTRUMENT = "GBP/USD.SIM"
CONFIG: dict[str, Any] = {
    "engine": {
        "strategies": [
            {
                "strategy_path": "nautilus_trader.examples.strategies.ema_cross:EMACross",
                "config": {"instrument_id": INSTRUMENT, "fast_ema_period": 10, "slow_ema_period": 20},
            }
        ]
    },
    "venues": [
        {
            "name": "SIM",
            "oms_type": "HEDGING",
            "account_type": "MARGIN",
            "starting_balances": ["1000000 USD"],
            "fill_model": {
                "fill_model_path": "nautilus_trader.backtest.models:FillModel",
                "config": {"prob_slippage": 0.5},
            },
        }
    ],
    "data": [
        {
            "data_cls": "nautilus_trader.model.data:Bar",
            "instrument_id": INSTRUMENT,
            "bar_spec": "1-MINUTE-BID",
        }
    ],
}


def load_prices(test_data: Path, rows: int | None = None) -> pd.DataFrame:
    frame = pd.read_csv(test_data / "fxcm" / "gbpusd-m1-bid-2012.csv", dtype=str, nrows=rows)
    frame = frame.rename(columns={"timestamp": "ts"})
    frame["ts"] = pd.to_datetime(frame["ts"])
    for name in ("open", "high", "low", "close"):
        frame[name] = frame[name].map(Decimal)
    return frame


def trade_crossings(prices: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Reverse at every crossing of two moving averages: fills, positions and equity as a run directory holds them."""
    close = prices["close"].astype(float)
    fast, slow = (close.ewm(span=n, adjust=False).mean().to_numpy() for n in (10, 20))
    side = np.where(fast > slow, 1, -1)
    size, fee, start = Decimal(100_000), Decimal("3.15"), Decimal(1_000_000)
    fills: list[dict[str, Any]] = []
    positions: list[dict[str, Any]] = []
    equity: list[dict[str, Any]] = []
    cash, held = start, None
    for i, (ts, price) in enumerate(zip(prices["ts"], prices["close"], strict=True)):
        if i >= 20 and (held is None or side[i] != held[0]):
            is_buy = side[i] > 0
            paid = price + (Decimal("0.0001") if is_buy else 0)
            fill = {
                "ts_event": ts, "instrument_id": INSTRUMENT, "strategy_id": "EMACross-000", "account_id": "SIM-001",
                "client_order_id": f"O-{i}", "order_side": "BUY" if is_buy else "SELL", "last_qty": size,
                "last_px": paid, "multiplier": Decimal(1), "is_inverse": False, "currency": "USD",
                "commission": fee, "commission_currency": "USD", "liquidity_side": "TAKER", "best_bid": price,
                "best_ask": price + Decimal("0.0001"), "rate": Decimal(1), "commission_rate": Decimal(1),
            }  # fmt: skip
            if held is not None:
                pnl = (paid - held[1]) * size * int(held[0])
                cash += pnl - fee
                fills.append(fill)
                positions.append({
                    "position_id": f"P-{i}", "instrument_id": INSTRUMENT, "strategy_id": "EMACross-000",
                    "entry": "BUY" if held[0] > 0 else "SELL", "peak_qty": size, "avg_px_open": held[1],
                    "avg_px_close": paid, "ts_opened": held[2], "ts_closed": ts, "realized_pnl": pnl - 2 * fee,
                    "currency": "USD", "realized_return": float(pnl / (held[1] * size)), "commissions": 2 * fee,
                    "commissions_currency": "USD", "rate": Decimal(1),
                })  # fmt: skip
            cash -= fee
            fills.append(fill)
            held = (side[i], paid, ts)
        floating = Decimal(0) if held is None else (price - held[1]) * size * int(held[0])
        equity.append(
            {"ts": ts, "equity": cash + floating, "open_positions": int(held is not None), "events": i}
        )
    return pd.DataFrame(fills), pd.DataFrame(positions), pd.DataFrame(equity)


def build_run(prices: pd.DataFrame) -> RunView:
    fills, positions, equity = trade_crossings(prices)
    metrics = {
        "headline": build_headline(equity, positions, fills, currency="USD"),
        "costs": build_costs(fills, equity, currency="USD"),
        "definitions": build_definitions(),
        "nautilus": {
            "pnls": {"USD": {"PnL (total)": -41312.5}},
            "returns": {"Sharpe Ratio (252 days)": 1.9123456789012345},
            "general": {"Long Ratio": 0.5},
        },
    }
    manifest = {
        "schema": 1, "run_id": "20120201T000000-a91f3c", "state": "COMPLETED", "failure": None, "currency": "USD",
        "identity": {"run": "a91f3c" + "0" * 58}, "versions": {"nautilus_trader": "1.231.0"},
        "started_at": "2026-11-22T14:00:00+00:00", "elapsed_secs": 2.3,
        "backtest_start": "2012-02-01T00:00:00+00:00", "backtest_end": "2012-03-01T00:00:00+00:00",
        "events": len(prices), "orders": len(fills), "fills": len(fills), "positions": len(positions),
    }  # fmt: skip
    return RunView(manifest, CONFIG, metrics, equity, fills, positions, prices={INSTRUMENT: prices})


def unpack_chart(html: str) -> dict[str, Any]:
    """Return the payload of the first chart in some HTML."""
    match = re.search(r'data-chart="([^"]+)"', html)
    assert match is not None
    payload: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(match[1])))
    return payload


@pytest.fixture(autouse=True)
def outside_loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Hide the event loop of a browser that an earlier test has opened.

    Components made where a loop runs hand their work to it; in these tests nobody would wait for that.
    """
    if request.node.get_closest_marker("browser") is not None:
        yield
        return
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@pytest.fixture
def read_payload() -> Callable[[str], dict[str, Any]]:
    return unpack_chart


@pytest.fixture
def read_column() -> Callable[[str, str, str], list[float | None]]:
    """Return how to read a column of a chart's HTML back."""

    def read(html: str, source: str, column: str) -> list[float | None]:
        digits, steps = unpack_chart(html)["data"][source][column]
        total, values = 0, []
        for step in steps:
            total += step or 0
            values.append(None if step is None else total / 10**digits)
        return values

    return read


@pytest.fixture(scope="session")
def prices(test_data: Path) -> pd.DataFrame:
    return load_prices(test_data)


@pytest.fixture(scope="session")
def run(prices: pd.DataFrame) -> RunView:
    return build_run(prices)


@pytest.fixture
def equity() -> pd.DataFrame:
    ts = pd.date_range("2012-01-30", periods=6, freq="12h", tz="UTC")
    values = [Decimal(n) for n in ("1000", "1010", "990", "1100", "1045", "1080")]
    return pd.DataFrame({"ts": ts, "equity": values})
