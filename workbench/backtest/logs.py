"""Nautilus's log of a run: one JSON line a message, cut out of the log of the process."""

from __future__ import annotations

import os
import tempfile
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

from workbench.jobs.control import RecycleError

__all__ = ["ProcessLog"]

_DEFAULT_LEVEL = "WARN"
_MAX_BYTES = 64 * 1024 * 1024


class ProcessLog:
    """
    The log of this process.

    Nautilus has one logger a process and no way to change its file or level. A warm process therefore logs
    to one file, and each run is given the part that it wrote. A run that wants another level gets a fresh
    process. The file's directory goes with the process's scratch space.
    """

    _guard: Any = None
    _path: Path | None = None
    _level: str = ""

    def __init__(self, config: LoggingConfig | None, scratch: Path | None = None) -> None:
        level = _choose_level(config)
        if ProcessLog._path is None:
            if is_logging_initialized():
                raise RecycleError("somebody else has set up nautilus's logger in this process")
            directory = scratch or Path(tempfile.mkdtemp(prefix="workbench-log-"))
            ProcessLog._path = directory / f"nautilus-{os.getpid()}.jsonl"
            ProcessLog._level = level
            ProcessLog._guard = init_logging(
                level_stdout=log_level_from_str("OFF"),
                level_file=log_level_from_str(level),
                directory=str(directory),
                file_name=ProcessLog._path.stem,
                file_format="json",
                component_levels=config.log_component_levels if config is not None else None,
                fileout_sync_on_flush=False,
            )
        elif ProcessLog._level != level:
            raise RecycleError(f"the log level is {ProcessLog._level}, the run wants {level}")
        self._start = self._size()

    def save(self, path: Path) -> None:
        """Write what was logged since this object was made to `path`; at most the last 64 MB."""
        flush_logger()
        source = ProcessLog._path
        if source is None or not source.is_file():
            path.touch()
            return
        with source.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._start, end - _MAX_BYTES))
            path.write_bytes(file.read(end - file.tell()))

    @staticmethod
    def note(message: str) -> None:
        """Log `message` as a warning of the workbench."""
        Logger("Workbench").warning(message)

    @staticmethod
    def _size() -> int:
        flush_logger()
        return ProcessLog._path.stat().st_size if ProcessLog._path and ProcessLog._path.is_file() else 0


def _choose_level(config: LoggingConfig | None) -> str:
    """Return the level of the file: what the configuration asks for a file, or warnings."""
    if config is None or config.log_level_file is None:
        return _DEFAULT_LEVEL
    level: str = config.log_level_file.upper()
    return "WARN" if level == "WARNING" else level
