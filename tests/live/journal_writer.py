"""A process that writes a journal: killed at work, or on a disk that is full, by the tests of the journal."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from workbench.live.journal import Journal, JournalReader

DEADLINE_SECS = 60.0
BODY = b'"%s"' % (b"x" * 4_000)


def write_until_killed(path: Path, incarnation: int) -> None:
    """Append from two threads for ever, and print the number of each event that a listener is shown."""
    journal = Journal.open(path, incarnation=incarnation)
    woken = threading.Event()
    listener = journal.subscribe(woken.set, after=None)

    def append(name: str) -> None:
        count = 0
        while True:
            count += 1
            journal.append("order", name, b'{"count":%d}' % count)
            if count % 50 == 0:
                journal.flush(DEADLINE_SECS)

    for name in ("a", "b"):
        threading.Thread(target=append, args=(name,), daemon=True).start()
    while True:
        woken.wait()
        woken.clear()
        while events := listener.take():
            os.write(1, b"".join(b"%d\n" % e.seq for e in events))


def write_on_a_full_disk(folder: Path) -> None:
    """Mount a small disk that only this process sees, and fill it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    filler = folder / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError as e:
                assert e.errno == 28

    write_through_trouble(folder / "journal.sqlite", fill, filler.unlink)


def write_beyond_a_limit(folder: Path) -> None:
    """Let no file grow beyond 256 KB for a while."""
    write_through_trouble(
        folder / "journal.sqlite",
        lambda: limit_files(256 * 1024),
        lambda: limit_files(resource.RLIM_INFINITY),
    )


def open_without_room(folder: Path) -> None:
    """Let no file grow beyond 1 KB from the start."""
    limit_files(1024)
    write_through_trouble(
        folder / "journal.sqlite", lambda: None, lambda: limit_files(resource.RLIM_INFINITY), first=0
    )


def limit_files(size: int) -> None:
    """Set the greatest size that a file may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def write_through_trouble(
    path: Path, take_room: Callable[[], None], make_room: Callable[[], None], first: int = 100
) -> None:
    """Write `first` events, go on without room, make room again, and print what was seen."""
    told: list[str] = []
    deadline = time.monotonic() + DEADLINE_SECS
    with Journal.open(path, incarnation=1, on_trouble=told.append) as journal:
        appended = 0

        def append(count: int) -> float:
            nonlocal appended
            slowest = 0.0
            for _ in range(count):
                began = time.perf_counter()
                journal.append("order", str(appended), BODY)
                slowest = max(slowest, time.perf_counter() - began)
                appended += 1
            return slowest

        append(first)
        seen: dict[str, object] = {"before": not first or journal.flush(DEADLINE_SECS)}
        take_room()
        while journal.trouble is None and time.monotonic() < deadline:
            append(10)
            journal.flush(0.1)
        seen["trouble"] = journal.trouble
        seen["slowest"] = append(1_000)
        seen["meanwhile"] = journal.flush(0.5)
        seen["shown"] = journal.last_seq
        make_room()
        seen["after"] = journal.flush(DEADLINE_SECS)
        seen["end"] = journal.trouble
    with JournalReader(path) as reader:
        events = reader.read(limit=100_000)
    alarms = [e.name for e in events if e.kind == "alarm"]
    orders = [int(e.name) for e in events if e.kind == "order"]
    seen |= {
        "told": told,
        "alarms": Counter(alarms),
        "is_whole": orders == list(range(appended)),
        "has_no_holes": [e.seq for e in events] == list(range(1, len(events) + 1)),
    }
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    task, folder, *rest = sys.argv[1:]
    if task == "until_killed":
        write_until_killed(Path(folder) / "journal.sqlite", int(rest[0]))
    else:
        {"full": write_on_a_full_disk, "limit": write_beyond_a_limit, "open": open_without_room}[task](
            Path(folder)
        )
