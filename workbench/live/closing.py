"""Cancel and close, again and again until nothing is left to try: the emergency stop, and a stop that flattens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import CancelOrder
from nautilus_trader.model.enums import OrderStatus, TriggerType
from nautilus_trader.model.identifiers import ClientOrderId, StrategyId
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position
from nautilus_trader.system.kernel import NautilusKernel

from workbench.engine_records import (
    EmergencyAction,
    EmergencyOutcome,
    EmergencyPolicy,
    EmergencyScope,
    Latch,
    StillOpen,
)
from workbench.gate.gate import Gate
from workbench.live.context import HostContext
from workbench.live.rows import find_mark

__all__ = ["Closer"]

_EXTERNAL = "EXTERNAL"
# Between two attempts at the same order or position: longer each time.
_FIRST_SECS = 0.5
_MOST_SECS = 5.0
# Orders of an instrument may hold what a closing order needs: so long it waits for their end.
_PATIENCE_SECS = 2.0
# Something may change that no event tells of.
_LOOK_SECS = 0.25
# So long the orders of a strategy that failed are tried to be cancelled.
_CANCEL_SECS = 60.0


class _Attempt:
    """What was tried with one order or position."""

    def __init__(self) -> None:
        self.count = 0
        self.next_at = 0.0
        self.order_id: ClientOrderId | None = None
        self.reason = ""

    def is_due(self, now: float) -> bool:
        return now >= self.next_at

    def begin(self, now: float) -> None:
        self.next_at = now + min(_MOST_SECS, _FIRST_SECS * 2**self.count)
        self.count += 1


class _Round(NamedTuple):
    """What one look found: what is still open, and whether anything of it can be tried again."""

    still_open: list[StillOpen]
    is_trying: bool


class Closer:
    """
    Ends what is open; in the main loop.

    It cancels orders by commands of its own and closes positions by the gate's closing orders, so it needs no strategy.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel.
    gate : Gate
        Lets closing orders pass.
    context : HostContext
        The host.

    """

    def __init__(self, kernel: NautilusKernel, gate: Gate, context: HostContext) -> None:
        self._kernel = kernel
        self._cache = kernel.cache
        self._gate = gate
        self._context = context
        self._changed = asyncio.Event()
        self._progress = asyncio.Event()
        self._others: set[asyncio.Task[None]] = set()
        self._is_flattening = False
        self._writing: asyncio.Future[None] | None = None
        self._task: asyncio.Task[list[StillOpen]] | None = None
        self._orders: dict[ClientOrderId, _Attempt] = {}
        self._positions: dict[Any, _Attempt] = {}
        self._own: set[ClientOrderId] = set()
        self._cancelled = self._closed = 0
        self._attempts = 0
        self._began = 0.0
        self.on_instrument: Callable[[Any], None] = lambda _: None
        bus = kernel.msgbus
        bus.subscribe("events.order.*", self._notice)
        bus.subscribe("events.position.*", self._notice)

    def begin(self, latch: Latch) -> None:
        """Do what an emergency stop wants, until it is settled or cleared."""
        self.end()
        self._task = self._context_loop().create_task(self._obey(latch))

    def end(self) -> None:
        """Stop trying."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def flatten(self, timeout_secs: float) -> list[StillOpen]:
        """End what the engine's strategies have, for as long as that may take; return what is still open."""
        policy = EmergencyPolicy(action=EmergencyAction.FLATTEN, scope=EmergencyScope.STRATEGIES)
        found = _Round([], is_trying=True)
        self._reset()
        self._is_flattening = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_secs):
                while found.is_trying:
                    found = self._try(policy)
                    if found.is_trying:
                        await self._wait(self._changed)
        self._context.tell(
            "engine",
            "Flattened",
            {"cancelled": self._cancelled, "closed": self._closed, "still_open": found.still_open},
        )
        return found.still_open

    def cancel_strategy(self, strategy_id: StrategyId) -> None:
        """Cancel what a strategy that failed has in the market, and what is still on its way there."""
        task = self._context_loop().create_task(self._cancel_strategy(strategy_id))
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    async def _cancel_strategy(self, strategy_id: StrategyId) -> None:
        attempts: dict[ClientOrderId, _Attempt] = {}
        until = time.monotonic() + _CANCEL_SECS
        while time.monotonic() < until:
            orders = [o for o in self._cache.orders(strategy_id=strategy_id) if not o.is_closed]
            if not orders:
                return
            for order in orders:
                attempt = attempts.setdefault(order.client_order_id, _Attempt())
                # Not before it is out: it would overtake the order in nautilus's queues, and find nothing
                if _is_cancellable(order) and attempt.is_due(time.monotonic()):
                    attempt.begin(time.monotonic())
                    self._cancel(order)
            await self._wait(self._progress)
        left = [
            o.client_order_id.value for o in self._cache.orders(strategy_id=strategy_id) if not o.is_closed
        ]
        self._context.tell(
            "alarm", "OrdersLeftOpen", {"strategy_id": strategy_id.value, "client_order_ids": left}
        )

    async def _obey(self, latch: Latch) -> list[StillOpen]:
        self._reset()
        told: EmergencyOutcome | None = None
        while True:
            found = self._try(latch.policy)
            outcome = EmergencyOutcome(
                latch=latch,
                shut_ns=self._context.shut_ns,
                settled_ns=None if found.is_trying else time.time_ns(),
                cancelled=self._cancelled,
                closed=self._closed,
                still_open=found.still_open,
                attempts=self._attempts,
            )
            is_free = self._writing is None or self._writing.done()
            if is_free and not _is_same(told, outcome):  # Else the next look tells it
                told = outcome
                self._writing = self._context_loop().run_in_executor(None, self._context.report, outcome)
            await self._wait(self._changed)

    async def _wait(self, event: asyncio.Event) -> None:
        """Wait for something to happen to an order or a position, or for a moment."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), _LOOK_SECS)
        event.clear()

    def _notice(self, event: Any) -> None:
        # Nothing to wake most of the time: this is on the way of every event
        if self._task is not None or self._is_flattening or self._others:
            self._context.post(self._wake)

    def _wake(self) -> None:
        self._changed.set()
        self._progress.set()

    def _context_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._context.loop
        if loop is None:
            raise RuntimeError("the main loop does not run")
        return loop

    def _reset(self) -> None:
        self._orders.clear()
        self._positions.clear()
        self._cancelled = self._closed = self._attempts = 0
        self._began = time.monotonic()

    def _try(self, policy: EmergencyPolicy) -> _Round:
        """Try everything that is due, and return what is open after that."""
        now = time.monotonic()
        still_open: list[StillOpen] = []
        busy: set[Any] = set()
        is_trying = False
        for order in [o for o in self._cache.orders() if not o.is_closed]:
            if order.client_order_id in self._own:
                continue
            if policy.scope == EmergencyScope.STRATEGIES and order.strategy_id.value == _EXTERNAL:
                still_open.append(_describe_order(order, "EXTERNAL: not of the engine's strategies"))
                continue
            if not _is_cancellable(order):  # On its way to the gate, which is shut
                if self._kernel.clock.timestamp_ns() - order.ts_init > _PATIENCE_SECS * 1e9:
                    still_open.append(_describe_order(order, "never sent"))
                continue
            is_trying = True
            busy.add(order.instrument_id)
            attempt = self._orders.setdefault(order.client_order_id, _Attempt())
            if attempt.is_due(now):
                attempt.begin(now)
                self._attempts += 1
                self._cancel(order)
            still_open.append(_describe_order(order, self._explain_order(order, attempt)))
        self._count()
        for position in self._cache.positions_open():
            reason = self._find_obstacle(position, policy)
            if reason is not None:
                still_open.append(_describe_position(position, reason))
                continue
            is_trying = True
            attempt = self._positions.setdefault(position.id, _Attempt())
            is_waiting = position.instrument_id in busy and now - self._began < _PATIENCE_SECS
            if not is_waiting and not self._is_under_way(attempt) and attempt.is_due(now):
                attempt.begin(now)
                self._attempts += 1
                self._close(position, attempt)
            still_open.append(_describe_position(position, self._explain_position(attempt)))
        if not is_trying:
            still_open += self._find_inventory(policy)
        return _Round(still_open, is_trying)

    def _cancel(self, order: Order) -> None:
        command = CancelOrder(
            trader_id=order.trader_id,
            strategy_id=order.strategy_id,
            instrument_id=order.instrument_id,
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            command_id=UUID4(),
            ts_init=self._kernel.clock.timestamp_ns(),
        )
        if order.is_emulated or order.emulation_trigger != TriggerType.NO_TRIGGER:
            endpoint = "OrderEmulator.execute"
        elif order.exec_algorithm_id is not None and order.is_active_local:
            endpoint = f"{order.exec_algorithm_id}.execute"
        else:
            endpoint = "ExecEngine.execute"
        self._send(endpoint, command)

    def _close(self, position: Position, attempt: _Attempt) -> None:
        self.on_instrument(position.instrument_id)
        try:
            attempt.order_id = self._gate.close_position(position.id)
        except Exception as e:  # noqa: BLE001 - whatever an adapter raises, the next attempt comes
            attempt.reason = f"{type(e).__name__}: {e}"
            return
        if attempt.order_id is not None:
            self._own.add(attempt.order_id)

    def _send(self, endpoint: str, command: Any) -> None:
        try:
            self._kernel.msgbus.send(endpoint, command)
        except Exception as e:  # noqa: BLE001 - whatever an adapter raises, the next attempt comes
            self._context.tell("alarm", "CancelFailed", {"error": f"{type(e).__name__}: {e}"})

    def _count(self) -> None:
        """Count what has ended since the beginning."""
        orders = [self._cache.order(i) for i in self._orders]
        self._cancelled = sum(o is not None and o.status == OrderStatus.CANCELED for o in orders)
        positions = [self._cache.position(i) for i in self._positions]
        self._closed = sum(p is not None and p.is_closed for p in positions)

    def _is_under_way(self, attempt: _Attempt) -> bool:
        order = None if attempt.order_id is None else self._cache.order(attempt.order_id)
        if order is None:
            return False  # It waits in the engine's queue: the next attempt is not due before that is over
        if order.is_closed:
            attempt.reason = getattr(order.last_event, "reason", "") or attempt.reason
            return False
        return True

    def _find_obstacle(self, position: Position, policy: EmergencyPolicy) -> str | None:
        """Return why a position will not be closed, however often it is tried."""
        if policy.action == EmergencyAction.CANCEL_ONLY:
            return "the policy is CANCEL ONLY"
        if policy.scope == EmergencyScope.STRATEGIES and position.strategy_id.value == _EXTERNAL:
            return "EXTERNAL: not of the engine's strategies"
        instrument = self._cache.instrument(position.instrument_id)
        if instrument is None:
            return "its instrument is not known"
        least = instrument.min_quantity
        if least is not None and position.quantity < least:
            return f"dust: below the least quantity of {least}"
        mark = find_mark(self._cache, position.instrument_id, is_long=position.is_long)
        if instrument.min_notional is not None and mark is not None:
            worth = instrument.notional_value(position.quantity, mark[0])
            if worth.currency == instrument.min_notional.currency and worth < instrument.min_notional:
                return f"dust: below the least worth of {instrument.min_notional}"
        return None

    def _explain_order(self, order: Order, attempt: _Attempt) -> str:
        reason = getattr(order.last_event, "reason", "") or ""
        return f"cancelled {attempt.count} times{': ' if reason else ''}{reason}"

    def _explain_position(self, attempt: _Attempt) -> str:
        if attempt.count == 0:
            return "waits for the cancels of its instrument"
        return f"closing, attempt {attempt.count}{': ' if attempt.reason else ''}{attempt.reason}"

    def _find_inventory(self, policy: EmergencyPolicy) -> list[StillOpen]:
        """Return what cash accounts hold of what is traded: no position tells of it, and nobody sells it unasked."""
        if policy.action != EmergencyAction.FLATTEN:
            return []
        traded = {
            (i.id.venue, i.base_currency.code): i.id
            for i in self._cache.instruments()
            if getattr(i, "base_currency", None) is not None
        }
        found: list[StillOpen] = []
        for account in self._cache.accounts():
            if not account.is_cash_account:
                continue
            for balance in account.balances().values():
                code = balance.currency.code
                venues = {venue.value for venue, base in traded if base == code}
                if account.id.get_issuer() in venues and balance.total.as_decimal() > 0:
                    found.append(
                        StillOpen(
                            kind="balance",
                            instrument_id="",
                            key=code,
                            quantity=str(balance.total.as_decimal()),
                            reason="spot inventory: not sold by an emergency stop",
                        )
                    )
        return found


def _is_same(told: EmergencyOutcome | None, outcome: EmergencyOutcome) -> bool:
    if told is None or (told.settled_ns is None) != (outcome.settled_ns is None):
        return False
    return msgspec.structs.replace(outcome, settled_ns=told.settled_ns) == told


def _is_cancellable(order: Order) -> bool:
    is_waiting = order.status == OrderStatus.INITIALIZED and order.exec_algorithm_id is None
    return not is_waiting or order.emulation_trigger != TriggerType.NO_TRIGGER


def _describe_order(order: Order, reason: str) -> StillOpen:
    return StillOpen(
        kind="order",
        instrument_id=order.instrument_id.value,
        key=order.client_order_id.value,
        quantity=str(order.leaves_qty),
        reason=reason,
    )


def _describe_position(position: Position, reason: str) -> StillOpen:
    return StillOpen(
        kind="position",
        instrument_id=position.instrument_id.value,
        key=position.id.value,
        quantity=str(position.quantity),
        reason=reason,
    )
