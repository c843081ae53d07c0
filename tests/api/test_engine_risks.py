"""What raises risk, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.engine_hosts import ORDER, POSITION
from workbench.api.engine_risks import (
    TRADING_STATES,
    build_risks,
    find_raised,
    is_confirmed_change,
    is_raising_state,
)
from workbench.live.config import EngineConfig, parse_engine_config


def config(**values: Any) -> EngineConfig:
    return parse_engine_config(values)


@pytest.mark.parametrize("after", TRADING_STATES)
@pytest.mark.parametrize("before", [*TRADING_STATES, "", "SOMETHING"])
@pytest.mark.parametrize("environment", ["SANDBOX", "LIVE"])
def test_leaving_halted_is_confirmed_and_more_risk_where_it_is_live(
    before: str, after: str, environment: str
) -> None:
    risk = {"HALTED": 0, "REDUCING": 1, "ACTIVE": 2}
    is_more = risk[after] > risk.get(before, 0)
    is_halted = risk.get(before, 0) == 0

    assert is_raising_state(before, after, environment) == (is_more and (is_halted or environment == "LIVE"))


@pytest.mark.parametrize(
    ("before", "after", "raised"),
    [
        ({}, {}, []),
        ({"max_exposure": "5"}, {"max_exposure": "5"}, []),
        ({"max_exposure": "5"}, {"max_exposure": "4.99"}, []),
        ({"max_exposure": "9"}, {"max_exposure": "10"}, ["risk.max_exposure"]),
        ({"max_exposure": "9"}, {}, ["risk.max_exposure"]),
        ({"max_exposure": "9"}, {"max_exposure": None}, ["risk.max_exposure"]),
        ({"max_exposure": None}, {"max_exposure": "9"}, []),
        ({}, {"max_exposure": "9"}, []),
        ({"max_orders_per_sec": 5}, {"max_orders_per_sec": 6}, ["risk.max_orders_per_sec"]),
        ({"max_orders_per_sec": 5}, {"max_orders_per_sec": 4}, []),
        ({"max_position": {"*": "5"}}, {"max_position": {"*": "6"}}, ["risk.max_position.*"]),
        ({"max_position": {"*": "5"}}, {"max_position": {}}, ["risk.max_position.*"]),
        ({"max_position": {"*": "5"}}, {}, ["risk.max_position.*"]),
        ({}, {"max_position": {"*": "5"}}, []),
        # A limit of its own takes the place of the one for all.
        ({"max_position": {"*": "5"}}, {"max_position": {"*": "5", "A.B": "6"}}, ["risk.max_position.A.B"]),
        ({"max_position": {"*": "5"}}, {"max_position": {"*": "5", "A.B": "4"}}, []),
        ({"max_position": {"*": "5", "A.B": "4"}}, {"max_position": {"*": "5"}}, ["risk.max_position.A.B"]),
        ({"max_position": {"*": "5", "A.B": "9"}}, {"max_position": {"*": "5"}}, []),
        ({"on_breach": "CANCEL"}, {"on_breach": "FLATTEN"}, []),
        ({}, {"on_breach": "FLATTEN"}, []),
        ({}, {"on_breach": "DENY"}, ["risk.on_breach"]),
        ({"on_breach": "FLATTEN"}, {"on_breach": "CANCEL"}, ["risk.on_breach"]),
        ({"on_breach": "FLATTEN"}, {"on_breach": "LAUGH"}, ["risk.on_breach"]),
        ({"day_start": "17:00"}, {"day_start": "16:00"}, ["risk.day_start"]),
        ({"max_exposure": "9"}, {"max_exposure": "much"}, ["risk.max_exposure"]),
        ({"max_exposure": "9"}, {"max_exposure": True}, ["risk.max_exposure"]),
    ],
)
def test_limit_that_lets_more_through_is_found(
    before: dict[str, Any], after: dict[str, Any], raised: list[str]
) -> None:
    old, new = config(risk=before), config(risk=after)

    assert [c.field for c in find_raised(old, new)] == raised
    assert is_confirmed_change(old, new) is bool(raised)


def test_milder_emergency_is_a_raised_limit() -> None:
    mild = config(emergency={"action": "CANCEL_ONLY", "scope": "STRATEGIES"})
    hard = config(emergency={"action": "FLATTEN", "scope": "ACCOUNT"})

    assert [c.field for c in find_raised(hard, mild)] == ["emergency.action", "emergency.scope"]
    assert find_raised(mild, hard) == []


@pytest.mark.parametrize(
    ("before", "after", "is_confirmed"),
    [
        ({}, {"currency": "EUR"}, False),
        ({"environment": "LIVE"}, {"environment": "LIVE"}, False),
        ({"environment": "LIVE"}, {"environment": "LIVE", "currency": "EUR"}, True),
        ({"environment": "LIVE"}, {"environment": "LIVE", "node": {"a": 1}}, True),
        ({"environment": "LIVE"}, {"environment": "LIVE", "risk": {"max_exposure": "5"}}, False),
        (
            {"environment": "LIVE", "emergency": {"action": "CANCEL_ONLY"}},
            {"environment": "LIVE", "emergency": {"action": "FLATTEN"}},
            False,
        ),
        ({}, {"environment": "LIVE"}, True),
        ({"environment": "LIVE"}, {}, True),
    ],
)
def test_change_of_what_is_or_becomes_live_is_confirmed(
    before: dict[str, Any], after: dict[str, Any], is_confirmed: bool
) -> None:
    assert is_confirmed_change(config(**before), config(**after)) is is_confirmed


def test_risks_say_what_is_open_or_that_nobody_knows() -> None:
    known = build_risks("e", "start", "LIVE", lines=["a"], orders=[ORDER], positions=[POSITION, POSITION])
    unknown = build_risks("e", "start", "SANDBOX", lines=[], orders=[ORDER], positions=None)

    assert (known.word, unknown.word) == ("LIVE", "y")
    assert known.lines == ["a", "open now: 1 order, 2 positions"]
    assert "nobody can say" in unknown.lines[0]
