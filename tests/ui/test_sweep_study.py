from __future__ import annotations

import math
import re
from typing import Any

import pytest

from tests.ui.test_sweep_tables import build_sweep
from workbench.ui.sweep_data import SweepData
from workbench.ui.sweep_study import build_history, build_importance, build_study


def _values(sweep: SweepData, values: list[float]) -> SweepData:
    sweep.trials["objective"] = values
    return sweep


def _line(html: str) -> list[tuple[float, float]]:
    path = re.search(r"class='best' d='M(\S+) (\S+?)((?:H\S+?V\S+?)*)H100'", html)
    assert path is not None
    steps = re.findall(r"H([\d.]+)V([\d.]+)", path[3])
    return [(float(path[1]), float(path[2])), *((float(x), float(y)) for x, y in steps)]


@pytest.mark.parametrize(
    ("direction", "expected"), [("maximize", [75, 75, 25, 25, 0]), ("minimize", [75, 100, 100, 100, 100])]
)
def test_history_draws_the_best_so_far(direction: str, expected: list[float]) -> None:
    sweep = _values(build_sweep(5, search={"direction": direction}), [1.0, 0.0, 3.0, math.nan, 4.0])

    html = build_history(sweep, is_live=True)

    assert [
        y for _, y in _line(html)
    ] == expected  # The scale is 0 to 4, from 100 at the bottom to 0 at the top
    assert [x for x, _ in _line(html)] == [10, 30, 50, 70, 90]
    assert "4 trials" in html
    assert "1 without a value" in html


def test_history_opens_the_trial_of_a_point_and_marks_the_one_that_is_open() -> None:
    html = build_history(build_sweep(6), opened="job-2", is_live=True)
    points = re.findall(r"<button[^>]*>", html)
    assert len(points) == 5  # the failed one has none
    assert sum("data-key='job-2'" in p and "sel" in p for p in points) == 1
    assert all("tabindex='-1'" in p for p in points)
    assert "trial 3: Sharpe ratio 0.2000" in html
    assert "<button" not in build_history(build_sweep(6), is_live=False)


def test_history_of_many_trials_is_one_path() -> None:
    html = build_history(build_sweep(2_000), is_live=True)
    assert "class='dot" not in html.replace("class='dots'", "")
    assert html.count("h0") == 1_999
    assert len(html) < 100_000


def test_history_without_values_says_so() -> None:
    assert "No trial has a value yet." in build_history(_values(build_sweep(4), [math.nan] * 4), is_live=True)


def test_importance_names_what_decides_its_method_and_its_number_of_trials() -> None:
    sweep = build_sweep(60)
    sweep.trials["fast"] = [k // 10 for k in range(60)]

    html = build_importance(sweep)

    assert "59 trials" in html
    assert "Kruskal-Wallis" in html
    shares = re.findall(r"title='6 groups'>(\d+) %", html)
    assert int(shares[0]) > 90
    assert "+0.9" in html
    assert "these shares say little" not in html


def test_importance_of_few_trials_warns_and_of_one_says_nothing() -> None:
    assert "Only 11 trials: with fewer than 20 these shares say little." in build_importance(build_sweep(12))
    assert "It takes some trials" in build_importance(_values(build_sweep(4), [1.0, *[math.nan] * 3]))


def test_study_of_a_walk_forward_is_left_out() -> None:
    changes: dict[str, Any] = {"search": {"walk_forward": {"folds": 3}}}
    assert build_study(build_sweep(12, **changes), is_live=True) == ""
    assert "Optimisation history" in build_study(build_sweep(12), is_live=True)
