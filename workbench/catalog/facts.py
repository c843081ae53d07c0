"""The facts of an instrument that a person needs before they trade it in a backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from nautilus_trader.model.instruments import Instrument

__all__ = ["InstrumentFacts", "collect_facts"]


class InstrumentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an instrument is, what it can be traded in, and what that costs.

    Attributes
    ----------
    kind : str
        The class of nautilus's, such as ``CurrencyPair``.
    asset_class : str
        Such as ``FX``.
    base_currency, quote_currency, settlement_currency : str
        Codes; the base is empty where there is none.
    price_precision, size_precision : int
        Decimal places.
    price_increment, size_increment, multiplier, lot_size : str
        Decimals as text; empty where there is none, as below.
    min_quantity, max_quantity : str
        Bounds of an order, in units.
    min_notional, max_notional : str
        The same as an amount and its currency.
    maker_fee, taker_fee, margin_init, margin_maint : str
        Fractions of the notional.
    is_inverse : bool
        Whether it is quoted in what it settles in the inverse of.

    """

    kind: str
    asset_class: str
    base_currency: str
    quote_currency: str
    settlement_currency: str
    price_precision: int
    size_precision: int
    price_increment: str
    size_increment: str
    multiplier: str
    lot_size: str
    min_quantity: str
    max_quantity: str
    min_notional: str
    max_notional: str
    maker_fee: str
    taker_fee: str
    margin_init: str
    margin_maint: str
    is_inverse: bool


def collect_facts(instrument: Instrument) -> InstrumentFacts:
    """Return the facts of `instrument`."""
    base = instrument.get_base_currency()
    return InstrumentFacts(
        kind=type(instrument).__name__,
        asset_class=instrument.asset_class.name,
        base_currency="" if base is None else base.code,
        quote_currency=instrument.quote_currency.code,
        settlement_currency=instrument.get_settlement_currency().code,
        price_precision=instrument.price_precision,
        size_precision=instrument.size_precision,
        price_increment=_to_text(instrument.price_increment),
        size_increment=_to_text(instrument.size_increment),
        multiplier=_to_text(instrument.multiplier),
        lot_size=_to_text(instrument.lot_size),
        min_quantity=_to_text(instrument.min_quantity),
        max_quantity=_to_text(instrument.max_quantity),
        min_notional=_to_text(instrument.min_notional),
        max_notional=_to_text(instrument.max_notional),
        maker_fee=_to_text(instrument.maker_fee),
        taker_fee=_to_text(instrument.taker_fee),
        margin_init=_to_text(instrument.margin_init),
        margin_maint=_to_text(instrument.margin_maint),
        is_inverse=bool(instrument.is_inverse),
    )


def _to_text(value: Any) -> str:
    return "" if value is None else str(value)
