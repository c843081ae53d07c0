"""One month of GBP/USD, 60,234 one-minute bid and ask bars, and what is run on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.model.data import Bar

from workbench.catalog.importer import import_file
from workbench.catalog.imports import ImportConfig
from workbench.catalog.instruments import build_instrument

__all__ = ["MODES", "build_config", "build_ema_cross", "build_flips", "import_month", "quieten"]

MODES = ("HEDGING", "NETTING")
INSTRUMENT = "GBP/USD.SIM"
SIDES = ("BID", "ASK")
TRADE_SIZE = "100000"


def import_month(folder: Path) -> Path:
    """Import the month from ``WORKBENCH_TEST_DATA`` into a new catalog in `folder` and return its path."""
    root = Path(__file__).resolve().parent.parent
    data = Path(os.environ.get("WORKBENCH_TEST_DATA") or root.parent / "shared" / "data")
    catalog = folder / "catalog"
    instrument = build_instrument("fx_pair", INSTRUMENT)
    for side in SIDES:
        source = data / "fxcm" / f"gbpusd-m1-{side.lower()}-2012.csv"
        if not source.is_file():
            sys.exit(f"there is no {source}: set WORKBENCH_TEST_DATA to the folder of market data")
        config = ImportConfig(
            data_type="bars",
            instrument_id=INSTRUMENT,
            bar_type=f"1-MINUTE-{side}",
            stamp="open",
            tz="UTC",
        )
        import_file(source, catalog, config, instrument=instrument)
    return catalog


def build_config(
    catalog: Path, strategies: list[ImportableStrategyConfig], oms_type: str, **options: Any
) -> BacktestRunConfig:
    """Return a run over the month, with nautilus's own defaults; `options` go into the configuration."""
    return BacktestRunConfig(
        engine=BacktestEngineConfig(strategies=strategies),
        venues=[
            BacktestVenueConfig(
                name="SIM",
                oms_type=oms_type,
                account_type="MARGIN",
                base_currency="USD",
                starting_balances=["1000000 USD"],
            )
        ],
        data=[
            BacktestDataConfig(
                catalog_path=str(catalog), data_cls=Bar, bar_types=[_bar_type(side) for side in SIDES]
            )
        ],
        dispose_on_completion=False,
        raise_exception=True,
        **options,
    )


def build_ema_cross(fast: int, slow: int) -> ImportableStrategyConfig:
    """Return nautilus's example strategy: 10 and 20 make 2,984 orders in the month, 2 and 3 make 15,070."""
    module = "nautilus_trader.examples.strategies.ema_cross"
    return ImportableStrategyConfig(
        strategy_path=f"{module}:EMACross",
        config_path=f"{module}:EMACrossConfig",
        config={
            "instrument_id": INSTRUMENT,
            "bar_type": _bar_type("BID"),
            "trade_size": TRADE_SIZE,
            "fast_ema_period": fast,
            "slow_ema_period": slow,
        },
    )


def build_flips(every: int) -> ImportableStrategyConfig:
    """Return a strategy that makes two orders every so many bars; it is importable where `flips` is."""
    return ImportableStrategyConfig(
        strategy_path="flips:Flips",
        config_path="flips:FlipsConfig",
        config={"bar_type": _bar_type("BID"), "trade_size": TRADE_SIZE, "every": every},
    )


def quieten(config: BacktestRunConfig) -> BacktestRunConfig:
    """Return the configuration for the raw side: without any logging, which is as fast as nautilus gets."""
    engine = msgspec.structs.replace(config.engine, logging=LoggingConfig(bypass_logging=True))
    quiet: BacktestRunConfig = msgspec.structs.replace(config, engine=engine)
    return quiet


def _bar_type(side: str) -> str:
    return f"{INSTRUMENT}-1-MINUTE-{side}-EXTERNAL"
