"""How much memory a job will need, and whether it fits beside the others: pure functions of what is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

__all__ = ["Past", "Prediction", "explain_wait", "find_memory_bytes", "predict"]

# Measured with nautilus 1.231: a child with the engine loaded, and what a data point in memory adds.
_BASE_BYTES = 450_000_000
_ROW_BYTES = 700
_ROWS_AT_ONCE = 250_000
_ROWS_PER_SEC = 50_000.0
_MARGIN = 1.15
_NEAR = 3.0  # A past run tells about this one if it read up to so many times more or fewer rows
_SHARE = 0.8
_PACE_ROWS = 20_000  # A smaller run is mostly its start: its pace tells nothing about a large one


class Past(msgspec.Struct, frozen=True):
    """What a finished job read and needed."""

    rows: int
    peak_rss_bytes: int
    elapsed_secs: float


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a job will need.

    Attributes
    ----------
    rss_bytes : int
        Resident memory of its process.
    elapsed_secs : float
        Wall time of its process.
    basis : str
        What the prediction rests on, in words.

    """

    rss_bytes: int
    elapsed_secs: float
    basis: str


def predict(rows: int, history: Sequence[Past]) -> Prediction:
    """
    Return what a job that reads `rows` data points will need.

    Of past jobs of about the same size the hungriest counts, with a margin, and the median pace; without any, what
    nautilus was measured to need, and the pace of jobs of other sizes if they were not small.

    Parameters
    ----------
    rows : int
        The data points.
    history : Sequence[Past]
        Finished jobs of the same strategy and data, the newest first.

    """
    near = [p for p in history if p.rows > 0 and rows / _NEAR <= p.rows <= rows * _NEAR]
    if not near:
        held = min(rows, _ROWS_AT_ONCE)
        others = [p for p in history if p.rows >= _PACE_ROWS and p.elapsed_secs > 0]
        pace = _find_pace(others) if others else 1.0 / _ROWS_PER_SEC
        basis = f"{rows:,} data points, no run of this size yet"
        return Prediction(
            rss_bytes=_BASE_BYTES + held * _ROW_BYTES,
            elapsed_secs=1.0 + rows * pace,
            basis=f"{basis}; the time at the pace of {len(others)} past runs" if others else basis,
        )
    peak = max(p.peak_rss_bytes for p in near)
    return Prediction(
        rss_bytes=int(peak * _MARGIN),
        elapsed_secs=_find_pace(near) * rows,
        basis=f"{len(near)} past runs of about {rows:,} data points",
    )


def _find_pace(past: Sequence[Past]) -> float:
    """Return the median time of a data point, in seconds."""
    return sorted(p.elapsed_secs / p.rows for p in past)[len(past) // 2]


def explain_wait(needed_bytes: int, reserved: Sequence[int], memory_bytes: int) -> str:
    """
    Return why a job must wait for memory, or nothing if it need not.

    A job that would never fit is let in when it is alone: the prediction may be wrong, and its limit is the
    whole of the memory.

    Parameters
    ----------
    needed_bytes : int
        What the job is expected to need.
    reserved : Sequence[int]
        What each running or paused job has reserved.
    memory_bytes : int
        What all jobs together may use.

    """
    held = sum(reserved)
    if not reserved or held + needed_bytes <= memory_bytes:
        return ""
    return (
        f"waits for memory: it needs about {needed_bytes / 1e6:,.0f} MB, and {len(reserved)} running or paused "
        f"have reserved {held / 1e6:,.0f} of {memory_bytes / 1e6:,.0f} MB"
    )


def find_memory_bytes() -> int:
    """Return what all jobs together may use: four fifths of the memory of the machine or of its control group."""
    total = psutil.virtual_memory().total
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # No control group, or none with a limit
        limit = total
    return int(min(total, limit) * _SHARE)
