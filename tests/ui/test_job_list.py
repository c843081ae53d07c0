"""What is listed: what the server is asked, and what is made of what it says later."""

from __future__ import annotations

import pytest

from tests.ui.walking import build_job
from workbench.states import JobState
from workbench.store.query import SORTS, JobQuery
from workbench.ui.job_list import GROUPS, ORDERS, JobList, JobWish


def test_query_is_one_that_the_server_knows() -> None:
    query = JobWish(kind="backtest", owner="me", group="done", text="ema", limit=20, offset=40).build_query()

    states = query.pop("state")
    assert JobQuery(states=states, **query).is_top_level
    assert not JobWish(has_trials=True).build_query()["is_top_level"]
    assert {order.removeprefix("-") for order in ORDERS} <= set(SORTS)


def test_groups_hold_every_state_once() -> None:
    assert sorted(s for states in GROUPS.values() for s in states) == sorted(JobState)


@pytest.mark.parametrize(
    ("wish", "is_met"),
    [
        (JobWish(), True),
        (JobWish(kind="walk", owner="maria", group="running", text="ALPHA"), True),
        (JobWish(text="job-001"), True),
        (JobWish(text="alpha job"), False),
        (JobWish(kind="backtest"), False),
        (JobWish(owner="me"), False),
        (JobWish(group="waiting"), False),
    ],
)
def test_wish_is_met_as_the_server_understands_it(wish: JobWish, is_met: bool) -> None:
    record = build_job(1, name="the Alpha", owner="maria", state=JobState.RUNNING)

    assert wish.is_met(record) is is_met


def test_trials_are_folded_unless_they_are_wanted() -> None:
    trial = build_job(1, parent_id="sweep")

    assert not JobWish().is_met(trial)
    assert JobWish(has_trials=True).is_met(trial)


def test_new_jobs_come_on_the_first_page_alone() -> None:
    known = {r.id: r for r in [build_job(1, seq=1), build_job(9, seq=9)]}
    first = JobList(JobWish(limit=2), [build_job(3, seq=3), build_job(2, seq=2)], total=3)
    second = JobList(JobWish(limit=2, offset=2), [build_job(1, seq=1)], total=3)

    assert [r.id for r in first.build(known)] == ["job-009", "job-003"]
    assert [r.id for r in second.build(known)] == ["job-001"]


def test_what_was_heard_before_the_list_does_not_count() -> None:
    page = [build_job(1, seq=5, state=JobState.COMPLETED)]
    known = {"job-001": build_job(1, seq=4, state=JobState.RUNNING)}

    assert JobList(JobWish(), page, 1).build(known)[0].state == JobState.COMPLETED


def test_best_sharpe_comes_first_and_none_last() -> None:
    records = [build_job(1), build_job(2, headline={"sharpe": -1.0}), build_job(3, headline={"sharpe": 2.0})]
    shown = JobList(JobWish(sort="-sharpe"), records, 3).build({})

    assert [r.id for r in shown] == ["job-003", "job-002", "job-001"]
