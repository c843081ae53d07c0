"""The import of what reads notebooks, without the second that a part of it takes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

__all__ = ["quick_imports"]

# jsonschema, which nbformat imports, takes it if it is there, to check international addresses; no notebook has any.
# It builds two dozen parsers as it is imported, which takes longer than all the rest together.
_GRAMMAR = "rfc3987_syntax"


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Let the block import nbformat, and what is built on it, without the grammar of international addresses."""
    if _GRAMMAR in sys.modules:
        yield
        return
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]  # To the import system: there is no such module
    try:
        yield
    finally:
        del sys.modules[_GRAMMAR]
