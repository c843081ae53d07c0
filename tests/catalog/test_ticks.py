from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalog.flaws import FlawKind, RowFlaws
from workbench.catalog.ticks import TickColumn, parse_ticks


def parse(
    values: object, precision: int = 2, kind: pa.DataType | None = None, mark: str = "."
) -> tuple[TickColumn, list[int]]:
    column = pa.array(values, kind)
    flaws = RowFlaws(len(column))
    parsed = parse_ticks(column, precision, flaws, misfit=FlawKind.PRICE_PRECISION, decimal_mark=mark)
    return parsed, flaws.codes.tolist()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10), st.lists(st.integers(-(10**17), 10**17), min_size=1, max_size=20))
def test_text_of_decimals_gives_exactly_their_ticks(precision: int, ticks: list[int]) -> None:
    texts = [f"{Decimal(tick).scaleb(-precision):f}" for tick in ticks]
    parsed, codes = parse(texts, precision)
    assert parsed.ticks.tolist() == ticks
    assert not any(codes)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 8), st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=20))
def test_floats_nearest_to_decimals_give_exactly_their_ticks(precision: int, ticks: list[int]) -> None:
    parsed, codes = parse([float(Decimal(tick).scaleb(-precision)) for tick in ticks], precision)
    assert parsed.ticks.tolist() == ticks
    assert parsed.noisy == 0
    assert not any(codes)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.decimals(-1000, 1000, places=6), min_size=1, max_size=20))
def test_numbers_are_refused_exactly_where_they_have_more_decimals(values: list[Decimal]) -> None:
    fits = [value == value.quantize(Decimal("0.001")) for value in values]
    for column in ([f"{value:f}" for value in values], [float(value) for value in values]):
        parsed, codes = parse(column, 3)
        assert [code == 0 for code in codes] == fits
        assert [int(t) for t, fit in zip(parsed.ticks, fits, strict=True) if fit] == [
            int(value * 1000) for value, fit in zip(values, fits, strict=True) if fit
        ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", FlawKind.NUMBER_MISSING),
        ("  ", FlawKind.NUMBER_MISSING),
        ("abc", FlawKind.NUMBER_UNREADABLE),
        ("nan", FlawKind.NUMBER_UNREADABLE),
        ("inf", FlawKind.NUMBER_UNREADABLE),
        ("1,5", FlawKind.NUMBER_UNREADABLE),
        ("1_000", FlawKind.NUMBER_UNREADABLE),
        ("1.575", FlawKind.PRICE_PRECISION),
        ("1.5e-7", FlawKind.PRICE_PRECISION),
        ("99999999999999999999", FlawKind.OUT_OF_RANGE),
        ("9" * 60, FlawKind.OUT_OF_RANGE),
        ("0.00000000000000000000000000000000000000000001", FlawKind.PRICE_PRECISION),
    ],
)
def test_text_that_is_no_fitting_number_is_marked_alone(text: str, kind: FlawKind) -> None:
    parsed, codes = parse(["1.25", text, "-2"])
    assert codes == [0, kind, 0]
    assert parsed.ticks.tolist()[::2] == [125, -200]


@pytest.mark.parametrize(
    "text", ["1.5", "1.50", "1.5000000000000000000000", " 1.5 ", "+1.5", "15e-1", "01.5"]
)
def test_text_of_the_same_number_in_other_forms_is_accepted(text: str) -> None:
    parsed, codes = parse([text])
    assert codes == [0]
    assert parsed.ticks.tolist() == [150]


def test_text_with_decimal_commas_is_read_where_they_are_stated() -> None:
    parsed, codes = parse(["1,25", "1.000,5"], mark=",")
    assert parsed.ticks.tolist()[0] == 125
    assert codes == [0, FlawKind.NUMBER_UNREADABLE]


def test_floats_off_by_a_little_noise_are_taken_for_their_decimal_and_counted() -> None:
    parsed, codes = parse([0.00031099999999999997, 0.1 + 0.2, 0.25], 6)
    assert parsed.ticks.tolist() == [311, 300_000, 250_000]
    assert parsed.noisy == 2
    assert codes == [0, 0, 0]


def test_floats_too_large_to_tell_single_ticks_are_refused() -> None:
    _, codes = parse([1e17, 1e300, float("nan"), float("inf"), None], 2, pa.float64())
    assert codes == [
        FlawKind.OUT_OF_RANGE,
        FlawKind.OUT_OF_RANGE,
        FlawKind.NUMBER_UNREADABLE,
        FlawKind.NUMBER_UNREADABLE,
        FlawKind.NUMBER_MISSING,
    ]


def test_floats_of_32_bits_integers_and_decimals_are_taken_at_their_word() -> None:
    assert parse([1.1, 2.25], 2, pa.float32())[0].ticks.tolist() == [110, 225]
    assert parse([3, -4], 2, pa.int32())[0].ticks.tolist() == [300, -400]
    assert parse([Decimal("1.25")], 2, pa.decimal128(10, 4))[0].ticks.tolist() == [125]
    assert parse(["1.25"], 2, pa.dictionary(pa.int8(), pa.string()))[0].ticks.tolist() == [125]
    _, codes = parse([None, Decimal("1.255")], 2, pa.decimal128(10, 4))
    assert codes == [FlawKind.NUMBER_MISSING, FlawKind.PRICE_PRECISION]


def test_misfits_tell_how_many_decimals_would_do() -> None:
    assert parse(["1.5", "1.23450", "1.234"])[0].most_decimals == 4
    assert parse([1.5, 1.2345])[0].most_decimals == 4
    assert parse(["1.5"])[0].most_decimals == 0


def test_batch_of_misfits_only_is_marked_without_a_cast_per_value() -> None:
    _, codes = parse(["1.23456"] * 100_000)
    assert set(codes) == {FlawKind.PRICE_PRECISION}
    assert np.count_nonzero(codes) == 100_000


def test_text_of_more_ticks_than_an_int64_holds_keeps_its_raw_value_up_to_the_limit() -> None:
    column = pa.array(["99999999.88170000000", "0.5", "1000000000000"])
    flaws = RowFlaws(3)
    parsed = parse_ticks(column, 12, flaws, misfit=FlawKind.SIZE_PRECISION, wide_limit=10**9)
    assert flaws.codes.tolist() == [0, 0, FlawKind.OUT_OF_RANGE]
    assert parsed.raw is not None
    raws = [int.from_bytes(value.as_py(), "little") for value in parsed.raw]
    assert raws == [999_999_998_817 * 10**12, 5 * 10**15, 0]
