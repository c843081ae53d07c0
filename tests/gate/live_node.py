"""
A real TradingNode with a sandbox venue and the gate in front of it; prints what became of every way to the venue.

A script: a node needs the main thread of its own process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.sandbox.config import SandboxExecutionClientConfig
from nautilus_trader.adapters.sandbox.factory import SandboxLiveExecClientFactory
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, StrategyConfig, TradingNodeConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.examples.algorithms.twap import TWAPExecAlgorithm, TWAPExecAlgorithmConfig
from nautilus_trader.execution.messages import SubmitOrder
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide, OrderStatus, TriggerType
from nautilus_trader.model.identifiers import ClientOrderId, ExecAlgorithmId, StrategyId, Venue
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import MarketOrder, Order
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

from workbench.gate.gate import Gate
from workbench.gate.limits import parse_limits
from workbench.gate.raw import to_decimal
from workbench.gate.rules import TradingState
from workbench.live.valuer import LiveValuer

GBPUSD = TestInstrumentProvider.default_fx_ccy("GBP/USD", Venue("SIM"))
DEADLINE_SECS = 20.0
LIMITS = {
    "max_position": {"*": "100000"},
    "max_exposure": "160000",
    "max_net_exposure": "160000",
    "max_margin": "0.5",
    "max_daily_loss": "100000",
    "max_drawdown": "0.5",
    "max_orders_per_sec": 1000,
    "max_mark_age_secs": 5.0,
}


class Sender(Strategy):
    """Sends by whatever way it is told; trades nothing by itself."""

    def __init__(self, tag: str) -> None:
        super().__init__(StrategyConfig(order_id_tag=tag))
        self.on_rejection: Callable[[], None] = lambda: None

    def on_order_modify_rejected(self, event: Any) -> None:
        self.on_rejection()

    def on_start(self) -> None:
        pass

    def on_stop(self) -> None:
        pass

    def build_command(self, size: int) -> SubmitOrder:
        return SubmitOrder(
            trader_id=self.trader_id,
            strategy_id=self.id,
            order=self.build_market(size),
            command_id=UUID4(),
            ts_init=self.clock.timestamp_ns(),
        )

    def build_market(self, size: int, *, is_reducing: bool = False, **more: Any) -> Order:
        side = OrderSide.BUY if size > 0 else OrderSide.SELL
        return self.order_factory.market(
            GBPUSD.id, side, Quantity.from_int(abs(size)), reduce_only=is_reducing, **more
        )

    def build_limit(self, size: int, price: str = "1.20000") -> Order:
        return self.order_factory.limit(
            GBPUSD.id, OrderSide.BUY, Quantity.from_int(size), Price.from_str(price)
        )

    # Each way returns the orders whose fate tells whether it is guarded.

    def send_submit(self, size: int) -> list[Order]:
        order = self.build_market(size)
        self.submit_order(order)
        return [order]

    def send_list(self, size: int) -> list[Order]:
        orders = self.order_factory.bracket(
            GBPUSD.id,
            OrderSide.BUY,
            Quantity.from_int(size),
            tp_price=Price.from_str("1.90000"),
            sl_trigger_price=Price.from_str("1.10000"),
        )
        self.submit_order_list(orders)
        return [orders.orders[0]]

    def send_emulated(self, size: int) -> list[Order]:
        order = self.order_factory.stop_market(
            GBPUSD.id,
            OrderSide.BUY,
            Quantity.from_int(size),
            Price.from_str("1.40000"),  # Behind the market: released at once
            emulation_trigger=TriggerType.BID_ASK,
        )
        self.submit_order(order)
        return [order]

    def send_algorithm(self, size: int) -> list[Order]:
        order = self.build_market(
            size,
            exec_algorithm_id=ExecAlgorithmId("TWAP"),
            exec_algorithm_params={"horizon_secs": 1.0, "interval_secs": 1.0},
        )
        self.submit_order(order)
        return [order]

    def send_exec_engine(self, size: int) -> list[Order]:
        command = self.build_command(size)
        self.msgbus.send("ExecEngine.execute", command)
        return [command.order]

    def send_risk_engine(self, size: int) -> list[Order]:
        command = self.build_command(size)
        self.cache.add_order(command.order)
        self.msgbus.send("RiskEngine.execute", command)
        return [command.order]


class Play:
    """The node and what is done with it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        sandbox = SandboxExecutionClientConfig(
            venue="SIM",
            account_type="MARGIN",
            oms_type="NETTING",
            base_currency="USD",
            starting_balances=["1000000 USD"],
            default_leverage=Decimal(10),
        )
        self.node = TradingNode(
            config=TradingNodeConfig(
                trader_id="TESTER-001",
                logging=LoggingConfig(log_level="OFF"),
                exec_engine=LiveExecEngineConfig(reconciliation=False),
                exec_clients={"SIM": sandbox},
                timeout_post_stop=0.1,
                timeout_disconnection=2.0,
            ),
            loop=self.loop,
        )
        self.node.add_exec_client_factory("SIM", SandboxLiveExecClientFactory)
        self.node.build()
        kernel = self.kernel = self.node.kernel
        self.cache = kernel.cache
        self.cache.add_instrument(GBPUSD)
        self.one, self.two = Sender("001"), Sender("002")
        for strategy in (self.one, self.two):
            self.node.trader.add_strategy(strategy)
        self.node.trader.add_exec_algorithm(TWAPExecAlgorithm(TWAPExecAlgorithmConfig()))
        valuer = LiveValuer(self.cache, kernel.clock, USD, max_mark_age_secs=LIMITS["max_mark_age_secs"])
        self.gate = Gate(kernel, parse_limits(**LIMITS), valuer, max_age_secs=0.1)
        self.gate.attach()
        self.is_quoting = True
        self.found: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        node = self.loop.create_task(self.node.run_async())
        quotes = self.loop.create_task(self.quote())
        try:
            self.loop.run_until_complete(asyncio.wait_for(self.play(), 120))
        finally:
            quotes.cancel()
            self.loop.run_until_complete(self.node.stop_async())
            self.loop.run_until_complete(asyncio.gather(node, quotes, return_exceptions=True))
        return self.found

    async def quote(self) -> None:
        size = Quantity.from_int(10_000_000)
        while True:
            if self.is_quoting:
                now = self.kernel.clock.timestamp_ns()
                bid, ask = Price.from_str("1.50000"), Price.from_str("1.50010")
                self.kernel.data_engine.process(QuoteTick(GBPUSD.id, bid, ask, size, size, now, now))
            await asyncio.sleep(0.02)

    async def wait(self, condition: Callable[[], Any]) -> bool:
        deadline = time.monotonic() + DEADLINE_SECS
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def flatten(self) -> None:
        """Bring the play back to its beginning."""
        self.gate.set_trading_state(TradingState.ACTIVE, "test")
        for strategy in (self.one, self.two):
            strategy.cancel_all_orders(GBPUSD.id)
            strategy.close_all_positions(GBPUSD.id)

        def is_flat() -> bool:
            return not (
                self.cache.positions_open()
                or self.cache.orders_open()
                or self.cache.orders_inflight()
                or self.gate._ledger.orders
            )

        assert await self.wait(is_flat), "the play could not be brought back to its beginning"
        assert self.gate.audit() == []

    async def find_fate(self, orders: list[Order], statuses: tuple[OrderStatus, ...]) -> list[str]:
        def read() -> list[Order]:
            return [self.cache.order(o.client_order_id) or o for o in orders]

        await self.wait(lambda: all(o.status in statuses for o in read()))
        return [str(o.status.name) for o in read()]

    async def play(self) -> None:
        assert await self.wait(lambda: self.node.trader.is_running and self.cache.quote_tick(GBPUSD.id))
        ends = (OrderStatus.FILLED, OrderStatus.DENIED)
        for way in ("submit", "list", "emulated", "algorithm", "exec_engine", "risk_engine"):
            send = getattr(self.one, f"send_{way}")
            fates = {}
            for name, size in (("within", 50_000), ("above", 150_000)):
                fates[name] = await self.find_fate(send(size), ends)
                await self.flatten()
            self.gate.halt("test")
            fates["halted"] = await self.find_fate(send(50_000), ends)
            await self.flatten()
            self.found[way] = fates
        await self.play_bound_reference()
        await self.play_modify()
        await self.play_modify_turned_back()
        await self.play_again()
        await self.play_without_client()
        await self.play_cancels()
        await self.play_blocked_loop()
        await self.play_closing()
        await self.play_stale_marks()
        self.found["audit"] = self.gate.audit()

    async def play_bound_reference(self) -> None:
        """Who has the engine's own method is guarded too."""
        execute = self.kernel.exec_engine.execute
        command = self.one.build_command(150_000)
        execute(command)
        self.found["bound reference"] = await self.find_fate([command.order], (OrderStatus.DENIED,))
        await self.flatten()

    async def play_modify(self) -> None:
        order = self.one.build_limit(50_000)
        self.one.submit_order(order)
        await self.find_fate([order], (OrderStatus.ACCEPTED,))
        denied = len(self.gate.log.denied)
        self.one.modify_order(order, quantity=Quantity.from_int(150_000))
        await self.wait(lambda: len(self.gate.log.denied) == denied + 1)
        self.found["modify quantity"] = [self.gate.log.denied[-1].reason, int(order.quantity)]
        self.one.modify_order(order, quantity=Quantity.from_int(90_000))
        await self.wait(lambda: order.quantity == 90_000)
        self.found["modify within"] = int(order.quantity)
        self.one.modify_order(order, price=Price.from_str("1.49000"))
        await self.wait(lambda: order.price == Price.from_str("1.49000"))
        self.two.submit_order(self.two.build_limit(10_000, "1.40000"))
        await self.wait(lambda: len(self.cache.orders_open()) == 2)
        self.one.modify_order(order, price=Price.from_str("1.49900"))
        await self.wait(lambda: order.price == Price.from_str("1.49900"))
        self.gate.set_limits(parse_limits(**{**LIMITS, "max_exposure": "148940"}), "test")
        self.one.modify_order(order, price=Price.from_str("1.49950"))
        await self.wait(lambda: len(self.gate.log.denied) == denied + 2)
        self.found["modify price"] = [self.gate.log.denied[-1].reason, str(order.price)]
        self.gate.set_limits(parse_limits(**LIMITS), "test")
        self.gate.halt("test")
        self.one.modify_order(order, quantity=Quantity.from_int(10_000))
        await self.wait(lambda: len(self.gate.log.denied) == denied + 3)
        self.found["modify halted"] = int(order.quantity)
        await self.flatten()

    async def play_modify_turned_back(self) -> None:
        """Nautilus's risk engine turns one modification back while another is on its way."""
        order = self.one.build_limit(10_000)
        self.one.submit_order(order)
        await self.find_fate([order], (OrderStatus.ACCEPTED,))
        counted: list[int] = []
        ledger = self.gate._ledger
        self.one.on_rejection = lambda: counted.append(
            int(to_decimal(ledger.orders[order.client_order_id].quantity))
        )
        self.one.modify_order(order, quantity=Quantity.from_int(90_000))
        self.one.modify_order(order, price=Price.from_str("1.2000001"))  # Finer than a tick
        await self.wait(lambda: counted and order.quantity == 90_000)
        self.found["modify turned back"] = counted
        await self.flatten()

    async def play_again(self) -> None:
        """The same order a second time, past the strategy's own methods; and another one of its id."""
        order = self.one.build_limit(60_000)
        self.one.submit_order(order)
        await self.find_fate([order], (OrderStatus.ACCEPTED,))
        denied = len(self.gate.log.denied)
        command = SubmitOrder(order.trader_id, order.strategy_id, order, UUID4(), 0)
        self.kernel.msgbus.send("ExecEngine.execute", command)
        await self.wait(lambda: len(self.gate.log.denied) == denied + 1)
        other = MarketOrder(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            instrument_id=GBPUSD.id,
            client_order_id=order.client_order_id,
            order_side=OrderSide.BUY,
            quantity=Quantity.from_int(30_000),
            init_id=UUID4(),
            ts_init=0,
        )
        self.kernel.msgbus.send(
            "ExecEngine.execute", SubmitOrder(order.trader_id, order.strategy_id, other, UUID4(), 0)
        )
        await self.wait(lambda: len(self.gate.log.denied) == denied + 2)
        self.found["again"] = {
            "reasons": [e.reason for e in list(self.gate.log.denied)[denied:]],
            "status": order.status.name,
            "fills": len(self.cache.positions_open()),
            "beside": await self.find_fate(
                self.one.send_submit(50_000), (OrderStatus.DENIED, OrderStatus.FILLED)
            ),
        }
        await self.flatten()

    async def play_without_client(self) -> None:
        """An order that nobody could take to a venue counts for nothing."""
        stray = TestInstrumentProvider.default_fx_ccy("EUR/USD", Venue("NOWHERE"))
        self.cache.add_instrument(stray)
        order = self.one.order_factory.limit(
            stray.id, OrderSide.BUY, Quantity.from_int(1_000), Price.from_str("1.20000")
        )
        self.one.submit_order(order)
        fates = await self.find_fate([order], (OrderStatus.DENIED,))
        self.found["without client"] = [*fates, self.gate.log.denied[-1].reason]

    async def play_cancels(self) -> None:
        orders = [self.one.build_limit(10_000, f"1.{20 + n}000") for n in range(4)]
        for order in orders:
            self.one.submit_order(order)
        await self.find_fate(orders, (OrderStatus.ACCEPTED,))
        self.gate.halt("test")
        self.one.cancel_order(orders[0])
        fates = await self.find_fate(orders[:1], (OrderStatus.CANCELED,))
        self.one.cancel_all_orders(GBPUSD.id)
        fates += await self.find_fate(orders[1:], (OrderStatus.CANCELED,))
        self.found["cancels halted"] = fates
        await self.flatten()

    async def play_blocked_loop(self) -> None:
        """Orders are sent, then their strategy blocks the loop; meanwhile another thread halts."""
        orders = [self.one.build_market(1_000) for _ in range(5)]
        halted = threading.Event()
        took = []

        def halt() -> None:
            began = time.perf_counter()
            self.gate.halt("from another thread")
            took.append(time.perf_counter() - began)
            halted.set()

        for order in orders:
            self.one.submit_order(order)
        threading.Thread(target=halt).start()
        is_halted = halted.wait(DEADLINE_SECS)  # The loop does not turn until then
        self.found["blocked loop"] = {
            "is_halted": is_halted,
            "secs": took[0],
            "fates": await self.find_fate(orders, (OrderStatus.DENIED, OrderStatus.FILLED)),
        }
        await self.flatten()

    async def play_closing(self) -> None:
        self.one.send_submit(60_000)
        self.two.send_submit(-30_000)
        await self.wait(lambda: len(self.cache.positions_open()) == 2)
        self.gate.restrict("emergency", TradingState.HALTED, "emergency stop")
        self.gate.set_trading_state(TradingState.ACTIVE, "somebody means well")
        own = self.one.build_market(-60_000, is_reducing=True)
        self.one.submit_order(own)
        found = {"own": await self.find_fate([own], (OrderStatus.DENIED, OrderStatus.FILLED))}
        position = self.cache.positions_open(strategy_id=self.one.id)[0]
        oversize = self.one.build_market(-60_001, is_reducing=True)
        self.gate.permit_closing(oversize.client_order_id)
        self.one.submit_order(oversize)
        found["oversize"] = await self.find_fate([oversize], (OrderStatus.DENIED, OrderStatus.FILLED))
        adding = self.one.build_market(1_000)
        self.gate.permit_closing(adding.client_order_id)
        self.one.submit_order(adding)
        found["adding"] = await self.find_fate([adding], (OrderStatus.DENIED, OrderStatus.FILLED))
        first, second = (self.gate.close_position(position.id) for _ in range(2))
        orders = [o for i in (first, second) if i is not None for o in await self._wait_for(i)]
        found["twice"] = await self.find_fate(orders, (OrderStatus.DENIED, OrderStatus.FILLED))
        # Of a strategy that is against the account's position, and no part of it
        other = self.cache.positions_open(strategy_id=self.two.id)[0]
        last = self.gate.close_position(other.id)
        assert last is not None
        found["other"] = await self.find_fate(
            await self._wait_for(last), (OrderStatus.DENIED, OrderStatus.FILLED)
        )
        found["open"] = len(self.cache.positions_open())
        stranger = MarketOrder(
            trader_id=self.one.trader_id,
            strategy_id=StrategyId("EXTERNAL"),
            instrument_id=GBPUSD.id,
            client_order_id=ClientOrderId("STRANGER"),
            order_side=OrderSide.SELL,
            quantity=Quantity.from_int(1_000),
            init_id=UUID4(),
            ts_init=0,
            reduce_only=True,
        )
        command = SubmitOrder(stranger.trader_id, stranger.strategy_id, stranger, UUID4(), 0)
        self.kernel.msgbus.send("ExecEngine.execute", command)
        found["stranger"] = await self.find_fate([stranger], (OrderStatus.DENIED,))
        self.gate.lift("emergency", "test")
        found["lifted"] = str(self.gate.stand.state)
        self.found["closing"] = found
        await self.flatten()

    async def _wait_for(self, client_order_id: ClientOrderId) -> list[Order]:
        assert await self.wait(lambda: self.cache.order(client_order_id) is not None)
        return [self.cache.order(client_order_id)]

    async def play_stale_marks(self) -> None:
        self.one.send_submit(10_000)
        await self.wait(lambda: self.cache.positions_open())
        self.gate.set_limits(parse_limits(**{**LIMITS, "max_mark_age_secs": 0.3}), "test")
        self.is_quoting = False
        await self.wait(lambda: (self.gate.observe(), self.gate.stand.state)[1] == TradingState.REDUCING)
        denied = self.one.build_market(10_000)
        self.one.submit_order(denied)
        fates = await self.find_fate([denied], (OrderStatus.DENIED, OrderStatus.FILLED))
        why = self.gate.log.denied[-1].reason
        closing = self.one.build_market(-5_000, is_reducing=True)
        self.one.submit_order(closing)
        fates += await self.find_fate([closing], (OrderStatus.DENIED, OrderStatus.FILLED))
        self.is_quoting = True
        await self.wait(lambda: (self.gate.observe(), self.gate.stand.state)[1] == TradingState.ACTIVE)
        again = self.one.build_market(10_000)
        self.one.submit_order(again)
        fates += await self.find_fate([again], (OrderStatus.DENIED, OrderStatus.FILLED))
        kinds = [e.reason for e in self.gate.log.events if e.kind == "marks"]
        self.found["stale"] = {"fates": fates, "why": why, "events": kinds}
        self.gate.set_limits(parse_limits(**LIMITS), "test")
        await self.flatten()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    result = Play().run()
    sys.stdout.write(f"\nFOUND {json.dumps(result)}\n")
    sys.stdout.flush()
