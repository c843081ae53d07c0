"""What is wrong with an engine: measurements against thresholds."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.engine_records import StrategyRow
from workbench.live.config import HealthPolicy
from workbench.live.health import find_problems

FACTS: dict[str, Any] = {
    "data": [
        {"name": "GBP/USD.SIM quotes", "has_data": True, "age_secs": 0.2, "interval_secs": 0.0},
        {
            "name": "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
            "has_data": True,
            "age_secs": 70.0,
            "interval_secs": 60.0,
        },
    ],
    "clients": [{"client_id": "SIM", "kind": "execution", "is_connected": True}],
    "queues": {"data": 3},
    "round_trip": {"median_ms": 2.0, "worst_ms": 9.0, "count": 3, "waiting_ms": 5.0},
    "trader": "RUNNING",
    "clock": {"offset_ms": 0.5, "source": "kernel", "kernel": {"is_synchronised": True}},
}
RESOURCES = {
    "disk_free_bytes": 10**10,
    "memory_bytes": 4 * 10**8,
    "cpu_percent": 30.0,
    "threads": 20,
    "descriptors": 50,
    "descriptors_limit": 1024,
}
UNKEPT = {"offset_ms": None, "source": "", "kernel": {"is_synchronised": False}}
FAILED = StrategyRow(
    strategy_id="EMACross-001", path="m:EMACross", state="STOPPED", error="Traceback\nValueError: no"
)


def _find(policy: HealthPolicy | None = None, **changes: Any) -> dict[str, str]:
    facts = FACTS | {name: value for name, value in changes.items() if name in FACTS}
    rest = {name: value for name, value in changes.items() if name not in FACTS}
    return find_problems(
        policy or HealthPolicy(), facts=facts, resources=rest.pop("resources", RESOURCES), **rest
    )


def test_engine_that_is_well_has_no_problem() -> None:
    assert _find() == {}


def test_engine_that_has_told_nothing_yet_has_no_problem() -> None:
    assert find_problems(HealthPolicy(), facts={}, resources=RESOURCES) == {}


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        (
            {"data": [{**FACTS["data"][0], "age_secs": 31.0}]},
            "data GBP/USD.SIM quotes",
            "GBP/USD.SIM quotes is 31 s old",
        ),
        (
            {"data": [{**FACTS["data"][1], "age_secs": 91.0, "has_data": False}]},
            "data GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
            "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL has not come for 91 s",
        ),
        (
            {"clients": [{**FACTS["clients"][0], "is_connected": False}]},
            "client SIM execution",
            "the execution client SIM is not connected",
        ),
        ({"queues": {"data": 10_001}}, "queue data", "10,001 messages wait in the queue of data"),
        (
            {"round_trip": {"median_ms": 2_500.0}},
            "round trip",
            "the venue takes 2,500 ms to answer an order",
        ),
        (
            {"resources": {**RESOURCES, "disk_free_bytes": 999_000_000}},
            "disk",
            "only 999 MB are left on its disk",
        ),
        ({"trader": "STOPPED"}, "trader", "nautilus's trader is STOPPED, and not RUNNING"),
        (
            {"round_trip": {"median_ms": 2.0, "waiting_ms": 61_000.0}},
            "no answer",
            "the venue has not answered an order for 61.0 s",
        ),
        ({"errors": 11}, "errors", "11 errors in its log within 5 minutes"),
        (
            {"clock": {"offset_ms": -501.0, "source": "market data"}},
            "clock",
            "the clock is at least 501 ms behind, by the stamps of market data",
        ),
        (
            {"clock": {"offset_ms": 900.0, "source": "market data"}},
            "clock",
            "market data come 900 ms late: the clock is ahead, or the feed is slow",
        ),
        (
            {"clock": {"offset_ms": 700.0, "source": "kernel"}},
            "clock",
            "the kernel says that its clock is 700 ms off",
        ),
        (
            {"clock": UNKEPT, "is_live": True},
            "clock",
            "nothing keeps the clock of this machine right: the kernel's is not synchronised",
        ),
        (
            {"resources": {**RESOURCES, "cpu_percent": 96.0}},
            "cpu",
            "it takes 96 % of a core, more than 95",
        ),
        ({"resources": {**RESOURCES, "threads": 1_001}}, "threads", "it has 1,001 threads, more than 1,000"),
        (
            {"resources": {**RESOURCES, "descriptors": 820}},
            "descriptors",
            "it has 820 of 1,024 file descriptors in use",
        ),
        ({"database_trouble": "refused"}, "database", "its database does not answer: refused"),
        (
            {"strategies": [FAILED]},
            "strategy EMACross-001",
            "EMACross-001 was stopped by its error: ValueError: no",
        ),
    ],
)
def test_each_trouble_is_one_problem(changes: dict[str, Any], key: str, words: str) -> None:
    assert _find(**changes) == {key: words}


def test_age_of_data_is_not_judged_where_that_is_wanted() -> None:
    data = [{**FACTS["data"][0], "age_secs": 10_000.0}]
    assert _find(HealthPolicy(max_quote_age_secs=None), data=data) == {}


def test_memory_is_judged_where_it_is_limited() -> None:
    assert _find(HealthPolicy(max_memory_bytes=4 * 10**8)) == {}
    assert _find(HealthPolicy(max_memory_bytes=3 * 10**8)) == {
        "memory": "it takes 400 MB of memory, more than 300"
    }


def test_clock_that_nothing_keeps_right_is_no_matter_for_a_sandbox() -> None:
    assert _find(clock=UNKEPT) == {}
