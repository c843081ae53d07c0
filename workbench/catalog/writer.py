"""The one writer of catalog files: whole and checked, or not there at all."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.catalog.content import ContentHash, hash_file
from workbench.catalog.disk import clear_disk_errors, make_directories, remove_directories
from workbench.catalog.ledger import load_entry, remove_entry
from workbench.catalog.locks import TEMPORARY, lock_directory, lock_file, remove_stale, sync_directory
from workbench.catalog.schema import build_file_name, parse_file_name, read_footer
from workbench.catalog.swap import finish_swap, swap_files
from workbench.errors import CatalogError, ExistsError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["ROW_GROUP_ROWS", "DatasetWriter", "WriteResult"]

ROW_GROUP_ROWS = 65_536
"""Rows in one row group: what a reader that wants a part of the file reads at once."""


class WriteResult(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a commit did.

    Attributes
    ----------
    outcome : {'written', 'replaced', 'unchanged'}
        Whether the file is new, took the place of others, or had the same contents already.
    file : Path
        The file that now holds the rows.
    rows : int
        Rows in the file.
    content_sha256 : str
        The hash of their contents.
    replaced : tuple[Path, ...]
        Files that are gone.

    """

    outcome: Literal["written", "replaced", "unchanged"]
    file: Path
    rows: int
    content_sha256: str
    replaced: tuple[Path, ...] = ()


class DatasetWriter:
    """
    Writes one file into the directory of a dataset, in bounded memory.

    Rows go into a temporary file that nautilus does not see; :meth:`commit` gives it its name. Leaving
    the ``with`` block without a commit, for whatever reason, leaves nothing.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    directory : Path
        The directory of the dataset in it; made if missing.
    schema : pyarrow.Schema
        The schema of the rows, with nautilus's metadata, ``ts_init`` among its columns.

    """

    def __init__(self, catalog: Path, directory: Path, schema: pa.Schema) -> None:
        self._catalog = catalog
        self._directory = directory
        self._schema = schema
        self._content = ContentHash(schema)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._rows = 0
        self._start_ns = 0
        self._end_ns = 0
        self._committed = False

    def __enter__(self) -> Self:
        with clear_disk_errors(self._directory):
            self._open_temporary()
            self._parquet = pq.ParquetWriter(
                self._file,
                self._schema,
                write_page_checksum=True,
                # Time stamps hardly repeat, but rise steadily: their differences are what is small.
                use_dictionary=[name for name in self._schema.names if not name.startswith("ts_")],
                column_encoding={"ts_event": "DELTA_BINARY_PACKED", "ts_init": "DELTA_BINARY_PACKED"},
            )
        return self

    def _open_temporary(self) -> None:
        while True:
            self._made = make_directories(self._directory)
            try:
                with lock_directory(self._directory):
                    finish_swap(self._directory)
                    remove_stale(self._directory)
                    self._temporary = self._directory / f".{os.getpid()}-{id(self):x}{TEMPORARY}"
                    self._file = self._temporary.open("xb")
                    lock_file(self._file.fileno())
            except FileNotFoundError:
                # Another writer, which wrote nothing in the end, has just taken the directory away.
                continue
            return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The Parquet writer would write a footer when it is collected: it has nothing to write any more.
        self._parquet.is_open = False
        # On a full disk closing tries once more to write what is left, and fails once more.
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)
        if not self._committed:
            remove_directories(self._made)

    def write(self, rows: pa.RecordBatch) -> None:
        """Add rows of the schema whose ``ts_init`` ascends, over all calls."""
        if len(rows) == 0:
            return
        stamps = rows.column("ts_init")
        if self._rows == 0:
            self._start_ns = stamps[0].as_py()
        self._end_ns = stamps[-1].as_py()
        self._rows += len(rows)
        self._content.update(rows)
        self._waiting.append(rows)
        self._waiting_rows += len(rows)
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._flush(everything=False)

    @property
    def rows(self) -> int:
        """Return how many rows have been written."""
        return self._rows

    @property
    def interval_ns(self) -> tuple[int, int]:
        """Return the first and the last ``ts_init`` written."""
        return self._start_ns, self._end_ns

    def commit(self, *, replace: bool = False) -> WriteResult:
        """
        Give the file its place in the dataset.

        Parameters
        ----------
        replace : bool, default False
            Whether files with other contents that lie wholly within the new interval may be replaced.

        Returns
        -------
        WriteResult

        Raises
        ------
        ExistsError
            If the interval overlaps with other contents and ``replace`` is False, or does not cover them.
        CatalogError
            If the disk is full or the dataset holds files that do not belong to it.

        """
        content_sha256 = self._content.hexdigest()
        with clear_disk_errors(self._directory):
            self._flush(everything=True)
            self._parquet.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            # The proof that what is on its way into the catalog is what was given.
            rows = read_footer(self._temporary)[1].num_rows
            if rows != self._rows:
                raise CatalogError(f"{self._temporary} holds {rows} rows instead of {self._rows}")
            with lock_directory(self._directory):
                return self._commit_locked(content_sha256, replace=replace)

    def _commit_locked(self, content_sha256: str, *, replace: bool) -> WriteResult:
        target = self._directory / build_file_name(self._start_ns, self._end_ns)
        finish_swap(self._directory)
        overlapping = self._find_overlapping()
        result = WriteResult(outcome="written", file=target, rows=self._rows, content_sha256=content_sha256)
        if overlapping == [target] and self._has_content(target, content_sha256):
            self._committed = True
            return msgspec.structs.replace(result, outcome="unchanged")
        self._check_dataset(overlapping)
        if not overlapping:
            self._temporary.replace(target)
            sync_directory(self._directory)
            self._committed = True
            return result
        self._check_replace(overlapping, replace=replace)
        swap_files(self._directory, self._temporary.name, target.name, [file.name for file in overlapping])
        self._committed = True
        for file in overlapping:
            remove_entry(self._catalog, file)
        return msgspec.structs.replace(result, outcome="replaced", replaced=tuple(overlapping))

    def _find_overlapping(self) -> list[Path]:
        found = []
        for file in sorted(self._directory.glob("*.parquet")):
            interval = parse_file_name(file.name)
            if interval is None:
                raise CatalogError(
                    f"{file} does not belong into a catalog: its name is no interval",
                    expected="names such as 2012-02-01T00-00-00-000000000Z_2012-02-29T00-00-00-000000000Z.parquet",
                    advice="move it out of the catalog",
                )
            if interval[0] <= self._end_ns and interval[1] >= self._start_ns:
                found.append(file)
        return found

    def _has_content(self, file: Path, content_sha256: str) -> bool:
        entry = load_entry(self._catalog, file)
        if entry is not None:
            return entry.content_sha256 == content_sha256
        try:
            return hash_file(file) == content_sha256
        except CatalogError:
            return False

    def _check_dataset(self, overlapping: list[Path]) -> None:
        """Refuse another instrument or precision beside the old: nautilus reads a directory as one table."""
        others = [file for file in sorted(self._directory.glob("*.parquet")) if file not in overlapping]
        if not others:
            return
        with pq.ParquetFile(others[0]) as file:
            found = {
                key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()
            }
        wanted = {key.decode(): value.decode() for key, value in self._schema.metadata.items()}
        differences = [
            f"{key} {found.get(key)!r} instead of {value!r}"
            for key, value in wanted.items()
            if found.get(key) != value
        ]
        if differences:
            raise ExistsError(
                f"{self._directory} holds data with {', '.join(differences)}",
                expected="one instrument and one precision in a dataset",
                advice="import all of the dataset again with --replace, or into another catalog (--catalog)",
            )

    def _check_replace(self, overlapping: list[Path], *, replace: bool) -> None:
        names = ", ".join(file.name for file in overlapping[:3]) + (", ..." if len(overlapping) > 3 else "")
        if not replace:
            raise ExistsError(
                f"{self._directory.name} has other data in this interval already: {names}",
                expected="a new interval, or the same contents",
                advice="add --replace to put the new data in their place",
            )
        for file in overlapping:
            interval = parse_file_name(file.name)
            if interval is not None and (interval[0] < self._start_ns or interval[1] > self._end_ns):
                raise ExistsError(
                    f"replacing {file.name} would lose the part of it outside of the new interval "
                    f"{build_file_name(self._start_ns, self._end_ns).removesuffix('.parquet')}",
                    expected="new data that cover all of each file they replace",
                    advice="import a file that covers both intervals",
                )

    def _flush(self, *, everything: bool) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        size = len(table) if everything else len(table) // ROW_GROUP_ROWS * ROW_GROUP_ROWS
        with clear_disk_errors(self._directory):
            if size:
                self._parquet.write_table(table.slice(0, size), row_group_size=ROW_GROUP_ROWS)
        self._waiting = table.slice(size).to_batches()
        self._waiting_rows = len(table) - size
