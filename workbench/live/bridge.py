"""From nautilus's message bus to the journal and the board: every event of orders, positions, accounts and states."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from nautilus_trader.common.enums import ComponentState
from nautilus_trader.common.messages import ComponentStateChanged
from nautilus_trader.model.events import (
    AccountState,
    OrderEvent,
    OrderFilled,
    OrderInitialized,
    PositionClosed,
    PositionEvent,
)
from nautilus_trader.model.identifiers import ClientOrderId
from nautilus_trader.system.kernel import NautilusKernel

from workbench.engine_records import StrategyRow
from workbench.live.board import Board, Feed
from workbench.live.facts import RoundTrip
from workbench.live.isolation import Isolation
from workbench.live.journal import Journal
from workbench.live.rows import (
    build_account_row,
    build_fill_row,
    build_order_row,
    build_position_row,
    find_mark,
)

__all__ = ["Bridge"]

_MOST_BEGUN = 100_000
_LASTING = frozenset(
    (ComponentState.RUNNING, ComponentState.STOPPED, ComponentState.DEGRADED, ComponentState.FAULTED)
)


class Bridge:
    """
    Listens on the message bus, before anybody trades.

    Nautilus publishes from the main loop and from the threads of its timers; the journal and the board take both.
    Market data are counted, not kept.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel.
    journal : Journal
        Where events go.
    board : Board
        Where rows go.
    isolation : Isolation
        Who knows which strategies failed.

    """

    def __init__(self, kernel: NautilusKernel, journal: Journal, board: Board, isolation: Isolation) -> None:
        self._kernel = kernel
        self._cache = kernel.cache
        self._journal = journal
        self._board = board
        self._isolation = isolation
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        self._counts: dict[tuple[type, Any], list[int]] = {}
        self._begun: dict[ClientOrderId, None] = {}
        self._since_ns = time.time_ns()
        self.round_trip = RoundTrip()
        self.paths: dict[str, str] = {}

    def attach(self) -> None:
        """Subscribe to everything, and show what the cache holds already."""
        bus = self._kernel.msgbus
        bus.subscribe("events.order.*", self._on_order)
        bus.subscribe("events.position.*", self._on_position)
        bus.subscribe("events.account.*", self._on_account)
        bus.subscribe("events.system.*", self._on_state)
        bus.subscribe("data.*", self._on_data)
        for order in self._cache.orders():
            self._note_beginning(order.client_order_id)
            self._board.put_order(build_order_row(order))
        for account in self._cache.accounts():
            self._board.put_account(build_account_row(account))
        self.refresh()

    def refresh(self) -> None:
        """Value the positions again, and show the strategies and the feeds as they are; in the main loop."""
        for position in self._cache.positions_open():
            self._show_position(position)
        for strategy in self._kernel.trader.strategies():
            self.show_strategy(strategy.id.value, strategy.state.name)
        self._board.set_feeds(
            [
                Feed(instrument_id=str(of), kind=kind.__name__, count=count, ts_last=ts_ns)
                for (kind, of), (count, ts_ns) in self._counts.copy().items()
            ]
        )

    def show_strategy(self, strategy_id: str, state: str) -> None:
        """Show where a strategy stands."""
        failure = self._isolation.failures.get(strategy_id)
        self._board.put_strategy(
            StrategyRow(
                strategy_id=strategy_id,
                path=self.paths.get(strategy_id, ""),
                state=state,
                error="" if failure is None else failure.traceback,
            )
        )

    def journal_counts(self) -> None:
        """Write how much market data came since the start: a sample, not the data."""
        feeds = self._board.list_feeds()
        if feeds:
            self._append("data", "DataCounted", msgspec.to_builtins(feeds), is_essential=False)

    def _on_order(self, event: OrderEvent) -> None:
        order = self._cache.order(event.client_order_id)
        if order is not None:
            if event.client_order_id not in self._begun and not isinstance(event, OrderInitialized):
                self._note_beginning(event.client_order_id)
                # Made by the gate, or by hand: nobody told of its beginning. Of what was restored a host before did.
                if order.init_event.ts_init >= self._since_ns:
                    self._append_event("order", order.init_event)
            self._board.put_order(build_order_row(order))
        if isinstance(event, OrderInitialized):
            self._note_beginning(event.client_order_id)
        elif isinstance(event, OrderFilled):
            self._board.add_fill(build_fill_row(event))
        self.round_trip.note(event)
        self._append_event("order", event)

    def _note_beginning(self, client_order_id: ClientOrderId) -> None:
        self._begun[client_order_id] = None
        if len(self._begun) > _MOST_BEGUN:
            del self._begun[next(iter(self._begun))]

    def _on_position(self, event: PositionEvent) -> None:
        position = self._cache.position(event.position_id)
        if isinstance(event, PositionClosed) or position is None or position.is_closed:
            self._board.drop_position(event.position_id.value)
        else:
            self._show_position(position)
        self._append_event("position", event)

    def _on_account(self, event: AccountState) -> None:
        account = self._cache.account(event.account_id)
        if account is not None:
            self._board.put_account(build_account_row(account))
        self._append_event("account", event)

    def _on_state(self, event: Any) -> None:
        if not isinstance(event, ComponentStateChanged):
            return
        # Never its configuration: that may hold what nobody should read.
        name = event.component_id.value
        body = {"component_id": name, "component_type": event.component_type, "state": event.state.name}
        is_strategy = any(s.id.value == name for s in self._kernel.trader.strategies())
        if is_strategy:
            self.show_strategy(name, event.state.name)
        if event.state in _LASTING:
            self._append("strategy" if is_strategy else "engine", "ComponentStateChanged", body)

    def _on_data(self, data: Any) -> None:
        of = getattr(data, "instrument_id", None) or getattr(data, "bar_type", None)
        key = (type(data), of or getattr(data, "id", None))
        seen = self._counts.get(key)
        if seen is None:
            self._counts[key] = [1, time.time_ns()]
        else:
            seen[0] += 1
            seen[1] = time.time_ns()

    def _show_position(self, position: Any) -> None:
        mark = find_mark(self._cache, position.instrument_id, is_long=position.is_long)
        self._board.put_position(build_position_row(position, mark))

    def _append_event(self, kind: str, event: Any) -> None:
        self._append(kind, type(event).__name__, type(event).to_dict(event))

    def _append(self, kind: str, name: str, body: Any, *, is_essential: bool = True) -> None:
        self._journal.append(kind, name, self._encoder.encode(body), is_essential=is_essential)
