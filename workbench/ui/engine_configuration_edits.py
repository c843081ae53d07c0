"""What differs between two configurations of an engine, and how the edits of two people come together."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any

from workbench.secret_names import is_reference, is_secret_name, is_secret_text
from workbench.ui.places import MISSING

__all__ = ["Edit", "find_edits", "merge_edits", "take_out_secrets", "write_value"]

_MOST_SHOWN = 80


@dataclass(frozen=True)
class Edit:
    """One place in which two configurations differ; what is not there is `MISSING`."""

    field: str
    before: Any
    after: Any


def find_edits(before: Any, after: Any, place: str = "") -> list[Edit]:
    """Return where two configurations differ: objects by their fields, also those that are new or gone."""
    if _is_same(before, after):
        return []
    if before is MISSING and isinstance(after, dict) and after:
        before = {}
    if after is MISSING and isinstance(before, dict) and before:
        after = {}
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            pairs = enumerate(zip(before, after, strict=True))
            return [e for i, (old, new) in pairs for e in find_edits(old, new, f"{place}.{i}")]
        return [Edit(place, before, after)]
    found = []
    for name in dict.fromkeys((*before, *after)):
        own = f"{place}.{name}" if place else name
        found += find_edits(before.get(name, MISSING), after.get(name, MISSING), own)
    return found


def merge_edits(base: Any, mine: Any, theirs: Any, place: str = "") -> tuple[Any, list[str]]:
    """
    Return what two people have made of the same configuration, put together.

    Where only one of them has changed something it is taken; where both have, and differently, mine is.

    Parameters
    ----------
    base, mine, theirs : Any
        The configuration that both began with, and what each made of it. Lists count as one value.

    Returns
    -------
    tuple
        The configuration, and the places in which mine was taken against theirs.

    """
    if _is_same(mine, theirs) or _is_same(theirs, base):
        return _copy(mine), []
    if _is_same(mine, base):
        return _copy(theirs), []
    if not (isinstance(mine, dict) and isinstance(theirs, dict)):
        return _copy(mine), [place]
    merged: dict[str, Any] = {}
    clashes: list[str] = []
    old = base if isinstance(base, dict) else {}
    for name in dict.fromkeys((*theirs, *mine)):
        own = f"{place}.{name}" if place else name
        first, second, third = (one.get(name, MISSING) for one in (old, mine, theirs))
        value, found = merge_edits(first, second, third, own)
        clashes += found
        if value is not MISSING:
            merged[name] = value
    return merged, clashes


def take_out_secrets(values: Any, place: str = "", name: str = "") -> tuple[Any, list[str]]:
    """Return values without the secrets that stand in them in the clear, and where those stood."""
    found: list[str] = []
    if isinstance(values, dict):
        kept = {}
        for key, value in values.items():
            own = f"{place}.{key}" if place else str(key)
            kept[key], places = take_out_secrets(value, own, str(key))
            found += places
        return kept, found
    if isinstance(values, list):
        items = []
        for i, value in enumerate(values):
            item, places = take_out_secrets(value, f"{place}.{i}", name)
            items.append(item)
            found += places
        return items, found
    if isinstance(values, str) and values and _is_in_the_clear(name, values):
        return None, [place]
    return values, found


def _copy(value: Any) -> Any:
    # There is one `MISSING`: a copy of it would be a value.
    return value if value is MISSING else copy.deepcopy(value)


def _is_in_the_clear(name: str, text: str) -> bool:
    return is_secret_text(text) or (is_secret_name(name) and not is_reference(text))


def write_value(value: Any) -> str:
    """Return a value in one short line."""
    if value is MISSING or value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _is_same(one: Any, other: Any) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    # True is 1 to Python, but not to who reads the configuration; 1.0 and 1 are the same number.
    return bool(one == other) and json.dumps(one, sort_keys=True).count("true") == json.dumps(
        other, sort_keys=True
    ).count("true")
