"""What the disk refuses, said clearly."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["clear_disk_errors", "make_directories", "remove_directories"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def clear_disk_errors(directory: Path) -> Iterator[None]:
    """Turn what the disk refuses into a CatalogError that says it in one line."""
    try:
        yield
    except (OSError, pa.ArrowException) as e:
        number: Any = getattr(e, "errno", None)
        if number in _FULL:
            raise CatalogError(
                f"the disk is full: {directory} could not be written ({os.strerror(number)})",
                advice="free some space and import again; nothing was changed",
            ) from e
        raise CatalogError(f"{directory} cannot be written: {e}", advice="check its permissions") from e


def make_directories(directory: Path) -> list[Path]:
    """Make a directory and return those that were made, the innermost first."""
    missing = []
    path = directory
    while not path.exists():
        missing.append(path)
        path = path.parent
    directory.mkdir(parents=True, exist_ok=True)
    return missing


def remove_directories(directories: list[Path]) -> None:
    """Remove what :func:`make_directories` made, as far as it is still empty."""
    for directory in directories:
        with suppress(OSError):
            directory.rmdir()
