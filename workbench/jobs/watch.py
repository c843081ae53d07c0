"""The watch over a child from outside: its memory, its progress, and the grace after a cancel."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec
import psutil

from workbench.jobs.switch import Switch
from workbench.records import Failure

__all__ = ["Limits", "Watch"]

# CPU time is told in hundredths of a second: over less than this a share of it says little.
_CPU_SECS = 0.5


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """
    The bounds of a task.

    Attributes
    ----------
    memory_bytes : int, optional
        The resident memory at which the child is killed. ``None``: nine tenths of what the machine has
        free when the task starts.
    stall_secs : float
        How long a task that is not paused may go without progress before it is killed.
    cancel_secs : float
        How long a cancelled task may take to put its results away before it is killed.

    """

    memory_bytes: int | None = None
    stall_secs: float = 600.0
    cancel_secs: float = 30.0


class Watch:
    """
    Watches the process `pid` while it works on one task.

    Attributes
    ----------
    rss_bytes, peak_bytes : int
        The resident memory of the process when last seen, and the most that was seen.
    cpu_percent : float
        The CPU time that it took during the last half second or so, in percent of one core.

    """

    def __init__(self, pid: int | None, limits: Limits) -> None:
        self._limits = limits
        self._process: psutil.Process | None = None
        with contextlib.suppress(psutil.Error):  # Gone: the worker notices
            self._process = None if pid is None else psutil.Process(pid)
        self._last_progress = time.monotonic()
        self._is_held = False
        self._kernel_kills = _count_kernel_kills()
        self.rss_bytes = self.peak_bytes = 0
        self.cpu_percent = 0.0
        self._cpu: tuple[float, float] | None = None  # When it was looked at, and what it was then
        self.measure()
        free = psutil.virtual_memory().available + self.rss_bytes
        self._memory_bytes = limits.memory_bytes if limits.memory_bytes is not None else int(free * 0.9)

    def note_progress(self, *, is_held: bool) -> None:
        """Note that the task has come further, or that it holds as it was asked to."""
        self._last_progress = time.monotonic()
        self._is_held = is_held

    def has_kernel_killed(self) -> bool:
        """Return whether the kernel has killed a process for memory since the task began."""
        return _count_kernel_kills() > self._kernel_kills

    def find_breach(self, switch: Switch) -> Failure | None:
        """Return why the process must be killed now, or ``None``."""
        self.measure()
        now = time.monotonic()
        if self.rss_bytes > self._memory_bytes:
            held, limit = f"{self.rss_bytes / 1e6:,.0f} MB", f"{self._memory_bytes / 1e6:,.0f} MB"
            return Failure(kind="memory", message=f"killed: it held {held}, more than its limit of {limit}")
        if switch.cancelled_at is not None:
            secs = self._limits.cancel_secs
            if now - switch.cancelled_at <= secs:
                return None
            kind = "interrupted" if switch.is_interrupted else "cancel"
            return Failure(kind=kind, message=f"killed: no answer to a cancel for {secs:g} s; no results")
        if switch.is_paused and self._is_held:  # One that is stuck never comes to its checkpoint
            self._last_progress = now
        elif now - self._last_progress > self._limits.stall_secs:
            secs = self._limits.stall_secs
            return Failure(kind="stalled", message=f"killed: no progress for {secs:g} s")
        return None

    def measure(self) -> None:
        """Look at the memory and the CPU time of the process."""
        if self._process is None:
            return
        with contextlib.suppress(psutil.Error):  # Gone: the worker notices
            self.rss_bytes = self._process.memory_info().rss
            self.peak_bytes = max(self.peak_bytes, self.rss_bytes)
            self._measure_cpu(self._process)

    def _measure_cpu(self, process: psutil.Process) -> None:
        now, before = time.monotonic(), self._cpu
        if before is not None and now - before[0] < _CPU_SECS:
            return
        times = process.cpu_times()
        self._cpu = now, times.user + times.system
        if before is not None:
            self.cpu_percent = max(self._cpu[1] - before[1], 0.0) / (now - before[0]) * 100


def _count_kernel_kills() -> int:
    """Return how many processes the kernel has killed for memory since it booted; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0
