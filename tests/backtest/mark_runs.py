"""Tiny catalogs and configurations whose numbers can be worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.config import ImportableStrategyConfig
from nautilus_trader.model.instruments import Instrument

from tests.backtest.configs import quotes_config, write_quotes
from workbench.backtest.sources import build_strategy_config
from workbench.catalog.instruments import build_instrument

STRATEGIES = Path(__file__).parent / "mark_strategies.py"
Step = tuple[str, str, str, str]

AAPL = build_instrument("equity", "AAPL.XNAS", taker_fee="0", maker_fee="0")
GBPUSD = build_instrument("fx_pair", "GBP/USD.SIM", taker_fee="0", maker_fee="0")
GBPUSD_WITH_FEE = build_instrument("fx_pair", "GBP/USD.SIM", taker_fee="0.0001", maker_fee="0")


def strategy(name: str, runs: Path, **config: Any) -> ImportableStrategyConfig:
    """Return a strategy of `mark_strategies`, captured from its file."""
    return build_strategy_config(f"{STRATEGIES}:{name}", config, runs=runs)


def script(
    runs: Path, steps: list[Step], instruments: list[Instrument], **more: Any
) -> ImportableStrategyConfig:
    names = [str(i.id) for i in instruments]
    return strategy("Script", runs, steps=steps, instruments=names, **more)


def gated(runs: Path, directory: Path, *, at: int, secs: float = 0.003) -> ImportableStrategyConfig:
    """Return `Gated`, with its files in `directory`: ``reached``, ``gate`` and ``count``."""
    files = {name: str(directory / name) for name in ("reached", "gate", "count")}
    return strategy("Gated", runs, instrument_id="GBP/USD.SIM", at=at, secs=secs, **files)


def venue(name: str, *balances: str, kind: str = "MARGIN", base: str | None = None, **more: Any) -> Any:
    """Return a venue; without a base currency its account holds several."""
    return {
        "name": name,
        "oms_type": "NETTING",
        "account_type": kind,
        "base_currency": base,
        "starting_balances": list(balances),
        **more,
    }


def write_walk(catalog: Path, instrument: Instrument, count: int, *, start: str = "2024-01-02") -> None:
    """Write a quote a minute whose bid goes up and down between 1.20 and 1.21, two pips below the ask."""
    first = pd.Timestamp(start)
    rows = []
    for i in range(count):
        bid = Decimal("1.20000") + Decimal(abs(i * 7 % 200 - 100)) / 10_000
        rows.append((str(first + pd.Timedelta(minutes=i)), str(bid), str(bid + Decimal("0.00020"))))
    write_quotes(catalog, instrument, rows)


def walk_config(catalog: Path, *strategies: ImportableStrategyConfig, **more: Any) -> BacktestRunConfig:
    """Return a run on the quotes of `write_walk`."""
    values = {"venue": venue("SIM", "1000000 USD", base="USD"), **more}
    return quotes_config(catalog, ["GBP/USD.SIM"], *strategies, **values)


def row_at(equity: pd.DataFrame, time: str) -> dict[str, Any]:
    """Return the sample of exactly that time."""
    found = equity[equity["ts"] == pd.Timestamp(time, tz="UTC")]
    assert len(found) == 1, f"{len(found)} samples at {time}"
    return dict(found.iloc[0])
