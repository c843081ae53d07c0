"""Nautilus's log of a run: one JSON line a message, cut out of the log of the process."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from nautilus_trader.common.component import (
    Logger,
    flush_logger,
    init_logging,
    is_logging_initialized,
    log_level_from_str,
)
from nautilus_trader.config import LoggingConfig

from workbench.errors import ConfigError
from workbench.jobs.control import RecycleError

__all__ = ["ProcessLog", "check_logging"]

_DEFAULT_LEVEL = "WARN"
_LEVELS = ("OFF", "TRACE", "DEBUG", "INFO", "WARN", "WARNING", "ERROR")
_MAX_BYTES = 64 * 1024 * 1024
_TAIL_BYTES = 8 * 1024
# How long the logger's thread may take to write what it was given.
_WRITE_SECS = 10.0


class ProcessLog:
    """
    The log of this process.

    Nautilus has one logger a process and no way to change its file or levels. A warm process therefore logs
    to one file, and each run is given the part that it wrote. A run that wants other levels gets a fresh
    process. The file is temporary, as is all that a worker's child writes to its temporary directory.
    """

    _guard: Any = None
    _path: Path | None = None
    _levels: tuple[str, dict[str, str]] | None = None

    def __init__(self, config: LoggingConfig | None) -> None:
        levels = (_choose_level(config), dict((config and config.log_component_levels) or {}))
        if ProcessLog._path is None:
            if is_logging_initialized():
                raise RecycleError("somebody else has set up nautilus's logger in this process")
            directory = Path(tempfile.mkdtemp(prefix="workbench-log-"))
            # A worker's child leaves without this, and its worker removes all that is temporary.
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
            path = directory / f"nautilus-{os.getpid()}.jsonl"
            ProcessLog._guard = init_logging(
                level_stdout=log_level_from_str("OFF"),
                level_file=log_level_from_str(levels[0]),
                directory=str(directory),
                file_name=path.stem,
                file_format="json",
                component_levels=levels[1] or None,
                fileout_sync_on_flush=False,
            )
            ProcessLog._path, ProcessLog._levels = path, levels
        elif ProcessLog._levels != levels:
            raise RecycleError(f"the log levels are {ProcessLog._levels}, the run wants {levels}")
        self._start = self._size()

    def read(self) -> bytes:
        """Return what was logged since this object was made, whole lines, at most the last 64 MB of it."""
        source = ProcessLog._path
        if source is None:
            return b""
        end = _wait_until_written(source)
        if not source.is_file():
            return b""
        with source.open("rb") as file:
            start = max(self._start, end - _MAX_BYTES)
            file.seek(start)
            content = file.read(end - start)
        if start > self._start:
            content = content.partition(b"\n")[2]
        return content

    @staticmethod
    def clear() -> None:
        """Forget what was logged, so that the file of a warm process does not grow from run to run."""
        flush_logger()
        if ProcessLog._path is not None and ProcessLog._path.is_file():
            os.truncate(ProcessLog._path, 0)  # Nautilus appends: it goes on at the new end

    @staticmethod
    def note(message: str) -> None:
        """Log `message` as a warning of the workbench."""
        Logger("Workbench").warning(message)

    @staticmethod
    def _size() -> int:
        flush_logger()
        return ProcessLog._path.stat().st_size if ProcessLog._path and ProcessLog._path.is_file() else 0


def _wait_until_written(source: Path) -> int:
    """
    Return where the log ends once all that was logged is in the file.

    Nautilus writes its log on a thread of its own, and flushing only asks that thread to. A last line of our
    own tells when it has come to the end; it is not part of what is returned.
    """
    level = ProcessLog._levels[0] if ProcessLog._levels else "OFF"
    if level == "OFF":
        return source.stat().st_size if source.is_file() else 0
    token = os.urandom(16).hex()
    logger = Logger("Workbench")
    (logger.error if level == "ERROR" else logger.warning)(token)
    flush_logger()
    deadline = time.monotonic() + _WRITE_SECS
    while True:
        begin = end = 0
        tail = b""
        with suppress(FileNotFoundError), source.open("rb") as file:  # Made with the first line
            end = file.seek(0, os.SEEK_END)
            begin = max(0, end - _TAIL_BYTES)
            file.seek(begin)
            tail = file.read(end - begin)
        found = tail.find(token.encode())
        if found >= 0:
            return begin + tail.rfind(b"\n", 0, found) + 1
        if time.monotonic() > deadline:
            return end
        time.sleep(0.002)


def check_logging(config: LoggingConfig | None) -> None:
    """
    Try the levels that the configuration names; nautilus would end the process for one that it does not know.

    Raises
    ------
    ConfigError
        If a level is none of nautilus's.

    """
    if config is None:
        return
    levels = {"log_level": config.log_level, "log_level_file": config.log_level_file}
    levels |= {f"log_component_levels.{n}": v for n, v in (config.log_component_levels or {}).items()}
    for name, level in levels.items():
        if level is not None and level.upper() not in _LEVELS:
            raise ConfigError(
                f"the log level is {level!r}",
                expected=f"one of {', '.join(_LEVELS)}",
                field=f"engine.logging.{name}",
            )


def _choose_level(config: LoggingConfig | None) -> str:
    """Return the level of the file: what the configuration asks for a file, or warnings."""
    if config is None or config.log_level_file is None:
        return _DEFAULT_LEVEL
    level: str = config.log_level_file.upper()
    return "WARN" if level == "WARNING" else level
