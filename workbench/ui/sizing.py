"""Sizing as fields of the form: of a strategy that is sized at every order, or a size computed once, before the run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from workbench.errors import InputError
from workbench.ui.fields import Field
from workbench.ui.places import MISSING, find_value, remove_value, set_value

__all__ = [
    "FIXED",
    "METHODS",
    "SizeChoice",
    "build_sizing_fields",
    "find_instrument_id",
    "find_sizes",
    "find_sizing_name",
    "set_sizing",
]

FIXED = "FIXED_QUANTITY"
METHODS: Mapping[str, str] = {
    FIXED: "Fixed quantity",
    "FIXED_NOTIONAL": "Fixed notional",
    "PERCENT_OF_EQUITY": "Percent of equity",
    "VOLATILITY_TARGET": "Volatility target",
}
_TARGET = "VOLATILITY_TARGET"
_ONCE = "sizing"
_PARTS = ("method", "amount", "lookback", "periods_per_year", "max_quantity")
# How strategies call the size of their orders, the likeliest first.
_NAMES = (
    "trade_size",
    "order_qty",
    "order_quantity",
    "order_size",
    "position_size",
    "quantity",
    "qty",
    "size",
)
_NUMBERS = ("decimal", "int", "float")
_MOST = Decimal("1e15")
_BAR_SPEC = re.compile(r"(?P<step>\d+)-(?P<unit>SECOND|MINUTE|HOUR|DAY)-")
_OF_A_DAY = {"SECOND": 86_400, "MINUTE": 1_440, "HOUR": 24, "DAY": 1}


def find_sizing_name(schema: Mapping[str, Any]) -> tuple[str, bool]:
    """Return which property of a strategy's configuration is a `Sizing`, and whether it may be nothing; or ``""``."""
    definitions = schema.get("$defs") or {}
    own = definitions.get(str(schema.get("$ref") or "").rpartition("/")[2]) or schema
    for name, shape in (own.get("properties") or {}).items():
        arms = shape.get("anyOf") or [shape]
        for arm in arms:
            found = definitions.get(str(arm.get("$ref") or "").rpartition("/")[2]) or arm
            if found.get("title") == "Sizing" and set(_PARTS) == set(found.get("properties") or ()):
                return str(name), any(one.get("type") == "null" for one in arms)
    return "", False


def find_sizes(fields: Sequence[Field]) -> list[Field]:
    """Return the parameters that say how large the orders are, the likeliest first."""
    named = [one for name in _NAMES for one in fields if one.name == name and one.kind in (*_NUMBERS, "text")]
    others = [
        one
        for one in fields
        if one not in named
        and one.kind in _NUMBERS
        and one.name.endswith(("_size", "_qty", "_quantity"))
        and not one.name.startswith(("max_", "min_", "trigger_"))
    ]
    return [*named, *others]


def build_sizing_fields(
    place: str,
    given: Any,
    *,
    default: Any = MISSING,
    is_nullable: bool = False,
    unit: str = "",
    currency: str = "",
    bar_spec: str = "",
    is_always_open: bool = False,
) -> list[Field]:
    """
    Return the fields of a sizing, as far as its method has use for them.

    Parameters
    ----------
    place : str
        Where it stands in the configuration.
    given : Any
        What stands there.
    default : Any
        What the strategy takes where it is not named.
    is_nullable : bool
        Whether it may be nothing.
    unit, currency : str
        What quantities count, and what amounts are in.
    bar_spec : str
        Of the bars that volatility is measured from, such as ``1-MINUTE-BID``: how many are in a year is hinted at.
    is_always_open : bool
        Whether the market never closes.

    """
    values = given if isinstance(given, Mapping) else default if given is MISSING else None
    values = values if isinstance(values, Mapping) else {}
    method = values.get("method")

    def default_of(name: str) -> Any:
        return default.get(name, MISSING) if isinstance(default, Mapping) and given is MISSING else MISSING

    fields = [
        Field(
            f"{place}.method",
            "Method",
            "choice",
            choices=list(METHODS.items()),
            is_required=not is_nullable,
            is_nullable=is_nullable,
            default=default_of("method"),
            help="What an opening order is as large as: a quantity, an amount, a part of equity, or a risk.",
        )
    ]
    if method not in METHODS:
        return fields
    label, unit_of = {
        FIXED: ("Quantity", unit),
        "FIXED_NOTIONAL": ("Notional", currency),
        "PERCENT_OF_EQUITY": ("Of equity", "%"),
        _TARGET: ("Volatility target", "% a year"),
    }[str(method)]
    fields.append(
        Field(
            f"{place}.amount",
            f"{label}, {unit_of}" if unit_of else label,
            "decimal",
            unit="%" if unit_of.startswith("%") else unit_of,
            hint="above 0",
            is_required=True,
            default=default_of("amount"),
            lowest=Decimal(0),
            is_above=True,
            highest=_MOST,
        )
    )
    if method == _TARGET:
        fields += [
            Field(
                f"{place}.lookback",
                "Lookback, returns",
                "int",
                hint="from bar to bar",
                default=20 if default_of("lookback") is MISSING else default_of("lookback"),
                lowest=Decimal(2),
                highest=Decimal(100_000),
            ),
            Field(
                f"{place}.periods_per_year",
                "Bars a year",
                "int",
                hint=_suggest_periods(bar_spec, is_always_open),
                is_required=True,
                default=default_of("periods_per_year"),
                lowest=Decimal(1),
                highest=Decimal(1_000_000_000),
            ),
        ]
    if method != FIXED:
        fields.append(
            Field(
                f"{place}.max_quantity",
                f"Largest order, {unit}" if unit else "Largest order",
                "decimal",
                unit=unit,
                hint="more is cut to this",
                is_nullable=True,
                default=None,
                lowest=Decimal(0),
                is_above=True,
                highest=_MOST,
            )
        )
    return fields


def _suggest_periods(bar_spec: str, is_always_open: bool) -> str:
    """Return how many bars a year may have, and how that comes about."""
    match = _BAR_SPEC.match(bar_spec)
    if match is None:
        return "such as 252 for days"
    days, bars = 365 if is_always_open else 252, Decimal(_OF_A_DAY[match["unit"]]) / int(match["step"])
    if match["unit"] == "DAY" or bars != bars.to_integral_value():
        return f"such as {days} for days"
    return f"{days * int(bars):,}: {days} days of {int(bars):,}"


def set_sizing(
    document: dict[str, Any], place: str, name: str, value: Any, *, default: Any = MISSING
) -> None:
    """
    Set a part of a sizing. Another method takes another kind of amount, so the old one goes.

    Parameters
    ----------
    document : dict
        Where it stands.
    place, name : str
        The place of the sizing, and its part.
    value : Any
        What the part is to be; `MISSING` or ``None`` for the method of a sizing that may be nothing: then it is.
    default : Any
        What the strategy takes where nothing is named: a part of it is changed, the others stay.

    """
    given = find_value(document, place)
    if not isinstance(given, dict):
        copied = dict(default) if given is MISSING and isinstance(default, Mapping) else {}
        given = {key: one for key, one in copied.items() if one is not None}
    if name == "method":
        if value is MISSING or value is None:
            set_value(document, place, None)
            return
        if given.get("method") != value:
            given.pop("amount", None)
            if value != _TARGET:
                given.pop("lookback", None)
                given.pop("periods_per_year", None)
            if value == FIXED:
                given.pop("max_quantity", None)
    set_value(document, place, given)
    if value is MISSING:
        remove_value(document, f"{place}.{name}")
    else:
        set_value(document, f"{place}.{name}", value)


@dataclass
class SizeChoice:
    """
    How the one size of a strategy that knows no sizing is chosen before the run.

    Attributes
    ----------
    document : dict
        What is filled in, at `place`; nothing of it goes into the configuration but the quantity.
    target : str
        The path of the parameter that takes the quantity; empty: the likeliest.
    answer : dict, optional
        What the server computed, of what is filled in now.
    refusals : Mapping of str to str
        What it says is wrong, by path; ``""`` is about something else.
    is_asking : bool
        Whether it is being computed.

    """

    document: dict[str, Any] = field(default_factory=lambda: {_ONCE: {"method": FIXED}})
    target: str = ""
    answer: dict[str, Any] | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)
    is_asking: bool = False

    place = _ONCE

    @property
    def method(self) -> str:
        """The method."""
        return str(self.document[_ONCE].get("method"))

    @property
    def is_computed(self) -> bool:
        """Whether the quantity is computed, rather than typed."""
        return self.method != FIXED

    def find_target(self, sizes: Sequence[Field]) -> Field | None:
        """Return the parameter that takes the quantity."""
        return next((one for one in sizes if one.path == self.target), sizes[0] if sizes else None)

    def reset(self) -> None:
        """Go back to a quantity that is typed."""
        self.document = {_ONCE: {"method": FIXED}}
        self.forget()

    def forget(self) -> None:
        """Forget what the server said: something has changed."""
        self.answer, self.refusals, self.is_asking = None, {}, False

    def find_errors(self, fields: Sequence[Field]) -> dict[str, str]:
        """Return what is wrong, by path; under ``sizing`` why there is no quantity."""
        if not self.is_computed:
            return {}
        errors = {one.path: one.check(find_value(self.document, one.path)) for one in fields}
        errors |= {
            path: words for path, words in self.refusals.items() if path in errors and not errors[path]
        }
        errors = {path: words for path, words in errors.items() if words}
        if errors:
            return errors
        others = [words for path, words in self.refusals.items() if words]
        if others:
            return {_ONCE: others[0]}
        if self.answer is not None and self.answer["quantity"] is None:
            words = str(self.answer["reason"])
            return {_ONCE: f"No quantity: {words}"}
        return {}

    def build_wish(self, fields: Sequence[Field]) -> dict[str, Any] | None:
        """Return the sizing to compute; ``None`` while a field is empty or wrong."""
        values = {one.name: find_value(self.document, one.path) for one in fields}
        if not self.is_computed or any(one.check(values[one.name]) for one in fields):
            return None
        return {name: value for name, value in values.items() if value is not MISSING and value is not None}

    def take_refusal(self, error: InputError) -> None:
        """Keep what the server says is wrong."""
        found = [one for one in (error.errors or (error,)) if one.field.startswith(f"{_ONCE}.")]
        self.answer, self.is_asking = None, False
        self.refusals = {one.field: str(one) for one in found} or {"": str(error)}

    def write_key(self, wish: Mapping[str, Any], config: Mapping[str, Any], target: Field) -> str:
        """Return what the quantity depends on, as text."""
        engine = config.get("engine")
        strategies = engine.get("strategies") if isinstance(engine, Mapping) else None
        listened = [find_value(one, "config.bar_type") for one in strategies or []]
        what = {name: config.get(name) for name in ("venues", "data", "start", "end")}
        return json.dumps([wish, target.path, what, listened, find_instrument_id(config)], default=str)


def find_instrument_id(config: Mapping[str, Any]) -> str | None:
    """Return which instrument the first strategy names; ``None`` where it names none."""
    found = find_value(config, "engine.strategies.0.config.instrument_id")
    return found if isinstance(found, str) and found else None
