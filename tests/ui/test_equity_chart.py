from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from workbench.errors import InputError
from workbench.ui.equity_chart import EquityCurveChart

type ReadColumn = Callable[[str, str, str], list[float | None]]


def test_equity_chart_drawdown_is_measured_from_the_highest_so_far(
    equity: pd.DataFrame, read_column: ReadColumn
) -> None:
    html = EquityCurveChart(equity, "USD").build_html()
    assert read_column(html, "curve0", "equity") == [1000, 1010, 990, 1100, 1045, 1080]
    assert read_column(html, "curve0", "drawdown") == [0, 0, -1.98, 0, -5, -1.818]


def test_equity_chart_missing_equity_stays_a_gap(equity: pd.DataFrame, read_column: ReadColumn) -> None:
    equity.loc[2, "equity"] = None
    html = EquityCurveChart(equity, "USD").build_html()
    assert read_column(html, "curve0", "equity")[2] is None
    assert read_column(html, "curve0", "drawdown")[2] is None


def test_equity_chart_long_run_keeps_extremes_says_so_and_is_small(
    run: object, read_column: ReadColumn
) -> None:
    frame = run.equity  # type: ignore[attr-defined]
    html = EquityCurveChart(frame, "USD").build_html()
    values = [v for v in read_column(html, "curve0", "equity") if v is not None]
    assert max(values) == pytest.approx(float(max(frame["equity"])), abs=0.005)
    assert min(values) == pytest.approx(float(min(frame["equity"])), abs=0.005)
    assert values[-1] == pytest.approx(float(frame["equity"].iloc[-1]), abs=0.005)
    assert f"of {len(frame):,} samples drawn" in html
    assert len(html) < 60_000


def test_equity_chart_small_run_draws_all_and_claims_nothing(equity: pd.DataFrame) -> None:
    assert "samples drawn" not in EquityCurveChart(equity, "USD").build_html()


@pytest.mark.parametrize("values", [[], [None, None]])
def test_equity_chart_nothing_known_shows_the_empty_state(values: list[object]) -> None:
    ts = pd.date_range("2012-02-01", periods=len(values), freq="D", tz="UTC")
    frame = pd.DataFrame({"ts": ts, "equity": pd.Series(values, dtype=object)})
    html = EquityCurveChart(frame, "USD").build_html()
    assert "No equity samples" in html
    assert "<script" not in html


def test_equity_chart_one_sample_is_drawn(equity: pd.DataFrame, read_column: ReadColumn) -> None:
    assert read_column(EquityCurveChart(equity.iloc[:1], "USD").build_html(), "curve0", "equity") == [1000]


def test_equity_chart_several_runs_have_labels_and_no_unescaped_text(
    equity: pd.DataFrame, read_payload: Callable[[str], dict[str, Any]]
) -> None:
    chart = EquityCurveChart(
        {"<b>": equity, "other": equity}, "USD", benchmark=equity, benchmark_label="hold"
    )
    html = chart.build_html()
    payload = read_payload(html)
    assert [f["label"] for f in payload["read"]["fields"]] == ["<b>", "other", "hold"]
    assert "<b>" not in html


def test_equity_chart_small_amounts_keep_their_decimals(
    equity: pd.DataFrame, read_column: ReadColumn
) -> None:
    frame = equity.assign(equity=[value / Decimal(100_000) for value in equity["equity"]])
    assert read_column(EquityCurveChart(frame, "BTC").build_html(), "curve0", "equity")[1] == pytest.approx(
        0.0101
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="equity"), "no column equity"),
        (lambda f: f.iloc[::-1], "back in time"),
        (lambda f: f.assign(ts=f["ts"].dt.tz_localize(None)), "time zone"),
    ],
)
def test_equity_chart_bad_frame_raises(equity: pd.DataFrame, change: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        EquityCurveChart(change(equity), "USD")  # type: ignore[operator]


def test_equity_chart_too_many_runs_raises(equity: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="at most 6"):
        EquityCurveChart({str(n): equity for n in range(7)}, "USD")


def test_equity_chart_appended_samples_continue_the_drawdown(
    equity: pd.DataFrame, read_column: ReadColumn
) -> None:
    chart = EquityCurveChart(equity, "USD")
    chart.append(pd.DatetimeIndex(["2012-02-02 12:00Z", "2012-02-03 00:00Z"]), [1045.0, 1210.0])
    chart.append(pd.Timestamp("2012-02-04", tz="UTC"), 1089.0)
    html = chart.build_html()
    assert read_column(html, "curve0", "equity")[-3:] == [1045, 1210, 1089]
    assert read_column(html, "curve0", "drawdown")[-3:] == [-5, 0, -10]


@pytest.mark.parametrize(
    ("ts", "values", "words"),
    [
        (pd.Timestamp("2012-01-01", tz="UTC"), 1.0, "back in time"),
        (pd.Timestamp("2013-01-01"), 1.0, "time zone"),
        ([2 * 10**18, 10**18], [1.0, 2.0], "back in time"),
        ([2 * 10**18], [1.0, 2.0], "1 times and 2 values"),
    ],
)
def test_equity_chart_bad_sample_raises(equity: pd.DataFrame, ts: Any, values: Any, words: str) -> None:
    chart = EquityCurveChart(equity, "USD")
    with pytest.raises(InputError, match=words):
        chart.append(ts, values)


def test_equity_chart_static_form_has_no_name_and_asks_nothing(
    equity: pd.DataFrame, read_payload: Callable[[str], dict[str, Any]]
) -> None:
    html = EquityCurveChart(equity, "USD", name="main").build_html()
    assert "data-name" not in html
    assert read_payload(html)["live"] is False
