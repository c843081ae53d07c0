from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalog.checks import (
    PRICE_LIMIT,
    OrderCheck,
    RepeatCheck,
    TradeIdCheck,
    check_bars,
    check_prices,
    check_quotes,
    check_sizes,
)
from workbench.catalog.flaws import FlawKind, FlawTally, RowFlaws

SMALL = st.integers(-3, 3)


def split(values: list[int], cuts: list[int]) -> list[np.ndarray]:
    return np.split(np.array(values, np.int64), sorted({cut % (len(values) + 1) for cut in cuts}))


@settings(max_examples=100, deadline=None)
@given(st.lists(SMALL, max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_order_over_batches_equals_a_loop(stamps: list[int], cuts: list[int]) -> None:
    for data_type in ("bars", "quotes"):
        expected, last = [], -(10**9)
        for stamp in stamps:
            repeated = data_type == "bars" and stamp == last
            expected.append(
                FlawKind.OUT_OF_ORDER if stamp < last else FlawKind.TIME_REPEATED if repeated else 0
            )
            last = max(last, stamp)
        check, found = OrderCheck(data_type), []
        for part in split(stamps, cuts):
            flaws = RowFlaws(len(part))
            check.check(part, flaws)
            found.extend(flaws.codes.tolist())
        assert found == expected


def test_order_takes_no_notice_of_rows_that_are_flawed_already() -> None:
    flaws = RowFlaws(3)
    flaws.codes[1] = FlawKind.CROSSED
    OrderCheck("bars").check(np.array([1, 100, 2]), flaws)
    assert flaws.codes.tolist() == [0, FlawKind.CROSSED, 0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), SMALL, SMALL), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_repeated_rows_over_batches_equal_a_loop(rows: list[tuple[int, int, int]], cuts: list[int]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    expected = [row in rows[:i] for i, row in enumerate(rows)]
    check, found = RepeatCheck(), []
    for part in np.split(
        np.array(rows, np.int64).reshape(-1, 3), sorted({c % (len(rows) + 1) for c in cuts})
    ):
        flaws = RowFlaws(len(part))
        check.check([part[:, i] for i in range(3)], flaws)
        found.extend((flaws.codes == FlawKind.ROW_REPEATED).tolist())
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=60), st.lists(st.integers(0, 60), max_size=8))
def test_repeated_trade_ids_over_batches_equal_a_loop(keys: list[int], cuts: list[int]) -> None:
    expected = [key in keys[:i] for i, key in enumerate(keys)]
    check, found = TradeIdCheck(), []
    for part in split(keys, cuts):
        flaws = RowFlaws(len(part))
        check.check(part.astype(np.uint64), flaws)
        found.extend((flaws.codes == FlawKind.TRADE_ID_REPEATED).tolist())
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(SMALL, SMALL, SMALL, SMALL)
def test_bars_are_sound_where_high_and_low_enclose_open_and_close(o: int, h: int, low: int, c: int) -> None:
    flaws = RowFlaws(1)
    check_bars(np.array([o]), np.array([h]), np.array([low]), np.array([c]), flaws)
    assert bool(flaws.sound[0]) == (h == max(o, h, low, c) and low == min(o, h, low, c))


def test_quotes_are_crossed_where_the_bid_is_above_the_ask() -> None:
    flaws = RowFlaws(3)
    check_quotes(np.array([1, 2, 3]), np.array([2, 2, 2]), flaws)
    assert flaws.codes.tolist() == [0, 0, FlawKind.CROSSED]


def test_prices_and_sizes_keep_to_the_range_of_nautilus() -> None:
    flaws = RowFlaws(4)
    check_prices(
        np.array([PRICE_LIMIT, PRICE_LIMIT + 1, 0, -PRICE_LIMIT - 1]), 0, flaws, allow_negative=False
    )
    wide, low = FlawKind.OUT_OF_RANGE, FlawKind.PRICE_NOT_POSITIVE
    assert flaws.codes.tolist() == [0, wide, low, wide]
    flaws = RowFlaws(3)
    check_sizes(np.array([0, -1, 1]), 0, flaws, allow_zero=False)
    assert flaws.codes.tolist() == [FlawKind.SIZE_ZERO, FlawKind.SIZE_NEGATIVE, 0]


def test_tally_tells_counts_and_first_rows() -> None:
    tally = FlawTally(keep=2)
    flaws = RowFlaws(5)
    flaws.mark(np.array([True, False, True, True, False]), FlawKind.CROSSED)
    flaws.mark(np.array([True, True, False, False, False]), FlawKind.OHLC)
    tally.add(flaws, np.arange(5) + 10)
    tally.add_rows(FlawKind.RAGGED, [3], 1)
    assert tally.total == 5
    assert tally.describe("line").startswith("3 crossed quote (bid above ask) (lines 10, 12, ...); 1 ")
