"""Which changes of an engine raise risk, and what a person must see before they confirm one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from workbench.engine_records import EmergencyAction, EmergencyScope, OrderRow, PositionRow, Risks
from workbench.live.config import Change, EngineConfig, Environment

__all__ = ["TRADING_STATES", "build_risks", "find_raised", "is_confirmed_change", "is_raising_state"]

# From the least risk to the most.
TRADING_STATES = ("HALTED", "REDUCING", "ACTIVE")
_ON_BREACH = ("DENY", "CANCEL", "FLATTEN")
_ANY = "*"


def is_raising_state(before: str, after: str, environment: str) -> bool:
    """
    Return whether a new trading state must be confirmed: leaving HALTED always, any more risk in a LIVE engine.

    A state that nobody knows counts as HALTED.
    """
    if before not in TRADING_STATES[1:]:
        return after != TRADING_STATES[0]
    is_more = TRADING_STATES.index(after) > TRADING_STATES.index(before)
    return is_more and environment == Environment.LIVE


def find_raised(before: EngineConfig, after: EngineConfig) -> list[Change]:
    """
    Return the limits that let an engine risk more: higher or gone, or a milder answer to a breach or an emergency.

    A limit of every instrument (``*``) holds for each that has none of its own. A change whose direction is not
    known, such as the hour at which a day begins, counts too.
    """
    found = []
    for name in sorted({*before.risk, *after.risk}):
        old, new = before.risk.get(name), after.risk.get(name)
        if isinstance(old, dict) or isinstance(new, dict):
            found += _find_raised_entries(f"risk.{name}", _as_dict(old), _as_dict(new))
        elif _is_raised(name, old, new):
            found.append(Change(field=f"risk.{name}", before=old, after=new))
    for name, strictest in (("action", EmergencyAction.FLATTEN), ("scope", EmergencyScope.ACCOUNT)):
        was, will_be = getattr(before.emergency, name), getattr(after.emergency, name)
        if was == strictest != will_be:
            found.append(Change(field=f"emergency.{name}", before=was, after=will_be))
    return found


def is_confirmed_change(before: EngineConfig, after: EngineConfig) -> bool:
    """
    Return whether a new configuration must be confirmed.

    That is so where a limit is raised, and where anything but a lowered limit changes in what is or becomes LIVE.
    """
    if find_raised(before, after):
        return True
    if Environment.LIVE not in (before.environment, after.environment):
        return False
    others = msgspec.structs.replace(after, risk=before.risk, emergency=before.emergency)
    return others != before


def build_risks(
    engine: str,
    action: str,
    environment: str,
    *,
    lines: Sequence[str],
    orders: Sequence[OrderRow] | None = None,
    positions: Sequence[PositionRow] | None = None,
    valuation: Mapping[str, Any] | None = None,
    changes: Sequence[Change] = (),
) -> Risks:
    """
    Return what a person must see.

    Parameters
    ----------
    engine, action, environment : str
        What is to be done, and where.
    lines : Sequence[str]
        What follows from it, in words.
    orders, positions : Sequence, optional
        What is open; ``None`` where the engine does not say.
    valuation : Mapping, optional
        ``gross``, ``net`` and ``currency``, as the host tells them.
    changes : Sequence[Change]
        What will be different.

    """
    said = list(lines)
    if orders is None or positions is None:
        said.append("nobody can say now what is open: the engine does not tell")
    else:
        said.append(f"open now: {_count(len(orders), 'order')}, {_count(len(positions), 'position')}")
    values = {name: str(value) for name, value in (valuation or {}).items() if value is not None}
    return Risks(
        engine=engine,
        action=action,
        environment=environment,
        word="LIVE" if environment == Environment.LIVE else "y",
        lines=said,
        orders=list(orders or ()),
        positions=list(positions or ()),
        gross=values.get("gross", ""),
        net=values.get("net", ""),
        currency=values.get("currency", ""),
        changes=[msgspec.to_builtins(c) for c in changes],
    )


def _find_raised_entries(field: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key, before.get(_ANY)), after.get(key, after.get(_ANY))
        if _is_raised(field, old, new):
            found.append(Change(field=f"{field}.{key}", before=old, after=new))
    return found


def _is_raised(name: str, before: Any, after: Any) -> bool:
    if name == "on_breach":
        old, new = before or _ON_BREACH[-1], after or _ON_BREACH[-1]
        return old != new and not (
            old in _ON_BREACH and new in _ON_BREACH and _ON_BREACH.index(new) > _ON_BREACH.index(old)
        )
    if before == after:
        return False
    old, new = _read(before), _read(after)
    if new is None:
        return True  # Gone, or no number
    return before is not None and (old is None or new > old)


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
