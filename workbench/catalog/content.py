"""What the rows of a catalog file say, as one hash: the same rows give the same hash in any file."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ContentHash", "hash_file"]


class ContentHash:
    """
    A SHA-256 over schema, metadata and column contents, fed batch by batch.

    The bytes of each column are hashed on their own, so that neither batches nor row groups nor
    compression make a difference.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema of the rows.

    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._columns = [hashlib.sha256() for _ in schema]
        self._rows = 0

    def update(self, rows: pa.RecordBatch) -> None:
        """Add rows of the schema, without nulls."""
        self._rows += len(rows)
        for digest, column in zip(self._columns, rows.columns, strict=True):
            if pa.types.is_string(column.type):
                digest.update(np.ascontiguousarray(pc.binary_length(column).to_numpy(zero_copy_only=False)))
                _, offsets, data = column.buffers()
                ends = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
                if len(ends) and data is not None:
                    digest.update(memoryview(data)[int(ends[0]) : int(ends[-1])])
            else:
                width = column.type.bit_width // 8
                start = column.offset * width
                digest.update(memoryview(column.buffers()[1])[start : start + len(column) * width])

    def hexdigest(self) -> str:
        """Return the hash of everything so far, as 64 hexadecimal digits."""
        metadata = {key.decode(): value.decode() for key, value in (self._schema.metadata or {}).items()}
        description = {
            "columns": [
                [field.name, str(field.type), digest.hexdigest()]
                for field, digest in zip(self._schema, self._columns, strict=True)
            ],
            "metadata": metadata,
            "rows": self._rows,
        }
        return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """
    Return the content hash of a catalog file by reading all of it.

    Raises
    ------
    CatalogError
        If the file cannot be read, or a page of it does not match its checksum.

    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            content = ContentHash(file.schema_arrow)
            for batch in file.iter_batches(65_536):
                content.update(batch)
    except (pa.ArrowInvalid, OSError) as e:
        raise CatalogError(
            f"{path} is damaged: {str(e).splitlines()[0]}",
            expected="a complete Parquet file",
            advice="import the data again with --replace",
        ) from e
    return content.hexdigest()
