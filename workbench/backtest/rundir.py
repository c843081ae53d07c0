"""The run directory: written whole, the manifest last, and read back."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import ExistsError, NotFoundError, RunError
from workbench.files import write_atomically
from workbench.records import FileRecord, RunRecord

__all__ = ["RunDirectory", "find_runs", "new_run_id", "utc_now"]

_MANIFEST = "manifest.json"
TABLES = ("equity", "orders", "fills", "positions", "accounts")


def utc_now() -> str:
    """Return the present time, ISO 8601 UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_run_id() -> str:
    """Return a run id that sorts by time and that nobody else has: ``20120206-143005-3f9a1c``."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.urandom(3).hex()}"


class RunDirectory:
    """
    One run's files.

    A directory without a manifest is a run that has not ended, or whose process and parent both died.

    Parameters
    ----------
    path : Path
        ``<runs>/<run_id>``.

    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """Return the id of the run: the name of the directory."""
        return self.path.name

    @property
    def is_finished(self) -> bool:
        """Return whether the run has ended and its manifest is written."""
        return (self.path / _MANIFEST).is_file()

    def create(self) -> None:
        """
        Make the directory.

        Raises
        ------
        ExistsError
            If it stands already.

        """
        try:
            self.path.mkdir(parents=True)
        except FileExistsError as e:
            raise ExistsError(f"the run directory {self.path} stands already", expected="a new run id") from e
        except OSError as e:
            raise RunError(f"the run directory {self.path} cannot be made: {e.strerror}") from e

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write `content`: a temporary file, fsync, rename."""
        self._write(name, content)

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` as JSON: a temporary file, fsync, rename."""
        self._write(name, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write `table` as ``<name>.parquet``: a temporary file, fsync, rename."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
        self._write(f"{name}.parquet", sink.getvalue().to_pybytes())

    def write_manifest(self, record: RunRecord) -> RunRecord:
        """Add the hashes of all files to `record`, write it as the manifest, and return it."""
        files = {}
        for path in sorted(self.path.rglob("*")):
            name = str(path.relative_to(self.path))
            if name.endswith(".tmp"):
                path.unlink(missing_ok=True)  # Of a process that was killed while it wrote
            elif path.is_file() and name != _MANIFEST:
                files[name] = _describe(path)
        record = msgspec.structs.replace(record, files=files)
        self._write(_MANIFEST, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
        return record

    def read_manifest(self) -> RunRecord:
        """
        Return the manifest.

        Raises
        ------
        NotFoundError
            If there is no such run, or it has not ended.
        RunError
            If the manifest cannot be read.

        """
        path = self.path / _MANIFEST
        if not path.is_file():
            what = "has not ended" if self.path.is_dir() else "does not exist"
            raise NotFoundError(
                f"the run {self.path} {what}", advice="`workbench backtest ls` lists the runs"
            )
        try:
            return msgspec.json.decode(path.read_bytes(), type=RunRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError) as e:
            raise RunError(f"{path} is damaged: {e}", advice="run the backtest again") from e

    def read_json(self, name: str) -> dict[str, Any]:
        """
        Return the JSON object in the file `name`; empty if there is none.

        Raises
        ------
        RunError
            If the file is damaged.

        """
        path = self.path / name
        if not path.is_file():
            return {}
        try:
            value: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as e:
            raise RunError(f"{path} is damaged: {e}", advice="run the backtest again") from e
        return value

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

    def verify(self) -> list[str]:
        """Return the names of the files that are missing or are not what the manifest says."""
        damaged = []
        for name, record in self.read_manifest().files.items():
            path = self.path / name
            if not path.is_file() or _hash(path) != record.sha256:
                damaged.append(name)
        return damaged

    def _write(self, name: str, content: bytes) -> None:
        path = self.path / name
        try:
            write_atomically(path, content)
        except OSError as e:
            raise RunError(
                f"{path} cannot be written: {e.strerror}", advice="free some space and run again"
            ) from e


def find_runs(runs: Path) -> list[RunDirectory]:
    """Return the runs under `runs`, the newest first."""
    if not runs.is_dir():
        return []
    found = [RunDirectory(p) for p in runs.iterdir() if (p / "config.json").is_file()]
    return sorted(found, key=lambda r: r.run_id, reverse=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(path: Path) -> FileRecord:
    rows = pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None
    return FileRecord(sha256=_hash(path), bytes=path.stat().st_size, rows=rows)
