"""Everything that can be known to be wrong with a configuration before it runs."""

from __future__ import annotations

from pathlib import Path

from nautilus_trader.backtest.config import BacktestRunConfig

from workbench.backtest.datasets import Dataset, check_run_data
from workbench.backtest.logs import check_logging
from workbench.backtest.sources import check_strategies, importable, sources_path
from workbench.backtest.trial import try_engine
from workbench.backtest.venues import check_venues

__all__ = ["check_run"]


def check_run(config: BacktestRunConfig, runs: Path) -> Dataset:
    """
    Try the whole configuration and return the data that the run would read.

    Strategies are imported and made, but not started.

    Raises
    ------
    InputError
        If the configuration cannot run; `field` is the place, such as ``venues.0.starting_balances``.

    """
    dataset = check_run_data(config)
    check_venues(config)
    check_logging(config.engine.logging if config.engine is not None else None)
    check_strategies(config, runs)
    with importable(sources_path(runs)):
        try_engine(config)
    return dataset
