from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from workbench.ui import view
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.monthly_returns import MonthlyReturns


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> view._RuntimeOwner:
    fresh = view._RuntimeOwner()
    monkeypatch.setattr(view, "_OWNER", fresh)
    return fresh


def _has_runtime(component: view.View) -> bool:
    return "data-wb-runtime" in component._repr_mimebundle_()["text/html"]


def test_view_first_chart_of_a_kernel_brings_the_runtime_and_others_do_not(equity: pd.DataFrame) -> None:
    chart = EquityCurveChart(equity, "USD")
    assert not _has_runtime(MonthlyReturns(equity))
    assert [_has_runtime(chart) for _ in range(3)] == [True, False, False]


def test_view_owner_cell_run_again_brings_the_runtime_again(
    equity: pd.DataFrame, owner: view._RuntimeOwner
) -> None:
    chart = EquityCurveChart(equity, "USD")
    owner.on_cell(SimpleNamespace(cell_id="a"))
    assert _has_runtime(chart)
    owner.on_cell(SimpleNamespace(cell_id="b"))
    assert not _has_runtime(chart)
    owner.on_cell(SimpleNamespace(cell_id="a"))
    assert _has_runtime(chart)


def test_view_owner_cell_run_again_without_chart_lets_the_next_chart_bring_it(
    equity: pd.DataFrame, owner: view._RuntimeOwner
) -> None:
    chart = EquityCurveChart(equity, "USD")
    owner.on_cell(SimpleNamespace(cell_id="a"))
    assert _has_runtime(chart)
    owner.on_cell(SimpleNamespace(cell_id="a"))
    owner.on_cell(SimpleNamespace(cell_id="b"))
    assert _has_runtime(chart)


def test_view_mimebundle_has_plain_text_for_a_terminal(equity: pd.DataFrame) -> None:
    assert (
        EquityCurveChart(equity, "USD")._repr_mimebundle_()["text/plain"] == "EquityCurveChart(Equity; USD)"
    )
