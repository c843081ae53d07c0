"""The data of a run: which files, how many rows in its range, and a hash over their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.backtest.node import BacktestNode, get_instrument_ids
from nautilus_trader.core.datetime import maybe_dt_to_unix_nanos, unix_nanos_to_iso8601
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import price_type_to_str
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.catalog.content import hash_file
from workbench.catalog.ledger import content_hash
from workbench.errors import CatalogError, ConfigError, NotFoundError

__all__ = ["Dataset", "check_run_data", "choose_chunk_size", "find_run_data", "hash_data"]

# One shot is fine up to here; nautilus's objects for one million ticks take about 500 MB.
_ONE_SHOT_ROWS = 250_000
_CHUNK_ROWS = 100_000
_LATEST: int = np.iinfo(np.int64).max


class Dataset(msgspec.Struct, frozen=True):
    """
    What a run reads.

    `start_ns` and `end_ns` are the first and last stamps (``ts_init``) of the rows in range, UNIX
    nanoseconds UTC.
    """

    files: list[Path]
    rows: int
    start_ns: int
    end_ns: int
    instruments: list[str]


def choose_chunk_size(rows: int) -> int | None:
    """Return the chunk size for `rows` data points, so that memory stays bounded; ``None``: one shot."""
    return None if rows <= _ONE_SHOT_ROWS else _CHUNK_ROWS


def check_run_data(config: BacktestRunConfig) -> Dataset:
    """
    Find the data of the run, or say what is wrong with it.

    Raises
    ------
    ConfigError
        If the configuration contradicts itself (an end before its start, a venue that is not configured),
        or names a range without data.
    NotFoundError
        If the catalog, the instrument or the data are not there; the message lists what is.

    """
    dataset = find_run_data(config)
    _check_fillable(config)
    return dataset


def find_run_data(config: BacktestRunConfig) -> Dataset:
    """Find the data of the run as `check_run_data` does, whether or not a venue could trade on them."""
    if not config.data:
        raise ConfigError("the configuration names no data", expected="at least one entry in `data`")
    if not config.venues:
        raise ConfigError("the configuration names no venue", expected="at least one entry in `venues`")
    start, end = _parse_time(config.start, "start"), _parse_time(config.end, "end")
    _check_order(start, end)
    venues = {v.name for v in config.venues}
    files: list[Path] = []
    instruments: list[str] = []
    rows, first, last = 0, _LATEST, 0
    for data in config.data:
        found = _find(data, venues, start, end)
        files += found.files
        instruments += found.instruments
        rows += found.rows
        first, last = min(first, found.start_ns), max(last, found.end_ns)
    return Dataset(sorted(set(files)), rows, first, last, sorted(set(instruments)))


def hash_data(config: BacktestRunConfig, dataset: Dataset) -> str:
    """
    Return the SHA-256 over the rows of the data files, the range and the instrument definitions.

    The same rows give the same hash, wherever the catalogs lie.

    Raises
    ------
    CatalogError
        If a file is missing or damaged.

    """
    lines = []
    catalogs: dict[Path, list[BacktestDataConfig]] = {}
    for data in config.data:
        catalogs.setdefault(Path(data.catalog_path).resolve(), []).append(data)
    for catalog, entries in catalogs.items():
        mine = find_run_data(msgspec.structs.replace(config, data=entries))
        lines.append(_hash_files(mine.files, catalog))
        instruments = _open(entries[0]).instruments(instrument_ids=mine.instruments)
        lines += [json.dumps(type(i).to_dict(i), sort_keys=True, default=str) for i in instruments]
    digest = hashlib.sha256("\n".join(sorted(lines)).encode())
    digest.update(f"\n{dataset.start_ns}-{dataset.end_ns}:{dataset.rows}".encode())
    return digest.hexdigest()


def _check_fillable(config: BacktestRunConfig) -> None:
    """Refuse bars of one side alone: the simulated venue could fill no order, and no one would be told."""
    sides: dict[str, set[str]] = {}
    priced = set()
    for data in config.data:
        names = [str(i) for i in get_instrument_ids(data)]
        if data.data_type is not Bar:
            priced.update(names)
            continue
        for identifier in _identifiers(data, Bar, names):
            bar_type = BarType.from_str(identifier)
            sides.setdefault(str(bar_type.instrument_id), set()).add(
                price_type_to_str(bar_type.spec.price_type)
            )
    for name, found in sides.items():
        if len(found) == 1 and found < {"BID", "ASK"} and name not in priced:
            (side,) = found
            other = "ASK" if side == "BID" else "BID"
            raise ConfigError(
                f"the run has {side} bars of {name} alone, from which the simulated venue can fill no order",
                expected=f"the {other} bars too, or bars of LAST prices, quotes or trades",
            )


def _hash_files(files: list[Path], catalog: Path) -> str:
    try:
        return content_hash(files, catalog)
    except ValueError:  # A link leads out of the catalog, so its ledger cannot know the files
        return hashlib.sha256("".join(hash_file(file) for file in files).encode()).hexdigest()


def _open(data: BacktestDataConfig) -> ParquetDataCatalog:
    if data.catalog_fs_protocol in (None, "file") and not Path(data.catalog_path).is_dir():
        raise NotFoundError(
            f"there is no catalog at {data.catalog_path}", advice="import data with `workbench data import`"
        )
    return BacktestNode.load_catalog(data)


def _find(data: BacktestDataConfig, venues: set[str], start: int | None, end: int | None) -> Dataset:
    if data.catalog_fs_protocol not in (None, "file"):
        raise ConfigError(
            f"the catalog protocol {data.catalog_fs_protocol!r} is not supported yet",
            expected="a catalog in a local directory",
        )
    try:
        ids = get_instrument_ids(data)
        kind = data.data_type
    except (ValueError, ImportError, AttributeError) as e:
        raise ConfigError(
            f"data: {e}",
            expected="ids such as GBP/USD.SIM, a data_cls such as nautilus_trader.model.data:Bar",
        ) from e
    if not ids:
        raise ConfigError("an entry in `data` names no instrument", expected="bar_types or instrument_ids")
    for instrument_id in ids:
        if instrument_id.venue.value not in venues:
            raise ConfigError(
                f"the venue {instrument_id.venue} of {instrument_id} is not configured",
                expected=f"one of the venues {', '.join(sorted(venues))}",
            )
    catalog = _open(data)
    names = [str(i) for i in ids]
    known = {str(i.id) for i in catalog.instruments()}
    for name in names:
        if name not in known:
            raise NotFoundError(
                f"the instrument {name} is not in the catalog {data.catalog_path}",
                expected=f"one of {', '.join(sorted(known)) or 'none: the catalog is empty'}",
            )
    low = max((t for t in (start, _parse_time(data.start_time, "start_time")) if t is not None), default=None)
    high = min((t for t in (end, _parse_time(data.end_time, "end_time")) if t is not None), default=None)
    _check_order(low, high)
    return _find_rows(catalog, data, kind, _identifiers(data, kind, names), names, low, high)


def _identifiers(data: BacktestDataConfig, kind: type, names: list[str]) -> list[str]:
    """Return the catalog's identifiers of the data, as `BacktestNode` builds them."""
    if kind is not Bar:
        return names
    if data.bar_types:
        return [str(b) for b in data.bar_types]
    if data.bar_spec is None:
        raise ConfigError("an entry of bars names no bar type", expected="bar_types, or bar_spec")
    return [f"{name}-{data.bar_spec}-EXTERNAL" for name in names]


def _find_rows(
    catalog: ParquetDataCatalog,
    data: BacktestDataConfig,
    kind: type,
    identifiers: list[str],
    names: list[str],
    low: int | None,
    high: int | None,
) -> Dataset:
    every = catalog.get_file_list_from_data_cls(kind)
    files: list[Path] = []
    rows, first, last = 0, _LATEST, 0
    for identifier in identifiers:
        mine = catalog.filter_files(kind, every, identifiers=[identifier])
        if not mine:
            have = sorted({_name_content(Path(f"/{f.removeprefix('/')}")) for f in every})
            raise NotFoundError(
                f"the catalog {data.catalog_path} holds no {kind.__name__} data of {identifier}",
                expected=f"one of {', '.join(have) or 'none'}",
                advice="`workbench data ls` shows what is there",
            )
        total, extent = 0, (_LATEST, 0)
        for file in mine:
            path = Path(file if file.startswith("/") else f"/{file}")
            count, begin, finish, whole = _count(path, low, high)
            extent = (min(extent[0], whole[0]), max(extent[1], whole[1]))
            if count:
                files.append(path)
                total += count
                first, last = min(first, begin), max(last, finish)
        if total == 0:
            raise ConfigError(
                f"there are no {kind.__name__} data of {identifier} in the range of the run",
                expected=f"a range that meets {_iso(extent[0])} to {_iso(extent[1])}",
            )
        rows += total
    return Dataset(files, rows, first, last, names)


def _name_content(path: Path) -> str:
    """Return the bar type or instrument id in the file; its directory's name lacks what a path cannot hold."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, ValueError):  # Damaged, but not what was asked for
        metadata = {}
    name: bytes = metadata.get(b"bar_type") or metadata.get(b"instrument_id") or path.parent.name.encode()
    return name.decode()


def _count(path: Path, low: int | None, high: int | None) -> tuple[int, int, int, tuple[int, int]]:
    """Return the rows in range, their first and last stamp, and the extent of the whole file."""
    rows, first, last = 0, _LATEST, 0
    extent = (_LATEST, 0)
    try:
        with pq.ParquetFile(path) as file:
            column = file.schema_arrow.get_field_index("ts_init")
            if column < 0:
                raise CatalogError(
                    f"{path.name} has no column ts_init", expected="a file written by nautilus"
                )
            for i in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(i)
                if group.num_rows == 0:
                    continue
                bounds = _find_bounds(group.column(column).statistics)
                if bounds is not None and _holds(low, high, *bounds):
                    inside, begin, finish = group.num_rows, *bounds
                else:
                    stamps = file.read_row_group(i, columns=["ts_init"]).column(0).to_numpy().astype(np.int64)
                    bounds = int(stamps.min()), int(stamps.max())
                    kept = stamps[(stamps >= (low or 0)) & (stamps <= (_LATEST if high is None else high))]
                    inside = len(kept)
                    begin, finish = (int(kept.min()), int(kept.max())) if inside else (_LATEST, 0)
                extent = (min(extent[0], bounds[0]), max(extent[1], bounds[1]))
                rows, first, last = rows + inside, min(first, begin), max(last, finish)
    except (OSError, ValueError) as e:  # pyarrow's errors are both
        raise CatalogError(
            f"{path} cannot be read: {e}", expected="a whole Parquet file", advice="import the data again"
        ) from e
    return rows, first, last, extent


def _find_bounds(statistics: pq.Statistics | None) -> tuple[int, int] | None:
    """Return the least and the greatest stamp of a row group, if its writer put them down."""
    if statistics is None or not statistics.has_min_max:
        return None
    return int(statistics.min), int(statistics.max)


def _holds(low: int | None, high: int | None, first: int, last: int) -> bool:
    return (low is None or low <= first) and (high is None or last <= high)


def _parse_time(value: str | int | None, name: str) -> int | None:
    if value is None:
        return None
    try:
        ns = maybe_dt_to_unix_nanos(pd.to_datetime(value, utc=True))
    except (ValueError, TypeError, OverflowError) as e:
        raise ConfigError(
            f"{name} is {value!r}", expected="ISO 8601, for example 2012-02-06T00:00:00Z, or UNIX nanoseconds"
        ) from e
    return None if ns is None else int(ns)


def _check_order(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and end < start:
        raise ConfigError(
            f"the end {_iso(end)} is before the start {_iso(start)}", expected="a start, then an end"
        )


def _iso(ns: int) -> str:
    return str(unix_nanos_to_iso8601(int(ns)))[:19] + "Z"
