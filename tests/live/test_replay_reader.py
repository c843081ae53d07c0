from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.live.replay_catalogs import BID, FIRST_NS, MINUTE_NS, NAME, add_quotes, build_bars
from workbench.errors import CatalogError
from workbench.live.replay_clock import ReplayClock
from workbench.live.replay_reader import MAX_CHUNKS, DatasetName, ReplayChunk, ReplayReader, load_history

BIDS, QUOTES = DatasetName("bars", BID), DatasetName("quotes", NAME)
ROWS = 40_000


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_bars(tmp_path_factory.mktemp("reader") / "catalog", sides=("BID",))
    return add_quotes(path, rows=ROWS, secs=1)


@contextmanager
def _reading(catalog: Path) -> Iterator[tuple[ReplayReader, threading.Event]]:
    ready = threading.Event()
    clock = ReplayClock(FIRST_NS, FIRST_NS + ROWS * 10**9, 1.0)
    reader = ReplayReader(catalog, clock, is_looping=False, notify=ready.set)
    try:
        yield reader, ready
    finally:
        reader.close()


def _take(reader: ReplayReader, ready: threading.Event) -> ReplayChunk:
    while True:
        ready.clear()
        chunk = reader.take()
        if chunk is not None:
            return chunk
        assert ready.wait(30)


def test_reader_gives_all_rows_in_order_and_cuts_no_stamp(catalog: Path) -> None:
    with _reading(catalog) as (reader, ready):
        wish = reader.read(frozenset({BIDS, QUOTES}), 0)
        chunks = []
        while not (chunk := _take(reader, ready)).is_end:
            chunks.append(chunk)

    assert {chunk.wish for chunk in chunks} == {wish}
    stamps = [[row.ts_init for row in chunk.rows] for chunk in chunks]
    assert sum(map(len, stamps)) == ROWS + 240
    assert all(part == sorted(part) for part in stamps)
    assert all(a[-1] < b[0] for a, b in pairwise(stamps))


def test_reader_reads_no_further_ahead_than_it_may(catalog: Path) -> None:
    with _reading(catalog) as (reader, ready):
        reader.read(frozenset({QUOTES}), 0)
        _take(reader, ready)
        ready.clear()
        while ready.wait(0.5):  # Until it reads no more
            ready.clear()
        assert len(reader._chunks) == MAX_CHUNKS


def test_reader_forgets_an_earlier_wish(catalog: Path) -> None:
    with _reading(catalog) as (reader, ready):
        reader.read(frozenset({QUOTES}), 0)
        _take(reader, ready)
        wish = reader.read(frozenset({BIDS}), 100 * MINUTE_NS)
        while (chunk := _take(reader, ready)).wish != wish:
            pass

    assert chunk.rows[0].ts_init == FIRST_NS + 100 * MINUTE_NS


def test_history_is_the_last_rows_before(catalog: Path) -> None:
    before = FIRST_NS + 100 * MINUTE_NS

    rows = load_history(catalog, BIDS, start_ns=None, before_ns=before, limit=7)
    early = load_history(catalog, BIDS, start_ns=None, before_ns=FIRST_NS + 2 * MINUTE_NS, limit=7)
    narrow = load_history(catalog, BIDS, start_ns=before - 3 * MINUTE_NS, before_ns=before, limit=7)

    assert [row.ts_init for row in rows] == [before - n * MINUTE_NS for n in range(7, 0, -1)]
    assert len(early) == 2
    assert [row.ts_init for row in narrow] == [row.ts_init for row in rows[-3:]]
    assert load_history(catalog, BIDS, start_ns=None, before_ns=FIRST_NS, limit=7) == []


def test_history_of_a_foreign_file_is_refused(tmp_path: Path) -> None:
    catalog = build_bars(tmp_path / "catalog", sides=("BID",))
    (path,) = (catalog / "data" / "bar").glob("*/*.parquet")
    path.write_bytes(b"PAR1")

    with pytest.raises(CatalogError):
        load_history(catalog, BIDS, start_ns=None, before_ns=FIRST_NS + MINUTE_NS, limit=1)
