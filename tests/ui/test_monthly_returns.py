from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.ui.monthly_returns import MonthlyReturns, build_monthly_returns


def _frame(rows: dict[str, str | None]) -> pd.DataFrame:
    values = [None if value is None else Decimal(value) for value in rows.values()]
    return pd.DataFrame({"ts": pd.DatetimeIndex(rows, tz="UTC"), "equity": pd.Series(values, dtype=object)})


def test_build_monthly_returns_midnight_closes_the_month_before() -> None:
    frame = _frame({"2012-01-30": "100", "2012-02-01": "110", "2012-02-15": "200", "2012-03-01": "99"})
    returns = build_monthly_returns(frame)
    assert [str(period) for period in returns.index] == ["2012-01", "2012-02"]
    np.testing.assert_allclose(returns.to_numpy(), [0.1, -0.1])


def test_build_monthly_returns_compound_to_the_total() -> None:
    frame = _frame({"2011-12-30": "100", "2012-01-20": "130", "2012-03-05": "90", "2012-03-06 12:00": "95"})
    returns = build_monthly_returns(frame)
    assert len(returns) == 4
    assert np.prod(1 + returns.to_numpy()) == pytest.approx(0.95)


def test_build_monthly_returns_unknown_close_gives_no_number() -> None:
    frame = _frame({"2012-01-30": "100", "2012-02-01": None, "2012-02-15": "120", "2012-03-01": "130"})
    assert build_monthly_returns(frame).isna().tolist() == [True, True]


def test_monthly_returns_writes_signs_and_marks_losses() -> None:
    html = MonthlyReturns(_frame({"2012-01-30": "100", "2012-02-01": "110", "2012-03-01": "99"})).build_html()
    assert "+10.00" in html
    assert "−10.00" in html
    assert html.count("class='neg'") == 1
    assert "−1.00" in html  # the year: 1.1 x 0.9 - 1


@pytest.mark.parametrize("rows", [{}, {"2012-01-30": "100"}])
def test_monthly_returns_no_range_shows_the_empty_state(rows: dict[str, str | None]) -> None:
    assert "No monthly returns" in MonthlyReturns(_frame(rows)).build_html()
