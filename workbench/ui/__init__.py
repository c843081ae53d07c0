"""Components for notebooks and reports: given frames, with a form that needs neither kernel nor network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.ui.address import read_address
    from workbench.ui.comparison import RunComparison
    from workbench.ui.configuration import BacktestConfiguration
    from workbench.ui.engine_configuration import EngineConfiguration
    from workbench.ui.engine_control import EngineControlPanel
    from workbench.ui.engine_log import LogTable
    from workbench.ui.engine_manager import NautilusEngineManager
    from workbench.ui.engine_status import EngineStatusIndicator
    from workbench.ui.engine_tables import AccountsTable, FillsTable, OrdersTable, PositionsTable
    from workbench.ui.equity_chart import EquityCurveChart
    from workbench.ui.layout import Columns, Slot
    from workbench.ui.monthly_returns import MonthlyReturns
    from workbench.ui.notebook_html import export_notebook_html
    from workbench.ui.price_chart import PriceChart
    from workbench.ui.progress import RunProgress
    from workbench.ui.report import Report
    from workbench.ui.resource_monitor import ResourceMonitor
    from workbench.ui.results import BacktestResults
    from workbench.ui.run_view import RunView, build_run_view
    from workbench.ui.runner import BacktestRunner
    from workbench.ui.static import show_runtime
    from workbench.ui.sweep_view import SweepView

__all__ = [
    "AccountsTable",
    "BacktestConfiguration",
    "BacktestResults",
    "BacktestRunner",
    "Columns",
    "EngineConfiguration",
    "EngineControlPanel",
    "EngineStatusIndicator",
    "EquityCurveChart",
    "FillsTable",
    "LogTable",
    "MonthlyReturns",
    "NautilusEngineManager",
    "OrdersTable",
    "PositionsTable",
    "PriceChart",
    "Report",
    "ResourceMonitor",
    "RunComparison",
    "RunProgress",
    "RunView",
    "Slot",
    "SweepView",
    "build_run_view",
    "export_notebook_html",
    "read_address",
    "show_runtime",
]

# Imported when first used: `import workbench.ui` must not cost the import of pandas and Bokeh.
_MODULES = {
    "AccountsTable": "engine_tables",
    "BacktestConfiguration": "configuration",
    "BacktestResults": "results",
    "BacktestRunner": "runner",
    "Columns": "layout",
    "EngineConfiguration": "engine_configuration",
    "EngineControlPanel": "engine_control",
    "EngineStatusIndicator": "engine_status",
    "EquityCurveChart": "equity_chart",
    "FillsTable": "engine_tables",
    "LogTable": "engine_log",
    "MonthlyReturns": "monthly_returns",
    "NautilusEngineManager": "engine_manager",
    "OrdersTable": "engine_tables",
    "PositionsTable": "engine_tables",
    "PriceChart": "price_chart",
    "Report": "report",
    "ResourceMonitor": "resource_monitor",
    "RunComparison": "comparison",
    "RunProgress": "progress",
    "RunView": "run_view",
    "Slot": "layout",
    "SweepView": "sweep_view",
    "build_run_view": "run_view",
    "export_notebook_html": "notebook_html",
    "read_address": "address",
    "show_runtime": "static",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
