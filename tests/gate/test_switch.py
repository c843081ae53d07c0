from __future__ import annotations

import threading

from workbench.gate.rules import TradingState
from workbench.gate.switch import OPEN, Stand, Switch

ACTIVE, REDUCING, HALTED = TradingState


def test_strictest_holds_whatever_is_asked_for() -> None:
    switch = Switch()
    assert switch.now is OPEN

    switch.restrict("journal", REDUCING, "the disk is full")
    switch.request(ACTIVE, "go on")
    assert switch.now == Stand(REDUCING, "the disk is full")

    switch.restrict("emergency stop", HALTED, "pulled")
    assert switch.now == Stand(HALTED, "pulled")

    switch.lift("emergency stop")
    assert switch.now == Stand(REDUCING, "the disk is full")

    switch.request(HALTED, "by hand")
    switch.lift("journal")
    assert switch.now == Stand(HALTED, "by hand")

    switch.request(ACTIVE, "go on")
    assert switch.now is OPEN


def test_restriction_is_new_only_once_and_lifted_only_once() -> None:
    switch = Switch()
    assert switch.restrict("journal", REDUCING, "slow")
    assert not switch.restrict("journal", REDUCING, "full")
    assert switch.now.why == "full"
    assert switch.restrict("journal", HALTED, "gone")
    assert switch.lift("journal")
    assert not switch.lift("journal")


def test_threads_that_turn_it_at_once_lose_nothing() -> None:
    switch = Switch()
    barrier = threading.Barrier(8)

    def turn(number: int) -> None:
        barrier.wait()
        for _ in range(500):
            switch.restrict(f"source {number}", REDUCING, "a")
            switch.request(HALTED, "b")
            assert switch.now.state == HALTED, "nobody asks for less"
            switch.lift(f"source {number}")
        if number == 0:
            switch.restrict("stays", REDUCING, "c")

    switch.request(HALTED, "b")
    threads = [threading.Thread(target=turn, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(switch.restrictions) == ["stays"]
    switch.request(ACTIVE, "d")
    assert switch.now == Stand(REDUCING, "c")
