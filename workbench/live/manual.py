"""Orders by hand: through strategies of their own, one for each person, so that the gate and the books know them."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder, ModifyOrder, SubmitOrder
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import MarketOrder, Order
from nautilus_trader.system.kernel import NautilusKernel
from nautilus_trader.trading.strategy import Strategy

from workbench.errors import ConflictError, InputError, NotFoundError
from workbench.live.context import HostContext

__all__ = ["Desk", "Manual", "ManualConfig", "Subscriber"]

_TIMES = ("GTC", "IOC", "FOK", "DAY")


class _OrderBody(msgspec.Struct, forbid_unknown_fields=True):
    instrument_id: str
    side: str
    quantity: str
    type: str = "MARKET"
    price: str | None = None
    trigger_price: str | None = None
    time_in_force: str = "GTC"
    is_reduce_only: bool = False
    is_post_only: bool = False


class _ChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    quantity: str | None = None
    price: str | None = None
    trigger_price: str | None = None


class _CloseBody(msgspec.Struct, forbid_unknown_fields=True):
    quantity: str | None = None


class ManualConfig(StrategyConfig, frozen=True):  # type: ignore[call-arg]
    """The configuration of `Manual`: nothing of its own."""


class Manual(Strategy):
    """Carries the orders that one person enters."""

    def on_start(self) -> None:
        """Do nothing: it acts when it is told."""

    def on_stop(self) -> None:
        """Leave the orders where they are: who entered them may cancel them."""

    def on_reset(self) -> None:
        """Do nothing: it keeps nothing."""


class Subscriber(Actor):
    """
    Asks for market data where nobody else does: a sandbox fills nothing without them.

    Parameters
    ----------
    find_bar_types : Callable[[InstrumentId], list[BarType]]
        The bars that are replayed: a catalog may have no quotes of an instrument.

    """

    def __init__(self, find_bar_types: Callable[[InstrumentId], list[BarType]]) -> None:
        super().__init__(ActorConfig(component_id="Workbench-Subscriber"))
        self._find_bar_types = find_bar_types
        self._asked: set[InstrumentId] = set()

    def ask(self, instrument_id: InstrumentId) -> None:
        """Subscribe to the quotes of an instrument, and to its bars where they are replayed, once."""
        if instrument_id not in self._asked:
            self._asked.add(instrument_id)
            self.subscribe_quote_ticks(instrument_id)
            for bar_type in self._find_bar_types(instrument_id):
                self.subscribe_bars(bar_type)

    def on_start(self) -> None:
        """Do nothing: it acts when it is told."""

    def on_stop(self) -> None:
        """Do nothing: what it asked for ends with the engine."""


class Desk:
    """
    Enters, changes and cancels orders for people, and closes positions.

    Everything passes the gate like the orders of any strategy, and carries the name of the person: in the order's tags
    and in the journal.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel.
    context : HostContext
        The host.
    subscriber : Subscriber
        Sees that there are quotes for what is traded by hand.

    """

    def __init__(self, kernel: NautilusKernel, context: HostContext, subscriber: Subscriber) -> None:
        self._kernel = kernel
        self._cache = kernel.cache
        self._context = context
        self._subscriber = subscriber
        self._count = 0

    def submit(self, values: dict[str, Any], user: str) -> dict[str, Any]:
        """
        Enter an order.

        Raises
        ------
        InputError
            If it cannot be one.

        """
        body = _convert(values, _OrderBody)
        instrument = self._find_instrument(body.instrument_id)
        quantity = _parse_quantity(body.quantity, instrument, "quantity")
        strategy = self._find_strategy(user)
        order = _build_order(strategy, body, instrument, quantity, [f"user:{user}"])
        self._subscriber.ask(instrument.id)
        strategy.submit_order(order)
        return self._tell("ManualOrder", user, order.client_order_id, values)

    def cancel(self, client_order_id: str, user: str) -> dict[str, Any]:
        """
        Cancel an order of whatever strategy.

        Raises
        ------
        NotFoundError
            If there is none.
        ConflictError
            If it has ended.

        """
        order = self._find_open_order(client_order_id)
        command = CancelOrder(**self._address(order))
        if order.is_emulated:
            self._kernel.msgbus.send("OrderEmulator.execute", command)
        else:
            self._kernel.msgbus.send("ExecEngine.execute", command)
        return self._tell("ManualCancel", user, order.client_order_id, {})

    def modify(self, client_order_id: str, values: dict[str, Any], user: str) -> dict[str, Any]:
        """
        Change an order of whatever strategy.

        Raises
        ------
        NotFoundError
            If there is none.
        ConflictError
            If it has ended.
        InputError
            If it cannot be changed so.

        """
        body = _convert(values, _ChangeBody)
        order = self._find_open_order(client_order_id)
        instrument = self._find_instrument(order.instrument_id.value)
        if body.quantity is None and body.price is None and body.trigger_price is None:
            raise InputError("nothing is to be changed", expected="quantity, price or trigger_price")
        if body.price is not None and not order.has_price:
            raise InputError(f"an order of type {order.type_string()} has no price", field="price")
        if body.trigger_price is not None and not order.has_trigger_price:
            raise InputError(
                f"an order of type {order.type_string()} has no trigger price", field="trigger_price"
            )
        command = ModifyOrder(
            **self._address(order),
            quantity=None
            if body.quantity is None
            else _parse_quantity(body.quantity, instrument, "quantity"),
            price=None if body.price is None else _parse_price(body.price, instrument, "price"),
            trigger_price=None
            if body.trigger_price is None
            else _parse_price(body.trigger_price, instrument, "trigger_price"),
        )
        self._kernel.msgbus.send("RiskEngine.execute", command)
        return self._tell("ManualModify", user, order.client_order_id, values)

    def close(self, position_id: str, values: dict[str, Any], user: str) -> dict[str, Any]:
        """
        Close a position, or a part of it, at the market, in the name of its strategy.

        Raises
        ------
        NotFoundError
            If there is none.
        InputError
            If the quantity is more than it has.

        """
        body = _convert(values, _CloseBody)
        position = self._cache.position(PositionId(position_id))
        if position is None or position.is_closed:
            raise NotFoundError(f"there is no open position {position_id}")
        instrument = self._find_instrument(position.instrument_id.value)
        quantity = position.quantity
        if body.quantity is not None:
            quantity = _parse_quantity(body.quantity, instrument, "quantity")
        if quantity > position.quantity:
            raise InputError(f"the position has {position.quantity}, not {quantity}", field="quantity")
        self._count += 1
        now_ns = self._kernel.clock.timestamp_ns()
        order = MarketOrder(
            trader_id=position.trader_id,
            strategy_id=position.strategy_id,
            instrument_id=position.instrument_id,
            client_order_id=ClientOrderId(f"HAND-{now_ns}-{self._count}"),
            order_side=OrderSide.SELL if position.is_long else OrderSide.BUY,
            quantity=quantity,
            init_id=UUID4(),
            ts_init=now_ns,
            reduce_only=True,
            tags=[f"user:{user}"],
        )
        self._subscriber.ask(instrument.id)
        self._cache.add_order(order, position.id)
        command = SubmitOrder(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            order=order,
            position_id=position.id,
            command_id=UUID4(),
            ts_init=now_ns,
        )
        self._kernel.msgbus.send("RiskEngine.execute", command)
        return self._tell("ManualClose", user, order.client_order_id, {"position_id": position_id, **values})

    def _find_strategy(self, user: str) -> Strategy:
        tag = re.sub(r"[^A-Za-z0-9_]", "_", user)[:20] or "unknown"
        trader = self._kernel.trader
        for strategy in trader.strategies():
            if strategy.id.value == f"MANUAL-{tag}":
                return strategy
        strategy = Manual(ManualConfig(strategy_id="MANUAL", order_id_tag=tag))
        trader.add_strategy(strategy)
        strategy.start()
        return strategy

    def _find_instrument(self, instrument_id: str) -> Instrument:
        try:
            instrument = self._cache.instrument(InstrumentId.from_str(instrument_id))
        except ValueError as e:
            raise InputError(
                f"{instrument_id!r} is no instrument id",
                expected="SYMBOL.VENUE",
                field="instrument_id",
            ) from e
        if instrument is None:
            raise NotFoundError(
                f"the engine has no instrument {instrument_id}",
                advice="add it to the clients of the engine",
                field="instrument_id",
            )
        return instrument

    def _find_open_order(self, client_order_id: str) -> Order:
        order = self._cache.order(ClientOrderId(client_order_id))
        if order is None:
            raise NotFoundError(f"there is no order {client_order_id}")
        if order.is_closed:
            raise ConflictError(f"the order {client_order_id} is {order.status_string()}")
        return order

    def _address(self, order: Order) -> dict[str, Any]:
        return {
            "trader_id": order.trader_id,
            "strategy_id": order.strategy_id,
            "instrument_id": order.instrument_id,
            "client_order_id": order.client_order_id,
            "venue_order_id": order.venue_order_id,
            "command_id": UUID4(),
            "ts_init": self._kernel.clock.timestamp_ns(),
        }

    def _tell(self, name: str, user: str, client_order_id: Any, values: dict[str, Any]) -> dict[str, Any]:
        body = {"user": user, "client_order_id": client_order_id.value}
        self._context.tell("engine", name, {**body, "values": values})
        return body


def _build_order(
    strategy: Strategy, body: _OrderBody, instrument: Instrument, quantity: Quantity, tags: list[str]
) -> Order:
    if body.side not in ("BUY", "SELL"):
        raise InputError(f"side is {body.side!r}", expected="BUY or SELL", field="side")
    if body.time_in_force not in _TIMES:
        raise InputError(
            f"time_in_force is {body.time_in_force!r}", expected=", ".join(_TIMES), field="time_in_force"
        )
    common: dict[str, Any] = {
        "instrument_id": instrument.id,
        "order_side": OrderSide[body.side],
        "quantity": quantity,
        "time_in_force": TimeInForce[body.time_in_force],
        "reduce_only": body.is_reduce_only,
        "tags": tags,
    }
    needs = {
        "MARKET": (),
        "LIMIT": ("price",),
        "STOP_MARKET": ("trigger_price",),
        "STOP_LIMIT": ("price", "trigger_price"),
    }
    if body.type not in needs:
        raise InputError(f"type is {body.type!r}", expected=", ".join(needs), field="type")
    for name in ("price", "trigger_price"):
        text = getattr(body, name)
        if (text is not None) != (name in needs[body.type]):
            what = "needs a" if text is None else "has no"
            raise InputError(f"an order of type {body.type} {what} {name}", field=name)
        if text is not None:
            common[name] = _parse_price(text, instrument, name)
    if body.is_post_only:
        if body.type not in ("LIMIT", "STOP_LIMIT"):
            raise InputError(f"an order of type {body.type} cannot be post-only", field="is_post_only")
        common["post_only"] = True
    factory = strategy.order_factory
    build = {
        "MARKET": factory.market,
        "LIMIT": factory.limit,
        "STOP_MARKET": factory.stop_market,
        "STOP_LIMIT": factory.stop_limit,
    }[body.type]
    return build(**common)


def _convert[T](values: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as e:
        message, _, place = str(e).partition(" - at `$")
        raise InputError(f"this cannot be used: {message}", field=place.strip("`.")) from e


def _parse_number(text: str, field: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InputError(f"{field} is {text!r}", expected="a decimal number in text", field=field)
    return number


def _check_places(number: Decimal, precision: int, field: str) -> None:
    if number != round(number, precision):
        raise InputError(f"{field} is {number}", expected=f"at most {precision} decimal places", field=field)


def _parse_quantity(text: str, instrument: Instrument, field: str) -> Quantity:
    number = _parse_number(text, field)
    _check_places(number, instrument.size_precision, field)
    if number <= 0:
        raise InputError(f"{field} is {number}", expected="more than 0", field=field)
    try:
        return Quantity.from_str(f"{number:.{instrument.size_precision}f}")
    except ValueError as e:
        raise InputError(f"{field} is {number}: {e}", field=field) from e


def _parse_price(text: str, instrument: Instrument, field: str) -> Price:
    number = _parse_number(text, field)
    _check_places(number, instrument.price_precision, field)
    try:
        return Price.from_str(f"{number:.{instrument.price_precision}f}")
    except ValueError as e:
        raise InputError(f"{field} is {number}: {e}", field=field) from e
