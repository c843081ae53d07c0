from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.drawdown import build_drawdown, build_drawdown_table
from workbench.analysis.equity import build_curve

amounts = st.one_of(st.none(), st.decimals("0", "1000000", places=2))


def _curve(daily_equity, *values):
    return build_curve(daily_equity(*values))


def _day(number):
    return pd.Timestamp(f"2024-01-{number:02d}", tz="UTC")


def test_drawdown_worked_example(daily_equity):
    frame = build_drawdown(_curve(daily_equity, 100, 120, 90, 120, 108))
    assert frame["depth"].tolist() == [0.0, 0.0, -0.25, 0.0, -0.1]
    assert frame["peak"].tolist() == [100, 120, 120, 120, 120]
    assert frame["since"].tolist() == [_day(1), _day(2), _day(2), _day(4), _day(4)]


def test_drawdown_unknown_equity_has_no_depth(daily_equity):
    frame = build_drawdown(_curve(daily_equity, None, 100, None, 90))
    assert frame["depth"].isna().tolist() == [True, False, True, False]
    assert frame["peak"].tolist() == [None, 100, 100, 100]
    assert frame["since"].isna().tolist() == [True, False, False, False]


def test_drawdown_negative_equity_is_below_minus_one(daily_equity):
    assert build_drawdown(_curve(daily_equity, 100, 0, -20))["depth"].tolist() == [0.0, -1.0, -1.2]
    assert build_drawdown(_curve(daily_equity, 0, -20))["depth"].isna().all()


def test_drawdown_table_worked_example(daily_equity):
    table = build_drawdown_table(_curve(daily_equity, 100, 95, 100, 120, 90, 100, 130, 117))
    assert table["start"].tolist() == [_day(4), _day(7), _day(1)]
    assert table["trough"].tolist() == [_day(5), _day(8), _day(2)]
    assert table["end"].tolist() == [_day(7), pd.NaT, _day(3)]
    assert table["depth"].tolist() == pytest.approx([-0.25, -0.1, -0.05])
    assert table["money"].tolist() == [Decimal(-30), Decimal(-13), Decimal(-5)]
    assert table["length"].dt.days.tolist() == [3, 1, 2]
    assert table["is_open"].tolist() == [False, True, False]
    assert table["is_complete"].all()


def test_drawdown_table_limit_keeps_the_deepest(daily_equity):
    curve = _curve(daily_equity, 100, 95, 100, 80, 100, 90)
    assert build_drawdown_table(curve, limit=2)["depth"].tolist() == pytest.approx([-0.2, -0.1])
    assert len(build_drawdown_table(curve, limit=None)) == 3


def test_drawdown_table_unknown_sample_marks_the_episode(daily_equity):
    table = build_drawdown_table(_curve(daily_equity, 100, 90, None, 100, 95, 100, None, 97))
    assert table["depth"].tolist() == pytest.approx([-0.1, -0.05, -0.03])
    assert table["is_complete"].tolist() == [False, True, False]


@pytest.mark.parametrize("values", [(), (100,), (100, 100, 100), (100, 110, 120), (None, None)])
def test_drawdown_table_nothing_lost_is_empty(daily_equity, values):
    table = build_drawdown_table(_curve(daily_equity, *values))
    assert len(table) == 0
    assert list(table.columns) == [
        "start",
        "trough",
        "end",
        "depth",
        "money",
        "length",
        "is_open",
        "is_complete",
    ]
    assert len(build_drawdown(_curve(daily_equity, *values))) == len(values)


@settings(max_examples=80, deadline=None)
@given(values=st.lists(amounts, min_size=1, max_size=40))
def test_drawdown_lies_between_minus_one_and_zero_and_agrees_with_its_table(daily_equity, values):
    curve = _curve(daily_equity, *values)
    depth = build_drawdown(curve)["depth"].dropna()
    assert ((depth >= -1) & (depth <= 0)).all()
    table = build_drawdown_table(curve, limit=None)
    assert table["depth"].is_monotonic_increasing
    if len(table) and table["depth"].notna().any():
        assert table["depth"].min() == depth.min()
    # Episodes do not overlap.
    ordered = table.sort_values("start")
    ends = ordered["end"].fillna(curve.index[-1])
    assert (ordered["start"].iloc[1:].to_numpy() >= ends.iloc[:-1].to_numpy()).all()
