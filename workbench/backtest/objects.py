"""Catalogs in object stores: what a run reads of them is copied to this machine first, once and checked."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.backtest.catalogs import is_remote
from workbench.backtest.datasets import Dataset, find_run_data
from workbench.errors import CatalogError

__all__ = ["localised"]


@contextmanager
def localised(
    config: BacktestRunConfig, *, on_file: Callable[[], None] | None = None
) -> Iterator[BacktestRunConfig]:
    """
    Give a configuration whose catalogs are all local: those in object stores are copied as far as the run reads.

    The copy lasts as long as the context. The run is the same, and so is its identity: nautilus's own reader
    would fetch the files as well, with credentials of its own that would have to stand in the configuration.
    Storage options come from fsspec's configuration (``FSSPEC_S3_KEY`` and its like, or ``~/.config/fsspec``).

    Parameters
    ----------
    config : BacktestRunConfig
        The run.
    on_file : Callable, optional
        Called before each file that is copied.

    Raises
    ------
    InputError
        If the data are not there.
    CatalogError
        If they cannot be read, or do not fit on this machine.

    """
    if not any(is_remote(data) for data in config.data):
        yield config
        return
    dataset = find_run_data(config)
    with tempfile.TemporaryDirectory(prefix="workbench-catalog-") as scratch:
        entries = []
        copies: dict[tuple[str | None, str], Path] = {}
        for data in config.data:
            if not is_remote(data):
                entries.append(data)
                continue
            key = data.catalog_fs_protocol, data.catalog_path
            if key not in copies:
                copies[key] = Path(scratch) / str(len(copies))
                _copy(data, dataset, copies[key], on_file)
            entries.append(
                msgspec.structs.replace(
                    data,
                    catalog_path=str(copies[key]),
                    catalog_fs_protocol=None,
                    catalog_fs_storage_options=None,
                    catalog_fs_rust_storage_options=None,
                )
            )
        yield msgspec.structs.replace(config, data=entries)


def _copy(
    data: BacktestDataConfig, dataset: Dataset, target: Path, on_file: Callable[[], None] | None
) -> None:
    """Copy what the run reads of one catalog."""
    try:
        catalog = BacktestNode.load_catalog(data)
        root = PurePosixPath(catalog.fs._strip_protocol(catalog.path))
        files = [PurePosixPath(file) for file in dataset.files if file.is_relative_to(root)]
        _fetch(catalog.fs, root, files + _find_definitions(catalog, dataset.instruments), target, on_file)
    except CatalogError:
        raise
    except Exception as e:  # What a file system raises depends on its maker
        raise CatalogError(
            f"the catalog {data.catalog_path} could not be copied: {type(e).__name__}: {e}",
            advice="check the store and fsspec's configuration for it",
        ) from e


def _find_definitions(catalog: ParquetDataCatalog, names: list[str]) -> list[PurePosixPath]:
    """Return the files that define the instruments, as nautilus finds them."""
    found: list[str] = []
    for kind in Instrument.__subclasses__():
        every = catalog.get_file_list_from_data_cls(kind)
        found += catalog.filter_files(kind, every, identifiers=names)
    return [PurePosixPath(file) for file in found]


def _fetch(
    files: Any,
    root: PurePosixPath,
    names: list[PurePosixPath],
    target: Path,
    on_file: Callable[[], None] | None,
) -> None:
    sizes = {name: int(files.info(str(name))["size"]) for name in names}
    target.mkdir(parents=True)
    total, free = sum(sizes.values()), shutil.disk_usage(target).free
    if total > free:
        raise CatalogError(
            f"the data of the run take {total / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on this machine",
            advice="shorten the range, or point TMPDIR to a larger disk",
        )
    for name, size in sizes.items():
        if on_file is not None:
            on_file()
        path = target / name.relative_to(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.get_file(str(name), str(path))
        if path.stat().st_size != size:
            raise CatalogError(f"{name} changed while it was copied", advice="run again")
