from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.heat_map import HeatMap
from workbench.ui.live_html import Action

TRIALS = pd.DataFrame(
    {
        "fast": [5, 5, 10, 10, 10],
        "slow": [20, 40, 20, 40, 40],
        "sharpe": [1.0, 2.0, -1.0, np.nan, 0.5],
    }
)


def _rows(html: str) -> list[list[str]]:
    """Return the table's rows as text, from top to bottom."""
    body = html.split("<tbody>")[1].split("</tbody>")[0]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in body.split("</tr>")
        if row
    ]


def test_heat_map_rises_upwards_and_leaves_unknown_cells_empty() -> None:
    html = HeatMap(TRIALS.iloc[:4], "fast", "slow", "sharpe").build_html()
    assert _rows(html) == [["40", "2.00", ""], ["20", "1.00", "\N{MINUS SIGN}1.00"]]
    assert "3 trials; 1 without a value" in html


@pytest.mark.parametrize(("how", "value"), [("best", "3.00"), ("mean", "2.00")])
def test_heat_map_cell_of_several_trials_shows_what_was_asked(how: Any, value: str) -> None:
    trials = pd.DataFrame({"x": [1, 1], "y": [2, 2], "z": [1.0, 3.0]})
    html = HeatMap(trials, "x", "y", "z", how=how).build_html()
    assert _rows(html) == [["2", value]]
    assert f"{how} of 2 trials" in html


def test_heat_map_least_is_strongest_where_less_is_better() -> None:
    html = HeatMap(TRIALS, "fast", "slow", "sharpe", is_maximised=False).build_html()
    strengths = dict(re.findall(r"--v:([\d.]+)' data-tip='fast (\d+, slow \d+)", html))
    assert strengths["1.000"] == "10, slow 20"
    assert strengths["0.000"] == "5, slow 40"


def test_heat_map_many_numbers_are_put_into_round_ranges_that_hold_all() -> None:
    values = np.linspace(0.1, 99.9, 200)
    trials = pd.DataFrame({"x": values, "y": 1, "z": values})
    picked: list[Any] = []
    chart = HeatMap(trials, "x", "y", "z", on_pick=picked.append)
    html = chart.build_html()
    assert "0\N{EN DASH}10" in html
    assert "90\N{EN DASH}100" in html
    for column in range(10):
        chart.act(Action("pick", f"{column},0"))
    assert sorted(value for cell in picked for value in cell["x"]) == sorted(values)


def test_heat_map_cell_chosen_twice_is_none() -> None:
    picked: list[Any] = []
    chart = HeatMap(TRIALS, "fast", "slow", "sharpe", on_pick=picked.append)
    widget: Any = chart.build_widget()
    chart.act(Action("pick", "1,0"))
    assert re.search(r"id='wb-cell-1-0'[^>]*aria-pressed='true'", widget.html)
    chart.act(Action("pick", "1,0"))
    assert "aria-pressed='true'" not in widget.html
    assert picked == [{"fast": [10], "slow": [20]}, {}]


def test_heat_map_words_are_escaped_and_names_may_be_text() -> None:
    trials = pd.DataFrame({"<x>": ["<a>", "b"], "y": [True, False], "z": [1.0, 2.0]})
    html = HeatMap(trials, "<x>", "y", "z").build_html()
    assert "<a>" not in html
    assert "<x>" not in html
    assert "&lt;a&gt;" in html


def test_heat_map_without_values_shows_the_empty_state() -> None:
    assert "No trial has an objective yet" in HeatMap(TRIALS.iloc[3:4], "fast", "slow", "sharpe").build_html()


@pytest.mark.parametrize(("x", "words"), [("slow", "both axes"), ("none", "no column none")])
def test_heat_map_bad_axes_raise(x: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        HeatMap(TRIALS, x, "slow", "sharpe")
