"""The log files of nautilus: a new one now and then, under a name of its own; one name leads to the latest."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

__all__ = ["link_log", "prune_logs", "read_errors"]

_MOST_FILES = 5
_MOST_BYTES = 256 * 1024


class _Entry(msgspec.Struct):
    level: str
    component: str
    message: str


def link_log(path: Path) -> None:
    """Let `path` lead to the file that is written to now."""
    files = _list_files(path)
    if not files or (path.is_symlink() and path.readlink() == Path(files[-1].name)):
        return
    new = path.with_name(f".{path.name}.new")
    with contextlib.suppress(OSError):  # A log that is not found by its short name is no reason to worry
        new.unlink(missing_ok=True)
        new.symlink_to(files[-1].name)
        new.replace(path)


def prune_logs(path: Path) -> None:
    """Remove the oldest files: nautilus counts only those of its own process."""
    for file in _list_files(path)[:-_MOST_FILES]:
        with contextlib.suppress(OSError):
            file.unlink()


def read_errors(path: Path, most: int = 5) -> list[str]:
    """Return the last errors of the newest file: who said what."""
    files = _list_files(path)
    if not files:
        return []
    found: list[str] = []
    with contextlib.suppress(OSError), files[-1].open("rb") as file:
        file.seek(max(0, files[-1].stat().st_size - _MOST_BYTES))
        for line in file:
            with contextlib.suppress(msgspec.DecodeError):
                entry = msgspec.json.decode(line, type=_Entry)
                if entry.level == "ERROR":
                    found.append(f"{entry.component}: {entry.message}")
    return found[-most:]


def _list_files(path: Path) -> list[Path]:
    # The names carry the time.
    return sorted(path.parent.glob(f"{path.stem}_*{path.suffix}"))
