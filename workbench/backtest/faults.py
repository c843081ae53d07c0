"""Every wrong field of a configuration, with words for the person who fills in a form."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect as shapes
from nautilus_trader.model.data import BarSpecification, BarType
from nautilus_trader.model.identifiers import InstrumentId, StrategyId, TraderId
from nautilus_trader.model.objects import Currency, Money, Price, Quantity

from workbench.backtest.decoding import decode_value, find_field
from workbench.errors import ConfigError

__all__ = ["find_faults"]

_MAX_SHOWN = 60
_PLACE = re.compile(r" - at (?:`key` in )?`\$[^`]*`$")
# What msgspec says of a value of the wrong type or out of bounds: our own words say it better.
_PLAIN_REASON = re.compile(r"Expected |Invalid decimal|Invalid enum|Argument 'value' has incorrect type")
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
_WORDS: dict[type, str] = {
    shapes.BoolType: "true or false",
    shapes.DateTimeType: "a time in ISO 8601",
    shapes.DecimalType: "a decimal number, such as 0.25",
    shapes.DictType: "an object",
    shapes.FloatType: "a number",
    shapes.IntType: "a whole number",
    shapes.ListType: "a list",
    shapes.NoneType: "nothing",
    shapes.StrType: "text",
    shapes.StructType: "an object",
    shapes.TimeDeltaType: "a duration in ISO 8601",
}
_CUSTOM_WORDS: dict[type, str] = {
    BarSpecification: "a bar specification, such as 1-MINUTE-BID",
    BarType: "a bar type, such as EUR/USD.SIM-1-MINUTE-BID-EXTERNAL",
    Currency: "a currency, such as USD",
    Decimal: "a decimal number, such as 0.25",
    InstrumentId: "an instrument, such as EUR/USD.SIM",
    Money: "an amount, such as 100 USD",
    Price: "a price, such as 1.25",
    Quantity: "a quantity, such as 100000",
    StrategyId: "NAME-TAG, such as MINE-001",
    TraderId: "NAME-TAG, such as TRADER-001",
}


def find_faults(kind: Any, value: Any, place: str = "") -> Iterator[ConfigError]:
    """
    Yield an error for each wrong field of `value`, which is to become a `kind`; none if it can.

    It is decoded whole first. If that fails its parts are tried one by one, down to the smallest that is wrong
    by itself. Where all parts are right it is a rule between them that is broken, and the error stands at the
    whole: such a rule is not tried while a part is wrong, for it would be blamed for that.

    Parameters
    ----------
    kind : Any
        A configuration class, such as `BacktestVenueConfig`, or any type that a field may have.
    value : Any
        Plain values, as of JSON.
    place : str
        Where they stand in the whole input, such as ``venues.0``.

    Yields
    ------
    ConfigError
        With the `field`, what it is, and what was expected.

    """
    try:
        decode_value(kind, value)
    except Exception as e:  # noqa: BLE001 - a configuration class is anybody's code
        error = e
    else:
        return
    found = False
    for fault in _find_in_parts(_choose_arm(kind, value), value, place):
        found = True
        yield fault
    if not found:
        yield _build_fault(kind, value, place, error)


def _find_in_parts(kind: Any, value: Any, place: str) -> Iterator[ConfigError]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        yield from _find_in_fields(kind, value, place)
        return
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list and isinstance(value, list):
        for i, item in enumerate(value):
            yield from find_faults(arguments[0], item, _join(place, str(i)))
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from find_faults(arguments[1], item, _join(place, key))


def _find_in_fields(kind: type[msgspec.Struct], value: dict[str, Any], place: str) -> Iterator[ConfigError]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            yield from find_faults(field.type, value[name], _join(place, name))
        elif field.required:
            yield ConfigError(
                f"{name} is missing", expected=_describe_type(field.type), field=_join(place, name)
            )
    if kind.__struct_config__.forbid_unknown_fields:
        for name in [name for name in value if name not in fields]:
            near = difflib.get_close_matches(name, fields, n=1)
            yield ConfigError(
                f"{kind.__name__} has no field {name!r}",
                expected=f"one of {', '.join(fields)}",
                advice=f"{near[0]} may be meant" if near else "",
                field=_join(place, name),
            )


def _choose_arm(kind: Any, value: Any) -> Any:
    """Return the type within an `Annotated` or an optional one that has parts like those of `value`."""
    if get_origin(kind) is Annotated:
        return _choose_arm(get_args(kind)[0], value)
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    arms = [_choose_arm(arm, value) for arm in get_args(kind)]
    if isinstance(value, dict):
        fitting = [a for a in arms if get_origin(a) is dict or _is_struct(a)]
    else:
        fitting = [a for a in arms if get_origin(a) is list]
    return fitting[0] if len(fitting) == 1 else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _build_fault(kind: Any, value: Any, place: str, error: Exception) -> ConfigError:
    parent, _, last = place.rpartition(".")
    name = f"{parent.rpartition('.')[2]}.{last}" if last.isdecimal() else last or "the configuration"
    reason = _PLACE.sub("", str(error).splitlines()[0] if str(error) else type(error).__name__)
    if isinstance(value, dict) and _is_struct(_choose_arm(kind, value)):
        # Its fields are right each by itself.
        return ConfigError(
            f"{_choose_arm(kind, value).__name__}: {reason}",
            expected="values that fit together",
            field=_join(place, find_field(error)),
        )
    tail = "" if _PLAIN_REASON.match(reason) or _is_described(kind) else f": {reason}"
    shown = "nothing" if value is None else _show(value)
    return ConfigError(f"{name} is {shown}{tail}", expected=_describe_type(kind), field=place)


def _is_described(kind: Any) -> bool:
    """Return whether our words for a type of nautilus's say all that its own reason could."""
    return any(one in _CUSTOM_WORDS for one in (kind, *get_args(kind)) if isinstance(one, type))


def _describe_type(kind: Any) -> str:
    """Return in words what a field of this type takes."""
    try:
        return _describe_shape(shapes.type_info(kind))
    except TypeError:  # A type that msgspec cannot describe
        return "a value that nautilus_trader accepts"


def _describe_shape(shape: shapes.Type) -> str:
    if isinstance(shape, shapes.Metadata):
        return _describe_shape(shape.type)
    if isinstance(shape, shapes.UnionType):
        arms = [s for s in shape.types if not isinstance(s, shapes.NoneType)]
        # A nautilus enum may be given by its name: the text beside it is the same thing again.
        enums = [s for s in arms if isinstance(s, shapes.EnumType)]
        words = [_describe_shape(s) for s in enums or arms]
        return " or ".join([*words, *(["nothing"] if len(arms) < len(shape.types) else [])])
    if isinstance(shape, shapes.EnumType):
        return f"one of {', '.join(member.name for member in shape.cls)}"
    if isinstance(shape, shapes.LiteralType):
        return f"one of {', '.join(str(v) for v in shape.values)}"
    if isinstance(shape, shapes.CustomType):
        return _CUSTOM_WORDS.get(shape.cls, f"text for {shape.cls.__name__}")
    word = _WORDS.get(type(shape), "a value that nautilus_trader accepts")
    bounds = [
        f"{words} {bound:g}"
        for name, words in _BOUNDS.items()
        if (bound := getattr(shape, name, None)) is not None
    ]
    return " and ".join([f"{word} of {bounds[0]}", *bounds[1:]]) if bounds else word


def _show(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place and name else place or name
