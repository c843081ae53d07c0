from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.extremes import find_extremes
from workbench.errors import InputError

VALUES = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=300)


@settings(max_examples=100, deadline=None)
@given(VALUES, st.integers(1, 20))
def test_find_extremes_any_column_keeps_ends_extremes_and_gaps_of_each_bucket(
    values: list[float], buckets: int
) -> None:
    y = np.array(values)
    x = np.arange(len(y), dtype=np.float64)
    rows = find_extremes(x, (y,), buckets)
    assert (np.diff(rows) > 0).all()
    assert rows[0] == 0
    assert rows[-1] == len(y) - 1
    kept = y[rows]
    bucket_of = np.searchsorted(np.linspace(x[0], x[-1], buckets + 1)[1:-1], x, side="left")
    for bucket in np.unique(bucket_of):
        inside, shown = y[bucket_of == bucket], kept[bucket_of[rows] == bucket]
        if not np.isnan(inside).all():
            assert np.nanmax(shown) == np.nanmax(inside)
            assert np.nanmin(shown) == np.nanmin(inside)
        assert np.isnan(shown).any() == np.isnan(inside).any()


def test_find_extremes_many_rows_returns_few_for_several_columns() -> None:
    x = np.arange(100_000, dtype=np.float64)
    first, second = np.sin(x / 900), np.cos(x / 70)
    rows = find_extremes(x, (first, second), 500)
    assert len(rows) <= 4 * 500 + 2
    assert {first.argmax(), first.argmin(), second.argmax(), second.argmin()} <= set(rows)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=30, max_size=200), st.integers(1, 10))
def test_find_extremes_rows_bunched_in_time_keeps_the_extremes_of_all(steps: list[int], buckets: int) -> None:
    # Steps between nothing and hours; the last rows at one time.
    x = 1.6e12 + np.cumsum(np.array([*(step**2 / 1e7 for step in steps), 0, 0]))
    y = np.random.default_rng(len(steps)).normal(size=len(x))
    assert {y.argmin(), y.argmax(), 0, len(x) - 1} <= set(find_extremes(x, (y,), buckets))


def test_find_extremes_few_rows_returns_all() -> None:
    x = np.arange(10, dtype=np.float64)
    assert find_extremes(x, (x,), 5).tolist() == list(range(10))


def test_find_extremes_same_time_everywhere_keeps_extremes() -> None:
    x = np.zeros(50)
    y = np.arange(50, dtype=np.float64)
    assert {0, 49} <= set(find_extremes(x, (y,), 4))


@pytest.mark.parametrize(("buckets", "size"), [(0, 5), (3, 4)])
def test_find_extremes_bad_input_raises(buckets: int, size: int) -> None:
    with pytest.raises(InputError, match="expected"):
        find_extremes(np.arange(5.0), (np.arange(float(size)),), buckets)
