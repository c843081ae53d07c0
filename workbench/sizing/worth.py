"""What a strategy can know of the worth of things: prices, rates and equity, from nautilus's cache alone."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import NamedTuple

from nautilus_trader.accounting.accounts.base import Account
from nautilus_trader.cache.base import CacheFacade
from nautilus_trader.model.enums import AccountType, PositionSide, PriceType
from nautilus_trader.model.identifiers import InstrumentId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Price
from nautilus_trader.model.position import Position

from workbench.sizing.rules import EXACT

__all__ = ["Equity", "find_account", "find_price", "find_rate", "measure_equity"]


class Equity(NamedTuple):
    """The equity of an account; ``None`` and the reason where a price or a rate is missing."""

    amount: Fraction | None
    reason: str = ""


def find_price(cache: CacheFacade, instrument_id: InstrumentId) -> Decimal | None:
    """
    Return the latest price of an instrument: between bid and ask, or else the last traded, or else any that there is.

    Quotes come before bars of bid and ask, trades before bars of last prices: so nautilus's cache answers.
    """
    bid, ask = (cache.price(instrument_id, kind) for kind in (PriceType.BID, PriceType.ASK))
    if bid is not None and ask is not None:
        with localcontext(EXACT):
            middle: Decimal = (bid.as_decimal() + ask.as_decimal()) / 2
            return middle
    others = (cache.price(instrument_id, kind) for kind in (PriceType.MID, PriceType.LAST, PriceType.MARK))
    found: Price | None = next((p for p in (*others, bid, ask) if p is not None), None)
    return None if found is None else found.as_decimal()


def find_rate(cache: CacheFacade, venue: Venue, source: Currency, target: Currency) -> Fraction | None:
    """
    Return the units of `target` that one unit of `source` is worth.

    The price of an instrument that quotes one in the other, spot before a derivative, those of `venue` first; or else
    what nautilus's cache finds along the quoted pairs of the venue. ``None`` where neither knows.
    """
    if source == target:
        return Fraction(1)
    pairs = []
    for instrument in cache.instruments():
        base = instrument.get_base_currency()
        if base is None or instrument.is_inverse:
            continue
        quoted = (base, instrument.quote_currency)
        if quoted in ((source, target), (target, source)):
            order = (
                not isinstance(instrument, CurrencyPair),
                instrument.id.venue != venue,
                instrument.id.value,
            )
            pairs.append((order, instrument.id, quoted != (source, target)))
    for _, instrument_id, is_inverted in sorted(pairs, key=lambda pair: pair[0]):
        price = find_price(cache, instrument_id)
        if price is not None and price > 0:
            return 1 / Fraction(price) if is_inverted else Fraction(price)
    if not _has_quotes(cache, venue):
        return None  # Nautilus would log an error each time
    rate = cache.get_xrate(venue, source, target, PriceType.MID)
    return Fraction(repr(rate)) if rate else None


def _has_quotes(cache: CacheFacade, venue: Venue) -> bool:
    return any(
        isinstance(instrument, CurrencyPair) and cache.price(instrument.id, PriceType.BID) is not None
        for instrument in cache.instruments(venue=venue)
    )


def find_account(cache: CacheFacade, venue: Venue) -> Account | None:
    """Return the account that trades at `venue`; where it has none of its name, the only one that there is."""
    account = cache.account_for_venue(venue)
    if account is not None:
        return account
    accounts = cache.accounts()
    return accounts[0] if len(accounts) == 1 else None


def measure_equity(cache: CacheFacade, account: Account, venue: Venue, currency: Currency) -> Equity:
    """
    Return the equity of an account, marked to market, in `currency`.

    The balances, and what the open positions add to them. A long position is marked at the bid and a short one at the
    ask: the price at which it could be closed. Nautilus's own `Portfolio.equity` counts what was bought twice where a
    CASH account holds several currencies: there the coins are in the balances already.

    Parameters
    ----------
    cache : CacheFacade
        Nautilus's cache.
    account : Account
        The account.
    venue : Venue
        Whose rates are used.
    currency : Currency
        Of the answer.

    """
    with localcontext(EXACT):
        total = Fraction(0)
        for money in account.balances_total().values():
            amount = money.as_decimal()
            if not amount:
                continue
            rate = find_rate(cache, venue, money.currency, currency)
            if rate is None:
                return Equity(None, f"there is no rate from {money.currency} to {currency}")
            total += Fraction(amount) * rate
        for position in cache.positions_open():
            if position.account_id != account.id or _is_held_as_balance(account, position.base_currency):
                continue
            price = _find_exit(cache, position)
            if price is None:
                return Equity(
                    None, f"there is no price of {position.instrument_id}, of which a position is open"
                )
            worth = (
                position.notional_value(price)
                if account.type == AccountType.CASH
                else position.unrealized_pnl(price)
            )
            rate = find_rate(cache, venue, worth.currency, currency)
            if rate is None:
                return Equity(None, f"there is no rate from {worth.currency} to {currency}")
            is_debt = account.type == AccountType.CASH and position.side == PositionSide.SHORT
            total += Fraction(-worth.as_decimal() if is_debt else worth.as_decimal()) * rate
        return Equity(total)


def _find_exit(cache: CacheFacade, position: Position) -> Price | None:
    """Return the price at which a position could be closed, or else the nearest to that."""
    kind = PriceType.BID if position.side == PositionSide.LONG else PriceType.ASK
    kinds = (kind, PriceType.MID, PriceType.LAST, PriceType.MARK, PriceType.BID, PriceType.ASK)
    found = (cache.price(position.instrument_id, one) for one in kinds)
    return next((price for price in found if price is not None), None)


def _is_held_as_balance(account: Account, base_currency: Currency | None) -> bool:
    """Return whether what was bought is in the balances already; see `measure_equity`."""
    return account.type == AccountType.CASH and account.base_currency is None and base_currency is not None
