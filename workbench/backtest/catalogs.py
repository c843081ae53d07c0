"""The catalogs that a run names: in a local directory, or in an object store."""

from __future__ import annotations

from pathlib import Path

from nautilus_trader.backtest.config import BacktestDataConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.errors import ConfigError, NotFoundError

__all__ = ["is_remote", "open_catalog"]


def is_remote(data: BacktestDataConfig) -> bool:
    """Return whether the catalog of an entry lies in an object store."""
    return data.catalog_fs_protocol not in (None, "file")


def open_catalog(data: BacktestDataConfig, place: str) -> ParquetDataCatalog:
    """
    Open the catalog of an entry; `place` is the entry's own, such as ``data.0``.

    Raises
    ------
    InputError
        If there is none.

    """
    if is_remote(data):
        return _open_remote(data, place)
    if not data.catalog_path or not Path(data.catalog_path).is_dir():
        raise NotFoundError(
            f"there is no catalog at {data.catalog_path}",
            advice="import data with `workbench data import`",
            field=f"{place}.catalog_path",
        )
    try:
        return BacktestNode.load_catalog(data)
    except Exception as e:  # What fsspec raises depends on the file system and its options
        raise ConfigError(
            f"the catalog at {data.catalog_path} cannot be opened: {type(e).__name__}: {e}",
            expected="a catalog, and options that its file system knows",
            field=f"{place}.catalog_path",
        ) from e


def _open_remote(data: BacktestDataConfig, place: str) -> ParquetDataCatalog:
    path = str(data.catalog_path)
    if not path or path.startswith("/"):
        raise ConfigError(
            f"{path!r} is no place in an object store of the protocol {data.catalog_fs_protocol!r}",
            expected="a bucket and a path in it",
            field=f"{place}.catalog_fs_protocol",
        )
    try:
        catalog = BacktestNode.load_catalog(data)
        catalog.fs.invalidate_cache()  # Kept from one task of this process to the next
        is_there = catalog.fs.isdir(catalog.path)
    except Exception as e:  # What fsspec raises depends on the file system and its options
        raise ConfigError(
            f"the catalog {path} cannot be opened by {data.catalog_fs_protocol!r}: {type(e).__name__}: {e}",
            expected="a protocol that fsspec knows, and its options in fsspec's own configuration",
            field=f"{place}.catalog_fs_protocol",
        ) from e
    if not is_there:
        raise NotFoundError(f"there is no catalog at {path}", field=f"{place}.catalog_path")
    return catalog
