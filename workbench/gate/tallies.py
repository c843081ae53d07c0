"""The counters of the gate: what is held and pending, of one instrument and in one currency."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from nautilus_trader.model.enums import OrderSide, OrderType
from nautilus_trader.model.identifiers import PositionId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Currency, Price, Quantity
from nautilus_trader.model.orders import Order
from nautilus_trader.model.position import Position

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
    "sum_exposure",
]

# Places in `Tally.pending`: these are of sells, the next one of buys.
RESTING, MARKET, REDUCING = 0, 2, 4
_UNPRICED = Touch(None, None)


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

    """

    __slots__ = ("buys", "currency", "gross", "margin", "net", "rate", "rate_down", "rate_up", "sells")

    def __init__(self, currency: Currency) -> None:
        self.currency = currency
        self.gross = self.net = self.buys = self.sells = self.margin = 0
        self.rate: Decimal | None = None
        self.rate_up: int | None = None
        self.rate_down: int | None = None

    def set_rate(self, rate: Decimal | None) -> None:
        """Take a new rate."""
        if rate == self.rate:
            return
        self.rate = rate
        if rate is None:
            self.rate_up = self.rate_down = None
        else:
            self.rate_down = to_raw(rate)
            self.rate_up = -to_raw(-rate)

    @property
    def is_empty(self) -> bool:
        """Whether no rate is needed."""
        return not (self.gross or self.net or self.buys or self.sells)


class OrderEntry:
    """
    An order under way, as the ledger counts it.

    Attributes
    ----------
    index : int
        Its place in `Tally.pending`.
    quantity : int
        What it counts for, raw: what is not filled, or what a modification under way asks for.
    worth : int, optional
        The notional of that, raw; 0 where it only reduces, ``None`` where a price is missing.
    is_passed : bool
        Whether it passed the gate; before it is sent, nothing else tells that it is under way.
    asked : tuple, optional
        What modifications under way ask for: quantity, worth, and how many they are.

    """

    __slots__ = ("asked", "index", "is_passed", "order", "quantity", "tally", "worth")

    def __init__(
        self, order: Order, tally: Tally, index: int, quantity: int = 0, worth: int | None = 0
    ) -> None:
        self.order = order
        self.tally = tally
        self.index = index
        self.quantity = quantity
        self.worth = worth
        self.is_passed = False
        self.asked: tuple[int, int | None, int] | None = None


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
    unpriced : int
        How many orders and positions have no worth for want of a price.
    most : int, optional
        The limit of the position.

    """

    __slots__ = (
        "has_account",
        "held_worth",
        "instrument",
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
        self.touch = _UNPRICED
        self.unpriced = 0
        self.has_account = False
        self.positions: dict[PositionId, PositionEntry] = {}
        self.most: int | None = None

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

    def measure_quantity(self, order: Order, quantity: Quantity, price: Price | None) -> int | None:
        """Return a quantity in units of the instrument, raw; ``None`` where it is of money and no price is known."""
        raw: int = quantity.raw
        if not order.is_quote_quantity or self.instrument.is_inverse:
            return raw
        price = self._find_price(order, price)
        if price is None or price.raw <= 0:
            return None
        unit: int = price.raw * self.instrument.multiplier.raw
        return -(-raw * SCALE * SCALE // unit)

    def measure_worth(self, order: Order, quantity: int | None, price: Price | None) -> int | None:
        """Return the notional of a raw quantity of an order, raw; ``None`` where no price is known."""
        price = self._find_price(order, price)
        if price is None or quantity is None:
            return None
        instrument = self.instrument
        worth: int = instrument.notional_value(
            Quantity.from_raw(quantity, instrument.size_precision), price
        ).raw
        return abs(worth)

    def _find_price(self, order: Order, price: Price | None) -> Price | None:
        if price is not None:
            return price
        if order.has_price:
            return order.price
        return self.touch.ask if order.side == OrderSide.BUY else self.touch.bid


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
