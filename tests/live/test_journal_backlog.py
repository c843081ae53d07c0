from __future__ import annotations

import msgspec

from workbench.live.journal_backlog import Backlog, Entry, JournalBounds


def build(kind: str, *, is_essential: bool) -> Entry:
    return (1, kind, "", b"{}", is_essential)


DATA = build("data", is_essential=False)
ORDER = build("order", is_essential=True)


def test_what_is_not_essential_is_dropped_first() -> None:
    backlog = Backlog(JournalBounds(soft_events=2, hard_events=4))

    assert [backlog.add(DATA) for _ in range(3)] == [True, True, False]
    assert backlog.is_long
    assert [backlog.add(ORDER) for _ in range(3)] == [True, True, False]
    assert (len(backlog), backlog.accepted) == (4, 4)


def test_drops_are_told_once_after_what_was_there() -> None:
    backlog = Backlog(JournalBounds(soft_events=2, hard_events=3))
    for entry in (DATA, DATA, DATA, ORDER, ORDER):
        backlog.add(entry)

    first = backlog.take(2)
    assert first[:2] == [DATA, DATA]
    (alarm,) = first[2:]
    assert alarm[1:3] == ("alarm", "JournalDropped")
    assert msgspec.json.decode(alarm[3]) == {"dropped": {"data": 1, "order": 1}, "essential": 1}
    assert alarm[4], "and is never dropped itself"
    assert backlog.take(10) == [ORDER]
    assert backlog.accepted == 4, "three, and the alarm"


def test_room_comes_back_as_events_are_taken() -> None:
    backlog = Backlog(JournalBounds(soft_bytes=1_000, hard_bytes=1_000))
    big = (1, "order", "", bytes(900), True)

    for _ in range(3):
        assert backlog.add(big)
        assert not backlog.add(big)
        assert not backlog.add(DATA)
        assert backlog.take(1)[0] == big
        assert not backlog.is_long


def test_forced_event_is_taken_in_whatever_the_bounds() -> None:
    backlog = Backlog(JournalBounds(soft_events=0, hard_events=0))
    backlog.force(ORDER)
    assert backlog.take(5) == [ORDER]
