"""An engine and a sandbox venue in this process, and what a restart would know of them after every event."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NamedTuple

import pandas as pd
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import Logger, MessageBus, TestClock
from nautilus_trader.common.factories import OrderFactory
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.engine import ExecutionEngine
from nautilus_trader.execution.messages import CancelAllOrders, SubmitOrder, SubmitOrderList
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide, TimeInForce, oms_type_from_str
from nautilus_trader.model.events import AccountState, OrderEvent, OrderFilled, PositionEvent
from nautilus_trader.model.identifiers import PositionId, StrategyId, TraderId, Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.portfolio.portfolio import Portfolio
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.live.sandbox_config import SandboxClientConfig
from workbench.live.sandbox_restore import restore_cache, select_venue, settle_balances
from workbench.live.sandbox_state import collect_state
from workbench.live.sandbox_venue import SandboxVenue

TRADER = TraderId("TESTER-001")
STRATEGIES = (StrategyId("A-001"), StrategyId("B-002"))
SECOND_NS = 1_000_000_000


class Form(NamedTuple):
    """What a venue keeps: one account form."""

    venue: str
    pairs: tuple[str, ...]
    oms_type: str
    account_type: str
    base_currency: str | None
    balances: tuple[str, ...]

    @property
    def config(self) -> SandboxClientConfig:
        return SandboxClientConfig(
            venue=self.venue,
            starting_balances=list(self.balances),
            base_currency=self.base_currency,
            oms_type=self.oms_type,
            account_type=self.account_type,
            default_leverage=Decimal(20 if self.account_type == "MARGIN" else 1),
            liquidity_consumption=True,
        )


SPOT = ("1_000_000 USD", "1_000_000 GBP", "1_000_000 EUR")
FORMS = (
    Form("SIM", ("GBP/USD", "EUR/USD"), "NETTING", "MARGIN", "USD", ("1_000_000 USD",)),
    Form("SIM", ("GBP/USD", "EUR/USD"), "HEDGING", "MARGIN", "USD", ("1_000_000 USD",)),
    Form("SIM", ("GBP/USD", "EUR/GBP"), "NETTING", "MARGIN", None, SPOT),
    Form("SIM", ("GBP/USD", "EUR/GBP"), "HEDGING", "MARGIN", None, SPOT),
    Form("SIM", ("GBP/USD", "EUR/USD"), "NETTING", "CASH", None, SPOT),
    Form("SIM", ("GBP/USD", "EUR/USD"), "HEDGING", "CASH", None, SPOT),
    Form("SIM", ("GBP/USD",), "NETTING", "CASH", "USD", ("1_000_000 USD",)),
)


class Books:
    """
    Venues, the engine that trades on them, and its journal.

    Parameters
    ----------
    forms : tuple of Form
        One for each venue.

    """

    def __init__(self, forms: tuple[Form, ...]) -> None:
        self.forms = forms
        self.clock = TestClock()
        self.clock.set_time(SECOND_NS)
        self.bus = MessageBus(TRADER, self.clock)
        self.cache = Cache()
        self.portfolio = Portfolio(self.bus, self.cache, self.clock)
        self.engine = ExecutionEngine(self.bus, self.cache, self.clock)
        self.events: list[tuple[str, bytes]] = []
        self._begun: set[Any] = set()
        self.fills = 0
        self.held: dict[int, dict[str, tuple[Any, ...]]] = {0: {}}
        self.totals: dict[int, dict[str, dict[str, Decimal]]] = {}
        self.bus.subscribe("events.order.*", self._on_order)
        self.bus.subscribe("events.position.*", self._on_position)
        self.bus.subscribe("events.account.*", self._on_account)
        self.instruments = []
        self.venues: dict[Any, SandboxVenue] = {}
        self.factories = {s: OrderFactory(TRADER, s, self.clock) for s in STRATEGIES}
        for form in forms:
            self._open(form)

    def _open(self, form: Form) -> None:
        instruments = [TestInstrumentProvider.default_fx_ccy(pair, Venue(form.venue)) for pair in form.pairs]
        venue = SandboxVenue(
            form.config,
            balances=[Money.from_str(b) for b in form.balances],
            portfolio=self.portfolio,
            msgbus=self.bus,
            cache=self.cache,
            clock=self.clock,
            loop=None,
            log=Logger("test"),
            apply=self.engine.process,
        )
        self.engine.register_client(venue.client)
        for instrument in instruments:
            self.cache.add_instrument(instrument)
            self.venues[instrument.id] = venue
        self.instruments += instruments
        venue.open(self.cache, Venue(form.venue))
        for instrument in instruments:
            self.quote(instrument, 0)

    # -- What is done --

    def quote(self, instrument: Any, points: int, size: int = 40_000) -> None:
        """Let the market move by so many points of a base price."""
        now = self.clock.timestamp_ns() + SECOND_NS
        self.clock.advance_time(now)
        bid = Decimal("1.20000") + Decimal(points) / 100_000
        tick = QuoteTick(
            instrument.id,
            Price(bid, 5),
            Price(bid + Decimal("0.00010"), 5),
            Quantity(size, 0),
            Quantity(size, 0),
            now,
            now,
        )
        self.cache.add_quote_tick(tick)
        self.portfolio.update_quote_tick(tick)
        self.venues[instrument.id].move(tick)

    def trade(self, strategy: StrategyId, instrument: Any, kind: str, side: OrderSide, lots: int) -> None:
        """Send an order of this kind, or several."""
        factory = self.factories[strategy]
        quantity = instrument.make_qty(lots * 1_000)
        sign = 1 if side == OrderSide.BUY else -1
        mid = self.cache.quote_tick(instrument.id).bid_price.as_decimal()

        def price(points: int) -> Price:
            return instrument.make_price(mid + sign * Decimal(points) / 100_000)

        if kind == "bracket":
            orders = factory.bracket(
                instrument.id, side, quantity, sl_trigger_price=price(-60), tp_price=price(60)
            )
            self.engine.execute(SubmitOrderList(TRADER, strategy, orders, UUID4(), self.clock.timestamp_ns()))
            return
        if kind == "cancel":
            self.engine.execute(
                CancelAllOrders(TRADER, strategy, instrument.id, side, UUID4(), self.clock.timestamp_ns())
            )
            return
        position_id: PositionId | None = None
        if kind == "market":
            order = factory.market(instrument.id, side, quantity)
        elif kind == "limit":
            order = factory.limit(instrument.id, side, quantity, price(-20))
        elif kind == "gtd":
            expire = self.clock.utc_now().floor("s") + pd.Timedelta(seconds=3)
            order = factory.limit(
                instrument.id, side, quantity, price(-200), time_in_force=TimeInForce.GTD, expire_time=expire
            )
        elif kind == "stop":
            order = factory.stop_market(instrument.id, side, quantity, price(30))
        elif kind == "stop_limit":
            order = factory.stop_limit(instrument.id, side, quantity, price(35), price(30))
        else:  # Close what the strategy holds
            held = self.cache.positions_open(instrument_id=instrument.id, strategy_id=strategy)
            if not held:
                return
            position_id = held[0].id
            order = factory.market(
                instrument.id, held[0].closing_order_side(), held[0].quantity, reduce_only=True
            )
        self.engine.execute(
            SubmitOrder(TRADER, strategy, order, UUID4(), self.clock.timestamp_ns(), position_id)
        )

    # -- What is written down, and what is true then --

    def _on_order(self, event: OrderEvent) -> None:
        if event.client_order_id not in self._begun:  # As the bridge does
            self._begun.add(event.client_order_id)
            self._write(self.cache.order(event.client_order_id).init_event)
        self._write(event)
        if isinstance(event, OrderFilled):
            self.fills += 1

    def _on_position(self, event: PositionEvent) -> None:
        self._write(event)
        self.held[self.fills] = describe_positions(self.cache)

    def _on_account(self, event: AccountState) -> None:
        self._write(event)
        self.totals[self.fills] = describe_totals(self.cache)

    def _write(self, event: Any) -> None:
        self.events.append((type(event).__name__, json.dumps(type(event).to_dict(event)).encode()))

    def restart(self, count: int) -> Restart:
        """Return what a restart makes of the first events."""
        state = collect_state(self.events[:count])
        assert state.problems == []
        fills = sum(name == "OrderFilled" for name, _ in self.events[:count])
        restart = Restart({}, {}, {}, [], fills)
        for form in self.forms:
            cache = Cache()
            for instrument in self.instruments:
                cache.add_instrument(instrument)
            part = select_venue(state, form.venue)
            unended = restore_cache(cache, part, oms_type_from_str(form.oms_type))
            assert sorted(o.client_order_id.value for o in unended) == sorted(part.open_orders)
            restart.unended.extend(part.open_orders)
            restart.positions.update(describe_positions(cache))
            restart.orders.update({o.client_order_id.value: describe_order(o) for o in cache.orders()})
            for account_id in part.accounts:
                balances = settle_balances(part, account_id, cache, TestClock(), Logger("test"))
                restart.totals[account_id] = {m.currency.code: m.as_decimal() for m in balances}
        return restart


class Restart(NamedTuple):
    """What a restart knows: positions, balances, orders, those that had not ended, and the fills until then."""

    positions: dict[str, tuple[Any, ...]]
    totals: dict[str, dict[str, Decimal]]
    orders: dict[str, tuple[Any, ...]]
    unended: list[str]
    fills: int


def describe_order(order: Any) -> tuple[Any, ...]:
    return (
        order.status,
        order.order_type,
        order.quantity,
        order.filled_qty,
        order.avg_px,
        sorted(map(str, order.commissions())),
        [event.id for event in order.events],
    )


def describe_positions(cache: Cache) -> dict[str, tuple[Any, ...]]:
    return {
        p.id.value: (
            p.instrument_id.value,
            p.strategy_id.value,
            p.signed_decimal_qty(),
            p.avg_px_open,
            p.realized_pnl,
            sorted(map(str, p.commissions())),
            p.opening_order_id.value,
        )
        for p in cache.positions_open()
    }


def describe_totals(cache: Cache) -> dict[str, dict[str, Decimal]]:
    return {
        a.id.value: {c.code: m.as_decimal() for c, m in a.balances_total().items()} for a in cache.accounts()
    }
