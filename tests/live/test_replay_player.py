from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import Bar, QuoteTick

from tests.live.replay_catalogs import ASK, BID, FIRST_NS, MINUTE_NS, NAME, add_quotes, build_bars
from workbench.live.drills import SLOW_NS, parse_drill
from workbench.live.replay_clock import LOOP_GAP_NS, ReplayClock
from workbench.live.replay_config import ReplayDataClientConfig
from workbench.live.replay_player import ReplayPlayer
from workbench.live.replay_reader import DatasetName

BIDS, ASKS, QUOTES = DatasetName("bars", BID), DatasetName("bars", ASK), DatasetName("quotes", NAME)
ROWS = 240


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_bars(tmp_path_factory.mktemp("player") / "catalog", rows=ROWS)
    return add_quotes(path)


class _Playing:
    def __init__(self, player: ReplayPlayer, events: list[Any], arrivals: list[int]) -> None:
        self.player = player
        self.events = events
        self.arrivals = arrivals

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)

    async def until_count(self, count: int) -> None:
        await self.until(lambda: len(self.events) >= count)


@asynccontextmanager
async def _playing(catalog: Path, **settings: Any) -> AsyncIterator[_Playing]:
    config = ReplayDataClientConfig(
        catalog_path=str(catalog), venues=["SIM"], **{"speed": 600_000.0, "is_looping": False, **settings}
    )
    events: list[Any] = []
    arrivals: list[int] = []

    def deliver(data: Any) -> None:
        events.append(data)
        arrivals.append(time.time_ns())

    player = ReplayPlayer(
        loop=asyncio.get_running_loop(),
        catalog=catalog,
        clock=ReplayClock(FIRST_NS, FIRST_NS + (ROWS - 1) * MINUTE_NS, config.speed),
        config=config,
        deliver=deliver,
        on_drill=lambda _: None,
    )
    task = asyncio.create_task(player.run())
    try:
        yield _Playing(player, events, arrivals)
    finally:
        task.cancel()
        await asyncio.to_thread(player.close)


def _run(coroutine: Any) -> None:
    asyncio.run(coroutine)


def _position(playing: _Playing, event: Any) -> int:
    """Return where an event stands in the catalog's time, by its stamp."""
    return playing.player.clock.find_position(event.ts_event)


def test_player_merges_all_kinds_in_order_of_time(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog) as playing:
            for dataset in (QUOTES, BIDS, ASKS):
                playing.player.join(dataset)
            await playing.until(lambda: playing.player.is_ended)

            events = playing.events
            assert len(events) == 2 * ROWS + 600
            assert [e.ts_event for e in events] == sorted(e.ts_event for e in events)
            assert [e.ts_init for e in events] == sorted(e.ts_init for e in events)
            assert sum(isinstance(e, QuoteTick) for e in events) == 600

    _run(check())


def test_player_gives_bid_and_ask_of_a_minute_one_stamp(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog) as playing:
            playing.player.join(BIDS)
            playing.player.join(ASKS)
            await playing.until(lambda: playing.player.is_ended)

            bids = [e for e in playing.events if str(e.bar_type) == BID]
            asks = [e for e in playing.events if str(e.bar_type) == ASK]
            assert len(bids) == len(asks) == ROWS
            assert [e.ts_init for e in bids] == [e.ts_init for e in asks]
            assert [e.ts_event for e in bids] == [e.ts_event for e in asks]

    _run(check())


def test_player_sends_when_due_and_stamps_so(catalog: Path) -> None:
    async def check() -> None:
        # A bar every 20 ms
        async with _playing(catalog, speed=3_000.0) as playing:
            playing.player.join(BIDS)
            await playing.until_count(40)

            events = playing.events[:40]
            steps = {b.ts_event - a.ts_event for a, b in pairwise(events)}
            assert steps == {20_000_000}
            for event, arrival in zip(events, playing.arrivals, strict=False):
                assert event.ts_event <= event.ts_init <= arrival
            assert (
                sorted(a - e.ts_event for a, e in zip(playing.arrivals, events, strict=False))[20]
                < 15_000_000
            )

    _run(check())


def test_player_lets_a_late_subscriber_join_where_the_others_are(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, speed=30_000.0) as playing:
            playing.player.join(BIDS)
            await playing.until_count(50)
            playing.player.join(ASKS)
            playing.player.join(QUOTES)
            await playing.until(lambda: len(playing.events) > 200 or playing.player.is_ended)

            bids = [e for e in playing.events if isinstance(e, Bar) and str(e.bar_type) == BID]
            asks = [e for e in playing.events if isinstance(e, Bar) and str(e.bar_type) == ASK]
            # The bids go on without a hole, and the asks begin there
            steps = {b.ts_event - a.ts_event for a, b in pairwise(bids)}
            assert steps == {2_000_000}
            assert asks[0].ts_event >= bids[49].ts_event
            assert asks[0].ts_event in {bid.ts_event for bid in bids}
            assert {a.ts_init for a in asks} <= {b.ts_init for b in bids}

    _run(check())


def test_player_that_was_left_goes_on_in_time(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, speed=30_000.0) as playing:
            playing.player.join(BIDS)
            await playing.until_count(5)
            playing.player.leave(BIDS)
            left = len(playing.events)
            await playing.until(lambda: playing.player.find_position() > 60 * MINUTE_NS)
            assert len(playing.events) == left
            playing.player.join(BIDS)
            await playing.until_count(left + 1)

            assert _position(playing, playing.events[left]) >= 59 * MINUTE_NS

    _run(check())


def test_player_loops_without_a_jump_back(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, is_looping=True, speed=1_000_000.0) as playing:
            playing.player.join(BIDS)
            await playing.until_count(3 * ROWS)

            stamps = [e.ts_event for e in playing.events]
            assert stamps == sorted(stamps)
            first, again = playing.events[0], playing.events[ROWS]
            assert first.open == again.open
            period = (ROWS - 1) * MINUTE_NS + LOOP_GAP_NS
            assert again.ts_event - first.ts_event == period // 1_000_000

    _run(check())


def test_player_behind_a_blocked_loop_sends_what_is_due_as_late_as_it_is(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, speed=6_000.0) as playing:
            playing.player.join(BIDS)
            await playing.until_count(3)
            before = len(playing.events)
            time.sleep(0.3)  # A strategy that blocks the main loop
            await playing.until_count(before + 31)

            late = playing.events[before : before + 25]
            assert {b.ts_event - a.ts_event for a, b in pairwise(late)} == {10_000_000}
            assert late[0].ts_init - late[0].ts_event > 200_000_000
            assert playing.player.worst_lag_ns > 200_000_000
            assert playing.player.clock.slipped_ns == 0

    _run(check())


def test_player_slips_where_it_would_be_later_than_allowed(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, speed=6_000.0, max_lag_secs=0.1) as playing:
            playing.player.join(BIDS)
            await playing.until_count(3)
            before = len(playing.events)
            time.sleep(0.5)
            await playing.until_count(before + 10)

            assert playing.player.clock.slipped_ns > 300_000_000
            for event in playing.events[before:]:  # None is passed off as fresh, and none is stale
                assert event.ts_init - event.ts_event <= 100_000_000
            gaps = [b - a for a, b in pairwise(playing.arrivals[before:])]
            assert sum(gaps) > 50_000_000  # No burst

    _run(check())


def test_player_keeps_the_stamps_of_the_catalog_when_told(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, is_restamped=False) as playing:
            playing.player.join(BIDS)
            await playing.until(lambda: playing.player.is_ended)
            clock = playing.player.clock
            await playing.until(lambda: clock.find_position(time.time_ns()) > 2 * clock.period_ns)

            assert playing.player.find_position() < clock.period_ns  # It ends there, and does not begin anew
            assert [e.ts_event for e in playing.events] == [FIRST_NS + n * MINUTE_NS for n in range(ROWS)]

    _run(check())


def test_player_drill_that_stalls_ends_in_time_and_loses_what_was_due(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, speed=6_000.0) as playing:
            player = playing.player
            player.join(BIDS)
            await playing.until_count(5)
            player.switch_drill(parse_drill("stall", now_ns=time.time_ns(), secs=0.3), None)
            before = len(playing.events)
            await playing.until_count(before + 5)

            first = playing.events[before]
            assert first.ts_event - playing.events[before - 1].ts_event >= 280_000_000
            assert player.drills.withheld >= 25
            assert first.ts_init - first.ts_event < 100_000_000

    _run(check())


def test_player_drill_that_is_slow_sends_all_late_and_in_order(catalog: Path) -> None:
    async def check() -> None:
        async with _playing(catalog, speed=6_000.0) as playing:
            player = playing.player
            player.join(BIDS)
            player.join(ASKS)
            await playing.until_count(4)
            player.switch_drill(parse_drill("slow", now_ns=time.time_ns(), secs=0.2), None)
            await playing.until(lambda: player.drills.is_idle and len(playing.events) > 300)

            late = [e for e in playing.events if e.ts_init - e.ts_event >= SLOW_NS]
            assert len(late) >= 20
            assert len({e.ts_init for e in late}) <= len(late) // 2  # Bid and ask still belong together
            assert len(playing.events) == len({(str(e.bar_type), e.ts_event) for e in playing.events})

    _run(check())
