from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.gate.limits import Limits, parse_limits
from workbench.gate.losses import Breach, Losses, observe

D = Decimal
DAY_NS = 86_400_000_000_000
NOON_NS = DAY_NS // 2


def _observe(limits: Limits, *points: tuple[int, int | None]) -> list[Losses]:
    states = [Losses()]
    for ts_ns, equity in points:
        states.append(observe(limits, states[-1], ts_ns, None if equity is None else D(equity)))
    return states[1:]


def test_daily_loss_reached_reduces_until_the_next_day() -> None:
    limits = parse_limits(max_daily_loss="50")

    states = _observe(
        limits, (0, 1000), (NOON_NS, 951), (NOON_NS + 1, 950), (NOON_NS + 2, 990), (DAY_NS, 990)
    )

    assert [s.breach for s in states] == [None, None, Breach.DAILY_LOSS, Breach.DAILY_LOSS, None]
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


@pytest.mark.parametrize(
    "day", [{"day_start": "17:00", "day_zone": "America/New_York"}, {"day_start": "NEW_YORK_CLOSE"}]
)
def test_day_of_new_york_begins_at_five_in_summer_and_in_winter(day: dict[str, str]) -> None:
    limits = parse_limits(max_daily_loss="1", **day)

    def find_day(text: str) -> str:
        return observe(limits, Losses(), pd.Timestamp(text).value, D(1)).day

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
