"""Children whose parent was killed: they end by themselves, and those that cannot are ended by an heir."""

from __future__ import annotations

import contextlib
import os

import psutil

__all__ = ["end_orphans", "find_orphans"]

_CHILD = "workbench.jobs.child"
_WAIT_SECS = 8.0


def find_orphans(owner: str) -> list[psutil.Process]:
    """Return the children that carry the mark `owner` and are not this process's own."""
    if not owner:  # Nobody's mark: they may be another's
        return []
    found = []
    for process in psutil.process_iter(["cmdline", "ppid"]):
        arguments = process.info["cmdline"] or []
        if _CHILD in arguments and arguments[-1] == owner and process.info["ppid"] != os.getpid():
            found.append(process)
    return found


def end_orphans(owner: str) -> int:
    """
    Wait until the children of a dead predecessor have put their results away, and kill those that do not.

    A child notices within moments that its parent is gone, keeps what it has and ends; only one that is stuck
    in compiled code stays. Nobody else may own children with this mark: call it under the lock of the server.

    Returns
    -------
    int
        How many had to be killed.

    """
    orphans = find_orphans(owner)
    _, stuck = psutil.wait_procs(orphans, timeout=_WAIT_SECS)
    for process in stuck:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stuck, timeout=_WAIT_SECS)
    return len(stuck)
