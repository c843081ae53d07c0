"""Datasets and their coverage, as the server asks for them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.backtest.tiny import ASK, BID, NAME, ROWS, build_catalog
from workbench.api.catalog import CoverageAnswer, DatasetItem
from workbench.backtest.inventory import list_catalogs, measure_coverage
from workbench.errors import InputError, NotFoundError
from workbench.jobs.control import Control

CONTROL = Control(lambda _: None)
DIRECTORY = BID.replace("/", "")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("inventory") / "catalog")


def test_datasets_come_with_the_facts_of_their_instruments(catalog: Path) -> None:
    spec = {"catalogs": {"mine": str(catalog), "none": str(catalog / "nowhere")}}
    items = msgspec.convert(list_catalogs(spec, CONTROL)["items"], list[DatasetItem])
    assert [item.identifier for item in items] == [ASK, BID]
    item = items[1]
    assert item.id == f"mine/bars/{DIRECTORY}"
    assert (item.catalog_path, item.is_default) == (str(catalog), True)
    assert (item.instrument_id, item.venue, item.bar_spec) == (NAME, "SIM", "1-MINUTE-BID")
    assert item.data_cls == "nautilus_trader.model.data:Bar"
    assert (item.rows, item.files, item.problems) == (ROWS, 2, [])
    assert (item.start, item.end) == ("2012-02-01T00:01:00.000000000Z", "2012-02-01T04:00:00.000000000Z")
    facts = item.instrument
    assert facts is not None
    assert (facts.kind, facts.asset_class, facts.base_currency, facts.quote_currency) == (
        "CurrencyPair",
        "FX",
        "GBP",
        "USD",
    )
    assert (facts.price_precision, facts.price_increment, facts.taker_fee) == (5, "0.00001", "0.00002")
    assert (facts.max_notional, facts.is_inverse) == ("", False)


def test_dataset_that_is_damaged_or_undefined_says_so(tmp_path: Path) -> None:
    path = build_catalog(tmp_path / "catalog")
    for file in (path / "data" / "bar" / DIRECTORY).glob("*.parquet"):
        file.write_bytes(b"nonsense")
    for file in (path / "data" / "currency_pair").rglob("*.parquet"):
        file.write_bytes(b"nonsense")
    ask, bid = list_catalogs({"catalogs": {"mine": str(path)}}, CONTROL)["items"]
    assert (bid["rows"], bid["start"], bid["instrument"]) == (0, None, None)
    assert sum("is damaged" in problem for problem in bid["problems"]) == 2
    assert any("no readable instrument" in problem for problem in ask["problems"])
    spec = {"catalog_path": str(path), "data_type": "bars", "directory": DIRECTORY}
    coverage = measure_coverage(spec, CONTROL)
    assert (coverage["rows"], coverage["start"], coverage["bins"]["rows"], coverage["gaps"]) == (
        0,
        None,
        [],
        [],
    )
    msgspec.convert({**coverage, "id": "x"}, CoverageAnswer)


def test_coverage_counts_the_rows_of_all_files(catalog: Path) -> None:
    spec = {"catalog_path": str(catalog), "data_type": "bars", "directory": DIRECTORY, "bins": 24}
    found = msgspec.convert({**measure_coverage(spec, CONTROL), "id": "x"}, CoverageAnswer)
    assert (found.rows, sum(found.bins.rows), len(found.bins.start_ms)) == (ROWS, ROWS, 24)
    assert found.bins.start_ms[0] == 1_328_054_460_000
    assert found.typical_step_secs == 60.0
    assert found.bin_secs == pytest.approx(239 * 60 / 24, rel=1e-6)
    assert (found.gap_count, found.gaps, found.problems) == (0, [], [])


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"directory": "NOTHING"}, NotFoundError, ""),
        ({"directory": ".."}, NotFoundError, ""),
        ({"directory": "../../../.."}, NotFoundError, ""),
        ({"data_type": "books"}, InputError, "data_type"),
        ({"bins": 0}, InputError, "bins"),
    ],
)
def test_coverage_of_nothing_is_refused(
    catalog: Path, change: dict[str, object], kind: type[InputError], field: str
) -> None:
    spec = {"catalog_path": str(catalog), "data_type": "bars", "directory": DIRECTORY, **change}
    with pytest.raises(kind) as caught:
        measure_coverage(spec, CONTROL)
    assert caught.value.field == field
