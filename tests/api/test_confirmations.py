"""A token confirms one change of one person once, within its time."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.api.confirmations import LIFE_SECS, Confirmations

CHANGE = {"engine": "default", "action": "start", "version": 3}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> Confirmations:
    return Confirmations(clock=clock)


def test_token_is_good_for_its_change_and_person(desk: Confirmations) -> None:
    assert desk.redeem(desk.issue(CHANGE, "ann"), dict(reversed(CHANGE.items())), "ann") == ""


def test_token_is_good_once(desk: Confirmations) -> None:
    token = desk.issue(CHANGE, "ann")

    assert desk.redeem(token, CHANGE, "ann") == ""
    assert "used" in desk.redeem(token, CHANGE, "ann")


@pytest.mark.parametrize(("secs", "is_good"), [(LIFE_SECS - 0.01, True), (LIFE_SECS, False), (1e6, False)])
def test_token_ends_after_a_minute(desk: Confirmations, clock: Clock, secs: float, is_good: bool) -> None:
    token = desk.issue(CHANGE, "ann")
    clock.now += secs

    assert (desk.redeem(token, CHANGE, "ann") == "") is is_good


def test_used_token_is_not_good_again_while_others_come_and_go(desk: Confirmations, clock: Clock) -> None:
    token = desk.issue(CHANGE, "ann")
    assert desk.redeem(token, CHANGE, "ann") == ""
    for _ in range(50):
        clock.now += 1
        assert desk.redeem(desk.issue(CHANGE, "ann"), CHANGE, "ann") == ""
    assert desk.redeem(token, CHANGE, "ann") != ""


@pytest.mark.parametrize(
    ("change", "user"),
    [
        (CHANGE, "bob"),
        ({**CHANGE, "version": 4}, "ann"),
        ({**CHANGE, "engine": "other"}, "ann"),
        ({**CHANGE, "more": None}, "ann"),
        ([CHANGE], "ann"),
    ],
)
def test_token_is_not_good_for_anything_else_and_is_not_used_up_by_that(
    desk: Confirmations, change: Any, user: str
) -> None:
    token = desk.issue(CHANGE, "ann")

    assert "another change" in desk.redeem(token, change, user)
    assert desk.redeem(token, CHANGE, "ann") == ""


def test_token_of_another_server_is_not_good(desk: Confirmations, clock: Clock) -> None:
    assert desk.redeem(Confirmations(clock=clock).issue(CHANGE, "ann"), CHANGE, "ann") != ""


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    assert Confirmations().redeem(text, CHANGE, "ann") != ""


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 74), bit=st.integers(0, 5))
def test_changed_token_is_refused(place: int, bit: int) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    desk = Confirmations()
    token = desk.issue(CHANGE, "ann")
    other = token[:place] + letters[letters.index(token[place]) ^ (1 << bit)] + token[place + 1 :]

    # Only the spare bits of the last letter mean nothing.
    assert desk.redeem(other, CHANGE, "ann") != "" or place == len(token.rstrip("=")) - 1


def test_of_many_that_redeem_at_once_one_succeeds() -> None:
    desk = Confirmations()
    token = desk.issue(CHANGE, "ann")
    barrier, found = threading.Barrier(8), []

    def redeem() -> None:
        barrier.wait()
        found.append(desk.redeem(token, CHANGE, "ann"))

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count("") == 1
