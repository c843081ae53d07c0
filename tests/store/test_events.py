from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.store.jobs import build_job
from workbench.records import JobEvent
from workbench.states import JobState
from workbench.store import Store

WRITERS = 4
JOBS = 25


def test_events_are_found_after_a_number_in_order(store: Store) -> None:
    for number in range(5):
        store.add_job(build_job(f"j{number}", spec={"x": 1}))

    assert [e.job.id for e in store.find_events(2)] == ["j2", "j3", "j4"]
    assert [e.seq for e in store.find_events(1, limit=2)] == [2, 3]
    assert all(e.job.spec == {} and e.job.seq == e.seq for e in store.find_events(0))
    assert store.find_events(5) == store.find_events(10**30) == []
    assert len(store.find_events(-(10**30), limit=10**30)) == 5
    assert len(store.find_events(0, limit=-1)) == 1


def test_event_is_the_job_as_it_was(store: Store) -> None:
    store.add_job(build_job("a", name="first"))
    store.update_job("a", state=JobState.RUNNING)
    store.update_job("a", name="second")

    assert [(e.job.name, e.job.state) for e in store.find_events(0)] == [
        ("first", JobState.PENDING),
        ("first", JobState.RUNNING),
    ]


@pytest.mark.parametrize(("keep", "left"), [(0, []), (2, [4, 5]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])])
def test_pruned_events_leave_the_latest(store: Store, keep: int, left: list[int]) -> None:
    for number in range(5):
        store.add_job(build_job(f"j{number}"))

    assert store.prune_events(keep) == 5 - len(left)
    assert [e.seq for e in store.find_events(0)] == left
    assert store.find_event_bounds() == ((left[0], left[-1]) if left else (0, 0))
    assert store.add_job(build_job("next")).seq == 6


def test_reader_beside_many_writers_misses_no_event(url: str) -> None:
    # Two stores, as in two processes: only the database itself can keep the numbers in order.
    stores = [Store.open(url), Store.open(url)]
    total = WRITERS * JOBS * 2
    started = threading.Barrier(WRITERS + 1, timeout=30)

    def write(writer: int) -> None:
        store = stores[writer % 2]
        started.wait()
        for number in range(JOBS):
            store.add_job(build_job(f"{writer}-{number}"))
            store.update_job(f"{writer}-{number}", expected=JobState.PENDING, state=JobState.RUNNING)

    def read() -> list[JobEvent]:
        seen: list[JobEvent] = []
        started.wait()
        while len(seen) < total and not (done.is_set() and not stores[0].find_events(last(seen))):
            seen += stores[0].find_events(last(seen), limit=7)
        return seen

    def last(seen: list[JobEvent]) -> int:
        return seen[-1].seq if seen else 0

    done = threading.Event()
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader = pool.submit(read)
        writers = [pool.submit(write, writer) for writer in range(WRITERS)]
        try:
            for future in writers:
                future.result(120)
        finally:
            done.set()
        seen = reader.result(60)
    for store in stores:
        store.close()

    assert [event.seq for event in seen] == list(range(1, total + 1))
    latest = {event.job.id: event.job.state for event in seen}
    assert latest == {f"{w}-{n}": JobState.RUNNING for w in range(WRITERS) for n in range(JOBS)}


def test_expected_state_is_won_by_one_of_many(url: str) -> None:
    stores = [Store.open(url), Store.open(url)]
    stores[0].add_job(build_job("a"))
    started = threading.Barrier(WRITERS, timeout=30)

    def take(number: int) -> str:
        started.wait()
        try:
            stores[number % 2].update_job("a", expected=JobState.PENDING, state=JobState.RUNNING)
        except Exception as error:  # noqa: BLE001 - its kind is what is looked at
            return type(error).__name__
        return "won"

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = sorted(pool.map(take, range(WRITERS)))
    for store in stores:
        store.close()

    assert outcomes == ["ConflictError"] * (WRITERS - 1) + ["won"]
