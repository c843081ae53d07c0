"""
An engine that is watched: what it loses to 0, 1 and 10 clients, and how old an event is when they have it.

A real host, the real server in a process of its own, and clients that follow all events through its WebSocket, in a
third process. The first rows: a replay offers more quotes than the engine can take, each is an order, and what is
compared is how many events it writes in a second without clients and with them. All share the processors of this
machine, so it counts what the server and the clients take from the host too; what the host itself uses for an event is
beside it. The last row: at two hundred orders a second, how long it takes from the moment that the engine hands an
event to its journal until a client has it (99th percentile); the journal may gather events for 20 ms of that.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from busy_engine import find_import_paths, prepare, run_host
from reporting import build_settings, serve
from rounds import build_row, run_script

from workbench.client.connection import connect
from workbench.engine_records import EngineEvent, Gap
from workbench.errors import ServerError
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal_reader import JournalReader

__all__ = ["measure"]

CLIENTS = (0, 1, 10)
# What the engine may lose: to one client, and to ten that decode as many events in Python as it writes, each.
MOST_RATIOS = {1: 1.25, 10: 2.0}
MOST_MS = 250.0
SECS, QUICK_SECS = 8.0, 1.0
FAST, STEADY = 2_000.0, 20.0
READY_SECS = 60.0


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure in turns, on one host and one server."""
    secs = QUICK_SECS if quick else SECS
    with tempfile.TemporaryDirectory() as name, serve(Path(name)) as settings:
        place = settings.workspace
        with _run(settings.engines / "fast", FAST) as directory:
            found = [{n: _watch(place, directory, n, secs) for n in CLIENTS} for _ in range(rounds)]
        with _run(settings.engines / "steady", STEADY) as directory:
            steady = [_watch(place, directory, CLIENTS[-1], secs) for _ in range(rounds)]
    rows = [_compare(count, found) for count in CLIENTS[1:]]
    ages = [one["p99_ms"] for one in steady]
    rate = statistics.median(one["rate"] for one in steady)
    detail = f"{CLIENTS[-1]} clients at {rate:,.0f} events/s; {_describe_gaps(steady)}"
    return [
        *rows,
        build_row("age of an event at a client, p99 ms", ages, MOST_MS, detail, events_per_sec=rate),
    ]


def _compare(count: int, found: list[dict[int, dict[str, Any]]]) -> dict[str, Any]:
    alone, watched = ([one[n] for one in found] for n in (0, count))
    rates, costs = (
        [statistics.median(one[key] for one in side) for side in (watched, alone)]
        for key in ("rate", "cpu_us")
    )
    return build_row(
        f"slow-down of an engine by {count} client{'' if count == 1 else 's'}",
        [one[0]["rate"] / one[count]["rate"] for one in found],
        MOST_RATIOS[count],
        f"{rates[0]:,.0f} events/s against {rates[1]:,.0f}; {costs[0]:.0f} us of the host's CPU an event against "
        f"{costs[1]:.0f}; {_describe_gaps(watched)}",
        events_per_sec=rates[0],
        cpu_us=costs[0],
    )


def _describe_gaps(found: list[dict[str, Any]]) -> str:
    missed = sum(one["missed"] for one in found)
    return f"{missed:,} events were told to be missing" if missed else "no event was missing"


@contextlib.contextmanager
def _run(path: Path, speed: float) -> Iterator[EngineDirectory]:
    directory = prepare(path, speed=speed)
    with run_host(directory):
        yield directory


def _watch(place: Path, directory: EngineDirectory, count: int, secs: float) -> dict[str, Any]:
    """Return the ``rate`` of events, the host's ``cpu_us`` an event and what `count` clients say."""
    record = directory.load_host()
    assert record is not None
    host = psutil.Process(record.pid)
    with _follow(place, directory.path.name, count) as clients, JournalReader(directory.journal) as journal:
        clients.begin()
        began, seq, used = time.monotonic(), journal.last_seq, sum(host.cpu_times()[:2])
        time.sleep(secs)
        took, events = time.monotonic() - began, journal.last_seq - seq
        used = sum(host.cpu_times()[:2]) - used
        said = clients.end()
    if events == 0:
        raise ServerError("the engine wrote no event")
    return {"rate": events / took, "cpu_us": used / events * 1e6, **said}


class _Clients:
    """The process of the clients, from outside."""

    def __init__(self, process: subprocess.Popen[str] | None) -> None:
        self._process = process

    def begin(self) -> None:
        """Count from now on."""
        if self._process is not None:
            self._ask()

    def end(self) -> dict[str, Any]:
        """Return what they have seen since then."""
        found: dict[str, Any] = {"missed": 0, "p99_ms": 0.0}
        return found if self._process is None else json.loads(self._ask())

    def _ask(self) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise ServerError("the clients ended")
        return answer


@contextlib.contextmanager
def _follow(place: Path, name: str, count: int) -> Iterator[_Clients]:
    if count == 0:
        yield _Clients(None)
        return
    with subprocess.Popen(
        [sys.executable, __file__, str(place), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": find_import_paths()},
    ) as process:
        try:
            yield _Clients(process)
        finally:
            process.terminate()


# -- In the process of the clients --


class _Follower(threading.Thread):
    """One client."""

    def __init__(self, place: Path, name: str) -> None:
        super().__init__(daemon=True)
        self._client = connect(settings=build_settings(place), start=False)
        self._name = name
        self.seen = threading.Event()
        self.ages_ms: list[float] = []
        self.missed = 0

    def run(self) -> None:
        """Follow all events."""
        with self._client.engine(self._name).stream() as stream:
            while True:
                item = stream.take()
                if isinstance(item, EngineEvent):
                    self.ages_ms.append((time.time_ns() - item.ts_ns) / 1e6)
                    self.seen.set()
                elif isinstance(item, Gap):
                    self.missed += 1


def _serve_clients(place: Path, name: str, count: int) -> None:
    followers = [_Follower(place, name) for _ in range(count)]
    for one in followers:
        one.start()
    sys.stdin.readline()
    for one in followers:
        if not one.seen.wait(READY_SECS):
            raise ServerError("a client hears nothing")
    begun = [(len(one.ages_ms), one.missed) for one in followers]
    print(flush=True)
    sys.stdin.readline()
    ages = [age for one, (first, _) in zip(followers, begun, strict=True) for age in one.ages_ms[first:]]
    missed = sum(one.missed - before for one, (_, before) in zip(followers, begun, strict=True))
    p99 = statistics.quantiles(ages, n=100)[98] if len(ages) > 1 else float("inf")
    print(json.dumps({"missed": missed, "p99_ms": p99}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    if len(sys.argv) == 4 and not sys.argv[1].startswith("-"):
        _serve_clients(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    else:
        run_script(measure, __doc__)
