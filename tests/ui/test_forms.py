"""Forms from the JSON schemas of real configurations, and of every shape that a schema can have."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.config import StrategyConfig
from nautilus_trader.examples.strategies.ema_cross import EMACrossConfig
from nautilus_trader.model import enums

from workbench.backtest.decoding import decode_value
from workbench.ui.fields import Field
from workbench.ui.forms import ENUM_NAMES, build_fields, is_housekeeping, name_field
from workbench.ui.places import MISSING, find_value, set_value


class Inner(msgspec.Struct):
    depth: int = 3
    label: str = "x"


class Everything(msgspec.Struct):
    needed: Decimal
    ratio: float
    inner: Inner
    maybe: int | None = None
    maybe_inner: Inner | None = None
    names: list[str] = []
    weights: list[float] = []
    table: dict[str, int] = {}
    both: int | str = 1


def _fields(config: Any, prefix: str = "p") -> dict[str, Field]:
    return {one.path: one for one in build_fields(msgspec.to_builtins(config.json_schema()), prefix)}


def test_ema_cross_has_its_types_bounds_and_defaults() -> None:
    fields = _fields(EMACrossConfig)
    fast, size, force = fields["p.fast_ema_period"], fields["p.trade_size"], fields["p.order_time_in_force"]
    assert (fast.kind, fast.default, fast.bounds, fast.label) == ("int", 10, "above 0", "Fast EMA period")
    assert (size.kind, size.is_required, size.default) == ("decimal", True, MISSING)
    assert (force.kind, force.is_nullable, force.write(None)) == ("choice", True, "")
    assert force.read("GTC") == 1
    assert fields["p.market_exit_time_in_force"].write(MISSING) == "GTC"
    assert fields["p.request_bars"].kind == "bool"
    assert fields["p.external_order_claims"].kind == "list"
    assert list(fields)[:3] == ["p.instrument_id", "p.bar_type", "p.trade_size"]


def test_three_wrong_fields_are_three_errors() -> None:
    fields = _fields(EMACrossConfig)
    typed = {"p.fast_ema_period": "abc", "p.slow_ema_period": "0", "p.trade_size": "1,5", "p.bar_type": "B"}
    wrong = {path: fields[path].check(fields[path].read(text)) for path, text in typed.items()}
    assert {path for path, words in wrong.items() if words} == set(typed) - {"p.bar_type"}


def test_own_schema_of_every_shape_becomes_fields() -> None:
    schema = msgspec.json.schema(Everything)
    fields = {one.path: one for one in build_fields(schema, "p", help_texts={"ratio": "How much."})}
    assert {path: one.kind for path, one in fields.items()} == {
        "p.needed": "decimal",
        "p.ratio": "float",
        "p.inner.depth": "int",
        "p.inner.label": "text",
        "p.maybe": "int",
        "p.maybe_inner": "json",
        "p.names": "list",
        "p.weights": "list",
        "p.table": "json",
        "p.both": "json",
    }
    assert fields["p.inner.depth"].label == "Inner: Depth"
    assert fields["p.ratio"].help == "How much."
    assert fields["p.weights"].item == "number"
    assert fields["p.both"].check("text") == ""


@given(
    st.builds(
        Everything,
        needed=st.decimals(-1000, 1000, places=3),
        ratio=st.floats(-1e9, 1e9),
        inner=st.builds(Inner, depth=st.integers(-5, 5), label=st.sampled_from(("a", "b c"))),
        maybe=st.none() | st.integers(0, 10**6),
        names=st.lists(st.text("abc, []\"'", min_size=1, max_size=4)),
        weights=st.lists(st.floats(-10, 10)),
        table=st.dictionaries(st.sampled_from(("k", "l.m")), st.integers(0, 9)),
        both=st.integers(0, 9) | st.sampled_from(("x", "7", "true")),
    )
)
def test_form_and_configuration_make_each_other(config: Everything) -> None:
    plain = json.loads(msgspec.json.encode(config))
    made: dict[str, Any] = {}
    for field in build_fields(msgspec.json.schema(Everything), "p"):
        value = find_value({"p": plain}, field.path)
        assert field.check(value) == ""
        back = field.read(field.write(value))
        if back is not MISSING:
            set_value(made, field.path, back)
    assert msgspec.convert(made["p"], Everything, strict=True) == config


def test_ema_cross_filled_in_is_what_nautilus_decodes() -> None:
    typed = {"instrument_id": "GBP/USD.SIM", "bar_type": "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"}
    typed |= {"trade_size": "100,000", "fast_ema_period": "5", "order_time_in_force": "IOC"}
    fields = _fields(EMACrossConfig)
    plain = {name: fields[f"p.{name}"].read(text) for name, text in typed.items()}
    config = decode_value(EMACrossConfig, plain)
    assert config.trade_size == Decimal(100_000)
    assert config.fast_ema_period == 5
    assert config.order_time_in_force == enums.TimeInForce.IOC


@pytest.mark.parametrize("name", list(ENUM_NAMES))
def test_enum_names_are_those_of_nautilus(name: str) -> None:
    assert {member.value: member.name for member in getattr(enums, name)} == dict(ENUM_NAMES[name])


def test_housekeeping_fields_are_those_of_every_strategy() -> None:
    assert all(is_housekeeping(name) for name in StrategyConfig.__struct_fields__)
    assert not is_housekeeping("trade_size")


def test_name_of_a_field_reads_like_words() -> None:
    assert name_field("fast_ema_period") == "Fast EMA period"
    assert name_field("instrument_id") == "Instrument ID"
    assert name_field("x") == "X"
