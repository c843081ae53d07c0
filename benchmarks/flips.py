"""A strategy whose number of orders is chosen, not found."""

from __future__ import annotations

from nautilus_trader.config import PositiveInt, StrategyConfig
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.trading.strategy import Strategy

__all__ = ["Flips", "FlipsConfig"]


class FlipsConfig(StrategyConfig, frozen=True):
    """How often the position turns: two orders every so many bars of `bar_type`."""

    bar_type: BarType
    trade_size: str
    every: PositiveInt


class Flips(Strategy):
    """Closes its position and opens the opposite one, again and again."""

    def on_start(self) -> None:
        """Subscribe to the bars."""
        self._bars = 0
        self._side = OrderSide.SELL
        self._instrument = self.cache.instrument(self.config.bar_type.instrument_id)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Turn the position when it is time."""
        self._bars += 1
        if self._bars % self.config.every:
            return
        self._side = OrderSide.BUY if self._side == OrderSide.SELL else OrderSide.SELL
        self.close_all_positions(self._instrument.id)
        quantity = self._instrument.make_qty(self.config.trade_size)
        self.submit_order(self.order_factory.market(self._instrument.id, self._side, quantity))

    def on_stop(self) -> None:
        """End flat."""
        self.close_all_positions(self._instrument.id)
