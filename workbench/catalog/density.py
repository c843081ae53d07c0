"""How the rows of a dataset lie in time: for a timeline that shows what there is, and where it is poor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import CatalogError

__all__ = ["GAP_MULTIPLE", "POOR_RULE", "Density", "Gap", "PoorRange", "measure_density"]

GAP_MULTIPLE = 5.0
"""A gap is longer than so many typical steps."""

POOR_RULE = (
    "A bin is poor with fewer than half of the rows expected in it. What is expected is the sum over its hours of what "
    "such an hour typically holds: the median over the weeks that hold rows, for each hour of the week (UTC), or, with "
    "fewer than four weeks, for each hour of a weekday and of a weekend's day. Where rows are more than 15 minutes "
    "apart it goes by days. With fewer than three days, or rows more than a day apart, nothing is called poor; "
    "nor is a bin with less than a tenth of what the fullest should hold."
)
"""When a bin is poor, in words for people."""

type _Stamps = npt.NDArray[np.int64]

_BATCH_ROWS = 1_000_000
_MAX_GAPS = 100
_POOR_SHARE = 0.5
_JUDGED_SHARE = 0.1
_HOUR_NS = 3_600 * 10**9
_DAY_NS = 24 * _HOUR_NS
_WEEK_NS = 7 * _DAY_NS
_MONDAY_NS = 4 * _DAY_NS  # 1970-01-05, the first Monday of the epoch
_MIN_WEEKS = 4
_MIN_DAYS = 3
_HOURLY_STEP_NS = 15 * 60 * 10**9
# Steps are counted in classes that are less than a hundredth wide: the exponent of the number as a float, and the
# first seven bits behind it.
_CLASS_SHIFT = 45
_CLASSES = (1023 + 64) << 7


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time without rows: the stamps around it, UNIX nanoseconds UTC, and whether it holds a whole Saturday."""

    start_ns: int
    end_ns: int
    spans_weekend: bool


class PoorRange(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring poor bins: their bounds, UNIX nanoseconds UTC, their rows, and those that were expected."""

    start_ns: int
    end_ns: int
    rows: int
    expected: float


class Density(msgspec.Struct, frozen=True, kw_only=True):
    """
    How rows lie in time.

    Attributes
    ----------
    edges_ns : list[int]
        The bounds of the bins, one more than bins, UNIX nanoseconds UTC; empty without rows.
    rows : list[int]
        The rows of each bin.
    expected : list[float]
        What each typically would hold; see `POOR_RULE`.
    is_poor : list[bool]
        Whether it holds markedly less.
    poor_ranges : list[PoorRange]
        Neighbouring poor bins, joined.
    step_ns : int
        The median distance of two rows, within a hundredth.
    gaps : list[Gap]
        The longest gaps, the longest first.
    gap_count, gap_ns : int
        All gaps, and how long they are together.

    """

    edges_ns: list[int] = []
    rows: list[int] = []
    expected: list[float] = []
    is_poor: list[bool] = []
    poor_ranges: list[PoorRange] = []
    step_ns: int = 0
    gaps: list[Gap] = []
    gap_count: int = 0
    gap_ns: int = 0


def measure_density(files: list[Path], start_ns: int, end_ns: int, *, bins: int = 240) -> Density:
    """
    Count the rows of a dataset along its extent, and find the gaps.

    Only the stamps are read, twice, a million at a time; memory does not grow with the rows.

    Parameters
    ----------
    files : list[Path]
        Its files, in the order of time, none overlapping with another.
    start_ns, end_ns : int
        Its first and last stamp (``ts_init``), UNIX nanoseconds UTC.
    bins : int
        How many bins of equal width.

    Raises
    ------
    CatalogError
        If a file cannot be read.

    """
    if not files:
        return Density()
    width = max(1, -(-(end_ns + 1 - start_ns) // bins))
    edges = start_ns + width * np.arange(bins + 1, dtype=np.int64)
    edges = edges[
        : int(np.searchsorted(edges, end_ns, side="right")) + 1
    ]  # Fewer where a bin is a nanosecond
    first_hour = start_ns // _HOUR_NS
    hours = np.zeros(end_ns // _HOUR_NS - first_hour + 1, dtype=np.int64)
    rows = np.zeros(len(edges) - 1, dtype=np.int64)
    steps = np.zeros(_CLASSES, dtype=np.int64)
    for stamps, before in _read_stamps(files):
        rows += np.diff(np.searchsorted(stamps, edges))
        first, last = int(stamps[0]) // _HOUR_NS, int(stamps[-1]) // _HOUR_NS
        turns = _HOUR_NS * np.arange(first, last + 2)
        hours[first - first_hour : last - first_hour + 1] += np.diff(np.searchsorted(stamps, turns))
        steps += np.bincount(_classify(_measure_steps(stamps, before)), minlength=_CLASSES)
    step_ns = _find_median(files, steps)
    gaps, gap_count, gap_ns = _find_gaps(files, step_ns)
    expected = _expect(hours, first_hour * _HOUR_NS, edges, start_ns, end_ns, step_ns)
    is_judged = expected >= max(1.0, _JUDGED_SHARE * float(expected.max()))
    is_poor = is_judged & (rows < _POOR_SHARE * expected)
    return Density(
        edges_ns=edges.tolist(),
        rows=rows.tolist(),
        expected=expected.tolist(),
        is_poor=is_poor.tolist(),
        poor_ranges=_join_poor(edges, rows, expected, is_poor),
        step_ns=step_ns,
        gaps=gaps,
        gap_count=gap_count,
        gap_ns=gap_ns,
    )


def _read_stamps(files: list[Path]) -> Iterator[tuple[_Stamps, int | None]]:
    """Yield the stamps, ascending, a part at a time, each with the last one before it."""
    before: int | None = None
    for path in files:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=["ts_init"]):
                    stamps = batch.column(0).to_numpy(zero_copy_only=False).astype(np.int64)
                    if len(stamps):
                        if (stamps[1:] < stamps[:-1]).any():  # Not as they should be
                            stamps.sort()
                        yield stamps, before
                        before = int(stamps[-1])
        except (pa.ArrowInvalid, OSError) as e:
            raise CatalogError(
                f"{path} cannot be read: {e}", expected="a whole Parquet file", advice="import the data again"
            ) from e


def _measure_steps(stamps: _Stamps, before: int | None) -> _Stamps:
    steps = np.diff(stamps) if before is None else np.diff(stamps, prepend=np.int64(before))
    return np.maximum(steps, 0)  # Files that overlap are named as a problem, and their rows still counted


def _find_median(files: list[Path], steps: _Stamps) -> int:
    """Return the median step: the least one in its class, which is the very one where steps are regular."""
    total = int(steps.sum())
    if total == 0:
        return 0
    middle = int(np.searchsorted(np.cumsum(steps), (total + 1) // 2))
    for stamps, before in _read_stamps(files):
        distances = _measure_steps(stamps, before)
        inside = distances[_classify(distances) == middle]
        if len(inside):
            return int(inside.min())
    return 0


def _classify(steps: _Stamps) -> _Stamps:
    return steps.astype(np.float64).view(np.int64) >> _CLASS_SHIFT


def _find_gaps(files: list[Path], step_ns: int) -> tuple[list[Gap], int, int]:
    if step_ns == 0:
        return [], 0, 0
    limit = GAP_MULTIPLE * step_ns
    kept: list[tuple[int, int]] = []
    count = total = 0
    for stamps, before in _read_stamps(files):
        distances = _measure_steps(stamps, before)
        ends = stamps if before is not None else stamps[1:]
        is_gap = distances > limit
        lengths, ends = distances[is_gap], ends[is_gap]
        count += len(lengths)
        total += int(lengths.sum())
        longest = np.argsort(-lengths, kind="stable")[:_MAX_GAPS]
        kept += zip(lengths[longest].tolist(), ends[longest].tolist(), strict=True)
        kept = sorted(kept, key=lambda gap: (-gap[0], gap[1]))[:_MAX_GAPS]
    gaps = [
        Gap(start_ns=end - length, end_ns=end, spans_weekend=_spans_weekend(end - length, end))
        for length, end in kept
    ]
    return gaps, count, total


def _spans_weekend(start_ns: int, end_ns: int) -> bool:
    """Return whether a whole Saturday, UTC, lies within."""
    saturday = _MONDAY_NS + 5 * _DAY_NS
    first = saturday + -(-(start_ns - saturday) // _WEEK_NS) * _WEEK_NS
    return first + _DAY_NS <= end_ns


def _expect(
    hours: _Stamps, begin_ns: int, edges: _Stamps, start_ns: int, end_ns: int, step_ns: int
) -> npt.NDArray[np.float64]:
    """Return the rows that each bin typically would hold: zeros where too little is known; see `POOR_RULE`."""
    nothing = np.zeros(len(edges) - 1)
    extent = end_ns - start_ns
    if not 0 < step_ns <= _DAY_NS or extent < _MIN_DAYS * _DAY_NS:
        return nothing
    cell_ns = _HOUR_NS if step_ns <= _HOURLY_STEP_NS else _DAY_NS
    numbers = (begin_ns + _HOUR_NS * np.arange(len(hours)) - _MONDAY_NS) // cell_ns
    first = int(numbers[0])
    counts = np.bincount(numbers - first, weights=hours)
    numbers = first + np.arange(len(counts))
    in_week = _WEEK_NS // cell_ns
    kinds = numbers % in_week
    if extent < _MIN_WEEKS * _WEEK_NS:
        in_day = _DAY_NS // cell_ns
        kinds = kinds % in_day + in_day * (kinds // in_day >= 5)
    typical = _find_typical(counts, kinds, numbers // in_week)
    # The first and the last cell are inside the extent only in part.
    cells = _MONDAY_NS + cell_ns * np.append(numbers, numbers[-1] + 1)
    totals = np.append(0.0, np.cumsum(typical))
    inside = np.clip(edges, start_ns, end_ns + 1)
    # In nanoseconds from the start: a float holds no stamp exactly
    found: npt.NDArray[np.float64] = np.diff(np.interp(inside - start_ns, cells - start_ns, totals))
    return found


def _find_typical(counts: npt.NDArray[np.float64], kinds: _Stamps, weeks: _Stamps) -> npt.NDArray[np.float64]:
    """Return the typical count of each cell: the median of its kind over the weeks that hold rows."""
    filled = np.bincount(weeks - weeks[0], weights=counts) > 0
    is_counted = filled[weeks - weeks[0]]
    typical = np.zeros(int(kinds.max()) + 1)
    for kind in range(len(typical)):
        mine = counts[(kinds == kind) & is_counted]
        typical[kind] = np.median(mine) if len(mine) else 0.0
    return typical[kinds]


def _join_poor(
    edges: _Stamps, rows: _Stamps, expected: npt.NDArray[np.float64], is_poor: npt.NDArray[np.bool_]
) -> list[PoorRange]:
    turns = np.flatnonzero(np.diff(np.concatenate([[False], is_poor, [False]]).astype(np.int8)))
    return [
        PoorRange(
            start_ns=int(edges[first]),
            end_ns=int(edges[end]),
            rows=int(rows[first:end].sum()),
            expected=float(expected[first:end].sum()),
        )
        for first, end in turns.reshape(-1, 2).tolist()
    ]
