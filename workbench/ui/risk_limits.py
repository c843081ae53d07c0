"""The limits of the risk gate: an entry of a run's actors, as fields of the form and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workbench.ui.fields import Field
from workbench.ui.places import MISSING, find_value
from workbench.ui.run_form import find_reporting_currency

__all__ = [
    "ANY_INSTRUMENT",
    "BREACH_ACTIONS",
    "GATE_CONFIG_PATH",
    "GATE_PATH",
    "build_limit_fields",
    "describe_limits",
    "find_gate",
    "set_limit",
]

type Entry = dict[str, Any]

GATE_PATH = "workbench.gate.actor:RiskGate"
GATE_CONFIG_PATH = "workbench.gate.actor:RiskGateConfig"
ANY_INSTRUMENT = "*"
# What each action does when a loss limit is reached.
BREACH_ACTIONS: Mapping[str, str] = {
    "DENY": "no new risk; open orders and positions stay",
    "CANCEL": "no new risk; open orders are cancelled",
    "FLATTEN": "no new risk; open orders are cancelled, positions closed",
}

_LOSSES = ("max_daily_loss", "max_drawdown")
_WORTHS = ("max_exposure", "max_net_exposure", "max_margin", *_LOSSES)
_LIMITS = ("max_position", *_WORTHS, "max_orders_per_sec")
# Ends of a day that have a time zone of their own.
_DAY_NAMES = ("UTC", "NEW_YORK_CLOSE")
_MOST_ROWS = 6
_NONE = Decimal(0)
_PERCENT = Decimal("0.01")
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_HELP: Mapping[str, str] = {
    "max_position": "The most units held, long or short. Pending orders count. An order beyond it is denied.",
    "max_exposure": "The most notional held and pending, long and short added up. An order beyond it is denied.",
    "max_net_exposure": "The most by which longs may exceed shorts in notional, or shorts longs.",
    "max_margin": "The largest part of equity that may be used as margin. An order beyond it is denied.",
    "max_mark_age_secs": "How old the price of something held may be. While one is older, nothing is risked anew.",
    "max_daily_loss": "The most that equity may lose in a day. Then no new risk is taken until the next.",
    "max_drawdown": "The most that equity may lose since its peak. Then no new risk is taken.",
    "max_orders_per_sec": "The most orders and modifications within a second. More are denied.",
    "day_start": "When the day of the daily loss begins.",
    "day_zone": "The time zone of that.",
}


def find_gate(config: Mapping[str, Any]) -> str:
    """Return the place of the gate among the actors, such as ``engine.actors.0``; where there is none, the next."""
    actors = find_value(config, "engine.actors")
    actors = actors if isinstance(actors, list) else []
    number = next((i for i, one in enumerate(actors) if _is_gate(one)), len(actors))
    return f"engine.actors.{number}"


def _is_gate(actor: Any) -> bool:
    return isinstance(actor, dict) and actor.get("actor_path") == GATE_PATH


def build_limit_fields(config: Mapping[str, Any], units: Mapping[str, str] | None = None) -> list[Field]:
    """
    Return the fields of the limits: those of the day and of a breach only where a loss is limited.

    Parameters
    ----------
    config : Mapping
        A ``BacktestRunConfig`` as JSON, of any shape.
    units : Mapping, optional
        The instruments of the run, each with what its quantities count.

    """
    place = f"{find_gate(config)}.config"
    found = find_value(config, place)
    given = found if isinstance(found, dict) else {}
    currency = find_reporting_currency(config)
    fields = _build_positions(place, given, units or {})
    fields += [
        _build_amount(place, "max_exposure", "Exposure", currency, "long and short added up"),
        _build_amount(place, "max_net_exposure", "Net exposure", currency, "long less short"),
        _build_amount(
            place,
            "max_margin",
            "Margin",
            "%",
            "of equity",
            scale=_PERCENT,
            is_above=True,
            highest=Decimal(100),
        ),
        _build_amount(place, "max_daily_loss", "Daily loss", currency, "of equity, since the day began"),
        _build_amount(
            place,
            "max_drawdown",
            "Drawdown",
            "%",
            "of the highest equity",
            scale=_PERCENT,
            is_above=True,
            highest=Decimal(100),
        ),
    ]
    if _has(given, "max_daily_loss", "day_start", "day_zone"):
        fields += [
            _build_text(
                place,
                "day_start",
                "Day starts at",
                "00:00",
                "such as 17:00, or NEW_YORK_CLOSE",
                rule=_check_clock,
            ),
            _build_text(
                place, "day_zone", "In the time zone", "UTC", "such as America/New_York", rule=_check_zone
            ),
        ]
    fields.append(
        _build_amount(
            place,
            "max_orders_per_sec",
            "Orders per second",
            "",
            "modifications count",
            kind="int",
            lowest=Decimal(1),
        )
    )
    if _has(given, *_WORTHS, "max_mark_age_secs"):
        fields.append(
            _build_amount(
                place,
                "max_mark_age_secs",
                "Age of prices",
                "s",
                "older ones let nothing new pass",
                kind="float",
                is_above=True,
            )
        )
    if _has(given, *_LOSSES, "on_breach"):
        choices = [(name, name) for name in BREACH_ACTIONS]
        fields.append(
            _build_text(place, "on_breach", "At a loss limit", "FLATTEN", "", kind="choice", choices=choices)
        )
    return fields


def _build_positions(place: str, given: Entry, units: Mapping[str, str]) -> list[Field]:
    """Return a field for each instrument that is or could be limited, and one for all others."""
    limited = given.get("max_position")
    names = list(limited) if isinstance(limited, dict) else []
    if len(names) == 0 or len(units) > 1:
        rows = units if 1 < len(units) <= _MOST_ROWS else ()
        names += [name for name in (*rows, ANY_INSTRUMENT) if name not in names]
    fields = []
    for name in names:
        unit = units.get(name, "units")
        hint = "long or short, pending orders count"
        if name == ANY_INSTRUMENT:
            own = set(units.values())
            unit = own.pop() if len(own) == 1 else "units"
            label = "Position" if len(names) == 1 else "Position, each other instrument"
        else:
            label = f"Position, {name}"
            if units and name not in units:
                hint = "the run does not read this instrument"
        fields.append(
            _build_amount(place, f"max_position.{name}", label, unit, hint, help=_HELP["max_position"])
        )
    return fields


def _build_amount(place: str, name: str, label: str, unit: str, hint: str, **more: Any) -> Field:
    settings = {"kind": "decimal", "lowest": _NONE, "help": _HELP.get(name, ""), **more}
    return Field(
        f"{place}.{name}",
        f"{label}, {unit}" if unit else label,
        unit=unit,
        hint=hint,
        is_nullable=True,
        slot=f"limits.{name}",
        **settings,
    )


def _build_text(place: str, name: str, label: str, default: str, hint: str, **more: Any) -> Field:
    return Field(
        f"{place}.{name}",
        label,
        hint=hint,
        default=default,
        help=_HELP.get(name, ""),
        slot=f"limits.{name}",
        **more,
    )


def _check_clock(text: str) -> str:
    is_known = text in _DAY_NAMES or _CLOCK.fullmatch(text)
    return "" if is_known else f"“{text}” is not a time of day, such as 17:00"


def _check_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"“{text}” is not a time zone, such as America/New_York"
    return ""


def _has(given: Mapping[str, Any], *names: str) -> bool:
    return any(given.get(name) not in (None, "", {}) for name in names)


def set_limit(config: Entry, name: str, value: Any, spare: Entry | None = None) -> Entry | None:
    """
    Set a limit, or remove it with `MISSING`; a gate without limits is taken out of the configuration.

    Parameters
    ----------
    config : dict
        The configuration; other actors stay as they are.
    name : str
        A field of the gate, such as ``max_exposure`` or ``max_position.GBP/USD.SIM``.
    value : Any
        What it is to be.
    spare : dict, optional
        A gate that was taken out: what else it said holds again with its next limit.

    Returns
    -------
    dict, optional
        The gate that was taken out, or else `spare`.

    """
    number = int(find_gate(config).rpartition(".")[2])
    if not isinstance(config.get("engine"), dict):
        config["engine"] = {}
    engine = config["engine"]
    actors = engine["actors"] = engine["actors"] if isinstance(engine.get("actors"), list) else []
    if number == len(actors):
        actors.append(spare or {"actor_path": GATE_PATH, "config_path": GATE_CONFIG_PATH, "config": {}})
        spare = None
    gate = actors[number]
    if not isinstance(gate.get("config"), dict):
        gate["config"] = {}
    limits = gate["config"]
    name, _, instrument = name.partition(".")
    if instrument:
        old = limits.get(name)
        positions = {k: v for k, v in (old if isinstance(old, dict) else {}).items() if k != instrument}
        value = positions if value is MISSING else {**positions, instrument: value}
    if value is MISSING or value == {}:
        limits.pop(name, None)
    else:
        limits[name] = value
    if not _has(limits, *_LIMITS):
        spare = actors.pop(number)
    if not actors:
        del engine["actors"]
    return spare


def describe_limits(config: Mapping[str, Any], fields: Sequence[Field] | None = None) -> str:
    """Return the limits in one line, such as ``daily loss 5,000 USD, drawdown 5 %``; empty without any."""
    parts = []
    fields = build_limit_fields(config) if fields is None else fields
    values = {one.slot.removeprefix("limits."): find_value(config, one.path) for one in fields}
    for one in fields:
        name, value = one.slot.removeprefix("limits."), values[one.slot.removeprefix("limits.")]
        if value is MISSING or value is None or not name.startswith("max_"):
            continue
        label = one.label.removesuffix(f", {one.unit}")
        label = f"{label[:1].lower()}{label[1:]}"
        parts.append(" ".join(filter(None, (label, one.write(value), one.unit))))
        if name == "max_daily_loss":
            day = [
                str(values[key])
                for key in ("day_start", "day_zone")
                if values.get(key, MISSING) is not MISSING
            ]
            parts[-1] += f" (day from {' '.join(day)})" if day else ""
    if any(values.get(name, MISSING) is not MISSING for name in _LOSSES):
        action = values.get("on_breach", MISSING)
        parts.append(f"then {'FLATTEN' if action is MISSING else action}")
    return ", ".join(parts)
