"""The service of a host: it answers before there is a node, and while the main loop stands still."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.sync.client import ClientConnection, unix_connect

from tests.live.engines import Host, find_events, wait_for
from workbench.engine_records import EmergencyPolicy, HostMode, HostRecord, Latch
from workbench.gate.rules import TradingState
from workbench.live import heartbeat
from workbench.live.config import EngineConfig
from workbench.live.context import HostContext
from workbench.live.engine_directory import EngineDirectory, make_socket_path
from workbench.live.journal import Journal
from workbench.live.service import Service
from workbench.states import EngineTrigger


class _Gate:
    """As much of a gate as the context needs; it notes what it was told, and when."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def listen(self, listener: Any) -> None: ...

    def restrict(self, source: str, state: TradingState, why: str) -> None:
        self.told.append((source, state))


@pytest.fixture
def context(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostContext]:
    directory = EngineDirectory(tmp_path / "demo")
    directory.create()
    record = HostRecord(
        pid=1,
        incarnation=1,
        config_version=1,
        environment="SANDBOX",
        mode=HostMode.TRADE,
        started_at="",
        socket=str(make_socket_path(directory, tmp_path_factory.mktemp("r"))),
    )
    directory.write_host(record)
    journal = Journal.open(directory.journal, incarnation=1)
    yield HostContext(directory, EngineConfig(), record, journal)
    journal.close()


@pytest.fixture
def host(context: HostContext) -> Iterator[Host]:
    service = Service(context)
    service.start()
    host = Host.__new__(Host)
    host.directory = context.directory
    yield host
    service.stop()


@contextlib.contextmanager
def _listen(context: HostContext, query: str = "") -> Iterator[ClientConnection]:
    with unix_connect(context.record.socket, f"ws://engine/events{query}") as connection:
        yield connection


def _receive(connection: ClientConnection) -> Any:
    return msgspec.json.decode(connection.recv(timeout=10))


def test_service_answers_before_there_is_a_node(host: Host, context: HostContext) -> None:
    status = host.get("/status")
    assert (status["heartbeat"]["state"], status["heartbeat"]["trading_state"]) == ("STARTING", "HALTED")
    assert status["resources"]["memory_bytes"] > 0
    assert host.get("/orders") == host.get("/positions") == host.get("/fills?limit=5") == []
    assert host.call("POST", "/orders", {})[0] == 503
    heartbeat = wait_for(context.directory.load_heartbeat, "a heartbeat")
    assert heartbeat.state == "STARTING"


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/stop", None, 405),
        ("GET", "/fills?limit=many", None, 422),
        ("POST", "/trading-state", {"state": "OPEN"}, 422),
        ("POST", "/trading-state", {"state": "ACTIVE"}, 503),
        ("POST", "/emergency-clear", {"reason": "none holds"}, 409),
        ("POST", "/stop", {"is_flattening": "yes"}, 422),
        ("POST", "/stop", [], 422),
        ("DELETE", "/orders/none", None, 503),
    ],
)
def test_service_refuses_with_problem_documents(
    host: Host, method: str, target: str, body: Any, status: int
) -> None:
    found, problem = host.call(method, target, body)
    assert found == status == problem["status"]
    assert problem["detail"]
    assert problem["code"]


def test_service_stops_in_an_emergency_whatever_it_is_sent(host: Host, context: HostContext) -> None:
    status, outcome = host.call("POST", "/emergency-stop", ["no", "object"])
    assert (status, outcome["latch"]["by"]) == (200, "ann")
    latch = context.directory.load_latch()
    assert latch is not None
    assert latch.policy == EmergencyPolicy()
    again = host.call("POST", "/emergency-stop", {"reason": "again"}, user="bob")[1]
    assert again["latch"] == outcome["latch"]
    # The gate that comes later is shut from the beginning.
    gate = _Gate()
    context.attach_gate(gate)  # type: ignore[arg-type]
    assert gate.told == [("emergency", TradingState.HALTED)]


def test_service_sees_a_latch_that_somebody_else_wrote(host: Host, context: HostContext) -> None:
    gate = _Gate()
    context.attach_gate(gate)  # type: ignore[arg-type]
    latch = Latch(at="", ts_ns=time.time_ns(), by="bob", reason="from outside", policy=EmergencyPolicy())
    began = time.monotonic()
    context.directory.write_latch(latch)
    wait_for(lambda: gate.told, "a gate that is shut")
    assert time.monotonic() - began < 2
    assert gate.told == [("emergency", TradingState.HALTED)]
    outcome = wait_for(lambda: context.outcome, "an outcome")
    assert outcome.latch == latch


def test_gate_is_shut_before_the_latch_is_written(
    context: HostContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = _Gate()
    context.attach_gate(gate)  # type: ignore[arg-type]
    seen: list[Any] = []
    monkeypatch.setattr(EngineDirectory, "write_latch", lambda *_: seen.append(list(gate.told)))
    context.begin_emergency("ann", "a drill")
    assert seen == [[("emergency", TradingState.HALTED)]]


def test_latch_that_somebody_else_wrote_first_is_the_one_that_is_obeyed(
    context: HostContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.attach_gate(_Gate())  # type: ignore[arg-type]
    other = Latch(at="", ts_ns=7, by="bob", reason="from outside", policy=EmergencyPolicy())
    write = EngineDirectory.write_latch

    def lose(directory: EngineDirectory, latch: Latch) -> None:
        write(directory, other)
        write(directory, latch)

    monkeypatch.setattr(EngineDirectory, "write_latch", lose)
    outcome = context.begin_emergency("ann", "a drill")
    # Else it would be settled for one that nobody asks for.
    assert outcome.latch == context.directory.load_latch() == other


def test_journal_that_cannot_be_written_lets_nothing_new_through(
    host: Host, context: HostContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "trouble", property(lambda _: "the disk is full"))
        restrictions = wait_for(lambda: host.get("/status")["trading"]["restrictions"], "a restriction")
        assert [(r["source"], r["state"]) for r in restrictions] == [("journal", "REDUCING")]
        assert "the disk is full" in restrictions[0]["why"]
        assert host.get("/status")["heartbeat"]["journal_trouble"] == "the disk is full"
    wait_for(lambda: not host.get("/status")["trading"]["restrictions"], "no restriction")


def test_watch_goes_on_when_something_of_it_fails(
    host: Host, context: HostContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(EngineDirectory, "write_heartbeat", lambda *_: 1 / 0)
        wait_for(lambda: find_events(context.directory, "WatchFailed"), "an alarm")
    before = context.directory.load_heartbeat()
    wait_for(lambda: context.directory.load_heartbeat() != before, "heartbeats again")


def test_database_that_is_lost_is_told_once(context: HostContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_DATABASE_SECS", 0.01)
    answers = iter(["gone", "gone", ""])
    context.ask_database = lambda: next(answers, "")
    service = Service(context)
    service.start()
    wait_for(lambda: find_events(context.directory, "DatabaseBack"), "its return")
    service.stop()
    assert len(find_events(context.directory, "DatabaseLost")) == 1


def test_service_does_not_wait_for_a_loop_that_stands_still(host: Host, context: HostContext) -> None:
    loop = asyncio.new_event_loop()
    context.advance(EngineTrigger.READY)
    ran: list[str] = []

    class Desk:
        def cancel(self, order_id: str, user: str) -> dict[str, str]:
            ran.append(order_id)
            return {}

    async def begin() -> None:
        context.loop = loop
        context.probe.start(loop)

    loop.run_until_complete(begin())  # From now on it stands still
    try:
        with pytest.raises(Exception, match="the main loop is blocked since"):
            asyncio.run(context.call(lambda: ran.append("late"), timeout_secs=0.05))
        loop.run_until_complete(asyncio.sleep(0))
        assert ran == []  # Nobody waits for it any more: it must not happen later
        thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0.5),))
        thread.start()
        assert asyncio.run(context.call(lambda: 7)) == 7
        thread.join()
    finally:
        loop.close()


def test_service_streams_events_from_any_number_and_tells_of_a_gap(host: Host, context: HostContext) -> None:
    for number in range(3):
        context.tell("engine", f"Event{number}")
    context.journal.flush()
    with _listen(context, "?after=1") as connection:
        assert [_receive(connection)["name"] for _ in range(2)] == ["Event1", "Event2"]
        context.tell("engine", "Later", {"a": 1})
        assert _receive(connection)["body"] == {"a": 1}
    with _listen(context) as connection:
        context.tell("engine", "Live")
        assert _receive(connection)["name"] == "Live"
    with _listen(context, "?after=1000") as connection:
        assert "gap" in _receive(connection)


def test_socket_is_private_and_goes_with_the_service(context: HostContext) -> None:
    service = Service(context)
    service.start()
    path = Path(context.record.socket)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with _listen(context), socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(path))  # Neither holds up the end
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < 5
    assert not path.exists()
