from __future__ import annotations

import re

import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.histogram import Histogram

BINS = pd.DataFrame(
    {"left": [-0.02, -0.01, 0.0, 0.01], "right": [-0.01, 0.0, 0.01, 0.02], "days": [1, 10, 20, 0]}
)


def test_histogram_bars_have_their_days_side_and_words() -> None:
    html = Histogram(BINS).build_html()
    bars = re.findall(r"<div class='(\w+)[^']*' data-tip='([^']+)'.*?height:([\d.]+)%", html)
    assert [(side, float(height)) for side, _, height in bars] == [
        ("down", 5.0),
        ("down", 50.0),
        ("up", 100.0),
        ("up", 0.0),
    ]
    assert bars[2][1] == "0.00 % to +1.00 %: 20 of 31 days"
    assert "31 days" in html


def test_histogram_axis_has_a_few_round_steps() -> None:
    labels = re.findall(r"<span style='left:[\d.]+%'>([^<]+)</span>", Histogram(BINS).build_html())
    assert labels == ["\N{MINUS SIGN}1 %", "0 %", "+1 %"]


def test_histogram_marks_stand_at_their_values_and_unknown_ones_are_left_out() -> None:
    html = Histogram(BINS, {"Mean": 0.01, "Median": None, "<x>": -0.02}).build_html()
    marks = re.findall(r"class='mark[^']*' style='left:([\d.]+)%;--row:(\d)'><span>([^<]+) <b>([^<]+)", html)
    assert marks == [
        ("0.000", "0", "&lt;x&gt;", "\N{MINUS SIGN}2.00 %"),
        ("75.000", "0", "Mean", "+1.00 %"),
    ]


def test_histogram_marks_near_each_other_stand_in_two_lines() -> None:
    html = Histogram(BINS, {"Mean": 0.0001, "Median": 0.0002}).build_html()
    assert re.findall(r"--row:(\d)", html) == ["0", "1"]


@pytest.mark.parametrize("bins", [BINS.iloc[:0], BINS.assign(days=0)])
def test_histogram_without_days_says_what_it_needs(bins: pd.DataFrame) -> None:
    assert "No daily returns" in Histogram(bins).build_html()


def test_histogram_without_column_raises() -> None:
    with pytest.raises(InputError, match="no column days"):
        Histogram(BINS.drop(columns="days"))
