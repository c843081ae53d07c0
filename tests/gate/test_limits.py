from __future__ import annotations

import inspect
from decimal import Decimal
from typing import Any

import pytest

from workbench.errors import ConfigError
from workbench.gate.actor import RiskGateConfig, build_risk_gate
from workbench.gate.limits import BreachAction, Limits, parse_limits


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"max_position": {"EUR/USD.SIM": "-1"}}, "max_position.EUR/USD.SIM"),
        ({"max_position": {"*": "many"}}, "max_position.*"),
        ({"max_exposure": "NaN"}, "max_exposure"),
        ({"max_exposure": "Infinity"}, "max_exposure"),
        ({"max_daily_loss": 0.1}, "max_daily_loss"),
        ({"max_daily_loss": True}, "max_daily_loss"),
        ({"max_drawdown": "5"}, "max_drawdown"),
        ({"max_drawdown": "0"}, "max_drawdown"),
        ({"max_margin": "1.5"}, "max_margin"),
        ({"max_net_exposure": "-1"}, "max_net_exposure"),
        ({"max_mark_age_secs": 0}, "max_mark_age_secs"),
        ({"max_mark_age_secs": float("nan")}, "max_mark_age_secs"),
        ({"max_orders_per_sec": 0}, "max_orders_per_sec"),
        ({"day_start": "5 pm"}, "day_start"),
        ({"day_start": "24:00"}, "day_start"),
        ({"day_zone": "Mars/Olympus"}, "day_zone"),
        ({"day_zone": "../etc"}, "day_zone"),
        ({"day_start": "NEW_YORK_CLOSE", "day_zone": "Asia/Tokyo"}, "day_zone"),
        ({"on_breach": "PANIC"}, "on_breach"),
    ],
)
def test_limit_that_makes_no_sense_is_refused_with_its_field(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_limits(**values)
    assert caught.value.field == field


def test_limits_keep_what_was_written() -> None:
    limits = parse_limits(
        max_position={"*": "1", "BTC.X": "0.5"},
        max_exposure="1000000",
        max_drawdown="0.05",
        day_start="17:30",
        on_breach="DENY",
    )

    assert limits.find_max_position("BTC.X") == Decimal("0.5")
    assert limits.find_max_position("ETH.X") == 1
    assert (limits.day_start_mins, limits.on_breach) == (1050, BreachAction.DENY)
    assert limits.needs_equity


def test_day_may_begin_at_a_boundary_with_a_name() -> None:
    new_york, utc = (parse_limits(day_start=name) for name in ("NEW_YORK_CLOSE", "UTC"))

    assert (new_york.day_start_mins, str(new_york.day_zone)) == (1020, "America/New_York")
    assert (utc.day_start_mins, str(utc.day_zone)) == (0, "UTC")


def test_old_marks_count_as_missing_unless_that_is_switched_off() -> None:
    assert parse_limits().max_mark_age_secs == Limits().max_mark_age_secs == 300
    assert parse_limits(max_mark_age_secs=None).max_mark_age_secs is None


def test_defaults_of_the_configuration_are_those_of_the_limits() -> None:
    default = RiskGateConfig()
    for name, parameter in inspect.signature(parse_limits).parameters.items():
        assert getattr(default, name) == parameter.default, name


def test_without_limits_nothing_is_limited() -> None:
    limits = parse_limits()

    assert limits.find_max_position("BTC.X") is None
    assert not limits.needs_equity


def test_risk_gate_is_an_actor_of_the_engine() -> None:
    gate = build_risk_gate(max_position={"*": "10"}, max_daily_loss="5000", on_breach="CANCEL")

    assert gate.actor_path == "workbench.gate.actor:RiskGate"
    assert gate.config == {"max_position": {"*": "10"}, "max_daily_loss": "5000", "on_breach": "CANCEL"}


@pytest.mark.parametrize(
    ("limits", "field"), [({"max_loss": "1"}, "max_loss"), ({"day_start": "?"}, "day_start")]
)
def test_risk_gate_with_a_wrong_limit_is_refused(limits: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_risk_gate(**limits)
    assert caught.value.field == field
