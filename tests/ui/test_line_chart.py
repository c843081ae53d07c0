from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.line_chart import LineChart

DAYS = pd.date_range("2012-01-01", periods=5, freq="D", tz="UTC")


def test_line_chart_begins_with_the_first_known_value_and_scales(
    read_column: Callable[[str, str, str], list[float | None]], read_payload: Callable[[str], dict[str, Any]]
) -> None:
    line = pd.Series([np.nan, 0.1, np.nan, 0.25, 0.5], index=DAYS)
    html = LineChart(line, "Volatility", unit="%", scale=100).build_html()
    assert read_column(html, "line0", "value") == [10, None, 25, 50]
    (field,) = read_payload(html)["read"]["fields"]
    assert (field["label"], field["unit"]) == ("Volatility", "%")
    assert read_payload(html)["read"]["ends"] == []


def test_line_chart_several_lines_have_names_at_their_ends(
    read_payload: Callable[[str], dict[str, Any]],
) -> None:
    lines = {"<i>": pd.Series(range(5), index=DAYS), "b": pd.Series(range(5), index=DAYS)}
    html = LineChart(lines, "Sharpe").build_html()
    payload = read_payload(html)
    assert [field["label"] for field in payload["read"]["fields"]] == ["<i>", "b"]
    assert len(payload["read"]["ends"]) == 2
    assert "<i>" not in html


def test_line_chart_filled_shows_zero(read_payload: Callable[[str], dict[str, Any]]) -> None:
    html = LineChart(pd.Series([3.0, 4.0], index=DAYS[:2]), "Exposure", is_filled=True).build_html()
    assert read_payload(html)["fit"][0]["floor"] == 0


def test_line_chart_nothing_known_says_what_was_asked() -> None:
    html = LineChart(
        pd.Series([np.nan] * 5, index=DAYS), "Sharpe", empty="The window needs 30 days."
    ).build_html()
    assert "The window needs 30 days." in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (pd.Series([1.0, 2.0], index=DAYS[:2][::-1]), "back in time"),
        (pd.Series([1.0], index=pd.DatetimeIndex(["2012-01-01"])), "time zone"),
        ({str(k): pd.Series([1.0], index=DAYS[:1]) for k in range(7)}, "at most 6"),
        ({"a": [1.0]}, "a list"),
    ],
)
def test_line_chart_bad_lines_raise(lines: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        LineChart(lines, "t")
