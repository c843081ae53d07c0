"""The directory of a job: written whole, the manifest last, and read back."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import ConflictError, ExistsError, NotFoundError, RunError
from workbench.files import take_lock, write_atomically
from workbench.records import FileRecord, JobRecord, RunRecord

__all__ = ["JobDirectory", "find_directories", "hold_lock"]

MANIFEST = "manifest.json"
_JOB = "job.json"


class JobDirectory:
    """
    One job's files.

    A directory without a manifest is a job that has not ended, or whose processes all died.

    Parameters
    ----------
    path : Path
        ``<runs>/<job_id>``.

    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        """Return the id of the job: the name of the directory."""
        return self.path.name

    @property
    def lock(self) -> Path:
        """Return the file that is locked as long as a process works on the job."""
        return self.path / _JOB

    @property
    def is_finished(self) -> bool:
        """Return whether the job has ended and its manifest is written."""
        return (self.path / MANIFEST).is_file()

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
        path = self.path / name
        try:
            write_atomically(path, content)
        except OSError as e:
            raise RunError(
                f"{path} cannot be written: {e.strerror}", advice="free some space and run again"
            ) from e

    def write_json(self, name: str, value: Any) -> None:
        """Write `value` as JSON: a temporary file, fsync, rename."""
        self.write_bytes(name, json.dumps(value, indent=2, allow_nan=False).encode() + b"\n")

    def write_job(self, job: JobRecord) -> None:
        """Write down what was asked."""
        self.write_bytes(_JOB, msgspec.json.format(msgspec.json.encode(job), indent=2) + b"\n")

    def read_job(self) -> JobRecord | None:
        """
        Return what was asked, or ``None`` where nobody wrote it down: a run without a server.

        Raises
        ------
        RunError
            If the file cannot be read.

        """
        path = self.path / _JOB
        if not path.is_file():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=JobRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as e:
            raise RunError(f"{path} is damaged: {e}", advice="move the directory away") from e

    def write_manifest(self, record: RunRecord) -> RunRecord:
        """Add the hashes of all files to `record`, write it as the manifest, and return it."""
        files = {}
        for path in sorted(self.path.rglob("*")):
            name = str(path.relative_to(self.path))
            if name.endswith(".tmp"):
                path.unlink(missing_ok=True)  # Of a process that was killed while it wrote
            elif path.is_file() and name != MANIFEST:
                files[name] = _describe(path)
        record = msgspec.structs.replace(record, files=files)
        self.write_bytes(MANIFEST, msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
        return record

    def read_manifest(self) -> RunRecord:
        """
        Return the manifest.

        Raises
        ------
        NotFoundError
            If there is no such job, or it has not ended.
        RunError
            If the manifest cannot be read.

        """
        path = self.path / MANIFEST
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

    def verify(self) -> list[str]:
        """Return the names of the files that are missing or are not what the manifest says."""
        damaged = []
        for name, record in self.read_manifest().files.items():
            path = self.path / name
            if not path.is_file() or _hash(path) != record.sha256:
                damaged.append(name)
        return damaged


def find_directories(root: Path) -> list[str]:
    """Return the names of the job directories under `root`, without looking into them."""
    try:
        with os.scandir(root) as entries:
            return [e.name for e in entries if not e.name.startswith(("_", ".")) and e.is_dir()]
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def hold_lock(path: str, *, timeout_secs: float = 0.0) -> Iterator[None]:
    """
    Hold the lock of a job while working on it; no `path`, no lock.

    Raises
    ------
    ConflictError
        If another process still holds it after `timeout_secs`.

    """
    if not path:
        yield
        return
    with Path(path).open("rb") as file:
        if not take_lock(file.fileno(), time.monotonic() + timeout_secs):
            raise ConflictError(f"another process works in {Path(path).parent}")
        yield


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(path: Path) -> FileRecord:
    rows = None
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # Heavy, and of no use to jobs without tables

        with contextlib.suppress(ValueError):  # Damaged: its writer died
            rows = pq.read_metadata(path).num_rows
    return FileRecord(sha256=_hash(path), bytes=path.stat().st_size, rows=rows)
