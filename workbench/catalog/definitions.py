"""Instrument definitions in a catalog: loaded, compared and saved."""

from __future__ import annotations

import os
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.catalog.disk import clear_disk_errors, make_directories, remove_directories
from workbench.catalog.instruments import instrument_to_dict
from workbench.catalog.locks import TEMPORARY, lock_directory, lock_file, remove_stale
from workbench.catalog.schema import build_file_name
from workbench.catalog.swap import finish_swap, swap_files
from workbench.errors import CatalogError, ExistsError

if TYPE_CHECKING:
    from pathlib import Path

    from nautilus_trader.model.instruments import Instrument

__all__ = ["compare_instruments", "find_instruments", "load_instrument", "save_instrument"]

_NOT_STORED = ("ts_event", "ts_init", "tick_scheme_name", "info")


def load_instrument(catalog: Path, instrument_id: str) -> Instrument | None:
    """
    Return the latest definition of an instrument in a catalog, or None.

    Raises
    ------
    CatalogError
        If its file is damaged.

    """
    found = [
        instrument
        for instrument in find_instruments(catalog, instrument_id)
        if instrument.id.value == instrument_id
    ]
    return max(found, key=lambda instrument: instrument.ts_init, default=None)


def find_instruments(catalog: Path, instrument_id: str | None = None) -> list[Instrument]:
    """
    Return the instruments of a catalog, by id.

    Parameters
    ----------
    catalog : Path
        The root of the catalog; it need not exist.
    instrument_id : str, optional
        Only those in the directory of this id.

    Raises
    ------
    CatalogError
        If a file is damaged.

    """
    from nautilus_trader.persistence.funcs import urisafe_identifier
    from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

    instruments: list[Instrument] = []
    for name, cls in sorted(_directories().items()):
        pattern = "*" if instrument_id is None else urisafe_identifier(instrument_id)
        for path in sorted((catalog / "data" / name).glob(f"{pattern}/*.parquet")):
            try:
                with pq.ParquetFile(path) as file:
                    table = file.read()
                instruments.extend(ArrowSerializer.deserialize(cls, table))
            except (pa.ArrowInvalid, OSError, KeyError, ValueError) as e:
                raise CatalogError(
                    f"{path} holds no readable instrument: {e}",
                    advice="move it away and import with --kind again",
                ) from e
    return sorted(instruments, key=lambda instrument: instrument.id.value)


def compare_instruments(stored: Instrument, given: Instrument) -> list[str]:
    """Return what differs between two definitions, a clause per field."""
    old, new = instrument_to_dict(stored), instrument_to_dict(given)
    return [
        f"{key} {old.get(key)} is now {new.get(key)}"
        for key in sorted({*old, *new} - {*_NOT_STORED})
        if _plain(old.get(key)) != _plain(new.get(key))
    ]


def save_instrument(catalog: Path, instrument: Instrument, *, replace: bool = False) -> bool:
    """
    Save a definition so that nautilus's ``ParquetDataCatalog.instruments`` gives it back.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    instrument : Instrument
        The definition.
    replace : bool, default False
        Whether another definition of the same id may be replaced.

    Returns
    -------
    bool
        False if the same definition is there already.

    Raises
    ------
    ExistsError
        If another definition is there, and ``replace`` is False.

    """
    from nautilus_trader.persistence.funcs import class_to_filename, urisafe_identifier
    from nautilus_trader.serialization.arrow.serializer import ArrowSerializer

    stored = load_instrument(catalog, instrument.id.value)
    if stored is not None:
        differences = compare_instruments(stored, instrument)
        if not differences:
            return False
        if not replace:
            raise ExistsError(
                f"{catalog} defines {instrument.id} otherwise: {'; '.join(differences)}",
                expected="the same definition",
                advice="leave out the instrument's options to use the stored one, or add --replace-instrument",
            )
    identifier = urisafe_identifier(instrument.id.value)
    directory = catalog / "data" / class_to_filename(type(instrument)) / identifier
    table = pa.Table.from_batches([ArrowSerializer.serialize(instrument)])
    name = build_file_name(instrument.ts_init, instrument.ts_init)
    with clear_disk_errors(directory):
        made = make_directories(directory)
        try:
            _write_definition(directory, table, name)
        except BaseException:
            remove_directories(made)
            raise
    for other in _directories():
        if catalog / "data" / other != directory.parent:
            _remove_definitions(catalog / "data" / other / identifier)
    return True


def _write_definition(directory: Path, table: pa.Table, name: str) -> None:
    with lock_directory(directory):
        finish_swap(directory)
        remove_stale(directory)
        temporary = directory / f".{os.getpid()}{TEMPORARY}"
        try:
            with temporary.open("xb") as file:
                lock_file(file.fileno())
                pq.write_table(table, file)
                file.flush()
                os.fsync(file.fileno())
            old = [path.name for path in directory.glob("*.parquet")]
            swap_files(directory, temporary.name, name, old or [name])
        finally:
            temporary.unlink(missing_ok=True)


def _remove_definitions(directory: Path) -> None:
    for path in directory.glob("*.parquet"):
        path.unlink()
    with suppress(OSError):
        directory.rmdir()
        directory.parent.rmdir()


def _directories() -> dict[str, Any]:
    from nautilus_trader.model.instruments import Instrument
    from nautilus_trader.persistence.funcs import class_to_filename

    return {class_to_filename(cls): cls for cls in Instrument.__subclasses__()}


def _plain(value: Any) -> Any:
    """Return numbers in text without their trailing zeros, so that 0.10 equals 0.1."""
    if isinstance(value, str):
        try:
            return Decimal(value).normalize()
        except InvalidOperation:
            return value
    return value
