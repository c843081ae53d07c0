from __future__ import annotations

from decimal import Decimal

import pandas as pd

from workbench.analysis.definitions import Metric
from workbench.analysis.drawdown import build_drawdown_table
from workbench.ui.risk_tables import DrawdownsTable, TailRiskTable


def _closes(*values: str) -> pd.Series:
    index = pd.date_range("2012-01-01", periods=len(values), freq="D", tz="UTC", name="day")
    return pd.Series([Decimal(v) for v in values], index=index, dtype=object)


def test_tail_risk_table_states_method_confidence_and_what_is_unknown() -> None:
    known = Metric(value=0.031, unit="%", reason=None)
    unknown = Metric(value=None, unit="%", reason="at least 100 days are needed")
    figures = {0.95: {"value_at_risk_historical": known}, 0.99: {"value_at_risk_historical": unknown}}
    html = TailRiskTable(figures, {}, days=29).build_html()
    assert "95 % confidence" in html
    assert "99 % confidence" in html
    assert ">3.10 %<" in html
    assert "at least 100 days are needed." in html
    assert "from 29 daily returns, positive is a loss" in html


def test_drawdowns_table_shows_depth_money_length_and_span() -> None:
    html = DrawdownsTable(build_drawdown_table(_closes("100", "90", "101", "95")), "USD").build_html()
    assert html.count("data-span=") == 2
    assert "−10.00 %" in html
    assert "2012-01-03" in html  # recovered
    assert "not yet" in html
    assert "<th class='n'>days</th>" in html
    assert ">2<" in html
    assert "wb-scroll" in html  # a narrow card cuts nothing off


def test_drawdowns_table_of_a_rising_curve_says_so() -> None:
    html = DrawdownsTable(build_drawdown_table(_closes("100", "110")), "USD").build_html()
    assert "No daily close lies below an earlier one." in html
