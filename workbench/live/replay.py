"""The default feed: a catalog, replayed in scaled real time by a data client of nautilus's live engine."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.datetime import dt_to_unix_nanos, unix_nanos_to_iso8601
from nautilus_trader.live.data_client import LiveMarketDataClient
from nautilus_trader.live.factories import LiveDataClientFactory
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import ClientId, InstrumentId, Venue

from workbench.errors import ConfigError, NotFoundError
from workbench.live.drills import Drill, parse_drill
from workbench.live.replay_catalog import find_range, load_catalog
from workbench.live.replay_clock import ReplayClock, restamp
from workbench.live.replay_config import ReplayDataClientConfig, parse_stamp
from workbench.live.replay_player import ReplayPlayer
from workbench.live.replay_reader import DatasetName, load_history

if TYPE_CHECKING:
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import LiveClock, MessageBus
    from nautilus_trader.core.data import Data

    from workbench.catalog.columns import DataType
    from workbench.catalog.coverage import DatasetSummary

__all__ = ["ReplayDataClient", "ReplayDataClientFactory"]


class ReplayDataClient(LiveMarketDataClient):
    """
    Replays quotes, trades and bars of a catalog as a live feed.

    One clock for all: it starts with the first event that is subscribed, or with a request, and what is subscribed
    later joins at the replay's position then. Events come in the catalog's order of ``ts_init``; those with one stamp
    there have one ``ts_init`` here too, which bid and ask bars need to be matched.

    Restamped events carry as ``ts_event`` the wall time at which they were due, and as ``ts_init`` the time at which
    they were sent. When the main loop was blocked, all that became due is sent with the times at which it was due:
    late events look late, and are never passed off as fresh. What would be later than ``max_lag_secs`` is not sent in
    a burst: the clock slips by the lag, and the replay goes on from where it was, as `describe` tells.

    Requests are answered from the catalog with what lies before the replay's position, the newest rows first where
    there is a limit, stamped as if the replay had run then. That includes what lies before the range of the replay.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The main loop.
    name : str
        The client's id.
    config : ReplayDataClientConfig
        What is replayed.
    msgbus, cache, clock
        Those of the node.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: ReplayDataClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> None:
        if config.is_looping and not config.is_restamped:
            raise ConfigError(
                "a replay with the catalog's own stamps cannot loop: time would jump back",
                expected="is_restamped, or not is_looping",
                field="is_looping",
            )
        super().__init__(
            loop=loop,
            client_id=ClientId(name),
            venue=Venue(config.venues[0]) if len(config.venues) == 1 else None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            config=config,
        )
        self._settings = config
        self._catalog = Path(config.catalog_path)
        self._range = parse_stamp(config.start, "start"), parse_stamp(config.end, "end")
        self._datasets: dict[DatasetName, DatasetSummary] = {}
        self._player: ReplayPlayer | None = None
        self._task: asyncio.Task[None] | None = None
        self._early: list[DatasetName] = []

    # -- What the host asks, from any thread ----------------------------------------------------------

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues whose data it replays."""
        return tuple(self._settings.venues)

    def describe(self) -> dict[str, Any]:
        """
        Return how the replay goes, as plain values.

        Returns
        -------
        dict
            ``state``: CONNECTING, WAITING (nothing is subscribed), REPLAYING, ENDED or FAILED; ``problem``;
            ``is_connected``; ``sent``: events so far; ``withheld``: by drills; ``last_event_ns``: the latest
            ``ts_event`` by instrument; ``lag_secs``: how late the latest event was, ``worst_lag_secs``: the latest of
            all; ``slipped_secs``: how far the clock slipped; ``speed``; ``is_looping``; ``loop``: from 0;
            ``position``: the catalog's time, ISO 8601; ``start``, ``end``: the range; ``datasets``: what is
            subscribed; ``drills``: mode, instrument_id and until_ns of those that are on.

        """
        described: dict[str, Any] = {
            "state": "CONNECTING",
            "problem": "",
            "is_connected": self.is_connected,
            "speed": self._settings.speed,
            "is_looping": self._settings.is_looping,
        }
        player = self._player
        if player is None:
            return described
        clock, position = player.clock, player.find_position()
        state = "FAILED" if player.problem else "ENDED" if player.is_ended else "WAITING"
        if state == "WAITING" and player.joined:
            state = "REPLAYING"
        return described | {
            "state": state,
            "problem": player.problem,
            "sent": player.sent,
            "withheld": player.drills.withheld,
            "last_event_ns": {name.value: stamp for name, stamp in player.last.copy().items()},
            "lag_secs": player.lag_ns / 1e9,
            "worst_lag_secs": player.worst_lag_ns / 1e9,
            "slipped_secs": clock.slipped_ns / 1e9,
            "loop": position // clock.period_ns,
            "position": unix_nanos_to_iso8601(min(clock.find_stamp(position), clock.last_ns)),
            "start": unix_nanos_to_iso8601(clock.first_ns),
            "end": unix_nanos_to_iso8601(clock.last_ns),
            "datasets": sorted(f"{d.identifier} {d.data_type}" for d in player.joined.copy()),
            "drills": [
                {"mode": d.mode, "instrument_id": d.instrument_id, "until_ns": d.until_ns}
                for d in player.drills.drills
            ],
        }

    def set_drill(
        self, mode: str | None, secs: float | None = None, instrument_id: str | None = None, every: int = 5
    ) -> None:
        """
        Switch a drill on or off; may be called from any thread.

        Parameters
        ----------
        mode : str, optional
            A `workbench.live.drills.DrillMode`; None ends the drill, or all drills where no instrument is named.
        secs : float, optional
            How long it lasts (default: until it is switched off).
        instrument_id : str, optional
            The instrument that it is about (default: all).
        every : int, default 5
            Which events are hit, in modes that do not hit all: every nth.

        Raises
        ------
        InputError
            If there is no such drill.

        """
        drill = None
        if mode is not None:
            drill = parse_drill(
                mode, now_ns=time.time_ns(), secs=secs, instrument_id=instrument_id, every=every
            )
        self._loop.call_soon_threadsafe(self._switch_drill, drill, instrument_id)

    def _switch_drill(self, drill: Drill | None, instrument_id: str | None) -> None:
        if self._player is not None:
            self._player.switch_drill(drill, instrument_id)

    def _note_drill(self, text: str) -> None:
        """Tell of a drill, and look connected or not, as it says."""
        self._log.warning(text)
        if self._player is None or self._task is None:
            return
        is_up = not self._player.drills.is_disconnected
        if is_up != self.is_connected and not self._player.problem:
            self._set_connected(is_up)
            if is_up:
                self._publish_instruments()

    def find_bar_types(self, instrument_id: InstrumentId) -> list[BarType]:
        """Return the bars of an instrument that the catalog has; none before it is connected."""
        bar_types = [BarType.from_str(d.identifier) for d in self._datasets if d.data_type == "bars"]
        return [found for found in bar_types if found.instrument_id == instrument_id]

    # -- Connection -----------------------------------------------------------------------------------

    async def _connect(self) -> None:
        datasets, instruments = await asyncio.to_thread(
            load_catalog, self._catalog, set(self._settings.venues)
        )
        first_ns, last_ns = find_range(self._catalog, datasets, *self._range)
        self._datasets = {DatasetName(d.data_type, d.identifier): d for d in datasets}
        for instrument in instruments:
            self._instrument_provider.add(instrument)
        self._publish_instruments()
        player = ReplayPlayer(
            loop=self._loop,
            catalog=self._catalog,
            clock=ReplayClock(first_ns, last_ns, self._settings.speed),
            config=self._settings,
            deliver=self._handle_data,
            on_drill=self._note_drill,
        )
        self._player = player
        self._task = self._loop.create_task(player.run(), name="replay")
        self._task.add_done_callback(self._note_end)
        for dataset in self._early:
            if dataset in self._datasets:
                player.join(dataset)
            else:
                self._log.error(f"The catalog has no {dataset.data_type} of {dataset.identifier}")
        self._early.clear()

    async def _disconnect(self) -> None:
        task, player, self._task, self._player = self._task, self._player, None, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if player is not None:
            await asyncio.to_thread(player.close)

    def _publish_instruments(self) -> None:
        for instrument in self._instrument_provider.get_all().values():
            self._handle_data(instrument)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._player is None:
            return
        if task.exception() is not None:
            self._player.problem = repr(task.exception())
            self._player.is_ended = True
        self._log.error(f"The replay has failed: {self._player.problem}")
        self._set_connected(False)

    # -- Subscriptions --------------------------------------------------------------------------------

    def _join(self, data_type: DataType, identifier: str) -> None:
        dataset = DatasetName(data_type, identifier)
        if self._player is None:
            self._early.append(dataset)
        else:
            self._check_dataset(dataset)
            self._player.join(dataset)

    def _leave(self, data_type: DataType, identifier: str) -> None:
        if self._player is not None:
            self._player.leave(DatasetName(data_type, identifier))

    def _check_dataset(self, dataset: DatasetName) -> None:
        if dataset not in self._datasets:
            raise NotFoundError(
                f"the catalog has no {dataset.data_type} of {dataset.identifier}",
                expected=f"one of {', '.join(f'{d.identifier} ({d.data_type})' for d in self._datasets)}",
            )

    async def _subscribe_quote_ticks(self, command: Any) -> None:
        self._join("quotes", command.instrument_id.value)

    async def _subscribe_trade_ticks(self, command: Any) -> None:
        self._join("trades", command.instrument_id.value)

    async def _subscribe_bars(self, command: Any) -> None:
        self._join("bars", str(command.bar_type))

    async def _subscribe_instrument(self, command: Any) -> None:
        self._publish_instruments()

    async def _subscribe_instruments(self, command: Any) -> None:
        self._publish_instruments()

    async def _unsubscribe_quote_ticks(self, command: Any) -> None:
        self._leave("quotes", command.instrument_id.value)

    async def _unsubscribe_trade_ticks(self, command: Any) -> None:
        self._leave("trades", command.instrument_id.value)

    async def _unsubscribe_bars(self, command: Any) -> None:
        self._leave("bars", str(command.bar_type))

    async def _unsubscribe_instrument(self, command: Any) -> None:
        """Nothing to end: instruments are sent once."""

    async def _unsubscribe_instruments(self, command: Any) -> None:
        """Nothing to end: instruments are sent once."""

    # -- Requests -------------------------------------------------------------------------------------

    async def _request_instrument(self, request: Any) -> None:
        instrument = self._instrument_provider.find(request.instrument_id)
        if instrument is None:
            raise NotFoundError(f"the catalog has no instrument {request.instrument_id}")
        self._handle_instrument(instrument, request.id, request.start, request.end, request.params)

    async def _request_instruments(self, request: Any) -> None:
        instruments = [
            i for i in self._instrument_provider.get_all().values() if request.venue in (None, i.id.venue)
        ]
        self._handle_instruments(
            request.venue, instruments, request.id, request.start, request.end, request.params
        )

    async def _request_quote_ticks(self, request: Any) -> None:
        rows = await self._load_history(DatasetName("quotes", request.instrument_id.value), request)
        self._handle_quote_ticks(
            request.instrument_id, rows, request.id, request.start, request.end, request.params
        )

    async def _request_trade_ticks(self, request: Any) -> None:
        rows = await self._load_history(DatasetName("trades", request.instrument_id.value), request)
        self._handle_trade_ticks(
            request.instrument_id, rows, request.id, request.start, request.end, request.params
        )

    async def _request_bars(self, request: Any) -> None:
        rows = await self._load_history(DatasetName("bars", str(request.bar_type)), request)
        self._handle_bars(request.bar_type, rows, request.id, request.start, request.end, request.params)

    async def _load_history(self, dataset: DatasetName, request: Any) -> list[Data]:
        player = self._player
        if player is None:
            raise NotFoundError("the replay has not connected yet")
        self._check_dataset(dataset)
        clock = player.clock
        clock.start(time.time_ns())
        position = player.find_position()
        loop = position // clock.period_ns
        # The catalog's time for wall times of this loop, and of what lies before it.
        zero = clock.first_ns - loop * clock.period_ns

        def locate(moment: Any) -> int | None:
            if moment is None:
                return None
            nanos: int = dt_to_unix_nanos(moment)
            return zero + clock.find_position(nanos) if self._settings.is_restamped else nanos

        start_ns, end_ns = locate(request.start), locate(request.end)
        before_ns = zero + position
        if end_ns is not None:
            before_ns = min(before_ns, end_ns + 1)
        rows = await asyncio.to_thread(
            load_history,
            self._catalog,
            dataset,
            start_ns=start_ns,
            before_ns=before_ns,
            limit=min(request.limit or self._settings.max_history, self._settings.max_history),
        )
        if not self._settings.is_restamped:
            return rows
        return [
            restamp(
                row,
                clock.find_due(clock.locate(row.ts_event, loop)),
                clock.find_due(clock.locate(row.ts_init, loop)),
            )
            for row in rows
        ]


class ReplayDataClientFactory(LiveDataClientFactory):
    """Makes replays for nautilus's node builder."""

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: ReplayDataClientConfig,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> ReplayDataClient:
        """Return a client that replays what `config` says."""
        return ReplayDataClient(loop=loop, name=name, config=config, msgbus=msgbus, cache=cache, clock=clock)
