"""What the gate is told about the worth of things."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Currency

from workbench.gate.worth import Touch

__all__ = ["Valuation", "Valuer"]


class Valuation(NamedTuple):
    """
    What the accounts are worth now, in the reporting currency.

    Attributes
    ----------
    equity : Decimal, optional
        Marked to market, after fees; ``None`` where a price or a rate is missing or too old.
    margin : Decimal, optional
        What the accounts say is used as margin; ``None`` likewise.
    missing : str
        What is missing, for people; empty where all is known.

    """

    equity: Decimal | None
    margin: Decimal | None = None
    missing: str = ""


class Valuer(Protocol):
    """Who knows what things are worth."""

    @property
    def currency(self) -> Currency:
        """The reporting currency."""

    def measure(self, *, has_margin: bool = False) -> Valuation:
        """Return what the accounts are worth now; the margin only if it is asked for."""

    def find_touch(self, instrument_id: InstrumentId) -> Touch:
        """Return where one could sell and buy now; ``None`` where it is not known, or too old to count."""

    def find_rate(self, source: Currency) -> Decimal | None:
        """Return what one unit of `source` is worth in the reporting currency, or ``None``."""

    def explain(self, instrument_id: InstrumentId) -> str:
        """Return why `find_touch` finds nothing, such as ``no price of GBP/USD.SIM``."""

    def limit_age(self, secs: float | None) -> None:
        """Take no price any more that is older; ``None``: of any age. A backtest has the prices of its moment only."""
