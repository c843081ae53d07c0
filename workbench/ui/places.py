"""Places in a configuration: values found, set and removed by paths such as ``venues.0.fee_model``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MISSING", "find_value", "remove_value", "set_value", "split_path"]


class _Missing:
    """The value of a field that a configuration does not name."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


def split_path(path: str) -> list[str | int]:
    """Return the steps of a path: names, and numbers in lists."""
    return [int(step) if step.isdecimal() else step for step in path.split(".")]


def find_value(document: Any, path: str) -> Any:
    """Return the value at a path of a configuration; `MISSING` if there is none. The last name may have dots in it."""
    rest = path
    while rest:
        if isinstance(document, Mapping) and rest in document:
            return document[rest]
        step, _, rest = rest.partition(".")
        if isinstance(document, Mapping) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return MISSING
    return document


def set_value(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path, making the objects on the way; a step into a list must exist."""
    *parents, last = split_path(path)
    place: Any = document
    for step in parents:
        if isinstance(place, list):
            place = place[int(step)]
        else:
            if not isinstance(place.get(str(step)), dict | list):
                place[str(step)] = {}
            place = place[str(step)]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[str(last)] = value


def remove_value(document: dict[str, Any], path: str) -> None:
    """Remove the value at a path, if there is one."""
    parent, _, last = path.rpartition(".")
    place = find_value(document, parent) if parent else document
    if isinstance(place, dict):
        place.pop(last, None)
