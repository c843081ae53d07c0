from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from workbench.live.journal import Journal, JournalReader

ROOT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("WORKBENCH_COUNT", "5"))
WRITER = [sys.executable, "-m", "tests.live.journal_writer"]


def kill_a_writer_at_work(folder: Path, incarnation: int, delay_secs: float) -> list[int]:
    """Start a writer, kill it a moment after it has shown the first event, and return what it has shown."""
    with subprocess.Popen(
        [*WRITER, "until_killed", str(folder), str(incarnation)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        killer = threading.Timer(delay_secs, process.kill)
        killer.start()
        lines += process.stdout.readlines()
        killer.join()
    assert process.returncode == -9
    return [int(line) for line in lines if line.endswith("\n")]  # The last may be cut


def test_killed_writers_lose_nothing_that_was_shown(tmp_path: Path) -> None:
    chance = random.Random(5)
    path = tmp_path / "journal.sqlite"
    last = 0
    for incarnation in range(1, COUNT + 1):
        shown = kill_a_writer_at_work(tmp_path, incarnation, chance.random() * 0.5)

        assert shown, "the writer came to show something"
        assert shown == list(range(shown[0], shown[-1] + 1)), "each once, in order"
        assert shown[0] > last, "no number is used twice"
        with JournalReader(path) as reader:
            assert shown[-1] <= reader.last_seq, "what was shown is on disk"
            events = reader.read(last, limit=1_000_000)
        assert [e.seq for e in events] == list(range(last + 1, events[-1].seq + 1)), "no holes"
        assert {e.incarnation for e in events} == {incarnation}
        for name in ("a", "b"):
            counts = [msgspec.json.decode(e.body)["count"] for e in events if e.name == name]
            assert counts == list(range(1, len(counts) + 1)), "in the order of each thread"
        last = events[-1].seq

    with Journal.open(path, incarnation=COUNT + 1) as journal:
        assert journal.recovered_from is None
        assert journal.last_seq == last
        journal.append("order", "next", b"{}")
        assert journal.flush()
        assert journal.last_seq == last + 1
    with JournalReader(path) as reader:
        assert all(a.incarnation <= b.incarnation for a, b in pairwise(reader.read(limit=1_000_000)))


def run_writer(*arguments: str, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    done = subprocess.run(
        [*prefix, *WRITER, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def check_survived(seen: dict[str, Any]) -> None:
    assert seen["before"] is True
    assert seen["told"] == [seen["trouble"]], "told once"
    assert seen["meanwhile"] is False
    assert seen["slowest"] < 0.2, "nobody waits for the disk"
    assert seen["after"] is True
    assert seen["end"] is None
    assert seen["is_whole"], "nothing lost, nothing doubled, in order"
    assert seen["has_no_holes"]
    assert seen["alarms"] == {"JournalResumed": 1}


def test_full_disk_is_trouble_and_loses_nothing(tmp_path: Path) -> None:
    own = ("unshare", "--user", "--map-root-user", "--mount")
    try:
        subprocess.run(
            [*own, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)],
            check=True,
            capture_output=True,
            timeout=20,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets nobody mount a disk of their own")

    seen = run_writer("full", str(tmp_path), prefix=own)

    assert "full" in seen["trouble"]
    check_survived(seen)


def test_limit_of_a_file_is_trouble_and_loses_nothing(tmp_path: Path) -> None:
    seen = run_writer("limit", str(tmp_path))

    assert seen["shown"] == 0 or seen["shown"] >= 100
    check_survived(seen)


def test_journal_opens_without_room_and_writes_later(tmp_path: Path) -> None:
    seen = run_writer("open", str(tmp_path))

    assert seen["shown"] == 0
    check_survived(seen)
