"""What accounts are worth: balances and open positions summed up, the same in a backtest and in a live engine."""

from __future__ import annotations

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
    balance = _sum_up(_find_balances(cache), prices, currency, unrated)
    positions = cache.positions_open()
    unpriced: dict[InstrumentId, None] = {}
    cash = {account.id: account for account in cache.accounts() if account.type == AccountType.CASH}
    profits, longs, shorts = _Sums(), _Sums(), _Sums()
    for position in positions:
        price = prices.find_price(position)
        if price is None:
            unpriced[position.instrument_id] = None
            continue
        account = cash.get(position.account_id)
        if account is None:
            profits.add(position.unrealized_pnl(price))
        if account is None and not has_exposure:
            continue
        notional = position.notional_value(price)
        is_long = position.side == PositionSide.LONG
        (longs if is_long else shorts).add(notional)
        if account is not None and not _is_held_as_balance(account, position.base_currency):
            profits.add(notional, sign=1 if is_long else -1)
    value, long, short = (_sum_up(one, prices, currency, unrated) for one in (profits, longs, shorts))
    equity = gross = net = None
    if not unpriced and value is not None and long is not None and short is not None:
        equity = None if balance is None else balance + value
        if has_exposure:
            gross, net = long + short, long - short
    return Worth(
        equity=equity,
        balance=balance,
        gross_exposure=gross,
        net_exposure=net,
        open_positions=len(positions),
        unpriced=tuple(unpriced),
        unrated=tuple(unrated),
    )


class _Sums:
    """Sums of money, one a currency: each is converted once."""

    def __init__(self) -> None:
        self._raw: dict[Currency, int] = {}

    def add(self, money: Money, sign: int = 1) -> None:
        currency = money.currency
        self._raw[currency] = self._raw.get(currency, 0) + sign * money.raw

    def build(self) -> list[tuple[Currency, Decimal]]:
        return [(c, Money.from_raw(raw, c).as_decimal()) for c, raw in self._raw.items() if raw]


def measure_margin(cache: Cache, prices: Prices, currency: Currency) -> Decimal | None:
    """Return the margin that the accounts say is used, of orders and positions; ``None`` where a rate is missing."""
    used = _Sums()
    for account in cache.accounts():
        if account.type != AccountType.MARGIN:
            continue
        for part in (
            account.margins_init(),
            account.margins_maint(),
            account.account_margins_init(),
            account.account_margins_maint(),
        ):
            for money in part.values():
                used.add(money)
    return _sum_up(used, prices, currency, {})


def _find_balances(cache: Cache) -> _Sums:
    found = _Sums()
    for account in cache.accounts():
        for money in account.balances_total().values():
            found.add(money)
    return found


def _sum_up(sums: _Sums, prices: Prices, target: Currency, unrated: dict[str, None]) -> Decimal | None:
    """Return sums in `target`, or ``None`` where a rate is missing, which is noted."""
    total = _NONE
    is_known = True
    for currency, amount in sums.build():
        rate = prices.find_rate(currency, target)
        if rate is None:
            unrated[f"{currency.code}/{target.code}"] = None
            is_known = False
        else:
            total += amount * rate
    return total if is_known else None


def _is_held_as_balance(account: Account, base_currency: Currency | None) -> bool:
    """
    Return whether what was bought with a cash account is in the balances already.

    An account of several currencies books a purchase of BTC/USDT as plus BTC, minus USDT. Adding the
    value of the position, as nautilus's own `Portfolio.equity` does, would count the BTC twice.
    """
    return account.base_currency is None and base_currency is not None
