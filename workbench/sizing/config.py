"""Sizing in a configuration: the method, its amount, and what it measures volatility by."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from nautilus_trader.common.config import NautilusConfig

__all__ = ["Sizing", "SizingMethod"]

_LEAST, _MOST = Decimal("1e-16"), Decimal("1e15")
_MOST_LOOKBACK = 100_000
_MOST_PERIODS = 1_000_000_000


class SizingMethod(StrEnum):
    """What an opening order is as large as."""

    FIXED_QUANTITY = "FIXED_QUANTITY"
    FIXED_NOTIONAL = "FIXED_NOTIONAL"
    PERCENT_OF_EQUITY = "PERCENT_OF_EQUITY"
    VOLATILITY_TARGET = "VOLATILITY_TARGET"


class Sizing(NautilusConfig, frozen=True):  # type: ignore[call-arg, misc]
    """
    How large the opening orders of a strategy are: a field of its configuration.

    Parameters
    ----------
    method : SizingMethod
        What an opening order is as large as.
    amount : Decimal
        What the method takes: FIXED_QUANTITY units; FIXED_NOTIONAL an amount in the account's base currency;
        PERCENT_OF_EQUITY per cent, 5 for a twentieth of equity; VOLATILITY_TARGET per cent a year, 10 for a position
        that moves equity by a tenth of it.
    lookback : int, default 20
        The returns, each from bar to bar, that volatility is measured over.
    periods_per_year : int, optional
        The bars of a year, such as 252 of days; VOLATILITY_TARGET needs it.
    max_quantity : Decimal, optional
        The largest order in units.

    Raises
    ------
    ValueError
        If a value makes no sense: msgspec says where it stands.

    """

    method: SizingMethod
    amount: Decimal
    lookback: int = 20
    periods_per_year: int | None = None
    max_quantity: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse what no size could be computed from."""
        if self.method not in list(SizingMethod):
            raise ValueError(f"method is {self.method!r}, not one of {', '.join(SizingMethod)}")
        _check("amount", self.amount)
        if self.max_quantity is not None:
            _check("max_quantity", self.max_quantity)
        if not 2 <= self.lookback <= _MOST_LOOKBACK:
            raise ValueError(f"lookback is {self.lookback}, not 2 to {_MOST_LOOKBACK:,} returns")
        if self.periods_per_year is not None and not 1 <= self.periods_per_year <= _MOST_PERIODS:
            raise ValueError(f"periods_per_year is {self.periods_per_year}, not 1 to {_MOST_PERIODS:,}")
        if self.method == SizingMethod.VOLATILITY_TARGET and self.periods_per_year is None:
            raise ValueError("VOLATILITY_TARGET needs periods_per_year, such as 252 for days")


def _check(name: str, value: object) -> None:
    if not isinstance(value, Decimal) or not value.is_finite() or not _LEAST <= value <= _MOST:
        shown = f"{value:f}" if isinstance(value, Decimal) and abs(value.adjusted()) < 30 else repr(value)
        raise ValueError(f"{name} is {shown}, not a decimal number above 0 and at most {_MOST:f}")
