"""Sessions last as long as they may, and tries that fail are held off."""

from __future__ import annotations

import pytest

from workbench.ui.jupyter.sessions import Attempts, Person, Session, Sessions

ADA = Person("ada", "trader")
BOB = Person("bob", "viewer")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(100.0, clock=clock)


def test_session_is_found_until_its_time_is_over(sessions: Sessions, clock: Clock) -> None:
    session = sessions.begin(ADA, "wb_1")

    clock.now += 99.9
    assert sessions.find(session.id) is session
    assert sessions.take_expired() == []
    clock.now += 0.2
    assert sessions.find(session.id) is None
    assert sessions.take_expired() == [session]
    assert (session.is_over, list(sessions), sessions.take_expired()) == (True, [], [])


def test_sessions_are_hard_to_guess_and_keep_secrets_to_themselves(sessions: Sessions) -> None:
    first, second = sessions.begin(ADA, "wb_1"), sessions.begin(ADA, "wb_1")

    assert first.id != second.id
    assert len(first.id) == 43
    assert sessions.find(first.id[:-1]) is None
    assert sessions.find("") is None
    assert "wb_1" not in repr(first)
    assert first.id not in repr(first)


def test_sign_in_again_in_the_same_browser_makes_it_longer(sessions: Sessions, clock: Clock) -> None:
    session = sessions.begin(ADA, "wb_1")
    clock.now += 60

    again = sessions.begin(Person("ada", "viewer"), "wb_2", session)

    assert again is session
    assert (again.person.role, again.token, again.expires_at) == ("viewer", "wb_2", clock.now + 100)


def test_somebody_else_in_the_same_browser_has_a_session_of_their_own(sessions: Sessions) -> None:
    session = sessions.begin(ADA, "wb_1")

    other = sessions.begin(BOB, "wb_2", session)

    assert other is not session
    assert (session.person, session.token) == (ADA, "wb_1")


@pytest.mark.parametrize("how", ["ended", "expired"])
def test_session_that_is_over_is_not_made_longer(sessions: Sessions, clock: Clock, how: str) -> None:
    session = sessions.begin(ADA, "wb_1")
    if how == "ended":
        sessions.end(session)
    else:
        clock.now += 101

    assert sessions.begin(ADA, "wb_1", session) is not session


def test_answer_of_the_server_counts_for_a_moment(sessions: Sessions, clock: Clock) -> None:
    session: Session = sessions.begin(ADA, "wb_1")
    clock.now += 3
    assert sessions.is_fresh(session, 5)
    assert not sessions.is_fresh(session, 2)

    sessions.note_check(session, BOB)

    assert sessions.is_fresh(session, 2)
    assert session.person is BOB
    clock.now -= 10  # A clock that was set back says nothing
    assert not sessions.is_fresh(session, 2)


def test_some_tries_may_fail_and_then_one_every_while(clock: Clock) -> None:
    attempts = Attempts(3, 5.0, clock=clock)
    for _ in range(3):
        assert attempts.wait_secs == 0
        attempts.note_failure()

    assert attempts.wait_secs == pytest.approx(5.0)
    clock.now += 4
    assert attempts.wait_secs == pytest.approx(1.0)
    clock.now += 1
    assert attempts.wait_secs == 0
    attempts.note_failure()
    assert attempts.wait_secs == pytest.approx(5.0)
    clock.now += 1_000
    for _ in range(3):
        attempts.note_failure()
    assert attempts.wait_secs > 0
