"""What a host takes of its machine."""

from __future__ import annotations

import resource
import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any

import psutil

__all__ = ["ResourceMeter"]

_WINDOW_SECS = 10.0


class ResourceMeter:
    """
    Measures what this process uses, and what is left on the disk.

    It has one owner: who else asks is given what that measured last, so that nobody shortens the time over which the
    CPU is counted.

    Parameters
    ----------
    path : Path
        A directory on the disk.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process = psutil.Process()
        self._times: deque[tuple[float, float]] = deque()
        self.last: dict[str, Any] = {}
        self.measure()

    def measure(self) -> dict[str, Any]:
        """Return it as plain values; ``cpu_percent`` is of one core over the last ten seconds, 0 at the first call."""
        with self._process.oneshot():
            memory = self._process.memory_info().rss
            threads = self._process.num_threads()
            times = self._process.cpu_times()
        disk = shutil.disk_usage(self._path)
        self.last = {
            "cpu_percent": self._count_cpu(time.monotonic(), times.user + times.system),
            "memory_bytes": memory,
            "threads": threads,
            "descriptors": self._process.num_fds(),
            "descriptors_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "disk_free_bytes": disk.free,
            "disk_total_bytes": disk.total,
        }
        return self.last

    def _count_cpu(self, now: float, used: float) -> float:
        times = self._times
        times.append((now, used))
        # The first one in it is at least as old as the window, once there is one.
        while len(times) > 2 and now - times[1][0] >= _WINDOW_SECS:
            times.popleft()
        began, before = times[0]
        return 100.0 * (used - before) / (now - began) if now > began else 0.0
