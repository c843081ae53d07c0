from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.equity import (
    build_cumulative_returns,
    build_curve,
    build_daily_closes,
    build_daily_returns,
    describe_unknown,
)
from workbench.errors import InputError

amounts = st.decimals("100", "1000000", places=4, allow_nan=False)


def _days(series):
    return [day.date().isoformat() for day in series.index]


def test_daily_closes_midnight_sample_closes_the_day_before(daily_equity):
    closes = build_daily_closes(daily_equity(100, 110, 99), periods_per_year=365)
    assert _days(closes) == ["2023-12-31", "2024-01-01", "2024-01-02"]
    assert closes.tolist() == [100, 110, 99]
    assert all(isinstance(close, Decimal) for close in closes)


def test_daily_closes_start_within_a_day_counts_the_partial_day(make_equity):
    equity = make_equity([("2024-01-01 09:30", 100), ("2024-01-02", 110), ("2024-01-02 15:00", 121)])
    closes = build_daily_closes(equity, periods_per_year=365)
    assert _days(closes) == ["2023-12-31", "2024-01-01", "2024-01-02"]
    np.testing.assert_allclose(build_daily_returns(closes), [0.1, 0.1])


def test_daily_closes_day_without_sample_carries_the_last_equity(make_equity):
    equity = make_equity([("2024-01-01", 100), ("2024-01-01 12:00", 105), ("2024-01-03 12:00", 110)])
    assert build_daily_closes(equity, periods_per_year=365).tolist() == [100, 105, 105, 110]


def test_daily_closes_365_counts_weekends_and_252_does_not(daily_equity):
    # Friday 2024-01-05 to the end of Tuesday the 9th; the account moves on the weekend.
    equity = daily_equity(100, 101, 102, 103, 104, 105, start="2024-01-05")
    assert build_daily_closes(equity, periods_per_year=365).tolist() == [100, 101, 102, 103, 104, 105]
    closes = build_daily_closes(equity, periods_per_year=252)
    assert _days(closes) == ["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"]
    assert closes.tolist() == [100, 101, 104, 105]


def test_daily_closes_252_end_on_a_weekend_falls_into_friday(daily_equity):
    equity = daily_equity(100, 101, 102, 107, start="2024-01-05")
    closes = build_daily_closes(equity, periods_per_year=252)
    assert _days(closes) == ["2024-01-04", "2024-01-05"]
    assert closes.tolist() == [100, 107]


def test_daily_closes_252_weekday_without_data_is_no_day(make_equity):
    rows = [
        ("2024-01-01", 100),
        ("2024-01-02", 100),
        ("2024-01-03", 100),
        ("2024-01-04", 101),
        ("2024-01-05", 102),
    ]
    # Nothing arrives on Monday, the first; Wednesday moves without data (a settlement); Thursday has data.
    equity = make_equity(rows, events=[0, 0, 9, 9, 12])
    closes = build_daily_closes(equity, periods_per_year=252)
    assert _days(closes) == ["2023-12-31", "2024-01-02", "2024-01-03", "2024-01-04"]
    assert len(build_daily_closes(equity.drop(columns="events"), periods_per_year=252)) == 5


def test_daily_closes_only_a_weekend_in_252_has_no_day(daily_equity):
    closes = build_daily_closes(daily_equity(100, 101, 102, start="2024-01-06"), periods_per_year=252)
    assert closes.tolist() == [100]


def test_daily_closes_unknown_last_sample_of_a_day_stays_unknown(make_equity):
    equity = make_equity(
        [("2024-01-01", 100), ("2024-01-01 12:00", 105), ("2024-01-02", None), ("2024-01-03", 110)]
    )
    closes = build_daily_closes(equity, periods_per_year=365)
    assert closes.tolist() == [100, None, 110]
    assert build_daily_returns(closes).isna().all()
    reason = describe_unknown(closes)
    assert reason is not None
    assert "1 of 3 days, first 2024-01-01" in reason


def test_daily_closes_unknown_within_a_day_do_no_harm(make_equity):
    equity = make_equity([("2024-01-01", 100), ("2024-01-01 12:00", None), ("2024-01-02", 101)])
    assert build_daily_closes(equity, periods_per_year=365).tolist() == [100, 101]


@pytest.mark.parametrize("periods_per_year", [252, 365])
def test_daily_closes_empty_and_single_sample(make_equity, periods_per_year):
    empty = build_daily_closes(make_equity([]), periods_per_year=periods_per_year)
    assert len(empty) == 0
    assert len(build_daily_returns(empty)) == 0
    assert len(build_cumulative_returns(empty)) == 0
    one = build_daily_closes(make_equity([("2024-01-01 12:00", 100)]), periods_per_year=periods_per_year)
    assert one.tolist() == [100]
    assert len(build_daily_returns(one)) == 0


def test_daily_closes_other_time_zone_and_clock_change_are_utc_days(daily_equity):
    # Berlin changes its clocks on 2024-03-31: its days have 23 hours there, UTC's have not.
    equity = daily_equity(100, 101, 102, 103, start="2024-03-30")
    expected = build_daily_closes(equity, periods_per_year=365)
    local = equity.assign(ts=equity["ts"].dt.tz_convert("Europe/Berlin"))
    pd.testing.assert_series_equal(build_daily_closes(local, periods_per_year=365), expected)


def test_daily_closes_other_calendar_is_refused(daily_equity):
    with pytest.raises(InputError, match="periods_per_year is 260; expected 252"):
        build_daily_closes(daily_equity(1, 2), periods_per_year=260)


def test_curve_starting_balance_stands_in_for_an_unknown_start(daily_equity):
    curve = build_curve(daily_equity(None, 101), starting_balance=Decimal(100))
    assert curve.tolist() == [100, 101]


def test_curve_contradicting_starting_balance_is_refused(daily_equity):
    with pytest.raises(InputError, match="starting balance 200"):
        build_curve(daily_equity(100, 101), starting_balance=Decimal(200))


def test_curve_floats_are_refused(daily_equity):
    frame = daily_equity(100, 101)
    with pytest.raises(InputError, match="money and prices are exact"):
        build_curve(frame.assign(equity=[1.0, 2.0]))


def test_curve_times_out_of_order_or_without_zone_are_refused(daily_equity):
    frame = daily_equity(100, 101, 102)
    with pytest.raises(InputError, match="not strictly ascending, first at row 1"):
        build_curve(frame.iloc[::-1])
    with pytest.raises(InputError, match="no time zone"):
        build_curve(frame.assign(ts=frame["ts"].dt.tz_localize(None)))
    with pytest.raises(InputError, match="has no column equity"):
        build_curve(frame.drop(columns="equity"))


def test_curve_coarser_time_unit_means_the_same(daily_equity):
    frame = daily_equity(100, 101, 102)
    coarse = frame.assign(ts=frame["ts"].dt.as_unit("us"))
    pd.testing.assert_series_equal(build_curve(coarse), build_curve(frame))


def test_cumulative_returns_bad_start_gives_no_number(daily_equity):
    assert build_cumulative_returns(build_curve(daily_equity(100, 110, 55))).tolist() == pytest.approx(
        [0, 0.1, -0.45]
    )
    assert build_cumulative_returns(build_curve(daily_equity(None, 110))).isna().all()
    assert build_cumulative_returns(build_curve(daily_equity(0, 110))).isna().all()


def test_daily_returns_after_lost_equity_are_no_numbers(daily_equity):
    closes = build_daily_closes(daily_equity(100, -10, -5, 0, 10), periods_per_year=365)
    np.testing.assert_allclose(build_daily_returns(closes), [-1.1, np.nan, np.nan, np.nan])


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(amounts, min_size=3, max_size=30),
    inner=st.lists(st.tuples(st.integers(0, 28), st.integers(1, 86_399), amounts), max_size=20),
    calendar=st.sampled_from([252, 365]),
)
def test_daily_closes_do_not_depend_on_intraday_sampling(make_equity, values, inner, calendar):
    midnights = {pd.Timestamp("2024-01-01") + pd.Timedelta(days=i): value for i, value in enumerate(values)}
    extra = {
        pd.Timestamp("2024-01-01") + pd.Timedelta(days=day, seconds=secs): value
        for day, secs, value in inner
        if day < len(values) - 1
    }
    sparse = make_equity([(str(time), value) for time, value in midnights.items()])
    dense = make_equity([(str(time), value) for time, value in sorted((midnights | extra).items())])
    expected = build_daily_closes(sparse, periods_per_year=calendar)
    pd.testing.assert_series_equal(build_daily_closes(dense, periods_per_year=calendar), expected)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(amounts, min_size=6, max_size=30),
    factor=st.sampled_from([Decimal(2), Decimal("0.001"), Decimal("123.456")]),
    calendar=st.sampled_from([252, 365]),
)
def test_daily_returns_are_invariant_to_scale_and_compound_to_the_total(
    daily_equity, values, factor, calendar
):
    closes = build_daily_closes(daily_equity(*values), periods_per_year=calendar)
    returns = build_daily_returns(closes)
    scaled = build_daily_closes(
        daily_equity(*[value * factor for value in values]), periods_per_year=calendar
    )
    np.testing.assert_allclose(build_daily_returns(scaled), returns, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(np.prod(1 + returns), float(values[-1] / values[0]), rtol=1e-9)
