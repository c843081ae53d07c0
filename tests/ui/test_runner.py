"""The queue against a real server that runs real jobs: what is shown, and what the buttons do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.jobs.walks import wait_until
from tests.ui.walking import Page, Walks, build_job
from workbench.client.client import Client
from workbench.client.job import Job
from workbench.client.transport import Endpoint, Transport
from workbench.states import JobState
from workbench.ui.feed import FeedState
from workbench.ui.job_feed import JobFeed
from workbench.ui.live_html import Action
from workbench.ui.runner import BacktestRunner

SLOW: dict[str, Any] = {"steps": 100_000, "step_secs": 0.01}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("runner"))
    yield walks
    walks.stop()


@pytest.fixture
def walks(shared: Walks) -> Iterator[Walks]:
    """Return the server; it is left idle and without records."""
    yield shared
    shared.rest()
    for path in shared.serving.settings.runs.glob("2*"):
        path.rename(shared.serving.settings.workspace / f"old-{path.name}")
    shared.serving.service.reindex(rebuild=True)


@pytest.fixture
def client(walks: Walks) -> Iterator[Client]:
    with walks.connect() as client:
        yield client


@pytest.fixture
def runner(client: Client) -> Iterator[BacktestRunner]:
    with BacktestRunner(client) as runner:
        yield runner


def show(runner: BacktestRunner) -> Page:
    return Page(runner.widget.html)  # type: ignore[attr-defined]


def act(runner: BacktestRunner, name: str, key: str = "", value: Any = None) -> None:
    runner._on_action(Action(name, key, value))


def wait_for_text(runner: BacktestRunner, job_id: str, text: str) -> None:
    wait_until(lambda: job_id in show(runner).jobs and text in show(runner).row(job_id).text)


def test_empty_server_says_what_to_do(runner: BacktestRunner) -> None:
    assert "press Run" in show(runner).has_class("wb-empty")[0].text


def test_opened_again_it_shows_what_runs(walks: Walks, client: Client) -> None:
    job_id = walks.submit(name="a long walk", **SLOW)
    walks.wait_for(job_id, JobState.RUNNING)
    for _ in range(2):
        with BacktestRunner(client) as runner:
            page = show(runner)
            assert page.jobs == [job_id]
            assert "a long walk" in page.row(job_id).text
            assert "1 of 2 slots" in page.has_class("r")[0].text or "0 of 2" in page.has_class("r")[0].text
            wait_until(lambda r=runner: "1 of 2 slots" in show(r).has_class("r")[0].text)  # type: ignore[misc]


def test_new_job_appears_and_ends_by_itself(walks: Walks, runner: BacktestRunner) -> None:
    assert show(runner).jobs == []
    job_id = walks.submit(name="short", steps=20)

    wait_for_text(runner, job_id, "done in")
    assert show(runner).find(role="progressbar")[0].attributes["aria-valuenow"] == "100"


def test_run_is_paused_looked_into_resumed_and_cancelled(walks: Walks, runner: BacktestRunner) -> None:
    job_id = walks.submit(name="steered", **SLOW)
    wait_until(lambda: "pause" in show(runner).actions(job_id) if job_id in show(runner).jobs else False)
    act(runner, "pause", job_id)
    assert "pausing…" in show(runner).row(job_id).text or "paused" in show(runner).row(job_id).text
    wait_for_text(runner, job_id, "paused")
    assert walks.get(job_id).state == JobState.PAUSED
    assert show(runner).actions(job_id) == ["inspect", "resume", "cancel"]

    act(runner, "inspect", job_id)
    (held,) = show(runner).has_class("wb-held")
    assert "quantity" in held.text
    act(runner, "inspect", job_id)
    assert show(runner).has_class("wb-held") == []
    act(runner, "look", job_id)  # Enter on the row
    assert show(runner).has_class("wb-held")

    act(runner, "resume", job_id)
    wait_until(lambda: "pause" in show(runner).actions(job_id))
    assert show(runner).has_class("wb-held") == []  # What it held then is not what it holds now

    act(runner, "cancel", job_id)
    wait_for_text(runner, job_id, "cancelled after")
    assert show(runner).actions(job_id) == ["requeue"]


def test_job_is_queued_again(walks: Walks, runner: BacktestRunner) -> None:
    first = walks.submit(name="again", steps=2)
    wait_for_text(runner, first, "done in")
    act(runner, "requeue", first)

    wait_until(lambda: len(show(runner).jobs) == 2)
    (second,) = [j for j in show(runner).jobs if j != first]
    wait_for_text(runner, second, "done in")
    assert walks.get(second).requeued_from == first
    assert "queueing" not in show(runner).elements[0].text


def test_several_are_steered_at_once(walks: Walks, runner: BacktestRunner) -> None:
    jobs = [walks.submit(name=f"walk {n}", **SLOW) for n in range(3)]
    wait_until(lambda: set(jobs) == set(show(runner).jobs))
    for job_id in jobs[:2]:
        act(runner, "choose", job_id, value=True)
    assert "2 chosen" in show(runner).has_class("wb-bulk")[0].text
    act(runner, "cancel", "*")
    for job_id in jobs[:2]:
        wait_for_text(runner, job_id, "cancelled after")
    assert walks.get(jobs[2]).state in {JobState.PENDING, JobState.RUNNING}

    act(runner, "choose-all", value=True)
    assert "3 chosen" in show(runner).has_class("wb-bulk")[0].text
    act(runner, "choose", jobs[0], value=False)
    assert "2 chosen" in show(runner).has_class("wb-bulk")[0].text
    act(runner, "choose-none")
    assert show(runner).has_class("wb-bulk")[0].text == ""


def test_what_the_server_refuses_is_said_at_the_row(walks: Walks) -> None:
    job_id = walks.submit(name="of admin", **SLOW)
    with walks.connect("researcher") as client, BacktestRunner(client) as runner:
        wait_until(lambda: job_id in show(runner).jobs)
        assert "by admin" in show(runner).row(job_id).text
        assert show(runner).actions(job_id) == []

        act(runner, "cancel", job_id)
        (alert,) = show(runner).find(role="alert")
        assert "belongs to 'admin'" in alert.text
        assert "ask them or an admin" in alert.text
        assert "cancelling" not in show(runner).row(job_id).text
        act(runner, "forget", job_id)
        assert show(runner).find(role="alert") == []
        assert not walks.get(job_id).state.is_finished


def test_viewer_has_nothing_to_press_but_what_changes_the_view(walks: Walks) -> None:
    job_id = walks.submit(**SLOW)
    with walks.connect("viewer") as client, BacktestRunner(client) as runner:
        page = show(runner)
        assert page.jobs == [job_id]
        assert page.actions(job_id) == []
        assert page.find("input", data_action="choose") == page.find("input", data_action="choose-all") == []


def test_list_is_narrowed_by_state_text_and_kind(
    walks: Walks, client: Client, runner: BacktestRunner
) -> None:
    good, bad = walks.submit(name="Good one", steps=2), walks.submit(name="bad one", must_fail=True)
    for job_id in (good, bad):
        walks.wait_for(job_id, JobState.COMPLETED, JobState.FAILED)
    wait_until(lambda: "a stone in the way" in show(runner).elements[0].text)
    for group, jobs in {"failed": [bad], "done": [good], "running": [], "all": [bad, good]}.items():
        act(runner, "group", group)
        assert set(show(runner).jobs) == set(jobs), group
    act(runner, "text", value="GOOD")
    assert show(runner).jobs == [good]
    act(runner, "group", "failed")
    assert "Nothing failed with “GOOD”" in show(runner).elements[0].text
    act(runner, "all")
    assert len(show(runner).jobs) == 2
    act(runner, "group", "no such group")
    act(runner, "sort", value="no such order")
    assert len(show(runner).jobs) == 2
    with BacktestRunner(client, kind="backtest") as backtests, BacktestRunner(client, owner="maria") as hers:
        assert show(backtests).jobs == show(hers).jobs == []


def test_best_come_first_when_sorted_by_sharpe(walks: Walks, runner: BacktestRunner) -> None:
    add_record(walks, 1, headline={"sharpe": 0.5})
    add_record(walks, 2)
    add_record(walks, 3, headline={"sharpe": 1.5})
    act(runner, "sort", value="-sharpe")

    assert show(runner).jobs == ["job-003", "job-001", "job-002"]


def test_more_turns_the_page(walks: Walks, client: Client) -> None:
    for number in range(5):
        add_record(walks, number)
    with BacktestRunner(client, limit=2) as runner:
        assert show(runner).jobs == ["job-004", "job-003"]
        act(runner, "more")
        assert show(runner).jobs == ["job-002", "job-001"]
        assert "3 to 4 of 5" in show(runner).has_class("wb-pages")[0].text
        act(runner, "more")
        assert show(runner).jobs == ["job-000"]
        act(runner, "less")
        act(runner, "less")
        assert show(runner).jobs == ["job-004", "job-003"]


def test_trials_are_folded_under_their_sweep_with_their_count(walks: Walks, runner: BacktestRunner) -> None:
    add_record(walks, 1, kind="sweep")
    for number in (2, 3):
        add_record(walks, number, parent_id="job-001")
    act(runner, "retry")
    page = show(runner)
    assert page.jobs == ["job-001"]
    assert "sweep · 2 trials" in page.row("job-001").text

    act(runner, "trials", value=True)
    assert set(show(runner).jobs) == {"job-001", "job-002", "job-003"}


def test_opening_hands_over_the_job(walks: Walks, client: Client) -> None:
    job_id, opened = walks.submit(name="to open", steps=2), []
    walks.wait_for(job_id, JobState.COMPLETED)
    with BacktestRunner(client, on_open=opened.append) as runner:
        wait_until(lambda: "open" in show(runner).actions(job_id))
        act(runner, "open", job_id)
    assert [(type(job), job.id) for job in opened] == [(Job, job_id)]


def test_opening_that_fails_is_said_at_the_row(walks: Walks, client: Client) -> None:
    def fail(job: Job) -> None:
        raise ValueError("no view for this")

    job_id = walks.submit(steps=2)
    with BacktestRunner(client, on_open=fail) as runner:
        act(runner, "open", job_id)
        wait_until(lambda: "no view for this" in "".join(e.text for e in show(runner).find(role="alert")))


def test_static_form_is_the_list_as_of_now(walks: Walks, client: Client) -> None:
    job_id = walks.submit(name="kept", steps=2)
    walks.wait_for(job_id, JobState.COMPLETED)
    runner = BacktestRunner(client)
    page = Page(runner.build_html())

    assert "kept" in page.find("tr")[1].text
    assert "done in" in page.find("tr")[1].text
    assert "as of" in page.has_class("r")[0].text
    assert page.find("button") == []
    assert not [t for t in threading.enumerate() if t.name == "workbench-job-feed"]


def test_reader_that_nobody_knows_is_told_so(walks: Walks) -> None:
    with walks.connect() as known:
        transport = Transport(Endpoint(known.url, "wb_wrong"))
    with Client(transport) as stranger, BacktestRunner(stranger) as runner:
        assert "does not let you in" in show(runner).has_class("wb-lost")[0].text
        assert show(runner).find("button", data_action="retry")
        assert "does not let you in" in Page(runner.build_html()).elements[0].text


def test_lost_server_is_said_with_its_age_and_gone_when_it_is_back(tmp_path: Path) -> None:
    walks = Walks(tmp_path)
    try:
        job_id = walks.submit(name="kept", steps=2)
        walks.wait_for(job_id, JobState.COMPLETED)
        with walks.connect() as client, BacktestRunner(client) as runner:
            wait_until(lambda: show(runner).jobs == [job_id])
            wait_until(lambda: JobFeed.of(client).status.state == FeedState.LIVE)
            walks.stop()
            wait_until(lambda: "this is as of" in "".join(e.text for e in show(runner).has_class("wb-lost")))
            assert show(runner).jobs == [job_id]
            act(runner, "cancel", job_id)  # Has ended: nothing to do, and nothing breaks
            walks.start()
            act(runner, "retry")
            wait_until(lambda: not show(runner).has_class("wb-lost"))
            assert show(runner).jobs == [job_id]
    finally:
        walks.stop()


def test_closed_component_leaves_no_thread_and_its_last_state(walks: Walks, client: Client) -> None:
    job_id = walks.submit(**SLOW)
    runner = BacktestRunner(client)
    wait_until(lambda: show(runner).jobs == [job_id])
    runner.close()
    runner.close()

    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "workbench-job-feed"])
    assert show(runner).jobs == [job_id]


def test_in_a_kernel_only_its_own_thread_touches_the_widget(walks: Walks, client: Client) -> None:
    job_id = walks.submit(name="in a kernel", **SLOW)
    walks.wait_for(job_id, JobState.RUNNING)
    threads: set[str] = set()
    told: list[str] = []

    async def use() -> None:
        with BacktestRunner(client) as runner:
            first = show(runner)
            assert first.has_class("wb-empty")[0].text == "Loading the runs…"

            def note(change: Any) -> None:
                threads.add(threading.current_thread().name)
                told.append(change["new"])

            runner.widget.observe(note, "html")
            await come_true(lambda: show(runner).jobs == [job_id])
            await come_true(lambda: "pause" in show(runner).actions(job_id))
            seen = len(told)
            act(runner, "pause", job_id)
            await come_true(lambda: "paused" in show(runner).row(job_id).text)
            assert any("pausing…" in html for html in told[seen:])

    async def come_true(condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.02)

    asyncio.run(use())
    assert threads == {threading.current_thread().name}


def test_backtests_show_their_equity_while_they_work_and_the_exact_one_after(
    walks: Walks, client: Client
) -> None:
    from tests.backtest.tiny import build_catalog
    from tests.client.conftest import build_config

    settings = walks.serving.settings
    if not settings.catalog.exists():
        build_catalog(settings.catalog)
    job = client.submit_backtest(build_config(settings, pause_secs=0.005), name="slow")
    walks.wait_for(job.id, JobState.RUNNING)
    wait_until(lambda: job.progress is not None and job.progress.equity is not None)
    with BacktestRunner(client) as runner:
        wait_until(lambda: len(show(runner).find("svg")) == 1)
        row = show(runner).row(job.id).text
        assert "USD" in row
        wait_until(lambda: "events/s" in show(runner).row(job.id).text)
        wait_until(lambda: walks.get(job.id).state == JobState.COMPLETED)
        frame = job.load_table("equity")
        last = Decimal(frame["equity"].iloc[-1])
        wait_until(lambda: "done in" in show(runner).row(job.id).text)
        wait_until(lambda: f"{last:,.2f} USD" in show(runner).row(job.id).text)
        assert len(show(runner).find("svg")) == 1
        curve = job.load_curve(10)
        assert curve.currency == "USD"
        assert curve.points[-1][0] == frame["ts"].iloc[-1].value
        assert Decimal(curve.points[-1][1]) == last
        assert len(curve.points) <= 10
        assert "<svg" in runner.build_html()


def add_record(walks: Walks, number: int, **facts: Any) -> None:
    """Put an ended job into the records, as if it had run."""
    record = build_job(number, **{"owner": "admin", "state": JobState.COMPLETED, **facts})
    walks.serving.store.add_job(msgspec.structs.replace(record, state=JobState.PENDING))
    walks.serving.store.update_job(record.id, state=JobState.COMPLETED, headline=record.headline)
