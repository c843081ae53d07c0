"""Files of market data as a stream of column batches, each row with its number in the file."""

from __future__ import annotations

import codecs
import os
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq

from workbench.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["CsvSource", "ParquetSource", "RaggedRow", "Source", "SourceBatch", "open_source"]

BLOCK_BYTES = 1 << 20
"""Bytes of CSV text in one batch, some 15,000 quotes: larger ones cost memory and save no time."""

BATCH_ROWS = 65_536
"""Rows in one batch of a Parquet file."""

_DELIMITERS = (",", ";", "\t", "|")
_PARQUET_SUFFIXES = {".parquet", ".pq"}
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_SNIFF_BYTES = 1 << 16


class RaggedRow(msgspec.Struct, frozen=True):
    """A line of text that has not as many columns as the header."""

    number: int
    text: str
    found: int


class SourceBatch(msgspec.Struct, frozen=True):
    """
    Some consecutive rows of a file.

    Attributes
    ----------
    rows : pyarrow.RecordBatch
        The columns asked for, as they stand in the file: text where the file is text.
    numbers : numpy.ndarray of int64
        Where each row stands: the line of a text file (the header is line 1), the row of another (from 1).

    """

    rows: pa.RecordBatch
    numbers: NDArray[np.int64]


class Source(Protocol):
    """
    A file that can be read as column batches.

    Attributes
    ----------
    path : Path
        The file.
    names : tuple[str, ...]
        Its columns, in order.
    row_word : str
        What a row number counts: "line" or "row".
    ragged : list[RaggedRow]
        Lines that are no rows, as far as the file has been read.
    unterminated : bool
        Whether the last line of a text has no line break, as in a truncated file.

    """

    path: Path
    names: tuple[str, ...]
    row_word: str
    ragged: list[RaggedRow]
    unterminated: bool

    def read(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        """Yield the batches of these columns, in the order of the file."""
        ...

    def fraction(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        ...


def open_source(path: Path, *, delimiter: str | None = None, names: Sequence[str] | None = None) -> Source:
    """
    Open a CSV or Parquet file for reading.

    Parameters
    ----------
    path : Path
        A file of comma-, semicolon-, tab- or bar-separated text, plain or compressed (``.gz``), or Parquet.
    delimiter : str, optional
        What separates the columns of text (default: found from the first line).
    names : sequence of str, optional
        The columns, where text has no header line.

    Returns
    -------
    Source

    Raises
    ------
    NotFoundError
        If there is no such file.
    InputError
        If it is a directory, empty, or in a form that cannot be read.

    """
    if path.is_dir():
        raise InputError(f"{path} is a directory", expected="a CSV or Parquet file", advice="name one file")
    if not path.is_file():
        raise NotFoundError(
            f"there is no file {path}", expected="a CSV or Parquet file", advice="check the path"
        )
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as e:
        raise InputError(f"{path} cannot be read ({e.strerror})", advice="check its permissions") from e
    if not head:
        raise InputError(f"{path} is empty", expected="a header line and rows", advice="export it again")
    if head == b"PAR1" or path.suffix.lower() in _PARQUET_SUFFIXES:
        return ParquetSource(path)
    return CsvSource(path, delimiter=delimiter, names=names)


class CsvSource:
    """
    Text with one row per line.

    Parameters
    ----------
    path : Path
        The file.
    delimiter : str, optional
        What separates the columns (default: found from the first line).
    names : sequence of str, optional
        The columns, where there is no header line.

    """

    row_word = "line"

    def __init__(
        self, path: Path, *, delimiter: str | None = None, names: Sequence[str] | None = None
    ) -> None:
        self.path = path
        self.ragged: list[RaggedRow] = []
        self._has_header = names is None
        self._size = path.stat().st_size
        self._raw: Any = None
        self._fraction = 0.0
        self._compression = _COMPRESSIONS.get(path.suffix.lower())
        first = self._first_line()
        self.delimiter = delimiter or max(_DELIMITERS, key=first.count)
        fields = [field.strip().strip('"').strip() for field in first.split(self.delimiter)]
        self.names = tuple(fields if names is None else names)
        self._check_names(fields)
        self.unterminated = self._ends_within_line()

    def read(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        """Yield the batches of these columns as text, in the order of the file."""
        self.ragged.clear()
        self._fraction = 0.0
        rows_before = 0
        # Arrow knows columns by name, and a file may have a name twice among the ignored ones.
        labels = [f"{i}" for i in range(len(self.names))]
        wanted = [labels[self.names.index(column)] for column in columns]
        header = 1 if self._has_header else 0
        try:
            with self._open() as stream:
                reader = pyarrow.csv.open_csv(
                    stream,
                    # One thread: only then does Arrow tell the line of a ragged row.
                    read_options=pyarrow.csv.ReadOptions(
                        block_size=BLOCK_BYTES, use_threads=False, column_names=labels, skip_rows=header
                    ),
                    parse_options=pyarrow.csv.ParseOptions(
                        delimiter=self.delimiter,
                        ignore_empty_lines=False,
                        invalid_row_handler=self._note_ragged,
                    ),
                    convert_options=pyarrow.csv.ConvertOptions(
                        column_types=dict.fromkeys(labels, pa.string()), include_columns=wanted
                    ),
                )
                for count, batch in enumerate(reader, 1):
                    # Arrow reads ahead, but gives a batch for each block of text.
                    done = count * BLOCK_BYTES if self._compression is None else self._raw.tell()
                    self._fraction = min(1.0, done / self._size)
                    numbers = self._number(rows_before, len(batch), header)
                    rows_before += len(batch)
                    yield _without_blank_rows(batch.rename_columns(list(columns)), numbers)
        except (pa.ArrowInvalid, EOFError, OSError) as e:
            raise InputError(
                f"{self.path} cannot be read as text columns: {_first_line_of(e)}",
                expected=f"UTF-8 text with {len(self.names)} columns separated by {self.delimiter!r}",
                advice="export it again",
            ) from e

    def fraction(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        return self._fraction

    def _open(self) -> pa.NativeFile:
        self._raw = pa.OSFile(str(self.path))
        if self._compression is None:
            return self._raw
        return pa.CompressedInputStream(self._raw, self._compression)

    def _ends_within_line(self) -> bool:
        if self._compression is not None:
            return False  # a truncated compressed file cannot be read to its end at all
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) not in (b"\n", b"\r")

    def _first_line(self) -> str:
        try:
            with self._open() as stream:
                head: bytes = stream.read(_SNIFF_BYTES)
        except (pa.ArrowInvalid, OSError) as e:
            raise InputError(
                f"{self.path} cannot be read: {_first_line_of(e)}", advice="export it again"
            ) from e
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head:
            raise InputError(
                f"{self.path} is no UTF-8 text",
                expected="CSV in UTF-8, or Parquet",
                advice="save it as CSV UTF-8",
            )
        line = head.removeprefix(codecs.BOM_UTF8).splitlines()[0] if head.strip() else b""
        if not line.strip():
            raise InputError(
                f"{self.path} has no header in its first line",
                expected="the names of the columns",
                advice="add them",
            )
        return line.decode("utf-8", errors="replace")

    def _check_names(self, fields: list[str]) -> None:
        if len(self.names) != len(fields):
            raise InputError(
                f"{self.path} has {len(fields)} columns but {len(self.names)} are named",
                expected="a name for each column",
                advice="fix --columns",
            )
        if self._has_header and fields and all(_looks_like_value(field) for field in fields):
            raise InputError(
                f"{self.path} starts with values ({', '.join(fields[:3])}, ...) instead of column names",
                expected="a header line",
                advice="name the columns in their order with --columns timestamp,open,high,low,close",
            )
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InputError(
                f"{self.path} has more than one column {', '.join(repr(name) for name in twice)}",
                expected="a different name for each column",
                advice="rename them in the file",
            )

    def _note_ragged(self, row: Any) -> str:
        self.ragged.append(RaggedRow(row.number, row.text, row.actual_columns))
        return "skip"

    def _number(self, rows_before: int, size: int, header: int) -> NDArray[np.int64]:
        """Return the lines of the next rows, counting the ragged lines between them."""
        plain = np.arange(rows_before, rows_before + size, dtype=np.int64) + header + 1
        if not self.ragged:
            return plain
        ragged = np.array([row.number for row in self.ragged], np.int64)
        return plain + np.searchsorted(ragged - np.arange(len(ragged)), plain, side="right")


class ParquetSource:
    """
    A flat Parquet file.

    Parameters
    ----------
    path : Path
        The file.

    """

    row_word = "row"
    unterminated = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ragged: list[RaggedRow] = []
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
        except (pa.ArrowInvalid, OSError) as e:
            raise InputError(
                f"{path} is no readable Parquet file: {_first_line_of(e)}",
                expected="a complete Parquet file",
                advice="copy or export it again",
            ) from e
        schema = self._file.schema_arrow
        for field in schema:
            if pa.types.is_fixed_size_binary(field.type):
                bits = field.type.byte_width * 8
                raise InputError(
                    f"{path} is a file of a nautilus catalog with {bits}-bit prices (column {field.name!r})",
                    expected="a flat file with plain numbers",
                    advice="use the catalog it comes from"
                    if bits == 128
                    else "convert that catalog to 128 bits first",
                )
        self.names = tuple(schema.names)
        self._rows_read = 0

    def read(self, columns: Sequence[str]) -> Iterator[SourceBatch]:
        """Yield the batches of these columns, in the order of the file."""
        self._rows_read = 0
        try:
            for batch in self._file.iter_batches(BATCH_ROWS, columns=list(columns)):
                numbers = np.arange(self._rows_read, self._rows_read + len(batch), dtype=np.int64) + 1
                self._rows_read += len(batch)
                yield SourceBatch(batch.select(list(columns)), numbers)
        except (pa.ArrowInvalid, OSError) as e:
            raise InputError(
                f"{self.path} is damaged after row {self._rows_read:,}: {_first_line_of(e)}",
                advice="copy it again",
            ) from e

    def fraction(self) -> float:
        """Return how much of the file has been read, from 0 to 1."""
        return self._rows_read / max(1, int(self._file.metadata.num_rows))


def _without_blank_rows(batch: pa.RecordBatch, numbers: NDArray[np.int64]) -> SourceBatch:
    """Take out the rows of blank lines: only they are empty in every column."""
    blank = np.ones(len(batch), bool)
    for column in batch.columns:
        lengths = pyarrow.compute.binary_length(column).to_numpy(zero_copy_only=False)
        blank &= lengths == 0
        if not blank.any():
            return SourceBatch(batch, numbers)
    return SourceBatch(batch.filter(pa.array(~blank)), numbers[~blank])


def _looks_like_value(text: str) -> bool:
    return (
        bool(text)
        and text[0].isdigit()
        and not any(letter.isalpha() and letter not in "TZeE" for letter in text)
    )


def _first_line_of(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
