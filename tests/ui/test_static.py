from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.static import PackedColumn, build_runtime_html, load_runtime_key, pack_column, show_runtime


def unpack_column(column: PackedColumn) -> list[float | None]:
    total, values = 0, []
    for step in column.steps:
        if step is None:
            values.append(None)
        else:
            total += step
            values.append(total / 10.0**column.digits)
    return values


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**12), 10**12) | st.none(), max_size=50), st.integers(0, 3))
def test_pack_column_numbers_with_gaps_come_back(whole: list[int | None], digits: int) -> None:
    scale = 10.0**digits
    values = np.array([np.nan if n is None else n / scale for n in whole], dtype=np.float64)
    expected = [None if n is None else n / scale for n in whole]
    assert unpack_column(pack_column(values, digits)) == expected


@pytest.mark.parametrize("value", [np.inf, 1e300])
def test_pack_column_number_too_large_raises(value: float) -> None:
    with pytest.raises(InputError, match="more digits"):
        pack_column(np.array([value]), 2)


def test_build_runtime_html_is_small_and_closed() -> None:
    html = build_runtime_html()
    assert len(html) < 560_000
    assert html.count("<script") == html.count("</script>") == 1
    assert "http" not in html.split('atob("')[0]


def test_load_runtime_key_is_a_javascript_name() -> None:
    assert re.fullmatch(r"wbCharts_[0-9a-f]{10}", load_runtime_key())


def test_build_chart_html_says_what_to_do_where_scripts_do_not_run(equity: Any) -> None:
    html = EquityCurveChart(equity, "USD").build_html()
    assert "trusted notebook" in re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)


def test_show_runtime_output_holds_the_runtime() -> None:
    assert build_runtime_html() in show_runtime()._repr_mimebundle_()["text/html"]
