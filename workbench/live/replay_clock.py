"""The one clock of a replay: which wall time a stamp of the catalog falls on."""

from __future__ import annotations

from decimal import Decimal
from functools import singledispatch

from nautilus_trader.core.data import Data
from nautilus_trader.model.data import Bar, QuoteTick, TradeTick

__all__ = ["LOOP_GAP_NS", "ReplayClock", "restamp"]

LOOP_GAP_NS = 60_000_000_000
"""What lies between the last stamp of a loop and the first of the next: a bar of a minute keeps its distance."""


class ReplayClock:
    """
    Maps positions in a replay to wall time, and back.

    A position is nanoseconds of the catalog's time since the first stamp, going on through the loops: it never
    goes back, and neither does the wall time that it falls on.

    Parameters
    ----------
    first_ns, last_ns : int
        The range of the replay in the catalog's time, both ends included.
    speed : float
        Nanoseconds of the catalog's time in one of the wall clock.

    """

    def __init__(self, first_ns: int, last_ns: int, speed: float) -> None:
        self.first_ns = first_ns
        self.last_ns = last_ns
        self.period_ns = last_ns - first_ns + LOOP_GAP_NS
        # Whole numbers: a month in nanoseconds does not fit into a float.
        self._numerator, self._denominator = Decimal(str(speed)).as_integer_ratio()
        self._origin_ns: int | None = None
        self.slipped_ns = 0

    @property
    def is_started(self) -> bool:
        """Return whether it runs."""
        return self._origin_ns is not None

    def start(self, now_ns: int) -> None:
        """Let position 0 fall on this wall time; a clock that runs goes on as it is."""
        if self._origin_ns is None:
            self._origin_ns = now_ns

    def slip(self, by_ns: int) -> None:
        """Move all that is to come to a later wall time: the clock had to wait."""
        if self._origin_ns is not None:
            self._origin_ns += by_ns
            self.slipped_ns += by_ns

    def locate(self, stamp_ns: int, loop: int) -> int:
        """Return the position of a stamp of the catalog in a loop."""
        return loop * self.period_ns + stamp_ns - self.first_ns

    def find_due(self, position: int) -> int:
        """Return the wall time, nanoseconds since the epoch, that a position falls on."""
        return (self._origin_ns or 0) + position * self._denominator // self._numerator

    def find_position(self, wall_ns: int) -> int:
        """Return the position that falls on a wall time; 0 while the clock does not run."""
        if self._origin_ns is None:
            return 0
        return (wall_ns - self._origin_ns) * self._numerator // self._denominator

    def find_stamp(self, position: int) -> int:
        """Return the stamp of the catalog that a position stands for, in whichever loop."""
        return self.first_ns + (position % self.period_ns if position > 0 else position)


@singledispatch
def restamp(data: Data, ts_event: int, ts_init: int) -> Data:
    """Return the same quote, trade or bar at another time."""
    raise TypeError(f"cannot restamp {type(data).__name__}")


@restamp.register
def _(data: QuoteTick, ts_event: int, ts_init: int) -> Data:
    return QuoteTick(
        data.instrument_id, data.bid_price, data.ask_price, data.bid_size, data.ask_size, ts_event, ts_init
    )


@restamp.register
def _(data: TradeTick, ts_event: int, ts_init: int) -> Data:
    return TradeTick(
        data.instrument_id, data.price, data.size, data.aggressor_side, data.trade_id, ts_event, ts_init
    )


@restamp.register
def _(data: Bar, ts_event: int, ts_init: int) -> Data:
    return Bar(
        data.bar_type,
        data.open,
        data.high,
        data.low,
        data.close,
        data.volume,
        ts_event,
        ts_init,
        data.is_revision,
    )
