"""What a catalog has for a replay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId

from workbench.catalog.coverage import DatasetSummary, list_datasets
from workbench.catalog.definitions import find_instruments
from workbench.errors import ConfigError

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

__all__ = ["find_range", "load_catalog"]


def load_catalog(catalog: Path, venues: set[str]) -> tuple[list[DatasetSummary], list[Instrument]]:
    """
    Return the datasets of some venues and the latest definition of each of their instruments.

    Raises
    ------
    CatalogError
        If a definition is damaged; damaged data are told by the datasets.

    """
    datasets = [dataset for dataset in list_datasets(catalog) if _find_venue(dataset) in venues]
    instruments = [found for found in find_instruments(catalog) if found.id.venue.value in venues]
    latest = {found.id: found for found in sorted(instruments, key=lambda instrument: instrument.ts_init)}
    return datasets, list(latest.values())


def find_range(
    catalog: Path, datasets: list[DatasetSummary], start_ns: int | None, end_ns: int | None
) -> tuple[int, int]:
    """
    Return the range of a replay: what the datasets have within what was asked for.

    Raises
    ------
    ConfigError
        If they have nothing there.

    """
    firsts = [d.start_ns for d in datasets if d.start_ns is not None]
    lasts = [d.end_ns for d in datasets if d.end_ns is not None]
    if not firsts:
        raise ConfigError(
            f"the catalog {catalog} has no data of these venues",
            expected="imported quotes, trades or bars",
            advice="list them with workbench data ls",
            field="catalog_path",
        )
    first_ns = max(min(firsts), start_ns or 0)
    last_ns = max(lasts) if end_ns is None else min(max(lasts), end_ns)
    if first_ns > last_ns:
        raise ConfigError(
            "the catalog has nothing in this range",
            expected=f"{unix_nanos_to_iso8601(min(firsts))} to {unix_nanos_to_iso8601(max(lasts))}",
            field="start",
        )
    return first_ns, last_ns


def _find_venue(dataset: DatasetSummary) -> str:
    """Return the venue of a dataset; one whose identifier makes no sense has none."""
    try:
        if dataset.data_type == "bars":
            venue: str = BarType.from_str(dataset.identifier).instrument_id.venue.value
        else:
            venue = InstrumentId.from_str(dataset.identifier).venue.value
    except ValueError:
        return ""
    return venue
