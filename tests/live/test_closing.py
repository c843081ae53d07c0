"""The end of what is open, against venues that are slow, refuse, or cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.cache.cache import Cache
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model.enums import OmsType, OrderSide
from nautilus_trader.model.identifiers import AccountId, ClientOrderId, StrategyId, TradeId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Quantity
from nautilus_trader.model.orders import LimitOrder, MarketOrder
from nautilus_trader.model.position import Position
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.data import TestDataStubs
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs
from nautilus_trader.test_kit.stubs.identifiers import TestIdStubs

from workbench.engine_records import (
    EmergencyAction,
    EmergencyOutcome,
    EmergencyPolicy,
    EmergencyScope,
    HostMode,
    HostRecord,
    Latch,
)
from workbench.live.closing import Closer
from workbench.live.config import EngineConfig
from workbench.live.context import HostContext
from workbench.live.engine_directory import EngineDirectory
from workbench.live.journal import Journal

OWN = StrategyId("Trader-001")
EXTERNAL = StrategyId("EXTERNAL")


class _Venue:
    """A kernel's message bus and a gate, over a real cache; what happens to a command is told from outside."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.instrument: CurrencyPair = TestInstrumentProvider.default_fx_ccy("GBP/USD")
        self.cache.add_instrument(self.instrument)
        self.msgbus = self
        self.clock = SimpleNamespace(timestamp_ns=lambda: 1)
        self.handlers: list[Callable[[Any], None]] = []
        self.cancels: list[str] = []
        self.closings: list[str] = []
        self.on_cancel: Callable[[Any], None] = lambda _: None
        self.on_close: Callable[[Any, MarketOrder], None] = lambda _, __: None
        self._count = 0

    def subscribe(self, topic: str, handler: Callable[[Any], None]) -> None:
        self.handlers.append(handler)

    def send(self, endpoint: str, command: Any) -> None:
        self.cancels.append(command.client_order_id.value)
        self.on_cancel(self.cache.order(command.client_order_id))

    def close_position(self, position_id: Any) -> ClientOrderId:
        position = self.cache.position(position_id)
        self.closings.append(position_id.value)
        side = OrderSide.SELL if position.is_long else OrderSide.BUY
        order = self._make(MarketOrder, side, position.strategy_id, position.quantity)
        self.on_close(position, order)
        return order.client_order_id

    def add_order(self, strategy_id: StrategyId = OWN) -> LimitOrder:
        order = self._make(
            LimitOrder,
            OrderSide.BUY,
            strategy_id,
            Quantity.from_int(1000),
            price=self.instrument.make_price(1),
        )
        self.apply(order, TestEventStubs.order_submitted(order))
        self.apply(order, TestEventStubs.order_accepted(order))
        return order

    def add_position(self, quantity: str = "1000", strategy_id: StrategyId = OWN) -> Position:
        order = self._make(MarketOrder, OrderSide.BUY, strategy_id, Quantity.from_str(quantity))
        self.apply(order, TestEventStubs.order_submitted(order))
        fill = self._fill(order)
        position = Position(self.instrument, fill)
        self.cache.add_position(position, OmsType.NETTING)
        return position

    def fill(self, position: Position, order: MarketOrder) -> None:
        self.apply(order, TestEventStubs.order_submitted(order))
        position.apply(self._fill(order, position))
        self.cache.update_position(position)

    def apply(self, order: Any, event: Any) -> None:
        order.apply(event)
        self.cache.update_order(order)
        for handler in self.handlers:
            handler(event)

    def _fill(self, order: Any, position: Position | None = None) -> Any:
        self._count += 1
        fill = TestEventStubs.order_filled(
            order,
            self.instrument,
            strategy_id=order.strategy_id,
            position_id=TestIdStubs.position_id() if position is None else position.id,
            trade_id=TradeId(f"T-{self._count}"),
            last_px=self.instrument.make_price(1),
        )
        self.apply(order, fill)
        return fill

    def _make(
        self, kind: Any, side: OrderSide, strategy_id: StrategyId, quantity: Quantity, **more: Any
    ) -> Any:
        self._count += 1
        order = kind(
            trader_id=TestIdStubs.trader_id(),
            strategy_id=strategy_id,
            instrument_id=self.instrument.id,
            client_order_id=ClientOrderId(f"O-{self._count}"),
            order_side=side,
            quantity=quantity,
            init_id=UUID4(),
            ts_init=0,
            **more,
        )
        self.cache.add_order(order, None)
        return order


@pytest.fixture
def venue() -> _Venue:
    return _Venue()


@pytest.fixture
def context(tmp_path: Path) -> Iterator[HostContext]:
    directory = EngineDirectory(tmp_path / "demo")
    directory.create()
    record = HostRecord(
        pid=1,
        incarnation=1,
        config_version=1,
        environment="SANDBOX",
        mode=HostMode.TRADE,
        started_at="",
        socket="",
    )
    with Journal.open(directory.journal, incarnation=1) as journal:
        yield HostContext(directory, EngineConfig(), record, journal)


def _run(
    venue: _Venue,
    context: HostContext,
    until: Callable[[EmergencyOutcome], bool],
    policy: EmergencyPolicy | None = None,
) -> EmergencyOutcome:
    """Let an emergency stop work until its outcome is as wanted, and return that."""
    latch = Latch(at="", ts_ns=1, by="ann", reason="", policy=policy or EmergencyPolicy())

    context.outcome = EmergencyOutcome(latch=latch, shut_ns=1)

    async def work() -> None:
        context.loop = asyncio.get_running_loop()
        closer = Closer(venue, venue, context)  # type: ignore[arg-type]
        closer.begin(latch)
        async with asyncio.timeout(15):
            while not until(context.outcome):
                await asyncio.sleep(0.01)
        closer.end()

    asyncio.run(work())  # It waits for what is still being written
    assert context.directory.load_outcome() == context.outcome
    return context.outcome


def _is_settled(outcome: EmergencyOutcome) -> bool:
    return outcome.settled_ns is not None


def test_stop_cancels_first_and_closes_then(venue: _Venue, context: HostContext) -> None:
    order, position = venue.add_order(), venue.add_position()
    venue.on_cancel = lambda o: venue.apply(o, TestEventStubs.order_canceled(o))
    seen: list[bool] = []

    def close(closed: Position, closing: MarketOrder) -> None:
        seen.append(order.is_closed)
        venue.fill(closed, closing)

    venue.on_close = close
    outcome = _run(venue, context, _is_settled)
    assert (outcome.cancelled, outcome.closed, outcome.still_open) == (1, 1, [])
    assert seen == [True]
    assert context.is_settled
    assert venue.closings == [position.id.value]


def test_stop_tries_again_while_the_venue_refuses_and_says_why(venue: _Venue, context: HostContext) -> None:
    position = venue.add_position()
    answers = [False, True]

    def close(closed: Position, order: MarketOrder) -> None:
        if answers.pop(0):
            venue.fill(closed, order)
        else:
            venue.apply(order, TestEventStubs.order_submitted(order))
            venue.apply(order, TestEventStubs.order_rejected(order))

    venue.on_close = close
    outcome = _run(venue, context, lambda o: bool(o.still_open) and "attempt 1: " in o.still_open[0].reason)
    assert outcome.settled_ns is None
    (left,) = outcome.still_open
    assert (left.kind, left.key, left.quantity) == ("position", position.id.value, "1000")
    assert not context.is_settled
    answers.insert(0, True)
    assert _run(venue, context, _is_settled).still_open == []


def test_stop_goes_on_when_the_venue_says_nothing(venue: _Venue, context: HostContext) -> None:
    order = venue.add_order()
    venue.on_cancel = lambda o: (
        venue.apply(o, TestEventStubs.order_canceled(o)) if len(venue.cancels) == 2 else None
    )
    outcome = _run(venue, context, _is_settled)
    assert venue.cancels == [order.client_order_id.value] * 2
    assert outcome.attempts == 2


def test_stop_outlives_a_client_that_raises(venue: _Venue, context: HostContext) -> None:
    venue.add_position()

    def close(closed: Position, order: MarketOrder) -> None:
        if len(venue.closings) == 1:
            raise OSError("no route")
        venue.fill(closed, order)

    venue.on_close = close
    assert _run(venue, context, _is_settled).closed == 1


def test_stop_lists_what_it_may_not_or_cannot_close(venue: _Venue, context: HostContext) -> None:
    venue.instrument = CurrencyPair.from_dict(
        {**CurrencyPair.to_dict(venue.instrument), "min_quantity": "1000", "lot_size": None}
    )
    venue.cache.add_instrument(venue.instrument)
    order = venue.add_order(EXTERNAL)
    dust = venue.add_position("10")
    outcome = _run(venue, context, _is_settled)
    reasons = {s.key: s.reason for s in outcome.still_open}
    assert reasons == {
        order.client_order_id.value: "EXTERNAL: not of the engine's strategies",
        dust.id.value: "dust: below the least quantity of 1000",
    }
    assert venue.cancels == venue.closings == []
    assert Decimal(outcome.still_open[1].quantity) == 10


def test_order_that_never_left_holds_nothing_up(venue: _Venue, context: HostContext) -> None:
    young = venue._make(MarketOrder, OrderSide.BUY, OWN, Quantity.from_int(1))
    assert _run(venue, context, _is_settled).still_open == []
    venue.clock.timestamp_ns = lambda: 10_000_000_000
    (left,) = _run(venue, context, lambda o: _is_settled(o) and bool(o.still_open)).still_open
    assert (left.key, left.reason) == (young.client_order_id.value, "never sent")
    assert venue.cancels == []


def test_stop_of_the_account_takes_what_is_external_too(venue: _Venue, context: HostContext) -> None:
    venue.add_position(strategy_id=EXTERNAL)
    venue.on_close = venue.fill
    policy = EmergencyPolicy(scope=EmergencyScope.ACCOUNT)
    assert _run(venue, context, _is_settled, policy).closed == 1


def test_stop_that_only_cancels_leaves_positions_and_says_so(venue: _Venue, context: HostContext) -> None:
    venue.add_order()
    venue.add_position()
    venue.on_cancel = lambda o: venue.apply(o, TestEventStubs.order_canceled(o))
    outcome = _run(venue, context, _is_settled, EmergencyPolicy(action=EmergencyAction.CANCEL_ONLY))
    assert (outcome.cancelled, outcome.closed, venue.closings) == (1, 0, [])
    assert [s.reason for s in outcome.still_open] == ["the policy is CANCEL ONLY"]


def test_stop_of_a_closed_market_goes_on_and_closes_when_it_opens(
    venue: _Venue, context: HostContext
) -> None:
    position = venue.add_position()
    is_open = False

    def close(closed: Position, order: MarketOrder) -> None:
        if is_open:
            venue.fill(closed, order)
            return
        venue.apply(order, TestEventStubs.order_submitted(order))
        venue.apply(order, TestEventStubs.order_rejected(order))

    venue.on_close = close
    outcome = _run(venue, context, lambda o: any("attempt 2" in s.reason for s in o.still_open))
    (left,) = outcome.still_open
    assert outcome.settled_ns is None
    assert (left.key, left.reason) == (position.id.value, "closing, attempt 2: ORDER_REJECTED")
    is_open = True
    assert _run(venue, context, _is_settled).still_open == []


def test_stop_lists_spot_inventory_and_never_sells_it(venue: _Venue, context: HostContext) -> None:
    venue.cache.add_account(TestExecStubs.cash_account(AccountId("SIM-001")))  # A million USD
    instrument = CurrencyPair.from_dict({**CurrencyPair.to_dict(venue.instrument), "base_currency": "USD"})
    venue.cache.add_instrument(instrument)
    order = venue.add_order()
    venue.on_cancel = lambda o: venue.apply(o, TestEventStubs.order_canceled(o))

    outcome = _run(venue, context, _is_settled)

    assert venue.cancels == [order.client_order_id.value]
    assert [(s.kind, s.key, s.reason) for s in outcome.still_open] == [
        ("balance", "USD", "spot inventory: not sold by an emergency stop")
    ]
    assert venue.closings == []


def test_stop_lists_an_external_position_and_leaves_it(venue: _Venue, context: HostContext) -> None:
    left = venue.add_position(strategy_id=EXTERNAL)

    outcome = _run(venue, context, _is_settled)

    assert [(s.key, s.reason) for s in outcome.still_open] == [
        (left.id.value, "EXTERNAL: not of the engine's strategies")
    ]
    assert venue.closings == []


def test_stop_lists_what_is_worth_too_little_as_dust(venue: _Venue, context: HostContext) -> None:
    venue.instrument = CurrencyPair.from_dict(
        {**CurrencyPair.to_dict(venue.instrument), "min_notional": "5000.00 USD", "lot_size": None}
    )
    venue.cache.add_instrument(venue.instrument)
    venue.cache.add_quote_tick(TestDataStubs.quote_tick(venue.instrument, bid_price=1.0, ask_price=1.0001))
    venue.add_position("1000")

    outcome = _run(venue, context, _is_settled)

    assert [s.reason for s in outcome.still_open] == ["dust: below the least worth of 5000.00 USD"]


def test_stop_counts_on_no_venue_that_answers_late(venue: _Venue, context: HostContext) -> None:
    """A closing order that is on its way is not sent once more, however long it takes."""
    venue.add_position()
    sent: list[tuple[Position, MarketOrder]] = []

    def close(closed: Position, order: MarketOrder) -> None:
        venue.apply(order, TestEventStubs.order_submitted(order))
        sent.append((closed, order))
        asyncio.get_running_loop().call_later(2.0, answer)

    def answer() -> None:
        closed, order = sent[0]
        closed.apply(venue._fill(order, closed))
        venue.cache.update_position(closed)

    venue.on_close = close
    outcome = _run(venue, context, _is_settled)
    assert (outcome.closed, outcome.still_open, len(sent)) == (1, [], 1)
