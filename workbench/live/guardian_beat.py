"""Whether a guardian still turns: it touches the file of its lock at every turn; and the end of one that does not."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil

from workbench.live.engine_directory import EngineDirectory

__all__ = ["end_frozen_guardian", "is_guardian_turning"]

# Ten turns of a guardian fit in.
_FRESH_NS = 1_000_000_000
_POLL_SECS = 0.02
_END_SECS = 2.0


def is_guardian_turning(
    directory: EngineDirectory, *, since_ns: int | None = None, patience_secs: float = 2.0
) -> bool:
    """
    Return whether the guardian that holds the lock turns.

    A beat since then says so at once; where there is none, or the clock was put back, the next one is waited for, and
    so a guardian is not judged by a clock that is wrong.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    since_ns : int, optional
        UNIX nanoseconds UTC; default: a second ago.
    patience_secs : float
        How long a guardian may take for one turn: it may wait for its host to answer.

    """
    beat, now_ns = directory.find_beat(), time.time_ns()
    if (now_ns - _FRESH_NS if since_ns is None else since_ns) < beat <= now_ns:
        return True
    deadline = time.monotonic() + patience_secs
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECS)
        if directory.find_beat() != beat:
            return True
    return False


def end_frozen_guardian(directory: EngineDirectory, *, since_ns: int | None = None) -> bool:
    """
    Kill a guardian that holds its lock and does not turn: stopped, or stuck; return whether the lock is free.

    What it watches lives on. Whoever comes at the same moment kills the same one, and none that came after it.

    Parameters
    ----------
    directory : EngineDirectory
        The engine.
    since_ns : int, optional
        Since when it must have turned; see `is_guardian_turning`.

    """
    if not directory.is_held("guardian"):
        return True
    holder = directory.find_holder("guardian")
    if is_guardian_turning(directory, since_ns=since_ns):
        return not directory.is_held("guardian")
    if not _kill(directory, holder):
        return not directory.is_held("guardian")
    deadline = time.monotonic() + _END_SECS
    while directory.is_held("guardian"):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECS)
    return True


def _kill(directory: EngineDirectory, holder: int | None) -> bool:
    """Kill the process that has the lock, if it is the one that was looked at, and a guardian."""
    frozen = directory.find_process("guardian")
    with contextlib.suppress(psutil.Error):
        if frozen is not None and frozen.pid == holder:
            is_guardian = any(Path(word).name == directory.name for word in frozen.cmdline())
            if is_guardian:
                frozen.kill()
            return is_guardian
    return False
