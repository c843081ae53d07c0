"""The gate on its place: every command on its way to a venue passes here, whoever sent it."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import ModifyOrder, SubmitOrder, SubmitOrderList
from nautilus_trader.model.enums import OmsType, OrderSide, OrderStatus, OrderType, PositionSide
from nautilus_trader.model.events import OrderModifyRejected
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, PositionId
from nautilus_trader.model.objects import Price
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel

from workbench.errors import ConflictError
from workbench.gate.limits import BreachAction, Limits
from workbench.gate.rules import (
    GateState,
    Holding,
    Intent,
    TradingState,
    check_exposure,
    check_position,
    check_state,
    measure_opening,
    observe,
)
from workbench.gate.valuer import Valuer

__all__ = ["Gate", "GateEvent"]

_ENDPOINT = "ExecEngine.execute"
_MOST_EVENTS = 1_000
_SECOND_NS = 1_000_000_000
_NOT_SENT = (OrderStatus.INITIALIZED, OrderStatus.RELEASED)


class GateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that the gate did.

    `ts_ns` is the engine's clock, UNIX nanoseconds UTC; `kind` is ``denied``, ``breach``, ``day`` or ``state``.
    """

    ts_ns: int
    kind: str
    reason: str
    instrument_id: str = ""
    strategy_id: str = ""
    client_order_id: str = ""


class Gate:
    """
    Stands in front of ``ExecEngine.execute``, the last way that all commands take.

    Orders of strategies and execution algorithms come there through the risk engine, released emulated orders and
    direct sends on the message bus by themselves. Cancels and queries always pass.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel, before it runs.
    limits : Limits
        What is let through.
    valuer : Valuer
        What things are worth.

    """

    def __init__(self, kernel: NautilusKernel, limits: Limits, valuer: Valuer) -> None:
        self._kernel = kernel
        self._engine = kernel.exec_engine
        self._cache = kernel.cache
        self._limits = limits
        self._valuer = valuer
        self._forward: Callable[[Any], None] = self._engine.execute
        self._state = GateState()
        self._sent: deque[int] = deque()
        self._under_way: dict[ClientOrderId, Order] = {}
        self._is_attached = False
        self.denials: Counter[str] = Counter()
        self.events: deque[GateEvent] = deque(maxlen=_MOST_EVENTS)
        self.denied: deque[GateEvent] = deque(maxlen=_MOST_EVENTS)  # Apart: they are many

    @property
    def state(self) -> GateState:
        """What the gate remembers."""
        return self._state

    def attach(self) -> None:
        """
        Take the place in front of the execution engine.

        Raises
        ------
        ConflictError
            If another gate is there already, or this one.

        """
        if self._is_attached:
            raise ConflictError("the gate is attached already", expected="one gate for each engine")
        try:
            self._kernel.msgbus.deregister(_ENDPOINT, self._forward)
        except Exception as e:
            raise ConflictError(
                f"the way to the execution engine is taken: {e}", expected="one gate for each engine"
            ) from e
        self._kernel.msgbus.register(_ENDPOINT, self.execute)
        self._is_attached = True

    def set_trading_state(self, state: TradingState, reason: str) -> None:
        """Change what is let through. A breach stays: see `clear_breach`."""
        self._state = msgspec.structs.replace(self._state, requested=state)
        self._note("state", f"{state}: {reason}")

    def clear_breach(self, reason: str) -> None:
        """Take new risk again after a loss limit was reached; loss and peak are counted from now on."""
        self._state = GateState(requested=self._state.requested)
        self._note("state", f"breach cleared: {reason}")

    def observe(self) -> None:
        """Measure equity, and act if a loss limit is reached."""
        if not self._limits.needs_equity:
            return
        before = self._state.breach
        now_ns = self._now_ns()
        self._state = observe(self._limits, self._state, now_ns, self._valuer.measure().equity)
        if self._state.breach == before:
            return
        if self._state.breach is None:
            self._note("day", "a new day: the daily loss is counted from 0")
            return
        self._note("breach", f"{self._state.breach}: equity is {self._state.equity:f}")
        if self._limits.on_breach != BreachAction.DENY:
            self.stop_strategies(is_flattening=self._limits.on_breach == BreachAction.FLATTEN)

    def describe(self) -> dict[str, Any]:
        """
        Return what the gate did, as plain values.

        ``denials`` are counts by instrument; ``events`` and ``denied`` are the latest of each.
        """
        return {
            "denials": dict(self.denials),
            "events": msgspec.to_builtins(list(self.events)),
            "denied": msgspec.to_builtins(list(self.denied)),
        }

    def build_warnings(self) -> list[str]:
        """Return what a reader of the results must know, one line each."""
        lines = [
            f"the risk gate denied {count:,} order{'' if count == 1 else 's'} of {name}"
            for name, count in sorted(self.denials.items())
        ]
        breaches = [e for e in self.events if e.kind == "breach"]
        if breaches:
            first = breaches[0]
            lines.append(
                f"a loss limit was reached {len(breaches):,} time{'' if len(breaches) == 1 else 's'}, first at "
                f"{unix_nanos_to_iso8601(first.ts_ns)}: {first.reason}; action {self._limits.on_breach}"
            )
        return lines

    def stop_strategies(self, *, is_flattening: bool) -> None:
        """Cancel the orders of all strategies and, if it is to be flat, close their positions."""
        for strategy in self._kernel.trader.strategies():
            orders = self._cache.orders_open(strategy_id=strategy.id)
            orders += self._cache.orders_inflight(strategy_id=strategy.id)
            for instrument_id in {o.instrument_id for o in orders}:
                strategy.cancel_all_orders(instrument_id)
            if is_flattening:
                positions = self._cache.positions_open(strategy_id=strategy.id)
                for instrument_id in {p.instrument_id for p in positions}:
                    strategy.close_all_positions(instrument_id)

    def execute(self, command: Any) -> None:
        """Let a command pass, or deny what it asks for."""
        if isinstance(command, SubmitOrder):
            self._submit(command, [command.order])
        elif isinstance(command, SubmitOrderList):
            self._submit(command, list(command.order_list.orders))
        elif isinstance(command, ModifyOrder):
            self._modify(command)
        else:
            self._forward(command)

    def _submit(self, command: Any, orders: list[Order]) -> None:
        self.observe()
        reason = self._count_order()
        passed: list[Order] = []
        for order in orders:
            if reason is not None:
                break
            reason = self._check(order, command.position_id, order.leaves_qty.as_decimal(), None, passed)
            passed.append(order)
        if reason is None:
            self._under_way.update({o.client_order_id: o for o in orders})
            self._forward(command)
            return
        # An entry without its stop, or a stop without its entry, is not what was wanted: none of them goes out.
        for order in orders:
            if self._cache.order(order.client_order_id) is None:
                self._cache.add_order(order, command.position_id)
            if not order.is_closed:
                self._engine._deny_order(order, reason)
                self._note_denial(order, reason)

    def _modify(self, command: ModifyOrder) -> None:
        order = self._cache.order(command.client_order_id)
        quantity = None if command.quantity is None else command.quantity.as_decimal()
        is_cheaper = command.price is None or order is None or not order.has_price
        if order is None or (is_cheaper and (quantity is None or quantity <= order.quantity.as_decimal())):
            self._forward(command)  # Nothing is added
            return
        self.observe()
        wanted = (
            order.quantity.as_decimal() if quantity is None else quantity
        ) - order.filled_qty.as_decimal()
        position_id = self._cache.position_id(order.client_order_id)
        reason = self._count_order() or self._check(order, position_id, wanted, command.price, [])
        if reason is None:
            self._forward(command)
            return
        self._note_denial(order, reason)
        now_ns = self._now_ns()
        self._kernel.msgbus.send(
            "ExecEngine.process",
            OrderModifyRejected(
                trader_id=order.trader_id,
                strategy_id=order.strategy_id,
                instrument_id=order.instrument_id,
                client_order_id=order.client_order_id,
                venue_order_id=order.venue_order_id,
                account_id=order.account_id,
                reason=reason,
                event_id=UUID4(),
                ts_event=now_ns,
                ts_init=now_ns,
            ),
        )

    def _check(
        self,
        order: Order,
        position_id: PositionId | None,
        quantity: Decimal,
        price: Price | None,
        before: list[Order],
    ) -> str | None:
        """Return why an order is denied; `before` are those of its list that would go out first."""
        is_netting = self._is_netting(order)
        is_buy = order.side == OrderSide.BUY
        others = self._find_others(order, before)
        holding = self._measure_holding(order.instrument_id, others, is_netting=is_netting)
        intent = Intent(
            is_buy=is_buy,
            quantity=quantity,
            is_reduce_only=order.is_reduce_only,
            is_market=order.order_type == OrderType.MARKET,
            target=None if is_netting else self._measure_target(position_id, others, is_buy=is_buy),
        )
        limits = self._limits
        is_unknown = limits.needs_equity and self._state.equity is None
        reason = check_state(self._state.effective, intent, holding, is_unknown=is_unknown)
        if reason is None:
            most = limits.find_max_position(order.instrument_id.value)
            reason = check_position(most, intent, holding, is_netting=is_netting)
        if reason is None and limits.max_exposure is not None:
            opening = measure_opening(intent, holding, is_netting=is_netting)
            own = price if price is not None else order.price if order.has_price else None
            added = (
                Decimal(0)
                if opening == 0
                else self._valuer.measure_notional(order.instrument_id, opening, own, is_buy=is_buy)
            )
            reason = check_exposure(limits.max_exposure, self._measure_exposure(order, before), added)
        return reason

    def _measure_exposure(self, order: Order, before: list[Order]) -> Decimal | None:
        """Return what is held and what other orders may add, all instruments together."""
        total = self._valuer.measure().exposure
        for other in self._find_others(order, before, any_instrument=True):
            if other.is_reduce_only or total is None:
                continue
            price = other.price if other.has_price else None
            notional = self._valuer.measure_notional(
                other.instrument_id, other.leaves_qty.as_decimal(), price, is_buy=other.side == OrderSide.BUY
            )
            total = None if notional is None else total + notional
        return total

    def _find_others(self, order: Order, before: list[Order], *, any_instrument: bool = False) -> list[Order]:
        """Return the orders that are under way besides this one."""
        instrument_id = None if any_instrument else order.instrument_id
        found = {o.client_order_id: o for o in self._cache.orders_open(instrument_id=instrument_id)}
        found |= {o.client_order_id: o for o in self._cache.orders_inflight(instrument_id=instrument_id)}
        # Passed here, but not yet taken from the engine's queue.
        self._under_way = {i: o for i, o in self._under_way.items() if o.status in _NOT_SENT}
        for other in (*self._under_way.values(), *before):
            if any_instrument or other.instrument_id == order.instrument_id:
                found[other.client_order_id] = other
        found.pop(order.client_order_id, None)
        return list(found.values())

    def _measure_holding(
        self, instrument_id: InstrumentId, others: list[Order], *, is_netting: bool
    ) -> Holding:
        long = short = Decimal(0)
        for position in self._cache.positions_open(instrument_id=instrument_id):
            if position.side == PositionSide.LONG:
                long += position.quantity.as_decimal()
            else:
                short += position.quantity.as_decimal()
        if is_netting:  # Nautilus keeps one position for each strategy, the venue one for the account
            long, short = max(Decimal(0), long - short), max(Decimal(0), short - long)
        pending: dict[tuple[bool, str], Decimal] = defaultdict(Decimal)
        for other in others:
            pending[other.side == OrderSide.BUY, _find_kind(other)] += other.leaves_qty.as_decimal()
        return Holding(
            long=long,
            short=short,
            buys=pending[True, "resting"],
            sells=pending[False, "resting"],
            market_buys=pending[True, "market"],
            market_sells=pending[False, "market"],
            reducing_buys=pending[True, "reducing"],
            reducing_sells=pending[False, "reducing"],
        )

    def _measure_target(
        self, position_id: PositionId | None, others: list[Order], *, is_buy: bool
    ) -> Decimal | None:
        position = None if position_id is None else self._cache.position(position_id)
        if position is None or position.is_closed:
            return None
        side = PositionSide.SHORT if is_buy else PositionSide.LONG
        if position.side != side:
            return None  # It would add to the position
        asked = sum(
            (
                o.leaves_qty.as_decimal()
                for o in others
                if self._cache.position_id(o.client_order_id) == position_id
            ),
            Decimal(0),
        )
        held: Decimal = position.quantity.as_decimal()
        return max(Decimal(0), held - asked)

    def _is_netting(self, order: Order) -> bool:
        for strategy in self._kernel.trader.strategies():
            if strategy.id == order.strategy_id and strategy.oms_type != OmsType.UNSPECIFIED:
                return bool(strategy.oms_type == OmsType.NETTING)
        clients = self._engine.get_clients_for_orders([order])
        return all(client.oms_type == OmsType.NETTING for client in clients)

    def _count_order(self) -> str | None:
        most = self._limits.max_orders_per_sec
        if most is None:
            return None
        now_ns = self._now_ns()
        while self._sent and self._sent[0] <= now_ns - _SECOND_NS:
            self._sent.popleft()
        if len(self._sent) >= most:
            return f"more than {most} orders within a second"
        self._sent.append(now_ns)
        return None

    def _now_ns(self) -> int:
        return int(self._kernel.clock.timestamp_ns())

    def _note_denial(self, order: Order, reason: str) -> None:
        self.denials[order.instrument_id.value] += 1
        self._note("denied", reason, order)

    def _note(self, kind: str, reason: str, order: Order | None = None) -> None:
        names = (
            {}
            if order is None
            else {
                "instrument_id": order.instrument_id.value,
                "strategy_id": order.strategy_id.value,
                "client_order_id": order.client_order_id.value,
            }
        )
        kept = self.events if order is None else self.denied
        kept.append(GateEvent(ts_ns=self._now_ns(), kind=kind, reason=reason, **names))


def _find_kind(order: Order) -> str:
    if order.is_reduce_only:
        return "reducing"
    return "market" if order.order_type == OrderType.MARKET else "resting"
