"""Components for notebooks and reports: given frames, with a form that needs neither kernel nor network."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.ui.equity_chart import EquityCurveChart
    from workbench.ui.monthly_returns import MonthlyReturns
    from workbench.ui.notebook_html import export_notebook_html
    from workbench.ui.price_chart import PriceChart
    from workbench.ui.progress import RunProgress
    from workbench.ui.report import Report, RunView
    from workbench.ui.static import show_runtime

__all__ = [
    "EquityCurveChart",
    "MonthlyReturns",
    "PriceChart",
    "Report",
    "RunProgress",
    "RunView",
    "export_notebook_html",
    "show_runtime",
]

# Imported when first used: `import workbench.ui` must not cost the import of pandas and Bokeh.
_MODULES = {
    "EquityCurveChart": "equity_chart",
    "MonthlyReturns": "monthly_returns",
    "PriceChart": "price_chart",
    "Report": "report",
    "RunProgress": "progress",
    "RunView": "report",
    "export_notebook_html": "notebook_html",
    "show_runtime": "static",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
