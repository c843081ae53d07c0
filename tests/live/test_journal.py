from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from workbench.engine_records import EngineEvent
from workbench.errors import ConflictError, InputError
from workbench.live.journal import Journal, JournalBounds, JournalReader

DEADLINE_SECS = 30.0


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def read_all(path: Path) -> list[EngineEvent]:
    with JournalReader(path) as reader:
        return reader.read(limit=1_000_000)


def append(journal: Journal, count: int, kind: str = "order", **options: Any) -> None:
    for i in range(count):
        journal.append(kind, f"{kind} {i}", b'{"i":%d}' % i, **options)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the file so that nothing can be written: the disk does not answer."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_event_is_on_disk_as_it_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "new" / "journal.sqlite"
    before = time.time_ns()
    with Journal.open(path, incarnation=7) as journal:
        assert (journal.first_seq, journal.last_seq) == (1, 0)
        journal.append("order", "OrderFilled", b'{"price":"1.10"}', ts_ns=42)
        journal.append("log", "Grüße \ud800", b"null", is_essential=False)
        assert journal.flush()
        assert (journal.first_seq, journal.last_seq, journal.trouble) == (1, 2, None)

        first, second = read_all(path)

    assert first == EngineEvent(
        seq=1,
        ts_ns=42,
        incarnation=7,
        kind="order",
        name="OrderFilled",
        body=msgspec.Raw(b'{"price":"1.10"}'),
    )
    assert (second.name, bytes(second.body)) == ("Grüße ?", b"null")
    assert before <= second.ts_ns <= time.time_ns()
    assert msgspec.json.decode(msgspec.json.encode(first))["body"] == {"price": "1.10"}


def test_numbers_go_on_across_incarnations(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    for incarnation in (1, 2, 3):
        with Journal.open(path, incarnation=incarnation) as journal:
            append(journal, 5)
            assert journal.close()

    events = read_all(path)

    assert [(e.seq, e.incarnation) for e in events] == [(i + 1, i // 5 + 1) for i in range(15)]


def test_threads_append_without_holes_and_listeners_see_each_event_once(tmp_path: Path) -> None:
    bounds = JournalBounds(recent_events=50, recent_bytes=1_000_000)
    seen: list[list[EngineEvent]] = [[], [], []]
    with Journal.open(tmp_path / "journal.sqlite", incarnation=1, bounds=bounds) as journal:

        def listen(number: int) -> None:
            woken = threading.Event()
            with journal.subscribe(woken.set, after=0) as listener:
                while len(seen[number]) < 4_000 and woken.wait(DEADLINE_SECS):
                    woken.clear()
                    while events := listener.take(1 if number == 0 else 70):
                        seen[number] += events
                        assert (listener.gap, listener.dropped) == (None, 0)

        threads = [threading.Thread(target=append, args=(journal, 1_000, f"k{i}")) for i in range(4)]
        threads += [threading.Thread(target=listen, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for events in seen:
        assert [e.seq for e in events] == list(range(1, 4_001))
        for kind in ("k0", "k1", "k2", "k3"):
            assert [e.name for e in events if e.kind == kind] == [f"{kind} {i}" for i in range(1_000)]


def test_append_does_not_wait_for_a_disk_that_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    told: list[str] = []
    bounds = JournalBounds(stall_secs=0.1)
    with Journal.open(path, incarnation=1, on_trouble=told.append, bounds=bounds) as journal:
        assert journal.trouble is None
        with held(path):
            began = time.monotonic()
            append(journal, 100)
            assert time.monotonic() - began < 1.0
            wait_for(lambda: journal.trouble)
            assert "not answered" in str(journal.trouble)
            assert not journal.flush(0.0)
            assert journal.last_seq == 0, "nobody is told of what is not on disk"
            wait_for(lambda: "locked" in str(journal.trouble))  # SQLite has given up once
        assert journal.flush(DEADLINE_SECS)
        wait_for(lambda: journal.trouble is None and journal.last_seq == 101)

    assert len(told) == 1, "told once"
    events = read_all(path)
    assert [e.name for e in events] == [f"order {i}" for i in range(100)] + ["JournalResumed"]
    body = msgspec.json.decode(events[-1].body)
    assert "locked" in body["trouble"]
    assert body["secs"] > 0


def test_memory_is_bounded_and_what_is_dropped_is_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    told: list[str] = []
    bounds = JournalBounds(soft_events=10, hard_events=20, stall_secs=0.05)
    with Journal.open(path, incarnation=1, on_trouble=told.append, bounds=bounds) as journal:
        with held(path):
            append(journal, 1, "first")
            wait_for(lambda: journal.trouble)  # The writer has it and waits for the disk
            append(journal, 30, "data", is_essential=False)
            append(journal, 30, "order")
            assert "memory" in str(journal.trouble)
        assert journal.flush(DEADLINE_SECS)
        wait_for(lambda: journal.trouble is None)

    assert len(told) == 1
    events = {e.name: e for e in read_all(path)}
    assert list(events) == [
        "first 0",
        *(f"data {i}" for i in range(10)),
        *(f"order {i}" for i in range(10)),
        "JournalDropped",
        "JournalResumed",
    ]
    dropped = msgspec.json.decode(events["JournalDropped"].body)
    assert dropped == {"dropped": {"data": 20, "order": 20}, "essential": 20}
    assert [e.seq for e in events.values()] == list(range(1, 24))


def test_bytes_that_wait_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    bounds = JournalBounds(soft_bytes=10_000, hard_bytes=20_000, stall_secs=0.05)
    with Journal.open(path, incarnation=1, bounds=bounds) as journal:
        with held(path):
            append(journal, 1)
            wait_for(lambda: journal.trouble)
            for kind, is_essential in (("data", False), ("order", True)):
                for _ in range(100):
                    journal.append(kind, "", bytes(800), is_essential=is_essential)
        assert journal.flush(DEADLINE_SECS)

    kinds = [e.kind for e in read_all(path)]
    assert (kinds.count("data"), kinds.count("order")) == (10, 11)


def test_oldest_events_go(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1, limit_events=50) as journal:
        for _ in range(10):
            append(journal, 20)
            assert journal.flush()
            assert journal.last_seq - journal.first_seq < 50
        assert (journal.first_seq, journal.last_seq) == (151, 200)
        assert [e.seq for e in read_all(path)] == list(range(151, 201))


def test_lower_limit_is_reached_in_small_steps_without_new_events(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        append(journal, 5_000)

    with Journal.open(path, incarnation=2, limit_events=10) as journal:
        wait_for(lambda: journal.first_seq == 4_991)
        assert journal.last_seq == 5_000
    assert [e.seq for e in read_all(path)] == list(range(4_991, 5_001))


def test_file_stays_below_its_limit_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1, limit_bytes=400_000) as journal:
        for _ in range(60):
            for _ in range(50):
                journal.append("order", "", bytes(1_000))
            assert journal.flush()
        assert journal.last_seq == 3_000
        assert 2_000 < journal.first_seq < 2_900
    assert path.stat().st_size < 800_000


def test_removed_file_is_begun_anew_and_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal, JournalReader(path) as reader:
        append(journal, 10)
        assert journal.flush()
        assert reader.last_seq == 10
        path.unlink()
        append(journal, 5)
        assert journal.flush(DEADLINE_SECS)
        wait_for(lambda: journal.last_seq == 16)

        assert [e.seq for e in reader.read(10)] == list(range(11, 17)), "the reader takes the new one"
        assert journal.first_seq == 11
    events = read_all(path)
    assert events[-1].name == "JournalRecovered"
    # The log that was left is all there is of the first ten.
    moved_to = msgspec.json.decode(events[-1].body)["moved_to"]
    assert Path(f"{moved_to}-wal").stat().st_size > 0


def test_other_writer_is_trouble_and_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        append(journal, 3)
        assert journal.flush()
        with Journal.open(path, incarnation=2) as other:
            append(other, 3)
            assert other.flush()
            append(journal, 3)
            wait_for(lambda: "has not written" in str(journal.trouble))
        assert not journal.close(0.2)

    assert [e.incarnation for e in read_all(path)] == [1, 1, 1, 2, 2, 2]


def test_trouble_is_told_once_though_telling_fails_or_appends(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    told: list[str] = []

    def tell(reason: str) -> None:
        told.append(reason)
        journal.append("alarm", "JournalTrouble", b"{}")
        raise RuntimeError

    bounds = JournalBounds(stall_secs=0.05)
    with Journal.open(path, incarnation=1, on_trouble=tell, bounds=bounds) as journal:
        with held(path):
            append(journal, 1)
            wait_for(lambda: journal.trouble)
        assert journal.flush(DEADLINE_SECS)
        wait_for(lambda: journal.trouble is None)
    assert len(told) == 1
    assert [e.name for e in read_all(path)] == ["order 0", "JournalTrouble", "JournalResumed"]


def test_event_whose_number_cannot_be_reserved_is_written_once_and_shown_later(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    mark = tmp_path / "journal.sqlite.reserved"
    mark.mkdir()  # The commit goes well, and what follows it does not
    with Journal.open(path, incarnation=1) as journal:
        append(journal, 5)
        wait_for(lambda: journal.trouble)
        append(journal, 5)
        assert not journal.flush(0.6)
        assert journal.last_seq == 0
        mark.rmdir()
        assert journal.flush(DEADLINE_SECS)
        wait_for(lambda: journal.trouble is None)

    events = read_all(path)
    assert [e.seq for e in events] == list(range(1, 12))
    assert [e.kind for e in events].count("order") == 10


def test_signal_handler_may_append_while_its_thread_does(tmp_path: Path) -> None:
    rings = 0

    def ring(*_: object) -> None:
        nonlocal rings
        rings += 1
        journal.append("log", "ring", b"{}")

    before = signal.signal(signal.SIGVTALRM, ring)
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
        try:
            count = 0
            deadline = time.monotonic() + DEADLINE_SECS
            while (rings < 50 or count < 10_000) and time.monotonic() < deadline:
                journal.append("order", "", b"{}")
                count += 1
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
        assert journal.flush(DEADLINE_SECS)
        assert journal.last_seq == count + rings


def test_wrong_events_are_refused_where_they_are_appended(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.sqlite", incarnation=1)
    with pytest.raises(InputError, match="body"):
        journal.append("order", "x", "{}")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="time"):
        journal.append("order", "x", b"{}", ts_ns=2**63)
    assert journal.close()
    assert journal.close(), "again changes nothing"
    with pytest.raises(ConflictError, match="closed"):
        journal.append("order", "x", b"{}")


def test_import_loads_no_nautilus_and_nothing_heavy() -> None:
    code = "import sys, workbench.live.journal; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"nautilus_trader", "pandas", "numpy", "asyncio", "sqlalchemy"} & set(done.stdout.split())
