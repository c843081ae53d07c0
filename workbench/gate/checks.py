"""The limits applied to one order: quickly where it is far from all of them, exactly where it is not."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from math import inf

from nautilus_trader.execution.client import ExecutionClient
from nautilus_trader.execution.engine import ExecutionEngine
from nautilus_trader.execution.messages import ModifyOrder, TradingCommand
from nautilus_trader.model.enums import OmsType, OrderSide, OrderType, PositionSide
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.orders import Order

from workbench.gate.changes import Change, Changes
from workbench.gate.ledger import Ledger
from workbench.gate.limits import Limits
from workbench.gate.raw import SCALE, to_decimal, to_raw
from workbench.gate.rules import (
    Intent,
    check_amount,
    check_position,
    check_state,
    measure_opening,
)
from workbench.gate.switch import Stand
from workbench.gate.tallies import MARKET, REDUCING, RESTING, Exposure, OrderEntry, Tally, find_index
from workbench.gate.valuer import Valuation

__all__ = ["Checks"]

_SECOND_NS = 1_000_000_000
_NONE = Decimal(0)
_SQUARE = SCALE * SCALE


class Checks:
    """
    Holds the limits against the counts of a ledger.

    Parameters
    ----------
    limits : Limits
        What is let through.
    ledger : Ledger
        What is held and pending.
    engine : ExecutionEngine
        Knows which positions are netted.

    """

    def __init__(self, limits: Limits, ledger: Ledger, engine: ExecutionEngine) -> None:
        self._limits = limits
        self._ledger = ledger
        self._engine = engine
        self._find_order = ledger.find_order
        self._sent: deque[int] = deque(maxlen=limits.max_orders_per_sec or 0)
        self._gross = _scale(limits.max_exposure)
        self._net = _scale(limits.max_net_exposure)
        self._equity: Decimal | None = None
        self._reported: Decimal | None = None
        # The same for the quick check; less than nothing: it cannot tell
        self._margin: int | None = None if limits.max_margin is None else -1
        self._margin_reported = 0

    def set_equity(self, valuation: Valuation) -> None:
        """Take what the accounts are worth: a limit of margin is a fraction of it."""
        if self._limits.max_margin is None:
            return
        self._equity, self._reported = valuation.equity, valuation.margin
        most = self._find_most_margin()
        if most is None or valuation.margin is None:
            self._margin = -1
        else:
            self._margin = to_raw(most) * SCALE * SCALE
            self._margin_reported = -to_raw(-valuation.margin) * SCALE * SCALE

    def _find_most_margin(self) -> Decimal | None:
        if self._equity is None or self._limits.max_margin is None:
            return None
        return max(_NONE, self._equity * self._limits.max_margin)

    def count_order(self, now_ns: int) -> str | None:
        """Return why there were too many orders within the last second, or count one more."""
        most = self._limits.max_orders_per_sec
        if most is None:
            return None
        if len(self._sent) == most and now_ns - self._sent[0] < _SECOND_NS:
            return f"more than {most} orders within a second"
        self._sent.append(now_ns)
        return None

    # -- Quickly --

    def admit_quickly(self, order: Order, now_ns: int) -> bool:
        """
        Count an order if all of it could be added on top of all that is pending without reaching a limit.

        What is not admitted here may still pass: whether it only reduces something is not looked at.
        """
        ledger = self._ledger
        tally = ledger.tallies.get(order.instrument_id)
        # An order without a price of its own, or one that came before, is for the exact check
        if tally is None or not tally.is_routed or not order.has_price or order.is_quote_quantity:
            return False
        client_order_id = order.client_order_id
        if client_order_id in ledger.orders or self._find_order(client_order_id) is not order:
            return False
        if order.event_count > 1:
            return False
        sent = self._sent
        if sent.maxlen and len(sent) == sent.maxlen and now_ns - sent[0] < _SECOND_NS:
            return False
        is_buy = order.is_buy
        quantity = order.quantity.raw
        pending = tally.pending
        most = tally.most
        if order.is_reduce_only:
            if most is not None and pending[MARKET + is_buy]:
                return False
            index, worth = REDUCING + is_buy, 0
        else:
            index = RESTING + is_buy
            if most is not None:
                held = tally.long if is_buy else tally.short
                if held + pending[index] + pending[MARKET + is_buy] + quantity > most:
                    return False
            worth = 0
            if ledger.is_valued:
                price, factor = order.price.raw, tally.factor
                if factor is None or price < tally.least[is_buy] or ledger.unpriced:
                    return False
                worth = -(-quantity * price * factor // _SQUARE)
                if not self._has_room(tally, worth, is_buy):
                    return False
        if sent.maxlen:
            sent.append(now_ns)
        ledger.admit_priced(client_order_id, OrderEntry(order, tally, index, quantity, worth))
        return True

    def _has_room(self, tally: Tally, worth: int, is_buy: bool) -> bool:
        sums = tally.sums
        if sums.ceilings is None or len(self._ledger.sums) > 1:
            return self._has_room_in_all(tally, worth, is_buy)
        most_gross, most_net, most_margin, most_needed = sums.ceilings
        side = sums.net + sums.buys if is_buy else sums.sells - sums.net
        needed = worth * tally.margin_pending
        return (
            sums.gross + sums.buys + sums.sells + worth <= most_gross
            and side + worth <= most_net
            and sums.margin + needed <= most_margin
            and needed <= most_needed
        )

    def set_ceilings(self) -> None:
        """Say for each currency what `_has_room_in_all` comes to, where there is no other."""
        for sums in self._ledger.sums:
            rate = sums.rate_up
            if rate is None or rate <= 0:
                sums.ceilings = None
                continue
            sums.ceilings = (
                inf if self._gross is None else self._gross // rate,
                inf if self._net is None else self._net // rate,
                inf if self._margin is None else self._margin // rate,
                inf if self._margin is None else (self._margin - self._margin_reported) // rate,
            )

    def _has_room_in_all(self, tally: Tally, worth: int, is_buy: bool) -> bool:
        rate = tally.sums.rate_up
        if rate is None:
            return False
        gross = net = worth * rate
        needed = margin = gross * tally.margin_pending
        for sums in self._ledger.sums:
            up, down = sums.rate_up, sums.rate_down
            if up is None or down is None:
                return False
            gross += (sums.gross + sums.buys + sums.sells) * up
            side = sums.net + sums.buys if is_buy else sums.sells - sums.net
            net += side * (up if side > 0 else down)
            margin += sums.margin * up
        return (
            (self._gross is None or gross <= self._gross)
            and (self._net is None or net <= self._net)
            and (
                self._margin is None
                or (margin <= self._margin and needed + self._margin_reported <= self._margin)
            )
        )

    # -- Exactly --

    def admit(
        self, order: Order, command: TradingCommand, stand: Stand
    ) -> tuple[str | None, OrderEntry | None]:
        """Count an order if it passes; return why it does not, or how it is counted."""
        ledger = self._ledger
        tally = ledger.open_tally(order.instrument_id)
        if tally is None:
            return f"there is no instrument {order.instrument_id}", None
        client = self._engine._find_client_for_command(command)
        if client is None and command.client_id not in self._engine._external_clients:
            return f"there is no client for orders of {order.instrument_id}", None
        units, worth = self._measure(order, tally, None)
        reason = self._check(order, command.position_id, client, stand, tally, None, units, worth)
        if reason is not None:
            return reason, None
        tally.is_routed = tally.is_routed or (client is not None and command.client_id is None)
        return None, ledger.admit(order, tally, find_index(order), units or 0, worth)

    def admit_change(
        self, order: Order, position_id: PositionId | None, command: ModifyOrder, change: Change, stand: Stand
    ) -> str | None:
        """Return why a modification may not pass; what it asks for is not counted yet."""
        ledger = self._ledger
        ledger.recount(order)
        entry = ledger.orders.get(order.client_order_id)
        tally = ledger.open_tally(order.instrument_id)
        if tally is None:
            return f"there is no instrument {order.instrument_id}"
        changes = Changes(entry.changes if entry is not None else None)
        changes.add(change)
        units, worth = self._measure(order, tally, changes)
        client = self._engine._find_client_for_command(command)
        return self._check(order, position_id, client, stand, tally, entry, units, worth)

    def _measure(self, order: Order, tally: Tally, changes: Changes | None) -> tuple[int | None, int | None]:
        units, worth = self._ledger.measure(order, tally, changes)
        # What rests may be worth what its own price says. What is to be sent may be filled at once, at the market's
        return units, worth if not worth or tally.has_price_for(order) else None

    def _check(
        self,
        order: Order,
        position_id: PositionId | None,
        client: ExecutionClient | None,
        stand: Stand,
        tally: Tally,
        own: OrderEntry | None,
        quantity: int | None,
        worth: int | None,
    ) -> str | None:
        """Return why an order is denied; `own` is what is counted for it already."""
        limits = self._limits
        is_netting = self._is_netting(order, client)
        is_buy = order.side == OrderSide.BUY
        most = limits.find_max_position(order.instrument_id.value)
        holding = tally.build_holding(is_netting=is_netting, without=own)
        if quantity is None:
            return check_state(
                stand.state, Intent(is_buy, _NONE, is_reduce_only=False), holding, stand.why
            ) or (
                f"what the order would buy is unknown: {self._explain(tally)}" if most is not None else None
            )
        intent = Intent(
            is_buy=is_buy,
            quantity=to_decimal(quantity),
            is_reduce_only=order.is_reduce_only,
            is_market=order.order_type == OrderType.MARKET,
            target=None
            if is_netting
            else self._ledger.measure_target(
                position_id, tally, own, PositionSide.SHORT if is_buy else PositionSide.LONG
            ),
        )
        reason = check_state(stand.state, intent, holding, stand.why)
        if reason is None:
            reason = check_position(most, intent, holding, is_netting=is_netting)
        if reason is None and self._ledger.is_valued and not order.is_reduce_only:
            opening = measure_opening(intent, holding, is_netting=is_netting)
            reason = self._check_amounts(tally, own, intent, opening, worth)
        return reason

    def _check_amounts(
        self, tally: Tally, own: OrderEntry | None, intent: Intent, opening: Decimal, worth: int | None
    ) -> str | None:
        if opening == 0:
            return None
        limits, ledger = self._limits, self._ledger
        exposure = ledger.measure_exposure(without=own)
        rate = tally.sums.rate
        added: Decimal | None = None
        if worth is not None and rate is not None:
            added = to_decimal(worth) * rate * opening / intent.quantity
        unknown = self._explain(tally) if exposure is None or added is None else ""
        gross = net = margin = None
        if exposure is not None:
            gross = exposure.gross + exposure.buys + exposure.sells
            net = exposure.net + exposure.buys if intent.is_buy else exposure.sells - exposure.net
            margin = self._find_margin(exposure)
        reason = check_amount("gross exposure", limits.max_exposure, gross, added, unknown=unknown)
        if reason is None:
            side = "net long exposure" if intent.is_buy else "net short exposure"
            reason = check_amount(side, limits.max_net_exposure, net, added, unknown=unknown)
        if reason is None and limits.max_margin is not None:
            most = self._find_most_margin()
            if most is None:
                return "the margin is unknown: equity is"
            needed = None if added is None else added * to_decimal(tally.margin_pending)
            reason = check_amount("used margin", most, margin, needed, unknown=unknown)
        return reason

    def _find_margin(self, exposure: Exposure) -> Decimal | None:
        """Return the margin in use: what the accounts say or what is counted here, whichever is more."""
        return None if self._reported is None else max(self._reported, exposure.margin)

    def _explain(self, tally: Tally) -> str:
        return self._ledger.explain() or self._ledger.explain_tally(tally)

    def _is_netting(self, order: Order, client: ExecutionClient | None) -> bool:
        oms_type = self._engine._oms_overrides.get(order.strategy_id, OmsType.UNSPECIFIED)
        if oms_type == OmsType.UNSPECIFIED and client is not None:
            oms_type = client.oms_type
        # Where it is not known, each side by itself is the more that could be held
        return bool(oms_type == OmsType.NETTING)


def _scale(amount: Decimal | None) -> int | None:
    """Return an amount as whole numbers are compared: raw, times the raw rate of it."""
    return None if amount is None else to_raw(amount) * SCALE
