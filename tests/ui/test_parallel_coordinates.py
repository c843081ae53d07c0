from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.live_html import Action
from workbench.ui.parallel_coordinates import ParallelCoordinates

type Read = Callable[[str], dict[str, Any]]
type ReadColumn = Callable[[str, str, str], list[float | None]]

TRIALS = pd.DataFrame(
    {"fast": [10, 5, 20], "kind": ["SMA", "<EMA>", "SMA"], "sharpe": [0.5, 2.0, np.nan]}, index=[7, 8, 9]
)


def test_parallel_coordinates_best_comes_first_and_failed_is_left_out(
    read_payload: Read, read_column: ReadColumn
) -> None:
    html = ParallelCoordinates(TRIALS, ["fast", "kind"], "sharpe").build_html()
    parallel = read_payload(html)["parallel"]
    assert parallel["trials"] == ["8", "7"]
    assert parallel["names"] == ["fast", "kind", "sharpe"]
    assert parallel["texts"][2] == ["2", "0.5"]
    assert read_column(html, "trials", "axis0") == [0, 1]
    assert read_column(html, "trials", "axis2") == [1, 0]
    assert "<EMA>" not in html
    assert "1 without a value" in html


def test_parallel_coordinates_least_first_where_less_is_better(read_payload: Read) -> None:
    html = ParallelCoordinates(TRIALS, ["fast"], "sharpe", is_maximised=False).build_html()
    assert read_payload(html)["parallel"]["trials"] == ["7", "8"]


def test_parallel_coordinates_very_many_draws_the_best_and_some_of_all_ranks(read_payload: Read) -> None:
    trials = pd.DataFrame({"a": np.arange(5_000), "z": np.arange(5_000.0)})
    html = ParallelCoordinates(trials, ["a"], "z", best=10).build_html()
    shown = [int(name) for name in read_payload(html)["parallel"]["trials"]]
    assert shown[:10] == list(range(4_999, 4_989, -1))
    assert shown[-1] == 0
    assert len(set(shown)) == 1_000
    assert "5,000 trials" in html
    assert "1,000 drawn, evenly by rank" in html


def test_parallel_coordinates_one_value_of_a_parameter_is_drawn(read_column: ReadColumn) -> None:
    trials = pd.DataFrame({"a": [3, 3], "b": [True, True], "z": [1.0, 1.0]})
    html = ParallelCoordinates(trials, ["a", "b"], "z").build_html()
    assert [read_column(html, "trials", f"axis{k}") for k in range(3)] == [[0.5, 0.5]] * 3


def test_parallel_coordinates_pick_gives_the_index_of_the_trial() -> None:
    picked: list[Any] = []
    chart = ParallelCoordinates(TRIALS, ["fast"], "sharpe", on_pick=picked.append)
    for value in (1.0, 5.0, None):
        chart.act(Action("pick", "parallel", value))
    assert picked == [7]


def test_parallel_coordinates_without_values_shows_the_empty_state() -> None:
    html = ParallelCoordinates(TRIALS.iloc[2:], ["fast"], "sharpe").build_html()
    assert "No trial has an objective yet" in html
    assert "<script" not in html


@pytest.mark.parametrize("count", [0, 11])
def test_parallel_coordinates_too_few_or_many_parameters_raise(count: int) -> None:
    with pytest.raises(InputError, match="1 to 10"):
        ParallelCoordinates(TRIALS, ["fast"] * count, "sharpe")


def test_parallel_coordinates_objective_has_round_marks_and_parameters_their_values(
    read_payload: Callable[[str], dict[str, Any]],
) -> None:
    trials = pd.DataFrame({"fast": [5, 10, 20], "sharpe": [0.773538, 0.740733, 1.24728]})
    html = ParallelCoordinates(trials, ["fast"], "sharpe").build_html()
    marks = json.dumps(read_payload(html)["item"])
    assert all(f'"{value}"' in marks for value in ("5", "10", "20", "0.8", "1.2"))
    assert "0.773538" not in marks
