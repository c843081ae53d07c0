"""The sizing of the form is that of the library, and it finds the parameter that takes a size."""

from __future__ import annotations

import importlib
import json
import pkgutil
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.sizing.sized_strategies import StackConfig, SwingConfig
from workbench.backtest.decoding import decode_value
from workbench.errors import InputError
from workbench.sizing import Sizing, SizingMethod
from workbench.ui.fields import Field
from workbench.ui.forms import build_fields
from workbench.ui.places import MISSING, find_value
from workbench.ui.sizing import (
    METHODS,
    SizeChoice,
    build_sizing_fields,
    find_sizes,
    find_sizing_name,
    set_sizing,
)

EXAMPLES = "nautilus_trader.examples.strategies"
PLACE = "config.sizing"
TYPED = {"amount": "12.5", "lookback": "30", "periods_per_year": "252", "max_quantity": "1,000"}


def load_schema(config_class: Any) -> dict[str, Any]:
    return msgspec.to_builtins(config_class.json_schema())


def fill(method: str) -> dict[str, Any]:
    document: dict[str, Any] = {"config": {}}
    set_sizing(document, PLACE, "method", method)
    for one in build_sizing_fields(PLACE, find_value(document, PLACE))[1:]:
        value = one.read(TYPED[one.name])
        assert one.check(value) == ""
        set_sizing(document, PLACE, one.name, value)
    return document["config"]["sizing"]


def test_methods_are_those_of_the_library() -> None:
    assert list(METHODS) == list(SizingMethod)


@pytest.mark.parametrize("method", SizingMethod)
def test_filled_in_sizing_is_one_that_the_library_takes(method: SizingMethod) -> None:
    plain = fill(method)

    sizing = decode_value(Sizing, plain)

    assert sizing.method is method
    assert sizing.amount == Decimal("12.5")
    assert (sizing.periods_per_year is not None) == (method == SizingMethod.VOLATILITY_TARGET)


def test_each_part_of_the_sizing_has_a_field_and_the_same_bounds() -> None:
    fields = {one.name: one for one in build_sizing_fields(PLACE, {"method": "VOLATILITY_TARGET"})}

    assert set(fields) == set(Sizing.__struct_fields__)
    assert fields["lookback"].default == 20
    for name in ("amount", "lookback", "periods_per_year", "max_quantity"):
        highest = fields[name].highest
        assert highest is not None
        good = {"method": "VOLATILITY_TARGET", "amount": "1", "periods_per_year": 1}
        decode_value(Sizing, {**good, name: int(highest)})
        with pytest.raises(msgspec.ValidationError):
            decode_value(Sizing, {**good, name: int(highest) + 1})
        with pytest.raises(msgspec.ValidationError):
            decode_value(Sizing, {**good, name: 0})
        assert fields[name].check(0) != ""


def test_another_method_takes_another_amount() -> None:
    document: dict[str, Any] = {"config": {"sizing": fill("VOLATILITY_TARGET")}}

    set_sizing(document, PLACE, "method", "FIXED_QUANTITY")

    assert document["config"]["sizing"] == {"method": "FIXED_QUANTITY"}


def test_part_of_a_default_is_changed_and_the_others_stay() -> None:
    document: dict[str, Any] = {"config": {}}
    default = {"method": "PERCENT_OF_EQUITY", "amount": "5", "lookback": 20, "periods_per_year": None}

    set_sizing(document, PLACE, "amount", "7", default=default)

    assert document["config"]["sizing"] == {"method": "PERCENT_OF_EQUITY", "amount": "7", "lookback": 20}
    shown = {one.name: one.write(MISSING) for one in build_sizing_fields(PLACE, MISSING, default=default)}
    assert (shown["method"], shown["amount"]) == ("Percent of equity", "5")


def test_sizing_of_a_strategy_is_found_by_its_type() -> None:
    assert find_sizing_name(load_schema(SwingConfig)) == ("sizing", False)
    assert find_sizing_name(load_schema(StackConfig)) == ("sizing", True)
    cross = importlib.import_module(f"{EXAMPLES}.ema_cross").EMACrossConfig
    assert find_sizing_name(load_schema(cross)) == ("", False)


def test_size_parameter_of_nautilus_s_examples_is_found() -> None:
    package = importlib.import_module(EXAMPLES)
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{EXAMPLES}."):
        for name, one in vars(importlib.import_module(module.name)).items():
            # Others are of the strategies of nautilus's other core, which no backtest here takes
            if name.endswith("Config") and hasattr(one, "json_schema") and one.__module__ == module.name:
                sizes = find_sizes(build_fields(load_schema(one), "config"))
                found[name] = [size.name for size in sizes]

    without = [
        "MyStrategyConfig",
        "OrderBookImbalanceConfig",
        "SignalStrategyConfig",
        "SubscribeStrategyConfig",
    ]
    assert sorted(name for name, sizes in found.items() if not sizes) == without
    assert found.pop("SimpleQuoterStrategyConfig") == ["order_qty"]
    assert all(sizes == ["trade_size"] for name, sizes in found.items() if name not in without)
    assert len(found) > 10


def test_likeliest_of_several_size_parameters_comes_first() -> None:
    names = ("max_position_size", "unit_size", "quantity", "trade_size", "min_size", "size_text")
    fields = [Field(f"config.{name}", name, "decimal") for name in names]

    assert [one.name for one in find_sizes(fields)] == ["trade_size", "quantity", "unit_size"]
    choice = SizeChoice(target="config.unit_size")
    chosen = choice.find_target(find_sizes(fields))
    assert chosen is not None
    assert chosen.name == "unit_size"


@pytest.mark.parametrize(
    ("bar_spec", "is_always_open", "words"),
    [
        ("1-MINUTE-BID", False, "362,880: 252 days of 1,440"),
        ("4-HOUR-LAST", True, "2,190: 365 days of 6"),
        ("1-DAY-LAST", False, "such as 252 for days"),
        ("100-TICK-LAST", False, "such as 252 for days"),
        ("", True, "such as 252 for days"),
    ],
)
def test_bars_of_a_year_are_hinted_at(bar_spec: str, is_always_open: bool, words: str) -> None:
    fields = build_sizing_fields(
        PLACE, {"method": "VOLATILITY_TARGET"}, bar_spec=bar_spec, is_always_open=is_always_open
    )

    assert next(one.hint for one in fields if one.name == "periods_per_year") == words


def test_refusal_of_a_part_is_shown_at_its_field_and_another_at_the_whole() -> None:
    choice = SizeChoice({"sizing": {"method": "FIXED_NOTIONAL", "amount": "5"}})
    fields = build_sizing_fields("sizing", choice.document["sizing"])

    choice.take_refusal(InputError("too odd", field="sizing.amount"))
    assert choice.find_errors(fields) == {"sizing.amount": "too odd"}
    choice.take_refusal(InputError("no catalog", field="data.0.catalog_path"))
    assert choice.find_errors(fields) == {"sizing": "no catalog"}
    choice.reset()
    assert choice.find_errors(fields) == {}


def test_question_is_asked_again_when_what_it_depends_on_has_changed() -> None:
    choice = SizeChoice({"sizing": {"method": "FIXED_NOTIONAL", "amount": "5"}})
    target = Field("engine.strategies.0.config.trade_size", "Trade size", "decimal")
    config: dict[str, Any] = {
        "engine": {"strategies": [{"config": {"trade_size": "1", "instrument_id": "A.X"}}]},
        "data": [],
        "venues": [],
        "start": None,
    }
    wish = choice.build_wish(build_sizing_fields("sizing", choice.document["sizing"]))
    assert wish == {"method": "FIXED_NOTIONAL", "amount": "5"}
    key = choice.write_key(wish, config, target)

    def change(path: str, value: Any) -> str:
        changed = json.loads(json.dumps(config))
        place = changed if path == "start" else changed["engine"]["strategies"][0]["config"]
        place[path] = value
        return choice.write_key(wish, changed, target)

    assert change("trade_size", "2") == key
    assert change("start", "2020") != key
    assert change("instrument_id", "B.X") != key
