from __future__ import annotations

import pytest

from workbench.ui.ticks import find_step, sort_categories


@pytest.mark.parametrize(
    ("span", "most", "step"), [(84, 4, 25), (1, 4, 0.25), (7, 7, 1), (0.0031, 5, 0.001), (0, 4, 2.5e-10)]
)
def test_find_step_is_round_and_fits(span: float, most: int, step: float) -> None:
    assert find_step(span, most) == pytest.approx(step)


def test_categories_are_sorted_as_numbers_where_all_are() -> None:
    assert sort_categories(["1000", "500", "-2.5"]) == ["-2.5", "500", "1000"]
    assert sort_categories(["b", "1000", "500"]) == ["1000", "500", "b"]
    assert sort_categories([True, False]) == [False, True]
