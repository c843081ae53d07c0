"""
An event of nautilus on its way to the journal and the board, against what it costs to write it as JSON at all.

Fills of one position, with all that goes with them, are published on a real message bus; the journal writes to disk.
The second row is the whole way: from the publication to the listener of the journal.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import LiveClock, MessageBus
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.position import Position
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs
from rounds import build_row, run_script

from workbench.live.board import Board
from workbench.live.bridge import Bridge
from workbench.live.isolation import Isolation
from workbench.live.journal import Journal

__all__ = ["measure"]

EVENTS = 20_000
BATCH = 1_000
MOST_RATIO = 5.0
MOST_MS = 50.0


def measure(rounds: int = 3, quick: bool = False) -> list[dict[str, Any]]:
    """Measure both sides in turns."""
    count = EVENTS // 10 if quick else EVENTS
    ratios, rates, worst, ages = [], [], [], []
    for _ in range(rounds):
        busy, took, bare, age = _publish(count)
        ratios.append(busy / bare)
        rates.append(count / busy)
        worst.append(statistics.quantiles(took, n=100)[98] * 1e6)
        ages.append(age)
    rate, p99, age = statistics.median(rates), statistics.median(worst), statistics.median(ages)
    return [
        build_row(
            "an event through the bridge",
            ratios,
            MOST_RATIO,
            f"{rate:,.0f} events/s, p99 {p99:.0f} us an event, against to_dict and JSON alone",
            events_per_sec=rate,
            p99_us=p99,
        ),
        build_row(
            "from the bus to a listener, p99 ms",
            ages,
            MOST_MS,
            f"{age:.0f} ms at 2,000 events/s",
            p99_ms=age,
        ),
    ]


def _publish(count: int) -> tuple[float, list[float], float, float]:
    bus = MessageBus(trader_id=TestIdStubs.trader_id(), clock=LiveClock())
    cache = Cache()
    instrument = TestInstrumentProvider.default_fx_ccy("GBP/USD")
    cache.add_instrument(instrument)
    order = TestExecStubs.market_order(instrument=instrument)
    cache.add_order(order, None)
    fill = TestEventStubs.order_filled(order, instrument, position_id=TestIdStubs.position_id())
    cache.add_position(Position(instrument, fill), OmsType.NETTING)
    trader = SimpleNamespace(strategies=list)
    kernel: Any = SimpleNamespace(msgbus=bus, cache=cache, trader=trader)
    loop = asyncio.new_event_loop()
    encode = msgspec.json.Encoder(enc_hook=str).encode
    with (
        tempfile.TemporaryDirectory() as place,
        Journal.open(Path(place) / "journal.sqlite", incarnation=1) as journal,
    ):
        Bridge(kernel, journal, Board(), Isolation(loop, lambda *_: None)).attach()
        topic = f"events.order.{order.strategy_id}"
        bus.publish(topic, fill)
        busy = bare = 0.0
        took: list[float] = []
        for _ in range(0, count, BATCH):
            # By the thread's own time: the journal's thread works at the same time, and so may the machine.
            began = time.thread_time()
            for _ in range(BATCH):
                before = time.perf_counter()
                bus.publish(topic, fill)
                took.append(time.perf_counter() - before)
            busy += time.thread_time() - began
            began = time.thread_time()
            for _ in range(BATCH):
                encode(type(fill).to_dict(fill))
            bare += time.thread_time() - began
            journal.flush(60)
        age = _time_listener(bus, topic, fill, journal)
    loop.close()
    return busy, took, bare, age


def _time_listener(bus: Any, topic: str, event: Any, journal: Journal) -> float:
    """Return how old the 99th of 100 events is when a listener has it, in milliseconds."""
    woken, ages = threading.Event(), []
    count = 1_000
    with journal.subscribe(woken.set, after=None) as listener:

        def listen() -> None:
            while len(ages) < count and woken.wait(10):
                woken.clear()
                while taken := listener.take():
                    now = time.time_ns()
                    ages.extend((now - e.ts_ns) / 1e6 for e in taken)

        thread = threading.Thread(target=listen)
        thread.start()
        for _ in range(count):
            bus.publish(topic, event)
            time.sleep(0.0005)
        thread.join()
    return statistics.quantiles(ages, n=100)[98]


if __name__ == "__main__":
    run_script(measure, __doc__)
