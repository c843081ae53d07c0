"""The names and schemas that nautilus gives to the files of its catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import CatalogError

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.catalog.columns import DataType

__all__ = [
    "DIRECTORIES",
    "IDENTIFIER_KEYS",
    "build_file_name",
    "build_schema",
    "dataset_directory",
    "parse_file_name",
    "read_footer",
]

DIRECTORIES: dict[DataType, str] = {"bars": "bar", "quotes": "quote_tick", "trades": "trade_tick"}
"""The directory of each kind of data below ``<catalog>/data``."""

IDENTIFIER_KEYS: dict[DataType, bytes] = {
    "bars": b"bar_type",
    "quotes": b"instrument_id",
    "trades": b"instrument_id",
}
"""The schema metadata that say whose data a file holds."""


def _nautilus_class(data_type: DataType) -> Any:
    from nautilus_trader.model import data

    return {"bars": data.Bar, "quotes": data.QuoteTick, "trades": data.TradeTick}[data_type]


def _instrument_of(data_type: DataType, identifier: str) -> str:
    if data_type != "bars":
        return identifier
    from nautilus_trader.model.data import BarType

    instrument_id: str = BarType.from_str(identifier).instrument_id.value
    return instrument_id


def build_schema(
    data_type: DataType, identifier: str, price_precision: int, size_precision: int
) -> pa.Schema:
    """
    Return the schema, with its metadata, of a file as nautilus writes it.

    Parameters
    ----------
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    identifier : str
        The bar type of bars, the instrument id of quotes and trades.
    price_precision, size_precision : int
        The precisions of the instrument.

    Returns
    -------
    pyarrow.Schema
        Column order and metadata matter: nautilus's reader ends the process where they differ.

    """
    from nautilus_trader.serialization.arrow.schema import NAUTILUS_ARROW_SCHEMA

    metadata = {
        b"instrument_id": _instrument_of(data_type, identifier).encode(),
        IDENTIFIER_KEYS[data_type]: identifier.encode(),
        b"price_precision": str(price_precision).encode(),
        b"size_precision": str(size_precision).encode(),
    }
    schema: pa.Schema = NAUTILUS_ARROW_SCHEMA[_nautilus_class(data_type)].with_metadata(metadata)
    return schema


def dataset_directory(catalog: Path, data_type: DataType, identifier: str) -> Path:
    """Return the directory that holds a dataset's files."""
    from nautilus_trader.persistence.funcs import urisafe_identifier

    name: str = urisafe_identifier(identifier)
    return catalog / "data" / DIRECTORIES[data_type] / name


def build_file_name(start_ns: int, end_ns: int) -> str:
    """Return the file name of an interval, in nanoseconds since the epoch, both ends included."""
    # Private in nautilus, but the only definition of these names: its readers parse them.
    from nautilus_trader.persistence.catalog.parquet import _timestamps_to_filename

    name: str = _timestamps_to_filename(start_ns, end_ns)
    return name


def parse_file_name(name: str) -> tuple[int, int] | None:
    """Return the interval that a file name claims, or None if it claims none."""
    from nautilus_trader.persistence.catalog.parquet import _parse_filename_timestamps

    try:
        interval: tuple[int, int] | None = _parse_filename_timestamps(name)
    except (ValueError, IndexError):
        return None
    return interval


def read_footer(path: Path) -> tuple[pa.Schema, pq.FileMetaData]:
    """
    Return the schema and the footer of a Parquet file.

    Raises
    ------
    CatalogError
        If the file is truncated, empty or no Parquet file.

    """
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata
    except (pa.ArrowInvalid, OSError) as e:
        raise CatalogError(
            f"{path} is damaged ({str(e).splitlines()[0]})",
            expected="a whole Parquet file",
            advice="move it out of the catalog and import its data again",
        ) from e
