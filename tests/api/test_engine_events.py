"""The events of an engine over the server: each number once, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.api.engine_hosts import Host, build_engine, hosting
from tests.api.serving import Serving, listening
from tests.api.test_engines import clean, runtime
from tests.jobs.walks import wait_until
from workbench.api import engine_events, engine_hub
from workbench.api.backtests import PREFIX
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal import Journal
from workbench.roles import Role

__all__ = ["clean", "runtime"]

DEADLINE_SECS = 20.0


@pytest.fixture(scope="module")
def address(shared: Serving) -> Iterator[str]:
    with listening(shared.app) as place:
        yield place


@pytest.fixture
def host(shared: Serving, runtime: Path) -> Iterator[Host]:
    with hosting(shared.settings.engines, runtime) as host:
        yield host


class Listener:
    """A client that keeps what it is sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if "seq" in frame]

    def take(self) -> dict[str, Any]:
        frame: dict[str, Any] = msgspec.json.decode(self.socket.recv(timeout=DEADLINE_SECS))
        self.frames.append(frame)
        return frame

    def take_until(self, *, seq: int = 0, host: bool | None = None) -> None:
        """Take frames as far as an event, or as what is said of the host."""
        while True:
            frame = self.take()
            if frame.get("seq") == seq or ("host" in frame and frame["host"]["is_alive"] is host):
                return


@contextlib.contextmanager
def listen(
    shared: Serving, address: str, *, after: int | None = None, user: str = "viewer", place: str = "engine"
) -> Iterator[Listener]:
    query = "" if after is None else f"?after={after}"
    with connect(
        f"ws://{address}{PREFIX}/{place}/events{query}",
        additional_headers={"Authorization": f"Bearer {shared.tokens[user]}"},
        compression=None,
        proxy=None,
        close_timeout=0.2,
    ) as socket:
        yield Listener(socket)


def write(directory: EngineDirectory, count: int, *, incarnation: int = 1, **options: Any) -> None:
    """Write events as a host that has died since."""
    with Journal.open(directory.journal, incarnation=incarnation, **options) as journal:
        for number in range(count):
            journal.append("order", "OrderFilled", msgspec.json.encode({"n": number}))
        assert journal.flush(DEADLINE_SECS)


def test_events_of_a_live_host_come_in_order_from_any_number(
    shared: Serving, host: Host, address: str
) -> None:
    host.tell(5)
    with listen(shared, address, after=2) as client:
        hello = client.take()["hello"]
        assert (hello["engine"], hello["after"], hello["is_alive"], hello["last_seq"]) == (
            "default",
            2,
            True,
            5,
        )
        client.take_until(host=True)  # What was on disk comes from there, before or after that
        host.tell(3)
        client.take_until(seq=8)

    assert client.seqs == [3, 4, 5, 6, 7, 8]
    assert [f["host"]["is_alive"] for f in client.frames if "host" in f] == [True]
    last = client.frames[-1]
    assert (last["kind"], last["name"], last["body"]) == ("order", "OrderAccepted", {"n": 2})


def test_without_a_number_only_what_happens_from_now_on_is_told(
    shared: Serving, host: Host, address: str
) -> None:
    host.tell(5)
    with listen(shared, address) as client:
        client.take_until(host=True)
        host.tell(1)
        client.take_until(seq=6)

    assert client.seqs == [6]


def test_events_of_a_dead_engine_come_from_its_journal(shared: Serving, address: str) -> None:
    write(build_engine(shared.settings.engines), 2_500)
    with listen(shared, address, after=0) as client:
        assert client.take()["hello"]["is_alive"] is False
        client.take_until(host=False)

    assert client.seqs == list(range(1, 2_501))


def test_host_that_is_lost_and_one_that_comes_are_told_and_no_event_is_missed(
    shared: Serving, runtime: Path, address: str
) -> None:
    engines = shared.settings.engines
    directory = build_engine(engines)
    write(directory, 3)
    with listen(shared, address, after=0) as client:
        client.take_until(host=False)
        for incarnation in (2, 3):
            with hosting(engines, runtime, incarnation=incarnation) as host:
                client.take_until(host=True)
                host.tell(4)
                client.take_until(seq=host.journal.last_seq)
                host.tell(500)  # Some of them are on their way when it goes
            client.take_until(host=False)
        write(directory, 2, incarnation=4)
        client.take_until(seq=1_013)

    assert client.seqs == list(range(1, 1_014))
    told = [(f["host"]["is_alive"], f["host"]["incarnation"]) for f in client.frames if "host" in f]
    assert [one for one in told if one[0]] == [(True, 2), (True, 3)]
    assert not told[0][0]
    assert not told[-1][0]


def test_line_to_a_host_that_breaks_is_made_again(shared: Serving, host: Host, address: str) -> None:
    host.tell(2)
    with listen(shared, address, after=0) as client:
        client.take_until(host=True)
        wait_until(lambda: len(host.connections) == 1)
        for hang_up in list(host.connections):
            hang_up()
        client.take_until(host=False)
        host.tell(2)
        client.take_until(host=True)
        host.tell(1)
        client.take_until(seq=5)

    assert client.seqs == [1, 2, 3, 4, 5]


def test_events_that_the_host_leaves_out_come_from_the_journal(
    shared: Serving, host: Host, address: str
) -> None:
    host.skipped = {2, 3, 6}
    host.tell(4)
    with listen(shared, address, after=0) as client:
        client.take_until(host=True)
        host.tell(3)
        client.take_until(seq=7)

    assert client.seqs == [1, 2, 3, 4, 5, 6, 7]


def test_events_that_the_host_tells_again_are_not_passed_on(
    shared: Serving, host: Host, address: str
) -> None:
    host.overlap = 3
    host.tell(4)
    with listen(shared, address, after=0) as client:
        client.take_until(host=True)
        host.tell(2)
        client.take_until(seq=6)

    assert client.seqs == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("is_alive", [True, False])
def test_events_that_are_no_longer_kept_are_a_gap(
    shared: Serving, runtime: Path, address: str, is_alive: bool
) -> None:
    directory = build_engine(shared.settings.engines)
    write(directory, 3_000, limit_events=1_000)
    with sqlite3.connect(directory.journal) as connection:
        (first,) = connection.execute("SELECT min(seq) FROM events").fetchone()
    connection.close()
    assert first > 1
    with contextlib.ExitStack() as stack:
        if is_alive:
            stack.enter_context(hosting(shared.settings.engines, runtime, incarnation=2))
        client = stack.enter_context(listen(shared, address, after=0))
        client.take_until(seq=3_000)

    assert [f["gap"] for f in client.frames if "gap" in f] == [{"requested": 1, "first": first}]
    assert client.seqs == list(range(first, 3_001))


def test_engine_that_was_never_started_has_no_events_yet(
    shared: Serving, runtime: Path, address: str
) -> None:
    build_engine(shared.settings.engines)
    with listen(shared, address, after=0) as client:
        client.take_until(host=False)
        with hosting(shared.settings.engines, runtime) as host:
            host.tell(1)
            client.take_until(seq=1)


def test_many_listeners_are_told_the_same_and_leave_nothing_behind(
    shared: Serving, host: Host, address: str
) -> None:
    activity = shared.app.state.context.activity
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(listen(shared, address, after=0)) for _ in range(5)]
        for client in clients:
            client.take_until(host=True)
        assert activity.listeners == 5
        assert len(host.connections) == 1  # The engine trades: it writes each event once
        host.tell(50)
        for client in clients:
            client.take_until(seq=50)
            assert client.seqs == list(range(1, 51))

    wait_until(lambda: (activity.listeners, len(host.connections)) == (0, 0))


def test_listener_that_falls_behind_is_told_the_rest_from_the_journal(
    shared: Serving, host: Host, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_hub, "_MOST_TEXTS", 3)
    monkeypatch.setattr(engine_hub, "_MOST_CHARS", 600)
    with listen(shared, address, after=0) as first:
        first.take_until(host=True)
        for _ in range(20):
            host.tell(50)
        with listen(shared, address, after=7) as late:
            late.take_until(seq=1_000)
        first.take_until(seq=1_000)

    assert first.seqs == list(range(1, 1_001))
    assert late.seqs == list(range(8, 1_001))


def read_close(shared: Serving, address: str, **options: Any) -> int:
    with listen(shared, address, **options) as client, pytest.raises(ConnectionClosed) as caught:
        while True:
            client.take()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def test_listener_without_an_engine_or_a_good_query_is_turned_away(shared: Serving, address: str) -> None:
    assert read_close(shared, address, place="engines/nobody") == 1008
    build_engine(shared.settings.engines)
    assert read_close(shared, address, after=-1) == 1008


def test_listener_whose_token_is_revoked_is_turned_away(
    shared: Serving, host: Host, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_events, "_CHECK_SECS", 0.1)
    shared.add_user("passing", Role.VIEWER)
    with listen(shared, address, user="passing") as client:
        client.take_until(host=True)
        shared.store.update_user("passing", is_active=False)
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                client.take()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401


def test_listener_that_talks_is_turned_away(shared: Serving, host: Host, address: str) -> None:
    with listen(shared, address) as client:
        client.take_until(host=True)
        client.socket.send("buy")
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                client.take()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
