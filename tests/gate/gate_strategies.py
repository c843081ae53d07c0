"""Strategies that send orders on every way to the venue, in the child process as well."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide, TriggerType
from nautilus_trader.model.identifiers import ExecAlgorithmId, InstrumentId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import Order
from nautilus_trader.trading.strategy import Strategy


class PathsConfig(StrategyConfig, frozen=True):
    """Sends `sizes`, one every 5 bars, by one way; closes everything at bar `close_at`."""

    instrument_id: InstrumentId
    bar_type: BarType
    path: str
    sizes: list[str]
    close_at: int = 0


class Paths(Strategy):
    def __init__(self, config: PathsConfig) -> None:
        super().__init__(config)
        self.bars = 0
        self.resting: Order | None = None

    def on_start(self) -> None:
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        self.bars += 1
        number, rest = divmod(self.bars, 5)
        if rest == 0 and number <= len(self.config.sizes):
            size = Decimal(self.config.sizes[number - 1])
            side = OrderSide.BUY if size > 0 else OrderSide.SELL
            getattr(self, f"send_{self.config.path}")(side, Quantity(abs(size), 0), bar)
        if self.bars == self.config.close_at:
            self.close_all_positions(self.config.instrument_id)

    def send_market(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, quantity))

    def send_bracket(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        instrument = self.cache.instrument(self.config.instrument_id)
        price = bar.close.as_decimal()
        self.submit_order_list(
            self.order_factory.bracket(
                self.config.instrument_id,
                side,
                quantity,
                tp_price=instrument.make_price(price * Decimal("1.1")),
                sl_trigger_price=instrument.make_price(price * Decimal("0.9")),
            )
        )

    def send_modify(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Rest far from the market, then grow."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if self.resting is None:
            low = instrument.make_price(bar.close.as_decimal() * Decimal("0.5"))
            self.resting = self.order_factory.limit(self.config.instrument_id, side, quantity, low)
            self.submit_order(self.resting)
        else:
            self.modify_order(self.resting, quantity=quantity)

    def send_dearer(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Rest far from the market, then come nearer: by as many thousandths of the price as `quantity` has units."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if self.resting is None:
            self.send_modify(side, quantity, bar)
        else:
            part = quantity.as_decimal() / 1_000
            self.modify_order(self.resting, price=instrument.make_price(bar.close.as_decimal() * part))

    def send_risk(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Past the strategy's own methods."""
        order = self.order_factory.market(self.config.instrument_id, side, quantity)
        self.cache.add_order(order)
        command = SubmitOrder(
            trader_id=self.trader_id,
            strategy_id=self.id,
            order=order,
            command_id=UUID4(),
            ts_init=self.clock.timestamp_ns(),
        )
        self.msgbus.send("RiskEngine.execute", command)

    def send_batch(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Two orders that rest; later all of them are cancelled in one command."""
        instrument = self.cache.instrument(self.config.instrument_id)
        if self.bars == 5:
            for part in ("0.5", "0.6"):
                price = instrument.make_price(bar.close.as_decimal() * Decimal(part))
                self.submit_order(self.order_factory.limit(self.config.instrument_id, side, quantity, price))
        else:
            self.cancel_orders(self.cache.orders_open(strategy_id=self.id))

    def send_twice(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Grow an order and send another one at once, before the venue has answered."""
        instrument = self.cache.instrument(self.config.instrument_id)
        low = instrument.make_price(bar.close.as_decimal() * Decimal("0.5"))
        if self.resting is None:
            self.send_modify(side, quantity, bar)
        else:
            self.modify_order(self.resting, quantity=quantity)
            self.submit_order(self.order_factory.limit(self.config.instrument_id, side, quantity, low))

    def send_emulated(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Released at once: its trigger is behind the market."""
        instrument = self.cache.instrument(self.config.instrument_id)
        trigger = instrument.make_price(bar.close.as_decimal() * Decimal("0.99"))
        self.submit_order(
            self.order_factory.stop_market(
                self.config.instrument_id, side, quantity, trigger, emulation_trigger=TriggerType.BID_ASK
            )
        )

    def send_algorithm(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        self.submit_order(
            self.order_factory.market(
                self.config.instrument_id,
                side,
                quantity,
                exec_algorithm_id=ExecAlgorithmId("TWAP"),
                exec_algorithm_params={"horizon_secs": 240, "interval_secs": 60},
            )
        )

    def send_direct(self, side: OrderSide, quantity: Quantity, bar: Bar) -> None:
        """Past the strategy's own methods, the cache and the risk engine."""
        order = self.order_factory.market(self.config.instrument_id, side, quantity)
        command = SubmitOrder(
            trader_id=self.trader_id,
            strategy_id=self.id,
            order=order,
            command_id=UUID4(),
            ts_init=self.clock.timestamp_ns(),
        )
        self.msgbus.send("ExecEngine.execute", command)
