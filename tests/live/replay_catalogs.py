"""Small catalogs for replays, as `workbench data import` makes them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.backtest import tiny

NAME, BID, ASK, LAST = tiny.NAME, tiny.BID, tiny.ASK, tiny.LAST
FIRST_NS = tiny.START.as_unit("ns").value
MINUTE_NS = 60_000_000_000


def build_bars(path: Path, *, rows: int = 240, sides: tuple[str, ...] = ("BID", "ASK")) -> Path:
    """Make a catalog of bars of a minute, the ask 10 points above the bid."""
    for side in sides:
        tiny.add_bars(path, tiny.prices(rows, shift="0.00010" if side == "ASK" else "0"), side)
    return path


def add_quotes(path: Path, *, rows: int = 600, secs: int = 10) -> Path:
    """Add quotes to a catalog: one in `secs`, the first with the first bar."""
    index = pd.date_range(tiny.START, periods=rows, freq=f"{secs}s", name="timestamp")
    bids = [f"1.{50_000 + i % 100:05d}" for i in range(rows)]
    asks = [f"1.{50_010 + i % 100:05d}" for i in range(rows)]
    sizes = ["1000000"] * rows
    frame = pd.DataFrame({"bid": bids, "ask": asks, "bid_size": sizes, "ask_size": sizes}, index=index)
    tiny.add_ticks(path, "quotes", frame)
    return path
