"""A catalog of a few hundred rows, whose values are simple enough to compute by hand, and runs on it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig

from workbench.catalog.importer import ImportConfig, import_file
from workbench.catalog.instruments import build_instrument

NAME = "GBP/USD.SIM"
BID = f"{NAME}-1-MINUTE-BID-EXTERNAL"
ASK = f"{NAME}-1-MINUTE-ASK-EXTERNAL"
LAST = f"{NAME}-1-MINUTE-LAST-EXTERNAL"
ROWS = 240
START = pd.Timestamp("2012-02-01T00:01:00Z")  # The close of the first bar
MARKER = """
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.trading.strategy import Strategy


class MarkerConfig(StrategyConfig, frozen=True):
    mark: str = "none"
    every: int = 50


class Marker(Strategy):
    def on_start(self) -> None:
        self.bars = 0
        self.subscribe_bars(BarType.from_str("GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"))
        self.log.warning(f"marked {self.config.mark}")

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars % self.config.every == 0:
            self.log.info(f"bar {self.bars}")
"""


def prices(rows: int = ROWS, shift: str = "0") -> pd.DataFrame:
    """Return bars as exact decimals, indexed by the minute at which they close."""
    values = []
    for i in range(rows):
        base = Decimal("1.50000") + Decimal(shift) + Decimal((i * 37) % 101 - 50) / 100_000
        close = base + Decimal((i * 13) % 7 - 3) / 100_000
        values.append(
            (base, max(base, close) + Decimal("0.00005"), min(base, close) - Decimal("0.00004"), close)
        )
    index = pd.date_range(START, periods=rows, freq="min", name="timestamp")
    return pd.DataFrame(values, index=index, columns=["open", "high", "low", "close"], dtype=object)


def add_bars(catalog: Path, frame: pd.DataFrame, side: str = "BID") -> None:
    """Import bars as `workbench data import` does."""
    instrument = build_instrument("fx_pair", NAME)
    source = catalog.parent / f"{catalog.name}-{side}.csv"
    frame.to_csv(source)
    config = ImportConfig(
        data_type="bars", instrument_id=NAME, bar_type=f"1-MINUTE-{side}", stamp="close", replace=True
    )
    import_file(source, catalog, config, instrument=instrument)
    source.unlink()


def add_ticks(catalog: Path, kind: Any, frame: pd.DataFrame) -> None:
    """Import quotes or trades."""
    source = catalog.parent / f"{catalog.name}-{kind}.csv"
    frame.to_csv(source)
    config = ImportConfig(data_type=kind, instrument_id=NAME)
    import_file(source, catalog, config, instrument=build_instrument("fx_pair", NAME))
    source.unlink()


def build_catalog(path: Path) -> Path:
    """Make a catalog of bid and ask bars, in two files each."""
    for side, shift in (("BID", "0"), ("ASK", "0.00010")):
        frame = prices(shift=shift)
        add_bars(path, frame.iloc[:150], side)
        add_bars(path, frame.iloc[150:], side)
    return path


def entry(catalog: Path, *bar_types: str, **more: Any) -> BacktestDataConfig:
    return BacktestDataConfig(
        catalog_path=str(catalog),
        data_cls="nautilus_trader.model.data:Bar",
        bar_types=list(bar_types or (BID, ASK)),
        **more,
    )


def tiny_config(
    catalog: Path,
    *strategies: ImportableStrategyConfig,
    data: list[BacktestDataConfig] | None = None,
    logging: LoggingConfig | None = None,
    **more: Any,
) -> BacktestRunConfig:
    return BacktestRunConfig(
        engine=BacktestEngineConfig(strategies=list(strategies), logging=logging),
        venues=[
            BacktestVenueConfig(
                name="SIM",
                oms_type="NETTING",
                account_type="MARGIN",
                base_currency="USD",
                starting_balances=["1000000 USD"],
            )
        ],
        data=data if data is not None else [entry(catalog)],
        **more,
    )
