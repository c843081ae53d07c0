from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.conftest import CONFIG
from workbench.analysis.definitions import Metric, build_definitions
from workbench.errors import InputError
from workbench.ui.comparison import RunComparison
from workbench.ui.comparison_tables import ConfigDiffTable, MetricComparison
from workbench.ui.live_html import Action
from workbench.ui.run_view import RunView


def _metric(value: float | str | None, unit: str = "ratio") -> Metric:
    return Metric(value=value, unit=unit, reason=None if value is not None else "unknown")


def test_metric_comparison_marks_the_best_with_a_word() -> None:
    runs = {"a": {"sharpe": _metric(1.0)}, "b": {"sharpe": _metric(2.0)}, "c": {"sharpe": _metric(None)}}
    html = MetricComparison(runs, build_definitions()).build_html()
    assert "<strong>2.00</strong><span class='wb-star' role='img' aria-label='best'>" in html
    assert html.count("aria-label='best'") == 1


def test_metric_comparison_least_volatility_is_the_best() -> None:
    runs = {name: {"annualised_volatility": _metric(value, "%")} for name, value in (("a", 0.1), ("b", 0.3))}
    assert "<strong>10.00 %</strong>" in MetricComparison(runs, {}).build_html()


@pytest.mark.parametrize(
    "runs",
    [
        {"a": {"pnl": _metric("5", "USD")}, "b": {"pnl": _metric("9", "EUR")}},
        {"a": {"trades": _metric(5, "count")}, "b": {"trades": _metric(9, "count")}},
        {"a": {"sharpe": _metric(1.0)}, "b": {"sharpe": _metric(1.0)}},
    ],
)
def test_metric_comparison_marks_nothing_where_nothing_is_better(runs: dict[str, dict[str, Metric]]) -> None:
    assert "aria-label='best'" not in MetricComparison(runs, {}).build_html()


def test_config_diff_escapes_and_says_what_is_not_there() -> None:
    html = ConfigDiffTable(
        {"a": {"x": {"config": {"fast": 1}}}, "b": {"x": {"config": {"fast": "<b>"}}, "y": 1}}
    )
    text = html.build_html()
    assert "title='x.config.fast'>fast<" in text
    assert "&lt;b&gt;" in text
    assert "not there" in text
    assert "The configurations are the same." in ConfigDiffTable({"a": CONFIG, "b": CONFIG}).build_html()


def test_comparison_of_frames_is_rebased(run: RunView) -> None:
    half = replace(run, equity=run.equity.iloc[:5_000])
    comparison = RunComparison({"whole": run, "half": half})
    html = comparison.build_html()
    assert "of 100, UTC" in html
    assert "whole" in html
    assert "data-action" not in html


def test_comparison_in_several_currencies_cannot_be_in_money(run: RunView) -> None:
    other = replace(run, manifest={**run.manifest, "currency": "EUR"})
    comparison = RunComparison({"a": run, "b": other})
    assert comparison.widget is not None
    comparison.act(Action("scale", "money"))
    assert "of 100, UTC" in comparison.build_html()


def test_comparison_equal_names_are_told_apart(run: RunView) -> None:
    comparison = RunComparison([run, replace(run, manifest={**run.manifest, "run_id": "other-b00001"})])
    comparison.build_html()
    assert comparison.runs == ["EMACross GBP/USD.SIM a91f3c", "EMACross GBP/USD.SIM b00001"]


def test_comparison_number_of_runs_is_bounded(run: RunView) -> None:
    with pytest.raises(InputError, match="1 runs"):
        RunComparison([run])
    with pytest.raises(InputError, match="7 runs"):
        RunComparison([run] * 7)
    with pytest.raises(InputError, match="named by id"):
        RunComparison(["a", "b"])
