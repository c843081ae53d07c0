from __future__ import annotations

from workbench.analysis.definitions import Metric
from workbench.ui.stress_table import StressTable


def _results(*pnls: str) -> dict[float, dict[str, Metric]]:
    return {k + 1: {"net_pnl": Metric(value=pnl, unit="USD", reason=None)} for k, pnl in enumerate(pnls)}


def test_stress_table_has_a_column_for_each_multiple_and_says_what_is_multiplied() -> None:
    breakeven = Metric(value=2.5, unit="ratio", reason=None)
    html = StressTable(_results("10", "-5", "-20"), breakeven, ["fee", "slippage"], {}).build_html()
    assert "3× costs" in html
    assert "+10.00 USD" in html
    assert "−20.00 USD" in html
    assert "2.50×" in html
    assert "Multiplied: fee, slippage; the spread is not known at every fill." in html


def test_stress_table_unknown_breakeven_says_why() -> None:
    breakeven = Metric(value=None, unit="ratio", reason="the run lost money before costs")
    html = StressTable(_results("-10"), breakeven, ["fee", "spread", "slippage"], {}).build_html()
    assert "the run lost money before costs" in html


def test_stress_table_without_known_costs_is_empty() -> None:
    breakeven = Metric(value=None, unit="ratio", reason="no")
    assert "nothing to multiply" in StressTable({}, breakeven, [], {}).build_html()
