"""A research workbench for NautilusTrader: data in, backtests, reports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.backtest.configuration import build_fill_model, build_run_config, load_run_config
    from workbench.backtest.prices import load_prices
    from workbench.backtest.references import capture_strategy
    from workbench.backtest.run import ActiveRun, Run, load_run, run_backtest, start_backtest
    from workbench.backtest.sources import build_strategy_config
    from workbench.client.client import Client
    from workbench.client.connection import connect
    from workbench.client.job import Job
    from workbench.config import load_settings
    from workbench.errors import WorkbenchError
    from workbench.gate.actor import build_risk_gate
    from workbench.jobs.worker import Limits, Worker

__all__ = [
    "ActiveRun",
    "Client",
    "Job",
    "Limits",
    "Run",
    "WorkbenchError",
    "Worker",
    "__version__",
    "build_fill_model",
    "build_risk_gate",
    "build_run_config",
    "build_strategy_config",
    "capture_strategy",
    "connect",
    "load_prices",
    "load_run",
    "load_run_config",
    "load_settings",
    "run_backtest",
    "start_backtest",
]

__version__ = "0.1.0"

_HOMES = {
    "ActiveRun": "backtest.run",
    "Client": "client.client",
    "Job": "client.job",
    "Limits": "jobs.worker",
    "Run": "backtest.run",
    "WorkbenchError": "errors",
    "Worker": "jobs.worker",
    "build_fill_model": "backtest.configuration",
    "build_risk_gate": "gate.actor",
    "build_run_config": "backtest.configuration",
    "build_strategy_config": "backtest.sources",
    "capture_strategy": "backtest.references",
    "connect": "client.connection",
    "load_prices": "backtest.prices",
    "load_run": "backtest.run",
    "load_run_config": "backtest.configuration",
    "load_settings": "config",
    "run_backtest": "backtest.run",
    "start_backtest": "backtest.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import workbench`` alone loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    value = getattr(import_module(f"workbench.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
