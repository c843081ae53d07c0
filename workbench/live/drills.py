"""What can go wrong with a feed, on purpose: to see that the engine notices."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import msgspec
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick
from nautilus_trader.model.objects import Price

from workbench.errors import InputError

if TYPE_CHECKING:
    from nautilus_trader.core.data import Data

__all__ = ["SLOW_NS", "Drill", "DrillMode", "Drills", "FeedEvent", "parse_drill"]

DrillMode = Literal["stall", "disconnect", "duplicates", "out_of_order", "slow", "garbage"]
"""
What goes wrong: ``stall``: nothing is sent, and the connection looks sound; ``disconnect``: nothing is sent, and the
client says so; ``duplicates``: every nth event is sent twice; ``out_of_order``: every nth event comes after the one
that follows it; ``slow``: every event comes late; ``garbage``: every nth event has ten times its prices.
"""

SLOW_NS = 3_000_000_000
"""How late events are in the mode ``slow``."""


class FeedEvent(NamedTuple):
    """Market data and the time that it is to be stamped with."""

    ts_event: int
    data: Data


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """
    A drill that is on.

    Attributes
    ----------
    mode : DrillMode
        What goes wrong.
    until_ns : int, optional
        When it ends by itself, wall time in nanoseconds since the epoch.
    instrument_id : str, optional
        The instrument whose data it is about; None for all.
    every : int
        Which events are hit, where not all are: every nth.

    """

    mode: DrillMode
    until_ns: int | None = None
    instrument_id: str | None = None
    every: int = 5


def parse_drill(
    mode: str, *, now_ns: int, secs: float | None = None, instrument_id: str | None = None, every: int = 5
) -> Drill:
    """
    Return a drill from what somebody asked for.

    Raises
    ------
    InputError
        If there is no such mode, or it cannot be on for this instrument or this time.

    """
    if mode not in get_args(DrillMode):
        raise InputError(
            f"there is no drill {mode!r}", expected=f"one of {', '.join(get_args(DrillMode))}", field="mode"
        )
    if secs is not None and not 0 < secs < 1e9:
        raise InputError(f"a drill cannot last {secs} s", expected="more than nothing", field="secs")
    if every < 1:
        raise InputError(f"every is {every}", expected="1 or more", field="every")
    if mode == "disconnect" and instrument_id is not None:
        raise InputError(
            "an instrument cannot be disconnected alone",
            expected="no instrument_id",
            advice="use the drill stall",
            field="instrument_id",
        )
    return Drill(
        mode=mode,  # type: ignore[arg-type]
        until_ns=None if secs is None else now_ns + int(secs * 1e9),
        instrument_id=instrument_id,
        every=every,
    )


class Drills:
    """
    The drills of a feed: events go in, and those come out that are to be sent now.

    At most one drill is on for all instruments, and one more for each instrument, which counts alone there.
    Nothing is left to chance: the same events give the same events. What a stall or a lost connection holds back is
    lost. What was held back for later comes out when its time has come, also after the drill.
    """

    def __init__(self) -> None:
        self._drills: dict[str | None, Drill] = {}
        self._counts: dict[str, int] = {}
        self._held: dict[str, FeedEvent] = {}
        self._late: deque[tuple[int, FeedEvent]] = deque()
        self.withheld = 0

    @property
    def is_idle(self) -> bool:
        """Return whether every event passes as it is."""
        return not (self._drills or self._held or self._late)

    @property
    def drills(self) -> list[Drill]:
        """Return the drills that are on."""
        return list(self._drills.values())

    @property
    def is_disconnected(self) -> bool:
        """Return whether the connection is to look lost."""
        drill = self._drills.get(None)
        return drill is not None and drill.mode == "disconnect"

    def switch_on(self, drill: Drill) -> None:
        """Begin a drill, in place of the one for the same instrument or for all."""
        self._drills[drill.instrument_id] = drill

    def switch_off(self, instrument_id: str | None = None) -> None:
        """End the drill for this instrument; without one, all drills."""
        if instrument_id is None:
            self._drills.clear()
        else:
            self._drills.pop(instrument_id, None)

    def find_end(self) -> int | None:
        """Return when the next drill ends, or the next late event is to be sent, in wall time."""
        ends = [drill.until_ns for drill in self._drills.values() if drill.until_ns is not None]
        return min([*ends, *(due for due, _ in list(self._late)[:1])], default=None)

    def expire(self, now_ns: int) -> list[Drill]:
        """End the drills whose time is over, and return them."""
        over = [d for d in self._drills.values() if d.until_ns is not None and d.until_ns <= now_ns]
        for drill in over:
            del self._drills[drill.instrument_id]
        return over

    def release(self, now_ns: int) -> list[FeedEvent]:
        """Return the events that were held back until now."""
        events = []
        while self._late and self._late[0][0] <= now_ns:
            events.append(self._late.popleft()[1])
        if self._held and not any(drill.mode == "out_of_order" for drill in self._drills.values()):
            events += self._held.values()
            self._held.clear()
        return events

    def admit(self, event: FeedEvent, now_ns: int) -> list[FeedEvent]:
        """Return what is to be sent now that this event is due."""
        name = _name(event.data)
        drill = self._drills.get(name) or self._drills.get(None)
        if drill is None:
            return [*self._release_held(name), event]
        count = self._counts[name] = self._counts.get(name, 0) + 1
        is_hit = count % drill.every == 0
        match drill.mode:
            case "stall" | "disconnect":
                self.withheld += 1
                return []
            case "slow":
                self._late.append((now_ns + SLOW_NS, event))
                return []
            case "duplicates" if is_hit:
                return [event, event]
            case "garbage" if is_hit:
                return [FeedEvent(event.ts_event, _spoil(event.data))]
            case "out_of_order" if is_hit and name not in self._held:
                self._held[name] = event
                return []
        return [event, *self._release_held(name)]

    def _release_held(self, name: str) -> list[FeedEvent]:
        held = self._held.pop(name, None)
        return [] if held is None else [held]


def _name(data: Data) -> str:
    instrument_id = data.bar_type.instrument_id if isinstance(data, Bar) else data.instrument_id
    name: str = instrument_id.value
    return name


def _spoil(data: Data) -> Data:
    """Return the data with ten times its prices."""
    if isinstance(data, QuoteTick):
        return QuoteTick(
            data.instrument_id,
            _tenfold(data.bid_price),
            _tenfold(data.ask_price),
            data.bid_size,
            data.ask_size,
            data.ts_event,
            data.ts_init,
        )
    if isinstance(data, TradeTick):
        return TradeTick(
            data.instrument_id,
            _tenfold(data.price),
            data.size,
            data.aggressor_side,
            data.trade_id,
            data.ts_event,
            data.ts_init,
        )
    prices = [_tenfold(price) for price in (data.open, data.high, data.low, data.close)]
    return Bar(data.bar_type, *prices, data.volume, data.ts_event, data.ts_init, data.is_revision)


def _tenfold(price: Price) -> Price:
    return Price.from_str(f"{price.as_decimal() * 10:.{price.precision}f}")
