"""Volumes are added up exactly, in whatever parts they come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick

from workbench.backtest.volumes import VolumeSum, find_volume_column, is_market_volume

RAW = st.integers(0, 2**127)
SIM = "GBP/USD.SIM"


def _encode(values: list[int]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([v.to_bytes(16, "little") for v in values], pa.binary(16))])


@given(st.lists(st.lists(RAW, min_size=1, max_size=9), min_size=1, max_size=5), st.data())
def test_sums_are_those_of_whole_numbers(parts: list[list[int]], data: st.DataObject) -> None:
    volume = VolumeSum()
    sums: list[int] = []
    for values in parts:
        cuts = sorted(data.draw(st.sets(st.integers(1, len(values) - 1)))) if len(values) > 1 else []
        starts = [0, *cuts]
        volume.add(_encode([99, *values]), np.array([False] + [True] * len(values)), np.array(starts))
        sums += [sum(values[a:b]) for a, b in zip(starts, [*cuts, len(values)], strict=True)]
    assert volume.build(np.arange(len(sums)), 16) == (sums, 16)
    assert volume.build(np.array([0]), 16) == ([sum(sums)], 16)
    assert volume.is_constant == (len({v for values in parts for v in values}) == 1)


def test_sum_with_more_decimals_than_the_data_say_keeps_them() -> None:
    volume = VolumeSum()
    volume.add(_encode([15 * 10**15, 10**16]), np.array([True, True]), np.array([0]))
    assert volume.build(np.array([0]), 1) == ([25], 1)
    assert volume.build(np.array([0]), 0) == ([25 * 10**15], 16)
    assert VolumeSum().build(np.empty(0, np.intp), 2) == ([], 2)


@pytest.mark.parametrize(
    ("kind", "identifier", "column", "is_market"),
    [
        (Bar, f"{SIM}-1-MINUTE-LAST-EXTERNAL", "volume", True),
        (Bar, f"{SIM}-1-MINUTE-LAST-INTERNAL", "volume", True),
        (Bar, f"{SIM}-1-MINUTE-BID-EXTERNAL", "volume", False),
        (Bar, f"{SIM}-1-MINUTE-MID-EXTERNAL", "volume", False),
        (TradeTick, SIM, "size", True),
        (QuoteTick, SIM, None, False),
    ],
)
def test_kind_of_data_tells_what_its_volume_is(
    kind: type, identifier: str, column: str | None, is_market: bool
) -> None:
    assert find_volume_column(kind) == column
    assert is_market_volume(kind, identifier) is is_market
