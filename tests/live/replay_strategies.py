"""Strategies that do what the tests of feed and venue need, the same every time."""

from __future__ import annotations

from typing import Any

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy


class SchemerConfig(StrategyConfig, frozen=True):
    """Which bars to listen to."""

    bar_type: str = "GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL"


class Schemer(Strategy):
    """Buys, sells, turns its position and leaves limit orders open, by the count of bars."""

    steps = (10_000, 20_000, -15_000, 0, -40_000, 5_000, 20_000, 0, 30_000, -30_000)

    def on_start(self) -> None:
        self.msgbus.publish("started", self.id.value)
        self.bars = 0
        self.instrument = self.cache.instrument(InstrumentId.from_str("GBP/USD.SIM"))
        self.subscribe_bars(BarType.from_str(self.config.bar_type))

    def on_bar(self, bar: Bar) -> None:
        step = self.steps[self.bars % len(self.steps)]
        self.bars += 1
        if step:
            side = OrderSide.BUY if step > 0 else OrderSide.SELL
            quantity = self.instrument.make_qty(abs(step))
            self.submit_order(self.order_factory.market(self.instrument.id, side, quantity))
            return
        self.cancel_all_orders(self.instrument.id)
        for price in (1.0, 1.1):
            quantity, price = self.instrument.make_qty(1_000), self.instrument.make_price(price)
            self.submit_order(self.order_factory.limit(self.instrument.id, OrderSide.BUY, quantity, price))


class WatcherConfig(StrategyConfig, frozen=True):
    """What to subscribe to, to request, and whether to buy with the third bar."""

    bar_types: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    history: str = ""
    limit: int = 0
    buys: bool = False


class Watcher(Strategy):
    """Publishes what it sees, for the test to read."""

    def on_start(self) -> None:
        self.msgbus.publish("started", self.id.value)
        self.bars = 0
        for name in self.config.bar_types:
            self.subscribe_bars(BarType.from_str(name))
        for name in self.config.quotes:
            self.subscribe_quote_ticks(InstrumentId.from_str(name))
        if self.config.history:
            start = self.clock.utc_now().replace(year=2000)
            self.request_bars(BarType.from_str(self.config.history), start, limit=self.config.limit)

    def on_bar(self, bar: Bar) -> None:
        self.note("bar", str(bar.bar_type), bar)
        self.bars += 1
        if self.config.buys and self.bars == 3:
            instrument = self.cache.instrument(bar.bar_type.instrument_id)
            order = self.order_factory.market(instrument.id, OrderSide.BUY, instrument.make_qty(1_000))
            self.submit_order(order)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.note("quote", tick.instrument_id.value, tick)

    def on_historical_data(self, data: Any) -> None:
        self.note("history", str(data.bar_type), data)

    def note(self, what: str, name: str, data: Any) -> None:
        now = self.clock.timestamp_ns()
        seen = {"what": what, "name": name, "event": data.ts_event, "init": data.ts_init, "now": now}
        self.msgbus.publish("test.seen", seen)


class HasterConfig(StrategyConfig, frozen=True):
    """Nothing to choose."""


class Haster(Strategy):
    """Buys, and then sends more orders that close than there is to close, before it hears of any."""

    def on_start(self) -> None:
        self.msgbus.publish("started", self.id.value)
        self.bars = 0
        self.instrument = self.cache.instrument(InstrumentId.from_str("GBP/USD.SIM"))
        self.subscribe_bars(BarType.from_str("GBP/USD.SIM-1-MINUTE-ASK-EXTERNAL"))

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        if self.bars == 3:
            self.send(OrderSide.BUY, 10_000, is_reducing=False)
        if self.bars == 5:
            self.send(OrderSide.SELL, 4_000, is_reducing=True)
            self.send(OrderSide.SELL, 10_000, is_reducing=True)
            self.send(OrderSide.SELL, 10_000, is_reducing=True)

    def send(self, side: OrderSide, quantity: int, *, is_reducing: bool) -> None:
        quantity = self.instrument.make_qty(quantity)
        self.submit_order(
            self.order_factory.market(self.instrument.id, side, quantity, reduce_only=is_reducing)
        )
