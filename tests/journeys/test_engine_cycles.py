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

from tests.live.engines import ROOT, build_catalog, build_config, build_strategy, read_events, wait_for
from workbench.engine_records import EngineEvent
from workbench.live.engine_directory import EngineDirectory
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
    for role in ("guardian", "host"):  # The guardian first: it would start another host
        process = found.find_process(role)
        if process is not None:
            process.kill()
            process.wait(10)


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
    for end in ends:
        assert start_engine(directory, by="ann").state is EngineState.RUNNING
        _wait_for_trades(directory, chooser.randrange(1, 6))
        _end(directory, end)
        assert not directory.is_held("host")
        _check_books(read_events(directory), is_flat=end == "flatten")


def _end(directory: EngineDirectory, end: str) -> None:
    record = directory.load_host()
    assert record is not None
    if end in {"terminate", "kill"}:
        os.kill(record.pid, signal.SIGTERM if end == "terminate" else signal.SIGKILL)
    if end == "kill":
        wait_for(
            lambda: _find_incarnation(directory) > record.incarnation, "a host in the place of the killed one"
        )
        _wait_for_trades(directory, 1)
    elif end == "terminate":
        wait_for(lambda: not directory.is_held("host"), "the end of a host that was told to go")
    stop_engine(directory, by="ann", is_flattening=end == "flatten")


def _find_incarnation(directory: EngineDirectory) -> int:
    record = directory.load_host()
    return 0 if record is None else record.incarnation


def _wait_for_trades(directory: EngineDirectory, count: int) -> None:
    """Wait until the present host has filled so many orders, and has one that rests."""

    def has_traded() -> bool:
        mine = [e for e in read_events(directory) if e.incarnation == _find_incarnation(directory)]
        names = Counter(e.name for e in mine)
        return names["OrderFilled"] >= count and names["OrderAccepted"] >= 1

    wait_for(has_traded, f"{count} fills and a resting order")


def _check_books(events: list[EngineEvent], *, is_flat: bool) -> None:
    """Compare what each host took over, and what is open at the end, with every fill there ever was."""
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert [e.incarnation for e in events] == sorted(e.incarnation for e in events)
    net, trades, open_orders = Decimal(0), Counter[str](), set[str]()
    for event in events:
        body = msgspec.json.decode(event.body)
        if event.name in _ENDED:
            open_orders.discard(body["client_order_id"])
        if event.name == "OrderFilled":  # Each is filled whole: the quotes offer more
            trades[body["trade_id"]] += 1
            sign = 1 if body["order_side"] == "BUY" else -1
            net += sign * Decimal(body["last_qty"])
        elif event.name == "OrderInitialized":
            open_orders.add(body["client_order_id"])
        elif event.name == "SandboxRestored":
            held = sum(Decimal(p["signed_quantity"]) for p in body["positions"].values())
            assert held == net, f"host {event.incarnation} took over {held}, the fills say {net}"
            # Their venue died with the host before.
            assert set(body["open_orders"]) <= open_orders
            open_orders.clear()
    assert set(trades.values()) == {1}, "a fill stands twice in the journal"
    if is_flat:
        assert (net, open_orders) == (0, set())
