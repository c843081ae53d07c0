from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.exposure import build_daily_exposure
from workbench.errors import InputError


def test_exposure_worked_example(make_equity):
    # Open from 18:00 on the first day to 06:00 on the third.
    rows = [(f"2024-01-0{time}", 100) for time in ("1 12:00", "1 18:00", "3 06:00", "3 12:00")]
    exposure = build_daily_exposure(make_equity(rows, open_positions=[0, 2, 0, 1]))
    assert [day.date().isoformat() for day in exposure.index] == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert exposure.index.name == "day"
    assert str(exposure.index.tz) == "UTC"
    assert exposure["exposure"].tolist() == pytest.approx([0.5, 1.0, 0.5])
    assert exposure["observed"].tolist() == pytest.approx([0.5, 1.0, 0.5])


def test_exposure_midnight_belongs_to_the_day_that_ends(make_equity):
    exposure = build_daily_exposure(
        make_equity([("2024-01-01", 1), ("2024-01-02", 1)], open_positions=[1, 0])
    )
    assert exposure["exposure"].tolist() == [1.0]


def test_exposure_of_less_than_two_samples_is_empty(make_equity):
    exposure = build_daily_exposure(make_equity([("2024-01-01", 1)]))
    assert len(exposure) == 0
    assert list(exposure.columns) == ["exposure", "observed"]
    with pytest.raises(InputError, match="open_positions"):
        build_daily_exposure(make_equity([]).drop(columns="open_positions"))


@settings(max_examples=60, deadline=None)
@given(
    samples=st.lists(
        st.tuples(st.integers(0, 10 * 1440), st.integers(0, 2)),
        min_size=2,
        max_size=30,
        unique_by=lambda s: s[0],
    )
)
def test_exposure_adds_up_to_the_time_with_a_position(make_equity, samples):
    samples.sort()
    start = pd.Timestamp("2024-01-01")
    rows = [(str(start + pd.Timedelta(minutes=minute)), 1) for minute, _ in samples]
    exposure = build_daily_exposure(make_equity(rows, open_positions=[count for _, count in samples]))
    expected = sum(b[0] - a[0] for a, b in itertools.pairwise(samples) if a[1])
    assert (exposure["exposure"] * exposure["observed"]).sum() * 1440 == pytest.approx(expected)
    assert exposure["observed"].sum() * 1440 == pytest.approx(samples[-1][0] - samples[0][0])
