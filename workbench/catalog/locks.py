"""Locks that die with their process, and the temporary files of writers that are dead."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TEMPORARY", "lock_directory", "lock_file", "remove_stale", "sync_directory"]

TEMPORARY = ".tmp"
"""How the names of temporary files end: never ``.parquet``, which is what nautilus reads."""


@contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Hold the exclusive lock of a directory, waiting for it; there is no lock file to leave behind."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock_file(descriptor: int) -> None:
    """Mark an open temporary file as having a living writer."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_stale(directory: Path, keep: frozenset[str] = frozenset()) -> list[str]:
    """
    Remove the temporary files whose writer is dead; the caller holds the directory's lock.

    Parameters
    ----------
    directory : Path
        The directory of a dataset.
    keep : frozenset of str
        Names to leave, whatever became of their writer.

    Returns
    -------
    list of str
        The names that were removed.

    """
    removed = []
    for path in sorted(directory.glob(f".*{TEMPORARY}")):
        if path.name in keep:
            continue
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink()
            removed.append(path.name)
    return removed


def sync_directory(directory: Path) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
