"""Modifications on their way through the gate, and those that nautilus's risk engine turns back before it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import localcontext
from typing import Any

from nautilus_trader.execution.messages import ModifyOrder
from nautilus_trader.live.risk_engine import LiveRiskEngine
from nautilus_trader.model.orders import Order
from nautilus_trader.system.kernel import NautilusKernel

from workbench.gate.changes import Change
from workbench.gate.checks import Checks
from workbench.gate.ledger import Ledger
from workbench.gate.messages import build_rejection
from workbench.gate.record import GateLog
from workbench.gate.rules import TradingState
from workbench.gate.switch import OPEN, Switch
from workbench.gate.tracker import Tracker
from workbench.gate.worth import EXACT

__all__ = ["Modifications"]

_RISK_ENDPOINT = "RiskEngine.execute"


class Modifications:
    """
    Lets modifications pass, or rejects them.

    What passes counts until a venue has answered it. A rejection looks the same whoever makes it: those of the gate
    and of nautilus's risk engine are known here, for they answer nothing that a venue was asked.

    Parameters
    ----------
    kernel : NautilusKernel
        The engine's kernel.
    ledger : Ledger
        What is held and pending.
    tracker : Tracker
        Hears the rejections.
    switch : Switch
        The trading state.
    log : GateLog
        Where it is told.

    """

    def __init__(
        self, kernel: NautilusKernel, ledger: Ledger, tracker: Tracker, switch: Switch, log: GateLog
    ) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._tracker = tracker
        self._switch = switch
        self._log = log
        self._risk: Callable[[Any], None] = kernel.risk_engine.execute

    def attach(self) -> None:
        """Begin to know what nautilus's risk engine rejects."""
        risk = self._kernel.risk_engine
        if isinstance(risk, LiveRiskEngine):
            # Nautilus calls it by this name, also from its own compiled code
            risk._reject_modify_order = self._send_rejection
        else:
            self._kernel.msgbus.deregister(_RISK_ENDPOINT, self._risk)
            self._kernel.msgbus.register(_RISK_ENDPOINT, self._pass_risk)

    def _pass_risk(self, command: Any) -> None:
        """Hand a command to a risk engine that answers before it returns."""
        if type(command) is not ModifyOrder:
            self._risk(command)
            return
        self._tracker.is_refusing = True
        try:
            self._risk(command)
        finally:
            self._tracker.is_refusing = False

    def handle(self, command: ModifyOrder, checks: Checks, forward: Callable[[Any], None]) -> None:
        """Let a modification pass, or reject it."""
        self._tracker.is_refusing = False
        order = self._kernel.cache.order(command.client_order_id)
        if order is None:
            forward(command)  # There is nothing to change
            return
        change = Change(command.quantity, command.price, command.trigger_price)
        reason = self._check(order, command, change, checks)
        if reason is not None:
            now_ns = self._kernel.clock.timestamp_ns()
            self._log.note_denial(now_ns, order, reason)
            self._send_rejection(order, reason)
            return
        entry = self._ledger.orders.get(order.client_order_id)
        if entry is not None:
            self._ledger.ask(entry, change)
        forward(command)

    def _check(self, order: Order, command: ModifyOrder, change: Change, checks: Checks) -> str | None:
        stand = self._switch.now
        is_no_more = change.quantity is None or change.quantity <= order.quantity
        is_no_dearer = (change.price if order.has_price else change.trigger_price) is None
        is_smaller = is_no_more and is_no_dearer and (stand is OPEN or change.trigger_price is None)
        if stand.state != TradingState.HALTED and is_smaller:
            return None
        with localcontext(EXACT):
            reason = checks.count_order(self._kernel.clock.timestamp_ns())
            if reason is None:
                position_id = self._kernel.cache.position_id(order.client_order_id)
                reason = checks.admit_change(order, position_id, command, change, stand)
        return reason

    def _send_rejection(self, order: Order, reason: str) -> None:
        event = build_rejection(order, reason, self._kernel.clock.timestamp_ns())
        self._tracker.disown(event.id)
        self._kernel.msgbus.send("ExecEngine.process", event)
