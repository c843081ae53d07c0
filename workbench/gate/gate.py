"""The gate on its place: every command on its way to a venue passes here, whoever sent it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import localcontext
from typing import Any

from nautilus_trader.execution.messages import (
    BatchCancelOrders,
    CancelAllOrders,
    CancelOrder,
    ModifyOrder,
    QueryAccount,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
)
from nautilus_trader.live.execution_engine import LiveExecutionEngine
from nautilus_trader.model.identifiers import ClientOrderId, PositionId
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel

from workbench.errors import ConflictError, InputError
from workbench.gate.checks import Checks
from workbench.gate.closing import Permits, stop_strategies
from workbench.gate.ledger import NOT_SENT, Ledger
from workbench.gate.limits import BreachAction, Limits
from workbench.gate.losses import Losses
from workbench.gate.messages import build_closing
from workbench.gate.modifications import Modifications
from workbench.gate.record import GateEvent, GateLog
from workbench.gate.rules import TradingState
from workbench.gate.switch import OPEN, Stand, Switch
from workbench.gate.tallies import OrderEntry, find_index
from workbench.gate.tracker import Tracker
from workbench.gate.valuer import Valuer
from workbench.gate.watch import SOURCES, Watch
from workbench.gate.worth import EXACT

__all__ = ["Gate"]

_ENDPOINT = "ExecEngine.execute"
_SECOND_NS = 1_000_000_000
_PASSING = frozenset((CancelOrder, CancelAllOrders, BatchCancelOrders, QueryOrder, QueryAccount))


class Gate:
    """
    Stands in front of the execution engine, on the last way that all commands take.

    Orders of strategies and execution algorithms come there through the risk engine, released emulated orders and
    direct sends on the message bus by themselves. Cancels and queries always pass. In a live engine it stands behind
    the engine's queue: an order that waits there when the gate is shut does not go out any more.

    `halt`, `set_trading_state`, `restrict`, `lift`, `permit_closing` and `clear_breach` may be called by any thread, at
    any time; the next order sees them. All else belongs to the thread of the engine.

    The limits are those of the whole engine. Limits of single strategies would be a second `Ledger` and a second
    `Checks` for each of them, asked one after the other.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel, before it runs.
    limits : Limits
        What is let through.
    valuer : Valuer
        What things are worth.
    max_age_secs : float
        How old equity, prices and rates may be when an order is checked; 0: they are measured for each order. Older
        ones are measured before the order passes, so that it holds however late a timer is.

    """

    def __init__(
        self, kernel: NautilusKernel, limits: Limits, valuer: Valuer, *, max_age_secs: float = 0.0
    ) -> None:
        self._kernel = kernel
        self._engine = kernel.exec_engine
        self._cache = kernel.cache
        self._clock = kernel.clock
        self._limits = limits
        self._valuer = valuer
        self._max_age_ns = int(max_age_secs * _SECOND_NS)
        self._due_ns = 0
        self._forward: Callable[[Any], None] = self._engine.execute
        self.log = GateLog()
        self._switch = Switch()
        self._watch = Watch(valuer, self._switch, self.log)
        self._permits = Permits()
        self._ledger = Ledger(self._cache, valuer, limits)
        self._tracker = Tracker(self._cache, self._ledger)
        self._checks = Checks(limits, self._ledger, self._engine)
        self._modifications = Modifications(kernel, self._ledger, self._tracker, self._switch, self.log)
        self._is_attached = self._is_loaded = False
        self._closings = 0

    # -- What it is --

    @property
    def limits(self) -> Limits:
        """What is let through."""
        return self._limits

    @property
    def losses(self) -> Losses:
        """What it remembers of equity."""
        return self._watch.losses

    @property
    def stand(self) -> Stand:
        """The trading state that holds, and why."""
        return self._switch.now

    @property
    def requested(self) -> Stand:
        """The trading state that people asked for."""
        return self._switch.requested

    @property
    def restrictions(self) -> dict[str, Stand]:
        """What else keeps the gate shut, by its source."""
        return self._switch.restrictions

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
        bus = self._kernel.msgbus
        if isinstance(self._engine, LiveExecutionEngine):
            # Behind its queue. Who sends straight to the engine's own method passes here too.
            if "_execute_command" in vars(self._engine):
                raise ConflictError(
                    "the way to the execution engine is taken", expected="one gate for each engine"
                )
            self._forward = self._engine._execute_command
            self._engine._execute_command = self.execute
        else:
            try:
                bus.deregister(_ENDPOINT, self._forward)
            except Exception as e:
                raise ConflictError(
                    f"the way to the execution engine is taken: {e}", expected="one gate for each engine"
                ) from e
            bus.register(_ENDPOINT, self.execute)
        self._tracker.attach(bus)
        self._modifications.attach()
        self._is_attached = True

    # -- Any thread --

    def halt(self, reason: str) -> None:
        """Let nothing pass any more but cancels, and closing orders that have a permit."""
        self.set_trading_state(TradingState.HALTED, reason)

    def set_trading_state(self, state: TradingState, reason: str) -> None:
        """Change what is let through. A breach and other restrictions stay: see `clear_breach` and `lift`."""
        self._switch.request(state, reason)
        self._note("state", f"{state}: {reason}")

    def restrict(self, source: str, state: TradingState, reason: str) -> None:
        """
        Keep the gate at `state` at least until `source` lifts it, whatever people ask for meanwhile.

        Each `source`, such as ``journal``, has one restriction; `reason` is for people.
        """
        if source in SOURCES:
            raise InputError(f"{source!r} is the gate's own", expected="another name", field="source")
        if self._switch.restrict(source, state, reason):
            self._note("state", f"{source}: {state}: {reason}")

    def lift(self, source: str, reason: str) -> None:
        """Take a restriction away."""
        if source not in SOURCES and self._switch.lift(source):
            self._note("state", f"{source} lifted: {reason}")

    def permit_closing(self, *client_order_ids: ClientOrderId) -> None:
        """
        Let these orders pass though the gate is shut, each once, if it closes no more than what is open.

        An order passes that is reduce-only, or fills at once, and is no larger than the position that it names (or the
        only one of its strategy), less what other permitted orders under way close of it.
        """
        self._permits.give(list(client_order_ids))

    def clear_breach(self, reason: str) -> None:
        """Take new risk again after a loss limit was reached; loss and peak are counted from now on."""
        self._watch.clear()
        self._due_ns = 0
        self._note("state", f"breach cleared: {reason}")

    # -- What it observes --

    def observe(self) -> None:
        """Measure what there is, and act if a loss limit is reached. Orders do so by themselves when it is too old."""
        now_ns = self._now_ns()
        self._due_ns = now_ns + self._max_age_ns
        if self._limits.needs_worth:
            self._ledger.refresh()
        if self._limits.needs_equity:
            self._checks.set_equity(self._watch.observe(self._limits, now_ns, self._act))
        self._checks.set_ceilings()

    def _act(self) -> None:
        if self._limits.on_breach != BreachAction.DENY:
            self.stop_strategies(is_flattening=self._limits.on_breach == BreachAction.FLATTEN)

    def resync(self) -> None:
        """Count orders and positions anew, after something changed them that no event told of."""
        self._is_loaded = True
        self._ledger.rebuild()
        self._due_ns = 0

    def audit(self) -> list[str]:
        """Compare the counts with the cache; what differs is counted anew, noted and returned."""
        if not self._is_loaded:
            self.resync()
        differences = self._ledger.find_differences()
        for line in differences:
            self._note("ledger", line)
        if differences:
            self.resync()
        return differences

    def set_limits(self, limits: Limits, reason: str) -> None:
        """Change what is let through; what was lost until now still counts."""
        if limits.max_mark_age_secs != self._limits.max_mark_age_secs:
            self._valuer.limit_age(limits.max_mark_age_secs)
        self._limits = limits
        self._ledger.set_limits(limits)
        self._checks = Checks(limits, self._ledger, self._engine)
        if not limits.needs_equity:
            self._watch.stop()
        self.resync()
        self._note("limits", reason)

    def describe(self) -> dict[str, Any]:
        """Return what the gate did: see `GateLog.describe`."""
        return self.log.describe()

    def build_warnings(self) -> list[str]:
        """Return what a reader of the results must know, one line each."""
        return self.log.build_warnings(self._limits.on_breach)

    def listen(self, listener: Callable[[GateEvent], object]) -> None:
        """Call `listener` with everything that the gate does, on the thread that caused it; it must not block."""
        self.log.listen(listener)

    # -- What survives a restart --

    def export_state(self) -> bytes:
        """Return what must survive a restart, as JSON; any thread may ask."""
        return self._watch.encode()

    def restore_state(self, data: bytes | None) -> None:
        """
        Take up what `export_state` gave before a restart; ``None`` where there was nothing before.

        What cannot be read, or is in another currency, is no reason to count from 0: the gate is HALTED until somebody
        who knows asks for another state.
        """
        if data is not None:
            self._watch.restore(data, self._now_ns())

    # -- What it does --

    def stop_strategies(self, *, is_flattening: bool) -> None:
        """Cancel the orders of all strategies and, if it is to be flat, close their positions."""
        stop_strategies(self._kernel, self.close_position if is_flattening else None)

    def close_position(self, position_id: PositionId) -> ClientOrderId | None:
        """
        Close all of an open position at the market, whatever the trading state; ``None`` where it is not open.

        The order is the gate's own, in the name of the position's strategy, which need not run; see `permit_closing`.
        """
        position = self._cache.position(position_id)
        if position is None or position.is_closed:
            return None
        now_ns = self._now_ns()
        self._closings += 1
        client_order_id = ClientOrderId(f"GATE-{now_ns}-{self._closings}")
        self.permit_closing(client_order_id)
        self._kernel.msgbus.send(_ENDPOINT, build_closing(position, client_order_id, now_ns))
        return client_order_id

    def execute(self, command: Any) -> None:
        """Let a command pass, or deny what it asks for."""
        kind = type(command)
        if kind is SubmitOrder:
            order = command.order
            now_ns = self._clock.timestamp_ns()
            if now_ns >= self._due_ns:
                self._measure()
            if (
                self._switch.now is OPEN
                and not self._permits.ids
                and self._checks.admit_quickly(order, now_ns)
            ):
                self._forward(command)
            else:
                self._submit(command, [order])
        elif kind in _PASSING:
            self._forward(command)
        elif isinstance(command, SubmitOrder | SubmitOrderList):
            self._measure()
            is_one = isinstance(command, SubmitOrder)
            self._submit(command, [command.order] if is_one else list(command.order_list.orders))
        elif isinstance(command, ModifyOrder):
            self._measure()
            self._modifications.handle(command, self._checks, self._forward)
        else:
            self._forward(command)

    def _measure(self) -> None:
        if not self._is_loaded:
            self.resync()
        if self._now_ns() >= self._due_ns:
            self.observe()

    def _submit(self, command: Any, orders: list[Order]) -> None:
        again = [order for order in orders if self._is_sent(order)]
        if again:
            # Whatever became of the first, an event about the second would be taken for one about it
            for order in again:
                self.log.note_denial(self._now_ns(), order, "an order of this id was sent before")
            if len(again) == len(orders):
                return
            reason: str | None = "another order of the list was sent before"
            passed: list[OrderEntry] = []
        else:
            with localcontext(EXACT):
                reason, passed = self._check_all(command, orders)
        if reason is None:
            self._forward(command)
            return
        # An entry without its stop, or a stop without its entry, is not what was wanted: none of them goes out.
        for entry in passed:
            self._ledger.withdraw(entry.order.client_order_id)
        for order in orders:
            if order in again or order.is_closed:
                continue
            if self._cache.order(order.client_order_id) is None:
                self._cache.add_order(order, command.position_id)
            self._engine._deny_order(order, reason)
            self.log.note_denial(self._now_ns(), order, reason)

    def _is_sent(self, order: Order) -> bool:
        """Return whether an order, or another one of its id, is on its way already or was."""
        entry = self._ledger.orders.get(order.client_order_id)
        if entry is not None and entry.is_passed:
            return True
        known = self._cache.order(order.client_order_id)
        return order.status not in NOT_SENT or (known is not None and known is not order)

    def _check_all(self, command: Any, orders: list[Order]) -> tuple[str | None, list[OrderEntry]]:
        """Return why orders are denied, and those of them that are counted already."""
        checks, ledger = self._checks, self._ledger
        passed: list[OrderEntry] = []
        if all(o.client_order_id in self._permits for o in orders):
            for order in orders:
                tally = ledger.open_tally(order.instrument_id)
                if tally is None:
                    return f"there is no instrument {order.instrument_id}", passed
                reason = self._permits.check(order, command.position_id, self._cache, ledger)
                if reason is not None:
                    return reason, passed
                passed.append(ledger.admit(order, tally, find_index(order), order.leaves_qty.raw, 0))
            return None, passed
        now_ns = self._now_ns()
        reason = checks.count_order(now_ns)
        if reason is not None:
            return reason, passed
        for order in orders:
            reason, entry = checks.admit(order, command, self._switch.now)
            if entry is None:
                return reason, passed
            passed.append(entry)
        return None, passed

    def _now_ns(self) -> int:
        return int(self._clock.timestamp_ns())

    def _note(self, kind: str, reason: str) -> None:
        self.log.note(self._now_ns(), kind, reason)
