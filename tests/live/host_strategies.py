"""Strategies for hosts: one that trades, and some that misbehave."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.events import OrderFilled
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy


class TraderConfig(StrategyConfig, frozen=True):
    """What to trade, and when."""

    instrument_id: InstrumentId
    quantity: Decimal = Decimal(1000)
    every: int = 5
    is_resting: bool = False


class QuoteTrader(Strategy):
    """Buys and sells in turn at every so many quotes; with a resting order far away if it is told so."""

    def __init__(self, config: TraderConfig) -> None:
        super().__init__(config)
        self.quotes = 0
        self.fills = 0

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.quotes += 1
        if self.config.is_resting and self.quotes == 1:
            price = self.instrument.make_price(tick.bid_price.as_decimal() / 2)
            self.submit_order(
                self.order_factory.limit(tick.instrument_id, OrderSide.BUY, self._quantity(), price)
            )
        if self.quotes % self.config.every == 0:
            # Twice a buy for each sell: something is held most of the time
            side = OrderSide.SELL if self.quotes // self.config.every % 3 == 0 else OrderSide.BUY
            self.submit_order(self.order_factory.market(tick.instrument_id, side, self._quantity()))

    def on_order_filled(self, event: OrderFilled) -> None:
        self.fills += 1

    def on_save(self) -> dict[str, bytes]:
        return {"fills_seen": str(self.fills).encode()}

    def on_load(self, state: dict[str, bytes]) -> None:
        self.fills = int(state["fills_seen"])
        self.log.warning(f"loaded {self.fills}")

    def on_stop(self) -> None:
        pass

    def on_reset(self) -> None:
        self.quotes = 0

    def _quantity(self):
        return self.instrument.make_qty(self.config.quantity)


class BarTrader(QuoteTrader):
    """Holds something, by bars of a second alone."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.subscribe_bars(BarType.from_str(f"{self.config.instrument_id}-1-SECOND-LAST-EXTERNAL"))

    def on_bar(self, bar: Bar) -> None:
        if self.portfolio.is_flat(self.instrument.id):
            self.submit_order(self.order_factory.market(self.instrument.id, OrderSide.BUY, self._quantity()))


class Raiser(QuoteTrader):
    """Leaves a resting order and raises at its third quote."""

    def on_quote_tick(self, tick: QuoteTick) -> None:
        super().on_quote_tick(tick)
        if self.quotes == 3:
            raise ValueError("this is wrong")


class TimerRaiser(QuoteTrader):
    """Raises in the callback of a timer, which nautilus calls from another thread and does not look at."""

    def on_start(self) -> None:
        super().on_start()
        self.clock.set_timer_ns("soon", 100_000_000, 0, 0, callback=self.look)

    def look(self, event) -> None:
        raise ValueError("the timer is wrong")


class Looper(QuoteTrader):
    """Loops forever at its third quote."""

    def on_quote_tick(self, tick: QuoteTick) -> None:
        super().on_quote_tick(tick)
        while self.quotes >= 3:
            pass


class LateLooper(QuoteTrader):
    """Loops forever once it has filled a few orders and holds something."""

    def on_quote_tick(self, tick: QuoteTick) -> None:
        super().on_quote_tick(tick)
        while self.fills >= 5 and not self.portfolio.is_flat(self.instrument.id):
            pass
