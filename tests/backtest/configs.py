"""Run configurations of these tests."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.config import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.core.datetime import dt_to_unix_nanos
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

BID = "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"
ASK = "GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL"
TWO_DAYS = {"start": "2012-02-01", "end": "2012-02-02T06:00:00Z"}
WEEK = {"start": "2012-02-05", "end": "2012-02-11"}
HALF_A_DAY = {"start": "2012-02-01", "end": "2012-02-01T12:00:00Z"}


def strategy(name: str, **config: Any) -> ImportableStrategyConfig:
    """Return a strategy of `bt_strategies`."""
    return ImportableStrategyConfig(
        strategy_path=f"bt_strategies:{name}", config_path=f"bt_strategies:{name}Config", config=config
    )


def ema_cross(fast: int = 10, slow: int = 20, **more: Any) -> ImportableStrategyConfig:
    path = "nautilus_trader.examples.strategies.ema_cross"
    return ImportableStrategyConfig(
        strategy_path=f"{path}:EMACross",
        config_path=f"{path}:EMACrossConfig",
        config={
            "instrument_id": "GBP/USD.SIM",
            "bar_type": BID,
            "trade_size": "100000",
            "fast_ema_period": fast,
            "slow_ema_period": slow,
            **more,
        },
    )


def fx_config(
    catalog: Path,
    *strategies: ImportableStrategyConfig,
    oms: str = "NETTING",
    venue: dict[str, Any] | None = None,
    data: list[list[str]] | None = None,
    logging: LoggingConfig | None = None,
    **more: Any,
) -> BacktestRunConfig:
    """Return a run on the GBP/USD catalog; each list in `data` is one entry of bar types."""
    values: dict[str, Any] = {
        "name": "SIM",
        "oms_type": oms,
        "account_type": "MARGIN",
        "base_currency": "USD",
        "starting_balances": ["1000000 USD"],
        **(venue or {}),
    }
    return BacktestRunConfig(
        engine=BacktestEngineConfig(strategies=list(strategies) or [ema_cross()], logging=logging),
        venues=[BacktestVenueConfig(**values)],
        data=[
            BacktestDataConfig(
                catalog_path=str(catalog), data_cls="nautilus_trader.model.data:Bar", bar_types=bar_types
            )
            for bar_types in data or [[BID, ASK]]
        ],
        **more,
    )


def write_quotes(catalog: Path, instrument: Instrument, rows: list[tuple[str, str, str]]) -> None:
    """Write quotes of (time, bid, ask) for `instrument`."""
    store = ParquetDataCatalog(catalog)
    store.write_data([instrument])
    store.write_data(
        [
            QuoteTick(
                instrument_id=instrument.id,
                bid_price=instrument.make_price(Decimal(bid)),
                ask_price=instrument.make_price(Decimal(ask)),
                bid_size=instrument.make_qty(1_000_000),
                ask_size=instrument.make_qty(1_000_000),
                ts_event=_ns(time),
                ts_init=_ns(time),
            )
            for time, bid, ask in rows
        ]
    )


def quotes_config(
    catalog: Path,
    instrument_ids: list[str],
    *strategies: ImportableStrategyConfig,
    venue: dict[str, Any],
    **more: Any,
) -> BacktestRunConfig:
    return BacktestRunConfig(
        engine=BacktestEngineConfig(strategies=list(strategies)),
        venues=[BacktestVenueConfig(**venue)],
        data=[
            BacktestDataConfig(
                catalog_path=str(catalog),
                data_cls="nautilus_trader.model.data:QuoteTick",
                instrument_ids=instrument_ids,
            )
        ],
        **more,
    )


def _ns(time: str) -> int:
    import pandas as pd

    return int(dt_to_unix_nanos(pd.Timestamp(time, tz="UTC")))
