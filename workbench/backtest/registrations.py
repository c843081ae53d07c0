"""Custom data types: nautilus keeps them for the life of the process, and takes none a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nautilus_trader.serialization.arrow.serializer import _SCHEMAS

from workbench.jobs.control import RecycleError

__all__ = ["counted_registrations"]

_spent: list[str] = []


@contextmanager
def counted_registrations(what: str) -> Iterator[None]:
    """
    Let a task import modules that register custom data types; after one that did, the process is spent.

    A user's modules are imported anew for every task, and nautilus does not let a type be registered again.

    Raises
    ------
    RecycleError
        If a task here has registered a type before.

    """
    if _spent:
        raise RecycleError(f"{_spent[0]} has registered data types here, which nautilus cannot forget")
    types = len(_SCHEMAS)
    try:
        yield
    finally:
        if len(_SCHEMAS) != types:
            _spent.append(what)
