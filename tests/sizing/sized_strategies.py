"""Strategies of these tests that are sized at every opening order."""

from __future__ import annotations

from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy

from workbench.sizing.config import Sizing
from workbench.sizing.sizer import PositionSizer


class SwingConfig(StrategyConfig, frozen=True):
    """
    Parameters
    ----------
    instrument_id : InstrumentId
        What is traded.
    bar_type : BarType
        What is listened to.
    sizing : Sizing
        How large its orders are.
    every : int
        It opens and closes in turns of so many bars.

    """

    instrument_id: InstrumentId
    bar_type: BarType
    sizing: Sizing
    every: int = 10


class Swing(Strategy):
    """Buys, and closes again, in turns."""

    def __init__(self, config: SwingConfig) -> None:
        super().__init__(config)
        self.bars = 0

    def on_start(self) -> None:
        self.sizer = PositionSizer(self, self.config.sizing)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.sizer.observe(bar)
        self.bars += 1
        if self.bars % self.config.every:
            return
        if self.portfolio.is_flat(self.config.instrument_id):
            sized = self.sizer.compute_quantity(self.config.instrument_id)
            if sized.quantity is None:
                self.log.warning(f"no order: {sized.reason}")
                return
            self.log.warning(f"sized {sized.quantity} {sized.price} {sized.equity} {sized.volatility}")
            self.submit_order(
                self.order_factory.market(self.config.instrument_id, OrderSide.BUY, sized.quantity)
            )
        else:
            self.close_all_positions(self.config.instrument_id)


class StackConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    sizing: Sizing | None = None
    most: int = 3


class Stack(Strategy):
    """Buys at each of the first quotes of its instrument."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__(config)
        self.bought = 0

    def on_start(self) -> None:
        assert self.config.sizing is not None
        self.sizer = PositionSizer(self, self.config.sizing)
        self.subscribe_quote_ticks(self.config.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        if self.bought == self.config.most:
            return
        self.bought += 1
        sized = self.sizer.compute_quantity(self.config.instrument_id)
        if sized.quantity is None:
            self.log.warning(f"no order: {sized.reason}")
            return
        self.submit_order(self.order_factory.market(self.config.instrument_id, OrderSide.BUY, sized.quantity))
