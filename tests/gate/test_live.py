"""The gate in a real TradingNode: its queues differ from those of a backtest, and so does who may call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """Return what became of every way to the venue; see `live_node.py`."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.gate.live_node"],
        capture_output=True,
        text=True,
        cwd=HERE.parents[1],
        timeout=240,
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith("FOUND ")]
    assert lines, ended.stdout + ended.stderr
    values: dict[str, Any] = json.loads(lines[0].removeprefix("FOUND "))
    return values


@pytest.mark.parametrize("way", ["submit", "list", "emulated", "algorithm", "exec_engine", "risk_engine"])
def test_every_way_to_the_venue_is_guarded(found: dict[str, Any], way: str) -> None:
    assert found[way] == {"within": ["FILLED"], "above": ["DENIED"], "halted": ["DENIED"]}


def test_engines_own_method_is_guarded_too(found: dict[str, Any]) -> None:
    assert found["bound reference"] == ["DENIED"]


def test_modification_may_not_add_above_a_limit(found: dict[str, Any]) -> None:
    assert found["modify quantity"] == ["150000 long would be more than the limit of 100000", 50_000]
    assert found["modify within"] == 90_000
    reason, price = found["modify price"]
    assert reason.startswith("a gross exposure of 148955")
    assert price == "1.49900"


def test_modification_that_is_turned_back_frees_nothing_of_another(found: dict[str, Any]) -> None:
    assert found["modify turned back"] == [90_000], "what the venue was asked for counts until it answers"


def test_order_passes_once_and_a_second_of_its_id_changes_nothing(found: dict[str, Any]) -> None:
    again = found["again"]
    assert again["reasons"] == ["an order of this id was sent before"] * 2
    assert (again["status"], again["fills"]) == ("ACCEPTED", 0)
    assert again["beside"] == ["DENIED"], "the first counts as before"


def test_order_without_a_way_to_a_venue_is_denied(found: dict[str, Any]) -> None:
    assert found["without client"] == ["DENIED", "there is no client for orders of EUR/USD.NOWHERE"]


def test_halted_engine_changes_no_order_and_cancels_any(found: dict[str, Any]) -> None:
    assert found["modify halted"] == 90_000, "not even a smaller one"
    assert found["cancels halted"] == ["CANCELED"] * 4


def test_halt_by_another_thread_stops_orders_that_wait_in_the_engines_queue(found: dict[str, Any]) -> None:
    blocked = found["blocked loop"]
    assert blocked["is_halted"]
    assert blocked["secs"] < 0.05
    assert blocked["fates"] == ["DENIED"] * 5


def test_halted_engine_lets_closing_orders_with_a_permit_pass_and_nothing_else(found: dict[str, Any]) -> None:
    closing = found["closing"]
    assert closing["own"] == ["DENIED"], "reduce-only, but of a strategy"
    assert closing["oversize"] == ["DENIED"]
    assert closing["adding"] == ["DENIED"]
    assert closing["stranger"] == ["DENIED"]
    assert sorted(closing["twice"]) == ["DENIED", "FILLED"], "the second while the first is under way"
    assert closing["other"] == ["FILLED"], "each strategy's own position, whatever they add up to"
    assert closing["open"] == 0
    assert closing["lifted"] == "ACTIVE"


def test_stale_price_takes_no_new_risk_until_it_is_fresh_again(found: dict[str, Any]) -> None:
    stale = found["stale"]
    assert stale["fates"] == ["DENIED", "FILLED", "FILLED"], "new risk, a reduction, and new risk later"
    assert "the last price of GBP/USD.SIM is" in stale["why"]
    first, last = stale["events"]
    assert first.startswith("equity is unknown")
    assert last == "equity is known again"


def test_counts_are_those_of_the_cache_at_the_end(found: dict[str, Any]) -> None:
    assert found["audit"] == []
