"""What strategies want to remember, kept in the engine's directory where no database keeps it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any

import msgspec

from workbench.files import write_atomically

__all__ = ["load_states", "save_states"]


def save_states(path: Path, components: Iterable[Any], *, failed: Container[str] = ()) -> None:
    """
    Write what the components want to remember: what their ``on_save`` gives.

    Those that have `failed` keep what they remembered before: they do not know what they say.

    Raises
    ------
    OSError
        If it cannot be written.

    """
    states = {c.id.value: c.save() for c in components}
    before = _read(path)
    kept = {k: before[k] for k in states if k in failed and k in before}
    write_atomically(path, msgspec.json.encode({k: v for k, v in states.items() if v} | kept))


def load_states(path: Path, components: Iterable[Any]) -> list[str]:
    """
    Give the components what they remembered, by their ``on_load``, and return the ids of those that had something.

    Raises
    ------
    OSError, msgspec.DecodeError
        If it cannot be read.

    """
    states = _read(path)
    found = []
    for component in components:
        state = states.get(component.id.value)
        if state is not None:
            component.load(state)
            found.append(component.id.value)
    return found


def _read(path: Path) -> dict[str, dict[str, bytes]]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, bytes]])
    except FileNotFoundError:
        return {}
