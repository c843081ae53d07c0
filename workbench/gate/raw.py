"""Nautilus's own whole numbers for quantities, prices and amounts: exact, and the quickest that Python adds."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.core.nautilus_pyo3 import FIXED_PRECISION

from workbench.gate.worth import EXACT

__all__ = ["SCALE", "UNIT", "to_decimal", "to_raw"]

SCALE: int = 10**FIXED_PRECISION
UNIT = Decimal(1).scaleb(-FIXED_PRECISION)
_SCALE = Decimal(SCALE)


def to_decimal(raw: int) -> Decimal:
    """Return a raw whole number as what it stands for."""
    return EXACT.divide(Decimal(raw), _SCALE)


def to_raw(amount: Decimal) -> int:
    """Return the largest raw whole number that is not above `amount`."""
    numerator, denominator = amount.as_integer_ratio()
    return numerator * SCALE // denominator
