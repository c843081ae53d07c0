"""The run directory: written whole, the manifest last, and read back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import NotFoundError, RunError
from workbench.jobs.directory import JobDirectory

__all__ = ["RunDirectory", "find_runs"]

TABLES = ("equity", "orders", "fills", "positions", "accounts")


class RunDirectory(JobDirectory):
    """One run's files: those of a job, and its tables."""

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write `table` as ``<name>.parquet``: a temporary file, fsync, rename."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        self.write_bytes(f"{name}.parquet", sink.getvalue().to_pybytes())

    def read_table(self, name: str) -> pa.Table:
        """
        Return the table `name`: ``equity``, ``orders``, ``fills``, ``positions`` or ``accounts``.

        Raises
        ------
        NotFoundError
            If the run kept no such table.
        RunError
            If the file is damaged.

        """
        path = self.path / f"{name}.parquet"
        if not path.is_file():
            raise NotFoundError(
                f"the run {self.run_id} kept no table {name!r}", expected=f"one of {', '.join(TABLES)}"
            )
        try:
            return pq.read_table(path, page_checksum_verification=True)
        except (OSError, ValueError) as e:  # pyarrow's errors are both
            raise RunError(f"{path} is damaged: {e}", advice="run the backtest again") from e


def find_runs(runs: Path) -> list[RunDirectory]:
    """Return the runs under `runs`, the newest first."""
    if not runs.is_dir():
        return []
    found = [RunDirectory(p) for p in runs.iterdir() if (p / "config.json").is_file()]
    return sorted(found, key=lambda r: r.run_id, reverse=True)
