from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from workbench.live.journal import Journal, JournalReader
from workbench.live.journal_file import RESERVED


def write(path: Path, count: int, incarnation: int = 1, body: bytes = b"{}") -> None:
    with Journal.open(path, incarnation=incarnation) as journal:
        for i in range(count):
            journal.append("order", str(i), body)
        assert journal.close()
    assert not path.with_name(f"{path.name}-wal").exists()


def scribble(path: Path) -> None:
    path.write_bytes(b"no database" * 1_000)


def scribble_after_the_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


def make_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (id INTEGER)")
    connection.close()


def make_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()


def remove_events(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM events WHERE seq BETWEEN 40 AND 50")
    connection.close()


@pytest.mark.parametrize(
    "damage", [scribble, scribble_after_the_header, make_foreign, make_newer, remove_events]
)
def test_damaged_file_is_moved_aside_and_a_new_one_begun(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "journal.sqlite"
    write(path, 100)
    damage(path)
    content = path.read_bytes()

    with Journal.open(path, incarnation=2) as journal:
        assert journal.trouble is None
        assert journal.recovered_from is not None
        moved = journal.recovered_from
        journal.append("order", "next", b"{}")
        assert journal.flush()
        first, last = journal.first_seq, journal.last_seq

    assert moved.parent == tmp_path
    assert moved.name.startswith("journal.sqlite.damaged-")
    assert len(moved.read_bytes()) >= len(content) * 0.9, "what was there is kept"
    assert first == RESERVED + 101 > 100, "above all numbers that were ever shown"
    assert last == first + 1
    with JournalReader(path) as reader:
        alarm, order = reader.read()
        assert reader.read_page(100).gap is not None
    assert (alarm.kind, alarm.name, order.name) == ("alarm", "JournalRecovered", "next")
    body = msgspec.json.decode(alarm.body)
    assert body["moved_to"] == str(moved)
    assert body["damage"]

    with Journal.open(path, incarnation=3) as journal:
        assert journal.recovered_from is None, "the new one is sound"
        assert journal.last_seq == last


@pytest.mark.parametrize("is_removed", [True, False])
def test_lost_file_is_told_and_numbers_go_on_above(tmp_path: Path, is_removed: bool) -> None:
    path = tmp_path / "journal.sqlite"
    write(path, 100)
    if is_removed:
        path.unlink()
    else:
        path.write_bytes(b"")

    with Journal.open(path, incarnation=2) as journal:
        assert journal.recovered_from is None
        assert journal.flush()
        assert journal.first_seq > 100

    with JournalReader(path) as reader:
        (alarm,) = reader.read()
    assert (alarm.name, msgspec.json.decode(alarm.body)["moved_to"]) == ("JournalRecovered", None)


def test_damage_that_is_met_later_costs_no_new_event(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    write(path, 4_000, body=bytes(1_000))
    size = 4_096
    content = bytearray(path.read_bytes())
    # Leaves of the table, far from both ends: not seen at open, but where the oldest events are to go
    leaves = [at for at in range(200 * size, 700 * size, size) if content[at] == 0x0D]
    for at in leaves:
        content[at : at + size] = b"\xff" * size
    path.write_bytes(content)

    with Journal.open(path, incarnation=2, limit_events=10) as journal:
        assert journal.recovered_from is None, "not seen yet"
        count = 0
        deadline = time.monotonic() + 30
        while journal.recovered_from is None and time.monotonic() < deadline:
            journal.append("order", "new", b"{}")
            count += 1
            journal.flush(1.0)
        assert journal.recovered_from is not None
        journal.append("order", "last", b"{}")
        assert journal.flush(10.0)
        assert journal.trouble is None
        assert 4_000 + count < journal.last_seq < 4_000 + count + 10, "the writer knows the last number"

    with JournalReader(path) as reader:
        events = reader.read()
    assert [e.seq for e in events] == list(range(events[0].seq, events[-1].seq + 1))
    names = [e.name for e in events]
    assert "JournalRecovered" in names
    assert "last" in names


def test_numbers_in_use_are_reserved_before_they_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    mark = tmp_path / "journal.sqlite.reserved"
    write(path, 100)
    mark.write_text("102\n")

    with Journal.open(path, incarnation=2) as journal:
        journal.append("order", "101", b"{}")
        assert journal.flush()
        assert int(mark.read_text()) == 102
        for _ in range(2):
            journal.append("order", "102 and 103", b"{}")
        assert journal.flush()
        assert int(mark.read_text()) == 103 + RESERVED


def _leave_log(path: Path) -> bytes:
    """Write a journal whose last events are in its log, as a kill leaves it."""
    write(path, 100)
    reader = sqlite3.connect(path)  # Keeps the writer's end from moving the log into the file
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    with Journal.open(path, incarnation=1) as journal:
        journal.append("order", "last", b"{}")
        assert journal.flush()
        kept = path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes()
    reader.close()
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    path.write_bytes(kept[0])
    path.with_name(f"{path.name}-wal").write_bytes(kept[1])
    return kept[1]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b""), make_foreign])
def test_log_of_a_damaged_file_comes_along_when_it_is_put_aside(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "journal.sqlite"
    log = _leave_log(path)
    assert len(log) > 0
    if damage is make_foreign:  # Its log is not to heal it
        path.write_bytes(b"x" * 9_000)
        log = b"y" * len(log)
        path.with_name(f"{path.name}-wal").write_bytes(log)
    else:
        damage(path)

    with Journal.open(path, incarnation=2) as journal:
        assert journal.recovered_from is not None
        aside = journal.recovered_from
        journal.append("order", "next", b"{}")
        assert journal.flush()

    assert aside.with_name(f"{aside.name}-wal").read_bytes() == log
    assert sorted(p.name for p in tmp_path.iterdir() if "damaged" not in p.name) == [
        "journal.sqlite",
        "journal.sqlite.reserved",
    ]


def test_log_that_a_kill_left_is_read_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    _leave_log(path)
    with Journal.open(path, incarnation=2) as journal:
        assert journal.recovered_from is None
        assert (journal.first_seq, journal.last_seq) == (1, 101)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["journal.sqlite", "journal.sqlite.reserved"]


def test_log_that_cannot_be_read_is_put_aside_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        journal.append("order", "first", b"{}")
        assert journal.flush()
        log = bytearray(path.with_name(f"{path.name}-wal").read_bytes())
        head = path.read_bytes()
    log[60:3_000] = b"x" * 2_940  # All that there was is in the log
    path.write_bytes(head)
    path.with_name(f"{path.name}-wal").write_bytes(log)

    with Journal.open(path, incarnation=2) as journal:
        assert journal.recovered_from is not None
        aside = journal.recovered_from
        assert journal.first_seq > RESERVED
    assert aside.with_name(f"{aside.name}-wal").read_bytes() == bytes(log)
