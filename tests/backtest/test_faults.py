"""Every wrong field of a configuration is named, with words for a person."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from nautilus_trader.backtest.config import BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.examples.strategies.ema_cross import EMACrossConfig

from workbench.backtest.decoding import decode_value
from workbench.backtest.faults import find_faults

GOOD: dict[str, Any] = {
    "instrument_id": "GBP/USD.SIM",
    "bar_type": "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
    "trade_size": "1000",
}
VENUE = {
    "name": "SIM",
    "oms_type": "NETTING",
    "account_type": "MARGIN",
    "starting_balances": ["1000000 USD"],
}


class RangeConfig(StrategyConfig, frozen=True):
    low: int = 1
    high: int = 2

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError("low must be less than high")


class RudeConfig(StrategyConfig, frozen=True):
    word: str = ""

    def __post_init__(self) -> None:
        raise KeyError("rude")


def find(kind: Any, value: Any, place: str = "") -> dict[str, tuple[str, str]]:
    return {e.field: (e.message, e.expected) for e in find_faults(kind, value, place)}


def test_good_values_have_no_faults() -> None:
    assert find(EMACrossConfig, GOOD) == {}
    assert find(BacktestVenueConfig, VENUE) == {}
    assert decode_value(EMACrossConfig, GOOD).slow_ema_period == 20


def test_three_wrong_fields_are_three_faults_in_their_places() -> None:
    wrong = {**GOOD, "trade_size": "much", "fast_ema_period": 0, "slow_ema_period": "twenty"}
    assert find(EMACrossConfig, wrong, "engine.strategies.0.config") == {
        "engine.strategies.0.config.trade_size": ('trade_size is "much"', "a decimal number, such as 0.25"),
        "engine.strategies.0.config.fast_ema_period": (
            "fast_ema_period is 0",
            "a whole number of more than 0",
        ),
        "engine.strategies.0.config.slow_ema_period": (
            'slow_ema_period is "twenty"',
            "a whole number of more than 0",
        ),
    }


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("instrument_id", "nowhere", "an instrument, such as EUR/USD.SIM"),
        ("instrument_id", 7, "an instrument, such as EUR/USD.SIM"),
        ("bar_type", "often", "a bar type, such as EUR/USD.SIM-1-MINUTE-BID-EXTERNAL"),
        ("close_positions_on_stop", 1, "true or false"),
        ("order_id_tag", 5, "text or nothing"),
        ("strategy_id", "x", "NAME-TAG, such as MINE-001 or nothing"),
        ("market_exit_time_in_force", "NEVER", "one of GTC, IOC, FOK, GTD, DAY, AT_THE_OPEN, AT_THE_CLOSE"),
    ],
)
def test_wrong_value_says_what_its_field_takes(field: str, value: Any, expected: str) -> None:
    found = find(EMACrossConfig, {**GOOD, field: value})
    assert list(found) == [field]
    assert found[field] == (f"{field} is {msgspec.json.encode(value).decode()}", expected)


def test_missing_and_unknown_fields_are_named_with_the_one_that_may_be_meant() -> None:
    faults = list(find_faults(EMACrossConfig, {**GOOD, "trade_sise": GOOD["trade_size"], "bar_type": None}))
    assert [e.field for e in faults] == ["bar_type", "trade_sise"]
    assert faults[1].advice == "trade_size may be meant"
    missing = find(EMACrossConfig, {})
    assert set(missing) == {"instrument_id", "bar_type", "trade_size"}
    assert missing["trade_size"] == ("trade_size is missing", "a decimal number, such as 0.25")


def test_faults_inside_lists_objects_and_optional_parts_have_their_own_places() -> None:
    venue = {
        **VENUE,
        "starting_balances": ["1 USD", 2],
        "leverages": {"GBP/USD.SIM": "high", "EUR/USD.SIM": 2},
        "fill_model": {"config": 1},
        "modules": [{}],
    }
    assert set(find(BacktestRunConfig, {"venues": [VENUE, venue], "data": {}, "chunk_size": 1.5})) == {
        "venues.1.starting_balances.1",
        "venues.1.leverages.GBP/USD.SIM",
        "venues.1.fill_model.fill_model_path",
        "venues.1.fill_model.config_path",
        "venues.1.fill_model.config",
        "venues.1.modules.0.actor_path",
        "venues.1.modules.0.config_path",
        "venues.1.modules.0.config",
        "data",
        "chunk_size",
    }


def test_rule_between_fields_stands_at_the_whole_once_each_field_is_right() -> None:
    assert find(RangeConfig, {"low": 3}, "config") == {
        "config": ("RangeConfig: low must be less than high", "values that fit together")
    }
    # The rule would be blamed for what is wrong with `high`.
    assert list(find(RangeConfig, {"low": 3, "high": "x"}, "config")) == ["config.high"]


def test_class_that_raises_what_it_likes_is_a_fault() -> None:
    assert "rude" in find(RudeConfig, {}, "config")["config"][0]


def test_long_value_is_not_repeated_whole() -> None:
    assert len(find(EMACrossConfig, {**GOOD, "trade_size": "x" * 10_000})["trade_size"][0]) < 100
