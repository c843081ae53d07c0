"""Which fraction of a notional an account asks as margin."""

from __future__ import annotations

from nautilus_trader.cache.cache import Cache
from nautilus_trader.model.enums import AccountType, PositionSide
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Quantity

from workbench.gate.raw import SCALE

__all__ = ["find_margin_fractions"]

# So many units that rounding to the currency's precision does not count.
_MANY = 1_000_000_000


def find_margin_fractions(cache: Cache, instrument: Instrument) -> tuple[int, int] | None:
    """
    Return the fractions for positions and for orders, raw and rounded up; ``None`` while there is no account.

    They are those of the account's own margin model, with its leverage. A cash account asks none.
    """
    account = cache.account_for_venue(instrument.id.venue)
    if account is None:  # A broker for several venues
        accounts = cache.accounts()
        account = accounts[0] if len(accounts) == 1 else None
    if account is None:
        return None
    if account.type != AccountType.MARGIN:
        return 0, 0
    units, price = Quantity.from_int(_MANY), instrument.make_price(1)
    notional = instrument.notional_value(units, price).raw
    held = account.calculate_margin_maint(instrument, PositionSide.LONG, units, price).raw
    pending = account.calculate_margin_init(instrument, units, price).raw
    return -(-held * SCALE // notional), -(-pending * SCALE // notional)
