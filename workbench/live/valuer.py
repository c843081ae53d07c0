"""What things are worth in a live engine: by the latest prices of its cache, and only while they are fresh."""

from __future__ import annotations

from decimal import Decimal, localcontext

from nautilus_trader.cache.cache import Cache
from nautilus_trader.common.component import Clock
from nautilus_trader.core.data import Data
from nautilus_trader.model.data import Bar
from nautilus_trader.model.enums import AggregationSource, PositionSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Price
from nautilus_trader.model.position import Position

from workbench.gate.valuer import Valuation
from workbench.gate.worth import EXACT, Touch, measure_margin, measure_worth

__all__ = ["LiveValuer"]

_SECOND_NS = 1_000_000_000
_NOTHING = Touch(None, None)
# Of a bar that nautilus builds itself the price may be old though the bar is not.
_EXTERNAL = AggregationSource.EXTERNAL


class LiveValuer:
    """
    Values by the latest quote of an instrument, or else trade, or else bar of a venue; the first that is fresh.

    A long position is marked at the bid and a short one at the ask: the price at which it could be closed now. A
    rate is the middle of a currency pair, or the product of two. There is no guess: no price or no rate is ``None``.

    Parameters
    ----------
    cache : Cache
        The engine's cache.
    clock : Clock
        The engine's clock.
    currency : Currency
        The reporting currency.
    max_mark_age_secs : float, optional
        How old a price may be, by its own time and by that of its arrival; ``None``: as old as it likes.

    """

    def __init__(
        self, cache: Cache, clock: Clock, currency: Currency, *, max_mark_age_secs: float | None = None
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._currency = currency
        self._max_age_ns: int | None = None
        self.limit_age(max_mark_age_secs)
        # The same data make the same touch: who has it already sees that nothing has changed
        self._touches: dict[InstrumentId, tuple[Data, Touch]] = {}
        self._pairs: dict[tuple[Currency, Currency], InstrumentId] = {}
        self._instruments = -1

    @property
    def currency(self) -> Currency:
        """The reporting currency."""
        return self._currency

    def limit_age(self, secs: float | None) -> None:
        """Take no price any more that is older; ``None``: of any age."""
        self._max_age_ns = None if secs is None else int(secs * _SECOND_NS)

    def measure(self, *, has_margin: bool = False) -> Valuation:
        """Return what the accounts are worth now; the margin only if it is asked for."""
        with localcontext(EXACT):
            worth = measure_worth(self._cache, self, self._currency, has_exposure=False)
            margin = measure_margin(self._cache, self, self._currency) if has_margin else None
        missing = [self.explain(one) for one in worth.unpriced]
        missing += [f"no rate {pair}" for pair in worth.unrated]
        return Valuation(equity=worth.equity, margin=margin, missing=", ".join(missing))

    def find_touch(self, instrument_id: InstrumentId) -> Touch:
        """Return where one could sell and buy now; nothing where it is not known, or too old to count."""
        oldest_ns = 0 if self._max_age_ns is None else self._clock.timestamp_ns() - self._max_age_ns
        quote = self._cache.quote_tick(instrument_id)
        # By its own time as well: a feed that lags hands out old prices as they come
        if quote is not None and quote.ts_event >= oldest_ns and quote.ts_init >= oldest_ns:
            known = self._touches.get(instrument_id)
            if known is not None and known[0] is quote:
                return known[1]
            return self._keep(instrument_id, quote, quote.bid_price, quote.ask_price)
        trade = self._cache.trade_tick(instrument_id)
        if trade is not None and trade.ts_event >= oldest_ns and trade.ts_init >= oldest_ns:
            return self._keep(instrument_id, trade, trade.price, trade.price)
        bar = self._find_bar(instrument_id)
        if bar is not None and bar.ts_event >= oldest_ns and bar.ts_init >= oldest_ns:
            return self._keep(instrument_id, bar, bar.close, bar.close)
        return _NOTHING

    def _keep(self, instrument_id: InstrumentId, data: Data, bid: Price, ask: Price) -> Touch:
        touch = Touch(bid, ask)
        self._touches[instrument_id] = data, touch
        return touch

    def find_price(self, position: Position) -> Price | None:
        """Return the price at which `position` could be closed now."""
        touch = self.find_touch(position.instrument_id)
        return touch.bid if position.side == PositionSide.LONG else touch.ask

    def find_rate(self, source: Currency, target: Currency | None = None) -> Decimal | None:
        """Return the units of `target`, or of the reporting currency, that one unit of `source` is worth."""
        target = self._currency if target is None else target
        if source == target:
            return Decimal(1)
        self._find_pairs()
        with localcontext(EXACT):
            rate = self._find_direct(source, target)
            if rate is not None:
                return rate
            for base, quote in list(self._pairs):
                if source not in (base, quote):
                    continue
                between = quote if source == base else base
                first, second = self._find_direct(source, between), self._find_direct(between, target)
                if first is not None and second is not None:
                    return first * second
        return None

    def explain(self, instrument_id: InstrumentId) -> str:
        """Return why there is no price, or none that is fresh."""
        found = (
            self._cache.quote_tick(instrument_id),
            self._cache.trade_tick(instrument_id),
            self._find_bar(instrument_id),
        )
        stamps = [min(data.ts_event, data.ts_init) for data in found if data is not None]
        if not stamps:
            return f"no price of {instrument_id}"
        age = (self._clock.timestamp_ns() - max(stamps)) / _SECOND_NS
        return f"the last price of {instrument_id} is {age:.1f} s old"

    def _find_bar(self, instrument_id: InstrumentId) -> Bar | None:
        types = self._cache.bar_types(instrument_id=instrument_id, aggregation_source=_EXTERNAL)
        bars = [bar for bar in map(self._cache.bar, types) if bar is not None]
        return max(bars, key=lambda bar: bar.ts_event, default=None)

    def _find_pairs(self) -> None:
        """Find the currency pairs again where instruments were added."""
        if self._cache.instrument_ids() and len(self._cache.instrument_ids()) == self._instruments:
            return
        self._instruments = len(self._cache.instrument_ids())
        self._pairs = {
            (i.base_currency, i.quote_currency): i.id
            for i in self._cache.instruments()
            if isinstance(i, CurrencyPair)
        }

    def _find_direct(self, source: Currency, target: Currency) -> Decimal | None:
        if source == target:
            return Decimal(1)
        for pair, is_inverted in (((source, target), False), ((target, source), True)):
            instrument_id = self._pairs.get(pair)
            if instrument_id is None:
                continue
            touch = self.find_touch(instrument_id)
            if touch.bid is None or touch.ask is None:
                continue
            middle: Decimal = (touch.bid.as_decimal() + touch.ask.as_decimal()) / 2
            if middle > 0:
                return 1 / middle if is_inverted else middle
        return None
