"""The log files of nautilus: a new one now and then, under a name of its own; one name leads to the latest."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from workbench.engine_records import LogLine, LogPage
from workbench.errors import ConfigError, InputError, StoreError, WorkbenchError
from workbench.live.config_checks import find_references
from workbench.live.engine_directory import EngineDirectory
from workbench.live.secret_references import Secrets

__all__ = [
    "LEVELS",
    "ErrorCount",
    "LogLevel",
    "build_scrubber",
    "link_log",
    "prune_logs",
    "read_errors",
    "read_log",
]

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LEVELS: tuple[LogLevel, ...] = ("DEBUG", "INFO", "WARNING", "ERROR")
"""The levels of a log, the least grave first."""

_MOST_FILES = 5
_MOST_BYTES = 256 * 1024
_PAGE_BYTES = 4 * 1024 * 1024  # Looked at in one call
_BLOCK_BYTES = 64 * 1024
_MOST_TEXT = 8_000
_CURSOR = re.compile(r"(?P<file>[\w.-]{1,100}):(?P<offset>[0-9]{1,15})", re.ASCII)
# As nautilus writes them; quotes within a message are escaped.
_MARKS = {"errors": b'"level":"ERROR"', "warnings": b'"level":"WARN'}
_RECENT_SECS = 300.0


class _Entry(msgspec.Struct):
    level: str
    component: str
    message: str
    timestamp: str = ""


class ErrorCount:
    """
    Counts what nautilus logs as errors and warnings, from the start of the host; not for two threads at once.

    Parameters
    ----------
    path : Path
        The name that leads to the log.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._old = {file.name for file in _list_files(path)}
        self._offsets: dict[str, int] = {}
        self._totals = dict.fromkeys(_MARKS, 0)
        self._recent: deque[tuple[float, int]] = deque()

    @property
    def recent(self) -> int:
        """Return how many errors came in the last five minutes."""
        oldest = time.monotonic() - _RECENT_SECS
        return sum(count for at, count in tuple(self._recent) if at >= oldest)

    def count(self) -> None:
        """Count what was written since the last call."""
        now = time.monotonic()
        for file in _list_files(self._path):
            if file.name in self._old:
                continue
            chunk = _read_lines(file, self._offsets.get(file.name, 0), _PAGE_BYTES)
            self._offsets[file.name] = self._offsets.get(file.name, 0) + len(chunk)
            for name, mark in _MARKS.items():
                found = chunk.count(mark)
                self._totals[name] += found
                if found and name == "errors":
                    self._recent.append((now, found))
        while self._recent and now - self._recent[0][0] > _RECENT_SECS:
            self._recent.popleft()

    def describe(self) -> dict[str, int]:
        """Return how many ``errors`` and ``warnings`` there were, and how many ``recent_errors``."""
        return {**self._totals, "recent_errors": self.recent}


def read_log(
    path: Path,
    *,
    after: str = "",
    level: LogLevel = "INFO",
    limit: int = 200,
    scrub: Callable[[str], str] = str,
) -> LogPage:
    """
    Return lines of a log: the last ones, or those after a place in it.

    A call looks at 4 MB at most. Where that is not enough for the lines that are asked for, there may be fewer: the
    cursor goes on after what was looked at.

    Parameters
    ----------
    path : Path
        The name that leads to the log.
    after : str
        Where a call before said to go on; default: the last lines.
    level : LogLevel
        The least grave level that is given.
    limit : int
        How many lines at most.
    scrub : Callable[[str], str]
        Takes secrets out of a message.

    Raises
    ------
    InputError
        If `after` is no place in a log.
    StoreError
        If the log cannot be read.

    """
    files = _list_files(path)
    wanted: set[str] = set(LEVELS[LEVELS.index(level) :])
    try:
        if after:
            return _read_after(files, after, wanted, limit, scrub)
        return _read_tail(files, wanted, limit, scrub)
    except OSError as e:
        raise StoreError(f"the log {path} cannot be read: {e.strerror or e}") from e


def _read_tail(files: list[Path], wanted: set[str], limit: int, scrub: Callable[[str], str]) -> LogPage:
    if not files:
        return LogPage([], "")
    found: list[LogLine] = []
    cursor, budget, is_cut = "", _PAGE_BYTES, False
    for file in reversed(files):
        size = file.stat().st_size
        start = max(0, size - budget)
        chunk = _read_lines(file, start, size - start)
        cursor = cursor or f"{file.name}:{start + len(chunk)}"
        lines = chunk.splitlines()
        if start:  # The first one is not whole
            lines, is_cut = lines[1:], True
        found = [*_parse(lines, wanted, scrub), *found]
        budget -= len(chunk)
        if len(found) >= limit or budget <= 0:
            break
    return LogPage(found[-limit:], cursor, is_cut and len(found) < limit)


def _read_after(
    files: list[Path], after: str, wanted: set[str], limit: int, scrub: Callable[[str], str]
) -> LogPage:
    place = _CURSOR.fullmatch(after)
    if place is None:
        raise InputError(f"{after!r} is no place in a log", expected="the cursor of an answer", field="after")
    name, offset = place["file"], int(place["offset"])
    is_cut = bool(files) and all(file.name != name for file in files)
    later = [file for file in files if file.name >= name]
    found: list[LogLine] = []
    budget = _PAGE_BYTES
    for file in later:
        start = offset if file.name == name else 0
        chunk = _read_lines(file, start, budget)
        budget -= len(chunk)
        for line in chunk.splitlines(keepends=True):
            if len(found) >= limit:
                break
            start += len(line)
            found += _parse([line], wanted, scrub)
        name, offset = file.name, start
        if len(found) >= limit or budget <= 0:
            break
    return LogPage(found, f"{name}:{offset}", is_cut)


def _parse(lines: list[bytes], wanted: set[str], scrub: Callable[[str], str]) -> Iterator[LogLine]:
    for line in lines:
        try:
            entry = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        level = "WARNING" if entry.level == "WARN" else entry.level
        if level in wanted:
            yield LogLine(
                ts=entry.timestamp,
                level=level,
                component=entry.component,
                message=scrub(entry.message)[:_MOST_TEXT],
            )


def _read_lines(path: Path, start: int, most: int) -> bytes:
    """Return what is there from `start` on up to the end of a line."""
    with path.open("rb") as file:
        file.seek(start)
        chunk = file.read(max(most, _BLOCK_BYTES))
    return chunk[: chunk.rfind(b"\n") + 1]


_decode = msgspec.json.Decoder(_Entry).decode


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


def build_scrubber(directory: EngineDirectory) -> Callable[[str], str]:
    """Return what takes the secrets of an engine out of a text, as far as they can be known here."""
    secrets = Secrets()
    with contextlib.suppress(WorkbenchError):
        for reference in find_references(directory.load_config()).values():
            with contextlib.suppress(ConfigError):  # Not known here: where the engine is started it may be
                secrets.resolve(reference)
    return secrets.scrub


def read_errors(path: Path, most: int = 5, *, since: float = 0.0) -> list[str]:
    """Return the last errors of the newest file, if that was written to since (seconds): who said what."""
    files = _list_files(path)
    if not files or files[-1].stat().st_mtime < since:
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
