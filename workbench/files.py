"""Files that are there whole or not at all, and locks that die with their process."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

__all__ = ["take_lock", "write_atomically"]

_POLL_SECS = 0.05


def take_lock(descriptor: int, deadline: float) -> bool:
    """
    Take the exclusive lock of an open file, and return whether that was possible.

    It is tried once, and again until `deadline` on the monotonic clock. Closing the file gives the lock back.
    """
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECS)
        else:
            return True


def write_atomically(path: Path, content: bytes, *, is_durable: bool = True) -> None:
    """
    Write `content` to `path`: a temporary file beside it, fsync, rename. Missing directories are made.

    What is not `is_durable` is whole all the same after the death of a process, but not after that of the machine.

    Raises
    ------
    OSError
        If it cannot be written. What was at `path` before is still there.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if is_durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
