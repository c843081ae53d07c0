"""The card in every state, with rows and without."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.walking import Page, build_job
from workbench.errors import AuthenticationError, ServerError
from workbench.records import Progress
from workbench.states import JobState
from workbench.ui.feed import FeedState, FeedStatus
from workbench.ui.job_list import JobWish
from workbench.ui.job_rows import COLUMNS, JobRow
from workbench.ui.job_table import JobTable, Load, build_table

NOW = 1_795_358_000.0  # 2026-11-22 14:33:20 UTC
LIVE = FeedStatus(FeedState.LIVE, NOW)


def build(**facts: Any) -> Page:
    values = {
        "wish": JobWish(), "resources": {"slots": 2, "memory_bytes": 20_000_000_000}, "status": LIVE, "now": NOW,
        "is_loaded": True, "can_steer": True,
    }  # fmt: skip
    return Page(build_table(JobTable(**{**values, **facts})))


def row(number: int, state: JobState = JobState.RUNNING, **facts: Any) -> JobRow:
    return JobRow(build_job(number, state=state), **{"can_steer": True, "can_requeue": True, **facts})


def read_head(page: Page) -> str:
    return page.has_class("r")[0].text


def test_head_says_what_all_jobs_take() -> None:
    load = Load(running=2, events_per_sec=41_203.0, cpu_percent=178.4, rss_bytes=3_100_000_000)

    assert read_head(build(load=load)) == "2 of 2 slots, 41 k events/s, CPU 178 %, 3.1 of 20 GB"
    one = {"slots": 1, "memory_bytes": 8_400_000_000}
    assert read_head(build(resources=one)) == "0 of 1 slot, 0.0 of 8.4 GB"


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999"), (1_234, "1.2 k"), (41_203, "41 k"), (1_260_000, "1.3 M")]
)
def test_counts_are_short(count: float, words: str) -> None:
    assert f" {words} events/s" in read_head(build(load=Load(running=1, events_per_sec=count)))


def test_load_is_of_what_works_and_memory_of_what_is_held() -> None:
    report = Progress(events_per_sec=100.0, cpu_percent=50.0, rss_bytes=10)
    records = [
        build_job(1, state=JobState.RUNNING, progress=report),
        build_job(2, state=JobState.PAUSED, progress=report),
        build_job(3, state=JobState.RUNNING),
        build_job(4, state=JobState.COMPLETED, progress=report),
        build_job(5, state=JobState.RUNNING, kind="sweep", progress=report),
        build_job(6),
    ]

    assert Load.of(records) == Load(running=2, events_per_sec=100.0, cpu_percent=50.0, rss_bytes=20)


def test_first_moment_says_that_it_loads() -> None:
    page = build(is_loaded=False, status=FeedStatus(FeedState.CONNECTING), resources=None)

    assert page.has_class("wb-empty")[0].text == "Loading the runs…"
    assert page.find("button") == []


def test_no_runs_says_what_to_do() -> None:
    assert build().has_class("wb-empty")[0].text == "No runs yet: choose a strategy and press Run."


def test_nothing_found_offers_all() -> None:
    page = build(wish=JobWish(group="failed", text="<ema>"))

    assert page.has_class("wb-empty")[0].text == "Nothing failed with “<ema>”. show all"
    assert page.find("button", data_action="all")


def test_lost_server_mutes_the_rows_and_says_their_age() -> None:
    page = build(rows=[row(1)], status=FeedStatus(FeedState.LOST, NOW - 42, ServerError("gone")))

    (notice,) = page.has_class("wb-lost")
    assert "lost for 42 s: this is as of 2026-11-22 14:32:38 UTC" in notice.text
    assert page.has_class("is-stale")
    assert page.find("button", data_action="retry")
    assert page.jobs == ["job-001"]


def test_server_that_never_was_there_has_no_age() -> None:
    page = build(is_loaded=False, status=FeedStatus(FeedState.LOST))

    assert page.has_class("wb-lost")[0].text.startswith("The server is lost. ")


def test_refused_reader_is_told_what_to_do() -> None:
    error = AuthenticationError("the token is not known", advice="ask for a new one")
    page = build(is_loaded=False, problem=error, status=FeedStatus(FeedState.REFUSED, error=error))

    text = page.has_class("wb-lost")[0].text
    assert "does not let you in" in text
    assert "ask for a new one" in text
    assert page.find("button", data_action="retry")
    assert page.has_class("wb-empty") == []


def test_list_that_could_not_be_read_says_why() -> None:
    page = build(rows=[row(1)], problem=ServerError("too busy", advice="try again"))

    assert "could not be read. too busy. try again" in page.has_class("wb-lost")[0].text
    assert page.jobs == ["job-001"]


def test_closed_component_says_that_it_is_not_followed() -> None:
    page = build(rows=[row(1)], status=FeedStatus(FeedState.CLOSED, NOW - 5))

    assert "Not followed any more for 5 s" in page.has_class("wb-lost")[0].text


def test_live_card_has_no_notice() -> None:
    page = build(rows=[row(1)])

    assert page.has_class("wb-lost") == page.has_class("is-stale") == []


def test_controls_show_what_is_wished() -> None:
    page = build(wish=JobWish(group="done", text="a'b", sort="-sharpe", has_trials=True))

    pressed = {e.attributes["data-key"]: e.attributes["aria-pressed"] for e in page.find(data_action="group")}
    assert pressed == {
        "all": "false",
        "running": "false",
        "waiting": "false",
        "done": "true",
        "failed": "false",
    }
    assert page.find("input", data_action="text")[0].attributes["value"] == "a'b"
    assert [e.attributes["value"] for e in page.find("option") if "selected" in e.attributes] == ["-sharpe"]
    assert "checked" in page.find("input", data_action="trials")[0].attributes


def test_chosen_rows_offer_what_some_of_them_can() -> None:
    rows = [
        row(1, is_chosen=True),
        row(2, JobState.PAUSED, is_chosen=True),
        row(3, JobState.FAILED, is_chosen=True),
        row(4, JobState.RUNNING, is_chosen=True, can_steer=False),
        row(5),
    ]
    page = build(rows=rows)

    offered = {e.attributes["data-action"]: e.text for e in page.find("button", data_key="*")}
    assert offered == {"pause": "pause 1", "resume": "resume 1", "cancel": "cancel 2", "requeue": "requeue 1"}
    assert page.find(data_action="cancel", data_key="*")[0].attributes["data-confirm"] == "cancel 2: sure?"
    assert page.has_class("wb-bulk")[0].text.startswith("4 chosen")
    assert "checked" not in page.find(data_action="choose-all")[0].attributes
    assert build(rows=rows[4:]).has_class("wb-bulk")[0].text == ""


def test_pages_say_where_one_is() -> None:
    rows = [row(n) for n in range(3)]

    first = build(rows=rows, total=10, wish=JobWish(limit=3))
    assert first.has_class("wb-pages")[0].text == "1 to 3 of 10more"
    last = build(rows=rows[:1], total=10, wish=JobWish(limit=3, offset=9))
    assert last.has_class("wb-pages")[0].text == "10 to 10 of 10back"
    assert build(rows=rows, total=3).has_class("wb-pages") == []


def test_static_card_says_as_of_when_and_has_nothing_to_press() -> None:
    page = build(rows=[row(1)], total=10, is_live=False, status=FeedStatus(FeedState.CONNECTING))

    assert read_head(page).endswith("as of 2026-11-22 14:33:20 UTC")
    assert page.find("button") == page.find("input") == []
    assert len(page.find("th")) == len(page.find("col")) == len(COLUMNS) - 2
    assert page.has_class("wb-pages")[0].text == "1 to 1 of 10"
