"""What is done in a child for the server: a size that is computed once, before a run."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import msgspec
from nautilus_trader.backtest import node
from nautilus_trader.backtest.config import BacktestRunConfig, BacktestVenueConfig
from nautilus_trader.core.datetime import unix_nanos_to_iso8601
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import PriceType
from nautilus_trader.model.instruments import CurrencyPair, Instrument
from nautilus_trader.model.objects import Currency

from workbench.backtest.catalogs import open_catalog
from workbench.backtest.configuration import parse_run_config
from workbench.backtest.datasets import find_run_data
from workbench.backtest.decoding import decode_value, find_field
from workbench.backtest.faults import find_faults
from workbench.backtest.history import Quotation, load_first, load_last
from workbench.backtest.prices import Source, find_sources
from workbench.backtest.venues import find_venue_faults
from workbench.errors import ConfigError, InputError, NotFoundError
from workbench.jobs.control import Control
from workbench.sizing.config import Sizing, SizingMethod
from workbench.sizing.rules import EXACT, Sized, compute_quantity, measure_unit, measure_volatility

__all__ = ["size_run"]

_SIDES = (PriceType.BID, PriceType.ASK)


class _Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    config: dict[str, Any]
    sizing: dict[str, Any]
    instrument_id: str | None = None


def size_run(spec: dict[str, Any], control: Control) -> dict[str, Any]:
    """
    Return the quantity that a sizing gives at the start of a run, from nothing that was known only later.

    Prices are the last before the run starts; where there are none, the first of the run. Volatility is measured from
    the bars before the run alone. Equity is what the account of the venue starts with.

    Parameters
    ----------
    spec : dict
        ``config``: a `BacktestRunConfig` as plain values; ``sizing``: the fields of `workbench.sizing.config.Sizing`;
        ``instrument_id``: what is to be sized, default: the first that the run reads.
    control : Control
        Not used.

    Returns
    -------
    dict
        ``quantity``, ``notional``, ``price``, ``rate``, ``equity``, ``volatility`` as decimal text, ``None`` where
        there is none or the method needs none; ``reason``: why there is no quantity, or why it is smaller;
        ``currency``: of notional and equity; ``instrument_id``; ``price_ts``, ISO 8601 UTC, and ``price_basis``;
        ``rate_basis``; ``bars`` and ``bar_type``: what volatility was measured from; ``rule``: the method in words.

    Raises
    ------
    InputError
        If the sizing or the configuration is wrong; `field` is the place, such as ``sizing.amount``.

    """
    try:
        wish = msgspec.convert(spec, _Wish)
    except msgspec.ValidationError as e:
        raise InputError(str(e), expected="the documented fields", field=find_field(e) or "config") from e
    sizing = _read_sizing(wish.sizing)
    config = parse_run_config(msgspec.json.encode(wish.config))
    with localcontext(EXACT):
        return _Start(config, wish.instrument_id).size(sizing)


def _read_sizing(plain: dict[str, Any]) -> Sizing:
    faults = list(find_faults(Sizing, plain, "sizing"))
    if faults:
        faults[0].errors = tuple(ConfigError(f.message, expected=f.expected, field=f.field) for f in faults)
        raise faults[0]
    sizing: Sizing = decode_value(Sizing, plain)
    return sizing


class _Start:
    """What is known when a run starts."""

    def __init__(self, config: BacktestRunConfig, instrument_id: str | None) -> None:
        self._config = config
        self._start_ns = find_run_data(config).start_ns
        self._sources = find_sources(config)
        self._instruments = {
            str(one.id): one
            for i, data in enumerate(config.data)
            for one in open_catalog(data, f"data.{i}").instruments(
                instrument_ids=sorted({s.instrument_id for s in self._sources if s.entry == i})
            )
        }
        name = instrument_id or (self._sources[0].instrument_id if self._sources else "")
        if name not in self._instruments:
            known = ", ".join(sorted(self._instruments))
            raise NotFoundError(
                f"the run has no data of {name}", expected=f"one of {known}", field="instrument_id"
            )
        self._instrument: Instrument = self._instruments[name]

    def size(self, sizing: Sizing) -> dict[str, Any]:
        """Return the answer; see `size_run`."""
        instrument, method = self._instrument, sizing.method
        answer: dict[str, Any] = {
            "instrument_id": str(instrument.id),
            "price_ts": None,
            "price_basis": "",
            "rate_basis": "",
            "bars": 0,
            "bar_type": "",
        }
        if method == SizingMethod.FIXED_QUANTITY:
            return self._finish(answer, sizing, compute_quantity(sizing, instrument))
        venue = self._find_venue()
        currency = node.get_base_currency(venue) or instrument.get_settlement_currency()
        quotation = self._find_price(str(instrument.id))
        if quotation is None or quotation.price <= 0:
            return self._finish(
                answer, sizing, Sized(reason=f"there is no price of {instrument.id}", currency=currency.code)
            )
        answer |= {
            "price_ts": unix_nanos_to_iso8601(quotation.ts_ns),
            "price_basis": self._describe(quotation),
        }
        source = measure_unit(instrument, quotation.price).currency
        rate, answer["rate_basis"] = self._find_rate(source, currency)
        known: dict[str, Any] = {"price": quotation.price, "rate": rate, "currency": currency.code}
        if rate is None:
            reason = f"there is no rate from {source} to {currency} in the data of the run"
            return self._finish(
                answer, sizing, Sized(price=quotation.price, currency=currency.code, reason=reason)
            )
        if method != SizingMethod.FIXED_NOTIONAL:
            known["equity"], reason = self._sum_balances(venue, currency)
            if reason:
                return self._finish(
                    answer, sizing, Sized(price=quotation.price, currency=currency.code, reason=reason)
                )
        if method == SizingMethod.VOLATILITY_TARGET:
            closes, answer["bar_type"], reason = self._find_closes(sizing.lookback)
            answer["bars"] = len(closes)
            if reason:
                return self._finish(
                    answer, sizing, Sized(price=quotation.price, currency=currency.code, reason=reason)
                )
            known["volatility"] = measure_volatility(closes, sizing.periods_per_year or 1)
        return self._finish(answer, sizing, compute_quantity(sizing, instrument, **known))

    def _finish(self, answer: dict[str, Any], sizing: Sizing, sized: Sized) -> dict[str, Any]:
        names = ("price", "rate", "equity", "volatility", "notional")
        return {
            **answer,
            "quantity": None if sized.quantity is None else f"{sized.quantity.as_decimal():f}",
            "reason": sized.reason,
            **{name: _write(getattr(sized, name)) for name in names},
            "currency": sized.currency,
            "rule": _describe_rule(sizing, sized.currency),
        }

    def _find_venue(self) -> BacktestVenueConfig:
        for error in find_venue_faults(self._config.venues):
            raise error
        return next(v for v in self._config.venues if v.name == self._instrument.id.venue.value)

    # ---- prices and rates

    def _find_price(self, instrument_id: str) -> Quotation | None:
        """Return the price between bid and ask, or else of the first data of the instrument."""
        sources = [s for s in self._sources if s.instrument_id == instrument_id]
        sides = [next((s for s in sources if _find_side(s) == side), None) for side in _SIDES]
        plain = next((s for s in sources if _find_side(s) not in _SIDES), None)
        if plain is None and all(sides):
            bid, ask = (self._quote(one) for one in sides if one is not None)
            if bid is not None and ask is not None:
                words = f"{instrument_id}, the middle of bid and ask"
                return Quotation((bid.price + ask.price) / 2, max(bid.ts_ns, ask.ts_ns), words)
        return self._quote(plain or sources[0]) if sources else None

    def _quote(self, source: Source) -> Quotation | None:
        last = load_last(self._config, source, before_ns=self._start_ns, count=1)
        found = last or load_first(self._config, source, from_ns=self._start_ns)
        if not found:
            return None
        if self._config.data[source.entry].data_type is QuoteTick:
            return found[0]._replace(identifier=f"{source.instrument_id}, the middle of bid and ask")
        return found[0]

    def _describe(self, quotation: Quotation) -> str:
        when = (
            "the last before the run starts" if quotation.ts_ns < self._start_ns else "the first of the run"
        )
        return f"{quotation.identifier}, {when}"

    def _find_rate(self, source: Currency, target: Currency) -> tuple[Fraction | None, str]:
        if source == target:
            return Fraction(1), ""
        pairs = []
        for instrument in self._instruments.values():
            base = instrument.get_base_currency()
            if base is None or instrument.is_inverse:
                continue
            quoted = (base, instrument.quote_currency)
            if quoted in ((source, target), (target, source)):
                is_spot = isinstance(instrument, CurrencyPair)
                pairs.append((not is_spot, str(instrument.id), quoted != (source, target)))
        for _, name, is_inverted in sorted(pairs):
            quotation = self._find_price(name)
            if quotation is not None and quotation.price > 0:
                rate = Fraction(quotation.price)
                words = self._describe(quotation) + (", inverted" if is_inverted else "")
                return (1 / rate if is_inverted else rate), words
        return None, ""

    def _sum_balances(self, venue: BacktestVenueConfig, currency: Currency) -> tuple[Fraction, str]:
        total = Fraction(0)
        for money in node.get_starting_balances(venue):
            rate, _ = self._find_rate(money.currency, currency)
            if rate is None and money.as_decimal():
                return total, f"there is no rate from {money.currency} to {currency} in the data of the run"
            total += Fraction(money.as_decimal()) * (rate or 0)
        return total, ""

    # ---- volatility

    def _find_closes(self, lookback: int) -> tuple[list[Decimal], str, str]:
        """Return the closes before the run, their bar type, and why they are not enough."""
        name = str(self._instrument.id)
        bars = [
            s
            for s in self._sources
            if s.instrument_id == name and self._config.data[s.entry].data_type is Bar
        ]
        if not bars:
            return [], "", f"volatility needs bars of {name}, and the run reads none"
        wanted = self._find_listened()
        source = next((s for s in bars if s.identifier in wanted), bars[0])
        count = lookback + 1
        found = load_last(self._config, source, before_ns=self._start_ns, count=count)
        if len(found) < count:
            words = f"volatility needs {count:,} bars before the run starts, and there are {len(found):,}"
            missing = count - len(found)
            first = load_first(self._config, source, from_ns=self._start_ns, count=missing + 1)
            if len(first) > missing:
                words += f": start it at {_write_minute(first[-1].ts_ns)} or later"
            return [one.price for one in found], source.identifier, words
        return [one.price for one in found], source.identifier, ""

    def _find_listened(self) -> set[str]:
        strategies = self._config.engine.strategies if self._config.engine is not None else []
        return {str(s.config.get("bar_type")) for s in strategies}


def _find_side(source: Source) -> PriceType | None:
    """Return of which prices bars are; ``None`` of ticks."""
    if source.identifier == source.instrument_id:
        return None
    kind: PriceType = BarType.from_str(source.identifier).spec.price_type
    return kind


def _write(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


def _write_minute(ts_ns: int) -> str:
    return str(unix_nanos_to_iso8601(ts_ns))[:19].replace("T", " ") + " UTC"


def _describe_rule(sizing: Sizing, currency: str) -> str:
    amount = f"{sizing.amount.normalize():,f}"
    words = {
        SizingMethod.FIXED_QUANTITY: f"{amount} units",
        SizingMethod.FIXED_NOTIONAL: f"{amount} {currency} divided by the price",
        SizingMethod.PERCENT_OF_EQUITY: f"{amount} % of equity, divided by the price",
        SizingMethod.VOLATILITY_TARGET: (
            f"{amount} % a year divided by the volatility of {sizing.lookback:,} returns, times equity, divided by "
            "the price"
        ),
    }[sizing.method]
    return f"{words}, rounded down to whole increments"
