"""The rules of sizing: pure functions, exact, from what is known to a quantity that a venue takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import msgspec
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import QUANTITY_MAX, Currency, Quantity

from workbench.sizing.config import Sizing, SizingMethod

__all__ = ["EXACT", "Sized", "UnitWorth", "compute_quantity", "measure_unit", "measure_volatility"]

# A strategy may change the decimal context of its thread.
EXACT = Context(prec=38, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
_PERCENT = Fraction(1, 100)
_NEEDS = {
    SizingMethod.FIXED_NOTIONAL: ("price", "rate"),
    SizingMethod.PERCENT_OF_EQUITY: ("price", "rate", "equity"),
    SizingMethod.VOLATILITY_TARGET: ("price", "rate", "equity", "volatility"),
}

type Number = Decimal | Fraction


class UnitWorth(NamedTuple):
    """What one unit of an instrument is worth, exactly, and in which currency."""

    amount: Fraction
    currency: Currency


class Sized(msgspec.Struct, frozen=True, kw_only=True):
    """
    A size, and how it came about.

    Attributes
    ----------
    quantity : Quantity, optional
        What to order; ``None`` where there is none to order.
    reason : str
        Why there is none, or why it is smaller than the method alone would have it.
    notional : Decimal, optional
        What the method asks for, in `currency`; to 38 digits.
    price, rate : Decimal, optional
        Of the instrument; what its currency is worth in `currency`.
    equity : Decimal, optional
        Of the account, in `currency`.
    volatility : Decimal, optional
        A year, as a fraction.
    currency : str
        That of the amounts.

    """

    quantity: Quantity | None = None
    reason: str = ""
    notional: Decimal | None = None
    price: Decimal | None = None
    rate: Decimal | None = None
    equity: Decimal | None = None
    volatility: Decimal | None = None
    currency: str = ""


def compute_quantity(
    sizing: Sizing,
    instrument: Instrument,
    *,
    price: Number | None = None,
    rate: Number | None = None,
    equity: Number | None = None,
    volatility: Number | None = None,
    currency: str = "",
) -> Sized:
    """
    Return the quantity of an opening order, rounded down to the instrument's size increment.

    With the worth ``u`` of one unit in the account's currency (`measure_unit` times `rate`):

    - FIXED_QUANTITY: ``amount``
    - FIXED_NOTIONAL: ``amount / u``
    - PERCENT_OF_EQUITY: ``equity * amount / 100 / u``, a fixed fraction of equity [1]_
    - VOLATILITY_TARGET: ``equity * (amount / 100 / volatility) / u``, the target over the realised volatility [2]_

    Everything is computed in fractions: the result is never above what was asked. A quantity above the instrument's
    maximum, or that of `sizing`, becomes that maximum. One below the instrument's minimum is none.

    Parameters
    ----------
    sizing : Sizing
        The method.
    instrument : Instrument
        What is traded.
    price : Decimal or Fraction, optional
        Of the instrument; FIXED_QUANTITY needs none.
    rate : Decimal, optional
        What one unit of the currency of `measure_unit` is worth in the account's currency.
    equity : Decimal, optional
        In the account's currency.
    volatility : Decimal, optional
        Annualised, as a fraction; see `measure_volatility`.
    currency : str
        The account's currency, for the answer.

    Returns
    -------
    Sized
        Without a quantity where something that the method needs is ``None``, or not above 0.

    References
    ----------
    .. [1] R. Vince, "The Mathematics of Money Management" (1992), chapter 1: fixed fractional trading.
    .. [2] C. Harvey, E. Hoyle, R. Korgaonkar, S. Rattray, M. Sargaison, O. Van Hemert, "The Impact of Volatility
       Targeting", Journal of Portfolio Management 45 (1), 2018.

    """
    facts = {"price": price, "rate": rate, "equity": equity, "volatility": volatility}
    with localcontext(EXACT):
        sized = Sized(
            price=_to_decimal(price),
            rate=_to_decimal(rate),
            equity=_to_decimal(equity),
            volatility=_to_decimal(volatility),
            currency=currency,
        )
        return _compute(sizing, instrument, sized, facts)


def _compute(
    sizing: Sizing, instrument: Instrument, sized: Sized, facts: Mapping[str, Number | None]
) -> Sized:
    method = sizing.method
    if method == SizingMethod.FIXED_QUANTITY:
        return _fit(sized, Fraction(sizing.amount), sizing, instrument)
    needed = {}
    for name in _NEEDS[method]:
        value = facts[name]
        if value is None or not (isinstance(value, Fraction) or value.is_finite()) or value <= 0:
            shown = "not known" if value is None else f"{_to_decimal(value)}"
            return msgspec.structs.replace(sized, reason=f"the {name} is {shown}")
        needed[name] = Fraction(value)
    notional = Fraction(sizing.amount)
    if method != SizingMethod.FIXED_NOTIONAL:
        notional *= _PERCENT * needed["equity"]
    if method == SizingMethod.VOLATILITY_TARGET:
        notional /= needed["volatility"]
    sized = msgspec.structs.replace(sized, notional=_to_decimal(notional))
    unit = measure_unit(instrument, needed["price"]).amount * needed["rate"]
    return _fit(sized, notional / unit, sizing, instrument)


def _fit(sized: Sized, wanted: Fraction, sizing: Sizing, instrument: Instrument) -> Sized:
    """Return the quantity that a venue takes: of whole increments, between its bounds."""
    reason = ""
    bounds = {
        "the largest that the sizing allows": sizing.max_quantity,
        "the largest that the instrument allows": instrument.max_quantity,
        "the largest that there can be": Decimal(int(QUANTITY_MAX)),
    }
    for words, bound in bounds.items():
        if bound is not None and wanted > (most := _to_fraction(bound)):
            wanted, reason = most, f"{_write(bound)} is {words}"
    step = _to_fraction(instrument.size_increment)
    steps = wanted // step
    least = instrument.min_quantity
    if steps == 0 or (least is not None and steps * step < _to_fraction(least)):
        floor = least if least is not None and _to_fraction(least) > step else instrument.size_increment
        words = f"{_write(wanted)} is less than {_write(floor)}, the smallest of {instrument.id}"
        return msgspec.structs.replace(sized, reason=words)
    quantity = Quantity.from_str(f"{_to_decimal(steps * step):.{instrument.size_precision}f}")
    return msgspec.structs.replace(sized, quantity=quantity, reason=reason)


def measure_unit(instrument: Instrument, price: Number) -> UnitWorth:
    """
    Return what one unit is worth at `price`.

    Linear instruments: ``multiplier * price`` in their quote currency (quanto ones: in that of their settlement).
    Inverse ones: ``multiplier / price`` in their base currency. It is nautilus's `Instrument.notional_value` of one
    unit, which computes in doubles.

    """
    multiplier = _to_fraction(instrument.multiplier)
    if instrument.is_inverse:
        return UnitWorth(multiplier / Fraction(price), instrument.get_base_currency())
    is_quanto = getattr(instrument, "is_quanto", False)  # Some classes of instruments do not know the word
    currency = instrument.get_settlement_currency() if is_quanto else instrument.quote_currency
    return UnitWorth(multiplier * Fraction(price), currency)


def measure_volatility(closes: Sequence[Decimal], periods_per_year: int) -> Decimal | None:
    """
    Return the annualised volatility of prices, as a fraction.

    The sample standard deviation of the log returns, times the square root of the periods of a year [1]_:
    ``s = sqrt(sum((u_i - mean(u)) ** 2) / (n - 1))``, ``u_i = ln(S_i / S_{i-1})``, ``volatility = s * sqrt(periods)``.

    Parameters
    ----------
    closes : Sequence of Decimal
        Prices in order, at equal intervals.
    periods_per_year : int
        The intervals of a year.

    Returns
    -------
    Decimal or None
        ``None`` where there are fewer than two returns, or a price is not above 0.

    References
    ----------
    .. [1] J. Hull, "Options, Futures, and Other Derivatives", "Estimating volatility from historical data".

    """
    if len(closes) < 3 or any(price <= 0 for price in closes):
        return None
    with localcontext(EXACT):
        logs = [price.ln() for price in closes]
        returns = [after - before for before, after in pairwise(logs)]
        mean = sum(returns, Decimal(0)) / len(returns)
        squares = sum(((one - mean) ** 2 for one in returns), Decimal(0))
        return (squares / (len(returns) - 1)).sqrt() * Decimal(periods_per_year).sqrt()


def _to_fraction(value: object) -> Fraction:
    return Fraction(value if isinstance(value, Decimal) else value.as_decimal())  # type: ignore[attr-defined]


def _to_decimal(value: Number | None) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    return Decimal(value.numerator) / Decimal(value.denominator)


def _write(value: object) -> str:
    """Return a number for people: without the zeros at its end, to eight significant digits where it is long."""
    if isinstance(value, Fraction):
        value = _to_decimal(value)
    number = value if isinstance(value, Decimal) else value.as_decimal()  # type: ignore[attr-defined]
    short = number.normalize()
    if len(short.as_tuple().digits) > 12:
        short = Decimal(f"{short:.8g}").normalize()
    return f"{short:,f}"
