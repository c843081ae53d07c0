"""What a host takes of its machine."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

__all__ = ["measure_resources"]


def measure_resources(path: Path) -> dict[str, Any]:
    """
    Return what this process uses, and what is left on the disk of `path`.

    ``cpu_percent`` is of one core, since the last call; 0 at the first.
    """
    process = _find_process()
    with process.oneshot():
        memory = process.memory_info().rss
        threads = process.num_threads()
        cpu = process.cpu_percent()
    disk = shutil.disk_usage(path)
    return {
        "cpu_percent": cpu,
        "memory_bytes": memory,
        "threads": threads,
        "descriptors": process.num_fds(),
        "disk_free_bytes": disk.free,
        "disk_total_bytes": disk.total,
    }


@lru_cache(maxsize=1)
def _find_process() -> psutil.Process:
    return psutil.Process()
