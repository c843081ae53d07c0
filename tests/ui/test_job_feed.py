"""The feed against a real server: what it knows, when it is lost, and that it ends."""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.walks import wait_until
from tests.ui.walking import Walks
from workbench.client.transport import Endpoint
from workbench.errors import AuthenticationError
from workbench.states import JobState
from workbench.ui.feed import FeedState
from workbench.ui.job_feed import JobFeed


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("feed"))
    yield walks
    walks.stop()


def count_threads() -> int:
    return sum(thread.name == "workbench-job-feed" for thread in threading.enumerate())


def test_feed_knows_what_the_server_knows(walks: Walks) -> None:
    running = walks.submit(steps=100_000)
    walks.wait_for(running, JobState.RUNNING)
    with walks.connect() as client, contextlib.ExitStack() as stack:
        feed, calls = JobFeed.of(client), []
        stack.callback(feed.close)
        feed.subscribe(lambda: calls.append(threading.current_thread().name))
        wait_until(lambda: feed.status.state == FeedState.LIVE and running in feed.jobs)
        wait_until(lambda: feed.read(lambda book: running in book.curves and book.curves[running].points))
        done = walks.submit(steps=3)
        wait_until(lambda: done in feed.jobs and feed.jobs[done].state == JobState.COMPLETED)
        walks.rest()
        wait_until(lambda: feed.jobs[running].state == JobState.CANCELLED)

        assert feed.jobs[done].seq == walks.get(done).seq
        assert set(calls) == {"workbench-job-feed"}
        assert feed.status.heard_at == pytest.approx(time.time(), abs=5)
        assert feed.read(lambda book: book.curves[running].points)


def test_subscribers_are_told_of_much_a_few_times(walks: Walks) -> None:
    job_id = walks.submit(steps=100_000, step_secs=0.0)
    with walks.connect() as client:
        feed, calls = JobFeed(client), []
        feed.subscribe(lambda: calls.append(time.monotonic()))
        wait_until(lambda: len(calls) > 20)
        feed.close()
    walks.serving.service.cancel(job_id)
    walks.wait_for(job_id, JobState.CANCELLED)

    gaps = sorted(b - a for a, b in itertools.pairwise(calls))
    assert gaps[len(gaps) // 2] >= 0.045


def test_components_of_a_client_share_one_thread_that_ends_with_the_last(walks: Walks) -> None:
    wait_until(lambda: count_threads() == 0)
    with walks.connect() as client:
        assert JobFeed.of(client) is JobFeed.of(client)
        first, second = (JobFeed.of(client).subscribe(lambda: None) for _ in range(2))
        assert count_threads() == 1
        first()
        first()
        assert JobFeed.of(client).status.state != FeedState.CLOSED
        second()
        wait_until(lambda: count_threads() == 0)

        told = threading.Event()  # It begins again for who comes later
        third = JobFeed.of(client).subscribe(told.set)
        assert told.wait(10)
        third()
        wait_until(lambda: count_threads() == 0)


def test_close_ends_the_thread_at_once(walks: Walks) -> None:
    with walks.connect() as client:
        feed = JobFeed(client)
        feed.subscribe(lambda: None)
        wait_until(lambda: feed.status.state == FeedState.LIVE)
        before = time.monotonic()
        feed.close()

        assert time.monotonic() - before < 5
        assert count_threads() == 0
        assert feed.status.state == FeedState.CLOSED
        feed.close()


def test_feed_keeps_no_client_alive(walks: Walks) -> None:
    with walks.connect() as client:
        JobFeed.of(client).subscribe(lambda: None)()
        wait_until(lambda: count_threads() == 0)
        seen = weakref.ref(client)
    del client

    def is_gone() -> bool:
        gc.collect()
        return seen() is None

    wait_until(is_gone)


def test_one_subscriber_that_fails_does_not_silence_another(walks: Walks) -> None:
    with walks.connect() as client:
        feed, told = JobFeed(client), threading.Event()
        feed.subscribe(lambda: 1 / 0)
        feed.subscribe(told.set)

        assert told.wait(10)
        feed.close()


def test_unknown_token_is_refused_with_the_reason(walks: Walks) -> None:
    with walks.connect() as client:
        client.transport._endpoint = Endpoint(client.url, "wb_wrong")
        client.transport._locate = None
        feed = JobFeed(client)
        feed.subscribe(lambda: None)
        wait_until(lambda: feed.status.state == FeedState.REFUSED)

        assert isinstance(feed.status.error, AuthenticationError)
        before = time.monotonic()
        feed.close()  # Though it would wait for half a minute
        assert time.monotonic() - before < 5
        assert count_threads() == 0


def test_new_server_is_found_and_what_happened_meanwhile_is_told(tmp_path: Path) -> None:
    walks = Walks(tmp_path)
    try:
        cut, waiting = walks.submit(steps=100_000), []
        walks.wait_for(cut, JobState.RUNNING)
        with walks.connect() as client:
            feed, states = JobFeed(client), []
            feed.subscribe(lambda: states.append(feed.status.state))
            wait_until(lambda: cut in feed.jobs)
            heard_at = feed.status.heard_at
            walks.stop()
            wait_until(lambda: feed.status.state == FeedState.LOST)
            assert feed.status.heard_at >= heard_at  # type: ignore[operator]
            assert FeedState.LOST in states
            assert cut in feed.jobs  # As of then

            walks.start()
            waiting.append(walks.submit(steps=2))
            feed.retry()
            wait_until(lambda: feed.status.state == FeedState.LIVE)
            wait_until(lambda: feed.jobs[cut].state == JobState.INTERRUPTED)
            wait_until(lambda: waiting[0] in feed.jobs and feed.jobs[waiting[0]].state == JobState.COMPLETED)
            assert feed.jobs[cut].seq == walks.get(cut).seq
            feed.close()
    finally:
        walks.stop()


def test_rebuilt_index_forgets_jobs_that_are_gone(tmp_path: Path) -> None:
    """The numbers begin anew: the new snapshot does not name a job, and nobody knows it any more."""
    walks = Walks(tmp_path)
    try:
        gone = walks.submit(steps=100_000)
        with walks.connect() as client:
            feed = JobFeed(client)
            feed.subscribe(lambda: None)
            wait_until(lambda: gone in feed.jobs)
            walks.stop()
            for path in (tmp_path / ".workbench").glob("records.sqlite*"):
                path.unlink()
            (tmp_path / "runs").rename(tmp_path / "elsewhere")
            walks.start()
            wait_until(lambda: feed.status.state == FeedState.LIVE and gone not in feed.jobs)
            feed.close()
    finally:
        walks.stop()
