from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from workbench.errors import InputError
from workbench.ui.report import Report, RunView


def test_report_has_every_section_and_is_small(run: RunView) -> None:
    html = Report(run).build_html()
    titles = ["EMACross GBP/USD.SIM", "Equity, marked to market", "Price and fills", "Monthly returns",
              "Return and risk", "Trades and activity", "Daily returns", "Exposure", "Loss of one day",
              "Deepest drawdowns", "Drawdown and tails", "Costs, gross to net", "As nautilus reports it",
              "If costs had been higher", "By side", "By hour of entry", "Trades<",
              "Assumptions", "Run<"]  # fmt: skip
    places = [html.index(f"aria-level='3'>{title}") for title in titles]
    assert places == sorted(places)
    assert len(html) < 200_000
    assert len(Report(run).to_html()) < 750_000  # with runtime and style sheet: the whole, offline


def test_report_failed_run_says_so_first(run: RunView) -> None:
    failure = {"kind": "RunError", "message": "boom <b>", "traceback": "Traceback: <i>"}
    html = Report(replace(run, manifest={**run.manifest, "state": "FAILED", "failure": failure})).build_html()
    assert html.index("FAILED") < html.index("wb-head")
    assert "boom &lt;b&gt;" in html
    assert "Traceback: &lt;i&gt;" in html


def test_report_run_without_anything_shows_empty_states(run: RunView) -> None:
    empty = RunView(
        run.manifest, {}, {}, run.equity.iloc[:0], run.fills.iloc[:0], run.positions.iloc[:0], prices=None
    )
    html = Report(empty).build_html()
    assert "No equity samples" in html
    assert "No trades" in html
    assert "wb-chart" not in html


def test_report_manifest_without_currency_raises(run: RunView) -> None:
    with pytest.raises(InputError, match="currency"):
        Report(replace(run, manifest={}))


def test_import_workbench_ui_loads_neither_pandas_nor_bokeh() -> None:
    code = (
        "import sys, workbench.ui; from workbench.ui import *\n"
        "print(sorted({'bokeh', 'panel', 'nautilus_trader', 'workbench.backtest'} & set(sys.modules)))"
    )
    lazy = "import sys, workbench.ui; print(sorted({'bokeh', 'pandas', 'numpy', 'ipywidgets'} & set(sys.modules)))"
    for text in (lazy, code):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
