from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.engine_records import Gap
from workbench.errors import NotFoundError, StoreError
from workbench.live.journal import Journal, JournalReader


def append(journal: Journal, count: int, *, is_essential: bool = True) -> None:
    for i in range(count):
        journal.append("order", str(i), b"{}", is_essential=is_essential)
    assert journal.flush()


def test_reader_follows_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal, JournalReader(path) as reader:
        assert (reader.first_seq, reader.last_seq, reader.read()) == (1, 0, [])
        append(journal, 10)
        assert (reader.first_seq, reader.last_seq) == (1, 10)
        assert [e.seq for e in reader.read(4, 3)] == [5, 6, 7]
        append(journal, 5)
        assert [e.seq for e in reader.read(10)] == [11, 12, 13, 14, 15]
        assert reader.read(15) == []


def test_page_tells_of_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1, limit_events=10) as journal, JournalReader(path) as reader:
        append(journal, 50)
        append(journal, 50)

        assert reader.first_seq == 91
        page = reader.read_page(5, 2)
        assert ([e.seq for e in page.events], page.gap) == ([91, 92], Gap(requested=6, first=91))
        assert (page.first_seq, page.last_seq) == (91, 100)
        assert reader.read_page(90).gap is None
        assert reader.read_page(100).gap is None
        assert [e.seq for e in reader.read(0)] == list(range(91, 101))
        of_another = reader.read_page(101, 1)
        assert ([e.seq for e in of_another.events], of_another.gap) == ([91], Gap(requested=102, first=91))


def test_page_leaves_out_what_is_not_essential(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal, JournalReader(path) as reader:
        append(journal, 3)
        append(journal, 3, is_essential=False)
        append(journal, 3)

        assert [e.seq for e in reader.read_page(1, is_essential_only=True).events] == [2, 3, 7, 8, 9]
        assert [e.seq for e in reader.read_page(1, until=4).events] == [2, 3, 4]


@pytest.mark.parametrize("suffixes", [("",), ("", "-wal")])
def test_copy_is_read(tmp_path: Path, suffixes: tuple[str, ...]) -> None:
    path = tmp_path / "journal.sqlite"
    away = tmp_path / "away"
    away.mkdir()
    journal = Journal.open(path, incarnation=1)
    append(journal, 10)
    if suffixes == ("",):
        journal.close()
    # Another process copies: closing the file here would release the writer's locks.
    names = [f"{path}{suffix}" for suffix in suffixes]
    subprocess.run(["cp", *names, str(away)], check=True)
    journal.close()

    with JournalReader(away / path.name) as reader:
        assert [e.seq for e in reader.read()] == list(range(1, 11))


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a directory that any user may enter and read, and only this one write."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


READ = """
import os
import sys
from pathlib import Path
from workbench.live.journal_reader import JournalReader
path = Path(sys.argv[1])
path.as_uri()  # Imports while it may
if os.geteuid() == 0:  # Root may write everywhere
    os.setuid(65534)
with JournalReader(path) as reader:
    for _ in sys.stdin:
        print(reader.first_seq, reader.last_seq, len(reader.read()), flush=True)
"""


def test_copy_is_read_where_nothing_can_be_written(public: Path) -> None:
    path = public / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        append(journal, 10)
    public.chmod(0o555)

    with subprocess.Popen(
        [sys.executable, "-c", READ, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write("\n")
        assert reader.stdout.readline() == "1 10 10\n"
        if os.geteuid() == 0:
            with Journal.open(path, incarnation=2) as journal:
                append(journal, 5)
            reader.stdin.write("\n")
            assert reader.stdout.readline() == "1 15 15\n", "a writer that came later is noticed"
        reader.stdin.close()
    assert reader.returncode == 0


def test_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no journal"):
        JournalReader(tmp_path / "journal.sqlite")
    path = tmp_path / "foreign.sqlite"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(StoreError, match="cannot be read"):
        JournalReader(path)
    assert list(tmp_path.iterdir()) == [path], "a reader leaves nothing behind"


def test_reader_takes_the_file_that_was_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal.open(path, incarnation=1) as journal:
        append(journal, 10)
    with JournalReader(path) as reader:
        assert reader.last_seq == 10
        path.rename(tmp_path / "old")
        with pytest.raises(NotFoundError):
            reader.read()
        with Journal.open(path, incarnation=2) as journal:
            append(journal, 1)
            assert reader.first_seq > 10
