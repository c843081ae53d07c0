"""What a catalog holds, read from footers only and safe against files that do not belong there."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pyarrow.parquet as pq

from workbench.catalog.columns import DATA_TYPES, DataType
from workbench.catalog.definitions import load_instrument
from workbench.catalog.instruments import describe_instrument
from workbench.catalog.ledger import load_entry
from workbench.catalog.schema import (
    DIRECTORIES,
    IDENTIFIER_KEYS,
    build_schema,
    dataset_directory,
    parse_file_name,
    read_footer,
)
from workbench.errors import CatalogError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "DatasetDetail",
    "DatasetSummary",
    "FileSummary",
    "check_file",
    "find_files",
    "list_datasets",
    "scan_dataset",
    "show_dataset",
]


class FileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    One sound file of a dataset.

    Attributes
    ----------
    name : str
        The name of the file.
    identifier : str
        The bar type or instrument id that its metadata name.
    rows : int
        Its rows.
    start_ns, end_ns : int
        The first and the last ``ts_init`` in it, nanoseconds since the epoch.
    size_bytes : int
        Its size.
    price_precision, size_precision : int
        The precisions that its metadata name.
    source : str
        The file it was imported from, where the ledger knows.
    content_sha256 : str
        The hash of its contents, where the ledger knows.
    dropped : dict[str, int]
        Rows that were left out when it was imported, by reason.
    decisions : tuple[str, ...]
        How its source was read.

    """

    name: str
    identifier: str
    rows: int
    start_ns: int
    end_ns: int
    size_bytes: int
    price_precision: int
    size_precision: int
    source: str = ""
    content_sha256: str = ""
    dropped: dict[str, int] = {}
    decisions: tuple[str, ...] = ()


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """
    One dataset of a catalog.

    Attributes
    ----------
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    identifier : str
        The bar type of bars, the instrument id of ticks.
    rows, files, size_bytes : int
        Sums over the sound files.
    start_ns, end_ns : int or None
        The first and the last ``ts_init``; None where no file is sound.
    problems : tuple[str, ...]
        A sentence for each file that nautilus could not read, or would read wrongly.

    """

    data_type: DataType
    identifier: str
    rows: int
    files: int
    size_bytes: int
    start_ns: int | None
    end_ns: int | None
    problems: tuple[str, ...] = ()


class DatasetDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset, its files in order of time, and the facts of its instrument (empty if it is not defined)."""

    summary: DatasetSummary
    files: tuple[FileSummary, ...]
    instrument: dict[str, str]


def list_datasets(catalog: Path) -> list[DatasetSummary]:
    """
    Return the datasets of a catalog, by kind and identifier.

    Parameters
    ----------
    catalog : Path
        The root of the catalog; one that does not exist has none.

    Returns
    -------
    list of DatasetSummary
        With its problems where a dataset has damaged or foreign files: they never raise.

    """
    return [
        _scan(catalog, data_type, directory)[0]
        for data_type in DATA_TYPES
        for directory in sorted((catalog / "data" / DIRECTORIES[data_type]).glob("*"))
        if directory.is_dir() and any(directory.glob("*.parquet"))
    ]


def show_dataset(catalog: Path, identifier: str, data_type: DataType | None = None) -> DatasetDetail:
    """
    Return one dataset with its files.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    identifier : str
        A bar type or an instrument id.
    data_type : {'bars', 'quotes', 'trades'}, optional
        Which, where an instrument has both quotes and trades.

    Raises
    ------
    NotFoundError
        If there is no such dataset, or the identifier fits more than one.

    """
    datasets = list_datasets(catalog)
    found = [
        dataset
        for dataset in datasets
        if dataset.identifier == identifier and data_type in (None, dataset.data_type)
    ]
    if len(found) != 1:
        names = ", ".join(f"{dataset.identifier} ({dataset.data_type})" for dataset in found or datasets)
        raise NotFoundError(
            f"{identifier!r} names {len(found) or 'no'} datasets of {catalog}",
            expected=f"one of {names}" if names else "an imported dataset",
            advice="choose with --type" if found else "list them with workbench data ls",
        )
    summary, files = scan_dataset(
        catalog, found[0].data_type, dataset_directory(catalog, found[0].data_type, identifier).name
    )
    instrument = load_instrument(catalog, _instrument_of(summary))
    return DatasetDetail(
        summary=summary, files=files, instrument={} if instrument is None else describe_instrument(instrument)
    )


def scan_dataset(
    catalog: Path, data_type: DataType, name: str
) -> tuple[DatasetSummary, tuple[FileSummary, ...]]:
    """
    Return the dataset in the directory `name`, as nautilus names it, and its sound files.

    Raises
    ------
    NotFoundError
        If there is no such directory, or nothing in it.

    """
    directory = catalog / "data" / DIRECTORIES[data_type] / name
    if not any(directory.glob("*.parquet")):
        raise NotFoundError(
            f"the catalog {catalog.name} has no {data_type} in {name!r}", advice="list its datasets"
        )
    return _scan(catalog, data_type, directory)


def find_files(
    catalog: Path,
    data_type: DataType,
    identifier: str,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> list[Path]:
    """
    Return the files of a dataset that a query of an interval would read, in order of time.

    Parameters
    ----------
    catalog : Path
        The root of the catalog.
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    identifier : str
        The bar type or instrument id.
    start_ns, end_ns : int, optional
        The interval, both ends included, nanoseconds since the epoch.

    Raises
    ------
    CatalogError
        If the dataset has a file that would end the process of nautilus's reader, or be read wrongly.

    """
    directory = dataset_directory(catalog, data_type, identifier)
    found = []
    for path in sorted(directory.glob("*.parquet")):
        summary = check_file(path, data_type)
        if (start_ns is None or summary.end_ns >= start_ns) and (
            end_ns is None or summary.start_ns <= end_ns
        ):
            found.append(path)
    return found


def check_file(path: Path, data_type: DataType) -> FileSummary:
    """
    Return what the footer of a catalog file says, having checked that nautilus can read it.

    Raises
    ------
    CatalogError
        If the file is damaged or foreign: nautilus's reader ends the process on some of these.

    """
    schema, footer = read_footer(path)
    metadata = schema.metadata or {}
    try:
        identifier = metadata[IDENTIFIER_KEYS[data_type]].decode()
        precisions = int(metadata[b"price_precision"]), int(metadata[b"size_precision"])
    except (KeyError, ValueError) as e:
        raise _problem(path, "has no metadata of nautilus") from e
    if not schema.equals(build_schema(data_type, identifier, *precisions)):
        raise _problem(path, f"has not the columns of {data_type} in a 128-bit build of nautilus")
    interval = parse_file_name(path.name)
    if interval is None:
        raise _problem(path, "has a name that is no interval")
    if footer.num_rows == 0:
        raise _problem(path, "has no rows")
    start_ns, end_ns = _stamps(path, footer, schema.get_field_index("ts_init"))
    if not interval[0] <= start_ns <= end_ns <= interval[1]:
        raise _problem(path, "has rows outside of the interval that its name claims")
    return FileSummary(
        name=path.name,
        identifier=identifier,
        rows=footer.num_rows,
        start_ns=start_ns,
        end_ns=end_ns,
        size_bytes=path.stat().st_size,
        price_precision=precisions[0],
        size_precision=precisions[1],
    )


def _scan(
    catalog: Path, data_type: DataType, directory: Path
) -> tuple[DatasetSummary, tuple[FileSummary, ...]]:
    files: list[FileSummary] = []
    problems: list[str] = []
    for path in sorted(directory.glob("*.parquet")):
        try:
            files.append(_with_ledger(catalog, path, check_file(path, data_type)))
        except CatalogError as e:
            problems.append(str(e))
    if len({(file.identifier, file.price_precision, file.size_precision) for file in files}) > 1:
        problems.append(
            f"{directory} mixes instruments or precisions; nautilus reads it as one table and fails"
        )
    overlaps = [
        f"{later.name} overlaps with {earlier.name} in {directory}"
        for earlier, later in pairwise(files)
        if later.start_ns <= earlier.end_ns
    ]
    summary = DatasetSummary(
        data_type=data_type,
        identifier=files[0].identifier if files else directory.name,
        rows=sum(file.rows for file in files),
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        start_ns=min((file.start_ns for file in files), default=None),
        end_ns=max((file.end_ns for file in files), default=None),
        problems=(*problems, *overlaps),
    )
    return summary, tuple(files)


def _with_ledger(catalog: Path, path: Path, summary: FileSummary) -> FileSummary:
    entry = load_entry(catalog, path)
    if entry is None:
        return summary
    return msgspec.structs.replace(
        summary,
        source=entry.source,
        content_sha256=entry.content_sha256,
        dropped=entry.dropped,
        decisions=entry.decisions,
    )


def _stamps(path: Path, footer: pq.FileMetaData, column: int) -> tuple[int, int]:
    """Return the first and the last time stamp, from the statistics of the row groups."""
    groups = [footer.row_group(i).column(column).statistics for i in range(footer.num_row_groups)]
    if any(statistics is None or not statistics.has_min_max for statistics in groups):
        with pq.ParquetFile(path) as file:
            stamps = file.read(["ts_init"]).column(0)
        return stamps[0].as_py(), stamps[-1].as_py()
    return min(int(statistics.min) for statistics in groups), max(
        int(statistics.max) for statistics in groups
    )


def _instrument_of(summary: DatasetSummary) -> str:
    if summary.data_type != "bars":
        return summary.identifier
    from nautilus_trader.model.data import BarType

    try:
        name: str = BarType.from_str(summary.identifier).instrument_id.value
    except ValueError:
        return summary.identifier
    return name


def _problem(path: Path, what: str) -> CatalogError:
    return CatalogError(
        f"{path} {what}",
        expected="a whole file with nautilus's schema and metadata",
        advice="move it out of the catalog and import its data again",
    )
