"""The venue of a sandbox: its exchange, its clock, and how the engine hears at once of what happens there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nautilus_trader.backtest.config import LatencyModelFactory
from nautilus_trader.backtest.execution_client import BacktestExecClient
from nautilus_trader.common.component import MessageBus, TestClock
from nautilus_trader.model.events import OrderUpdated, PositionClosed, PositionEvent

from workbench.live.sandbox_exchange import build_exchange
from workbench.live.sandbox_market import SandboxMarket

if TYPE_CHECKING:
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import LiveClock, Logger
    from nautilus_trader.core.data import Data
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.objects import Money
    from nautilus_trader.model.orders import Order
    from nautilus_trader.portfolio.base import PortfolioFacade

    from workbench.live.sandbox_config import SandboxClientConfig

__all__ = ["SandboxVenue"]


class SandboxVenue:
    """
    An exchange in the engine's process that matches every order with what is held at that moment.

    A simulated exchange has no books of its own: it looks into the engine's cache, which in a live node follows a queue
    behind. Two orders that reduce the same position would both be filled in between. So what happens here is applied
    to the cache at once, as in a backtest.

    Parameters
    ----------
    config : SandboxClientConfig
        How it works.
    balances : list[Money]
        What the account holds at first.
    portfolio, msgbus, cache, clock, loop, log
        Those of the node.
    apply : Callable[[Any], None]
        Applies an event of an order to the engine.

    """

    def __init__(
        self,
        config: SandboxClientConfig,
        *,
        balances: list[Money],
        portfolio: PortfolioFacade,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
        loop: asyncio.AbstractEventLoop,
        log: Logger,
        apply: Callable[[Any], None],
    ) -> None:
        self._live_clock = clock
        self._loop = loop
        self._clock = TestClock()
        self._clock.set_time(clock.timestamp_ns())
        self._latency = (
            None if config.latency_model is None else LatencyModelFactory.create(config.latency_model)
        )
        bus = MessageBus(trader_id=msgbus.trader_id, clock=self._clock, name="SandboxBus")
        bus.register("ExecEngine.process", lambda event: apply(_detach(event)))
        bus.register("Portfolio.update_account", lambda state: msgbus.send("Portfolio.update_account", state))
        self._exchange = build_exchange(
            config,
            starting_balances=balances,
            portfolio=portfolio,
            msgbus=bus,
            cache=cache,
            clock=self._clock,
            latency_model=self._latency,
        )
        # Nautilus's aggregator of spread quotes sends them there.
        name = f"SimulatedExchange.process_new_quote.{config.venue}"
        if name not in msgbus.endpoints():
            msgbus.register(name, self._exchange.process_quote_tick)
        self._client = BacktestExecClient(
            exchange=self._exchange,
            msgbus=bus,
            cache=cache,
            clock=self._clock,
            frozen_account=config.frozen_account,
        )
        self._exchange.register_client(self._client)
        self._market = SandboxMarket(self._exchange, cache, self._clock, log)
        self._cache = cache
        self._is_netting = config.oms_type == "NETTING"
        if config.use_reduce_only:
            msgbus.subscribe("events.position.*", self._on_position)

    @property
    def client(self) -> BacktestExecClient:
        """Return what the exchange knows as its client."""
        return self._client

    def open(self, cache: Cache, venue: Venue) -> None:
        """Begin: with the instruments that are known, and the account's first state."""
        for instrument in cache.instruments(venue=venue):
            self._exchange.add_instrument(instrument)
        self._exchange.initialize_account()
        self._client._set_connected(True)

    def move(self, data: Data) -> None:
        """Let the market move by this data, and by its time."""
        self._market.move(data)

    def find_obstacle(self, order: Order) -> str:
        """Return why this order could never be filled, or nothing."""
        return self._market.find_obstacle(order)

    def send(self, name: str, command: Any, latency: str) -> None:
        """Hand a command to the exchange: by the method of this name, after this latency."""
        self._clock.set_time(max(self._live_clock.timestamp_ns(), self._clock.timestamp_ns()))
        getattr(self._client, name)(command)
        if self._latency is not None:
            self._drain(self._live_clock.timestamp_ns() + getattr(self._latency, latency))

    def _on_position(self, event: PositionEvent) -> None:
        """
        Cancel what could only reduce a position that is closed.

        The exchange takes any strategy's position for the one that an order reduces: it would fill the order, and the
        engine would know no position for that.
        """
        engine = self._exchange.get_matching_engine(event.instrument_id)
        if engine is None or not isinstance(event, PositionClosed):
            return
        for order in self._cache.orders_open(
            instrument_id=event.instrument_id, strategy_id=event.strategy_id
        ):
            is_linked = (
                self._is_netting or self._cache.position_id(order.client_order_id) == event.position_id
            )
            if order.is_reduce_only and is_linked:
                engine.cancel_order(order)

    def _drain(self, due_ns: int) -> None:
        """Match what has arrived when it is due: the feed may be silent, and a loop's timer may be early."""
        now_ns = self._live_clock.timestamp_ns()
        if now_ns < due_ns:
            self._loop.call_later(max((due_ns - now_ns) / 1e9, 0.001), self._drain, due_ns)
        else:
            self._exchange.process(max(now_ns, self._clock.timestamp_ns()))


def _detach(event: Any) -> Any:
    """
    Return an event that is nobody else's.

    A simulated exchange gives its own count of what a parent order has filled as the quantity of its children, and goes
    on counting in it: their quantity would change without an event.
    """
    if isinstance(event, OrderUpdated):
        return OrderUpdated.from_dict(OrderUpdated.to_dict(event))
    return event
