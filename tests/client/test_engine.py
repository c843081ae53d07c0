"""A live engine through the client: calls, two-call confirmations, and events over lost connections."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.api.engine_hosts import ACCOUNT, FILL, LIVE, ORDER, POSITION, Host, hosting
from tests.api.serving import Serving, listening, serving
from workbench.client.client import Client
from workbench.client.engine_events import Item, Link
from workbench.client.transport import Endpoint, Transport
from workbench.engine_records import EngineEvent, EquitySample, Gap, Risks
from workbench.errors import (
    AuthenticationError,
    ConfirmationRequiredError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
)
from workbench.live.equity_history import EquityHistory

DEADLINE_SECS = 30.0


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("engines"), slots=1) as found:
        yield found


@pytest.fixture(scope="module")
def address(parts: Serving) -> Iterator[str]:
    with listening(parts.app) as place:
        yield f"http://{place}"


@pytest.fixture
def runtime() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="wb"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def host(parts: Serving, runtime: Path) -> Iterator[Host]:
    shutil.rmtree(parts.settings.engines, ignore_errors=True)
    with hosting(parts.settings.engines, runtime, config=LIVE) as host:
        yield host


def build_client(parts: Serving, address: str, user: str = "trader") -> Client:
    return Client(Transport(Endpoint(address, parts.tokens[user])), settings=parts.settings)


@pytest.fixture
def client(parts: Serving, address: str) -> Iterator[Client]:
    with build_client(parts, address) as client:
        yield client


def test_tables_and_status_are_records(client: Client, host: Host) -> None:
    engine = client.engine()

    assert engine.orders() == engine.orders(is_open=True) == [ORDER]
    assert engine.fills(limit=5) == [FILL]
    assert engine.positions() == [POSITION]
    assert engine.accounts() == [ACCOUNT]
    report = engine.status()
    assert report.status.is_alive
    assert report.facts is not None
    assert [one.name for one in client.engines.load_all()] == ["default"]
    with pytest.raises(NotFoundError):
        client.engine("nobody").status()


def test_orders_by_hand(client: Client, host: Host) -> None:
    engine = client.engine()
    found = engine.submit("GBP/USD.SIM", "BUY", "1000", type="LIMIT", price="1.5")
    engine.modify("O-2", price="1.4")
    engine.cancel("O-2")
    engine.close("GBP/USD.SIM-S-1", quantity="10")

    assert found == {"client_order_id": "O-2"}
    assert [(one["method"], one["path"]) for one in host.told] == [
        ("POST", "/orders"),
        ("PATCH", "/orders/O-2"),
        ("DELETE", "/orders/O-2"),
        ("POST", "/positions/GBP%2FUSD.SIM-S-1/close"),
    ]


def test_strategies_and_drills_reach_the_host(client: Client, host: Host) -> None:
    answer = {"strategy_id": "S-1", "state": "STOPPED"}
    host.answers = {"/strategies/S-1/stop": (200, answer), "/strategies/S-1": (200, answer)}
    strategies = client.engine().strategies
    assert strategies.stop("S-1", is_cancelling=True) == strategies.remove("S-1") == answer
    for act in (
        lambda confirm="": strategies.start("S-1", confirm=confirm),
        lambda confirm="": strategies.add("a.b:S", "a.b:C", {"n": 1}, is_started=False, confirm=confirm),
    ):
        host.answers |= {"/strategies/S-1/start": (200, answer), "/strategies": (200, answer)}
        with pytest.raises(ConfirmationRequiredError) as caught:  # The engine is LIVE
            act()
        assert act(caught.value.confirm_token) == answer
    host.answers["/drills"] = 200, {"feeds": ["REPLAY"]}
    assert client.engine().set_drill("slow", secs=2, every=3) == ["REPLAY"]
    sent = [one["body"] for one in host.told if one["method"] != "GET"]
    assert sent[-2:] == [
        {"strategy_path": "a.b:S", "config_path": "a.b:C", "config": {"n": 1}, "is_started": False},
        {"mode": "slow", "secs": 2.0, "every": 3},
    ]


def test_past_is_read_with_a_range_of_any_kind(client: Client, host: Host) -> None:
    history = EquityHistory(host.directory.equity)
    for number in range(3):
        history.add(
            EquitySample(ts_ns=1_767_225_600_000_000_000 + number * 10**9, currency="USD", equity="1.10")
        )
    history.close()
    engine = client.engine()
    assert engine.equity().total == 3
    later = datetime(2026, 1, 1, 0, 0, 1)
    assert engine.equity(later).total == engine.equity(later.replace(tzinfo=UTC)).total == 2
    assert engine.equity("2026-01-01T00:00:02Z", limit=3).items[0].equity == "1.10"
    assert engine.log(level="ERROR", limit=1).items == []


def test_what_raises_risk_is_confirmed_with_the_token_of_the_error(client: Client, host: Host) -> None:
    engine = client.engine()
    assert engine.set_trading_state("HALTED", reason="news") == "HALTED"
    with pytest.raises(ConfirmationRequiredError) as caught:
        engine.set_trading_state("ACTIVE")
    risks = msgspec.convert(caught.value.risks, Risks)
    assert (risks.word, risks.positions) == ("LIVE", [POSITION])

    assert engine.set_trading_state("ACTIVE", confirm=caught.value.confirm_token) == "ACTIVE"
    with pytest.raises(ConfirmationRequiredError):
        engine.restart(confirm=caught.value.confirm_token)


def test_engine_is_stopped_and_started(client: Client, host: Host) -> None:
    engine = client.engine()

    assert engine.stop(is_flattening=True).state == "STOPPED"
    with pytest.raises(ConflictError):
        engine.orders()
    with pytest.raises(ConfirmationRequiredError) as caught:
        engine.start()
    assert engine.start(confirm=caught.value.confirm_token).state == "RUNNING"


def test_emergency_and_its_end(client: Client, host: Host) -> None:
    engine = client.engine()
    outcome = engine.emergency_stop(reason="fire")
    assert outcome is not None
    assert outcome.latch.reason == "fire"
    assert [one["engine"] for one in client.engines.emergency_stop()] == ["default"]

    with pytest.raises(ConfirmationRequiredError) as caught:
        engine.clear("well")
    assert engine.clear("well", confirm=caught.value.confirm_token).latch is None


def test_configuration_has_versions(client: Client, host: Host) -> None:
    engine = client.engine("other")
    made = client.engines.build_config("sandbox-replay", {"catalog_path": "/data", "venue": "SIM"})
    first = engine.set_config(made, comment="first", base_version=0)
    second = engine.set_config({**made, "currency": "EUR"})

    assert (first.version, second.version) == (1, 2)
    assert engine.config(1).config["currency"] == "USD"
    assert [one.version for one in engine.config_versions()] == [2, 1]
    assert [one["field"] for one in engine.config_diff()["changes"]] == ["currency"]
    assert {one["name"] for one in client.engines.presets()} >= {"sandbox-replay", "interactive-brokers"}
    found = {one.field: one.outcome for one in engine.check_config(made)}
    assert found["node.data_clients.REPLAY.config.catalog_path"] == "MISSING"
    replay = made["node"]["data_clients"]["REPLAY"]["path"]
    assert replay in {one["path"] for one in client.engines.adapters()}
    assert "speed" in client.engines.describe_part(replay)["schema"]["properties"]


def test_viewer_looks_and_changes_nothing(parts: Serving, address: str, host: Host) -> None:
    with build_client(parts, address, "viewer") as client:
        assert client.engine().orders() == [ORDER]
        with pytest.raises(ForbiddenError):
            client.engine().emergency_stop()


class Heard:
    """A callback that keeps what it is told."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def __call__(self, item: Item) -> None:
        self.items.append(item)

    @property
    def seqs(self) -> list[int]:
        return [item.seq for item in self.items if isinstance(item, EngineEvent)]

    @property
    def links(self) -> list[tuple[bool, bool]]:
        return [(i.is_server, i.is_host) for i in self.items if isinstance(i, Link)]


def test_listener_is_told_events_and_hosts_that_come_and_go(
    parts: Serving, client: Client, runtime: Path
) -> None:
    engines = parts.settings.engines
    shutil.rmtree(engines, ignore_errors=True)
    heard = Heard()
    with hosting(engines, runtime) as host:
        host.tell(3)
        listener = client.engine().listen(heard, after=1)
        wait_until(lambda: heard.seqs == [2, 3])
    wait_until(lambda: heard.links[-1:] == [(True, False)])
    with hosting(engines, runtime, incarnation=2) as host:
        wait_until(lambda: heard.links[-1:] == [(True, True)])
        host.tell(2)
        wait_until(lambda: heard.seqs == [2, 3, 4, 5])
        assert listener.after == 5
        listener.close()
        host.tell(1)
        assert heard.seqs == [2, 3, 4, 5]
    assert heard.links == [(True, True), (True, False), (True, True)]
    assert listener.error is None


def test_listener_goes_on_over_a_server_that_is_lost(parts: Serving, host: Host) -> None:
    heard, places = Heard(), list[str]()

    def locate() -> Endpoint | None:
        return Endpoint(places[-1], parts.tokens["viewer"]) if places else None

    with listening(parts.app) as place:
        transport = Transport(Endpoint(f"http://{place}", parts.tokens["viewer"]), locate=locate)
        client = Client(transport, settings=parts.settings)
        listener = client.engine().listen(heard, after=0)
        host.tell(3)
        wait_until(lambda: heard.seqs == [1, 2, 3])
    wait_until(lambda: heard.links[-1:] == [(False, False)])
    host.tell(2)
    with listening(parts.app) as place:
        places.append(f"http://{place}")
        wait_until(lambda: heard.seqs == [1, 2, 3, 4, 5])
        listener.close()
    client.close()
    # Lost once is told once, however often it is tried again.
    assert heard.links.count((False, False)) == 1
    assert heard.links[-1] == (True, True)


def test_callback_that_raises_is_called_again(client: Client, host: Host) -> None:
    seen: list[int] = []

    def fail(item: Item) -> None:
        if isinstance(item, EngineEvent):
            seen.append(item.seq)
            raise ZeroDivisionError

    with client.engine().listen(fail, after=0):
        host.tell(3)
        wait_until(lambda: seen == [1, 2, 3])


def test_listener_may_close_itself(client: Client, host: Host) -> None:
    done = threading.Event()

    def leave(item: Item) -> None:
        listener.close()
        done.set()

    listener = client.engine().listen(leave, after=0)
    assert done.wait(DEADLINE_SECS)
    listener.close()


def test_refusal_ends_the_listener_and_says_so(parts: Serving, address: str, host: Host) -> None:
    heard = Heard()
    transport = Transport(Endpoint(address, "wb_nobody"))
    with Client(transport, settings=parts.settings) as client:
        listener = client.engine().listen(heard)
        wait_until(lambda: heard.items)
        listener.close()

    (last,) = heard.items
    assert isinstance(last, Link)
    assert last.is_final
    assert isinstance(listener.error, AuthenticationError)


def test_gap_is_told(client: Client, host: Host) -> None:
    host.tell(2)
    with client.engine().stream(after=1_000) as stream:
        items = [stream.take(5) for _ in range(3)]
        while not any(isinstance(i, EngineEvent) for i in items):
            items.append(stream.take(5))

    assert [i for i in items if isinstance(i, Gap)] == [Gap(requested=1_001, first=1)]
    assert next(i.seq for i in items if isinstance(i, EngineEvent)) == 1


def test_quiet_stream_returns_nothing_after_its_time(client: Client, host: Host) -> None:
    with client.engine().stream() as stream:
        while stream.take(1.0) is not None:
            pass
        assert stream.take(0.05) is None
