"""A workspace with a server and hours of prices, on which a crossing of averages trades."""

from __future__ import annotations

from typing import Any

from tests.backtest.tiny import BID, NAME, tiny_config
from workbench.config import Settings

FAST = "engine.strategies.0.config.fast_ema_period"
SLOW = "engine.strategies.0.config.slow_ema_period"
EMA = "nautilus_trader.examples.strategies.ema_cross"


def build_ema_config(settings: Settings, fast: int = 3, slow: int = 8) -> Any:
    """Return a run of EMACross on the small catalog."""
    from nautilus_trader.config import ImportableStrategyConfig

    strategy = ImportableStrategyConfig(
        strategy_path=f"{EMA}:EMACross",
        config_path=f"{EMA}:EMACrossConfig",
        config={
            "instrument_id": NAME,
            "bar_type": BID,
            "trade_size": "100000",
            "fast_ema_period": fast,
            "slow_ema_period": slow,
        },
    )
    return tiny_config(settings.catalog, strategy)
