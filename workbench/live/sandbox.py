"""The default venue: orders are matched in the engine's process, and what it held survives a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nautilus_trader.common.component import TestClock
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.data.messages import SubscribeBars, SubscribeQuoteTicks, SubscribeTradeTicks
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.model.enums import (
    OmsType,
    account_type_from_str,
    oms_type_from_str,
)
from nautilus_trader.model.identifiers import AccountId, ClientId, Venue
from nautilus_trader.model.objects import Currency, Money

from workbench.errors import ConfigError, DataError, InputError
from workbench.live.sandbox_config import (
    SandboxClientConfig,
    check_config,
    parse_bar_types,
    parse_instrument_ids,
)
from workbench.live.sandbox_reports import report_order, report_positions
from workbench.live.sandbox_restore import (
    await_instruments,
    find_instruments,
    restore_cache,
    select_venue,
    settle_balances,
)
from workbench.live.sandbox_state import SandboxState, collect_state
from workbench.live.sandbox_venue import SandboxVenue

if TYPE_CHECKING:
    from nautilus_trader.cache.cache import Cache
    from nautilus_trader.common.component import LiveClock, MessageBus
    from nautilus_trader.core.data import Data
    from nautilus_trader.execution.reports import OrderStatusReport, PositionStatusReport
    from nautilus_trader.live.execution_engine import LiveExecutionEngine
    from nautilus_trader.model.orders import Order
    from nautilus_trader.portfolio.base import PortfolioFacade
    from nautilus_trader.system.kernel import NautilusKernel

__all__ = [
    "RESTART_REASON",
    "SandboxClient",
    "SandboxLiveExecClientFactory",
    "attach_sandboxes",
    "find_sandboxes",
    "restore_sandbox",
]

RESTART_REASON = "the sandbox venue ended with its process, and its open orders with it"
"""Why orders that were open at a restart are canceled: nautilus's own event has no room for it."""

_FEED_PRIORITY = 100
"""The market moves before a strategy hears of it, as in a backtest."""


class SandboxClient(LiveExecutionClient):
    """
    An execution client whose venue is a simulated exchange in this process.

    Unlike nautilus's own, it is moved by bars too, takes the settings of a backtest's venue, refuses orders that could
    never be filled instead of leaving them open, and starts with what it is told to restore.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The main loop.
    portfolio : PortfolioFacade
        That of the node.
    msgbus, cache, clock
        Those of the node.
    config : SandboxClientConfig
        How the venue works.

    Raises
    ------
    ConfigError
        If nothing could be filled as the configuration says.

    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        portfolio: PortfolioFacade,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
        config: SandboxClientConfig,
    ) -> None:
        check_config(config)
        super().__init__(
            loop=loop,
            client_id=ClientId(config.venue),
            venue=Venue(config.venue),
            oms_type=oms_type_from_str(config.oms_type),
            account_type=account_type_from_str(config.account_type),
            base_currency=Currency.from_str(config.base_currency) if config.base_currency else None,
            instrument_provider=InstrumentProvider(),
            msgbus=msgbus,
            cache=cache,
            clock=clock,
            config=config,
        )
        self._settings = config
        self._portfolio = portfolio
        self._set_account_id(AccountId(f"{config.venue}-001"))
        self._restored = SandboxState()
        self._exec_engine: LiveExecutionEngine | None = None
        self._venue: SandboxVenue | None = None

    def restore(self, state: SandboxState) -> None:
        """
        Start with what the venue held; before it connects.

        Raises
        ------
        ConfigError
            If the account is not the one that is configured.
        DataError
            If the events do not tell all fills of an open position.

        """
        problems = state.find_problems(self._settings.venue)
        state = select_venue(state, self._settings.venue)
        account = state.accounts.get(self.account_id.value)
        known = None if account is None else account["base_currency"]
        if account is not None and known != self._settings.base_currency:
            raise ConfigError(
                f"the account of {self._settings.venue} was kept in {known or 'several currencies'}",
                expected=f"base_currency {known}",
                advice="start the engine under another name for a new account",
                field="base_currency",
            )
        if problems:
            raise DataError(
                f"what {self._settings.venue} held cannot be told for sure: {'; '.join(problems)}",
                expected="all fills of the open positions in the journal",
                advice="`workbench engine reconcile` shows what it tells, and takes that where a person agrees",
            )
        self._restored = state

    def attach(self, exec_engine: LiveExecutionEngine) -> None:
        """Let the engine hear at once of what happens at the venue, and not behind its queue."""
        self._exec_engine = exec_engine

    async def _connect(self) -> None:
        if self._venue is None:
            await await_instruments(
                self._msgbus,
                self._cache,
                self.venue,
                find_instruments(self._restored),
                timeout_secs=self._settings.instrument_timeout_secs,
            )
            self._venue = self._build_venue()
            self._venue.open(self._cache, self.venue)
            for order in restore_cache(self._cache, self._restored, self.oms_type):
                self._log.warning(f"Canceled {order.client_order_id!r}: {RESTART_REASON}")
                self.generate_order_canceled(
                    order.strategy_id,
                    order.instrument_id,
                    order.client_order_id,
                    order.venue_order_id,
                    self._clock.timestamp_ns(),
                )
        for topic in self._topics():
            self._msgbus.subscribe(topic, handler=self.on_data, priority=_FEED_PRIORITY)
        self._subscribe_feed()

    async def _disconnect(self) -> None:
        for topic in self._topics():
            self._msgbus.unsubscribe(topic, handler=self.on_data)

    def _topics(self) -> tuple[str, str]:
        # Those of bars have the bar type where others have venue and symbol.
        return f"data.*.{self.venue}.*", f"data.bars.*.{self.venue}-*"

    def _build_venue(self) -> SandboxVenue:
        config = self._settings
        balances = [Money.from_str(balance) for balance in config.starting_balances]
        if self.account_id.value in self._restored.accounts:
            clock = TestClock()
            clock.set_time(self._clock.timestamp_ns())
            balances = settle_balances(self._restored, self.account_id.value, self._cache, clock, self._log)
        return SandboxVenue(
            config,
            balances=balances,
            portfolio=self._portfolio,
            msgbus=self._msgbus,
            cache=self._cache,
            clock=self._clock,
            loop=self._loop,
            log=self._log,
            apply=self._apply,
        )

    def _apply(self, event: Any) -> None:
        engine = self._exec_engine
        if engine is None:
            self._msgbus.send("ExecEngine.process", event)
            return
        engine._record_local_activity(event)
        try:
            engine._handle_event_with_tracking(event)
        except Exception as e:  # noqa: BLE001 - as the engine does with what comes out of its queue
            engine._handle_queue_exception(e, "event")

    def _subscribe_feed(self) -> None:
        config = self._settings
        common = {"client_id": None, "venue": self.venue, "ts_init": self._clock.timestamp_ns()}
        commands = [
            *(
                SubscribeBars(bar_type=bar_type, command_id=UUID4(), **common)
                for bar_type in parse_bar_types(config.bar_types, config.venue)
            ),
            *(
                SubscribeQuoteTicks(instrument_id=name, command_id=UUID4(), **common)
                for name in parse_instrument_ids(config.quotes, "quotes", config.venue)
            ),
            *(
                SubscribeTradeTicks(instrument_id=name, command_id=UUID4(), **common)
                for name in parse_instrument_ids(config.trades, "trades", config.venue)
            ),
        ]
        for command in commands:
            self._msgbus.send(endpoint="DataEngine.execute", msg=command)

    # -- The market -----------------------------------------------------------------------------------

    def on_data(self, data: Data) -> None:
        """Let the market move by this data, and by its time."""
        if self._venue is not None and self.is_connected:
            self._venue.move(data)

    # -- Commands -------------------------------------------------------------------------------------

    def submit_order(self, command: Any) -> None:
        """Send an order to the venue; one that could never be filled is rejected, with the reason."""
        if not self._reject_hopeless([command.order]):
            self._pass("submit_order", command, "insert_latency_nanos")

    def submit_order_list(self, command: Any) -> None:
        """Send a list of orders to the venue."""
        if not self._reject_hopeless(command.order_list.orders):
            self._pass("submit_order_list", command, "insert_latency_nanos")

    def modify_order(self, command: Any) -> None:
        """Send a change of an order to the venue."""
        self._pass("modify_order", command, "update_latency_nanos")

    def cancel_order(self, command: Any) -> None:
        """Send a cancellation to the venue."""
        self._pass("cancel_order", command, "cancel_latency_nanos")

    def cancel_all_orders(self, command: Any) -> None:
        """Send the cancellation of all orders of an instrument to the venue."""
        self._pass("cancel_all_orders", command, "cancel_latency_nanos")

    def batch_cancel_orders(self, command: Any) -> None:
        """Send several cancellations to the venue."""
        self._pass("batch_cancel_orders", command, "cancel_latency_nanos")

    def _reject_hopeless(self, orders: list[Order]) -> bool:
        obstacle = "the sandbox is not connected"
        if self._venue is not None:
            obstacle = next(filter(None, map(self._venue.find_obstacle, orders)), "")
        if obstacle:
            now = self._clock.timestamp_ns()
            for order in orders:
                place = (order.strategy_id, order.instrument_id, order.client_order_id)
                self.generate_order_submitted(*place, now)
                self.generate_order_rejected(*place, obstacle, now)
        return bool(obstacle)

    def _pass(self, name: str, command: Any, latency: str) -> None:
        if self._venue is None:
            self._log.error(f"Not connected: {command}")
            return
        self._venue.send(name, command, latency)

    # -- Reports: what the venue knows is in the cache ------------------------------------------------

    async def generate_order_status_report(self, command: Any) -> OrderStatusReport | None:
        """Return what the venue knows of an order."""
        order = self._cache.order(command.client_order_id)
        if order is None or order.venue_order_id is None:
            return None
        return report_order(order, self.account_id, self._clock.timestamp_ns())

    async def generate_order_status_reports(self, command: Any) -> list[OrderStatusReport]:
        """Return what the venue knows of its open orders."""
        orders = self._cache.orders_open(venue=self.venue, instrument_id=command.instrument_id)
        now = self._clock.timestamp_ns()
        return [report_order(o, self.account_id, now) for o in orders if o.venue_order_id is not None]

    async def generate_fill_reports(self, command: Any) -> list[Any]:
        """Return nothing: no fill can have happened without this process."""
        return []

    async def generate_position_status_reports(self, command: Any) -> list[PositionStatusReport]:
        """Return the positions at the venue."""
        positions = self._cache.positions_open(venue=self.venue, instrument_id=command.instrument_id)
        is_netting = self.oms_type == OmsType.NETTING
        return report_positions(
            positions, self.account_id, self._cache, self._clock.timestamp_ns(), is_netting=is_netting
        )


class SandboxLiveExecClientFactory(LiveExecClientFactory):
    """
    Makes sandbox venues for nautilus's node builder.

    The builder gives the portfolio to a factory of this name alone, and asks an instance for it where the
    configuration names the factory by import path.
    """

    __name__ = "SandboxLiveExecClientFactory"

    @staticmethod
    def create(
        loop: asyncio.AbstractEventLoop,
        name: str,
        config: SandboxClientConfig,
        portfolio: PortfolioFacade,
        msgbus: MessageBus,
        cache: Cache,
        clock: LiveClock,
    ) -> SandboxClient:
        """Return a venue as `config` says."""
        return SandboxClient(
            loop=loop, portfolio=portfolio, msgbus=msgbus, cache=cache, clock=clock, config=config
        )


def find_sandboxes(kernel: NautilusKernel) -> dict[str, SandboxClient]:
    """Return the sandbox venues of a node, by venue."""
    clients = kernel.exec_engine._clients.values()
    return {client.venue.value: client for client in clients if isinstance(client, SandboxClient)}


def attach_sandboxes(kernel: NautilusKernel) -> dict[str, SandboxClient]:
    """Let the engine of a node hear at once of its sandbox venues, and return these."""
    sandboxes = find_sandboxes(kernel)
    for client in sandboxes.values():
        client.attach(kernel.exec_engine)
    return sandboxes


def restore_sandbox(
    kernel: NautilusKernel, events: Iterable[tuple[str, bytes]] | SandboxState
) -> SandboxState:
    """
    Let the sandbox venues of a node start with what they held; after it is built and before it runs.

    Balances come back as they were after the last fill, open positions are built again from their fills, and the orders
    that were open are canceled when the venue connects. What had ended stays in the journal.

    Parameters
    ----------
    kernel : NautilusKernel
        That of the node.
    events : Iterable of (str, bytes) or SandboxState
        Nautilus's events of all earlier processes, oldest first, or what `collect_state` makes of them.

    Returns
    -------
    SandboxState
        What was restored. `SandboxState.describe` tells people, with `RESTART_REASON`; `SandboxState.build_event`
        stands for all events until now, and belongs into the journal before those of this process.

    Raises
    ------
    InputError
        If the node runs already.
    ConfigError
        If an account is not the one that is configured.
    DataError
        If the events do not tell all fills of an open position.

    """
    if kernel.is_running():
        raise InputError("a node that runs cannot be restored", expected="one that has been built")
    sandboxes = attach_sandboxes(kernel)
    state = SandboxState()
    if sandboxes:
        state = events if isinstance(events, SandboxState) else collect_state(events)
    for client in sandboxes.values():
        client.restore(state)
    return state
