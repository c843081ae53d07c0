from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.gate.rules import (
    Holding,
    Intent,
    TradingState,
    check_amount,
    check_closing,
    check_position,
    check_state,
    measure_opening,
)

D = Decimal
KINDS = ("resting", "market", "reducing")


class Account:
    """An account with one instrument and one position, whose orders may fill in any order and by any part."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.orders: list[tuple[bool, str, int]] = []  # Is a buy, its kind, unfilled

    def hold(self) -> Holding:
        def total(kind: str, *, is_buy: bool) -> Decimal:
            return D(sum(q for b, k, q in self.orders if (b, k) == (is_buy, kind)))

        return Holding(
            long=D(max(self.position, 0)),
            short=D(max(-self.position, 0)),
            buys=total("resting", is_buy=True),
            sells=total("resting", is_buy=False),
            market_buys=total("market", is_buy=True),
            market_sells=total("market", is_buy=False),
            reducing_buys=total("reducing", is_buy=True),
            reducing_sells=total("reducing", is_buy=False),
        )

    def act(self, step: Any, admit: Callable[[Intent, Holding], str | None]) -> None:
        kind, first, second, third = step
        if kind == "order":
            intent = Intent(
                first, D(third), is_reduce_only=second == "reducing", is_market=second == "market"
            )
            if admit(intent, self.hold()) is None:
                self.orders.append((first, second, third))
        elif self.orders and kind == "fill":
            self.fill(first % len(self.orders), second)
        elif self.orders:
            self.orders.pop(first % len(self.orders))

    def fill(self, number: int, quantity: int) -> None:
        is_buy, kind, left = self.orders[number]
        done = min(quantity, left)
        if kind == "reducing":  # A venue fills no more than there is to reduce
            done = min(done, max(-self.position, 0) if is_buy else max(self.position, 0))
        self.position += done if is_buy else -done
        self.orders[number] = (is_buy, kind, left - done)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.booleans(), st.sampled_from(KINDS), st.integers(1, 20)),
        st.tuples(st.just("fill"), st.integers(0, 20), st.integers(1, 20), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.none(), st.none()),
    ),
    max_size=40,
)


# Where others came first, and closed what the order was to close.
RESTING_THEN_CLOSED = [
    ("order", True, "resting", 20),
    ("order", True, "reducing", 10),
    ("fill", 1, 10, None),
    ("fill", 0, 20, None),
]
CLOSED_TWICE_AND_MORE = [
    ("order", True, "market", 10),
    ("order", True, "reducing", 10),
    ("order", True, "market", 5),
    ("fill", 1, 10, None),
    ("fill", 0, 10, None),
    ("fill", 2, 5, None),
]


@settings(max_examples=500, deadline=None)
@given(steps=STEPS, most=st.integers(0, 12), start=st.integers(-12, 12))
@example(steps=RESTING_THEN_CLOSED, most=10, start=-10)
@example(steps=CLOSED_TWICE_AND_MORE, most=12, start=-10)
def test_position_never_passes_its_limit_however_orders_fill(steps: list[Any], most: int, start: int) -> None:
    account = Account(min(start, most) if start > 0 else max(start, -most))
    for step in steps:
        account.act(step, lambda intent, held: check_position(D(most), intent, held, is_netting=True))
        assert abs(account.position) <= most


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, position=st.integers(-15, 15))
def test_reducing_never_adds_to_a_position_nor_turns_it(steps: list[Any], position: int) -> None:
    account = Account(position)
    for step in steps:
        before = account.position
        account.act(step, lambda intent, held: check_state(TradingState.REDUCING, intent, held))
        assert abs(account.position) <= abs(before)
        assert account.position * before >= 0


@given(
    kind=st.sampled_from(KINDS),
    is_buy=st.booleans(),
    position=st.integers(-15, 15),
    quantity=st.integers(1, 20),
)
def test_closing_always_passes_where_nothing_else_is_under_way(
    kind: str, is_buy: bool, position: int, quantity: int
) -> None:
    intent = Intent(is_buy, D(quantity), is_reduce_only=kind == "reducing", is_market=kind == "market")
    closes = position != 0 and (position < 0) == is_buy and quantity <= abs(position)
    if kind == "reducing" or (kind == "market" and closes):
        assert check_position(D(0), intent, Account(position).hold(), is_netting=True) is None


def test_order_at_the_limit_passes_and_one_unit_more_does_not() -> None:
    holding = Holding(long=D(3), buys=D(2))

    assert check_position(D(10), Intent(True, D(5)), holding, is_netting=True) is None
    reason = check_position(D(10), Intent(True, D("5.001")), holding, is_netting=True)
    assert reason == "10.001 long would be more than the limit of 10"


def test_position_above_a_lowered_limit_may_be_reduced_only() -> None:
    holding = Holding(long=D(20))

    def sell(quantity: int) -> str | None:
        return check_position(D(10), Intent(False, D(quantity), is_market=True), holding, is_netting=True)

    assert sell(20) is None
    assert sell(30) is None, "10 short is allowed"
    assert sell(31) is not None
    assert check_position(D(10), Intent(True, D(1)), holding, is_netting=True) is not None


def test_order_that_turns_the_position_keeps_a_second_close_from_making_it_too_large() -> None:
    turning = Holding(short=D(10), market_buys=D(20))

    reason = check_position(D(10), Intent(True, D(10), is_reduce_only=True), turning, is_netting=True)

    assert reason == "an order under way closes this position: with both it could become 20, above 10"


def test_hedging_order_reduces_only_the_position_that_it_names() -> None:
    holding = Holding(long=D(4), short=D(6))
    unnamed, named = Intent(True, D(6), is_market=True), Intent(True, D(6), is_market=True, target=D(6))
    larger = Intent(True, D(8), is_market=True, target=D(6))

    assert measure_opening(unnamed, holding, is_netting=False) == 6
    assert measure_opening(named, holding, is_netting=False) == 0
    assert check_position(D(5), unnamed, holding, is_netting=False) is not None
    assert check_position(D(5), named, holding, is_netting=False) is None
    assert check_position(D(5), larger, holding, is_netting=False) is not None


def test_reducing_refuses_an_order_larger_than_the_position() -> None:
    holding = Holding(long=D(5))
    fits, oversize = (Intent(False, D(q), is_reduce_only=True) for q in (5, 6))

    assert check_state(TradingState.REDUCING, fits, holding) is None
    reason = check_state(TradingState.REDUCING, oversize, holding)
    assert reason == "the gate is REDUCING: 6 is more than the position of 5"
    assert check_state(TradingState.REDUCING, Intent(False, D(5)), holding) is not None


def test_halted_lets_nothing_pass() -> None:
    intent = Intent(False, D(1), is_reduce_only=True)

    assert check_state(TradingState.HALTED, intent, Holding(long=D(5))) is not None


def test_reason_says_why_the_gate_is_not_open() -> None:
    holding = Holding(long=D(5))

    reason = check_state(TradingState.REDUCING, Intent(True, D(1)), holding, "equity is unknown")
    assert reason == "the gate is REDUCING (equity is unknown): the order is not reduce-only"
    close = Intent(False, D(5), is_reduce_only=True)
    assert check_state(TradingState.REDUCING, close, holding, "equity is unknown") is None


@pytest.mark.parametrize(
    ("quantity", "held", "asked", "is_allowed"),
    [(5, 5, 0, True), (6, 5, 0, False), (3, 5, 2, True), (4, 5, 2, False), (1, 0, 0, False)],
)
def test_closing_order_is_never_larger_than_what_nothing_else_closes(
    quantity: int, held: int, asked: int, is_allowed: bool
) -> None:
    for flags in ({"is_reduce_only": True}, {"is_market": True}):
        intent = Intent(False, D(quantity), **flags)
        assert (check_closing(intent, D(held), D(asked)) is None) == is_allowed


def test_closing_order_that_may_rest_and_open_something_is_none() -> None:
    assert check_closing(Intent(False, D(1)), D(5), D(0)) is not None


@pytest.mark.parametrize(
    ("held", "opening", "is_allowed"),
    [
        (D(60), D(40), True),
        (D(60), D("40.01"), False),
        (None, D(1), False),
        (D(60), None, False),
        (None, D(0), True),
    ],
)
def test_amount_unknown_or_above_its_limit_is_refused(
    held: Decimal | None, opening: Decimal | None, is_allowed: bool
) -> None:
    assert (check_amount("gross exposure", D(100), held, opening) is None) == is_allowed
