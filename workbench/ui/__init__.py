"""Components for notebooks and reports: given frames, with a form that needs neither kernel nor network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.ui.comparison import RunComparison
    from workbench.ui.configuration import BacktestConfiguration
    from workbench.ui.equity_chart import EquityCurveChart
    from workbench.ui.layout import Columns, Slot
    from workbench.ui.monthly_returns import MonthlyReturns
    from workbench.ui.notebook_html import export_notebook_html
    from workbench.ui.price_chart import PriceChart
    from workbench.ui.progress import RunProgress
    from workbench.ui.report import Report
    from workbench.ui.results import BacktestResults
    from workbench.ui.run_view import RunView, build_run_view
    from workbench.ui.runner import BacktestRunner
    from workbench.ui.static import show_runtime
    from workbench.ui.sweep_view import SweepView

__all__ = [
    "BacktestConfiguration",
    "BacktestResults",
    "BacktestRunner",
    "Columns",
    "EquityCurveChart",
    "MonthlyReturns",
    "PriceChart",
    "Report",
    "RunComparison",
    "RunProgress",
    "RunView",
    "Slot",
    "SweepView",
    "build_run_view",
    "export_notebook_html",
    "show_runtime",
]

# Imported when first used: `import workbench.ui` must not cost the import of pandas and Bokeh.
_MODULES = {
    "BacktestConfiguration": "configuration",
    "BacktestResults": "results",
    "BacktestRunner": "runner",
    "Columns": "layout",
    "EquityCurveChart": "equity_chart",
    "MonthlyReturns": "monthly_returns",
    "PriceChart": "price_chart",
    "Report": "report",
    "RunComparison": "comparison",
    "RunProgress": "progress",
    "RunView": "run_view",
    "Slot": "layout",
    "SweepView": "sweep_view",
    "build_run_view": "run_view",
    "export_notebook_html": "notebook_html",
    "show_runtime": "static",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
