from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from workbench.catalog.content import hash_file
from workbench.catalog.locks import TEMPORARY, lock_directory
from workbench.catalog.prices import encode_ticks
from workbench.catalog.schema import build_schema, dataset_directory, parse_file_name
from workbench.catalog.swap import INTENT, finish_swap, swap_files
from workbench.catalog.writer import ROW_GROUP_ROWS, DatasetWriter, WriteResult
from workbench.errors import CatalogError, ExistsError

INSTRUMENT = "GBP/USD.FXCM"
SCHEMA = build_schema("quotes", INSTRUMENT, 5, 0)
START = 1_328_054_400 * 10**9


def make_rows(count: int, first: int = 0, price: int = 157_597, schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    number = np.arange(first, first + count, dtype=np.int64)
    stamps = pa.array((START + number * 10**9).astype(np.uint64))
    prices = encode_ticks(price + number % 50, 5)
    sizes = encode_ticks(1_000_000 + number % 7, 0)
    return pa.RecordBatch.from_arrays([prices, prices, sizes, sizes, stamps, stamps], schema=schema)


def write(catalog: Path, *batches: pa.RecordBatch, replace: bool = False) -> WriteResult:
    directory = dataset_directory(catalog, "quotes", INSTRUMENT)
    with DatasetWriter(catalog, directory, batches[0].schema) as writer:
        for batch in batches:
            writer.write(batch)
        return writer.commit(replace=replace)


def read(catalog: Path) -> list[QuoteTick]:
    return ParquetDataCatalog(str(catalog)).quote_ticks()


def everything_in(catalog: Path) -> list[str]:
    return sorted(path.relative_to(catalog).as_posix() for path in catalog.rglob("*") if path.is_file())


def test_rows_written_read_back_through_nautilus(catalog: Path) -> None:
    result = write(catalog, make_rows(70_000), make_rows(70_000, 70_000))
    assert result.outcome == "written"
    quotes = read(catalog)
    assert len(quotes) == result.rows == 140_000
    assert [quote.ts_init for quote in (quotes[0], quotes[-1])] == [START, START + 139_999 * 10**9]
    assert str(quotes[1].bid_price) == "1.57598"
    assert parse_file_name(result.file.name) == (START, START + 139_999 * 10**9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=6))
def test_file_does_not_depend_on_the_batches_it_came_in(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    catalog = tmp_path_factory.mktemp("catalog")
    rows = make_rows(sum(sizes))
    starts = np.cumsum([0, *sizes[:-1]])
    result = write(
        catalog, *(rows.slice(int(start), size) for start, size in zip(starts, sizes, strict=True))
    )
    with pq.ParquetFile(result.file, page_checksum_verification=True) as file:
        assert file.read().equals(pa.Table.from_batches([rows]))
        assert file.schema_arrow.equals(SCHEMA, check_metadata=True)
        assert all(
            file.metadata.row_group(i).num_rows == ROW_GROUP_ROWS for i in range(file.num_row_groups - 1)
        )
    assert hash_file(result.file) == result.content_sha256


def test_same_contents_again_change_nothing(catalog: Path) -> None:
    first = write(catalog, make_rows(100))
    stat = first.file.stat()
    again = write(catalog, make_rows(60), make_rows(40, 60))
    assert again.outcome == "unchanged"
    assert first.file.stat() == stat


def test_other_contents_in_the_interval_need_replace(catalog: Path) -> None:
    write(catalog, make_rows(100))
    other = make_rows(100, price=150_000)
    with pytest.raises(ExistsError, match="--replace"):
        write(catalog, other)
    assert str(read(catalog)[0].bid_price) == "1.57597"
    assert write(catalog, other, replace=True).outcome == "replaced"
    assert [str(quote.bid_price) for quote in read(catalog)][:1] == ["1.50000"]


def test_contents_over_several_files_are_replaced_together(catalog: Path) -> None:
    files = [write(catalog, make_rows(100, first)).file for first in (0, 100, 200)]
    result = write(catalog, make_rows(300, price=150_000), replace=True)
    assert list(result.replaced) == files
    assert everything_in(catalog) == [result.file.relative_to(catalog).as_posix()]
    assert len(read(catalog)) == 300


def test_replace_that_would_lose_rows_is_refused(catalog: Path) -> None:
    write(catalog, make_rows(100))
    with pytest.raises(ExistsError, match="would lose"):
        write(catalog, make_rows(100, 50), replace=True)
    assert len(read(catalog)) == 100


def test_interval_that_touches_the_next_is_appended(catalog: Path) -> None:
    write(catalog, make_rows(100))
    write(catalog, make_rows(100, 100))
    assert len(read(catalog)) == 200
    assert ParquetDataCatalog(str(catalog)).get_intervals(QuoteTick, INSTRUMENT) == [
        (START, START + 99 * 10**9),
        (START + 100 * 10**9, START + 199 * 10**9),
    ]


def test_interval_that_shares_one_time_stamp_is_refused(catalog: Path) -> None:
    write(catalog, make_rows(100))
    with pytest.raises(ExistsError):
        write(catalog, make_rows(100, 99))


def test_other_precision_or_instrument_in_the_directory_is_refused(catalog: Path) -> None:
    write(catalog, make_rows(100))
    for schema in (build_schema("quotes", INSTRUMENT, 4, 0), build_schema("quotes", "GBPUSD.FXCM", 5, 0)):
        with pytest.raises(ExistsError, match="instead of"):
            write(catalog, make_rows(100, 1000, schema=schema))
    assert len(read(catalog)) == 100


def test_file_that_is_no_interval_is_named(catalog: Path) -> None:
    directory = dataset_directory(catalog, "quotes", INSTRUMENT)
    directory.mkdir(parents=True)
    (directory / "a_b.parquet").write_bytes(b"junk")
    with pytest.raises(CatalogError, match=r"a_b\.parquet does not belong"):
        write(catalog, make_rows(100))
    assert everything_in(catalog) == [(directory / "a_b.parquet").relative_to(catalog).as_posix()]


def test_damaged_file_in_the_interval_is_replaced_on_request_only(catalog: Path) -> None:
    file = write(catalog, make_rows(100)).file
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ExistsError):
        write(catalog, make_rows(100))
    assert write(catalog, make_rows(100), replace=True).outcome == "replaced"
    assert len(read(catalog)) == 100


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_writer_left_by_an_error_leaves_nothing(catalog: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        raise error

    directory = dataset_directory(catalog, "quotes", INSTRUMENT)
    with pytest.raises(error), DatasetWriter(catalog, directory, SCHEMA) as writer:
        writer.write(make_rows(100_000))
        fail()
    assert not catalog.exists()


def test_writer_left_without_a_commit_keeps_directories_that_were_there(catalog: Path) -> None:
    catalog.mkdir()
    with DatasetWriter(catalog, dataset_directory(catalog, "quotes", INSTRUMENT), SCHEMA) as writer:
        writer.write(make_rows(10))
    assert list(catalog.iterdir()) == []


CHILD = """
import os, sys, importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("test_writer", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
catalog = Path(sys.argv[2])
"""


def start_child(code: str, catalog: Path, **kwargs: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + code, __file__, str(catalog)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,  # type: ignore[call-overload]
    )


def test_writer_killed_in_the_middle_claims_nothing_and_the_rewrite_works(catalog: Path) -> None:
    code = """
directory = module.dataset_directory(catalog, "quotes", module.INSTRUMENT)
with module.DatasetWriter(catalog, directory, module.SCHEMA) as writer:
    writer.write(module.make_rows(200_000))
    writer._file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""
    child = start_child(code, catalog)
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    directory = dataset_directory(catalog, "quotes", INSTRUMENT)
    assert [path.suffix for path in directory.iterdir()] == [TEMPORARY]
    # A living writer's file is no rubbish: another writer leaves it alone.
    write(catalog, make_rows(100, 1_000_000))
    assert len(list(directory.glob(f".*{TEMPORARY}"))) == 1
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    store = ParquetDataCatalog(str(catalog))
    assert store.get_intervals(QuoteTick, INSTRUMENT) == [(START + 10**15, START + 10**15 + 99 * 10**9)]
    assert len(store.quote_ticks()) == 100
    write(catalog, make_rows(200_000))
    assert list(directory.glob(f".*{TEMPORARY}")) == []
    assert len(read(catalog)) == 200_100


def test_two_writers_of_the_same_interval_give_one_file(catalog: Path) -> None:
    code = """
directory = module.dataset_directory(catalog, "quotes", module.INSTRUMENT)
with module.DatasetWriter(catalog, directory, module.SCHEMA) as writer:
    writer.write(module.make_rows(100_000, price=int(sys.stdin.readline())))
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(writer.commit().outcome)
    except module.ExistsError:
        print("refused")
"""
    for prices, outcomes in (
        ((1000, 1000), ["unchanged", "written"]),
        ((1000, 2000), ["refused", "written"]),
    ):
        root = catalog / f"{prices[1]}"
        children = [start_child(code, root) for _ in prices]
        for child, price in zip(children, prices, strict=True):
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(f"{price}\n")
            child.stdin.flush()
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        assert sorted(child.communicate()[0].strip() for child in children) == outcomes
        assert len(everything_in(root)) == 1
        assert len(read(root)) == 100_000


def test_writers_of_different_intervals_at_once_all_land(catalog: Path) -> None:
    code = "module.write(catalog, module.make_rows(5_000, int(sys.stdin.readline())))"
    children = [start_child(code, catalog) for _ in range(4)]
    for number, child in enumerate(children):
        assert child.stdin is not None
        child.stdin.write(f"{number * 5_000}\n")
        child.stdin.flush()
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0, errors
    assert len(read(catalog)) == 20_000
    assert len(everything_in(catalog)) == 4


def test_disk_full_leaves_nothing_and_says_so(catalog: Path) -> None:
    # Beyond RLIMIT_FSIZE a write fails as on a full disk, everywhere and without being root.
    code = """
import resource
module.write(catalog, module.make_rows(10, 10_000_000))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    module.write(catalog, module.make_rows(1_000_000))
except module.CatalogError as e:
    print(e)
"""
    output, errors = start_child(code, catalog).communicate()
    assert "the disk is full" in output, errors
    assert "nothing was changed" in output
    assert errors == ""
    assert len(everything_in(catalog)) == 1
    assert len(read(catalog)) == 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_disk_full_at_the_very_end_leaves_nothing(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = dataset_directory(catalog, "quotes", INSTRUMENT)
    with (
        pytest.raises(CatalogError, match="disk is full"),
        DatasetWriter(catalog, directory, SCHEMA) as writer,
    ):
        writer.write(make_rows(100))
        with Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), writer._file.fileno())
            writer.commit()
    assert not catalog.exists()


def make_swap(directory: Path) -> tuple[str, list[str]]:
    directory.mkdir(parents=True)
    for name in ("a.parquet", "b.parquet"):
        (directory / name).write_text(f"old {name}")
    (directory / f".1{TEMPORARY}").write_text("new")
    return f".1{TEMPORARY}", ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("operation", ["unlink", "replace"])
@pytest.mark.parametrize("after", range(4))
def test_swap_broken_off_anywhere_is_finished_or_never_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, after: int
) -> None:
    directory = tmp_path / "dataset"
    temporary, old = make_swap(directory)
    original = getattr(Path, operation)
    calls = 0

    class Crash(BaseException):
        pass

    def crash(path: Path, *args: object, **kwargs: object) -> object:
        nonlocal calls
        if calls == after:
            raise Crash
        calls += 1
        return original(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, operation, crash)
        with suppress(Crash):
            swap_files(directory, temporary, "c.parquet", old)
    with lock_directory(directory):
        finish_swap(directory)
    found = {path.name: path.read_text() for path in directory.glob("*.parquet")}
    assert found in ({"c.parquet": "new"}, {name: f"old {name}" for name in old})
    assert not (directory / INTENT).exists()
    assert [path.name for path in directory.iterdir() if path.name.startswith(".swap")] == []


def test_swap_left_by_a_dead_writer_is_finished_by_the_next(catalog: Path) -> None:
    old = [write(catalog, make_rows(100, first)).file for first in (0, 100)]
    directory = old[0].parent
    new = write(catalog / "other", make_rows(200, price=150_000)).file
    new.replace(directory / ".swap.staged")
    (directory / INTENT).write_text(json.dumps({"new": new.name, "old": [file.name for file in old]}))
    write(catalog, make_rows(100, 1000))
    assert len(read(catalog)) == 300
    assert [str(quote.bid_price) for quote in read(catalog)][:1] == ["1.50000"]


def test_lock_of_a_directory_is_exclusive(tmp_path: Path) -> None:
    with lock_directory(tmp_path):
        descriptor = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)
