"""The record of rows that were left out, kept beside the data."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import msgspec
import numpy as np
import pyarrow as pa

from workbench.catalog.disk import clear_disk_errors, make_directories, remove_directories
from workbench.catalog.flaws import FlawKind
from workbench.catalog.ledger import LEDGER, ledger_path
from workbench.catalog.locks import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from workbench.catalog.flaws import RowFlaws
    from workbench.catalog.source import RaggedRow, SourceBatch

__all__ = ["DroppedRows"]


class DroppedRows:
    """
    Writes rows that were left out as JSON lines: where they stood, why they went, what they said.

    Leaving the ``with`` block without :meth:`keep` leaves nothing.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    directory : Path
        The directory of the dataset.
    row_word : str
        What row numbers count: "line" or "row".

    """

    def __init__(self, catalog: Path, directory: Path, row_word: str) -> None:
        self._catalog = catalog
        self._row_word = row_word
        self._temporary = (
            catalog / LEDGER / "dropped" / f".{directory.name}.{os.getpid()}-{id(self):x}{TEMPORARY}"
        )
        self._file: Any = None
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)
            remove_directories(self._made)

    def add(self, batch: SourceBatch, flaws: RowFlaws) -> None:
        """Add the flawed rows of a batch."""
        at = np.flatnonzero(~flaws.sound)
        if len(at) == 0:
            return
        rows = batch.rows.take(pa.array(at)).to_pylist()
        for i, row in zip(at, rows, strict=True):
            kind = FlawKind(int(flaws.codes[i]))
            self._write({self._row_word: int(batch.numbers[i]), "reason": kind.text, "values": row})

    def add_ragged(self, rows: Sequence[RaggedRow]) -> None:
        """Add lines that are no rows."""
        for row in rows:
            self._write({self._row_word: row.number, "reason": FlawKind.RAGGED.text, "text": row.text})

    def seal(self) -> None:
        """Bring the record to the disk: what can fail, fails before the data are in their place."""
        if self._file is not None:
            with clear_disk_errors(self._temporary.parent):
                self._file.flush()
                os.fsync(self._file.fileno())

    def keep(self, file: Path) -> Path | None:
        """Keep the record of what was left out of a file of the catalog; return where, if there is one."""
        if self._file is None:
            return None
        path = ledger_path(self._catalog, file, "dropped", ".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary.replace(path)
        return path

    def _write(self, record: dict[str, Any]) -> None:
        with clear_disk_errors(self._temporary.parent):
            if self._file is None:
                self._made = make_directories(self._temporary.parent)
                self._file = self._temporary.open("wb")
            self._file.write(msgspec.json.encode(record, enc_hook=str) + b"\n")
