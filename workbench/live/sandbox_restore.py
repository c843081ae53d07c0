"""What a sandbox held is put back into nautilus's cache: orders and positions, event by event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.accounting.manager import AccountsManager
from nautilus_trader.cache.cache import Cache
from nautilus_trader.core.fsm import InvalidStateTrigger
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.model import events as order_events
from nautilus_trader.model.enums import OmsType
from nautilus_trader.model.events import AccountState, OrderFilled, OrderInitialized
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.model.orders.unpacker import OrderUnpacker
from nautilus_trader.model.position import Position

from workbench.errors import DataError
from workbench.live.sandbox_state import FillShare, PositionHistory, SandboxState

if TYPE_CHECKING:
    from nautilus_trader.common.component import Clock, Logger, MessageBus
    from nautilus_trader.model.identifiers import Venue
    from nautilus_trader.model.instruments import Instrument
    from nautilus_trader.model.orders import Order

__all__ = [
    "await_instruments",
    "build_order",
    "build_position",
    "find_instruments",
    "restore_cache",
    "select_venue",
    "settle_balances",
]


def select_venue(state: SandboxState, venue: str) -> SandboxState:
    """Return the part of the state that belongs to one venue."""
    suffix = f".{venue}"
    positions = {n: p for n, p in state.positions.items() if _instrument_of(p).endswith(suffix)}
    orders = {n: e for n, e in state.orders.items() if e[0]["instrument_id"].endswith(suffix)}
    return SandboxState(
        accounts={n: a for n, a in state.accounts.items() if n.rpartition("-")[0] == venue},
        unsettled=[f for f in state.unsettled if f.event["instrument_id"].endswith(suffix)],
        positions=positions,
        orders=orders,
        open_orders=[name for name in state.open_orders if name in orders],
        is_accepted=state.is_accepted,
    )


def restore_cache(cache: Cache, state: SandboxState, oms_type: OmsType) -> list[Order]:
    """
    Put the orders and positions of a venue into the cache, and return the orders that had not ended.

    The instruments of the positions must be in the cache.

    Raises
    ------
    DataError
        If the events of an order or a position contradict each other.

    """
    fillers = {
        share.event["client_order_id"]: name for name, p in state.positions.items() for share in p.fills
    }
    unended = []
    for name, events in state.orders.items():
        position_id = fillers.get(name)
        add = partial(cache.add_order, position_id=None if position_id is None else PositionId(position_id))
        order = build_order(events, add, cache.update_order)
        if not order.is_closed:
            unended.append(order)
    for history in state.positions.values():
        instrument = cache.instrument(
            order_events.OrderFilled.from_dict(history.fills[0].event).instrument_id
        )
        build_position(
            instrument, history, partial(cache.add_position, oms_type=oms_type), cache.update_position
        )
    return unended


def _pass(_: Any) -> None:
    """Keep nothing."""


def build_order(
    events: list[dict[str, Any]],
    add: Callable[[Order], object] = _pass,
    update: Callable[[Order], object] = _pass,
) -> Order:
    """
    Return an order as its events leave it.

    `add` is called after the first of them and `update` after each further one: a database behind a cache is told of
    the last event alone.

    Raises
    ------
    DataError
        If they contradict each other.

    """
    # An emulated order that was released is another one by the same id.
    begin = max(n for n, event in enumerate(events) if not n or event["type"] == "OrderInitialized")
    first = events[begin]
    try:
        order = OrderUnpacker.from_init(OrderInitialized.from_dict(first))
        add(order)
        for event in events[begin + 1 :]:
            with contextlib.suppress(
                InvalidStateTrigger
            ):  # The engine told of it, and did not apply it either
                order.apply(getattr(order_events, event["type"]).from_dict(event))
            update(order)
    except Exception as e:  # Nautilus raises whatever its own checks do
        raise DataError(
            f"the events of the order {first['client_order_id']} make no order: {type(e).__name__}: {e}",
            expected="all its events, in order",
        ) from e
    return order


def build_position(
    instrument: Instrument,
    history: PositionHistory,
    add: Callable[[Position], object] = _pass,
    update: Callable[[Position], object] = _pass,
) -> Position:
    """
    Return a position as its fills leave it; `add` and `update` are called as by `build_order`.

    Raises
    ------
    DataError
        If they are not of this instrument, or contradict each other.

    """
    try:
        fills = [_build_fill(share, history.position_id) for share in history.fills]
        position = Position(instrument, fills[0])
        add(position)
        for fill in fills[1:]:
            position.apply(fill)
            update(position)
    except Exception as e:  # Nautilus raises whatever its own checks do
        raise DataError(
            f"the fills of the position {history.position_id} make no position: {type(e).__name__}: {e}",
            expected="all its fills since it was flat, in order",
        ) from e
    return position


def find_instruments(state: SandboxState) -> set[str]:
    """Return the instruments that must be known to restore the state."""
    unsettled = {fill.event["instrument_id"] for fill in state.unsettled}
    return unsettled | {_instrument_of(history) for history in state.positions.values()}


def settle_balances(
    state: SandboxState, account_id: str, cache: Cache, clock: Clock, log: Logger
) -> list[Money]:
    """
    Return the balances of an account after all its fills, those too that its last state does not know of.

    These are settled by nautilus's own accounting, on a copy: for the account, nothing has happened yet.
    """
    event = AccountState.from_dict(state.accounts[account_id])
    account = AccountFactory.create(event)
    for fill in state.unsettled:
        if fill.event["account_id"] != account_id:
            continue
        filled = OrderFilled.from_dict(fill.event)
        scratch = Cache()
        for instrument in cache.instruments():
            scratch.add_instrument(instrument)
        instrument = cache.instrument(filled.instrument_id)
        if fill.before:
            history = PositionHistory(position_id=filled.position_id.value, fills=fill.before)
            scratch.add_position(build_position(instrument, history), OmsType.NETTING)
        AccountsManager(scratch, log, clock).update_balances(account, instrument, filled)
    return list(account.balances_total().values())


def _build_fill(share: FillShare, position_id: str) -> OrderFilled:
    event = {**share.event, "position_id": position_id}
    fill = OrderFilled.from_dict(event)
    if share.quantity == Decimal(event["last_qty"]):
        return fill
    commission = fill.commission
    return OrderFilled(
        trader_id=fill.trader_id,
        strategy_id=fill.strategy_id,
        instrument_id=fill.instrument_id,
        client_order_id=fill.client_order_id,
        venue_order_id=fill.venue_order_id,
        account_id=fill.account_id,
        trade_id=fill.trade_id,
        position_id=fill.position_id,
        order_side=fill.order_side,
        order_type=fill.order_type,
        last_qty=Quantity(share.quantity, fill.last_qty.precision),
        last_px=fill.last_px,
        currency=fill.currency,
        commission=None if commission is None else Money(share.commission, commission.currency),
        liquidity_side=fill.liquidity_side,
        event_id=UUID4(),
        ts_event=fill.ts_event,
        ts_init=fill.ts_init,
    )


def _instrument_of(history: PositionHistory) -> str:
    name: str = history.fills[0].event["instrument_id"]
    return name


async def await_instruments(
    msgbus: MessageBus, cache: Cache, venue: Venue, names: set[str], *, timeout_secs: float
) -> None:
    """
    Wait until the cache has all these instruments of a venue.

    Raises
    ------
    DataError
        If they do not come in time.

    """
    arrived = asyncio.Event()

    def note(_: Any) -> None:
        arrived.set()

    topic = f"data.instrument.{venue}.*"
    msgbus.subscribe(topic, handler=note)
    try:
        async with asyncio.timeout(timeout_secs):
            while not names <= {instrument.id.value for instrument in cache.instruments()}:
                arrived.clear()
                await arrived.wait()
    except TimeoutError as e:
        raise DataError(
            f"the feed has not defined the instruments of the open positions: {', '.join(sorted(names))}",
            advice="give the engine the feed that it had",
        ) from e
    finally:
        msgbus.unsubscribe(topic, handler=note)
