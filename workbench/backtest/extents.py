"""The rows of one catalog file in a range, counted from its statistics as far as they tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from workbench.errors import CatalogError

__all__ = ["LATEST", "count_rows"]

LATEST: int = np.iinfo(np.int64).max
"""The stamp after which there is none, UNIX nanoseconds."""


def count_rows(
    path: Path, low: int | None, high: int | None, system: Any = None
) -> tuple[int, int, int, tuple[int, int]]:
    """
    Return the rows with stamps from `low` to `high`, their first and last stamp, and the extent of the file.

    `system` is the fsspec file system that it lies in; default: this machine's.

    Raises
    ------
    CatalogError
        If the file is damaged, or not one of nautilus's.

    """
    rows, first, last = 0, LATEST, 0
    extent = (LATEST, 0)
    try:
        with pq.ParquetFile(str(path), filesystem=system) as file:
            column = file.schema_arrow.get_field_index("ts_init")
            if column < 0:
                raise CatalogError(
                    f"{path.name} has no column ts_init", expected="a file written by nautilus"
                )
            for i in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(i)
                if group.num_rows == 0:
                    continue
                bounds = _find_bounds(group.column(column).statistics)
                if bounds is not None and _holds(low, high, *bounds):
                    inside, begin, finish = group.num_rows, *bounds
                else:
                    stamps = file.read_row_group(i, columns=["ts_init"]).column(0).to_numpy().astype(np.int64)
                    bounds = int(stamps.min()), int(stamps.max())
                    kept = stamps[(stamps >= (low or 0)) & (stamps <= (LATEST if high is None else high))]
                    inside = len(kept)
                    begin, finish = (int(kept.min()), int(kept.max())) if inside else (LATEST, 0)
                extent = (min(extent[0], bounds[0]), max(extent[1], bounds[1]))
                rows, first, last = rows + inside, min(first, begin), max(last, finish)
    except (OSError, ValueError) as e:  # pyarrow's errors are both
        raise CatalogError(
            f"{path} cannot be read: {e}", expected="a whole Parquet file", advice="import the data again"
        ) from e
    return rows, first, last, extent


def _find_bounds(statistics: pq.Statistics | None) -> tuple[int, int] | None:
    """Return the least and the greatest stamp of a row group, if its writer put them down."""
    if statistics is None or not statistics.has_min_max:
        return None
    return int(statistics.min), int(statistics.max)


def _holds(low: int | None, high: int | None, first: int, last: int) -> bool:
    return (low is None or low <= first) and (high is None or last <= high)
