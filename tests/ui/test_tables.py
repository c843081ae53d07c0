from __future__ import annotations

from typing import Any

from workbench.analysis.definitions import Metric, build_definitions
from workbench.ui.tables import (
    CostsTable,
    FactsTable,
    HeadlineStrip,
    MetricsTable,
    NautilusTable,
    build_label,
    build_value,
)

EVIL = "<script>alert(1)</script>"
DEFINITIONS = build_definitions()


def _metric(value: Any, unit: str = "ratio", reason: str | None = None) -> Metric:
    return Metric(value=value, unit=unit, reason=reason)


def test_headline_strip_values_have_sign_unit_and_definition() -> None:
    html = HeadlineStrip(
        {"total_return": _metric(0.0413, "%"), "max_drawdown": _metric(-0.031, "%")}, DEFINITIONS
    ).build_html()
    assert "<span class='up'>+4.13 %</span>" in html
    assert "<span class='down'>−3.10 %</span>" in html
    assert "Ending equity / starting balance - 1." in html


def test_headline_strip_unknown_value_says_why() -> None:
    html = HeadlineStrip(
        {"sharpe": _metric(None, reason="daily returns do not vary")}, DEFINITIONS
    ).build_html()
    assert "—" in html
    assert "<small>daily returns do not vary</small>" in html
    assert "nan" not in html.lower()


def test_metrics_table_all_text_is_escaped() -> None:
    definitions = {EVIL: {"label": EVIL, "text": EVIL + "'\"", "source": EVIL}}
    html = MetricsTable({EVIL: _metric(None, EVIL, EVIL)}, definitions, title=EVIL).build_html()
    assert EVIL not in html
    assert "&lt;script&gt;" in html
    assert "'&lt;script&gt;alert(1)&lt;/script&gt;&#x27;&quot; Source" in html


def test_metrics_table_none_shows_the_empty_state() -> None:
    assert "No metrics in this run" in MetricsTable({}, {}).build_html()


def test_costs_table_paid_costs_are_deductions_and_earned_ones_additions() -> None:
    costs = {
        "gross_pnl": _metric("100", "USD"), "spread": _metric("30", "USD"), "slippage": _metric("-2.5", "USD"),
        "fees": _metric("0", "USD"), "funding": _metric(None, "USD", "not modelled"), "net_pnl": _metric("72.5", "USD"),
    }  # fmt: skip
    html = CostsTable(costs, DEFINITIONS).build_html()
    order = [
        html.index(text)
        for text in ("+100.00 USD", "−30.00 USD", "+2.50 USD", ">0.00 USD", "not modelled", "+72.50 USD")
    ]
    assert order == sorted(order)


def test_nautilus_table_values_are_shown_to_the_last_digit() -> None:
    html = NautilusTable(
        {"returns": {"Sharpe Ratio (252 days)": 1.9123456789012345}, "pnls": {"USD": {EVIL: 1.0}}}
    ).build_html()
    assert "1.9123456789012346" in html or "1.9123456789012345" in html
    assert EVIL not in html


def test_facts_table_long_hash_is_shortened_with_the_whole_on_hover() -> None:
    html = FactsTable({"Hash": "ab" * 32, "Note": EVIL}, title="Run").build_html()
    assert f"title='{'ab' * 32}'" in html
    assert EVIL not in html


def test_headline_warnings_stand_below_the_numbers_and_are_escaped():
    html = HeadlineStrip({}, {}, warnings=["the equity fell below <zero>"]).build_html()
    assert "role='note'" in html
    assert "the equity fell below &lt;zero&gt;" in html
    assert html.index("wb-kpis") < html.index("&lt;zero&gt;")


def test_multiples_say_that_they_are_and_deflated_sharpe_has_its_definition() -> None:
    metric: Metric = {"value": 321.24, "unit": "ratio", "reason": None}
    assert build_value("capacity_multiple", metric) == "321.24×"
    assert build_value("sharpe", metric) == "321.24"
    assert "Bailey and López de Prado" in build_label("deflated_sharpe", {})
