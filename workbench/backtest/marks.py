"""Marks: at which price a position could be closed now, and what an amount is worth in another currency."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar

from nautilus_trader.backtest.engine import SimulatedExchange
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import Logger
from nautilus_trader.common.config import ImportableActorConfig
from nautilus_trader.core.data import Data
from nautilus_trader.model.enums import PositionSide, PriceType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import CryptoPerpetual, CurrencyPair
from nautilus_trader.model.objects import Currency, Price
from nautilus_trader.model.position import Position

from workbench.gate.worth import Touch

__all__ = ["Books", "Marks", "VenueTap"]


class VenueTap(SimulationModule):
    """
    Hands out the simulated exchange that it is registered with, and may tell of its data.

    The engine keeps its exchanges to itself; a simulation module is given one. `Books` takes the tap off its
    exchange again before the run, so that it costs nothing per data point, unless somebody listens.
    """

    _registered: ClassVar[list[VenueTap]] = []
    _listen: Callable[[int], None] | None = None

    @classmethod
    def build_config(cls) -> ImportableActorConfig:
        """Return what makes nautilus put a tap on a venue."""
        return ImportableActorConfig(
            actor_path=f"{__name__}:VenueTap",
            config_path="nautilus_trader.backtest.config:SimulationModuleConfig",
            config={},
        )

    @classmethod
    def take_registered(cls) -> list[VenueTap]:
        """Return the taps that were registered since the last call."""
        taken, cls._registered = cls._registered, []
        return taken

    def register_venue(self, exchange: SimulatedExchange) -> None:
        """Keep the exchange."""
        super().register_venue(exchange)
        self._registered.append(self)

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the stamp (``ts_init``) of all data, before the exchange sees them."""
        self._listen = listener
        if self not in self.exchange.modules:
            self.exchange.modules.append(self)

    def pre_process(self, data: Data) -> None:
        """Tell whoever listens."""
        if self._listen is not None:
            self._listen(data.ts_init)

    def process(self, ts_now: int) -> None:
        """Do nothing."""

    def log_diagnostics(self, logger: Logger) -> None:
        """Do nothing."""

    def reset(self) -> None:
        """Do nothing."""


class Books:
    """The order books of the simulated venues, by instrument."""

    def __init__(self, taps: list[VenueTap]) -> None:
        self._taps = taps
        self._exchanges: list[SimulatedExchange] = []
        for tap in taps:
            self._exchanges.append(tap.exchange)
            tap.exchange.modules.remove(tap)
        self._by_instrument: dict[InstrumentId, SimulatedExchange] = {}

    @property
    def exchanges(self) -> list[SimulatedExchange]:
        """Return the simulated exchanges."""
        return self._exchanges

    def listen(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the stamp (``ts_init``) of all data of all venues, before they are processed."""
        for tap in self._taps:
            tap.listen(listener)

    def find_touch(self, instrument_id: InstrumentId) -> Touch:
        """Return the best bid and ask of the venue's own book."""
        exchange = self._by_instrument.get(instrument_id)
        if exchange is None:
            for candidate in self._exchanges:
                if instrument_id in candidate.instruments:
                    exchange = self._by_instrument[instrument_id] = candidate
                    break
            else:
                return Touch(None, None)
        return Touch(exchange.best_bid_price(instrument_id), exchange.best_ask_price(instrument_id))


class Marks:
    """
    Prices and conversion rates at the present simulated time.

    A long position is marked at the bid and a short one at the ask of the venue's own book: the price at
    which it could be closed now. A rate is the middle of the book of the instrument that quotes one currency
    in the other, spot before a derivative, or else what nautilus's cache finds along quoted pairs. There is no
    guess: no price or no rate is ``None``.

    Attributes
    ----------
    sources : dict[str, str]
        Where each conversion rate that was used came from, by ``FROM/TO``; ``missing`` if there was none.

    """

    def __init__(self, books: Books, cache: Cache) -> None:
        self._books = books
        self._cache = cache
        self._pairs: dict[tuple[str, str], tuple[InstrumentId, bool] | None] = {}
        self.sources: dict[str, str] = {}

    def find_price(self, position: Position) -> Price | None:
        """Return the price at which `position` could be closed now."""
        touch = self._books.find_touch(position.instrument_id)
        return touch.bid if position.side == PositionSide.LONG else touch.ask

    def find_rate(self, source: Currency, target: Currency) -> Decimal | None:
        """Return the units of `target` that one unit of `source` is worth."""
        if source == target:
            return Decimal(1)
        key = (source.code, target.code)
        if key not in self._pairs:
            self._pairs[key] = self._find_pair(*key)
        pair = self._pairs[key]
        rate = None if pair is None else self._rate_from_book(*pair)
        if rate is not None and pair is not None:
            name = f"middle of the book of {pair[0]}" + (", inverted" if pair[1] else "")
        else:
            rate = self._rate_from_cache(source, target)
            name = "missing" if rate is None else "nautilus cache, middle of quoted pairs"
        label = f"{source.code}/{target.code}"
        # A rate that was missing once stays on record as missing: some number could not be given.
        if self.sources.get(label) != "missing":
            self.sources[label] = name
        return rate

    def _find_pair(self, source: str, target: str) -> tuple[InstrumentId, bool] | None:
        derivative: tuple[InstrumentId, bool] | None = None
        for exchange in self._books.exchanges:
            for instrument in exchange.instruments.values():
                base = instrument.get_base_currency()
                if base is None or instrument.is_inverse:
                    continue
                quoted = (base.code, instrument.quote_currency.code)
                if quoted not in ((source, target), (target, source)):
                    continue
                pair = (instrument.id, quoted != (source, target))
                if isinstance(instrument, CurrencyPair):
                    return pair
                # A perpetual or a future trades at a premium: a rate only where there is no spot.
                derivative = derivative or pair
        return derivative

    def _rate_from_book(self, instrument_id: InstrumentId, is_inverted: bool) -> Decimal | None:
        touch = self._books.find_touch(instrument_id)
        if touch.bid is None or touch.ask is None:
            return None
        middle: Decimal = (touch.bid.as_decimal() + touch.ask.as_decimal()) / 2
        if middle <= 0:
            return None
        return 1 / middle if is_inverted else middle

    def _rate_from_cache(self, source: Currency, target: Currency) -> Decimal | None:
        for exchange in self._books.exchanges:
            if not self._has_price(exchange):
                continue  # Nautilus would log an error for every sample
            rate = self._cache.get_xrate(exchange.id, source, target, PriceType.MID)
            if rate:
                return Decimal(repr(rate))
        return None

    def _has_price(self, exchange: SimulatedExchange) -> bool:
        """Return whether an instrument of the venue from which nautilus reads rates has had a price."""
        return any(
            self._books.find_touch(instrument.id).bid is not None
            for instrument in exchange.instruments.values()
            if isinstance(instrument, CurrencyPair | CryptoPerpetual)
        )
