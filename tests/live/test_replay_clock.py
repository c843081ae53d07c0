from __future__ import annotations

import pytest

from workbench.live.replay_clock import LOOP_GAP_NS, ReplayClock

FIRST = 1_328_054_460_000_000_000


def test_clock_scales_exactly_over_years() -> None:
    clock = ReplayClock(FIRST, FIRST + 10**17, 3.0)
    clock.start(1_000)

    assert clock.find_due(10**17) == 1_000 + 10**17 // 3
    assert clock.find_position(clock.find_due(3 * 10**15)) == 3 * 10**15


def test_clock_goes_on_through_loops() -> None:
    clock = ReplayClock(FIRST, FIRST + 1_000, 0.5)
    clock.start(0)

    last, first = clock.locate(FIRST + 1_000, 0), clock.locate(FIRST, 1)

    assert first - last == LOOP_GAP_NS
    assert clock.find_due(first) == 2 * first
    assert clock.find_stamp(first + 7) == FIRST + 7


def test_clock_slips_and_never_goes_back() -> None:
    clock = ReplayClock(FIRST, FIRST + 1_000, 2.0)
    clock.start(100)
    clock.start(900)  # It runs already

    assert clock.find_due(50) == 125
    clock.slip(1_000)
    assert clock.find_due(50) == 1_125
    assert clock.slipped_ns == 1_000


@pytest.mark.parametrize("speed", [0.1, 1.0, 1e6])
def test_clock_keeps_the_order_of_positions(speed: float) -> None:
    clock = ReplayClock(FIRST, FIRST + 10**9, speed)
    clock.start(0)

    dues = [clock.find_due(position) for position in range(0, 10**7, 999_983)]

    assert dues == sorted(dues)
