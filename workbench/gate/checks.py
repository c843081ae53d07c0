"""The limits applied to one order: quickly where it is far from all of them, exactly where it is not."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from nautilus_trader.execution.engine import ExecutionEngine
from nautilus_trader.model.enums import OmsType, OrderSide, OrderType, PositionSide
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.model.orders import Order

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
        if tally is None or not order.has_price or order.is_quote_quantity:
            return False
        client_order_id = order.client_order_id
        if client_order_id in ledger.orders:
            return False
        sent = self._sent
        if sent.maxlen and len(sent) == sent.maxlen and now_ns - sent[0] < _SECOND_NS:
            return False
        is_buy = order.is_buy
        left = order.quantity
        quantity = left.raw
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
                if ledger.unpriced:
                    return False
                worth = abs(tally.instrument.notional_value(left, order.price).raw)
                if not self._has_room(tally, worth, is_buy):
                    return False
        if sent.maxlen:
            sent.append(now_ns)
        ledger.admit_priced(client_order_id, OrderEntry(order, tally, index, quantity, worth))
        return True

    def _has_room(self, tally: Tally, worth: int, is_buy: bool) -> bool:
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
        self, order: Order, position_id: PositionId | None, stand: Stand
    ) -> tuple[str | None, OrderEntry | None]:
        """Count an order if it passes; return why it does not, or how it is counted."""
        ledger = self._ledger
        tally = ledger.open_tally(order.instrument_id)
        if tally is None:
            return f"there is no instrument {order.instrument_id}", None
        old = ledger.orders.get(order.client_order_id)
        quantity = tally.measure_quantity(order, order.leaves_qty, None)
        worth = self._measure_worth(order, quantity, None, tally)
        reason = self._check(order, position_id, stand, tally, old, quantity, worth)
        if reason is not None:
            return reason, None
        return None, ledger.admit(order, tally, find_index(order), quantity or 0, worth)

    def admit_change(
        self,
        order: Order,
        position_id: PositionId | None,
        stand: Stand,
        quantity: Quantity | None,
        price: Price | None,
    ) -> str | None:
        """Count what a modification asks for if it passes, or return why it does not."""
        ledger = self._ledger
        ledger.recount(order)
        entry = ledger.orders.get(order.client_order_id)
        tally = ledger.open_tally(order.instrument_id)
        if tally is None:
            return f"there is no instrument {order.instrument_id}"
        wanted = order.quantity if quantity is None else quantity
        left = Quantity.from_raw(max(0, wanted.raw - order.filled_qty.raw), wanted.precision)
        units = tally.measure_quantity(order, left, price)
        worth = self._measure_worth(order, units, price, tally)
        reason = self._check(order, position_id, stand, tally, entry, units, worth)
        if reason is None and entry is not None:
            ledger.ask(entry, units or 0, worth)
        return reason

    def _measure_worth(
        self, order: Order, quantity: int | None, price: Price | None, tally: Tally
    ) -> int | None:
        if not self._ledger.is_valued or order.is_reduce_only:
            return 0
        return tally.measure_worth(order, quantity, price)

    def _check(
        self,
        order: Order,
        position_id: PositionId | None,
        stand: Stand,
        tally: Tally,
        own: OrderEntry | None,
        quantity: int | None,
        worth: int | None,
    ) -> str | None:
        """Return why an order is denied; `own` is what is counted for it already."""
        limits = self._limits
        is_netting = self._is_netting(order)
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

    def _is_netting(self, order: Order) -> bool:
        oms_type = self._engine._oms_overrides.get(order.strategy_id, OmsType.UNSPECIFIED)
        if oms_type != OmsType.UNSPECIFIED:
            return bool(oms_type == OmsType.NETTING)
        clients = self._engine.get_clients_for_orders([order])
        return all(client.oms_type == OmsType.NETTING for client in clients)


def _scale(amount: Decimal | None) -> int | None:
    """Return an amount as whole numbers are compared: raw, times the raw rate of it."""
    return None if amount is None else to_raw(amount) * SCALE
