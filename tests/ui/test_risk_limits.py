"""The risk limits of the form are the gate's own, whatever else is in the configuration."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

import workbench
from tests.backtest.tiny import BID
from tests.ui.test_run_form import fill_in
from workbench.gate.actor import RiskGateConfig
from workbench.gate.limits import DAY_BOUNDARIES, BreachAction
from workbench.ui.places import MISSING, find_value
from workbench.ui.risk_limits import (
    BREACH_ACTIONS,
    build_limit_fields,
    describe_limits,
    find_gate,
    set_limit,
)
from workbench.ui.run_facts import describe_assumptions

OTHER = {"actor_path": "mine:Actor", "config_path": "mine:Config", "config": {"max_exposure": "1"}}
INSTRUMENT = "GBP/USD.SIM"
TYPED = {
    "max_position.*": "100,000",
    "max_exposure": "1,000,000.50",
    "max_net_exposure": "500,000",
    "max_margin": "50 %",
    "max_daily_loss": "0.1 USD",
    "max_drawdown": "7 %",
    "max_orders_per_sec": "5",
    "max_mark_age_secs": "90",
    "day_start": "17:00",
    "day_zone": "America/New_York",
    "on_breach": "CANCEL",
}
LIMITS: dict[str, Any] = {
    "max_position": {"*": "100000"},
    "max_exposure": "1000000.50",
    "max_net_exposure": "500000",
    "max_margin": "0.5",
    "max_daily_loss": "0.1",
    "max_drawdown": "0.07",
    "max_orders_per_sec": 5,
    "max_mark_age_secs": 90.0,
    "day_start": "17:00",
    "day_zone": "America/New_York",
    "on_breach": "CANCEL",
}


def fill_limits(config: dict[str, Any], typed: dict[str, str]) -> dict[str, Any]:
    for name, text in typed.items():
        one = next(f for f in build_limit_fields(config) if f.path.endswith(f".config.{name}"))
        value = one.read(text)
        assert one.check(value) == ""
        assert one.check(one.read(one.write(value))) == ""
        set_limit(config, name, value)
    return config


def test_filled_in_limits_are_what_build_risk_gate_builds() -> None:
    config = fill_limits(fill_in("/c", BID), TYPED)
    built = json.loads(workbench.build_risk_gate(**LIMITS).json())
    assert config["engine"]["actors"] == [built]
    RiskGateConfig.parse(json.dumps(built["config"]))


def test_each_field_of_the_gate_has_one_of_the_form() -> None:
    config = fill_limits(fill_in("/c", BID), TYPED)
    names = {f.path.split(".config.", 1)[1].partition(".")[0] for f in build_limit_fields(config)}
    own = set(RiskGateConfig.__struct_fields__) - {"component_id", "log_events", "log_commands"}
    assert names == own
    assert list(BREACH_ACTIONS) == [str(action) for action in BreachAction]


def test_shown_defaults_are_those_of_the_gate() -> None:
    config = fill_limits(fill_in("/c", BID), {"max_daily_loss": "5"})
    shown = {f.name: f.write(MISSING) for f in build_limit_fields(config) if f.default is not MISSING}
    default = RiskGateConfig()
    assert shown == {name: getattr(default, name) for name in ("day_start", "day_zone", "on_breach")}


@pytest.mark.parametrize("number", [0, 1, 2])
def test_other_actors_stay_as_they_are(number: int) -> None:
    config = fill_in("/c", BID)
    others = [{**OTHER, "actor_path": f"mine:Actor{i}"} for i in range(2)]
    gate = json.loads(workbench.build_risk_gate(max_exposure="5").json())
    config["engine"]["actors"] = [*others[:number], gate, *others[number:]]
    before = copy.deepcopy(config)

    assert find_gate(config) == f"engine.actors.{number}"
    set_limit(config, "max_exposure", "7")
    assert config["engine"]["actors"][number]["config"] == {"max_exposure": "7"}
    parted = set_limit(config, "max_exposure", MISSING)
    assert config["engine"]["actors"] == others
    set_limit(config, "max_exposure", "5", parted)
    assert config["engine"]["actors"] == [*others, gate]
    assert {k: v for k, v in config.items() if k != "engine"} == {
        k: v for k, v in before.items() if k != "engine"
    }


def test_gate_without_a_limit_is_taken_out_and_comes_back_as_it_was() -> None:
    config = fill_in("/c", BID)
    before = copy.deepcopy(config)
    fill_limits(config, {"max_daily_loss": "5", "max_position.*": "3", "on_breach": "DENY"})
    assert set_limit(config, "max_daily_loss", MISSING) is None
    parted = set_limit(config, "max_position.*", MISSING)
    assert config == before
    set_limit(config, "max_drawdown", "0.5", parted)
    assert config["engine"]["actors"][0]["config"] == {"on_breach": "DENY", "max_drawdown": "0.5"}


def test_limits_of_single_instruments_are_shown_and_changed_one_by_one() -> None:
    config = fill_in("/c", BID)
    set_limit(config, f"max_position.{INSTRUMENT}", "5")
    set_limit(config, "max_position.OLD.SIM", "6")
    [one, old] = [f for f in build_limit_fields(config, {INSTRUMENT: "GBP"}) if "position" in f.path]
    assert (one.unit, find_value(config, one.path)) == ("GBP", "5")
    assert "does not read" in old.hint
    set_limit(config, f"max_position.{INSTRUMENT}", MISSING)
    assert find_value(config, find_gate(config))["config"] == {"max_position": {"OLD.SIM": "6"}}

    several = {INSTRUMENT: "GBP", "EUR/USD.SIM": "EUR"}
    labels = [f.label for f in build_limit_fields(fill_in("/c", BID), several)]
    assert labels[:3] == [
        "Position, GBP/USD.SIM, GBP",
        "Position, EUR/USD.SIM, EUR",
        "Position, each other instrument, units",
    ]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("max_position.*", "-1", "at least 0"),
        ("max_exposure", "1,5", "decimal number"),
        ("max_daily_loss", "5000 EUR", "decimal number"),
        ("max_drawdown", "0", "above 0"),
        ("max_drawdown", "101", "at most 100"),
        ("max_orders_per_sec", "0", "at least 1"),
        ("max_orders_per_sec", "1.5", "whole number"),
        ("day_start", "24:00", "time of day"),
        ("day_start", "7:00", "time of day"),
        ("day_zone", "Mars", "time zone"),
        ("on_breach", "SELL", "one of"),
    ],
)
def test_wrong_limit_is_told_without_the_server(name: str, text: str, words: str) -> None:
    config = fill_limits(fill_in("/c", BID), {"max_daily_loss": "1"})
    one = next(f for f in build_limit_fields(config) if f.path.endswith(f".config.{name}"))
    assert words in one.check(one.read(text))


def test_named_beginnings_of_a_day_are_taken() -> None:
    config = fill_limits(fill_in("/c", BID), {"max_daily_loss": "5"})
    start = next(one for one in build_limit_fields(config) if one.name == "day_start")
    assert [start.check(name) for name in DAY_BOUNDARIES] == ["", ""]
    assert start.check("TOKYO_CLOSE") != ""


def test_money_is_in_the_currency_of_the_results() -> None:
    config = fill_limits(fill_in("/c", BID), {"max_daily_loss": "5000"})
    config["venues"][0] |= {"base_currency": None, "starting_balances": ["5 BTC", "100 USD"]}
    labels = [f.label for f in build_limit_fields(config)]
    assert "Daily loss, BTC" in labels
    assert "Exposure, BTC" in labels
    assert describe_limits(config) == "daily loss 5,000 BTC, then FLATTEN"
    config["venues"] = []
    assert "Exposure" in [f.label for f in build_limit_fields(config)]


def test_limits_are_among_the_assumptions_of_a_run() -> None:
    config = fill_limits(fill_in("/c", BID), TYPED)
    assert describe_assumptions(config)["Risk limits"] == (
        "position 100,000 units, exposure 1,000,000.50 USD, net exposure 500,000 USD, margin 50 %, "
        "daily loss 0.1 USD (day from 17:00 America/New_York), drawdown 7 %, orders per second 5, "
        "age of prices 90 s, then CANCEL"
    )
    assert "Risk limits" not in describe_assumptions(fill_in("/c", BID))


@pytest.mark.parametrize(
    "engine",
    [
        3,
        {},
        {"actors": "x"},
        {"actors": [None, 3]},
        {"actors": [{"actor_path": "workbench.gate.actor:RiskGate"}]},
    ],
)
def test_limit_goes_into_a_configuration_of_any_shape(engine: Any) -> None:
    config = {"engine": copy.deepcopy(engine)}
    assert build_limit_fields(config)
    set_limit(config, "max_exposure", "5")
    assert find_value(config, f"{find_gate(config)}.config") == {"max_exposure": "5"}
