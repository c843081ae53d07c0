"""The fields of an engine's configuration: from the schemas of its parts, and of what the form knows by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from workbench.secret_names import is_reference, is_secret_name, is_secret_text
from workbench.ui.fields import Field
from workbench.ui.forms import build_fields, name_field
from workbench.ui.places import MISSING
from workbench.ui.risk_limits import GATE_PATH, build_limit_fields

__all__ = [
    "NAME_PATTERN",
    "POLICIES",
    "build_general_fields",
    "build_node_fields",
    "build_part_fields",
    "build_preset_fields",
    "build_risk_fields",
    "is_secret_field",
]

NAME_PATTERN = r"[A-Za-z][A-Za-z0-9_-]{0,39}"
# Where the class of each part is whose fields are its schema.
POLICIES: Mapping[str, str] = {
    "emergency": "workbench.engine_records:EmergencyPolicy",
    "restart": "workbench.live.config:RestartPolicy",
    "stop": "workbench.live.config:StopPolicy",
    "health": "workbench.live.config:HealthPolicy",
    "node.cache.database": "nautilus_trader.common.config:DatabaseConfig",
}
# What the names of the policies' fields leave out.
_LABELS: Mapping[str, str] = {
    "emergency.action": "What it does",
    "emergency.scope": "Whose orders and positions",
    "restart.most": "Restarts at most",
    "restart.window_secs": "Within, s",
    "restart.backoff_secs": "Wait before the first, s",
    "restart.max_backoff_secs": "Wait at most, s",
    "stop.timeout_secs": "An orderly end within, s",
    "stop.kill_secs": "Killed after, s",
}
_UNITS: Mapping[str, str] = {"secs": "s", "ms": "ms", "bytes": "bytes", "percent": "%"}
_WORDS: Mapping[str, str] = {
    "api": "API",
    "cpu": "CPU",
    "http": "HTTP",
    "ssl": "SSL",
    "url": "URL",
    "us": "US",
    "ws": "WS",
}
_CURRENCY = re.compile(r"[A-Z0-9]{2,10}")
_REFERENCE_HINT = "a reference: env:NAME, or keyring:SERVICE/NAME"
_GATE = "engine.actors.0.config."
_ZERO = Decimal(0)


def is_secret_field(one: Field) -> bool:
    """Return whether a field takes a reference, and nothing else."""
    return one.rule is _check_reference


def build_general_fields() -> list[Field]:
    """Return what the engine is."""
    return [
        Field(
            "environment",
            "Environment",
            "choice",
            is_required=True,
            default="SANDBOX",
            choices=[("SANDBOX", "SANDBOX"), ("LIVE", "LIVE")],
            hint="SANDBOX: orders are matched on the engine's machine. LIVE: they leave it",
        ),
        Field(
            "currency",
            "Currency",
            is_required=True,
            default="USD",
            hint="what equity, loss and exposure are counted in",
            rule=_check_currency,
        ),
    ]


def build_part_fields(description: Mapping[str, Any], prefix: str) -> list[Field]:
    """Return the fields of a part by its schema; those for secrets take references."""
    fields = build_fields(description["schema"], prefix, help_texts=description.get("help") or {})
    return [_guard(_name(one)) for one in fields]


def _name(one: Field) -> Field:
    """Return a field with a label for people: units behind a comma, abbreviations in capitals."""
    *words, last = one.label.split(" ")
    words = [_WORDS.get(w.lower(), w) for w in words]
    unit = _UNITS.get(last.lower()) if words else None
    label = f"{' '.join(words)}, {unit}" if unit else " ".join([*words, _WORDS.get(last.lower(), last)])
    return replace(one, label=_LABELS.get(one.path, label))


def _guard(one: Field) -> Field:
    if one.kind == "text" and is_secret_name(one.name):
        return replace(one, rule=_check_reference, hint=_REFERENCE_HINT, is_nullable=True)
    return replace(one, rule=one.rule or _check_text) if one.kind == "text" else one


def _check_reference(text: str) -> str:
    return "" if is_reference(text) else f"It has to be {_REFERENCE_HINT}"


def _check_text(text: str) -> str:
    return "This is a secret: it has to be a reference" if is_secret_text(text) else ""


def _check_currency(text: str) -> str:
    return "" if _CURRENCY.fullmatch(text) else f"“{text[:20]}” is no currency, such as USD"


def build_risk_fields(risk: Any, currency: str) -> list[Field]:
    """Return the limits of the gate, as the form for a run has them."""
    limits = risk if isinstance(risk, dict) else {}
    config = {
        "engine": {"actors": [{"actor_path": GATE_PATH, "config": limits}]},
        "venues": [{"base_currency": currency}],
    }
    return [replace(one, path=f"risk.{one.path.removeprefix(_GATE)}") for one in build_limit_fields(config)]


def build_node_fields(engine: str) -> list[Field]:
    """Return the fields of the node that people set, with what an engine takes where nothing is said."""

    def secs(name: str, label: str, default: float, hint: str) -> Field:
        return Field(
            f"node.{name}", f"{label}, s", "float", default=default, lowest=_ZERO, is_above=True, hint=hint
        )

    return [
        Field(
            "node.trader_id",
            "Trader",
            default=f"{engine.replace('-', '_').upper()}-001",
            hint="a name, a hyphen and a tag",
        ),
        Field("node.load_state", "Give strategies their state back at a start", "bool", default=True),
        Field("node.save_state", "Keep the state of strategies at a stop", "bool", default=True),
        Field(
            "node.exec_engine.reconciliation",
            "Reconcile with the venue at a start",
            "bool",
            default=True,
        ),
        Field(
            "node.exec_engine.generate_missing_orders",
            "Make orders up for positions that have none",
            "bool",
            default=True,
            hint="not with Binance Spot and Redis",
        ),
        Field(
            "node.exec_engine.open_check_interval_secs",
            "Ask the venue for open orders every, s",
            "float",
            is_nullable=True,
            default=None,
            lowest=_ZERO,
            is_above=True,
        ),
        secs("timeout_connection", "Connect within", 30.0, "all clients, at a start"),
        secs("timeout_reconciliation", "Reconcile within", 30.0, "at a start"),
        secs("timeout_portfolio", "Value positions within", 10.0, "at a start"),
        secs("timeout_disconnection", "Disconnect within", 5.0, "at a stop"),
    ]


def build_preset_fields(parameters: Sequence[Mapping[str, Any]]) -> list[Field]:
    """Return a field for each parameter of a preset."""
    return [
        Field(
            f"preset.{one['name']}",
            name_field(str(one["name"])),
            "choice" if one.get("choices") else "text",
            help=str(one.get("help") or ""),
            hint=str(one.get("help") or "").removesuffix("."),
            is_required=not one.get("default") and not one.get("is_optional"),
            is_nullable=bool(one.get("is_optional")),
            default=one.get("default") or (None if one.get("is_optional") else MISSING),
            choices=[(c, c) for c in one.get("choices") or []],
        )
        for one in parameters
    ]
