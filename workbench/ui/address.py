"""What the address of a page of the app asks for."""

from __future__ import annotations

from workbench.client.page import read_query
from workbench.config import load_settings

__all__ = ["read_address"]


def read_address() -> dict[str, str]:
    """
    Return what stands behind the ``?`` in the address of this Voila page, by name; elsewhere nothing.

    Examples
    --------
    >>> read_address().get("engine", "default")
    'default'

    """
    return read_query(load_settings())
