"""Putting a new file in the place of old ones, so that a crash at any point can be finished later."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from workbench.catalog.locks import sync_directory

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["INTENT", "finish_swap", "swap_files"]

INTENT = ".swap.json"
"""The file that says which swap is under way in a directory."""

_STAGED = ".swap.staged"


class _Intent(msgspec.Struct, frozen=True):
    """A swap: when the staged file has become the new one, the old ones go."""

    new: str
    old: list[str]


def swap_files(directory: Path, temporary: str, new: str, old: list[str]) -> None:
    """
    Put a complete temporary file in the place of old files; the caller holds the directory's lock.

    Parameters
    ----------
    directory : Path
        The directory of all the files.
    temporary : str
        The name of the complete, synced new file.
    new : str
        The name that it gets; it may be among the old ones.
    old : list of str
        The files that it replaces.

    """
    if old == [new]:
        (directory / temporary).replace(directory / new)
        sync_directory(directory)
        return
    # All that can fail for want of space comes first, while nothing has moved yet.
    draft = directory / f"{INTENT}.new"
    try:
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(_Intent(new, old)))
            file.flush()
            os.fsync(file.fileno())
        (directory / temporary).replace(directory / _STAGED)
        draft.replace(directory / INTENT)
    except BaseException:
        draft.unlink(missing_ok=True)
        (directory / _STAGED).unlink(missing_ok=True)
        raise
    sync_directory(directory)
    finish_swap(directory)


def finish_swap(directory: Path) -> bool:
    """
    Finish the swap that a dead writer left behind, if any; the caller holds the directory's lock.

    The old files go before the new one comes: in between, the directory claims less than it has, never
    the same rows twice.

    Returns
    -------
    bool
        Whether there was one to finish.

    """
    staged, intent_path = directory / _STAGED, directory / INTENT
    try:
        intent = msgspec.json.decode(intent_path.read_bytes(), type=_Intent)
    except FileNotFoundError:
        # Staged but never declared: nothing has been promised yet.
        staged.unlink(missing_ok=True)
        return False
    if staged.exists():
        for name in intent.old:
            (directory / name).unlink(missing_ok=True)
        staged.replace(directory / intent.new)
        sync_directory(directory)
    intent_path.unlink()
    sync_directory(directory)
    return True
