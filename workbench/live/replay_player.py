"""What plays a replay: each event at its time, in order, through the drills, and honest about what is late."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from nautilus_trader.model.data import Bar, QuoteTick

from workbench.live.drills import Drill, Drills, FeedEvent
from workbench.live.replay_clock import ReplayClock, restamp
from workbench.live.replay_reader import DatasetName, ReplayChunk, ReplayReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nautilus_trader.core.data import Data
    from nautilus_trader.model.identifiers import InstrumentId

    from workbench.live.replay_config import ReplayDataClientConfig

__all__ = ["ReplayPlayer"]

SLICE_SECS = 0.005
"""How long the main loop is held by events that are due together."""


class ReplayPlayer:
    """
    Sends the events of the datasets that have joined, when they are due.

    Lives on the main loop; its counters may be read from any thread.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The main loop.
    catalog : Path
        The root of the catalog.
    clock : ReplayClock
        The one clock of all datasets.
    config : ReplayDataClientConfig
        How it is played.
    deliver : Callable[[Data], None]
        Given each event when it is due.
    on_drill : Callable[[str], None]
        Told when a drill begins or ends.

    Attributes
    ----------
    clock : ReplayClock
        The clock.
    joined : dict[DatasetName, int]
        What is sent, and from which position on.
    sent : int
        Events so far.
    last : dict[InstrumentId, int]
        The latest ``ts_event`` of each instrument.
    lag_ns, worst_lag_ns : int
        How late the latest event was sent, and the latest of all.
    is_ended : bool
        Whether nothing follows.
    problem : str
        Why nothing follows, if it should.
    drills : Drills
        What goes wrong on purpose.

    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        catalog: Path,
        clock: ReplayClock,
        config: ReplayDataClientConfig,
        deliver: Callable[[Data], None],
        on_drill: Callable[[str], None],
    ) -> None:
        self.clock = clock
        self.joined: dict[DatasetName, int] = {}
        self.sent = 0
        self.last: dict[InstrumentId, int] = {}
        self.lag_ns = 0
        self.worst_lag_ns = 0
        self.is_ended = False
        self.problem = ""
        self.drills = Drills()
        self._loop = loop
        self._is_restamped = config.is_restamped
        self._is_looping = config.is_looping
        self._max_lag_ns = int(config.max_lag_secs * 1e9)
        self._deliver = deliver
        self._on_drill = on_drill
        self._wake = asyncio.Event()
        self._wish = 0
        self._latest_join = 0
        self._sent_position = -1
        self._reader = ReplayReader(catalog, clock, is_looping=config.is_looping, notify=self._notify)

    def close(self) -> None:
        """End the reading; returns when its thread has ended."""
        self._reader.close()

    def find_position(self) -> int:
        """Return the position that is due now, or the next to be sent where that is later."""
        position = max(self.clock.find_position(time.time_ns()), self._sent_position + 1)
        return position if self._is_looping else min(position, self.clock.period_ns - 1)

    def join(self, dataset: DatasetName) -> None:
        """Send a dataset too, from the present position on; the clock starts with the first event."""
        if dataset in self.joined:
            return
        self._latest_join = self.find_position()
        if not self.joined:
            self._sent_position = self._latest_join - 1
        self.joined[dataset] = self._latest_join
        self._read_anew()

    def leave(self, dataset: DatasetName) -> None:
        """Send a dataset no more."""
        if self.joined.pop(dataset, None) is not None:
            self._read_anew()

    def switch_drill(self, drill: Drill | None, instrument_id: str | None) -> None:
        """Begin a drill; without one, end that of the instrument, or all."""
        if drill is None:
            self.drills.switch_off(instrument_id)
            self._on_drill(f"Drill ends: {instrument_id or 'all'}")
        else:
            self.drills.switch_on(drill)
            self._on_drill(f"Drill begins: {drill}")
        self._wake.set()

    async def run(self) -> None:
        """Send what is due until the replay ends; a problem is in `problem` then."""
        while True:
            self._wake.clear()
            self._tend_drills()
            chunk = self._reader.take()
            if chunk is None:
                await self._wait(None)
            elif chunk.wish != self._wish:
                continue
            elif chunk.problem:
                self.problem = chunk.problem
                self.is_ended = True
                return
            elif chunk.is_end:
                self.is_ended = bool(self.joined)
            else:
                await self._send_chunk(chunk)

    def _notify(self) -> None:
        with suppress(RuntimeError):  # The loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake.set)

    def _read_anew(self) -> None:
        self.is_ended = False
        self._wish = self._reader.read(frozenset(self.joined), self._sent_position + 1)
        self._wake.set()

    async def _send_chunk(self, chunk: ReplayChunk) -> None:
        rows, at = chunk.rows, 0
        # Not with the first subscription: those made with it are to begin with it.
        self.clock.start(time.time_ns())
        began = time.monotonic()
        while at < len(rows):
            stamp = rows[at].ts_init
            position = self.clock.locate(stamp, chunk.loop)
            if not await self._reach(position, chunk.wish):
                return
            # One time for all of a stamp: bid and ask bars are matched by it.
            now = time.time_ns()
            while at < len(rows) and rows[at].ts_init == stamp:
                self._admit(rows[at], chunk.loop, position, now)
                at += 1
            self._sent_position = position
            if time.monotonic() - began > SLICE_SECS:
                await asyncio.sleep(0)
                began = time.monotonic()

    async def _reach(self, position: int, wish: int) -> bool:
        """Wait until a position is due; return False if other data are wished for by then."""
        while True:
            self._wake.clear()
            if wish != self._wish:
                return False
            self._tend_drills()
            due = self.clock.find_due(position)
            lag = time.time_ns() - due
            if lag >= 0:
                break
            await self._wait(due)
        if lag > self._max_lag_ns:
            self.clock.slip(lag)
            lag = 0
        self.lag_ns = lag
        self.worst_lag_ns = max(self.worst_lag_ns, lag)
        return True

    async def _wait(self, until_ns: int | None) -> None:
        """Wait for a time, for a drill, or for something to change."""
        times = [stamp for stamp in (until_ns, self.drills.find_end()) if stamp is not None]
        timeout = (min(times) - time.time_ns()) / 1e9 if times else None
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()

    def _tend_drills(self) -> None:
        """End the drills whose time is over, and send what they held back until now."""
        if self.drills.is_idle:
            return
        now = time.time_ns()
        for drill in self.drills.expire(now):
            self._on_drill(f"Drill ends: {drill}")
        for event in self.drills.release(now):
            self._send(event, now)

    def _admit(self, data: Data, loop: int, position: int, now: int) -> None:
        if position < self._latest_join and position < self.joined.get(_find_dataset(data), 0):
            return  # From before this was subscribed
        ts_event = data.ts_event
        if self._is_restamped:
            ts_event = min(self.clock.find_due(self.clock.locate(ts_event, loop)), now)
        event = FeedEvent(ts_event, data)
        for admitted in [event] if self.drills.is_idle else self.drills.admit(event, now):
            self._send(admitted, now)

    def _send(self, event: FeedEvent, now: int) -> None:
        ts_event, data = event
        if self._is_restamped:
            data = restamp(data, ts_event, now)
        self.sent += 1
        instrument_id = data.bar_type.instrument_id if isinstance(data, Bar) else data.instrument_id
        self.last[instrument_id] = ts_event
        self._deliver(data)


def _find_dataset(data: Data) -> DatasetName:
    if isinstance(data, Bar):
        return DatasetName("bars", str(data.bar_type))
    return DatasetName("quotes" if isinstance(data, QuoteTick) else "trades", data.instrument_id.value)
