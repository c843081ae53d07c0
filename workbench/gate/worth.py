"""What accounts are worth: balances and open positions summed up, the same in a backtest and in a live engine."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import NamedTuple, Protocol

from nautilus_trader.accounting.accounts.base import Account
from nautilus_trader.cache.cache import Cache
from nautilus_trader.model.enums import AccountType, PositionSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Currency, Money, Price
from nautilus_trader.model.position import Position

__all__ = ["EXACT", "Prices", "Touch", "Worth", "measure_margin", "measure_worth"]

# A strategy may change the decimal context of its thread, which is also the gate's and the monitor's: what is
# measured here is measured in a context of its own.
EXACT = Context(prec=38, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])

_NONE = Decimal(0)


class Touch(NamedTuple):
    """The best bid and ask of an instrument; ``None`` where there is none, or none that is fresh."""

    bid: Price | None
    ask: Price | None


class Prices(Protocol):
    """Who knows prices and rates at this moment."""

    def find_price(self, position: Position) -> Price | None:
        """Return the price at which `position` could be closed now; ``None`` where it is not known."""

    def find_rate(self, source: Currency, target: Currency) -> Decimal | None:
        """Return the units of `target` that one unit of `source` is worth; ``None`` where it is not known."""


class Worth(NamedTuple):
    """
    What all accounts hold, in one currency.

    Attributes
    ----------
    equity : Decimal, optional
        Balances, and what the open positions add to them.
    balance : Decimal, optional
        The balances alone.
    gross_exposure, net_exposure : Decimal, optional
        The notional of the open positions, long and short added up, and long less short.
    open_positions : int
        Their count.
    unpriced : tuple[InstrumentId, ...]
        The instruments without a price.
    unrated : tuple[str, ...]
        The rates that are missing, such as ``BTC/USD``. Where anything is missing, the sum that needs it is ``None``.

    """

    equity: Decimal | None
    balance: Decimal | None
    gross_exposure: Decimal | None
    net_exposure: Decimal | None
    open_positions: int
    unpriced: tuple[InstrumentId, ...] = ()
    unrated: tuple[str, ...] = ()


def measure_worth(cache: Cache, prices: Prices, currency: Currency, *, has_exposure: bool = True) -> Worth:
    """
    Return what the accounts of a cache are worth in `currency`.

    To be called in a decimal context of its own: see `EXACT`.

    Parameters
    ----------
    cache : Cache
        The engine's cache.
    prices : Prices
        Prices and rates.
    currency : Currency
        The reporting currency.
    has_exposure : bool
        Whether the exposure is asked for as well; otherwise it is ``None``.

    """
    unrated: dict[str, None] = {}
    balance = _sum_balances(cache, prices, currency, unrated)
    positions = cache.positions_open()
    unpriced: dict[InstrumentId, None] = {}
    accounts = {account.id: (account.type == AccountType.CASH, account) for account in cache.accounts()}
    value = gross = net = _NONE
    is_known = True
    for position in positions:
        price = prices.find_price(position)
        if price is None:
            unpriced[position.instrument_id] = None
            is_known = False
            continue
        is_cash, account = accounts[position.account_id]
        if has_exposure or is_cash:
            amount = _convert(position.notional_value(price), prices, currency, unrated)
            if amount is None:
                is_known = False
                continue
            gross += amount
            signed = amount if position.side == PositionSide.LONG else -amount
            net += signed
            if is_cash:
                if not _is_held_as_balance(account, position.base_currency):
                    value += signed
                continue
        profit = _convert(position.unrealized_pnl(price), prices, currency, unrated)
        if profit is None:
            is_known = False
            continue
        value += profit
    return Worth(
        equity=balance + value if balance is not None and is_known else None,
        balance=balance,
        gross_exposure=gross if is_known and has_exposure else None,
        net_exposure=net if is_known and has_exposure else None,
        open_positions=len(positions),
        unpriced=tuple(unpriced),
        unrated=tuple(unrated),
    )


def measure_margin(cache: Cache, prices: Prices, currency: Currency) -> Decimal | None:
    """Return the margin that the accounts say is used, of orders and positions; ``None`` where a rate is missing."""
    total = _NONE
    for account in cache.accounts():
        if account.type != AccountType.MARGIN:
            continue
        used = (
            account.margins_init(),
            account.margins_maint(),
            account.account_margins_init(),
            account.account_margins_maint(),
        )
        amount = _sum_up((money for part in used for money in part.values()), prices, currency, {})
        if amount is None:
            return None
        total += amount
    return total


def _sum_balances(
    cache: Cache, prices: Prices, currency: Currency, unrated: dict[str, None]
) -> Decimal | None:
    amounts = (money for account in cache.accounts() for money in account.balances_total().values())
    return _sum_up(amounts, prices, currency, unrated)


def _sum_up(
    amounts: Iterable[Money], prices: Prices, currency: Currency, unrated: dict[str, None]
) -> Decimal | None:
    total = _NONE
    is_known = True
    for money in amounts:
        if not money.raw:
            continue
        amount = _convert(money, prices, currency, unrated)
        if amount is None:
            is_known = False
        else:
            total += amount
    return total if is_known else None


def _convert(money: Money, prices: Prices, currency: Currency, unrated: dict[str, None]) -> Decimal | None:
    rate = prices.find_rate(money.currency, currency)
    if rate is None:
        unrated[f"{money.currency.code}/{currency.code}"] = None
        return None
    amount: Decimal = money.as_decimal()
    return amount * rate


def _is_held_as_balance(account: Account, base_currency: Currency | None) -> bool:
    """
    Return whether what was bought with a cash account is in the balances already.

    An account of several currencies books a purchase of BTC/USDT as plus BTC, minus USDT. Adding the
    value of the position, as nautilus's own `Portfolio.equity` does, would count the BTC twice.
    """
    return account.base_currency is None and base_currency is not None
