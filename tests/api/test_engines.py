"""The engines over HTTP: where they stand, what is done to them, in one call or two, and in whose name."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.api.engine_hosts import ACCOUNT, FILL, LIVE, ORDER, POSITION, Host, build_engine, hosting
from tests.api.serving import Serving
from tests.api.test_problems import check
from workbench.api import engines
from workbench.client.problems import build_problem_error
from workbench.engine_records import Risks
from workbench.errors import ConfirmationRequiredError

TABLES = {"orders": ORDER, "fills": FILL, "positions": POSITION, "accounts": ACCOUNT}


@pytest.fixture
def runtime() -> Iterator[Path]:
    """Return a directory whose path is short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="wb"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def clean(shared: Serving) -> Iterator[None]:
    shutil.rmtree(shared.settings.engines, ignore_errors=True)
    yield
    shutil.rmtree(shared.settings.engines, ignore_errors=True)


@pytest.fixture
def host(shared: Serving, runtime: Path) -> Iterator[Host]:
    """Return the host of the default engine, a SANDBOX one."""
    with hosting(shared.settings.engines, runtime) as host:
        yield host


@pytest.fixture
def live(shared: Serving, runtime: Path) -> Iterator[Host]:
    with hosting(shared.settings.engines, runtime, config=LIVE) as host:
        yield host


def read_confirmation(response: httpx.Response) -> ConfirmationRequiredError:
    problem = check(response, 409, "confirmation_required")
    error = build_problem_error(409, response.content)
    assert isinstance(error, ConfirmationRequiredError)
    assert error.risks == problem["risks"]
    assert len(error.confirm_token) > 40
    return error


def act(shared: Serving, path: str, **body: Any) -> httpx.Response:
    return shared.post(path, user="trader", json=body)


def test_unknown_engine_is_not_found(shared: Serving) -> None:
    for path in ("/engine/status", "/engines/nobody/status", "/engine/config", "/engine/orders"):
        check(shared.get(path), 404, "not_found")
    check(shared.post("/engine/start"), 404, "not_found")
    check(shared.get("/engines/Not%20a%20name/status"), 404, "not_found")
    assert shared.get("/engines").json() == {"items": []}
    assert act(shared, "/engines/emergency-stop").json() == {"items": []}


def test_default_engine_has_two_addresses(shared: Serving, host: Host) -> None:
    short, long = shared.get("/engine/status").json(), shared.get("/engines/default/status").json()

    for status in (short, long):
        assert (status["status"]["name"], status["status"]["is_alive"]) == ("default", True)
        assert status["facts"]["valuation"]["gross"] == "3000"
    assert [one["name"] for one in shared.get("/engines").json()["items"]] == ["default"]


def test_status_of_a_host_that_hangs_comes_from_disk_in_time(shared: Serving, host: Host) -> None:
    host.mute.set()
    began = time.monotonic()

    found = shared.get("/engine/status").json()

    assert time.monotonic() - began < 4
    assert (found["status"]["is_alive"], found.get("facts")) == (True, None)
    assert "does not answer" in found["trouble"]


def test_status_of_a_stopped_engine_has_no_facts(shared: Serving) -> None:
    build_engine(shared.settings.engines)

    found = shared.get("/engine/status", user="viewer").json()

    assert (found["status"]["is_alive"], found.get("facts"), found["trouble"]) == (False, None, "")


@pytest.mark.parametrize("table", TABLES)
def test_table_is_what_the_host_says(shared: Serving, host: Host, table: str) -> None:
    assert shared.get(f"/engine/{table}", user="viewer").json() == {
        "items": [msgspec.to_builtins(TABLES[table])]
    }
    assert (host.told[-1]["path"], host.told[-1]["user"]) == (f"/{table}", "viewer")


def test_queries_of_tables_reach_the_host(shared: Serving, host: Host) -> None:
    shared.get("/engine/orders?open=true")
    shared.get("/engine/fills?limit=7")

    assert [one["query"] for one in host.told] == ["open=true", "limit=7"]
    check(shared.get("/engine/fills?limit=0"), 422, "input_invalid")


@pytest.mark.parametrize("table", TABLES)
def test_table_of_a_stopped_engine_is_a_conflict(shared: Serving, table: str) -> None:
    build_engine(shared.settings.engines)

    problem = check(shared.get(f"/engine/{table}"), 409, "conflict")

    assert "not running" in problem["detail"]


def test_host_that_does_not_answer_is_a_503_within_its_deadline(
    shared: Serving, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.mute.set()
    began = time.monotonic()

    check(shared.get("/engine/orders"), 503, "server_failed")
    assert time.monotonic() - began < 8


def test_host_that_answers_nonsense_is_a_503(shared: Serving, host: Host) -> None:
    host.answers["/orders"] = (200, [{"side": 7}])

    assert "not agreed" in check(shared.get("/engine/orders"), 503, "server_failed")["detail"]


def test_refusal_of_the_host_is_passed_on(shared: Serving, host: Host) -> None:
    host.answers["/orders"] = (
        422,
        {"code": "input_invalid", "detail": "no such instrument", "field": "instrument_id", "advice": "look"},
    )

    response = act(shared, "/engine/orders", instrument_id="A.B", side="BUY", quantity="1")

    problem = check(response, 422, "input_invalid")
    assert (problem["detail"], problem["field"], problem["advice"]) == (
        "no such instrument",
        "instrument_id",
        "look",
    )


def test_order_by_hand_reaches_the_host_with_a_name_on_it(shared: Serving, host: Host) -> None:
    sent = act(shared, "/engine/orders", instrument_id="GBP/USD.SIM", side="SELL", quantity="10")
    shared.request("PATCH", "/engine/orders/O-1", user="trader", json={"price": "1.60"})
    shared.request("DELETE", "/engine/orders/O-1", user="trader")
    act(shared, "/engine/positions/GBP%2FUSD.SIM-S-1/close", quantity="5")
    shared.post("/engine/positions/P-2/close", user="trader")

    assert (sent.status_code, sent.json()) == (202, {"client_order_id": "O-2"})
    assert {one["user"] for one in host.told} == {"trader"}
    assert [(one["method"], one["path"]) for one in host.told] == [
        ("POST", "/orders"),
        ("PATCH", "/orders/O-1"),
        ("DELETE", "/orders/O-1"),
        ("POST", "/positions/GBP%2FUSD.SIM-S-1/close"),
        ("POST", "/positions/P-2/close"),
    ]
    assert host.told[0]["body"] == {
        "instrument_id": "GBP/USD.SIM",
        "side": "SELL",
        "type": "MARKET",
        "quantity": "10",
        "time_in_force": "GTC",
        "is_reduce_only": False,
        "is_post_only": False,
    }
    assert [one["body"] for one in host.told[1:]] == [{"price": "1.60"}, None, {"quantity": "5"}, {}]


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": "1e3"},
        {"quantity": "-1"},
        {"quantity": 1.5},
        {"side": "HOLD"},
        {"price": "NaN"},
        {"x": 1},
    ],
    ids=str,
)
def test_wrong_order_never_reaches_the_host(shared: Serving, host: Host, change: dict[str, Any]) -> None:
    wish = {"instrument_id": "GBP/USD.SIM", "side": "BUY", "quantity": "1", **change}

    check(act(shared, "/engine/orders", **wish), 422, "input_invalid")
    assert host.told == []


def test_lowering_the_trading_state_takes_one_call(shared: Serving, live: Host) -> None:
    for state in ("REDUCING", "HALTED", "HALTED"):
        response = act(shared, "/engine/trading-state", state=state, reason="news")
        assert (response.status_code, response.json()) == (200, {"effective": state})
    assert live.told[-1]["body"] == {"state": "HALTED", "reason": "news"}
    assert live.told[-1]["user"] == "trader"


def test_leaving_halted_takes_two_calls(shared: Serving, host: Host) -> None:
    host.trading_state = "HALTED"
    host.beat(breach="max_daily_loss")
    error = read_confirmation(act(shared, "/engine/trading-state", state="REDUCING"))
    risks = msgspec.convert(error.risks, Risks)
    assert (risks.word, risks.environment, risks.action) == ("y", "SANDBOX", "trading-state")
    assert (risks.orders, risks.positions) == ([ORDER], [POSITION])
    assert (risks.gross, risks.currency) == ("3000", "USD")
    assert any("max_daily_loss" in line for line in risks.lines)
    assert "/trading-state" not in [one["path"] for one in host.told]

    # Not for another state, nor for another person.
    token = error.confirm_token
    read_confirmation(act(shared, "/engine/trading-state", state="ACTIVE", confirm_token=token))
    wish = {"state": "REDUCING", "confirm_token": token}
    read_confirmation(shared.post("/engine/trading-state", user="admin", json=wish))
    assert act(shared, "/engine/trading-state", **wish).json() == {"effective": "REDUCING"}
    # In a sandbox that is all; and the token is used up.
    assert act(shared, "/engine/trading-state", state="ACTIVE").json() == {"effective": "ACTIVE"}
    act(shared, "/engine/trading-state", state="HALTED")
    again = read_confirmation(act(shared, "/engine/trading-state", **wish))
    assert "used" in str(again)


def test_more_risk_in_a_live_engine_takes_two_calls(shared: Serving, live: Host) -> None:
    live.trading_state = "REDUCING"
    live.beat()

    error = read_confirmation(act(shared, "/engine/trading-state", state="ACTIVE"))
    assert error.risks["word"] == "LIVE"
    done = act(shared, "/engine/trading-state", state="ACTIVE", confirm_token=error.confirm_token)
    assert done.json() == {"effective": "ACTIVE"}


def test_confirmation_of_a_state_that_has_changed_is_asked_for_again(shared: Serving, live: Host) -> None:
    live.trading_state = "REDUCING"
    live.beat()
    token = read_confirmation(act(shared, "/engine/trading-state", state="ACTIVE")).confirm_token
    live.trading_state = "HALTED"
    live.beat()

    read_confirmation(act(shared, "/engine/trading-state", state="ACTIVE", confirm_token=token))


def test_risks_are_told_though_the_host_says_nothing(shared: Serving, host: Host) -> None:
    host.trading_state = "HALTED"
    host.beat()
    host.mute.set()

    error = read_confirmation(act(shared, "/engine/trading-state", state="ACTIVE"))

    assert any("nobody can say" in line for line in error.risks["lines"])


def test_trading_state_of_a_stopped_engine_is_a_conflict(shared: Serving) -> None:
    build_engine(shared.settings.engines)

    check(act(shared, "/engine/trading-state", state="HALTED"), 409, "conflict")


def test_start_of_an_engine_that_runs_changes_nothing(shared: Serving, live: Host) -> None:
    response = act(shared, "/engine/start")

    assert (response.status_code, response.json()["state"]) == (202, "RUNNING")


def test_start_of_a_live_engine_takes_two_calls(shared: Serving) -> None:
    build_engine(shared.settings.engines, config={**LIVE, "node": {"exec_clients": {"BINANCE": {}}}})

    error = read_confirmation(act(shared, "/engine/start"))

    assert (error.risks["word"], error.risks["action"]) == ("LIVE", "start")
    assert any("BINANCE" in line for line in error.risks["lines"])
    directory = build_engine(shared.settings.engines, config=LIVE)
    # Another version than the one that was looked at is not started.
    read_confirmation(act(shared, "/engine/start", confirm_token=error.confirm_token))
    assert directory.load_desired() is None


def test_restart_of_a_live_engine_shows_what_is_open(shared: Serving, live: Host) -> None:
    error = read_confirmation(act(shared, "/engine/restart"))

    assert [one["client_order_id"] for one in error.risks["orders"]] == ["O-1"]
    desired = live.directory.load_desired()
    assert desired is not None
    assert desired.request == 1


def test_engine_is_stopped_started_and_restarted(shared: Serving, host: Host) -> None:
    stopped = act(shared, "/engine/stop", is_flattening=True)
    assert (stopped.status_code, stopped.json()["state"]) == (202, "STOPPED")
    desired = host.directory.load_desired()
    assert desired is not None
    assert (desired.by, desired.is_flattening, desired.state) == ("trader", True, "STOPPED")
    check(shared.get("/engine/orders"), 409, "conflict")

    assert act(shared, "/engine/start").json()["state"] == "RUNNING"
    assert act(shared, "/engine/restart").json()["state"] == "RUNNING"
    desired = host.directory.load_desired()
    assert desired is not None
    assert (desired.by, desired.request, desired.is_flattening) == ("trader", 5, False)


def test_stop_that_takes_long_is_answered_while_it_goes_on(
    shared: Serving, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_WAIT_SECS", 0.2)
    going = threading.Event()

    def stop(*_: Any, **__: Any) -> Any:
        going.wait(20)

    monkeypatch.setattr("workbench.live.launch.stop_engine", stop)
    try:
        response = act(shared, "/engine/stop")
        assert (response.status_code, response.json()["state"]) == (202, "RUNNING")
    finally:
        going.set()


def test_restart_of_a_live_engine_is_confirmed(shared: Serving, live: Host) -> None:
    error = read_confirmation(act(shared, "/engine/restart"))

    done = act(shared, "/engine/restart", confirm_token=error.confirm_token)
    assert (done.status_code, done.json()["state"]) == (202, "RUNNING")


def test_version_that_is_not_there_is_not_started(shared: Serving) -> None:
    build_engine(shared.settings.engines)

    check(act(shared, "/engine/start", config_version=9), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["start", "stop", "restart", "trading-state", "emergency-stop", "emergency-clear"]
)
@pytest.mark.parametrize("user", ["viewer", "researcher", "approver"])
def test_who_may_only_look_changes_nothing(shared: Serving, host: Host, path: str, user: str) -> None:
    response = shared.post(f"/engine/{path}", user=user, json={})

    check(response, 403, "forbidden")
    assert host.told == []
    assert not host.directory.is_latched


def test_emergency_stop_takes_one_call_and_may_be_repeated(shared: Serving, live: Host) -> None:
    first = act(shared, "/engine/emergency-stop", reason="fire").json()
    second = shared.post("/engine/emergency-stop", user="trader").json()

    assert first["outcome"]["latch"]["by"] == "trader"
    assert first["outcome"]["latch"]["reason"] == "fire"
    assert second["outcome"]["latch"] == first["outcome"]["latch"]
    assert first["outcome"]["shut_ns"] > 0
    assert [one["user"] for one in live.told] == ["trader", "trader"]
    status = shared.get("/engine/status").json()["status"]
    assert status["latch"]["reason"] == "fire"
    assert not status["is_green"]


def test_emergency_stop_of_a_host_that_hangs_is_latched_all_the_same(shared: Serving, host: Host) -> None:
    host.mute.set()
    began = time.monotonic()

    answer = act(shared, "/engine/emergency-stop", reason="fire").json()

    assert time.monotonic() - began < 3
    assert answer["outcome"]["shut_ns"] == 0
    assert host.directory.is_latched


def test_emergency_stop_of_all_engines_is_not_kept_by_one(
    shared: Serving, host: Host, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosting(shared.settings.engines, runtime, "other", config=LIVE) as other:
        host.mute.set()
        answer = act(shared, "/engines/emergency-stop", reason="fire").json()["items"]

        assert [one["engine"] for one in answer] == ["default", "other"]
        assert [one["error"] for one in answer] == ["", ""]
        assert other.directory.is_latched
        assert host.directory.is_latched
        assert other.trading_state == "HALTED"


def test_emergency_is_cleared_in_two_calls_with_a_reason(shared: Serving, host: Host) -> None:
    check(act(shared, "/engine/emergency-clear", reason="all well"), 409, "conflict")
    act(shared, "/engine/emergency-stop", reason="fire")

    check(act(shared, "/engine/emergency-clear"), 422, "input_invalid")
    check(act(shared, "/engine/emergency-clear", reason="  "), 422, "input_invalid")
    error = read_confirmation(act(shared, "/engine/emergency-clear", reason="all well"))
    assert any("fire" in line and "trader" in line for line in error.risks["lines"])
    assert any("not finished" in line for line in error.risks["lines"])
    assert host.directory.is_latched
    wish = {"reason": "all well", "confirm_token": error.confirm_token}
    done = act(shared, "/engine/emergency-clear", **wish)

    assert (done.status_code, done.json()["latch"]) == (200, None)
    assert not host.directory.is_latched
    # A later stop is another one.
    act(shared, "/engine/emergency-stop", reason="fire again")
    token = read_confirmation(act(shared, "/engine/emergency-clear", reason="well")).confirm_token
    host.directory.clear_latch()
    act(shared, "/engine/emergency-stop", reason="once more")
    read_confirmation(act(shared, "/engine/emergency-clear", reason="well", confirm_token=token))
