"""The market of a sandbox: what moves it, and which orders it could never fill."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from nautilus_trader.model.data import (
    Bar,
    InstrumentClose,
    InstrumentStatus,
    OrderBookDelta,
    OrderBookDeltas,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.instruments import Instrument

if TYPE_CHECKING:
    from nautilus_trader.backtest.engine import SimulatedExchange
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import Logger, TestClock
    from nautilus_trader.core.data import Data
    from nautilus_trader.model.identifiers import InstrumentId
    from nautilus_trader.model.orders import Order

__all__ = ["SandboxMarket"]


class SandboxMarket:
    """
    Moves a simulated exchange by the data of a feed.

    Parameters
    ----------
    exchange : SimulatedExchange
        The exchange.
    cache : Cache
        That of the node.
    clock : TestClock
        The exchange's.
    log : Logger
        Told of data that do not fit their instrument.

    """

    def __init__(self, exchange: SimulatedExchange, cache: Cache, clock: TestClock, log: Logger) -> None:
        self._exchange = exchange
        self._cache = cache
        self._clock = clock
        self._log = log
        self._sides: dict[InstrumentId, set[PriceType]] = defaultdict(set)
        self._faults: set[str] = set()
        self._handlers: tuple[tuple[type, Any], ...] = (
            (QuoteTick, exchange.process_quote_tick),
            (Bar, self._process_bar),
            (TradeTick, exchange.process_trade_tick),
            (OrderBookDeltas, exchange.process_order_book_deltas),
            (OrderBookDelta, exchange.process_order_book_delta),
            (OrderBookDepth10, exchange.process_order_book_depth10),
            (Instrument, exchange.update_instrument),
            (InstrumentStatus, exchange.process_instrument_status),
            (InstrumentClose, exchange.process_instrument_close),
        )

    def move(self, data: Data) -> None:
        """Let the market move by this data, and by its time; what does not fit is told once."""
        try:
            for kind, handle in self._handlers:
                if isinstance(data, kind):
                    handle(data)
                    break
            self._exchange.process(max(data.ts_init, self._clock.timestamp_ns()))
        except RuntimeError as e:  # It must not end the engine
            if str(e) not in self._faults:
                self._faults.add(str(e))
                self._log.error(f"{type(data).__name__} does not move the market: {e}")

    def find_obstacle(self, order: Order) -> str:
        """Return why this order could never be filled, or nothing."""
        engine = self._exchange.get_matching_engine(order.instrument_id)
        if engine is None:
            instrument = self._cache.instrument(order.instrument_id)
            if instrument is None:
                return f"the sandbox does not know {order.instrument_id}"
            self._exchange.add_instrument(instrument)
            engine = self._exchange.get_matching_engine(order.instrument_id)
        sides = self._sides.get(order.instrument_id, set())
        has_market = engine.best_bid_price() is not None or engine.best_ask_price() is not None
        if has_market or len(sides & {PriceType.BID, PriceType.ASK}) != 1:
            return ""
        only = "BID" if PriceType.BID in sides else "ASK"
        return (
            f"the sandbox is given {only} bars of {order.instrument_id} alone, which fill nothing; "
            "expected bid and ask bars of the same length, or LAST or MID bars, or quotes or trades; "
            "name them in its bar_types, quotes or trades"
        )

    def _process_bar(self, bar: Bar) -> None:
        if bar.bar_type.is_externally_aggregated():  # The others are made of what has moved the market
            self._sides[bar.bar_type.instrument_id].add(bar.bar_type.spec.price_type)
        self._exchange.process_bar(bar)
