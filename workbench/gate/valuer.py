"""What the gate is told about the worth of things."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Price

__all__ = ["Valuation", "Valuer"]


class Valuation(NamedTuple):
    """Equity and gross exposure now, in the reporting currency; ``None`` where a price or a rate is missing."""

    equity: Decimal | None
    exposure: Decimal | None


class Valuer(Protocol):
    """Who knows what things are worth, in the reporting currency."""

    def measure(self) -> Valuation:
        """Return what the accounts are worth now."""

    def measure_notional(
        self, instrument_id: InstrumentId, quantity: Decimal, price: Price | None, *, is_buy: bool
    ) -> Decimal | None:
        """Return the notional of a quantity, at `price` or at the market; ``None`` where it is not known."""
