"""A row in every state: its words, its numbers, and what can be done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.walking import Page, build_job
from workbench.errors import ConflictError
from workbench.records import EquityTrace, Failure, Inspection, JobRecord, Progress
from workbench.states import JobState
from workbench.ui.job_rows import COLUMNS, VERBS, JobRow, build_error_html, build_row, find_verbs
from workbench.ui.sparkline import Curve

SIMULATED = 1_329_660_000_000_000_000  # 2012-02-19 14:00 UTC
MAY: dict[str, Any] = {"can_steer": True, "can_requeue": True, "can_open": True}

# Of both: the row's is the one that is shown.
_FIELDS = set(JobRecord.__struct_fields__) - {"owner"}


def build(state: JobState, *, is_live: bool = True, progress: Progress | None = None, **facts: Any) -> Page:
    """Build a row; names of fields of a record go there, others to the row."""
    record = {k: facts.pop(k) for k in list(facts) if k in _FIELDS}
    job = build_job(
        1, **{"kind": "backtest", "name": "EMACross", "state": state, "progress": progress, **record}
    )
    return Page(build_row(JobRow(job, **{**MAY, **facts}), is_live=is_live))


def read(page: Page, name: str) -> str:
    (cell,) = [e for e in page.has_class(name) if e.tag == "td"]
    return cell.text


def at_work(**facts: Any) -> Progress:
    values = {
        "stage": "run", "fraction": 0.64, "simulated_ts_ns": SIMULATED, "events_per_sec": 21_203.4, "eta_secs": 1.04,
        "equity": "1004210.1", "currency": "USD", "open_positions": 1, "rss_bytes": 402_000_000, "cpu_percent": 97.6,
    }  # fmt: skip
    return Progress(**{**values, **facts})


def curve() -> Curve:
    return Curve.of(EquityTrace(points=[(0, "1000000"), (1, "1004210.1")], currency="USD"))


def test_run_at_work_shows_time_pace_equity_and_cost() -> None:
    page = build(JobState.RUNNING, progress=at_work(), curve=curve())

    (bar,) = page.find(role="progressbar")
    assert bar.attributes["aria-valuenow"] == "64"
    assert read(page, "part") == "64 %"
    assert read(page, "now") == "2012-02-19 14:001.0 s left, 21,203 events/s"
    assert read(page, "worth") == "1,004,210.10 USD1 position"
    assert read(page, "cost") == "402 MB98 %"
    assert len(page.find("svg")) == 1
    assert page.actions("job-001") == ["pause", "cancel"]


@pytest.mark.parametrize(("stage", "words"), [("load", "loading data"), ("save", "saving results")])
def test_stage_is_said_in_words(stage: str, words: str) -> None:
    page = build(JobState.RUNNING, progress=at_work(stage=stage, eta_secs=None, events_per_sec=0.0))

    assert read(page, "now") == words


def test_run_that_has_not_reported_is_starting() -> None:
    page = build(JobState.RUNNING)

    assert read(page, "now") == "starting"
    assert read(page, "part") == "—"


def test_share_never_says_all_before_the_end() -> None:
    assert read(build(JobState.RUNNING, progress=at_work(fraction=0.999)), "part") == "99 %"
    assert read(build(JobState.COMPLETED), "part") == "100 %"


def test_silent_run_says_for_how_long() -> None:
    assert "no news" not in build(JobState.RUNNING, progress=at_work(), silent_secs=4.9).elements[0].text
    page = build(JobState.RUNNING, progress=at_work(), silent_secs=12.3)

    assert read(page, "now") == "2012-02-19 14:00no news for 12 s"
    assert [e.text for e in page.has_class("warn")] == ["no news for 12 s"]


def test_paused_run_says_when_and_can_be_looked_into() -> None:
    page = build(JobState.PAUSED, progress=at_work(), reason="waits for a slot to go on")

    assert read(page, "now") == "paused at 2012-02-19 14:00waits for a slot to go on"
    assert read(page, "cost") == "402 MB"  # It holds memory, and works no more
    assert page.actions("job-001") == ["inspect", "resume", "cancel"]
    assert page.has_class("wb-bar")[0].classes == {"wb-bar", "warn"}


def test_held_positions_are_under_the_row() -> None:
    held = Inspection(simulated_ts_ns=SIMULATED, positions=[{"quantity": "5"}], orders=[], accounts=[])
    page = build(JobState.PAUSED, held=held)

    (more,) = page.find("tr", id="wb-more-job-001")
    assert "Open positions 1" in more.text
    assert page.find("td", colspan=str(len(COLUMNS)))
    assert page.find(data_action="inspect")[0].text == "close"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"reason": "waits for memory: <much>"}, "queued: waits for memory: <much>"),
        ({}, "queued: next when a slot is free"),
        ({"before": 1_200}, "queued: 1,200 before it"),
    ],
)
def test_waiting_job_says_why(facts: dict[str, Any], words: str) -> None:
    page = build(JobState.PENDING, **facts)

    assert read(page, "why") == words
    assert page.actions("job-001") == ["cancel"]


def test_completed_run_shows_what_came_of_it() -> None:
    page = build(
        JobState.COMPLETED,
        elapsed_secs=2.31,
        finished_at="2026-11-22T14:31:00.000Z",
        peak_rss_bytes=428_000_000,
        headline={"sharpe": 1.913, "total_return": -0.0413},
        curve=curve(),
    )

    assert read(page, "now") == "done in 2.3 sSharpe 1.91"
    assert read(page, "worth") == "1,004,210.10 USD−4.13 %"
    assert [e.text for e in page.has_class("down")] == ["−4.13 %"]
    assert read(page, "cost") == "428 MB"
    assert page.find(title="ended 2026-11-22 14:31:00 UTC")
    assert page.actions("job-001") == ["open", "requeue"]


def test_failed_run_shows_the_first_line_in_red_and_the_rest_on_demand() -> None:
    failure = Failure(
        kind="exception",
        message="ValueError: <fast>\nis not below slow",
        traceback="Traceback\n  File x",
        detail={"advice": "choose a smaller one"},
    )
    page = build(JobState.FAILED, failure=failure, elapsed_secs=1.2)

    (summary,) = page.find("summary")
    assert summary.text == "failed after 1.2 s: ValueError: <fast>"
    assert page.has_class("bad")[-1].text == summary.text
    (rest,) = page.find("pre")
    assert rest.text == "advice: choose a smaller one\nis not below slow\nTraceback\n  File x"
    assert page.find("details", id="wb-why-job-001")
    assert "requeue" in page.actions("job-001")


def test_interrupted_job_is_no_failure_of_its_own() -> None:
    page = build(JobState.INTERRUPTED, failure=Failure(kind="interrupted", message="the server was stopped"))

    assert page.has_class("bad") == []
    assert "the server was stopped" in read(page, "why")
    assert page.find("details") == []


def test_failure_without_a_reason_says_so() -> None:
    assert "no reason is known" in read(build(JobState.FAILED), "why")
    empty = Failure(kind="died", message="")
    assert "died" in read(build(JobState.FAILED, failure=empty), "why")


@pytest.mark.parametrize("state", JobState)
def test_reader_without_rights_has_no_buttons_but_copy(state: JobState) -> None:
    page = build(state, can_steer=False, can_requeue=False, can_open=False)

    left = [e.attributes["data-action"] for e in page.find("button") if "data-action" in e.attributes]
    assert left == (["inspect"] if state == JobState.PAUSED else [])
    assert page.find("button", data_copy="job-001")
    assert page.find("input") == []


@pytest.mark.parametrize("verb", ["pause", "resume", "requeue"])
def test_what_was_asked_for_is_shown_in_place_of_its_button(verb: str) -> None:
    states = {"pause": JobState.RUNNING, "resume": JobState.PAUSED, "requeue": JobState.FAILED}
    page = build(states[verb], wish=verb)

    assert page.find(role="status")[0].text == VERBS[verb]
    # One that does not come to its pause can be cancelled all the same.
    assert page.actions("job-001") == ([] if verb == "requeue" else ["cancel"])


def test_cancelled_once_is_not_cancelled_again() -> None:
    assert build(JobState.RUNNING, wish="cancel").actions("job-001") == []


def test_cancel_of_long_work_is_confirmed() -> None:
    young, old = (build(JobState.RUNNING, worked_secs=secs) for secs in (59.0, 61.0))

    assert "data-confirm" not in young.find(data_action="cancel")[0].attributes
    assert old.find(data_action="cancel")[0].attributes["data-confirm"]


def test_verbs_are_those_that_the_state_allows() -> None:
    assert {verb for state in JobState for verb in find_verbs(build_job(1, state=state))} == set(VERBS)
    for state in JobState:
        assert ("cancel" in find_verbs(build_job(1, state=state))) is not state.is_finished


def test_error_is_whole_at_its_row() -> None:
    error = ConflictError("the job is <over>", expected="a RUNNING job", advice="queue it again")
    page = build(JobState.COMPLETED, error=error)

    (alert,) = page.find(role="alert")
    assert alert.text.startswith("the job is <over>, expected a RUNNING job. queue it again")
    assert alert.parents[-2].attributes["id"] == "wb-more-job-001"
    assert page.find(data_action="forget", data_key="job-001")
    assert build_error_html(ValueError("<a>")) == "&lt;a&gt;"


def test_facts_under_the_name_are_those_that_tell_it_from_others() -> None:
    page = build(
        JobState.RUNNING,
        kind="sweep",
        trials=1,
        owner="maria",
        requeued_from="20261122-143000-abcdef",
        point={"strategies.0.config.fast": 10},
        progress=Progress(events=12, fraction=0.25),
    )

    assert read(page, "name") == "EMACrossob-001 · sweep · 1 trial · by maria · again abcdef · fast 10"
    assert read(page, "now") == "12 trials done"
    assert page.actions("job-001") == ["open", "pause", "cancel"]


def test_row_is_reached_by_keyboard_and_names_itself() -> None:
    row = build(JobState.RUNNING).row("job-001")

    assert (row.attributes["tabindex"], row.attributes["data-action"]) == ("0", "open")
    assert row.attributes["aria-label"] == "EMACross, running"
    assert build(JobState.RUNNING, can_open=False).row("job-001").attributes["data-action"] == "look"


def test_names_are_escaped_everywhere() -> None:
    page = build(JobState.RUNNING, name="<b>'\"&", owner="<i>", progress=at_work())

    assert page.find("b") == []
    assert page.row("job-001").attributes["aria-label"] == "<b>'\"&, running"


def test_static_row_has_nothing_to_press() -> None:
    page = build(JobState.RUNNING, progress=at_work(), is_live=False)

    assert page.find("button") == page.find("input") == []
    assert len(page.find("td")) == len(COLUMNS) - 2


@pytest.mark.parametrize("state", JobState)
def test_every_row_fills_all_columns(state: JobState) -> None:
    page = build(state, failure=Failure(kind="died", message="x") if state == JobState.FAILED else None)

    assert sum(int(e.attributes.get("colspan") or 1) for e in page.find("td")) == len(COLUMNS)
