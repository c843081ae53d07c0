"""Frames as a run writes them, from short descriptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.analysis.equity import build_daily_closes

type Frames = Callable[..., pd.DataFrame]

_MONEY = pa.decimal128(38, 16)
_TIME = pa.timestamp("ns", "UTC")


def _decimals(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else Decimal(str(value)) for value in values], _MONEY)


def _times(values: Sequence[Any]) -> pa.Array:
    nanos = [None if value is None else pd.Timestamp(value, tz="UTC").value for value in values]
    return pa.array(nanos, pa.int64()).cast(_TIME)


@pytest.fixture(scope="session")
def make_equity() -> Frames:
    """Return a builder of equity frames: ``(time, equity)`` pairs, optionally open positions and events."""

    def make(
        rows: Sequence[tuple[str, Any]],
        *,
        open_positions: Sequence[int] | None = None,
        events: Sequence[int] | None = None,
    ) -> pd.DataFrame:
        table = pa.table(
            {
                "ts": _times([time for time, _ in rows]),
                "equity": _decimals([value for _, value in rows]),
                "open_positions": pa.array(open_positions or [0] * len(rows), pa.int32()),
                "events": pa.array(events or list(range(len(rows))), pa.int64()),
            }
        )
        return table.to_pandas()

    return make


_FILL: dict[str, Any] = {
    "ts_event": "2024-01-02 10:00",
    "position_id": "P-1",
    "instrument_id": "EUR/USD.SIM",
    "strategy_id": "S-001",
    "client_order_id": "O-1",
    "order_side": "BUY",
    "last_qty": "1000",
    "last_px": "1.1002",
    "multiplier": "1",
    "is_inverse": False,
    "currency": "USD",
    "commission": "0",
    "commission_currency": "USD",
    "liquidity_side": "TAKER",
    "best_bid": "1.1000",
    "best_ask": "1.1002",
    "rate": "1",
    "commission_rate": "1",
}
_FILL_DECIMALS = (
    "last_qty",
    "last_px",
    "multiplier",
    "commission",
    "best_bid",
    "best_ask",
    "rate",
    "commission_rate",
)


@pytest.fixture(scope="session")
def make_fills() -> Frames:
    """Return a builder of fills frames: a dict of what differs from a plain taker BUY, per fill."""

    def make(*rows: dict[str, Any]) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        for name in _FILL:
            values = [(_FILL | row)[name] for row in rows]
            if name in _FILL_DECIMALS:
                columns[name] = _decimals(values)
            elif name.startswith("ts_"):
                columns[name] = _times(values)
            else:
                columns[name] = pa.array(values, pa.bool_() if name == "is_inverse" else pa.string())
        return pa.table(columns).to_pandas()

    return make


_POSITION: dict[str, Any] = {
    "position_id": "P-1",
    "instrument_id": "EUR/USD.SIM",
    "strategy_id": "S-001",
    "entry": "BUY",
    "peak_qty": "1000",
    "avg_px_open": "1.1",
    "avg_px_close": "1.2",
    "ts_opened": "2024-01-02 10:00",
    "ts_closed": "2024-01-02 11:00",
    "realized_pnl": "100",
    "currency": "USD",
    "realized_return": 0.0909,
    "commissions": "0",
    "commissions_currency": "USD",
    "rate": "1",
}
_POSITION_DECIMALS = ("peak_qty", "avg_px_open", "avg_px_close", "realized_pnl", "commissions", "rate")


@pytest.fixture(scope="session")
def make_positions() -> Frames:
    """Return a builder of positions frames: a dict of what differs from a plain closed LONG, per cycle."""

    def make(*rows: dict[str, Any]) -> pd.DataFrame:
        columns: dict[str, Any] = {}
        for name in _POSITION:
            values = [(_POSITION | row)[name] for row in rows]
            if name in _POSITION_DECIMALS:
                columns[name] = _decimals(values)
            elif name.startswith("ts_"):
                columns[name] = _times(values)
            else:
                columns[name] = pa.array(values, pa.float64() if name == "realized_return" else pa.string())
        return pa.table(columns).to_pandas()

    return make


@pytest.fixture(scope="session")
def make_prices() -> Frames:
    """Return a builder of prices: ``(time, low, high)`` or ``(time, low, high, volume)`` per bar, which it ends."""

    def make(*rows: tuple[Any, ...], convert: Callable[[Any], Any] = Decimal) -> pd.DataFrame:
        frame = pd.DataFrame({"ts": pd.DatetimeIndex([row[0] for row in rows], tz="UTC")})
        for name, place in {"open": 1, "high": 2, "low": 1, "close": 2}.items():
            frame[name] = [convert(str(row[place])) for row in rows]
        if rows and len(rows[0]) > 3:
            frame["volume"] = [convert(str(row[3])) for row in rows]
        return frame

    return make


@pytest.fixture(scope="session")
def daily_closes(daily_equity: Frames) -> Callable[..., pd.Series]:
    """Return a builder of daily closes, one per calendar day: the start, then a close for each return."""

    def make(returns: Sequence[float], *, start: float = 1000.0) -> pd.Series:
        values = start * np.cumprod([1.0, *(1.0 + np.asarray(returns, dtype=float))])
        return build_daily_closes(daily_equity(*(f"{value:.12f}" for value in values)), periods_per_year=365)

    return make


@pytest.fixture(scope="session")
def daily_equity(make_equity: Frames) -> Frames:
    """Return a builder of equity frames with one sample per midnight from Monday, 2024-01-01."""

    def make(*values: Any, start: str = "2024-01-01") -> pd.DataFrame:
        times = pd.Timestamp(start) + np.arange(len(values)) * pd.Timedelta(days=1)
        return make_equity([(str(time), value) for time, value in zip(times, values, strict=True)])

    return make
