"""The fields of a venue: its account, and the models of fills, fees and latency."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from workbench.ui.fields import Field
from workbench.ui.forms import ENUM_NAMES
from workbench.ui.run_form import find_fee_model, find_fill_model, find_latency_model

__all__ = [
    "MODEL_CHOICES",
    "MODEL_LABELS",
    "build_account_fields",
    "build_fee_fields",
    "build_fill_fields",
    "build_latency_fields",
    "describe_model",
]

# Per model: the choices, and what each of them means.
MODEL_CHOICES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "fill_model": {
        "careful": (
            "By chance and with slippage",
            "",
        ),
        "nautilus": (
            "Every touch fills, no slippage",
            "Optimistic: every limit order that is touched fills.",
        ),
        "custom": ("Another class, in the JSON", "Kept as it is; the JSON shows it."),
    },
    "fee_model": {
        "instrument": (
            "Maker and taker fees of the instrument",
            "Many currency pairs have none.",
        ),
        "fixed": ("A fixed fee for each order", ""),
        "contract": ("A fee for each contract", ""),
        "custom": ("Another class, in the JSON", "Kept as it is; the JSON shows it."),
    },
    "latency_model": {
        "none": ("None", "Orders reach the venue at once."),
        "fixed": ("Fixed", "Each command takes so long to the venue."),
        "custom": ("Another class, in the JSON", "Kept as it is; the JSON shows it."),
    },
}
MODEL_LABELS: Mapping[str, str] = {"fill_model": "Fills", "fee_model": "Fees", "latency_model": "Latency"}
_MS = 1_000_000
_ONE = Decimal(1)
_NONE = Decimal(0)


def build_account_fields(place: str) -> list[Field]:
    """Return the fields of the account of the venue at `place`, such as ``venues.0``."""
    return [
        Field(
            f"{place}.starting_balances",
            "Starting balance",
            "money",
            is_required=True,
            hint="amount and currency",
            help="Several with a semicolon between them.",
        ),
        Field(
            f"{place}.default_leverage",
            "Leverage",
            "float",
            default=1.0,
            lowest=_ONE,
            hint="1 or more",
            help="Of a MARGIN account.",
        ),
        Field(
            f"{place}.account_type",
            "Account type",
            "choice",
            is_required=True,
            choices=_name_choices("AccountType", "MARGIN", "CASH", "BETTING"),
            help="CASH holds what it buys; MARGIN borrows against collateral.",
        ),
        Field(
            f"{place}.oms_type",
            "Positions",
            "choice",
            is_required=True,
            choices=_name_choices("OmsType", "NETTING", "HEDGING"),
            help="NETTING: one position an instrument. HEDGING: one an entry.",
        ),
        Field(
            f"{place}.base_currency",
            "Base currency",
            "text",
            is_nullable=True,
            default=None,
            help="Empty for an account of several currencies.",
        ),
    ]


def build_fill_fields(place: str, venue: Mapping[str, Any]) -> list[Field]:
    """Return the fields of how orders fill."""
    model = f"{place}.fill_model.config"
    fields = [
        Field(
            f"{model}.prob_fill_on_limit",
            "Limit fills on touch",
            "float",
            default=1.0,
            lowest=_NONE,
            highest=_ONE,
            hint="probability; 0: only if traded through",
        ),
        Field(
            f"{model}.prob_slippage",
            "Slippage of one tick",
            "float",
            default=0.0,
            lowest=_NONE,
            highest=_ONE,
            hint="probability, for orders that take",
        ),
        Field(
            f"{model}.random_seed",
            "Random seed",
            "int",
            is_nullable=True,
            default=None,
            lowest=_NONE,
            hint="empty: every run differs",
        ),
    ]
    own = fields if find_fill_model(venue) == "careful" else []
    return [
        *own,
        Field(
            f"{place}.liquidity_consumption",
            "Fills use up the liquidity that the data show",
            "bool",
            default=False,
        ),
    ]


def build_fee_fields(place: str, venue: Mapping[str, Any]) -> list[Field]:
    """Return the fields of the chosen fee model."""
    choice = find_fee_model(venue)
    if choice not in ("fixed", "contract"):
        return []
    commission = Field(f"{place}.fee_model.config.commission", "Fee", "amount", is_required=True)
    once = Field(
        f"{place}.fee_model.config.charge_commission_once",
        "Once an order, not for each of its fills",
        "bool",
        default=True,
    )
    return [commission, once] if choice == "fixed" else [commission]


def build_latency_fields(place: str, venue: Mapping[str, Any]) -> list[Field]:
    """Return the fields of the chosen latency model, in milliseconds."""
    if find_latency_model(venue) != "fixed":
        return []
    named = {
        "base": ("Every command", 1_000_000_000),
        "insert": ("More to submit", 0),
        "update": ("More to modify", 0),
        "cancel": ("More to cancel", 0),
    }
    return [
        Field(
            f"{place}.latency_model.config.{name}_latency_nanos",
            label,
            "int",
            unit="ms",
            scale=_MS,
            lowest=_NONE,
            default=default,
        )
        for name, (label, default) in named.items()
    ]


def _name_choices(enum: str, *names: str) -> list[tuple[Any, str]]:
    return [(name, name) for name in ENUM_NAMES[enum].values() if name in names]


def describe_model(name: str, choice: str, venue: Mapping[str, Any]) -> str:
    """Return a model of a venue in a few words."""
    if choice == "custom":
        return f"{MODEL_LABELS[name]}: {_find_class(venue.get(name))}"
    config = (venue.get(name) or {}).get("config") or {}
    if name == "fill_model":
        if choice == "nautilus":
            return "Fills: on touch, no slippage"
        return f"Fills: touch {config.get('prob_fill_on_limit', 1)}, slip {config.get('prob_slippage', 0)}"
    if name == "fee_model":
        return {"instrument": "fees of the instrument"}.get(
            choice, f"fee {config.get('commission', 'missing')}"
        )
    if choice == "none":
        return "no latency"
    nanos = config.get("base_latency_nanos", 1_000_000_000)
    return f"latency {nanos / 1_000_000:g} ms" if isinstance(nanos, int | float) else "latency"


def _find_class(model: Any) -> str:
    paths = [str(v) for k, v in model.items() if k.endswith("_model_path")] if isinstance(model, dict) else []
    return paths[0].rpartition(":")[2] if paths else json.dumps(model)
