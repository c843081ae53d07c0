"""What a live chart sends: seen from its widget, without a page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.ui.equity_chart import EquityCurveChart
from workbench.ui.live_html import Action

START_S = 1_600_000_000
START_MS = START_S * 1_000.0


class Wire:
    """A live chart's widget whose messages stay here."""

    def __init__(self, chart: EquityCurveChart) -> None:
        self.sent: list[tuple[dict[str, Any], list[bytes]]] = []
        widget: Any = chart.build_widget()
        widget.send = lambda content, buffers=(): self.sent.append((content, list(buffers)))
        self.widget = widget

    def take(self) -> list[dict[str, Any]]:
        """Return what was sent since the last time, with its numbers."""
        sent, self.sent = self.sent, []
        return [
            {
                **content,
                **{name: np.frombuffer(part) for name, part in zip(content["columns"], parts, strict=True)},
                "bytes": sum(map(len, parts)),
            }
            for content, parts in sent
        ]


def _frame(rows: int) -> pd.DataFrame:
    ts = pd.to_datetime(START_S + np.arange(rows), unit="s", utc=True)
    return pd.DataFrame({"ts": ts, "equity": 1e6 + np.sin(np.arange(rows) / 40) * 1_000})


def test_view_is_answered_with_every_visible_sample_and_little_more() -> None:
    chart = EquityCurveChart(_frame(300_000), "USD", name="main")
    wire = Wire(chart)
    chart.act(Action("view", "main", [START_MS + 1_000_000, START_MS + 1_400_000]))
    (data,) = wire.take()
    assert (data["chart"], data["source"], data["mode"]) == ("main", "curve0", "set")
    inside = data["ts"][(data["ts"] >= START_MS + 1_000_000) & (data["ts"] <= START_MS + 1_400_000)]
    assert len(inside) == 401
    assert (data["ts"][0], data["ts"][-1]) == (START_MS, START_MS + 299_999_000)


@pytest.mark.parametrize("runs", [1, 6])
def test_view_stays_under_300_kb_however_many_runs(runs: int) -> None:
    noise = np.random.default_rng(1).normal(size=200_000).cumsum()
    frame = _frame(200_000).assign(equity=1e6 + noise)
    chart = EquityCurveChart({f"run {k}": frame for k in range(runs)}, "USD", benchmark=frame)
    wire = Wire(chart)
    chart.act(Action("view", chart.name, [START_MS, START_MS + 150_000_000]))
    sent = wire.take()
    assert len(sent) == runs + 1
    assert sum(data["bytes"] for data in sent) < 300_000


def test_page_that_is_new_gets_all_only_where_its_html_is_old() -> None:
    chart = EquityCurveChart(_frame(10), "USD")
    wire = Wire(chart)
    chart.act(Action("shown", chart.name))
    assert wire.take() == []
    chart.append((START_S + 10) * 10**9, 7.0)
    wire.take()
    chart.act(Action("shown", chart.name))
    (data,) = wire.take()
    assert (len(data["ts"]), data["equity"][-1]) == (11, 7.0)


def test_append_sends_what_a_screen_shows_of_a_batch() -> None:
    chart = EquityCurveChart(_frame(100_000), "USD")
    wire = Wire(chart)
    values = np.zeros(1_000)
    values[500] = 5.0
    ts = [(START_S + 100_000) * 10**9 + k * 1_000_000 for k in range(1_000)]
    chart.append(ts, values)
    (data,) = wire.take()
    assert data["mode"] == "append"
    assert len(data["ts"]) < 20
    assert {0.0, 5.0} <= set(data["equity"])
    assert data["ts"][-1] == ts[-1] / 1e6


def test_append_for_long_replaces_the_page_s_rows_so_that_they_stay_few() -> None:
    chart = EquityCurveChart(_frame(2), "USD")
    wire = Wire(chart)
    rows = 0
    most = 0
    for k in range(2, 30_000, 10):
        chart.append([(START_S + n) * 10**9 for n in range(k, k + 10)], np.arange(10.0))
        for data in wire.take():
            rows = len(data["ts"]) + (rows if data["mode"] == "append" else 0)
        most = max(most, rows)
    assert most < 17_000
    assert chart._samples["curve0"].total > 29_000


def test_first_sample_of_a_chart_or_a_curve_makes_the_page_anew() -> None:
    chart = EquityCurveChart(None, "USD")
    wire = Wire(chart)
    assert "No equity samples yet" in wire.widget.html
    chart.append(START_S * 10**9, 1.0)
    assert 'class="wb-chart"' in wire.widget.html
    before = wire.widget.html
    chart.append(START_S * 10**9, 1.0, label="other")
    assert wire.widget.html != before
    assert [content for content, _ in wire.sent] == []


@pytest.mark.parametrize("value", [None, 3.0, [1.0], [2.0, 1.0], ["a", "b"], [float("nan"), 1.0]])
def test_view_that_makes_no_sense_shows_all(value: Any) -> None:
    chart = EquityCurveChart(_frame(100), "USD")
    wire = Wire(chart)
    chart.act(Action("view", chart.name, value))
    assert all(len(data["ts"]) == 100 for data in wire.take())


def test_pick_is_handed_on() -> None:
    picked: list[float] = []
    chart = EquityCurveChart(_frame(5), "USD", on_pick=picked.append)
    chart.act(Action("pick", chart.name, START_MS))
    assert picked == [START_MS]
