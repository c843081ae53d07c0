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
    "round_trip": {"median_ms": 2.0, "worst_ms": 9.0, "count": 3},
}
RESOURCES = {"disk_free_bytes": 10**10, "memory_bytes": 4 * 10**8}
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
