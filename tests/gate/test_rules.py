from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.gate.limits import Limits, parse_limits
from workbench.gate.rules import (
    Breach,
    GateState,
    Holding,
    Intent,
    TradingState,
    check_exposure,
    check_position,
    check_state,
    measure_opening,
    observe,
)

D = Decimal
DAY_NS = 86_400_000_000_000
NOON_NS = DAY_NS // 2


# -- POSITIONS ------------------------------------------------------------------------------------


class Account:
    """An account with one instrument and one position, whose orders may fill in any order and by any part."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.orders: list[tuple[bool, bool, int]] = []  # Is a buy, only reduces, unfilled

    def hold(self) -> Holding:
        def total(*, is_buy: bool, is_reducing: bool) -> Decimal:
            return D(sum(q for b, r, q in self.orders if b == is_buy and r == is_reducing))

        return Holding(
            long=D(max(self.position, 0)),
            short=D(max(-self.position, 0)),
            buys=total(is_buy=True, is_reducing=False),
            sells=total(is_buy=False, is_reducing=False),
            reducing_buys=total(is_buy=True, is_reducing=True),
            reducing_sells=total(is_buy=False, is_reducing=True),
        )

    def fill(self, number: int, quantity: int) -> None:
        is_buy, is_reducing, left = self.orders[number]
        done = min(quantity, left)
        if is_reducing:  # A venue fills no more than there is to reduce
            done = min(done, max(-self.position, 0) if is_buy else max(self.position, 0))
        self.position += done if is_buy else -done
        self.orders[number] = (is_buy, is_reducing, left - done)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.booleans(), st.booleans(), st.integers(1, 12)),
        st.tuples(st.just("fill"), st.integers(0, 20), st.integers(1, 12), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.none(), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, most=st.integers(0, 15))
def test_position_never_passes_its_limit_however_orders_fill(steps: list[Any], most: int) -> None:
    account = Account(0)
    for kind, first, second, third in steps:
        if kind == "order":
            intent = Intent(is_buy=first, quantity=D(third), is_reduce_only=second)
            if check_position(D(most), intent, account.hold(), is_netting=True) is None:
                account.orders.append((first, second, third))
        elif account.orders and kind == "fill":
            account.fill(first % len(account.orders), second)
        elif account.orders:
            account.orders.pop(first % len(account.orders))
        assert abs(account.position) <= most


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, position=st.integers(-15, 15))
def test_reducing_never_adds_to_a_position_nor_turns_it(steps: list[Any], position: int) -> None:
    account = Account(position)
    for kind, first, second, third in steps:
        before = account.position
        if kind == "order":
            intent = Intent(is_buy=first, quantity=D(third), is_reduce_only=second)
            if check_state(TradingState.REDUCING, intent, account.hold(), is_netting=True) is None:
                account.orders.append((first, second, third))
        elif account.orders and kind == "fill":
            account.fill(first % len(account.orders), second)
        elif account.orders:
            account.orders.pop(first % len(account.orders))
        assert abs(account.position) <= abs(before)
        assert account.position * before >= 0


def test_order_at_the_limit_passes_and_one_unit_more_does_not() -> None:
    holding = Holding(long=D(3), buys=D(2))

    assert check_position(D(10), Intent(True, D(5)), holding, is_netting=True) is None
    reason = check_position(D(10), Intent(True, D("5.001")), holding, is_netting=True)
    assert reason == "10.001 long would be more than the limit of 10"


def test_position_above_a_lowered_limit_may_be_reduced_only() -> None:
    holding = Holding(long=D(20))

    assert check_position(D(10), Intent(False, D(20)), holding, is_netting=True) is None
    assert check_position(D(10), Intent(False, D(30)), holding, is_netting=True) is None, (
        "10 short is allowed"
    )
    assert check_position(D(10), Intent(False, D(31)), holding, is_netting=True) is not None
    assert check_position(D(10), Intent(True, D(1)), holding, is_netting=True) is not None


def test_hedging_order_reduces_only_the_position_that_it_names() -> None:
    holding = Holding(long=D(4), short=D(6))
    unnamed, named = Intent(True, D(6)), Intent(True, D(6), target=D(6))

    assert measure_opening(unnamed, holding, is_netting=False) == 6
    assert measure_opening(named, holding, is_netting=False) == 0
    assert check_position(D(5), unnamed, holding, is_netting=False) is not None
    assert check_position(D(5), named, holding, is_netting=False) is None
    assert check_position(D(5), Intent(True, D(8), target=D(6)), holding, is_netting=False) is not None


@pytest.mark.parametrize("is_netting", [True, False])
def test_reducing_refuses_an_order_larger_than_the_position(is_netting: bool) -> None:
    holding = Holding(long=D(5))
    fits, oversize = (Intent(False, D(q), is_reduce_only=True) for q in (5, 6))

    assert check_state(TradingState.REDUCING, fits, holding, is_netting=is_netting) is None
    reason = check_state(TradingState.REDUCING, oversize, holding, is_netting=is_netting)
    assert reason == "the gate is REDUCING: 6 is more than the position of 5"
    assert check_state(TradingState.REDUCING, Intent(True, D(1)), holding, is_netting=is_netting) is not None


def test_halted_lets_nothing_pass() -> None:
    intent = Intent(False, D(1), is_reduce_only=True)

    assert check_state(TradingState.HALTED, intent, Holding(long=D(5)), is_netting=True) is not None


def test_unknown_equity_takes_no_new_risk_where_a_loss_is_limited() -> None:
    buy, close = Intent(True, D(1)), Intent(False, D(5))
    holding = Holding(long=D(5))

    reason = check_state(TradingState.ACTIVE, buy, holding, is_netting=True, is_unknown=True)
    assert reason == "equity is unknown: 1 of 1 would be new risk"
    assert check_state(TradingState.ACTIVE, close, holding, is_netting=True, is_unknown=True) is None


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
def test_exposure_unknown_or_above_its_limit_is_refused(
    held: Decimal | None, opening: Decimal | None, is_allowed: bool
) -> None:
    assert (check_exposure(D(100), held, opening) is None) == is_allowed


# -- LOSSES ---------------------------------------------------------------------------------------


def _observe(limits: Limits, *points: tuple[int, int | None]) -> list[GateState]:
    states = [GateState()]
    for ts_ns, equity in points:
        states.append(observe(limits, states[-1], ts_ns, None if equity is None else D(equity)))
    return states[1:]


def test_daily_loss_reached_reduces_until_the_next_day() -> None:
    limits = parse_limits(max_daily_loss="50")

    states = _observe(
        limits, (0, 1000), (NOON_NS, 951), (NOON_NS + 1, 950), (NOON_NS + 2, 990), (DAY_NS, 990)
    )

    assert [s.breach for s in states] == [None, None, Breach.DAILY_LOSS, Breach.DAILY_LOSS, None]
    assert states[2].effective == TradingState.REDUCING
    assert states[-1].day_equity == 990, "the next day begins with the last equity of this one"


def test_loss_over_night_counts_to_the_new_day() -> None:
    limits = parse_limits(max_daily_loss="50")

    states = _observe(limits, (NOON_NS, 1000), (DAY_NS + 1, 940))

    assert states[-1].breach == Breach.DAILY_LOSS


def test_drawdown_reached_stays_for_good() -> None:
    limits = parse_limits(max_drawdown="0.1")

    states = _observe(limits, (0, 1000), (1, 2000), (2, 1801), (3, 1800), (DAY_NS, 5000))

    assert [s.breach for s in states] == [None, None, None, Breach.DRAWDOWN, Breach.DRAWDOWN]


def test_missing_equity_changes_nothing() -> None:
    (known, unknown) = _observe(parse_limits(max_daily_loss="50"), (0, 1000), (1, None))

    assert known == unknown


def test_halt_asked_for_outlives_a_breach() -> None:
    state = GateState(requested=TradingState.HALTED, breach=Breach.DRAWDOWN)

    assert state.effective == TradingState.HALTED


def test_day_of_new_york_begins_at_five_in_summer_and_in_winter() -> None:
    limits = parse_limits(max_daily_loss="1", day_start="17:00", day_zone="America/New_York")

    def find_day(text: str) -> str:
        return observe(limits, GateState(), pd.Timestamp(text).value, D(1)).day

    assert find_day("2012-02-01T21:59Z") == "2012-01-31"
    assert find_day("2012-02-01T22:00Z") == "2012-02-01"
    assert find_day("2012-07-01T20:59Z") == "2012-06-30"
    assert find_day("2012-07-01T21:00Z") == "2012-07-01"


@given(equities=st.lists(st.integers(-50, 2000), min_size=1, max_size=40), most=st.integers(1, 500))
def test_breach_of_the_day_is_seen_at_the_first_equity_that_reaches_it(
    equities: list[int], most: int
) -> None:
    states = _observe(parse_limits(max_daily_loss=str(most)), *((i, e) for i, e in enumerate(equities)))

    first = next((i for i, e in enumerate(equities) if equities[0] - e >= most), None)
    assert [i for i, s in enumerate(states) if s.breach is not None] == (
        [] if first is None else list(range(first, len(equities)))
    )
