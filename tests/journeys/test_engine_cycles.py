"""An engine that is started and ended again and again, in every way there is, loses nothing and does nothing twice."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.live.engines import ROOT, build_catalog, build_config, build_strategy, wait_for
from tests.ui.engine_desks import end_engine
from workbench.engine_records import EngineEvent
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal_reader import JournalReader
from workbench.live.launch import start_engine, stop_engine
from workbench.states import EngineState

# What ends a host: a stop that leaves what is open, one that closes it, a signal of the system, and no warning at all.
ENDS = ("leave", "flatten", "terminate", "kill")
_ENDED = {"OrderFilled", "OrderCanceled", "OrderRejected", "OrderDenied"}
COUNT = int(os.environ.get("WORKBENCH_COUNT") or 10)


@pytest.fixture
def directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> Iterator[EngineDirectory]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
    found = EngineDirectory(tmp_path / "engines" / "cycles")
    yield found
    end_engine(found)


@pytest.mark.timeout(0)
def test_engine_started_and_ended_in_every_way_keeps_its_books(
    directory: EngineDirectory, tmp_path: Path
) -> None:
    chooser = random.Random()
    catalog = build_catalog(tmp_path / "catalog")
    strategy = build_strategy(every=4, is_resting=True)
    restart = {"most": COUNT, "backoff_secs": 0.1}
    directory.save_config(build_config(catalog, strategy, speed=20.0, restart=restart), by="ann")
    # Each way comes before any comes twice; their order is by chance.
    ends = [end for _ in range(0, COUNT, len(ENDS)) for end in chooser.sample(ENDS, len(ENDS))][:COUNT]
    books = Books(directory)
    for number, end in enumerate(ends):
        assert start_engine(directory, by="ann").state is EngineState.RUNNING
        _wait_for_trades(directory, books, chooser.randrange(1, 6))
        _end(directory, books, end)
        assert not directory.is_held("host")
        books.read()
        if end == "flatten":
            assert (books.net, books.open_orders) == (0, set()), f"cycle {number}"
    assert books.seq > COUNT
    assert set(books.trades.values()) == {1}


class Books:
    """
    What every event of the journal comes to, each read once: what each host took over is compared with it.

    The journal of hundreds of cycles is long, and what reads all of it again and again is outrun by the engine.
    """

    def __init__(self, directory: EngineDirectory) -> None:
        self._directory = directory
        self.seq = 0
        self.incarnation = 0
        self.names = Counter[str]()
        self.net = Decimal(0)
        self.trades = Counter[str]()
        self.open_orders = set[str]()

    def read(self) -> None:
        with JournalReader(self._directory.journal) as reader:
            while events := reader.read(self.seq, 1_000):
                for event in events:
                    self._take(event)

    def _take(self, event: EngineEvent) -> None:
        assert event.seq == self.seq + 1
        assert event.incarnation >= self.incarnation
        if event.incarnation > self.incarnation:
            self.names.clear()
        self.seq, self.incarnation = event.seq, event.incarnation
        self.names[event.name] += 1
        body = msgspec.json.decode(event.body)
        if event.name in _ENDED:
            self.open_orders.discard(body["client_order_id"])
        if event.name == "OrderFilled":  # Each is filled whole: the quotes offer more
            self.trades[body["trade_id"]] += 1
            assert self.trades[body["trade_id"]] == 1, "a fill stands twice in the journal"
            sign = 1 if body["order_side"] == "BUY" else -1
            self.net += sign * Decimal(body["last_qty"])
        elif event.name == "OrderInitialized":
            self.open_orders.add(body["client_order_id"])
        elif event.name == "SandboxRestored":
            held = sum(Decimal(p["signed_quantity"]) for p in body["positions"].values())
            assert held == self.net, f"host {event.incarnation} took over {held}, the fills say {self.net}"
            # Their venue died with the host before.
            assert set(body["open_orders"]) <= self.open_orders
            self.open_orders.clear()


def _end(directory: EngineDirectory, books: Books, end: str) -> None:
    record = directory.load_host()
    assert record is not None
    if end in {"terminate", "kill"}:
        os.kill(record.pid, signal.SIGTERM if end == "terminate" else signal.SIGKILL)
    if end == "kill":
        wait_for(
            lambda: _find_incarnation(directory) > record.incarnation, "a host in the place of the killed one"
        )
        _wait_for_trades(directory, books, 1)
    elif end == "terminate":
        wait_for(lambda: not directory.is_held("host"), "the end of a host that was told to go")
    stop_engine(directory, by="ann", is_flattening=end == "flatten")


def _find_incarnation(directory: EngineDirectory) -> int:
    record = directory.load_host()
    return 0 if record is None else record.incarnation


def _wait_for_trades(directory: EngineDirectory, books: Books, count: int) -> None:
    """Wait until the present host has filled so many orders, and has one that rests."""

    def has_traded() -> bool:
        books.read()
        is_present = books.incarnation == _find_incarnation(directory)
        return is_present and books.names["OrderFilled"] >= count and books.names["OrderAccepted"] >= 1

    wait_for(has_traded, f"{count} fills and a resting order")
