"""What is held and pending, by instrument and all together, kept up to date as orders and positions change."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.cache.cache import Cache
from nautilus_trader.model.enums import OrderStatus, PositionSide
from nautilus_trader.model.events import OrderModifyRejected, OrderUpdated
from nautilus_trader.model.identifiers import ClientOrderId, InstrumentId, PositionId
from nautilus_trader.model.objects import Currency, Quantity
from nautilus_trader.model.orders import Order

from workbench.gate.changes import Change, Changes
from workbench.gate.limits import Limits
from workbench.gate.margin_fractions import find_margin_fractions
from workbench.gate.raw import SCALE, to_decimal, to_raw
from workbench.gate.tallies import (
    Exposure,
    OrderEntry,
    PositionEntry,
    Sums,
    Tally,
    describe_sums,
    describe_tally,
    find_index,
    is_floating,
    sum_exposure,
)
from workbench.gate.valuer import Valuer
from workbench.gate.worth import Touch

__all__ = ["NOT_SENT", "Ledger"]

# What an order is before anybody has sent it to a venue.
NOT_SENT = (OrderStatus.INITIALIZED, OrderStatus.RELEASED)


class Ledger:
    """
    Counts what every limit of the engine needs, without going through all orders for each of them.

    An order counts from the moment it passes the gate, or is found open, until it is closed. What is worth something
    is so at the prices of the last `refresh`. `find_differences` compares all of it with the cache.

    Parameters
    ----------
    cache : Cache
        The engine's cache.
    valuer : Valuer
        What things are worth.
    limits : Limits
        They say whether worth is needed at all.

    """

    def __init__(self, cache: Cache, valuer: Valuer, limits: Limits) -> None:
        self._cache = cache
        self.find_order = cache.order
        self._valuer = valuer
        self.set_limits(limits)
        self.tallies: dict[InstrumentId, Tally] = {}
        self.orders: dict[ClientOrderId, OrderEntry] = {}
        self._positions: dict[PositionId, PositionEntry] = {}
        self._sums: dict[Currency, Sums] = {}
        self.sums: list[Sums] = []
        self.unpriced: dict[InstrumentId, Tally] = {}

    # -- What the gate asks --

    def set_limits(self, limits: Limits) -> None:
        """Take other limits."""
        self._limits = limits
        self.is_valued = limits.needs_worth

    def open_tally(self, instrument_id: InstrumentId) -> Tally | None:
        """Return the tally of an instrument, a new one if need be; ``None`` where the instrument is not known."""
        tally = self.tallies.get(instrument_id)
        if tally is not None:
            return tally
        instrument = self._cache.instrument(instrument_id)
        if instrument is None:
            return None
        currency = instrument.get_cost_currency()
        sums = self._sums.get(currency)
        if sums is None:
            sums = self._sums[currency] = Sums(currency)
            self.sums.append(sums)
            if self.is_valued:
                sums.set_rate(self._valuer.find_rate(currency))
        tally = self.tallies[instrument_id] = Tally(instrument, sums)
        most = self._limits.find_max_position(instrument_id.value)
        tally.most = None if most is None else to_raw(most)
        if self.is_valued:
            tally.set_touch(self._valuer.find_touch(instrument_id))
            self._measure_margin(tally)
        return tally

    def measure_exposure(self, without: OrderEntry | None = None) -> Exposure | None:
        """Return all that is held and pending; ``None`` where a price or a rate is missing."""
        if any(tally.unpriced - (tally is _tally_of(without)) > 0 for tally in self.unpriced.values()):
            return None
        return sum_exposure(self.sums, without)

    def measure_target(
        self, position_id: PositionId | None, tally: Tally, own: OrderEntry | None, side: PositionSide
    ) -> Decimal | None:
        """Return what no other order asks for of a position of `side`; ``None`` where it is none."""
        held = None if position_id is None else tally.positions.get(position_id)
        if held is None or held.position.side != side:
            return None
        asked = sum(
            entry.quantity
            for entry in self.orders.values()
            if entry.tally is tally
            and entry is not own
            and self._cache.position_id(entry.order.client_order_id) == position_id
        )
        return to_decimal(max(0, abs(held.signed) - asked))

    def explain(self) -> str:
        """Return why `measure_exposure` knows nothing."""
        missing = [self._valuer.explain(instrument_id) for instrument_id in self.unpriced]
        missing += [
            f"no rate {s.currency.code}/{self._valuer.currency.code}"
            for s in self.sums
            if not s.is_empty and s.rate is None
        ]
        return ", ".join(missing)

    def explain_tally(self, tally: Tally) -> str:
        """Return why an instrument's worth is not known."""
        if tally.sums.rate is None:
            return f"no rate {tally.sums.currency.code}/{self._valuer.currency.code}"
        return self._valuer.explain(tally.instrument.id)

    # -- What changes --

    def admit(self, order: Order, tally: Tally, index: int, quantity: int, worth: int | None) -> OrderEntry:
        """Count an order that passes."""
        client_order_id = order.client_order_id
        entry = self.orders.get(client_order_id)
        if entry is None:
            entry = self._open(order, client_order_id, tally, index)
        else:
            self._replace(entry, order, index)
        entry.is_passed = True
        self._count(entry, quantity, worth)
        return entry

    def admit_priced(self, client_order_id: ClientOrderId, entry: OrderEntry) -> None:
        """Count an order that passes, is worth what its own price says and is new: as `admit`, in less time."""
        self.orders[client_order_id] = entry
        entry.is_passed = True
        tally, index, worth = entry.tally, entry.index, entry.worth
        tally.pending[index] += entry.quantity
        if not index & 1:
            tally.floating[client_order_id] = entry  # See `is_floating`: what is sold may be worth more later
        if worth:
            sums = tally.sums
            tally.pending_worth += worth
            if index & 1:
                sums.buys += worth
            else:
                sums.sells += worth
            margin = worth * tally.margin_pending
            tally.margin += margin
            sums.margin += margin

    def _open(self, order: Order, client_order_id: ClientOrderId, tally: Tally, index: int) -> OrderEntry:
        entry = self.orders[client_order_id] = OrderEntry(order, tally, index)
        if is_floating(tally, order):
            tally.floating[client_order_id] = entry
        return entry

    def _replace(self, entry: OrderEntry, order: Order, index: int) -> None:
        """Take the order as it is now: it is another one where it was transformed when it was released."""
        if entry.index != index:
            self._count(entry, 0, 0)
            entry.index = index
        if entry.order is not order:
            entry.order = order
            if is_floating(entry.tally, order):
                entry.tally.floating[order.client_order_id] = entry

    def ask(self, entry: OrderEntry, change: Change) -> None:
        """Count what a modification that passes asks for, until the venue has answered it."""
        if entry.changes is None:
            entry.changes = Changes()
        entry.changes.add(change)
        self.recount(entry.order)

    def answer(self, event: OrderUpdated | OrderModifyRejected) -> None:
        """Take note of a venue's answer to a modification."""
        entry = self.orders.get(event.client_order_id)
        if entry is None or not entry.changes:
            return
        if isinstance(event, OrderUpdated):
            entry.changes.update(entry.order, event)
        else:
            entry.changes.reject()

    def withdraw(self, client_order_id: ClientOrderId) -> None:
        """Count an order no longer."""
        entry = self.orders.pop(client_order_id, None)
        if entry is not None:
            if entry.tally.floating:
                entry.tally.floating.pop(client_order_id, None)
            self._count(entry, 0, 0)

    def recount(self, order: Order) -> None:
        """Count an order as it is now."""
        client_order_id = order.client_order_id
        entry = self.orders.get(client_order_id)
        if not (
            order.is_open
            or order.is_inflight
            or (entry is not None and entry.is_passed and order.status in NOT_SENT)
        ):
            if entry is not None:
                self.withdraw(client_order_id)
            return
        index = find_index(order)
        if entry is None:
            tally = self.open_tally(order.instrument_id)
            if tally is None:
                return
            entry = self._open(order, client_order_id, tally, index)
        else:
            self._replace(entry, order, index)
        self._count(entry, *self._measure(entry))

    def recount_position(self, position_id: PositionId) -> None:
        """Count a position as it is now."""
        position = self._cache.position(position_id)
        entry = self._positions.get(position_id)
        if position is None or position.is_closed:
            if entry is not None:
                self._count_position(entry, 0)
                del self._positions[position_id]
                del entry.tally.positions[position_id]
            return
        if entry is None:
            tally = self.open_tally(position.instrument_id)
            if tally is None:
                return
            entry = PositionEntry(position, tally)
            self._positions[position_id] = tally.positions[position_id] = entry
        entry.position = position
        quantity = position.quantity.raw
        self._count_position(entry, quantity if position.side == PositionSide.LONG else -quantity)

    def recount_positions(self, instrument_id: InstrumentId) -> None:
        """Count all positions of an instrument."""
        tally = self.tallies.get(instrument_id)
        found = {p.id for p in self._cache.positions_open(instrument_id=instrument_id)}
        for position_id in found | (set() if tally is None else set(tally.positions)):
            self.recount_position(position_id)

    def refresh(self) -> None:
        """Take new prices and rates."""
        if not self.is_valued:
            return
        for sums in self.sums:
            sums.set_rate(self._valuer.find_rate(sums.currency))
        for instrument_id, tally in self.tallies.items():
            if not tally.has_account:
                self._measure_margin(tally)
            touch = self._valuer.find_touch(instrument_id)
            if touch is not tally.touch and touch != tally.touch:
                self._price(tally, touch)

    def rebuild(self) -> None:
        """Count everything anew, from the cache; orders that passed and are not sent yet stay."""
        passed = [e for e in self.orders.values() if e.is_passed or e.changes]
        self.tallies.clear()
        self.orders.clear()
        self._positions.clear()
        self._sums.clear()
        self.sums.clear()
        self.unpriced.clear()
        for old in passed:
            order = self._cache.order(old.order.client_order_id) or old.order
            tally = self.open_tally(order.instrument_id)
            if tally is not None:
                entry = self._open(order, order.client_order_id, tally, find_index(order))
                entry.is_passed, entry.changes = old.is_passed, old.changes
                self.recount(order)
        for order in (*self._cache.orders_open(), *self._cache.orders_inflight()):
            self.recount(order)
        for position in self._cache.positions_open():
            self.recount_position(position.id)

    def price_as(self, other: Ledger) -> None:
        """Take the prices of another ledger in place of the latest."""
        for instrument_id, tally in self.tallies.items():
            theirs = other.tallies.get(instrument_id)
            if theirs is not None and theirs.touch != tally.touch:
                self._price(tally, theirs.touch)

    def find_differences(self) -> list[str]:
        """Return where this ledger differs from one that is counted anew; nothing, unless there is a mistake."""
        fresh = Ledger(self._cache, self._valuer, self._limits)
        fresh.orders = dict(self.orders)
        fresh.rebuild()
        fresh.price_as(self)
        lines = []
        for instrument_id in sorted({*self.tallies, *fresh.tallies}, key=str):
            one, two = (describe_tally(side.tallies.get(instrument_id)) for side in (self, fresh))
            if one != two:
                lines.append(f"{instrument_id}: counted {one}, found {two}")
        one, two = (describe_sums(side.sums) for side in (self, fresh))
        if one != two:
            lines.append(f"all: counted {one}, found {two}")
        return lines

    # -- Sums --

    def measure(self, order: Order, tally: Tally, changes: Changes | None) -> tuple[int | None, int | None]:
        """Return the most units and the most worth, raw, that an order and its modifications stand for."""
        left, prices = order.leaves_qty, []
        if changes:
            most = changes.find_quantity(order.quantity)
            left = Quantity.from_raw(max(0, most.raw - order.filled_qty.raw), most.precision)
            prices = changes.find_prices(order)
        units, worth = tally.measure_order(order, left, prices)
        return units, worth if self.is_valued and not order.is_reduce_only else 0

    def _measure(self, entry: OrderEntry) -> tuple[int, int | None]:
        units, worth = self.measure(entry.order, entry.tally, entry.changes)
        return units or 0, worth

    def _price(self, tally: Tally, touch: Touch) -> None:
        tally.set_touch(touch)
        for held in tally.positions.values():
            self._count_position(held, held.signed)
        for entry in tally.floating.values():
            self._count(entry, *self._measure(entry))

    def _count(self, entry: OrderEntry, quantity: int, worth: int | None) -> None:
        tally, index = entry.tally, entry.index
        tally.pending[index] += quantity - entry.quantity
        entry.quantity = quantity
        old = entry.worth
        if worth == old:
            return
        entry.worth = worth
        if worth is None or old is None:
            self._mark(tally, (worth is None) - (old is None))
        change = (worth or 0) - (old or 0)
        tally.pending_worth += change
        sums = tally.sums
        if index & 1:
            sums.buys += change
        else:
            sums.sells += change
        margin = change * tally.margin_pending
        tally.margin += margin
        sums.margin += margin

    def _count_position(self, entry: PositionEntry, signed: int) -> None:
        tally, sums = entry.tally, entry.tally.sums
        old_signed, old = entry.signed, entry.worth
        entry.signed = signed
        tally.long += max(signed, 0) - max(old_signed, 0)
        tally.short += max(-signed, 0) - max(-old_signed, 0)
        worth: int | None = 0
        if self.is_valued and signed:
            price = tally.touch.bid if signed > 0 else tally.touch.ask
            worth = None if price is None else tally.measure_notional(abs(signed), price)
        entry.worth = worth
        if worth is None or old is None:
            self._mark(tally, (worth is None) - (old is None))
        before, after = old or 0, worth or 0
        tally.held_worth += after - before
        sums.gross += after - before
        sums.net += (after if signed > 0 else -after) - (before if old_signed > 0 else -before)
        margin = (after - before) * tally.margin_held
        tally.margin += margin
        sums.margin += margin

    def _mark(self, tally: Tally, change: int) -> None:
        tally.unpriced += change
        if tally.unpriced:
            self.unpriced[tally.instrument.id] = tally
        else:
            self.unpriced.pop(tally.instrument.id, None)

    def _measure_margin(self, tally: Tally) -> None:
        fractions = find_margin_fractions(self._cache, tally.instrument)
        tally.has_account = fractions is not None
        tally.margin_held, tally.margin_pending = fractions or (SCALE, SCALE)  # All of it, until it is known
        margin = tally.held_worth * tally.margin_held + tally.pending_worth * tally.margin_pending
        tally.sums.margin += margin - tally.margin
        tally.margin = margin


def _tally_of(entry: OrderEntry | None) -> Tally | None:
    return None if entry is None or entry.worth is not None else entry.tally
