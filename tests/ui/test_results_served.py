"""Results of real backtests of a real server: what is on the screen is what lies in the run directory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from tests.client.conftest import build_config, client, settings, stocked  # noqa: F401 - fixtures
from tests.ui.served import FAST, SLOW, build_ema_config
from tests.ui.widget_page import find_leaves
from workbench.analysis.trades import build_trades
from workbench.backtest.run import Run, load_run
from workbench.client.client import Client
from workbench.client.job import Job
from workbench.config import Settings
from workbench.states import JobState
from workbench.ui.comparison import RunComparison
from workbench.ui.formats import format_decimal
from workbench.ui.live_html import Action
from workbench.ui.results import BacktestResults
from workbench.ui.run_view import build_run_view, load_run_view
from workbench.ui.sweep_data import load_sweep
from workbench.ui.sweep_view import SweepView


@pytest.fixture(scope="module")
def shared(stocked: Settings) -> Iterator[Client]:  # noqa: F811
    from workbench.client.connection import connect

    with connect(settings=stocked) as client:  # noqa: F811
        yield client


@pytest.fixture(scope="module")
def job(shared: Client, stocked: Settings) -> Job:  # noqa: F811
    job = shared.submit_backtest(build_ema_config(stocked), name="EMA 3/8").wait(120)
    job.raise_for_failure()
    return job


@pytest.fixture(scope="module")
def stored(job: Job, stocked: Settings) -> Run:  # noqa: F811
    return load_run(stocked.runs / job.id)


def _show(component: Any) -> Callable[[], str]:
    root = component.widget
    return lambda: "".join(leaf.html for leaf in find_leaves(root))


def test_run_of_the_server_is_the_run_of_the_directory(job: Job, stored: Run) -> None:
    served, local = load_run_view(job), build_run_view(stored)
    assert served.manifest["run_id"] == local.manifest["run_id"]
    assert served.metrics == local.metrics
    for name in ("equity", "fills", "positions", "orders", "accounts"):
        pd.testing.assert_frame_equal(getattr(served, name), getattr(local, name))
    assert served.trials is not None
    assert served.trials.count >= 1


def test_numbers_on_the_screen_are_those_of_the_run_directory(shared: Client, job: Job, stored: Run) -> None:
    results = BacktestResults(shared, job.id)
    html = _show(results)
    headline = stored.metrics["headline"]
    percent = Decimal(repr(headline["total_return"]["value"])) * 100
    assert f">{format_decimal(percent, 2, is_signed=True)} %<" in html()
    assert f"<b>{headline['trades']['value']:,}</b>" in html()

    results.act(Action("tab", "trades"))
    trades = build_trades(stored.load_table("positions"), currency=stored.manifest["currency"])
    rows = re.findall(r"<tr id='wb-trade-(\d+)'.*?</tr>", html(), re.DOTALL)
    assert [int(row) for row in rows] == list(range(min(50, len(trades))))
    for index, trade in trades.head(50).iterrows():
        row = re.search(rf"<tr id='wb-trade-{index}'.*?</tr>", html(), re.DOTALL)
        assert row is not None
        assert f">{format_decimal(trade['net_pnl'], 2, is_signed=True)}<" in row[0]
    assert 'data-name="prices-0"' in html()

    results.act(Action("tab", "metrics"))
    assert "Value at risk, historical" in html()
    results.act(Action("tab", "ledgers"))
    assert f"of {len(stored.load_table('fills')):,} fills" in html()
    results.close()


def test_excursions_enclose_what_the_trade_made(shared: Client, job: Job) -> None:
    results = BacktestResults(shared, job.id)
    _show(results)
    results.act(Action("tab", "trades"))
    trades = results._sections.figures.trades  # type: ignore[union-attr]
    closed = trades[~trades["is_open"]]
    assert closed["excursion_unknown"].isna().all()
    for trade in closed.itertuples():
        gross = trade.net_pnl + trade.fees
        assert trade.mae <= min(gross, 0)
        assert trade.mfe >= max(gross, 0)
    results.close()


def test_job_that_fails_to_load_is_an_error_that_can_be_tried_again(shared: Client) -> None:
    html = _show(BacktestResults(shared, "20200101-000000-abcdef"))
    assert "The results cannot be loaded" in html()
    assert "data-action='reload'" in html()


def test_run_at_work_says_so_and_shows_everything_when_it_has_ended(
    shared: Client,
    stocked: Settings,  # noqa: F811
) -> None:
    job = shared.submit_backtest(build_config(stocked, pause_secs=0.02), name="slow")
    results = BacktestResults(shared, job.id)
    html = _show(results)
    results.act(Action("tab", "trades"))
    assert "This follows when the run has ended." in html()
    assert any(state in html() for state in ("PENDING", "RUNNING"))
    results.act(Action("tab", "overview"))
    job.wait(120)
    _wait(lambda: "Max drawdown" in html())
    assert "wb-badge" not in html()
    results.close()


def test_comparison_of_jobs_marks_the_best_and_lets_one_go(
    shared: Client,
    job: Job,
    stocked: Settings,  # noqa: F811
) -> None:
    other = shared.submit_backtest(build_ema_config(stocked, 5, 20), name="EMA 5/20").wait(120)
    third = shared.submit_backtest(build_ema_config(stocked, 4, 12), name="EMA 4/12").wait(120)
    comparison = RunComparison([job, other.id, third], client=shared)
    html = _show(comparison)
    assert comparison.runs == ["EMA 3/8", "EMA 5/20", "EMA 4/12"]
    assert "Comparison of 3 runs" in html()
    assert "slow_ema_period" in html()
    assert "aria-label='best'" in html()
    comparison.act(Action("remove", "EMA 4/12"))
    assert comparison.runs == ["EMA 3/8", "EMA 5/20"]
    comparison.act(Action("remove", "EMA 5/20"))  # two are the least
    assert len(comparison.runs) == 2
    comparison.act(Action("scale", "money"))
    assert "USD, UTC" in html()
    assert "Comparison" not in comparison.build_html()
    assert "EMA 3/8" in comparison.build_html()


@pytest.fixture(scope="module")
def sweep(shared: Client, stocked: Settings) -> Job:  # noqa: F811
    search = {"space": {"kind": "grid", "grid": {FAST: [2, 3], SLOW: [8, 12]}}, "objective": "total_return"}
    return shared.submit_sweep(build_ema_config(stocked), search, name="grid").wait(200)


def test_sweep_data_hold_every_trial_with_its_point(shared: Client, sweep: Job) -> None:
    data = load_sweep(shared, sweep.id)
    assert data.expected == 4
    assert sorted(zip(data.trials["fast_ema_period"], data.trials["slow_ema_period"], strict=True)) == [
        (2, 8), (2, 12), (3, 8), (3, 12)
    ]  # fmt: skip
    for row in data.trials.itertuples():
        record = shared.job(row.job_id).record
        assert row.objective == record.headline["total_return"]
        assert row.state == JobState.COMPLETED
    assert data.lineage_trials >= 4
    assert data.best["job_id"] in set(data.trials["job_id"])


def test_sweep_view_shows_trials_sorted_and_opens_one(shared: Client, sweep: Job) -> None:
    view = SweepView(shared, sweep)
    html = _show(view)
    assert "4 of 4 trials" in html()
    assert "of this strategy on these data" in html()
    assert "Deflated Sharpe, a probability" in html()
    assert "PBO, a probability" in html()
    data = load_sweep(shared, sweep.id)
    best = data.trials.sort_values("objective", ascending=False, kind="stable")["job_id"].tolist()
    assert re.findall(r"<tr [^>]*data-action='open' data-key='([^']+)'", html()) == best
    view.act(Action("sort", "trials:objective"))
    view.act(Action("sort", "trials:trades"))
    assert "aria-sort='ascending'" in html()
    view.act(Action("open", best[0]))
    assert f"data-copy='{best[0]}'" in html()
    view.act(Action("open", "not-a-trial"))
    view.close()


def test_sweep_view_hands_a_click_to_whoever_asked(shared: Client, sweep: Job) -> None:
    opened: list[str] = []
    view = SweepView(shared, sweep.id, on_open=opened.append)
    _show(view)
    job_id = load_sweep(shared, sweep.id).trials["job_id"].iloc[1]
    view.act(Action("open", job_id))
    assert opened == [job_id]
    view.close()


def test_sweep_static_form_has_every_part(shared: Client, sweep: Job) -> None:
    html = SweepView(shared, sweep).build_html()
    for words in ("grid", "Total return, % by fast_ema_period", "Parameters and total return", "Trials"):
        assert words in html
    assert "data-action" not in html


def test_sweep_walk_forward_shows_its_folds(shared: Client, stocked: Settings) -> None:  # noqa: F811
    search = {
        "space": {"kind": "grid", "grid": {FAST: [2, 3]}},
        "objective": "total_return",
        "walk_forward": {"folds": 2},
    }
    walk = shared.submit_sweep(build_ema_config(stocked), search, name="walk").wait(200)
    html = SweepView(shared, walk).build_html()
    assert "Walk-forward" in html
    assert "2 tests" in html
    assert html.count("fast_ema_period 2") + html.count("fast_ema_period 3") == 2


def test_sweep_that_is_cancelled_says_so(shared: Client, stocked: Settings) -> None:  # noqa: F811
    search = {"space": {"kind": "grid", "grid": {"engine.strategies.0.config.pause_secs": [0.05, 0.06]}}}
    job = shared.submit_sweep(build_config(stocked, pause_secs=0.05), search, name="slow sweep")
    view = SweepView(shared, job)
    html = _show(view)
    assert "measured when the sweep has ended" in html()
    view.act(Action("cancel", job.id))
    job.wait(120)
    _wait(lambda: "data-action='cancel'" not in html())
    view.close()


def test_sweep_that_is_not_there_is_an_error_that_can_be_tried_again(shared: Client) -> None:
    view = SweepView(shared, "20200101-000000-abcdef")
    html = _show(view)
    assert "The sweep cannot be loaded" in html()
    view.close()
    assert "The sweep cannot be shown" in view.build_html()


def _wait(is_so: Callable[[], bool], secs: float = 60) -> None:
    deadline = time.monotonic() + secs
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
