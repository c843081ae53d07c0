from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.capacity import measure_capacity
from workbench.analysis.definitions import DEFINITIONS
from workbench.errors import InputError

NAME = "EUR/USD.SIM"
START = pd.Timestamp("2024-01-02 10:00")


def _time(minute):
    return str(START + pd.Timedelta(minutes=minute))


@pytest.fixture(scope="session")
def capacity(make_fills, make_prices):
    """Return the capacity of fills of (minute, quantity) in bars that end at each minute from 0 on."""

    def measure(fills, volumes, *, volume_is_traded=True, **arguments):
        prices = make_prices(*((_time(minute), 1, 2, volume) for minute, volume in enumerate(volumes)))
        frame = make_fills(*({"ts_event": _time(minute), "last_qty": str(qty)} for minute, qty in fills))
        return measure_capacity(frame, {NAME: prices}, volume_is_traded=volume_is_traded, **arguments)

    return measure


def test_capacity_worked_example(capacity):
    # Participation 1 %, 2 % and 4 %; all must stay within 5 %.
    measured = capacity([(0, 1), (1, 2), (2, 4)], [100, 100, 100])
    assert measured["capacity_multiple"] == pytest.approx(1.25)
    assert measured["participation_median"] == pytest.approx(0.02)
    assert measured["participation_high"] == pytest.approx(0.04)
    assert set(measured) <= set(DEFINITIONS)


def test_capacity_lets_the_given_share_exceed(capacity):
    # Of 20 fills one may exceed: the 50 % one, not the 10 % ones.
    fills = [(minute, 1 if minute < 10 else 10) for minute in range(19)] + [(19, 50)]
    measured = capacity(fills, [100] * 20)
    assert measured["capacity_multiple"] == pytest.approx(0.5)
    assert capacity(fills, [100] * 20, share=1.0)["capacity_multiple"] == pytest.approx(0.1)
    assert capacity(fills, [100] * 20, share=0.5)["capacity_multiple"] == pytest.approx(5.0)


def test_capacity_share_of_whole_fills_is_exact(capacity):
    # In binary (1 - 0.9) x 10 is a little less than 1: one of ten may exceed all the same.
    fills = [(minute, 1) for minute in range(9)] + [(9, 50)]
    assert capacity(fills, [100] * 10, share=0.9)["capacity_multiple"] == pytest.approx(5.0)


def test_capacity_fills_of_one_bar_count_together(capacity):
    assert capacity([(0.5, 1), (1, 3)], [100, 100])["participation_high"] == pytest.approx(0.04)


def test_capacity_fill_lies_in_the_bar_that_ends_after_it(capacity):
    assert capacity([(0.5, 1)], [1000, 100, 1000])["participation_high"] == pytest.approx(0.01)


def test_capacity_bars_without_volume_leave_no_room(capacity):
    measured = capacity([(0, 1), (1, 1)], [0, 100])
    assert measured["capacity_multiple"] == 0.0
    assert "no volume" in measured["participation_high"].reason
    assert capacity([(0, 1), (1, 1)], [0, 100], share=0.5)["capacity_multiple"] == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("fills", "volumes", "traded", "reason"),
    [
        ([(0, 1)], [100], False, "the volume of these prices is not what was traded"),
        ([], [100], True, "the run has no fill"),
        ([(0, 1), (2, 1)], [100, 100], True, "the volume is unknown at 1 of 2 fills"),
        ([(-2, 1), (1, 1)], [100, 100], True, "the volume is unknown at 1 of 2 fills"),
        ([(0, 1), (1, 1)], [100, "nan"], True, "the volume is unknown at 1 of 2 fills"),
        ([(0, 1)], [], True, f"there are no prices of {NAME}"),
    ],
)
def test_capacity_without_volume_has_a_reason(capacity, fills, volumes, traded, reason):
    measured = capacity(fills, volumes, volume_is_traded=traded)
    assert {value.reason for value in measured.values()} == {reason}


def test_capacity_of_prices_without_a_volume_column_has_a_reason(make_fills, make_prices):
    prices = {NAME: make_prices((_time(0), 1, 2))}
    measured = measure_capacity(make_fills({}), prices, volume_is_traded=True)
    assert measured["capacity_multiple"].reason == f"the prices of {NAME} have no volume"


@pytest.mark.parametrize("field", ["participation", "share"])
@pytest.mark.parametrize("value", [0.0, 5.0, float("nan")])
def test_capacity_of_a_senseless_rate_is_refused(capacity, field, value):
    with pytest.raises(InputError) as caught:
        capacity([(0, 1)], [100], **{field: value})
    assert caught.value.field == field


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 1000)), min_size=1, max_size=40),
    share=st.sampled_from([0.5, 0.75, 0.9, 0.95, 1.0]),
)
def test_capacity_is_the_largest_multiple(capacity, pairs, share):
    fills = [(minute, qty) for minute, (qty, _) in enumerate(pairs)]
    multiple = capacity(fills, [volume for _, volume in pairs], share=share)["capacity_multiple"]
    rates = np.array([qty / volume for qty, volume in pairs])

    def is_allowed(size):
        return np.mean(rates * size <= 0.05) >= share - 1e-9

    assert is_allowed(multiple * (1 - 1e-9))
    assert not is_allowed(multiple * (1 + 1e-9))
