"""One host that trades on while its strategies are stopped, started, added and removed, and what it tells meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.live.engines import (
    INSTRUMENT,
    Host,
    build_catalog,
    build_config,
    build_strategy,
    find_events,
    guarding,
    running,
)
from workbench.live.engine_directory import EngineDirectory
from workbench.live.equity_history import read_equity

MORE = build_strategy(order_id_tag="777", every=2)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineDirectory]:
    catalog = build_catalog(tmp_path_factory.mktemp("catalog"))
    directory = EngineDirectory(tmp_path_factory.mktemp("engines") / "demo")
    directory.create()
    strategies = build_strategy(every=2), build_strategy("Raiser", order_id_tag="666", is_resting=True)
    directory.save_config(build_config(catalog, *strategies), by="ann")
    with guarding(directory):
        yield directory


@pytest.fixture(scope="module")
def host(directory: EngineDirectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        with running(directory) as host:
            host.wait_until_running()
            yield host


def find_strategy(host: Host, name: str) -> dict[str, Any] | None:
    return next((s for s in host.get("/status")["strategies"] if s["strategy_id"] == name), None)


def count_fills(host: Host, name: str) -> int:
    return sum(fill["strategy_id"] == name for fill in host.get("/fills?limit=5000"))


def test_day_and_strategies_have_a_pnl_without_any_limit(host: Host, directory: EngineDirectory) -> None:
    def find_traded() -> Any:
        status = host.get("/status")
        return status if "QuoteTrader-001" in status.get("strategy_pnl", {}) else None

    status = host.wait_for(find_traded, "a strategy that has traded")
    valuation = status["valuation"]
    assert Decimal(valuation["day_pnl"]) == Decimal(valuation["equity"]) - Decimal(valuation["day_equity"])
    assert (valuation["missing"], valuation["currency"]) == ("", "USD")
    # All that is made is some strategy's.
    made = [Decimal(p["realized"]) + Decimal(p["unrealized"]) for p in status["strategy_pnl"].values()]
    assert abs(sum(made) - (Decimal(valuation["equity"]) - 1_000_000)) < Decimal("0.02") * 100
    sample = host.wait_for(lambda: read_equity(directory.equity).items, "a sample")[0]
    assert Decimal(sample.equity) > 0
    assert sample.day_pnl is not None


def test_health_is_told_with_its_measures(host: Host) -> None:
    status = host.get("/status")
    assert status["trader"] == "RUNNING"
    assert status["clock"]["venues"] == {}  # A replay is stamped by this clock
    resources = status["resources"]
    assert 0 < resources["descriptors"] < resources["descriptors_limit"]
    assert resources["cpu_percent"] >= 0
    assert set(status["log"]) == {"errors", "warnings", "recent_errors"}
    assert status["round_trip"]["count"] > 0


def test_failed_strategy_is_started_again_and_named_in_the_journal(
    host: Host, directory: EngineDirectory
) -> None:
    row = host.wait_for(lambda: (r := find_strategy(host, "Raiser-666")) and r["error"] and r, "a failure")
    assert row["state"] == "STOPPED"
    events = len(find_events(directory, "StrategyFailed"))
    status, answer = host.call("POST", "/strategies/Raiser-666/start", {}, user="bob")
    assert (status, answer) == (202, {"strategy_id": "Raiser-666", "state": "RUNNING"})
    # It begins anew: after three quotes it raises again, and its order has an id of its own.
    host.wait_for(lambda: len(find_events(directory, "StrategyFailed")) > events, "another failure")
    assert find_events(directory, "StrategyStarted")[0] == {
        "user": "bob",
        "strategy_id": "Raiser-666",
        "has_failed": True,
    }
    begun = [b["client_order_id"] for b in find_events(directory, "OrderInitialized")]
    assert len(set(begun)) == len(begun)


def test_strategy_is_stopped_and_started_and_trades_once_for_each_quote(
    host: Host, directory: EngineDirectory
) -> None:
    name = "QuoteTrader-001"
    assert host.call("POST", f"/strategies/{name}/start")[0] == 409
    status, answer = host.call("POST", f"/strategies/{name}/stop", {"is_cancelling": True})
    assert (status, answer["state"]) == (202, "STOPPED")
    assert host.call("POST", f"/strategies/{name}/stop", {})[0] == 409
    seen = count_fills(host, name)
    assert host.call("POST", f"/strategies/{name}/start")[1]["state"] == "RUNNING"
    host.wait_for(lambda: count_fills(host, name) > seen + 2, "fills after the start")
    assert find_strategy(host, name)["error"] == ""


def test_strategy_is_added_trades_and_is_removed_without_a_twin(
    host: Host, directory: EngineDirectory
) -> None:
    name = "QuoteTrader-777"
    for _ in range(2):
        status, answer = host.call("POST", "/strategies", MORE)
        assert (status, answer["strategy_id"]) == (201, name)
        assert find_strategy(host, name)["path"] == MORE["strategy_path"]
        seen = count_fills(host, name)
        host.wait_for(lambda seen=seen: count_fills(host, name) > seen, "a fill")
        assert host.call("POST", "/strategies", MORE)[0] == 409
        assert host.call("POST", f"/strategies/{name}/stop", {})[0] == 202
        if any(p["strategy_id"] == name for p in host.get("/positions")):
            status, problem = host.call("DELETE", f"/strategies/{name}")
            assert (status, "open orders" in problem["detail"]) == (409, True)
        close_all(host, name)
        host.wait_for(lambda: host.call("DELETE", f"/strategies/{name}")[0] == 202, "it is removed")
        assert find_strategy(host, name) is None
    fills = [f["trade_id"] for f in host.get("/fills?limit=5000") if f["strategy_id"] == name]
    assert len(set(fills)) == len(fills)
    assert [e["user"] for e in find_events(directory, "StrategyAdded")] == ["ann", "ann"]
    assert len(find_events(directory, "StrategyRemoved")) == 2


def close_all(host: Host, name: str) -> None:
    def close() -> bool:
        held = [p for p in host.get("/positions") if p["strategy_id"] == name]
        for position in held:
            host.call("POST", f"/positions/{position['position_id'].replace('/', '%2F')}/close", {})
        return not held

    host.wait_for(close, "flat")


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({**MORE, "strategy_path": "tests.live.host_strategies:Nobody"}, 422, "cannot be built"),
        ({**MORE, "strategy_path": "decimal:Decimal"}, 422, ""),
        ({**MORE, "config": {"instrument_id": INSTRUMENT, "no": 1}}, 422, "cannot be built"),
        ({"strategy_path": "x"}, 422, "config_path"),
        ({**MORE, "config": {"instrument_id": "env:WORKBENCH_NO_SUCH_NAME"}}, 422, "environment"),
    ],
)
def test_strategy_that_cannot_be_built_is_refused(
    host: Host, body: dict[str, Any], status: int, word: str
) -> None:
    found, problem = host.call("POST", "/strategies", body)
    assert found == status
    assert word in problem["detail"]


def test_strategy_that_is_not_there_is_not_found(host: Host) -> None:
    for method, target in (("POST", "/stop"), ("POST", "/start"), ("DELETE", "")):
        assert host.call(method, f"/strategies/Nobody-000{target}", {})[0] == 404


def test_drill_is_switched_on_and_off_and_told(host: Host, directory: EngineDirectory) -> None:
    def find_drills() -> list[str]:
        return [d["mode"] for feed in host.get("/status")["feeds"] for d in feed["drills"]]

    assert host.call("POST", "/drills", {"mode": "stall", "secs": 60.0}) == (200, {"feeds": ["REPLAY"]})
    host.wait_for(lambda: find_drills() == ["stall"], "the drill")
    assert host.call("POST", "/drills", {}) == (200, {"feeds": ["REPLAY"]})
    host.wait_for(lambda: find_drills() == [], "its end")
    assert host.call("POST", "/drills", {"mode": "flood"})[0] == 422
    assert host.call("POST", "/drills", {"mode": "stall", "client_id": "NONE"})[0] == 404
    assert host.call("POST", "/drills", {"modes": "stall"})[0] == 422
    told = find_events(directory, "DrillSwitched")
    assert told[0] == {"user": "ann", "feeds": ["REPLAY"], "mode": "stall", "secs": 60.0}
