from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.catalog.content import hash_file
from workbench.catalog.coverage import check_file, find_files, list_datasets, show_dataset
from workbench.catalog.importer import ImportConfig, import_file
from workbench.catalog.ledger import LEDGER, content_hash
from workbench.errors import CatalogError, NotFoundError

WriteText = Callable[..., Path]
SECOND = 10**9
START = 1_328_054_400 * SECOND


@pytest.fixture
def filled(catalog: Path, write_text: WriteText, gbpusd: Instrument, quotes: ImportConfig) -> Path:
    """Return a catalog with two files of quotes, ten seconds each."""
    for hour in (0, 1):
        rows = [f"2012-02-01 0{hour}:00:0{i}Z,1.5,1.6" for i in range(10)]
        path = write_text("timestamp,bid,ask\n" + "".join(f"{row}\n" for row in rows), f"hour{hour}.csv")
        import_file(path, catalog, quotes, instrument=gbpusd)
    return catalog


def directory(catalog: Path) -> Path:
    return catalog / "data" / "quote_tick" / "GBPUSD.FXCM"


def test_datasets_are_listed_from_their_footers(filled: Path) -> None:
    [dataset] = list_datasets(filled)
    assert (dataset.data_type, dataset.identifier, dataset.rows, dataset.files) == (
        "quotes",
        "GBP/USD.FXCM",
        20,
        2,
    )
    assert (dataset.start_ns, dataset.end_ns) == (START, START + 3609 * SECOND)
    assert dataset.size_bytes == sum(path.stat().st_size for path in directory(filled).iterdir())
    assert dataset.problems == ()


def test_catalog_that_does_not_exist_has_no_datasets(tmp_path: Path) -> None:
    assert list_datasets(tmp_path / "no") == []


def test_dataset_shows_its_files_and_instrument(filled: Path) -> None:
    detail = show_dataset(filled, "GBP/USD.FXCM")
    assert [file.source for file in detail.files] == ["hour0.csv", "hour1.csv"]
    assert [file.rows for file in detail.files] == [10, 10]
    assert all(len(file.content_sha256) == 64 for file in detail.files)
    assert detail.instrument["taker fee"] == "0.00002"
    with pytest.raises(NotFoundError, match=r"expected one of GBP/USD.FXCM \(quotes\)"):
        show_dataset(filled, "EUR/USD.FXCM")
    with pytest.raises(NotFoundError):
        show_dataset(filled, "GBP/USD.FXCM", "trades")


def test_file_written_by_nautilus_is_sound(
    catalog: Path, gbpusd: Instrument, filled: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = ParquetDataCatalog(str(tmp_path / "theirs"))
    theirs.write_data(ParquetDataCatalog(str(filled)).quote_ticks())
    [dataset] = list_datasets(tmp_path / "theirs")
    assert (dataset.rows, dataset.problems) == (20, ())


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_foreign(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def damage_metadata(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def damage_order(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.select(list(reversed(table.column_names))), path)


def damage_stamps(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(5, "ts_init", table["ts_init"].cast(pa.int64())), path)


def damage_name(path: Path) -> None:
    path.rename(path.with_name("a_b.parquet"))


def damage_claim(path: Path) -> None:
    path.rename(path.with_name(path.name.replace("2012", "2013")))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_truncate, "is damaged"),
        (damage_empty, "is damaged"),
        (damage_foreign, "no metadata of nautilus"),
        (damage_metadata, "no metadata of nautilus"),
        (damage_order, "has not the columns"),
        (damage_stamps, "has not the columns"),
        (damage_name, "no interval"),
        (damage_claim, "outside of the interval"),
    ],
)
def test_damaged_file_is_reported_and_never_given_to_nautilus(
    filled: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(min(directory(filled).iterdir()))
    [dataset] = list_datasets(filled)
    assert (dataset.files, dataset.rows) == (1, 10)
    [problem] = dataset.problems
    assert message in problem
    with pytest.raises(CatalogError, match=message):
        find_files(filled, "quotes", "GBP/USD.FXCM")
    assert show_dataset(filled, dataset.identifier).summary.problems == dataset.problems


@pytest.mark.data
@pytest.mark.parametrize("bits", [64, 128])
def test_nautilus_own_test_files_are_judged_by_their_precision(
    test_data: Path, tmp_path: Path, bits: int
) -> None:
    path = tmp_path / "1970-01-01T00-00-00-000000000Z_2200-01-01T00-00-00-000000000Z.parquet"
    path.write_bytes((test_data / "nautilus-parquet" / f"quotes-{bits}bit.parquet").read_bytes())
    if bits == 64:
        with pytest.raises(CatalogError, match="128-bit build"):
            check_file(path, "quotes")


def test_files_are_found_by_interval(filled: Path) -> None:
    first, second = sorted(directory(filled).iterdir())

    def find(start: int | None, end: int | None) -> list[Path]:
        return find_files(
            filled,
            "quotes",
            "GBP/USD.FXCM",
            start_ns=None if start is None else START + start * SECOND,
            end_ns=None if end is None else START + end * SECOND,
        )

    assert find(None, None) == [first, second]
    assert find(None, 9) == [first]
    assert find(9, 3600) == [first, second]
    assert find(10, 3599) == []
    assert find(3609, None) == [second]


def test_content_hash_is_the_same_with_and_without_the_ledger_and_in_any_file_form(filled: Path) -> None:
    files = sorted(directory(filled).iterdir())
    known = content_hash(files, filled)
    assert content_hash(files[::-1], filled) == known
    for entry in (filled / LEDGER).rglob("*.json"):
        entry.unlink()
    assert content_hash(files, filled) == known
    pq.write_table(pq.read_table(files[0]), files[0], row_group_size=3, compression="zstd")
    assert content_hash(files, filled) == known


def test_content_hash_notices_other_contents_behind_a_ledger_that_is_out_of_date(filled: Path) -> None:
    files = sorted(directory(filled).iterdir())
    known = content_hash(files, filled)
    table = pq.read_table(files[0])
    pq.write_table(table.set_column(0, table.schema.field(0), table["ask_price"]), files[0])
    assert content_hash(files, filled) != known


def test_content_hash_of_a_damaged_or_missing_file_is_refused(filled: Path) -> None:
    files = sorted(directory(filled).iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-9])
    with pytest.raises(CatalogError, match="damaged"):
        content_hash(files, filled)
    files[0].unlink()
    with pytest.raises(CatalogError, match="no file"):
        content_hash(files, filled)


def test_ledger_does_not_disturb_nautilus(filled: Path) -> None:
    assert (filled / LEDGER).is_dir()
    store = ParquetDataCatalog(str(filled))
    assert len(store.quote_ticks()) == 20
    assert store.list_data_types() == ["currency_pair", "quote_tick"]
    assert len(store.get_intervals(QuoteTick, "GBP/USD.FXCM")) == 2


def test_ledger_knows_a_file_of_the_same_size_with_other_contents(
    filled: Path, tmp_path: Path, write_text: WriteText, gbpusd: Instrument, quotes: ImportConfig
) -> None:
    rows = [f"2012-02-01 00:00:0{i}Z,1.4,1.6" for i in range(10)]
    path = write_text("timestamp,bid,ask\n" + "".join(f"{row}\n" for row in rows))
    other = Path(import_file(path, tmp_path / "other", quotes, instrument=gbpusd).file)
    file = min(directory(filled).iterdir())
    known = content_hash([file], filled)
    assert other.stat().st_size == file.stat().st_size
    file.write_bytes(other.read_bytes())
    assert content_hash([file], filled) != known


def test_content_hash_differs_by_instrument_and_precision(filled: Path) -> None:
    file = min(directory(filled).iterdir())
    known = hash_file(file)
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"price_precision": b"4"}), file)
    assert hash_file(file) != known
