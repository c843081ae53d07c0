from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.engine_records import Gap
from workbench.live.journal import Journal, JournalBounds, Subscription

COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12)),
        st.tuples(st.just("append data"), st.integers(1, 12)),
        st.tuples(st.just("take"), st.integers(1, 20)),
        st.tuples(st.just("resubscribe"), st.just(0)),
    ),
    max_size=25,
)


def ignore() -> None:
    """Be woken and do nothing."""


def append(journal: Journal, count: int, *, is_essential: bool = True) -> None:
    for _ in range(count):
        journal.append("order" if is_essential else "data", "", b"{}", is_essential=is_essential)
    assert journal.flush()


def drain(subscription: Subscription) -> list[int]:
    seqs: list[int] = []
    while events := subscription.take():
        seqs += [e.seq for e in events]
    return seqs


@settings(max_examples=5 * COUNT, deadline=None)
@given(actions=ACTIONS, limit_events=st.sampled_from([1_000_000, 15]))
def test_any_interleaving_shows_each_event_once(actions: list[tuple[str, int]], limit_events: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        bounds = JournalBounds(recent_events=5)
        journal = Journal.open(
            Path(name) / "journal.sqlite", incarnation=1, limit_events=limit_events, bounds=bounds
        )
        essential: set[int] = set()
        seen: list[int] = []
        dropped = gone = place = 0
        missing: set[int] = set()
        with journal:
            subscription = journal.subscribe(ignore, after=0)

            def take(limit: int) -> int:
                nonlocal dropped, gone, place
                events = subscription.take(limit)
                assert len(events) <= limit
                if (gap := subscription.gap) is not None:
                    assert gap.first > gap.requested > place
                    assert not events or events[0].seq >= gap.first
                    gone += gap.first - gap.requested
                    missing.update(range(gap.requested, gap.first))
                seen.extend(e.seq for e in events)
                dropped += subscription.dropped
                place = subscription.after or 0
                return len(events)

            for action, number in [*actions, ("append", 1), ("append data", 1)]:
                if action.startswith("append"):
                    is_essential = action == "append"
                    append(journal, number, is_essential=is_essential)
                    if is_essential:
                        essential |= set(range(journal.last_seq - number + 1, journal.last_seq + 1))
                elif action == "take":
                    take(number)
                else:
                    subscription.close()
                    subscription = journal.subscribe(ignore, after=place)
            while take(7):
                pass
            assert seen == sorted(set(seen)), "each once, in order"
            assert essential - missing <= set(seen), "nothing essential is dropped"
            assert len(seen) + dropped + gone == journal.last_seq, "and the listener is told of the rest"
            assert place == journal.last_seq
            if limit_events > journal.last_seq:
                assert gone == 0
            subscription.close()


def test_subscription_without_a_number_begins_now(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1) as journal:
        append(journal, 5)
        subscription = journal.subscribe(ignore, after=None)
        assert subscription.take() == []
        append(journal, 2)
        assert drain(subscription) == [6, 7]
        assert subscription.gap is None


def test_listener_is_woken_once_until_it_takes(tmp_path: Path) -> None:
    woken: list[int] = []
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1) as journal:
        subscription = journal.subscribe(lambda: woken.append(journal.last_seq), after=0)
        append(journal, 1)
        append(journal, 1)
        assert woken == [1], "what it is told of is there"
        assert drain(subscription) == [1, 2]
        append(journal, 1)
        assert woken == [1, 3]
        assert drain(subscription) == [3]
        subscription.close()
        append(journal, 1)
        assert woken == [1, 3]


def test_listener_that_cannot_be_woken_holds_up_nobody(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("the loop is closed")

    with Journal.open(tmp_path / "journal.sqlite", incarnation=1) as journal:
        broken = journal.subscribe(fail, after=0)
        woken = threading.Event()
        sound = journal.subscribe(woken.set, after=0)
        append(journal, 3)
        assert woken.wait(10)
        assert drain(sound) == drain(broken) == [1, 2, 3]
        assert journal.trouble is None


def test_number_that_is_too_old_gives_a_gap_at_once(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1, limit_events=10) as journal:
        append(journal, 50)
    with Journal.open(tmp_path / "journal.sqlite", incarnation=2, limit_events=10) as journal:
        subscription = journal.subscribe(ignore, after=20)
        assert subscription.gap == Gap(requested=21, first=41)
        append(journal, 3)  # Three more go before it takes
        events = subscription.take()
        assert subscription.gap == Gap(requested=21, first=44)
        assert [e.seq for e in events] + drain(subscription) == list(range(44, 54))
        assert subscription.gap is None


def test_number_that_the_journal_has_not_come_to_gives_a_gap(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1) as journal:
        append(journal, 5)
        subscription = journal.subscribe(ignore, after=100)
        assert subscription.gap == Gap(requested=101, first=1)
        assert drain(subscription) == [1, 2, 3, 4, 5]


def test_slow_listener_misses_only_data_and_is_told(tmp_path: Path) -> None:
    bounds = JournalBounds(recent_events=10)
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1, bounds=bounds) as journal:
        append(journal, 20, is_essential=False)
        slow = journal.subscribe(ignore, after=0)
        for _ in range(10):
            append(journal, 3)
            append(journal, 7, is_essential=False)

        seqs, dropped = [], 0
        while events := slow.take(8):
            seqs += [e.seq for e in events]
            dropped += slow.dropped

    assert seqs[:20] == list(range(1, 21)), "what was there when it came is given whole"
    orders = {20 + 10 * lap + i for lap in range(10) for i in (1, 2, 3)}
    assert orders <= set(seqs)
    assert dropped == 120 - len(seqs) > 50
    assert seqs[-7:] == list(range(114, 121)), "the newest are given whole"


def test_memory_of_the_feed_is_bounded(tmp_path: Path) -> None:
    bounds = JournalBounds(recent_events=1_000_000, recent_bytes=50_000)
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1, bounds=bounds) as journal:
        slow = journal.subscribe(ignore, after=0)
        for _ in range(20):
            for _ in range(10):
                journal.append("data", "", bytes(1_000), is_essential=False)
            assert journal.flush()
        slow.take()
        assert 150 <= slow.dropped < 200


def test_listener_that_came_before_the_file_could_be_opened_misses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    folder.write_text("a file where a directory should be")
    with Journal.open(folder / "journal.sqlite", incarnation=1) as journal:
        assert journal.trouble is not None
        early = journal.subscribe(ignore, after=None)
        assert early.take() == []
        journal.append("order", "", b"{}")
        assert not journal.flush(0.3)
        folder.unlink()
        assert journal.flush(20)
        assert drain(early)[0] == 1
        assert journal.trouble is None
