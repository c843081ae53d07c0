"""The feed of an engine against a real server: what it knows, when it is lost, and that it ends."""

from __future__ import annotations

import gc
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.api.engine_hosts import ACCOUNT, FILL, ORDER, POSITION, build_engine
from tests.jobs.walks import wait_until
from tests.ui.engine_desks import running_host
from tests.ui.walking import Walks
from workbench.client.transport import Endpoint
from workbench.live.config import parse_engine_config
from workbench.ui.engine_feed import EngineFeed
from workbench.ui.engine_sight import look
from workbench.ui.feed import FeedState


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    walks = Walks(tmp_path_factory.mktemp("feed"))
    yield walks
    walks.stop()


def count_threads() -> int:
    return sum(thread.name.startswith("workbench-engine-feed") for thread in threading.enumerate())


def test_feed_knows_what_the_host_tells_and_follows_its_events(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect() as client:
        host.tell(3)
        feed = EngineFeed.of(client)
        calls: list[str] = []
        feed.subscribe(lambda: calls.append(threading.current_thread().name))
        wait_until(lambda: feed.status.state == FeedState.LIVE and feed.read(lambda b: bool(b.positions)))
        assert feed.read(lambda b: (list(b.orders.values()), list(b.fills.values()))) == ([ORDER], [FILL])
        assert feed.read(lambda b: (list(b.positions.values()), list(b.accounts.values()))) == (
            [POSITION],
            [ACCOUNT],
        )
        assert feed.read(lambda b: b.can_trade)
        assert feed.read(lambda b: b.environment) == "SANDBOX"
        assert feed.read(lambda b: b.policy) is not None
        wait_until(lambda: feed.read(lambda b: [e.seq for e in b.events]) == [1, 2, 3])

        body = {"client_order_id": ORDER.client_order_id, "ts_event": 9}
        host.journal.append("order", "OrderCanceled", msgspec.json.encode(body))
        wait_until(lambda: feed.read(lambda b: b.orders[ORDER.client_order_id].status) == "CANCELED")
        assert set(calls) == {"workbench-engine-feed-default"}
        feed.close()


def test_viewer_is_known_to_be_one(walks: Walks) -> None:
    with running_host(walks), walks.connect("viewer") as client:
        feed = EngineFeed.of(client)
        feed.load()
        assert feed.read(lambda b: b.can_trade) is False


def test_load_asks_once_and_leaves_no_thread(walks: Walks) -> None:
    with running_host(walks) as host, walks.connect() as client:
        host.tell(4)
        feed = EngineFeed.of(client)
        feed.load()

        assert feed.read(lambda b: len(b.events)) == 4
        assert feed.read(lambda b: len(b.positions)) == 1
        assert count_threads() == 0


def test_unknown_engine_is_told_of_and_found_when_it_is_there(walks: Walks) -> None:
    with walks.connect() as client:
        feed = EngineFeed.of(client, "later")
        feed.subscribe(lambda: None)
        wait_until(lambda: feed.read(lambda b: b.missing is not None))
        assert feed.status.state == FeedState.LIVE
        build_engine(walks.serving.settings.engines, "later")
        wait_until(lambda: feed.read(lambda b: b.report is not None and b.missing is None))
        feed.close()
    shutil.rmtree(walks.serving.settings.engines)


def test_another_host_is_asked_for_everything(walks: Walks) -> None:
    with walks.connect() as client:
        feed = EngineFeed.of(client)
        feed.subscribe(lambda: None)
        with running_host(walks):
            wait_until(lambda: feed.read(lambda b: ORDER.client_order_id in b.orders))
        with running_host(walks, incarnation=2) as host:
            other = msgspec.structs.replace(ORDER, client_order_id="O-9")
            host.answers["/orders"] = (200, [other])
            wait_until(lambda: feed.read(lambda b: list(b.orders)) == ["O-9"])
        feed.close()


def test_components_share_one_thread_that_ends_with_the_last(walks: Walks) -> None:
    wait_until(lambda: count_threads() == 0)
    with walks.connect() as client:
        assert EngineFeed.of(client) is EngineFeed.of(client, "default")
        assert EngineFeed.of(client, "other") is not EngineFeed.of(client)
        first, second = (EngineFeed.of(client).subscribe(lambda: None) for _ in range(2))
        assert count_threads() == 1
        first()
        first()
        assert EngineFeed.of(client).status.state != FeedState.CLOSED
        second()
        wait_until(lambda: count_threads() == 0)


def test_feed_keeps_no_client_alive(walks: Walks) -> None:
    with walks.connect() as client:
        EngineFeed.of(client).subscribe(lambda: None)()
        wait_until(lambda: count_threads() == 0)
        seen = weakref.ref(client)
    del client

    def is_gone() -> bool:
        gc.collect()
        return seen() is None

    wait_until(is_gone)


def test_unknown_token_is_refused(walks: Walks) -> None:
    with walks.connect() as client:
        client.transport._endpoint = Endpoint(client.url, "wb_wrong")
        client.transport._locate = None
        feed = EngineFeed(client)
        feed.subscribe(lambda: None)
        wait_until(lambda: feed.status.state == FeedState.REFUSED)
        before = time.monotonic()
        feed.close()  # Though it would wait for half a minute
        assert time.monotonic() - before < 5


def test_new_server_is_found_and_the_loss_is_told(tmp_path: Path) -> None:
    walks = Walks(tmp_path)
    try:
        build_engine(walks.serving.settings.engines)
        with walks.connect() as client:
            feed, states = EngineFeed(client), []
            feed.subscribe(lambda: states.append(feed.status.state))
            wait_until(lambda: feed.status.state == FeedState.LIVE)
            heard_at = feed.status.heard_at
            walks.stop()
            wait_until(lambda: feed.status.state == FeedState.LOST)
            assert feed.status.heard_at >= heard_at  # type: ignore[operator]
            assert feed.read(lambda b: b.report is not None)  # As of then

            walks.start()
            wait_until(lambda: feed.status.state == FeedState.LIVE)
            assert FeedState.LOST in states
            assert feed.regained is not None
            assert feed.regained.away_secs > 0
            assert feed.regained.at >= feed.status.heard_at - feed.regained.away_secs  # type: ignore[operator]
            feed.close()
    finally:
        walks.stop()


def test_engine_that_does_not_run_is_what_its_last_version_says(walks: Walks) -> None:
    try:
        directory = build_engine(walks.serving.settings.engines)
        with walks.connect() as client:
            feed = EngineFeed(client)
            feed.subscribe(lambda: None)
            wait_until(lambda: feed.read(lambda b: b.environment) == "SANDBOX")
            live = parse_engine_config({**directory.load_version().config, "environment": "LIVE"})
            directory.save_config(live, by="ann")
            wait_until(lambda: feed.read(lambda b: b.environment) == "LIVE")
            assert look(feed._book, feed.status, time.time()).is_live
            feed.close()
    finally:
        shutil.rmtree(walks.serving.settings.engines, ignore_errors=True)
