"""Hosts as processes of their own, on a replay: what they do when they are stopped, killed, blocked or misused."""

from __future__ import annotations

import signal
import stat
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.live.engines import (
    INSTRUMENT,
    build_bar_catalog,
    build_catalog,
    build_config,
    build_strategy,
    find_events,
    guarding,
    read_events,
    running,
    wait_for,
)
from workbench.live.engine_directory import EngineDirectory
from workbench.live.exits import HostExit
from workbench.live.observation import observe_engine


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[EngineDirectory]:
    directory = EngineDirectory(tmp_path / "demo")
    directory.create()
    with guarding(directory):
        yield directory


def test_host_starts_and_streams_orders_and_ends_on_sigterm(
    directory: EngineDirectory, catalog: Path
) -> None:
    directory.save_config(build_config(catalog, build_strategy(is_resting=True)), by="ann")
    with running(directory) as host:
        host.wait_until_running()
        record = directory.load_host()
        assert record is not None
        assert stat.S_IMODE(Path(record.socket).stat().st_mode) == 0o600
        host.wait_for(lambda: len(host.get("/fills")) >= 3, "fills")
        host.wait_for(lambda: any(p["mark"] for p in host.get("/positions")), "a position with a mark")
        (resting,) = [o for o in host.get("/orders?open=true") if o["type"] == "LIMIT"]
        assert (resting["status"], resting["side"], resting["quantity"]) == ("ACCEPTED", "BUY", "1000")
        assert Decimal("0.6") < Decimal(resting["price"]) < Decimal("0.7")
        status = host.get("/status")
        assert [s["state"] for s in status["strategies"]] == ["RUNNING"]
        assert {c["client_id"]: c["is_connected"] for c in status["clients"]} == {"REPLAY": True, "SIM": True}
        assert Decimal(status["valuation"]["equity"]) > 0
        assert host.call("GET", "/orders?open=perhaps")[0] == 422
        assert host.end() == HostExit.ORDERLY
    assert host.directory.load_heartbeat().state == "STOPPED"
    assert not directory.is_held("host")
    events = read_events(directory)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    begun = [b["client_order_id"] for b in find_events(directory, "OrderInitialized")]
    assert len(set(begun)) == len(begun) >= 4
    assert len(find_events(directory, "OrderFilled")) >= 3
    assert find_events(directory, "HostEnded") == [{"code": 0, "reason": "ORDERLY"}]


def test_host_refuses_a_second_one_and_wrong_configurations(
    directory: EngineDirectory, catalog: Path
) -> None:
    config = build_config(catalog)
    directory.save_config(config, by="ann")
    with directory.hold_lock("host"), running(directory) as host:
        assert host.process.wait(20) == HostExit.BUSY
        assert host.read_output().count("\n") == 1
    directory.save_config(build_config(catalog, risk={"max_drawdown": "2"}), by="ann")
    with running(directory) as host:
        assert host.process.wait(20) == HostExit.CONFIG
        assert "risk.max_drawdown" in host.read_output()


def test_host_answers_and_halts_while_a_strategy_loops_and_ends_by_force(
    directory: EngineDirectory, catalog: Path
) -> None:
    config = build_config(catalog, build_strategy("Looper"), stop={"timeout_secs": 1.5, "kill_secs": 1.0})
    directory.save_config(config, by="ann")
    with running(directory) as host:
        host.wait_for(lambda: host.state == "RUNNING", "RUNNING")
        host.wait_for(lambda: host.get("/status")["heartbeat"]["lag_ms"] > 1_100, "a blocked loop")
        order = {"instrument_id": INSTRUMENT, "side": "BUY", "quantity": "1000"}
        status, problem = host.call("POST", "/orders", order)
        assert (status, problem["code"]) == (503, "server_failed")
        assert "the main loop is blocked since" in problem["detail"]
        status, outcome = host.call("POST", "/emergency-stop", {"reason": "it hangs"})
        assert (status, outcome["settled_ns"]) == (200, None)
        latch = directory.load_latch()
        assert latch is not None
        assert (latch.by, latch.reason) == ("ann", "it hangs")
        assert outcome["shut_ns"] <= latch.ts_ns
        assert host.get("/status")["heartbeat"]["trading_state"] == "HALTED"
        assert host.end() == HostExit.FORCED
    assert find_events(directory, "StopForced")


def test_host_stops_in_an_emergency_and_stays_halted_when_it_is_started_again(
    directory: EngineDirectory, catalog: Path
) -> None:
    directory.save_config(build_config(catalog, build_strategy(is_resting=True)), by="ann")
    with running(directory) as host:
        host.wait_until_running()
        host.wait_for(lambda: host.get("/positions"), "a position")
        host.call("POST", "/emergency-stop", {"reason": "a drill"})
        outcome = _wait_until_settled(directory)
        assert (outcome.still_open, outcome.closed) == ([], 1)
        assert outcome.cancelled >= 1
        assert host.get("/positions") == host.get("/orders?open=true") == []
        count = len(host.get("/fills"))
        # The strategy goes on sending, and nothing gets through.
        host.wait_for(lambda: host.get("/status")["trading"]["denials"].get(INSTRUMENT, 0) > 3, "denials")
        assert len(host.get("/fills")) == count
        assert host.call("POST", "/trading-state", {"state": "ACTIVE"})[0] == 409
        assert host.end() == HostExit.ORDERLY
    with running(directory) as host:
        host.wait_until_running()
        assert host.get("/status")["heartbeat"]["trading_state"] == "HALTED"
        _wait_until_settled(directory)
        assert host.call("POST", "/emergency-clear", {"reason": ""})[0] == 422
        assert host.call("POST", "/emergency-clear", {"reason": "understood"}) == (
            200,
            {"effective": "HALTED"},
        )
        assert not directory.is_latched
        assert host.call("POST", "/trading-state", {"state": "ACTIVE"}) == (200, {"effective": "ACTIVE"})
        host.wait_for(lambda: host.get("/fills"), "fills")
        host.end()


def test_host_is_restarted_after_a_kill_with_what_it_held(directory: EngineDirectory, catalog: Path) -> None:
    strategy = build_strategy(every=10, is_resting=True)
    # LIVE says only what holds after a crash: the clients are those of a sandbox.
    directory.save_config(build_config(catalog, strategy, environment="LIVE"), by="ann")
    with running(directory) as host:
        host.wait_until_running()
        assert not find_events(directory, "HostStarted")[0]["has_crashed"]
        host.wait_for(lambda: _hold_still(host), "a position that stays")
        positions, accounts = host.get("/positions"), host.get("/accounts")
        host.wait_for(lambda: b"HALTED" in directory.gate.read_bytes(), "the gate's memory")
        host.wait_for((directory.path / "strategies.json").exists, "the memory of the strategies")
        host.end(signal.SIGKILL)
    with running(directory) as host:
        host.wait_until_running()
        assert host.get("/status")["heartbeat"]["trading_state"] == "HALTED"
        after = host.get("/positions")
        assert [_describe(p) for p in after] == [_describe(p) for p in positions]
        assert host.get("/accounts")[0]["balances"][0]["total"] == accounts[0]["balances"][0]["total"]
        assert host.get("/orders?open=true") == []
        assert find_events(directory, "HostStarted")[1]["has_crashed"]
        reasons = [b["reason"] for b in find_events(directory, "state")]
        assert any(r.startswith("recovery: REDUCING") for r in reasons)
        assert reasons[-1] == "recovery lifted: reconciled"
        assert [b["strategy_ids"] for b in find_events(directory, "StatesLoaded")] == [["QuoteTrader-001"]]
        host.end()


@pytest.mark.parametrize("name", ["QuoteTrader", "BarTrader"])
def test_host_closes_what_is_open_in_liquidate_mode(
    directory: EngineDirectory, catalog: Path, tmp_path: Path, name: str
) -> None:
    if name == "BarTrader":  # No strategy asks for bars while it closes, and there are no quotes
        catalog = build_bar_catalog(tmp_path / "bars")
    directory.save_config(build_config(catalog, build_strategy(name)), by="ann")
    with running(directory) as host:
        host.wait_until_running()
        host.wait_for(lambda: _hold_still(host), "a position that stays")
        host.end(signal.SIGKILL)
    _latch(directory)
    with running(directory, "--liquidate") as host:
        assert host.process.wait(20) == HostExit.ORDERLY
    outcome = directory.load_outcome()
    assert outcome is not None
    assert (outcome.still_open, outcome.closed) == ([], 1)
    assert outcome.settled_ns is not None
    assert directory.is_latched
    states = {b["component_id"] for b in find_events(directory, "ComponentStateChanged")}
    assert f"{name}-001" in states


@pytest.mark.parametrize("name", ["Raiser", "TimerRaiser"])
def test_host_stops_the_strategy_that_raises_and_no_other(
    directory: EngineDirectory, catalog: Path, name: str
) -> None:
    wrong = build_strategy(name, order_id_tag="002", is_resting=True, every=1_000)
    directory.save_config(build_config(catalog, build_strategy(), wrong), by="ann")
    with running(directory) as host:
        host.wait_until_running()
        rows = host.wait_for(lambda: [s for s in host.get("/status")["strategies"] if s["error"]], "an error")
        (row,) = rows
        assert row["strategy_id"] == f"{name}-002"
        host.wait_for(lambda: _find_state(host, f"{name}-002") == "STOPPED", "STOPPED")
        assert "is wrong" in row["error"]
        assert "host_strategies.py" in row["error"]
        assert _find_state(host, "QuoteTrader-001") == "RUNNING"
        host.wait_for(lambda: host.get("/orders?open=true") == [], "its order cancelled")
        count = len(host.get("/fills"))
        host.wait_for(lambda: len(host.get("/fills")) > count, "the other goes on")
        (failure,) = find_events(directory, "StrategyFailed")
        assert failure["component_id"] == f"{name}-002"
        assert host.end() == HostExit.ORDERLY


def test_host_takes_orders_by_hand(directory: EngineDirectory, catalog: Path) -> None:
    directory.save_config(build_config(catalog), by="ann")
    with running(directory) as host:
        host.wait_until_running()
        far = {
            "instrument_id": INSTRUMENT,
            "side": "BUY",
            "quantity": "1000",
            "type": "LIMIT",
            "price": "0.5",
        }
        status, answer = host.wait_for(lambda: _submit(host, far), "an instrument")
        assert status == 201
        order_id = answer["client_order_id"]
        row = host.wait_for(lambda: _find_order(host, order_id, "ACCEPTED"), "ACCEPTED")
        assert row["strategy_id"] == "MANUAL-ann"
        assert host.call("PATCH", f"/orders/{order_id}", {"price": "0.6"})[0] == 202
        host.wait_for(lambda: _find_order(host, order_id, "ACCEPTED")["price"] == "0.60000", "the new price")
        assert host.call("DELETE", f"/orders/{order_id}")[0] == 202
        host.wait_for(lambda: _find_order(host, order_id, "CANCELED"), "CANCELED")
        assert host.call("DELETE", f"/orders/{order_id}")[0] == 409
        assert host.call("DELETE", "/orders/none")[0] == 404
        for wrong, field in (
            ({"quantity": "0.5"}, "quantity"),
            ({"price": "0.1234567"}, "price"),
            ({"side": "SIDEWAYS"}, "side"),
            ({"instrument_id": "NO.WHERE"}, "instrument_id"),
        ):
            status, problem = host.call("POST", "/orders", {**far, **wrong})
            assert (status // 100, problem["field"]) == (4, field)
        # A sandbox rejects what is sent before the first quote.
        host.wait_for(lambda: "QuoteTick" in str(host.get("/status")["market_data"]), "quotes")
        market = {"instrument_id": INSTRUMENT, "side": "BUY", "quantity": "3000"}
        host.call("POST", "/orders", market)
        (position,) = host.wait_for(lambda: host.get("/positions"), "a position")
        target = f"/positions/{position['position_id'].replace('/', '%2F')}/close"
        assert host.call("POST", target, {"quantity": "4000"})[0] == 422
        assert host.call("POST", target, {"quantity": "1000"})[0] == 201
        host.wait_for(lambda: host.get("/positions")[0]["quantity"] == "2000", "a smaller position")
        host.call("POST", "/trading-state", {"state": "REDUCING", "reason": "enough"})
        assert host.call("POST", "/orders", market)[0] == 201
        host.wait_for(lambda: host.get("/status")["trading"]["denials"].get(INSTRUMENT), "a denial")
        assert host.call("POST", target, {})[0] == 201
        host.wait_for(lambda: host.get("/positions") == [], "no position")
        assert {b["user"] for b in find_events(directory, "ManualOrder")} == {"ann"}
        # A stop that flattens.
        host.call("POST", "/trading-state", {"state": "ACTIVE"})
        host.call("POST", "/orders", market)
        host.wait_for(lambda: host.get("/positions"), "a position")
        assert host.call("POST", "/stop", {"is_flattening": True})[0] == 202
        assert host.process.wait(20) == HostExit.ORDERLY
    (flattened,) = find_events(directory, "Flattened")
    assert flattened == {"cancelled": 0, "closed": 1, "still_open": []}
    # Those that no strategy made have a beginning too, and just one.
    begun = [b["client_order_id"] for b in find_events(directory, "OrderInitialized")]
    assert len(set(begun)) == len(begun)
    filled = {b["client_order_id"] for b in find_events(directory, "OrderFilled")}
    assert {"GATE", "HAND"} <= {name.partition("-")[0] for name in filled}
    assert filled <= set(begun)


def _wait_until_settled(directory: EngineDirectory) -> Any:
    def find() -> Any:
        outcome = directory.load_outcome()
        return outcome if outcome is not None and outcome.settled_ns is not None else None

    return wait_for(find, "settled")


def _find_state(host: Any, strategy_id: str) -> str:
    return next(s["state"] for s in host.get("/status")["strategies"] if s["strategy_id"] == strategy_id)


def _find_order(host: Any, order_id: str, status: str) -> Any:
    found = [o for o in host.get("/orders") if o["client_order_id"] == order_id and o["status"] == status]
    return found[0] if found else None


def _submit(host: Any, values: Any) -> Any:
    status, answer = host.call("POST", "/orders", values)
    return (status, answer) if status != 404 else None


def _hold_still(host: Any) -> bool:
    """Stop new orders and return whether there is a position; if there is none, go on."""
    host.call("POST", "/trading-state", {"state": "HALTED", "reason": "so that nothing moves"})
    host.wait_for(
        lambda: all(o["status"] == "ACCEPTED" for o in host.get("/orders?open=true")), "no order on its way"
    )
    if host.get("/positions"):
        # What is written after all that is on disk after all that.
        host.call("POST", "/trading-state", {"state": "HALTED", "reason": "all of it"})
        host.wait_for(
            lambda: [b for b in find_events(host.directory, "state") if b["reason"].endswith("all of it")],
            "the journal",
        )
        return True
    host.call("POST", "/trading-state", {"state": "ACTIVE"})
    return False


def _describe(position: Any) -> tuple[Any, ...]:
    return tuple(position[name] for name in ("strategy_id", "side", "quantity", "avg_px_open", "ts_opened"))


def _latch(directory: EngineDirectory) -> None:
    from workbench.engine_records import EmergencyPolicy, Latch

    now_ns = time.time_ns()
    directory.write_latch(
        Latch(at="2026-01-01T00:00:00Z", ts_ns=now_ns, by="ann", reason="a drill", policy=EmergencyPolicy())
    )


def test_host_whose_quotes_are_old_says_so(directory: EngineDirectory, catalog: Path) -> None:
    # A quote in ten seconds: the clients say that they are connected all the while
    config = build_config(catalog, build_strategy(), speed=0.01, health={"max_quote_age_secs": 0.5})
    directory.save_config(config, by="ann")
    with running(directory) as host:
        host.wait_until_running()
        host.wait_for(lambda: _find_old(directory), "a reason why the light is not green")
        assert all(c["is_connected"] for c in host.get("/status")["clients"])
        assert not observe_engine(directory).is_green
        assert any(
            "quotes" in p for body in find_events(directory, "HealthChanged") for p in body["problems"]
        )
        host.end()


def _find_old(directory: EngineDirectory) -> list[str]:
    return [r for r in observe_engine(directory).reasons if r.startswith("GBP/USD.SIM quotes")]
