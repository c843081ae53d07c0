"""Chunks of several streams are merged so that no time stamp is cut in two."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.backtest.feed import merge_chunks


class Row(NamedTuple):
    ts_init: int
    stream: int
    number: int


Streams = list[list[list[Row]]]


@st.composite
def _streams(draw: st.DrawFn) -> Streams:
    """Return streams of chunks, ascending, with many equal stamps and some empty chunks."""
    streams: Streams = []
    for stream in range(draw(st.integers(1, 4))):
        stamps = sorted(draw(st.lists(st.integers(0, 6), max_size=15)))
        rows = [Row(ts, stream, i) for i, ts in enumerate(stamps)]
        size = draw(st.integers(1, 5))
        chunks = [rows[i : i + size] for i in range(0, len(rows), size)]
        if draw(st.booleans()):
            chunks.insert(draw(st.integers(0, len(chunks))), [])
        streams.append(chunks)
    return streams


def _merge(streams: Streams) -> Streams:
    found: Iterator[list[list[Any]]] = merge_chunks([iter(chunks) for chunks in streams])
    return list(found)


@settings(max_examples=100, deadline=None)
@given(_streams())
def test_merge_processes_as_one_shot_does(streams: Streams) -> None:
    rows = [row for chunks in streams for chunk in chunks for row in chunk]
    one_shot = sorted(rows, key=lambda row: row.ts_init)  # Stable: equal stamps in the order of the streams
    streamed = []
    for batches in _merge(streams):
        together = [row for batch in batches for row in batch]
        streamed += sorted(together, key=lambda row: row.ts_init)
    assert streamed == one_shot


@settings(max_examples=100, deadline=None)
@given(_streams())
def test_merge_never_cuts_a_stamp_and_yields_nothing_empty(streams: Streams) -> None:
    last = -1
    for batches in _merge(streams):
        stamps = [row.ts_init for batch in batches for row in batch]
        assert stamps
        assert min(stamps) > last
        last = max(stamps)


def test_merge_reads_a_chunk_at_a_time() -> None:
    read: list[int] = []

    def chunks(stream: int) -> Iterator[list[Any]]:
        for i in range(100):
            read.append(stream)
            yield [Row(10 * i + j, stream, 0) for j in range(10)]

    merged = merge_chunks([chunks(0), chunks(1)])
    next(merged)
    assert len(read) <= 4


def test_merge_of_nothing_is_nothing() -> None:
    assert _merge([]) == []
    assert _merge([[], [[]]]) == []
