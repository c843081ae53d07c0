"""The data of a run: which files, how many rows in its range, and a hash over their content."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from nautilus_trader.backtest.config import BacktestDataConfig, BacktestRunConfig
from nautilus_trader.backtest.node import get_instrument_ids
from nautilus_trader.core.data import Data
from nautilus_trader.core.datetime import maybe_dt_to_unix_nanos, unix_nanos_to_iso8601
from nautilus_trader.core.inspect import is_nautilus_class
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import price_type_to_str
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.persistence.funcs import parse_filters_expr

from workbench.backtest.catalogs import is_remote, open_catalog
from workbench.backtest.extents import LATEST, count_rows
from workbench.catalog.content import hash_file
from workbench.catalog.ledger import content_hash
from workbench.errors import ConfigError, NotFoundError

__all__ = [
    "Dataset",
    "check_run_data",
    "choose_chunk_size",
    "find_identifiers",
    "find_run_data",
    "hash_data",
    "parse_time",
]

# One shot is fine up to here; nautilus's objects for one million ticks take about 500 MB.
_ONE_SHOT_ROWS = 250_000
_CHUNK_ROWS = 100_000
_MAX_CHUNK_ROWS = 1_000_000_000


class Dataset(msgspec.Struct, frozen=True):
    """
    What a run reads.

    `files` are absolute paths, or relative ones in an object store: its keys. `start_ns` and `end_ns` are the
    first and last stamps (``ts_init``) of the rows in range, UNIX nanoseconds UTC.
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
        raise ConfigError(
            "the configuration names no data", expected="at least one entry in `data`", field="data"
        )
    if not config.venues:
        raise ConfigError(
            "the configuration names no venue", expected="at least one entry in `venues`", field="venues"
        )
    if config.chunk_size is not None and not 0 <= config.chunk_size <= _MAX_CHUNK_ROWS:
        raise ConfigError(
            f"chunk_size is {config.chunk_size}",
            expected=f"at most {_MAX_CHUNK_ROWS:,} rows; 0 or nothing: chosen by the workbench",
            field="chunk_size",
        )
    start, end = parse_time(config.start, "start"), parse_time(config.end, "end")
    _check_order(start, end, "end")
    venues = {v.name for v in config.venues}
    files: list[Path] = []
    instruments: list[str] = []
    rows, first, last = 0, LATEST, 0
    for i, data in enumerate(config.data):
        found = _find(data, f"data.{i}", venues, start, end)
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
        instruments = open_catalog(entries[0], "data.0").instruments(instrument_ids=mine.instruments)
        lines += [json.dumps(type(i).to_dict(i), sort_keys=True, default=str) for i in instruments]
    digest = hashlib.sha256("\n".join(sorted(lines)).encode())
    digest.update(f"\n{dataset.start_ns}-{dataset.end_ns}:{dataset.rows}".encode())
    return digest.hexdigest()


def _check_fillable(config: BacktestRunConfig) -> None:
    """Refuse bars of one side alone: the simulated venue could fill no order, and no one would be told."""
    sides: dict[str, set[str]] = {}
    priced: set[str] = set()
    places = {}
    for i, data in enumerate(config.data):
        if data.data_type is not Bar:
            priced.update(str(i) for i in get_instrument_ids(data))
            continue
        for identifier in find_identifiers(data):
            bar_type = BarType.from_str(identifier)
            places[str(bar_type.instrument_id)] = f"data.{i}"
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
                field=places[name],
            )


def _hash_files(files: list[Path], catalog: Path) -> str:
    try:
        return content_hash(files, catalog)
    except ValueError:  # A link leads out of the catalog, so its ledger cannot know the files
        return hashlib.sha256("".join(hash_file(file) for file in files).encode()).hexdigest()


def _find(
    data: BacktestDataConfig, place: str, venues: set[str], start: int | None, end: int | None
) -> Dataset:
    kind, ids = _find_kind(data, place), _find_ids(data, place)
    field = f"{place}.{_name_ids(data)}"
    for instrument_id in ids:
        if instrument_id.venue.value not in venues:
            raise ConfigError(
                f"the venue {instrument_id.venue} of {instrument_id} is not configured",
                expected=f"one of the venues {', '.join(sorted(venues))}",
                field=field,
            )
    catalog = open_catalog(data, place)
    names = [str(i) for i in ids]
    known = {str(i.id) for i in catalog.instruments()}
    for name in names:
        if name not in known:
            raise NotFoundError(
                f"the instrument {name} is not in the catalog {data.catalog_path}",
                expected=f"one of {', '.join(sorted(known)) or 'none: the catalog is empty'}",
                field=field,
            )
    begin = parse_time(data.start_time, f"{place}.start_time")
    finish = parse_time(data.end_time, f"{place}.end_time")
    low = max((t for t in (start, begin) if t is not None), default=None)
    high = min((t for t in (end, finish) if t is not None), default=None)
    _check_order(low, high, f"{place}.start_time" if finish is None else f"{place}.end_time")
    return _find_rows(catalog, data, place, kind, names, low, high)


def _find_kind(data: BacktestDataConfig, place: str) -> type:
    try:
        kind = data.data_type
    except Exception as e:  # Somebody's module may raise anything while it is imported
        raise ConfigError(
            f"data: {type(e).__name__}: {e}",
            expected="a data_cls such as nautilus_trader.model.data:Bar",
            field=f"{place}.data_cls",
        ) from e
    if not (isinstance(kind, type) and issubclass(kind, Data)):
        raise ConfigError(
            f"data: {data.data_cls} is not a class of data",
            expected="a data_cls such as nautilus_trader.model.data:Bar",
            field=f"{place}.data_cls",
        )
    if not is_nautilus_class(kind) and not data.client_id:
        raise ConfigError(
            f"data: {kind.__name__} is not one of nautilus's own types, and no client is named for it",
            expected="a client_id",
            field=f"{place}.client_id",
        )
    return kind


def _find_ids(data: BacktestDataConfig, place: str) -> list[InstrumentId]:
    field = f"{place}.{_name_ids(data)}"
    try:
        ids: list[InstrumentId] = get_instrument_ids(data)
        find_identifiers(data)
    except (ValueError, AttributeError) as e:
        raise ConfigError(f"data: {e}", expected="ids such as GBP/USD.SIM", field=field) from e
    if not ids:
        raise ConfigError(
            "an entry in `data` names no instrument", expected="bar_types or instrument_ids", field=field
        )
    if data.data_type is Bar and not data.bar_types and data.bar_spec is None:
        raise ConfigError(
            "an entry of bars names no bar type",
            expected="bar_types, or bar_spec",
            field=f"{place}.bar_types",
        )
    return ids


def _name_ids(data: BacktestDataConfig) -> str:
    """Return the field from which nautilus takes the instruments."""
    for name in ("instrument_id", "instrument_ids", "bar_types"):
        if getattr(data, name):
            return name
    return "instrument_ids"


def find_identifiers(data: BacktestDataConfig) -> list[str]:
    """Return the catalog's identifiers of the data, as `BacktestNode` builds them: bar types, or instruments."""
    if data.data_type is Bar and data.bar_types:
        return [str(b) for b in data.bar_types]
    names = [str(i) for i in get_instrument_ids(data)]
    return [f"{name}-{data.bar_spec}-EXTERNAL" for name in names] if data.data_type is Bar else names


def _find_rows(
    catalog: ParquetDataCatalog,
    data: BacktestDataConfig,
    place: str,
    kind: type,
    names: list[str],
    low: int | None,
    high: int | None,
) -> Dataset:
    every = catalog.get_file_list_from_data_cls(kind)
    system = catalog.fs if is_remote(data) else None
    files: list[Path] = []
    rows, first, last = 0, LATEST, 0
    for identifier in find_identifiers(data):
        mine = catalog.filter_files(kind, every, identifiers=[identifier])
        if not mine:
            have = sorted({_name_content(_build_path(f, system), system) for f in every})
            raise NotFoundError(
                f"the catalog {data.catalog_path} holds no {kind.__name__} data of {identifier}",
                expected=f"one of {', '.join(have) or 'none'}",
                advice="`workbench data ls` shows what is there",
                field=f"{place}.{_name_type(data, kind)}",
            )
        total, extent = 0, (LATEST, 0)
        for file in mine:
            path = _build_path(file, system)
            count, begin, finish, whole = count_rows(path, low, high, system)
            extent = (min(extent[0], whole[0]), max(extent[1], whole[1]))
            if count:
                files.append(path)
                total += count
                first, last = min(first, begin), max(last, finish)
        if total == 0:
            raise ConfigError(
                f"there are no {kind.__name__} data of {identifier} in the range of the run",
                expected=f"a range that meets {_iso(extent[0])} to {_iso(extent[1])}",
                field=_name_bound(data, place, low, extent),
            )
        rows += total
    _check_filter(data, place, files, system)
    return Dataset(files, rows, first, last, names)


def _build_path(file: str, system: Any) -> Path:
    """Return the path of a file that nautilus has listed, where it may lack its slash; see `Dataset`."""
    return Path(file) if system is not None else Path(f"/{file.removeprefix('/')}")


def _name_type(data: BacktestDataConfig, kind: type) -> str:
    if kind is not Bar:
        return "data_cls"
    return "bar_types" if data.bar_types else "bar_spec"


def _name_bound(data: BacktestDataConfig, place: str, low: int | None, extent: tuple[int, int]) -> str:
    """Return the bound that keeps the data out: a start behind their end, or else an end."""
    if low is not None and low > extent[0]:
        return "start" if data.start_time is None else f"{place}.start_time"
    return "end" if data.end_time is None else f"{place}.end_time"


def _check_filter(data: BacktestDataConfig, place: str, files: list[Path], system: Any) -> None:
    if not data.filter_expr:
        return
    try:
        ds.dataset(str(files[0]), filesystem=system).head(1, filter=parse_filters_expr(data.filter_expr))
    except Exception as e:  # It is code of the user's
        raise ConfigError(
            f"the filter {data.filter_expr!r} cannot be used: {type(e).__name__}: {str(e).splitlines()[0]}",
            expected="an expression of pyarrow's over the columns of the data, such as field('volume') > 0",
            field=f"{place}.filter_expr",
        ) from e


def _name_content(path: Path, system: Any) -> str:
    """Return the bar type or instrument id in the file; its directory's name lacks what a path cannot hold."""
    try:
        metadata = pq.read_metadata(str(path), filesystem=system).metadata or {}
    except (OSError, ValueError):  # Damaged, but not what was asked for
        metadata = {}
    name: bytes = metadata.get(b"bar_type") or metadata.get(b"instrument_id") or path.parent.name.encode()
    return name.decode()


def parse_time(value: str | int | None, name: str) -> int | None:
    """
    Return a time of a configuration in UNIX nanoseconds; without an offset it is UTC.

    Raises
    ------
    ConfigError
        If it is none, or lies outside of what nautilus can represent; `name` is its field.

    """
    if value is None:
        return None
    try:
        ns = maybe_dt_to_unix_nanos(pd.to_datetime(value, utc=True))
    except (ValueError, TypeError, OverflowError) as e:
        raise ConfigError(
            f"{name} is {value!r}",
            expected="ISO 8601, for example 2012-02-06T00:00:00Z, or UNIX nanoseconds",
            field=name,
        ) from e
    return None if ns is None else int(ns)


def _check_order(start: int | None, end: int | None, field: str) -> None:
    if start is not None and end is not None and end < start:
        raise ConfigError(
            f"the end {_iso(end)} is before the start {_iso(start)}",
            expected="a start, then an end",
            field=field,
        )


def _iso(ns: int) -> str:
    return str(unix_nanos_to_iso8601(int(ns)))[:19] + "Z"
