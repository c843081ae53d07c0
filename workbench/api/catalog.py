"""The routes about the catalogs: which datasets there are, and how their rows lie in time."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath

from workbench.api.answers import answer, encode
from workbench.api.auth import require
from workbench.api.context import Context, ContextOf
from workbench.catalog.columns import DataType
from workbench.catalog.facts import InstrumentFacts
from workbench.errors import NotFoundError
from workbench.records import UserRecord
from workbench.roles import Permission

__all__ = [
    "CoverageAnswer",
    "CoverageBins",
    "CoverageGap",
    "DatasetItem",
    "DatasetList",
    "PoorRangeItem",
    "router",
]

_LIST = "workbench.backtest.inventory:list_catalogs"
_MEASURE = "workbench.backtest.inventory:measure_coverage"

router = APIRouter(tags=["catalog"])
_Viewer = Annotated[UserRecord, require(Permission.VIEW)]
_Name = Annotated[str, InPath(max_length=300, pattern=r"^[^/\\\x00]+$")]


class DatasetItem(msgspec.Struct, frozen=True, kw_only=True):
    """
    One dataset.

    Attributes
    ----------
    id : str
        ``<catalog>/<data_type>/<directory>``: by it the dataset is asked for. The directory is nautilus's name
        for the identifier, without what an address cannot hold.
    catalog : str
        The name of its catalog's directory.
    is_default : bool
        Whether that is the workspace's default catalog.
    catalog_path : str
        Where that is on the server's machine, for ``BacktestDataConfig.catalog_path``.
    data_type : {'bars', 'quotes', 'trades'}
        The kind of data.
    data_cls : str
        The same for ``BacktestDataConfig.data_cls``.
    identifier : str
        The bar type of bars, the instrument id of ticks.
    instrument_id, venue, bar_spec : str
        Its parts; a bar specification is ``1-MINUTE-BID``, and empty for ticks.
    rows, files, size_bytes : int
        Sums over its sound files.
    start, end : str or None
        The first and the last stamp, ISO 8601 UTC.
    problems : list[str]
        A sentence for each thing that is wrong with it.
    instrument : InstrumentFacts or None
        The facts of the instrument, if the catalog defines it.

    """

    id: str
    catalog: str
    is_default: bool
    catalog_path: str
    data_type: DataType
    data_cls: str
    identifier: str
    instrument_id: str
    venue: str
    bar_spec: str
    rows: int
    files: int
    size_bytes: int
    start: str | None
    end: str | None
    problems: list[str]
    instrument: InstrumentFacts | None


class DatasetList(msgspec.Struct, frozen=True, kw_only=True):
    """The datasets, those of the default catalog first."""

    items: list[DatasetItem]


class CoverageBins(msgspec.Struct, frozen=True, kw_only=True):
    """Bins of equal width: their starts in milliseconds, rows, what is typical, and whether they hold far less."""

    start_ms: list[int]
    rows: list[int]
    expected: list[float]
    is_poor: list[bool]


class CoverageGap(msgspec.Struct, frozen=True, kw_only=True):
    """A time without rows: the stamps around it, and whether a whole Saturday lies in it."""

    start: str
    end: str
    seconds: float
    spans_weekend: bool


class PoorRangeItem(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring poor bins together."""

    start: str
    end: str
    rows: int
    expected: float


class CoverageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the rows of a dataset lie in time; times are ISO 8601 UTC.

    Attributes
    ----------
    id : str
        Of the dataset.
    rows : int
        Its rows.
    start, end : str or None
        Its first and last stamp.
    bin_secs : float
        The width of a bin.
    bins : CoverageBins
        The bins, from `start` on.
    typical_step_secs : float
        The median distance of two rows.
    gap_multiple : float
        A gap is longer than so many typical steps.
    gap_count : int
        How many gaps there are.
    gap_secs : float
        How long they are together.
    gaps : list[CoverageGap]
        The 100 longest, the longest first.
    poor_ranges : list[PoorRangeItem]
        Where the bins are poor.
    rule : str
        When a bin is poor, in words.
    problems : list[str]
        A sentence for each thing that is wrong with the dataset.

    """

    id: str
    rows: int
    start: str | None
    end: str | None
    bin_secs: float
    bins: CoverageBins
    typical_step_secs: float
    gap_multiple: float
    gap_count: int
    gap_secs: float
    gaps: list[CoverageGap]
    poor_ranges: list[PoorRangeItem]
    rule: str
    problems: list[str]


@router.get("/catalog/datasets", **answer(DatasetList))
async def list_datasets(context: ContextOf, user: _Viewer) -> Response:
    """List the datasets of the workspace's catalogs: the default one, and those beside it in ``catalogs``."""

    def find() -> bytes:
        catalogs = _find_catalogs(context)
        spec = {"catalogs": {name: str(path) for name, path in catalogs.items()}}
        state = [_read_state(path / "data", 2) for path in catalogs.values()]

        def ask() -> bytes:
            return msgspec.json.encode(msgspec.convert(context.service.ask(_LIST, spec), DatasetList))

        return context.answers.find(("datasets", *spec["catalogs"].items()), state, ask)

    return encode(msgspec.Raw(await context.inspect(find)))


@router.get(
    "/catalog/datasets/{catalog}/{data_type}/{directory}/coverage",
    **answer(CoverageAnswer, HTTPStatus.NOT_FOUND),
)
async def measure_coverage(
    context: ContextOf,
    user: _Viewer,
    catalog: _Name,
    data_type: DataType,
    directory: _Name,
    bins: Annotated[int, Query(ge=1, le=2_000)] = 240,
) -> Response:
    """Return how the rows of a dataset lie in time; the address holds its id."""

    def find() -> bytes:
        path = _find_catalog(context, catalog)
        spec = {"catalog_path": str(path), "data_type": data_type, "directory": directory, "bins": bins}

        def ask() -> bytes:
            found = context.service.ask(_MEASURE, spec)
            found["id"] = f"{catalog}/{data_type}/{directory}"
            return msgspec.json.encode(msgspec.convert(found, CoverageAnswer))

        return context.answers.find(("coverage", *spec.values()), _read_state(path / "data", 2), ask)

    return encode(msgspec.Raw(await context.inspect(find)))


def _find_catalogs(context: Context) -> dict[str, Path]:
    """Return the catalogs by name, the default one first; two of one name are told apart by a number."""
    beside = context.workspace / "catalogs"
    others = sorted(p for p in beside.glob("*") if (p / "data").is_dir() and p.resolve() != context.catalog)
    found: dict[str, Path] = {}
    for path in (context.catalog, *others):
        name, number = path.name, 2
        while name in found:
            name, number = f"{path.name}~{number}", number + 1
        found[name] = path
    return found


def _find_catalog(context: Context, name: str) -> Path:
    catalogs = _find_catalogs(context)
    if name not in catalogs:
        raise NotFoundError(
            f"there is no catalog {name!r}", expected=f"one of {', '.join(catalogs)}", field="catalog"
        )
    return catalogs[name]


def _read_state(directory: Path, depth: int) -> list[tuple[str, int]]:
    """Return the directories down to `depth` below this one, and when each was changed: no file is opened."""
    try:
        state = [(str(directory), directory.stat().st_mtime_ns)]
        below = sorted(p for p in directory.iterdir() if p.is_dir()) if depth else []
    except OSError:  # There is none, or no longer
        return []
    return state + [entry for path in below for entry in _read_state(path, depth - 1)]
