"""How rows lie in time: bins, steps, gaps, and where there is less than usual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.catalog import density
from workbench.catalog.density import GAP_MULTIPLE, POOR_RULE, Density, measure_density
from workbench.errors import CatalogError

SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE


def write(directory: Path, *parts: npt.NDArray[np.int64]) -> list[Path]:
    """Write stamps as nautilus keeps them, a file for each part."""
    paths = []
    for i, stamps in enumerate(parts):
        path = directory / f"{i}.parquet"
        pq.write_table(pa.table({"ts_init": pa.array(stamps, pa.uint64())}), path, row_group_size=1_000)
        paths.append(path)
    return paths


def week_minutes(start: str, end: str) -> npt.NDArray[np.int64]:
    """Return every minute of Monday to Friday, UTC."""
    index = pd.date_range(start, end, freq="min", tz="UTC", inclusive="left", unit="ns")
    return index[index.dayofweek < 5].asi8


def measure(directory: Path, *parts: npt.NDArray[np.int64], bins: int = 240) -> Density:
    return measure_density(write(directory, *parts), int(parts[0][0]), int(parts[-1][-1]), bins=bins)


def test_bins_hold_every_row_once(tmp_path: Path) -> None:
    stamps = np.sort(np.random.default_rng(7).integers(10**18, 10**18 + 90 * DAY, 5_000))
    found = measure(tmp_path, stamps[:1_700], stamps[1_700:], bins=37)
    counts, _ = np.histogram(stamps, bins=np.array(found.edges_ns, dtype=np.float64))
    assert len(found.rows) == 37
    assert found.rows == counts.tolist()
    assert sum(found.rows) == 5_000
    assert found.edges_ns[0] == stamps[0]
    assert found.edges_ns[-1] > stamps[-1]


def test_parts_are_read_as_one_whatever_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = np.delete(week_minutes("2024-01-01", "2024-02-05"), slice(9_000, 9_100))
    whole = measure(tmp_path, stamps)
    monkeypatch.setattr(density, "_BATCH_ROWS", 777)
    assert measure(tmp_path, stamps[:9_000], stamps[9_000:]) == whole


def test_one_row_is_one_bin_and_no_step(tmp_path: Path) -> None:
    found = measure(tmp_path, np.array([10**18]))
    assert (found.rows, found.step_ns, found.gaps, found.is_poor) == ([1], 0, [], [False])
    assert measure_density([], 0, 0) == Density()


def test_typical_step_is_the_median(tmp_path: Path) -> None:
    stamps = np.cumsum([10**18, *[MINUTE] * 60, *[7 * SECOND] * 20, *[3_600 * SECOND] * 30])
    assert measure(tmp_path, stamps).step_ns == MINUTE


def test_gaps_are_longer_than_the_multiple_and_the_longest_comes_first(tmp_path: Path) -> None:
    limit = int(GAP_MULTIPLE) * MINUTE
    stamps = np.cumsum([10**18, *[MINUTE] * 100, limit, *[MINUTE] * 50, limit + 1, MINUTE, 9 * limit])
    found = measure(tmp_path, stamps[:101], stamps[101:])
    assert [gap.end_ns - gap.start_ns for gap in found.gaps] == [9 * limit, limit + 1]
    assert found.gaps[1].start_ns == stamps[151]
    assert (found.gap_count, found.gap_ns) == (2, 10 * limit + 1)


def test_only_the_longest_of_many_gaps_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    steps = [step for i in range(150) for step in (*[MINUTE] * 3, (10 + i) * MINUTE)]
    found = measure(tmp_path, np.cumsum([10**18, *steps]))
    assert (len(found.gaps), found.gap_count) == (100, 150)
    assert found.gaps[-1].end_ns - found.gaps[-1].start_ns == 60 * MINUTE


def test_weekend_is_told_from_another_gap(tmp_path: Path) -> None:
    stamps = week_minutes("2024-01-01", "2024-01-13")
    noon = int(pd.Timestamp("2024-01-10T12:00Z").value)
    kept = stamps[(stamps < noon) | (stamps > noon + 6 * 60 * MINUTE)]
    found = measure(tmp_path, kept)
    assert [gap.spans_weekend for gap in found.gaps] == [True, False]


def test_hole_in_trading_hours_is_poor_and_a_weekend_is_not(tmp_path: Path) -> None:
    stamps = week_minutes("2024-01-01", "2024-03-04")
    begin, end = (pd.Timestamp(t, tz="UTC").value for t in ("2024-02-06T06:00", "2024-02-07T18:00"))
    kept = stamps[(stamps < begin) | (stamps >= end)]
    found = measure(tmp_path, kept, bins=63 * 4)
    assert len(found.poor_ranges) == 1
    poor = found.poor_ranges[0]
    assert abs(poor.start_ns - begin) <= 6 * 3_600 * SECOND
    assert abs(poor.end_ns - end) <= 6 * 3_600 * SECOND
    assert poor.rows < 0.5 * poor.expected
    assert sum(found.expected) == pytest.approx(len(stamps), rel=0.01)


def test_half_of_the_rows_for_a_week_is_poor(tmp_path: Path) -> None:
    stamps = week_minutes("2024-01-01", "2024-03-04")
    begin, end = (pd.Timestamp(t, tz="UTC").value for t in ("2024-02-05", "2024-02-10"))
    is_thin = (stamps >= begin) & (stamps < end) & (np.arange(len(stamps)) % 3 != 0)
    found = measure(tmp_path, stamps[~is_thin], bins=61)
    assert [(round(p.start_ns / DAY), round(p.end_ns / DAY)) for p in found.poor_ranges] == [
        (begin // DAY, end // DAY)
    ]
    assert not any(measure(tmp_path, stamps, bins=61).is_poor)


def test_absent_months_do_not_make_the_rest_usual(tmp_path: Path) -> None:
    parts = [week_minutes("2023-01-02", "2023-02-06"), week_minutes("2024-01-01", "2024-02-05")]
    found = measure(tmp_path, *parts, bins=100)
    assert [round((p.end_ns - p.start_ns) / DAY) > 300 for p in found.poor_ranges] == [True]


def test_daily_rows_are_judged_by_days(tmp_path: Path) -> None:
    days = pd.bdate_range("2023-01-02", "2023-12-29", tz="UTC", unit="ns").asi8 + 21 * 60 * MINUTE
    whole = measure(tmp_path, days, bins=52)
    assert not any(whole.is_poor)
    assert whole.step_ns == DAY
    kept = np.delete(days, slice(100, 115))
    assert measure(tmp_path, kept, bins=52).poor_ranges[0].rows < 8


def test_short_data_are_called_nothing(tmp_path: Path) -> None:
    stamps = 10**18 + MINUTE * np.delete(np.arange(2_000), slice(500, 900))
    found = measure(tmp_path, stamps)
    assert not any(found.is_poor)
    assert found.gap_count == 1
    assert "three days" in POOR_RULE


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.parquet").write_bytes(b"PAR1nonsense")
    with pytest.raises(CatalogError, match=r"0\.parquet"):
        measure_density([tmp_path / "0.parquet"], 0, 1)
