"""The WebSocket: nothing lost over any break, order kept, slow and silent clients bounded."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.api.serving import Serving, listening
from tests.jobs.walks import wait_for, wait_until
from workbench.api import events
from workbench.api.backtests import PREFIX
from workbench.roles import Role
from workbench.states import JobState

S = JobState
DEADLINE_SECS = 20.0


@pytest.fixture(scope="module")
def address(shared: Serving) -> Iterator[str]:
    with listening(shared.app) as place:
        yield place


def listen(address: str, token: str | None, *, query: str = "", **options: Any) -> ClientConnection:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"ws://{address}{PREFIX}/jobs/events{query}"
    # A client that leaves with messages unread waits in vain for the answer to its goodbye.
    return connect(
        url, additional_headers=headers, compression=None, proxy=None, close_timeout=0.2, **options
    )


def take(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = msgspec.json.decode(client.recv(timeout=DEADLINE_SECS))
    return message


def close_code(client: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            client.recv(timeout=DEADLINE_SECS)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def walk(parts: Serving, steps: int = 1) -> str:
    return parts.service.submit("walk", {"steps": steps}, owner="admin").id


def test_listener_is_told_what_is_there_and_every_change(api: Serving, address: str) -> None:
    running = walk(api, 1_000_000)
    wait_for(api.service, running, S.RUNNING)

    with listen(address, api.tokens["viewer"]) as client:
        hello, snapshot = take(client), take(client)
        assert (hello["type"], snapshot["type"]) == ("hello", "snapshot")
        assert [job["id"] for job in snapshot["jobs"]] == [running]
        job_id = walk(api)
        states = []
        while "COMPLETED" not in states:
            message = take(client)
            if message["type"] == "job" and message["job"]["id"] == job_id:
                assert "spec" not in message["job"]
                states.append(message["job"]["state"])

    assert states == ["PENDING", "RUNNING", "COMPLETED"]


def test_listener_sees_progress_of_what_runs(api: Serving, address: str) -> None:
    with listen(address, api.tokens["viewer"]) as client:
        job_id = walk(api, 1_000_000)
        while True:
            message = take(client)
            if message["type"] == "progress" and message["job_id"] == job_id:
                break

    assert message["progress"]["events"] > 0


@pytest.mark.parametrize("seed", range(3))
def test_listener_that_breaks_off_at_random_gets_every_event_once(
    api: Serving, address: str, seed: int
) -> None:
    chance = random.Random(seed)
    after = api.store.find_event_bounds()[1]
    start = after
    jobs = [walk(api) for _ in range(25)]
    seen: list[int] = []
    ended: set[str] = set()
    while ended != set(jobs):
        with listen(address, api.tokens["viewer"], query=f"?after={after}") as client:
            for _ in range(chance.randrange(1, 25)):
                message = take(client)
                assert message["type"] in ("hello", "job", "progress")
                if message["type"] == "job":
                    seen.append(message["seq"])
                    after = message["seq"]
                    if JobState(message["job"]["state"]).is_finished:
                        ended.add(message["job"]["id"])
                if ended == set(jobs):
                    break
            if chance.random() < 0.5:  # Without a word
                client.socket.shutdown(socket.SHUT_RDWR)

    kept = [event.seq for event in api.store.find_events(start)]
    assert seen == kept
    assert len(seen) == 75


def test_listener_from_before_what_is_kept_is_told_of_the_gap(api: Serving, address: str) -> None:
    for _ in range(3):
        wait_for(api.service, walk(api))
    api.store.prune_events(2)
    first, last = api.store.find_event_bounds()
    running = walk(api, 1_000_000)
    wait_for(api.service, running, S.RUNNING)

    with listen(address, api.tokens["viewer"], query="?after=1") as client:
        hello, gap, snapshot = take(client), take(client), take(client)

    assert hello["seq"] >= last
    assert gap == {"type": "gap", "after": 1, "first": first}
    assert [job["id"] for job in snapshot["jobs"]] == [running]


@pytest.mark.parametrize("token", [None, "wb_nonsense", ""])
def test_listener_without_a_good_token_is_closed_with_4401(address: str, token: str | None) -> None:
    with listen(address, token) as client:
        assert close_code(client) == 4401


def test_listener_whose_role_may_not_is_closed_with_4403(
    api: Serving, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.api.auth.is_allowed", lambda role, permission: False)

    with listen(address, api.tokens["viewer"]) as client:
        assert close_code(client) == 4403


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", f"?after={2**70}"])
def test_listener_from_a_number_that_is_none_is_closed_with_1008(
    api: Serving, address: str, query: str
) -> None:
    with listen(address, api.tokens["viewer"], query=query) as client:
        assert close_code(client) == 1008


def test_listener_that_talks_is_closed_with_1008(api: Serving, address: str) -> None:
    with listen(address, api.tokens["viewer"]) as client:
        client.send("hello")
        assert close_code(client) == 1008


def test_page_of_another_origin_is_not_let_in(api: Serving, address: str) -> None:
    with (
        pytest.raises(InvalidStatus) as caught,
        listen(address, api.tokens["viewer"], origin="http://evil.example"),
    ):
        pass

    assert caught.value.response.status_code == 403


def test_listener_whose_token_is_revoked_is_closed_with_4401(
    api: Serving, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_CHECK_SECS", 0.2)
    token = api.add_user("leaver", Role.VIEWER)

    with listen(address, token) as client:
        assert take(client)["type"] == "hello"
        api.store.update_user("leaver", is_active=False)
        assert close_code(client) == 4401


def test_listeners_that_go_leave_nothing_behind(api: Serving, address: str) -> None:
    activity = api.app.state.context.activity
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(listen(address, api.tokens["viewer"])) for _ in range(5)]
        for client in clients:
            take(client)
        assert (activity.listeners, api.service.feed.count, activity.quiet_secs) == (5, 5, 0.0)
        for client in clients[::2]:
            client.socket.shutdown(socket.SHUT_RDWR)

    wait_until(lambda: (activity.listeners, api.service.feed.count) == (0, 0))


def test_listener_that_reads_nothing_is_dropped_and_costs_nobody(
    api: Serving, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_SEND_SECS", 0.5)
    # Small buffers of the system on both sides: what the server writes piles up at once.
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    host, port = address.split(":")
    deaf.connect((host, int(port)))
    request = (
        f"GET {PREFIX}/jobs/events?after=0 HTTP/1.1\r\nHost: {address}\r\n"
        f"Authorization: Bearer {api.tokens['viewer']}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    deaf.sendall(request.encode())
    wait_until(lambda: api.service.feed.count == 1)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            api.service.cancel(walk(api, 1_000_000))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        wait_until(lambda: api.service.feed.count == 0)
        with listen(address, api.tokens["viewer"]) as client:
            assert take(client)["type"] == "hello"
    finally:
        stop.set()
        thread.join()
        deaf.close()
