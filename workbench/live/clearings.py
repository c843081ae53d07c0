"""Emergency stops that were cleared while no host lived to write that down: the next one does."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from workbench.engine_records import Latch
from workbench.errors import ServerError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.output_log import open_output

if TYPE_CHECKING:
    from workbench.live.context import HostContext

__all__ = ["Clearing", "journal_clearings", "write_clearing"]

_NAME = "cleared.jsonl"
_FLUSH_SECS = 2.0


class Clearing(msgspec.Struct, frozen=True, kw_only=True):
    """
    An emergency stop that a person took away.

    Attributes
    ----------
    at : str
        When, ISO 8601 UTC.
    by, reason : str
        Who, and why.
    latch : Latch, optional
        What held until then, where it could be read.

    """

    at: str
    by: str
    reason: str
    latch: Latch | None = None


def write_clearing(directory: EngineDirectory, clearing: Clearing) -> None:
    """
    Leave a clearing for the next host.

    Raises
    ------
    ServerError
        If it cannot be written.

    """
    try:
        with open_output(directory.path / _NAME) as descriptor:
            os.write(descriptor, msgspec.json.encode(clearing) + b"\n")
    except OSError as e:
        raise ServerError(f"{_NAME} of {directory.name} cannot be written: {e.strerror}") from e


def journal_clearings(directory: EngineDirectory, context: HostContext) -> None:
    """
    Write into the journal what was cleared before this host; for the host only.

    The file goes when that is on disk: a host that dies in between leaves it to the next one, and then it is there
    twice, with the same time.
    """
    path = directory.path / _NAME
    try:
        lines = path.read_bytes().splitlines()
    except OSError:  # There is none, most of the time
        return
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError):  # Cut off by a full disk
            context.tell("engine", "EmergencyCleared", msgspec.json.decode(line, type=Clearing))
    if context.journal.flush(_FLUSH_SECS):
        with contextlib.suppress(OSError):
            path.unlink()
