"""The sizer of a strategy: its rules applied to what the engine knows at the moment of an order."""

from __future__ import annotations

from collections import deque
from decimal import Decimal, localcontext

from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import Instrument
from nautilus_trader.model.objects import Price
from nautilus_trader.trading.strategy import Strategy

from workbench.sizing.config import Sizing, SizingMethod
from workbench.sizing.rules import EXACT, Sized, compute_quantity, measure_unit, measure_volatility
from workbench.sizing.worth import find_account, find_price, find_rate, measure_equity

__all__ = ["PositionSizer"]


class PositionSizer:
    """
    Computes the quantity of each opening order of a strategy: in a backtest, in SANDBOX and LIVE alike.

    Made in ``on_start``, for a strategy has its cache only then. VOLATILITY_TARGET needs bars: `observe` takes them.

    Parameters
    ----------
    strategy : Strategy
        Whose orders are sized.
    sizing : Sizing
        The rules.

    Examples
    --------
    In a strategy whose configuration has a field ``sizing: Sizing``::

        def on_start(self) -> None:
            self.sizer = PositionSizer(self, self.config.sizing)
            self.subscribe_bars(self.config.bar_type)

        def on_bar(self, bar: Bar) -> None:
            self.sizer.observe(bar)
            ...
            sized = self.sizer.compute_quantity(self.config.instrument_id)
            if sized.quantity is None:
                self.log.warning(f"no order: {sized.reason}")
                return
            self.submit_order(self.order_factory.market(self.config.instrument_id, OrderSide.BUY, sized.quantity))

    """

    def __init__(self, strategy: Strategy, sizing: Sizing) -> None:
        self._cache = strategy.cache
        self._sizing = sizing
        self._closes: dict[InstrumentId, deque[Price]] = {}
        self._latest: dict[InstrumentId, tuple[BarType, int]] = {}

    def observe(self, bar: Bar) -> None:
        """
        Take a bar: volatility is measured from its close.

        Of an instrument the first bar type that comes counts, others are ignored: a strategy that listens to several
        hands over those of one, for which of them comes first is the engine's affair. Bars that are not later than the
        last are ignored too: a warm-up by historical bars may overlap what follows.
        """
        if self._sizing.method != SizingMethod.VOLATILITY_TARGET:
            return
        instrument_id = bar.bar_type.instrument_id
        bar_type, ts_ns = self._latest.get(instrument_id, (bar.bar_type, -1))
        if bar.bar_type != bar_type or bar.ts_event <= ts_ns:
            return
        self._latest[instrument_id] = bar_type, bar.ts_event
        closes = self._closes.setdefault(instrument_id, deque(maxlen=self._sizing.lookback + 1))
        closes.append(bar.close)

    def compute_quantity(self, instrument_id: InstrumentId, price: Price | None = None) -> Sized:
        """
        Return the quantity of an opening order now.

        Amounts are in the base currency of the account; where it has none, in the currency in which the instrument
        settles. Equity is marked to market, see `workbench.sizing.worth.measure_equity`.

        Parameters
        ----------
        instrument_id : InstrumentId
            What is to be opened.
        price : Price, optional
            At which it is valued; default: the latest, see `workbench.sizing.worth.find_price`.

        Returns
        -------
        Sized
            With no quantity, and the reason, where a price, a rate or a bar is missing, or the size is too small.

        """
        with localcontext(EXACT):
            return self._compute(instrument_id, price)

    def _compute(self, instrument_id: InstrumentId, given: Price | None) -> Sized:
        instrument = self._cache.instrument(instrument_id)
        if instrument is None:
            return Sized(reason=f"the instrument {instrument_id} is not known")
        if self._sizing.method == SizingMethod.FIXED_QUANTITY:
            return compute_quantity(self._sizing, instrument)
        price = find_price(self._cache, instrument_id) if given is None else given.as_decimal()
        if price is None or price <= 0:
            return Sized(reason=f"there is no price of {instrument_id} above 0")
        return self._value(instrument, price)

    def _value(self, instrument: Instrument, price: Decimal) -> Sized:
        method, venue = self._sizing.method, instrument.id.venue
        account = find_account(self._cache, venue)
        if account is None:
            return Sized(reason=f"there is no account at {venue}")
        currency = account.base_currency or instrument.get_settlement_currency()
        source = measure_unit(instrument, price).currency
        rate = find_rate(self._cache, venue, source, currency)
        if rate is None:
            return Sized(reason=f"there is no rate from {source} to {currency}")
        equity = volatility = None
        if method != SizingMethod.FIXED_NOTIONAL:
            equity, reason = measure_equity(self._cache, account, venue, currency)
            if equity is None:
                return Sized(reason=reason)
        if method == SizingMethod.VOLATILITY_TARGET:
            closes = self._closes.get(instrument.id, ())
            if len(closes) <= self._sizing.lookback:
                needed = self._sizing.lookback + 1
                return Sized(
                    reason=f"volatility needs {needed:,} bars of {instrument.id}, not {len(closes):,}"
                )
            prices = [close.as_decimal() for close in closes]
            volatility = measure_volatility(prices, self._sizing.periods_per_year or 1)
        return compute_quantity(
            self._sizing,
            instrument,
            price=price,
            rate=rate,
            equity=equity,
            volatility=volatility,
            currency=currency.code,
        )
