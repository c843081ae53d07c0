"""A JSON schema becomes the fields of a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from workbench.ui.fields import Field
from workbench.ui.places import MISSING

__all__ = ["ENUM_NAMES", "build_fields", "is_housekeeping", "name_field"]

# The schema has the numbers of nautilus's enums, not their names; in a configuration both will do.
ENUM_NAMES: Mapping[str, Mapping[int, str]] = {
    "AccountType": {1: "CASH", 2: "MARGIN", 3: "BETTING", 4: "WALLET"},
    "BookType": {1: "L1_MBP", 2: "L2_MBP", 3: "L3_MBO"},
    "OmsType": {0: "UNSPECIFIED", 1: "NETTING", 2: "HEDGING"},
    "OrderSide": {0: "NO_ORDER_SIDE", 1: "BUY", 2: "SELL"},
    "OtoTriggerMode": {0: "PARTIAL", 1: "FULL"},
    "PriceType": {1: "BID", 2: "ASK", 3: "MID", 4: "LAST", 5: "MARK"},
    "TimeInForce": {
        1: "GTC",
        2: "IOC",
        3: "FOK",
        4: "GTD",
        5: "DAY",
        6: "AT_THE_OPEN",
        7: "AT_THE_CLOSE",
    },
    "TrailingOffsetType": {
        0: "NO_TRAILING_OFFSET",
        1: "PRICE",
        2: "BASIS_POINTS",
        3: "TICKS",
        4: "PRICE_TIER",
    },
    "TriggerType": {
        0: "NO_TRIGGER",
        1: "DEFAULT",
        2: "LAST_PRICE",
        3: "MARK_PRICE",
        4: "INDEX_PRICE",
        5: "BID_ASK",
        6: "DOUBLE_LAST",
        7: "DOUBLE_BID_ASK",
        8: "LAST_OR_BID_ASK",
        9: "MID_POINT",
    },
}
# What nautilus gives every strategy beside its own parameters.
_HOUSEKEEPING = (
    "strategy_id",
    "order_id_tag",
    "use_uuid_client_order_ids",
    "use_hyphens_in_client_order_ids",
    "oms_type",
    "external_order_claims",
    "manage_contingent_orders",
    "manage_gtd_expiry",
    "manage_stop",
    "market_exit_interval_ms",
    "market_exit_max_attempts",
    "market_exit_time_in_force",
    "market_exit_reduce_only",
    "log_events",
    "log_commands",
    "log_rejected_due_post_only_as_warning",
)
_ACRONYMS = ("ema", "sma", "rsi", "macd", "atr", "vwap", "adx", "gtd", "gtc", "id", "ids", "uuid", "oms")
_MOST_DEPTH = 4

type Schema = Mapping[str, Any]


def is_housekeeping(name: str) -> bool:
    """Return whether a field is one that nautilus gives every strategy, beside its own parameters."""
    return name in _HOUSEKEEPING


def name_field(name: str) -> str:
    """
    Return the words for a field's name.

    Examples
    --------
    >>> name_field("fast_ema_period")
    'Fast EMA period'

    """
    words = [w.upper() if w in _ACRONYMS else w for w in name.split("_") if w]
    text = " ".join(words)
    return f"{text[:1].upper()}{text[1:]}" if text else name


def build_fields(
    schema: Schema, prefix: str, *, help_texts: Mapping[str, str] | None = None, depth: int = _MOST_DEPTH
) -> list[Field]:
    """
    Return a field for each property of an object, in its order; nested objects give theirs in place.

    Parameters
    ----------
    schema : Mapping
        A JSON schema, with ``$ref`` into its ``$defs``.
    prefix : str
        Where the object stands in the configuration.
    help_texts : Mapping of str to str, optional
        A line about each property.
    depth : int
        How deep objects may be nested; those that are deeper have one field, for JSON.

    """
    definitions = schema.get("$defs") or {}
    return _build_object(schema, prefix, definitions, help_texts or {}, "", depth)


def _build_object(
    schema: Schema, prefix: str, definitions: Schema, help_texts: Mapping[str, str], group: str, depth: int
) -> list[Field]:
    schema, _ = _resolve(schema, definitions)
    required = set(schema.get("required") or ())
    fields: list[Field] = []
    for name, shape in (schema.get("properties") or {}).items():
        path = f"{prefix}.{name}"
        label = f"{group}{name_field(name)}"
        resolved, _ = _resolve(shape, definitions)
        if resolved.get("properties") and depth > 0 and shape.get("default", MISSING) is not None:
            fields += _build_object(resolved, path, definitions, {}, f"{label}: ", depth - 1)
            continue
        fields.append(
            _build_field(path, label, shape, definitions, name in required, help_texts.get(name, ""))
        )
    return fields


def _resolve(schema: Schema, definitions: Schema) -> tuple[Schema, str]:
    """Return what a ``$ref`` stands for, with what stands beside it, and the name that it has."""
    name = ""
    for _ in range(_MOST_DEPTH):
        if "$ref" not in schema:
            break
        name = str(schema["$ref"]).rpartition("/")[2]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**(definitions.get(name) or {}), **beside}
    return schema, name


def _build_field(
    path: str, label: str, schema: Schema, definitions: Schema, is_required: bool, help_text: str
) -> Field:
    arms = [_resolve(arm, definitions) for arm in schema.get("anyOf") or [schema]]
    is_nullable = any(arm.get("type") == "null" for arm, _ in arms)
    real = [(arm, name) for arm, name in arms if arm.get("type") != "null"]
    common: dict[str, Any] = {
        "path": path,
        "label": label,
        "help": help_text or str(schema.get("description") or ""),
        "is_required": is_required,
        "is_nullable": is_nullable,
        "default": schema.get("default", MISSING),
    }
    enums = [(arm, name) for arm, name in real if "enum" in arm]
    if enums and all("enum" in arm or arm.get("type") == "string" for arm, _ in real):
        return _build_choice(common, *enums[0], has_text=len(real) > len(enums))
    if len(real) != 1:
        kinds = {str(arm.get("type")) for arm, _ in real}
        is_number = kinds <= {"integer", "number"} and bool(kinds)
        return Field(**common, kind="float" if is_number else "json")
    return _build_plain(common, real[0][0], definitions)


def _build_plain(common: dict[str, Any], schema: Schema, definitions: Schema) -> Field:
    match schema.get("type"):
        case "integer":
            return Field(**common, kind="int", **_find_bounds(schema))
        case "number":
            return Field(**common, kind="float", **_find_bounds(schema))
        case "string" if schema.get("format") == "decimal":
            return Field(**common, kind="decimal")
        case "string":
            return Field(**common, kind="text")
        case "boolean":
            return Field(**common, kind="bool")
        case "array" if "items" in schema:
            items, _ = _resolve(schema["items"] or {}, definitions)
            if items.get("type") in ("integer", "number"):
                return Field(**common, kind="list", item="number")
            if items.get("type") == "string":
                return Field(**common, kind="list")
    return Field(**common, kind="json")


def _build_choice(common: dict[str, Any], schema: Schema, name: str, *, has_text: bool) -> Field:
    names = ENUM_NAMES.get(name, {})
    choices: Sequence[tuple[Any, str]] = [
        (names[v] if has_text and v in names else v, names.get(v, str(v))) for v in schema["enum"]
    ]
    default = common["default"]
    if has_text and default in names:
        common = {**common, "default": names[default]}
    return Field(**common, kind="choice", choices=choices)


def _find_bounds(schema: Schema) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for inside, outside, key, flag in (
        ("minimum", "exclusiveMinimum", "lowest", "is_above"),
        ("maximum", "exclusiveMaximum", "highest", "is_below"),
    ):
        if outside in schema:
            bounds |= {key: Decimal(str(schema[outside])).normalize(), flag: True}
        elif inside in schema:
            bounds |= {key: Decimal(str(schema[inside])).normalize()}
    return bounds
