"""What host and guardian print: one file, appended to, that does not grow without end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["bound_output", "find_size", "open_output", "read_output_end"]

_MOST_BYTES = 8_000_000
_KEPT_BYTES = 1_000_000
_TAIL_BYTES = 8_000


@contextlib.contextmanager
def open_output(path: Path) -> Iterator[int]:
    """Open the file for a child: private to its user, and always written at its end."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def find_size(path: Path) -> int:
    """Return how long the file is; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def bound_output(path: Path) -> None:
    """Cut a file that has grown too long; its end is kept beside it, as ``output.log.1``."""
    if find_size(path) <= _MOST_BYTES:
        return
    # Whoever has it open appends: after the cut they write at its new end.
    with contextlib.suppress(OSError):
        path.with_name(f"{path.name}.1").write_bytes(_read_end(path, 0, _KEPT_BYTES))
    with contextlib.suppress(OSError):
        os.truncate(path, 0)


def read_output_end(path: Path, start: int = 0, *, lines: int = 20) -> list[str]:
    """Return the last lines that were written after `start` bytes, without empty ones."""
    try:
        text = _read_end(path, start, _TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]


def _read_end(path: Path, start: int, most: int) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        # Cut since: all of it is new.
        file.seek(max(start if start <= size else 0, size - most))
        return file.read(most)
