"""The counters of the gate: what is held and pending, of one instrument and in one currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import inf
from typing import NamedTuple

import msgspec
from nautilus_trader.model.enums import OrderSide, OrderType
from nautilus_trader.model.identifiers import ClientOrderId, PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Currency, Price, Quantity
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

from workbench.gate.changes import Changes
from workbench.gate.raw import SCALE, UNIT, to_decimal, to_raw
from workbench.gate.rules import Holding
from workbench.gate.worth import Touch

__all__ = [
    "MARKET",
    "REDUCING",
    "RESTING",
    "Exposure",
    "OrderEntry",
    "PositionEntry",
    "Sums",
    "Tally",
    "describe_sums",
    "describe_tally",
    "find_index",
    "is_floating",
    "sum_exposure",
]

# Places in `Tally.pending`: these are of sells, the next one of buys.
RESTING, MARKET, REDUCING = 0, 2, 4
_UNPRICED = Touch(None, None)
_SQUARE = SCALE * SCALE


class Exposure(NamedTuple):
    """
    What is held and pending of all instruments, in the reporting currency; all but `net` without sign.

    Of pending orders those count that may open something.
    """

    gross: Decimal
    net: Decimal
    buys: Decimal
    sells: Decimal
    margin: Decimal


class Sums:
    """
    The worth of what is held and pending in one currency, raw.

    Attributes
    ----------
    gross, net : int
        Of positions: long and short added up, and long less short.
    buys, sells : int
        Of pending orders that may open something.
    margin : int
        What all of it needs as margin, times `SCALE`.
    rate : Decimal, optional
        What one unit is worth in the reporting currency.
    rate_up, rate_down : int, optional
        The same, raw, rounded up and down.
    ceilings : tuple, optional
        The most that `Checks` lets through while all is in this currency; ``None`` where that is not known.

    """

    __slots__ = (
        "buys",
        "ceilings",
        "currency",
        "gross",
        "margin",
        "net",
        "rate",
        "rate_down",
        "rate_up",
        "sells",
    )

    def __init__(self, currency: Currency) -> None:
        self.currency = currency
        self.gross = self.net = self.buys = self.sells = self.margin = 0
        self.rate: Decimal | None = None
        self.rate_up: int | None = None
        self.rate_down: int | None = None
        self.ceilings: tuple[float, float, float, float] | None = None

    def set_rate(self, rate: Decimal | None) -> None:
        """Take a new rate."""
        if rate == self.rate:
            return
        self.rate = rate
        self.ceilings = None
        if rate is None:
            self.rate_up = self.rate_down = None
        else:
            self.rate_down = to_raw(rate)
            self.rate_up = -to_raw(-rate)

    @property
    def is_empty(self) -> bool:
        """Whether no rate is needed."""
        return not (self.gross or self.net or self.buys or self.sells)


class OrderEntry(msgspec.Struct, eq=False):
    """
    An order under way, as the ledger counts it.

    Attributes
    ----------
    order : Order
        The order.
    tally : Tally
        Where it counts.
    index : int
        Its place in `Tally.pending`.
    quantity : int
        What it counts for, raw: what is not filled, or what a modification under way asks for.
    worth : int, optional
        The notional of that, raw; 0 where it only reduces, ``None`` where a price is missing.
    is_passed : bool
        Whether it passed the gate; before it is sent, nothing else tells that it is under way.
    changes : Changes, optional
        The modifications under way.

    """

    order: Order
    tally: Tally
    index: int
    quantity: int = 0
    worth: int | None = 0
    is_passed: bool = False
    changes: Changes | None = None


class PositionEntry:
    """
    An open position, as the ledger counts it.

    Attributes
    ----------
    signed : int
        Its quantity, raw; below 0 where it is short.
    worth : int, optional
        The notional of that without sign, raw; ``None`` where a price is missing.

    """

    __slots__ = ("position", "signed", "tally", "worth")

    def __init__(self, position: Position, tally: Tally) -> None:
        self.position = position
        self.tally = tally
        self.signed = 0
        self.worth: int | None = 0


class Tally:
    """
    What is held and pending of one instrument, raw.

    Attributes
    ----------
    pending : list[int]
        Orders that rest, that fill at once, that only reduce: of each the sells, then the buys.
    touch : Touch
        The prices at which all is worth what it is worth here.
    least : tuple[float, float]
        From which raw price on a limit to sell, or to buy, says by itself what an order is worth at most.
    unpriced : int
        How many orders and positions have no worth for want of a price.
    floating : dict[ClientOrderId, OrderEntry]
        Orders whose worth depends on the market.
    factor : int, optional
        What a raw quantity at a raw price is worth, as `measure_notional` needs it; ``None`` where only the instrument
        itself knows.
    is_routed : bool
        Whether orders are known to find a client by the venue alone.
    most : int, optional
        The limit of the position.

    """

    __slots__ = (
        "factor",
        "floating",
        "has_account",
        "held_worth",
        "instrument",
        "is_routed",
        "least",
        "long",
        "margin",
        "margin_held",
        "margin_pending",
        "most",
        "pending",
        "pending_worth",
        "positions",
        "short",
        "sums",
        "touch",
        "unpriced",
    )

    def __init__(self, instrument: Instrument, sums: Sums) -> None:
        self.instrument = instrument
        self.sums = sums
        self.long = self.short = 0
        self.pending = [0] * 6
        self.held_worth = self.pending_worth = self.margin = 0
        self.margin_held = self.margin_pending = 0
        self.unpriced = 0
        self.set_touch(_UNPRICED)
        self.has_account = False
        self.positions: dict[PositionId, PositionEntry] = {}
        self.floating: dict[ClientOrderId, OrderEntry] = {}
        self.most: int | None = None
        self.is_routed = False
        is_plain = type(instrument).notional_value is Instrument.notional_value
        self.factor: int | None = (
            instrument.multiplier.raw if is_plain and not instrument.is_inverse else None
        )

    def set_touch(self, touch: Touch) -> None:
        """Take new prices."""
        self.touch = touch
        self.least: tuple[float, float] = (inf if touch.bid is None else touch.bid.raw, 0)

    def build_holding(self, *, is_netting: bool, without: OrderEntry | None = None) -> Holding:
        """Return it for the rules; a venue that nets has one position for the account, nautilus one a strategy."""
        long, short = self.long, self.short
        if is_netting:
            long, short = max(0, long - short), max(0, short - long)
        pending = list(self.pending)
        if without is not None:
            pending[without.index] -= without.quantity
        sells, buys, market_sells, market_buys, reducing_sells, reducing_buys = map(to_decimal, pending)
        return Holding(
            long=to_decimal(long),
            short=to_decimal(short),
            buys=buys,
            sells=sells,
            market_buys=market_buys,
            market_sells=market_sells,
            reducing_buys=reducing_buys,
            reducing_sells=reducing_sells,
        )

    def measure_notional(self, quantity: int, price: Price) -> int:
        """Return what a raw quantity is worth at a price, raw and without sign."""
        if self.factor is not None:
            worth: int = -(-quantity * abs(price.raw) * self.factor // _SQUARE)
            return worth
        units = Quantity.from_raw(quantity, self.instrument.size_precision)
        notional: int = self.instrument.notional_value(units, price).raw
        return abs(notional)

    def measure_order(
        self, order: Order, quantity: Quantity, prices: Sequence[Price] = ()
    ) -> tuple[int | None, int | None]:
        """
        Return the units and the worth of a quantity of an order, both raw and the most that they can be.

        ``None`` where no price is known that is needed.

        Parameters
        ----------
        order : Order
            The order.
        quantity : Quantity
            How much of it.
        prices : Sequence[Price]
            The limits that it may have besides its own, or where it has none, its triggers.

        """
        found = self._find_prices(order, prices)
        units: int | None = quantity.raw
        if order.is_quote_quantity and not self.instrument.is_inverse:
            lowest = min((price.raw for price in found), default=0)
            units = None
            if lowest > 0:
                units = -(-quantity.raw * SCALE * SCALE // (lowest * self.instrument.multiplier.raw))
        if units is None or not found:
            return units, None
        return units, max(self.measure_notional(units, price) for price in found)

    def has_price_for(self, order: Order) -> bool:
        """Return whether all prices are known that say what an order may be worth."""
        return not _may_fill_dearer(self, order) or self._find_market(order) is not None

    def _find_prices(self, order: Order, others: Sequence[Price]) -> list[Price]:
        """Return the prices at which an order may be filled, as far as they tell its greatest worth."""
        market = self._find_market(order)
        if order.has_price:
            found = [order.price, *others]
            if market is not None and _may_fill_dearer(self, order):
                found.append(market)
            return found
        if market is None:
            return []
        trigger = order.trigger_price if order.has_trigger_price else None
        return [market, *others] if trigger is None else [market, trigger, *others]

    def _find_market(self, order: Order) -> Price | None:
        return self.touch.ask if order.side == OrderSide.BUY else self.touch.bid


def _may_fill_dearer(tally: Tally, order: Order) -> bool:
    """
    Return whether an order may be worth more than at its own limit when it is filled.

    What is sold is filled at the limit or above. An inverse contract is worth more where the price is lower. Of a
    quantity of money, one price says how many units it is, and another what they are worth.
    """
    if not order.has_price:
        return False
    is_inverse: bool = tally.instrument.is_inverse
    if order.is_quote_quantity and not is_inverse:
        return True
    is_buy: bool = order.side == OrderSide.BUY
    return is_buy == is_inverse


def is_floating(tally: Tally, order: Order) -> bool:
    """Return whether the worth of an order depends on the market."""
    return not order.has_price or _may_fill_dearer(tally, order)


def find_index(order: Order) -> int:
    """Return the place of an order in `Tally.pending`."""
    buy = 1 if order.side == OrderSide.BUY else 0
    if order.is_reduce_only:
        return REDUCING + buy
    return (MARKET if order.order_type == OrderType.MARKET else RESTING) + buy


def describe_tally(tally: Tally | None) -> Mapping[str, object]:
    """Return the counts of an instrument by name; nothing where there are none."""
    if tally is None:
        return {}
    facts = {
        "long": tally.long,
        "short": tally.short,
        "pending": tuple(tally.pending),
        "held_worth": tally.held_worth,
        "pending_worth": tally.pending_worth,
        "margin": tally.margin,
        "unpriced": tally.unpriced,
    }
    return {} if not any(facts[k] for k in facts if k != "pending") and not any(tally.pending) else facts


def describe_sums(found: Iterable[Sums]) -> dict[str, tuple[int, ...]]:
    """Return the sums by currency."""
    return {
        s.currency.code: (s.gross, s.net, s.buys, s.sells, s.margin)
        for s in found
        if not s.is_empty or s.margin
    }


def sum_exposure(found: Iterable[Sums], without: OrderEntry | None = None) -> Exposure | None:
    """Return all sums in the reporting currency, less what an order counts for; ``None`` where a rate is missing."""
    gross = net = buys = sells = margin = Decimal(0)
    for sums in found:
        if sums.is_empty:
            continue
        if sums.rate is None:
            return None
        gross += sums.gross * sums.rate
        net += sums.net * sums.rate
        buys += sums.buys * sums.rate
        sells += sums.sells * sums.rate
        margin += sums.margin * sums.rate / SCALE
    if without is not None and without.worth:
        sums, worth = without.tally.sums, without.worth
        rate = sums.rate or Decimal(0)
        if without.index & 1:
            buys -= worth * rate
        else:
            sells -= worth * rate
        margin -= worth * without.tally.margin_pending * rate / SCALE
    return Exposure(gross * UNIT, net * UNIT, buys * UNIT, sells * UNIT, margin * UNIT)
