"""What is done in a child for the server: the datasets of the catalogs, and how their rows lie in time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.data import BarType

from workbench.backtest.decoding import find_field
from workbench.catalog.columns import DataType
from workbench.catalog.coverage import DatasetSummary, list_datasets, scan_dataset
from workbench.catalog.definitions import find_instruments, load_instrument
from workbench.catalog.density import GAP_MULTIPLE, POOR_RULE, Density, measure_density
from workbench.catalog.facts import InstrumentFacts, collect_facts
from workbench.catalog.schema import DIRECTORIES, dataset_directory
from workbench.errors import CatalogError, InputError
from workbench.jobs.control import Control

__all__ = ["list_catalogs", "measure_coverage"]

_CLASSES: dict[DataType, str] = {
    "bars": "nautilus_trader.model.data:Bar",
    "quotes": "nautilus_trader.model.data:QuoteTick",
    "trades": "nautilus_trader.model.data:TradeTick",
}
_NS_PER_MS = 1_000_000
_NS_PER_SEC = 10**9


class _CoverageWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    catalog_path: str
    data_type: DataType
    directory: str
    bins: Annotated[int, msgspec.Meta(ge=1, le=2_000)] = 240


def list_catalogs(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return the datasets of some catalogs.

    Parameters
    ----------
    spec : dict
        ``catalogs``: their paths by the names that they go by, the default one first.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``items``: for each dataset the fields of `workbench.api.catalog.DatasetItem`, by catalog, kind of data
        and identifier.

    """
    items = []
    for number, (name, path) in enumerate(spec["catalogs"].items()):
        catalog = Path(path)
        facts = _load_facts(catalog)
        items += [
            _describe(name, catalog, dataset, facts) | {"is_default": number == 0}
            for dataset in list_datasets(catalog)
        ]
    return {"items": items}


def measure_coverage(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return how the rows of a dataset lie in time.

    Parameters
    ----------
    spec : dict
        ``catalog_path``; ``data_type``; ``directory``: of the dataset, as nautilus names it; ``bins``.
    control : Control
        Not used.

    Returns
    -------
    dict
        The fields of `workbench.api.catalog.CoverageAnswer`, without ``id``.

    Raises
    ------
    NotFoundError
        If there is no such dataset.

    """
    try:
        wish = msgspec.convert(spec, _CoverageWish)
    except msgspec.ValidationError as e:
        raise InputError(str(e), expected="the documented fields", field=find_field(e)) from e
    summary, found = scan_dataset(Path(wish.catalog_path), wish.data_type, wish.directory)
    density = Density()
    if summary.start_ns is not None and summary.end_ns is not None:
        directory = Path(wish.catalog_path) / "data" / DIRECTORIES[wish.data_type] / wish.directory
        files = [directory / file.name for file in sorted(found, key=lambda file: file.start_ns)]
        density = measure_density(files, summary.start_ns, summary.end_ns, bins=wish.bins)
    edges = density.edges_ns
    return {
        "rows": summary.rows,
        "start": _iso(summary.start_ns),
        "end": _iso(summary.end_ns),
        "bin_secs": (edges[1] - edges[0]) / _NS_PER_SEC if edges else 0.0,
        "bins": {
            "start_ms": [edge // _NS_PER_MS for edge in edges[:-1]],
            "rows": density.rows,
            "expected": [round(n, 3) for n in density.expected],
            "is_poor": density.is_poor,
        },
        "typical_step_secs": density.step_ns / _NS_PER_SEC,
        "gap_multiple": GAP_MULTIPLE,
        "gap_count": density.gap_count,
        "gap_secs": density.gap_ns / _NS_PER_SEC,
        "gaps": [
            {
                "start": _iso(gap.start_ns),
                "end": _iso(gap.end_ns),
                "seconds": (gap.end_ns - gap.start_ns) / _NS_PER_SEC,
                "spans_weekend": gap.spans_weekend,
            }
            for gap in density.gaps
        ],
        "poor_ranges": [
            {
                "start": _iso(poor.start_ns),
                "end": _iso(min(poor.end_ns, summary.end_ns or 0)),
                "rows": poor.rows,
                "expected": round(poor.expected, 3),
            }
            for poor in density.poor_ranges
        ],
        "rule": POOR_RULE,
        "problems": list(summary.problems),
    }


def _load_facts(catalog: Path) -> dict[str, InstrumentFacts]:
    try:
        found = find_instruments(catalog)
    except CatalogError:  # One is damaged: then each is asked for by itself
        return {}
    latest = sorted(found, key=lambda instrument: instrument.ts_init)
    return {instrument.id.value: collect_facts(instrument) for instrument in latest}


def _describe(
    name: str, catalog: Path, dataset: DatasetSummary, facts: dict[str, InstrumentFacts]
) -> dict[str, Any]:
    directory = dataset_directory(catalog, dataset.data_type, dataset.identifier).name
    instrument_id, bar_spec = _read_identifier(dataset)
    problems = list(dataset.problems)
    mine = facts.get(instrument_id)
    if mine is None:
        try:
            instrument = load_instrument(catalog, instrument_id)
            mine = None if instrument is None else collect_facts(instrument)
        except CatalogError as e:
            problems.append(str(e))
    if mine is None:
        problems.append(f"the catalog does not define the instrument {instrument_id}")
    return {
        "id": f"{name}/{dataset.data_type}/{directory}",
        "catalog": name,
        "catalog_path": str(catalog),
        "data_type": dataset.data_type,
        "data_cls": _CLASSES[dataset.data_type],
        "identifier": dataset.identifier,
        "instrument_id": instrument_id,
        "venue": instrument_id.rpartition(".")[2],
        "bar_spec": bar_spec,
        "rows": dataset.rows,
        "files": dataset.files,
        "size_bytes": dataset.size_bytes,
        "start": _iso(dataset.start_ns),
        "end": _iso(dataset.end_ns),
        "problems": problems,
        "instrument": None if mine is None else msgspec.to_builtins(mine),
    }


def _read_identifier(dataset: DatasetSummary) -> tuple[str, str]:
    """Return the instrument and, of bars, what they are made of."""
    if dataset.data_type != "bars":
        return dataset.identifier, ""
    try:
        bar_type = BarType.from_str(dataset.identifier)
    except ValueError:  # No file is sound: the name is that of the directory
        return dataset.identifier, ""
    return str(bar_type.instrument_id), str(bar_type.spec)


def _iso(ns: int | None) -> str | None:
    return None if ns is None else unix_nanos_to_iso8601(ns)
