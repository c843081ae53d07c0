from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.model.objects import Price, Quantity

from workbench.catalog.prices import (
    check_precision_mode,
    decode_ticks,
    encode_ticks,
    from_decimal128,
    raw_limbs,
    to_decimal128,
)
from workbench.errors import CatalogError

INT64 = st.integers(-(2**63), 2**63 - 1)
PRECISION = st.integers(0, 16)


def raw_values(column: pa.Array) -> list[int]:
    return [int.from_bytes(value.as_py(), "little", signed=True) for value in column]


@settings(max_examples=100, deadline=None)
@given(st.lists(INT64, max_size=30), PRECISION)
def test_ticks_encoded_and_decoded_are_the_same(ticks: list[int], precision: int) -> None:
    column = encode_ticks(np.array(ticks, np.int64), precision)
    assert raw_values(column) == [tick * 10 ** (16 - precision) for tick in ticks]
    assert decode_ticks(column, precision).tolist() == ticks


@settings(max_examples=100, deadline=None)
@given(
    PRECISION.flatmap(
        lambda p: st.tuples(st.just(p), st.integers(-(10 ** min(p + 13, 18)), 10 ** min(p + 13, 18)))
    )
)
def test_ticks_encoded_equal_the_raw_value_of_a_nautilus_price(case: tuple[int, int]) -> None:
    precision, tick = case
    price = Price.from_str(f"{Decimal(tick).scaleb(-precision):.{precision}f}")
    assert raw_values(encode_ticks(np.array([tick]), precision)) == [price.raw]
    assert price.precision == precision


@settings(max_examples=100, deadline=None)
@given(PRECISION.flatmap(lambda p: st.tuples(st.just(p), st.integers(0, 10 ** min(p + 13, 18)))))
def test_ticks_encoded_equal_the_raw_value_of_a_nautilus_quantity(case: tuple[int, int]) -> None:
    precision, tick = case
    quantity = Quantity.from_str(f"{Decimal(tick).scaleb(-precision):.{precision}f}")
    assert raw_values(encode_ticks(np.array([tick]), precision)) == [quantity.raw]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(10**24), 10**24), max_size=20))
def test_decimals_and_fixed_point_columns_share_their_values(raws: list[int]) -> None:
    decimals = pa.array([Decimal(raw).scaleb(-16) for raw in raws], pa.decimal128(38, 16))
    column = from_decimal128(decimals)
    assert raw_values(column) == raws
    assert to_decimal128(column).equals(decimals)


def test_decode_of_a_slice_and_of_chunks_starts_at_the_right_value() -> None:
    column = encode_ticks(np.arange(10), 5)
    assert decode_ticks(column.slice(3, 4), 5).tolist() == [3, 4, 5, 6]
    assert decode_ticks(pa.chunked_array([column.slice(8), column.slice(0, 2)]), 5).tolist() == [8, 9, 0, 1]
    assert len(raw_limbs(column.slice(0, 0))) == 0


def test_decode_at_a_precision_that_loses_digits_is_refused() -> None:
    column = encode_ticks(np.array([100, 101, 102]), 5)
    with pytest.raises(CatalogError, match="2 stored values are no whole ticks at precision 3"):
        decode_ticks(column, 3)


def test_decode_of_more_ticks_than_an_int64_holds_is_refused() -> None:
    column = encode_ticks(np.array([2**62]), 0)
    with pytest.raises(CatalogError, match="no whole ticks"):
        decode_ticks(column, 16)


def test_precision_mode_of_this_build_is_accepted() -> None:
    check_precision_mode()


def test_precision_mode_of_a_64_bit_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nautilus_pyo3, "PRECISION_BYTES", 8)
    with pytest.raises(CatalogError, match="64 bits"):
        check_precision_mode()
