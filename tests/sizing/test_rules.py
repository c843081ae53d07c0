"""The rules of sizing: never above what was asked, rounded down, exact."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.catalog.instruments import build_instrument
from workbench.sizing.config import Sizing, SizingMethod
from workbench.sizing.rules import compute_quantity, measure_unit, measure_volatility

FX = build_instrument("fx_pair", "GBP/USD.SIM")
PERPETUAL = TestInstrumentProvider.btcusdt_perp_binance()  # 0.001 to 1,000
INVERSE = TestInstrumentProvider.xbtusd_bitmex()
ONE = Decimal(1)

amounts = st.decimals("0.0001", "1000000000", places=4)
prices = st.decimals("0.00001", "200000", places=5)
instruments = st.sampled_from([FX, PERPETUAL, INVERSE])


def build(method: str, amount: Any, **more: Any) -> Sizing:
    if method == "VOLATILITY_TARGET":
        more.setdefault("periods_per_year", 252)
    return Sizing(method=SizingMethod(method), amount=Decimal(amount), **more)


@given(
    method=st.sampled_from(SizingMethod),
    amount=amounts,
    instrument=instruments,
    price=prices,
    rate=prices,
    equity=amounts,
    volatility=st.decimals("0.0001", "5", places=4),
    most=st.none() | amounts,
)
def test_quantity_is_the_largest_that_is_not_above_what_was_asked(
    method: SizingMethod,
    amount: Decimal,
    instrument: Any,
    price: Decimal,
    rate: Decimal,
    equity: Decimal,
    volatility: Decimal,
    most: Decimal | None,
) -> None:
    sizing = build(method, amount, max_quantity=most)

    sized = compute_quantity(sizing, instrument, price=price, rate=rate, equity=equity, volatility=volatility)

    unit = measure_unit(instrument, price).amount * Fraction(rate)
    wanted = {
        "FIXED_QUANTITY": Fraction(amount),
        "FIXED_NOTIONAL": Fraction(amount) / unit,
        "PERCENT_OF_EQUITY": Fraction(equity) * Fraction(amount) / 100 / unit,
        "VOLATILITY_TARGET": Fraction(equity) * Fraction(amount) / 100 / Fraction(volatility) / unit,
    }[method]
    step = Fraction(instrument.size_increment.as_decimal())
    bounds = [most, instrument.max_quantity and instrument.max_quantity.as_decimal(), 34_028_236_692_093]
    limited = min(wanted, *(Fraction(bound) for bound in bounds if bound is not None))
    least = Fraction(instrument.min_quantity.as_decimal() if instrument.min_quantity is not None else step)
    if sized.quantity is None:
        assert limited < max(least, step)
        assert "is less than" in sized.reason
        return
    quantity = Fraction(sized.quantity.as_decimal())
    assert sized.quantity.precision == instrument.size_precision
    assert quantity % step == 0
    assert quantity <= limited < quantity + step
    assert bool(sized.reason) == (limited < wanted)


@given(
    method=st.sampled_from([SizingMethod.PERCENT_OF_EQUITY, SizingMethod.VOLATILITY_TARGET]),
    amount=amounts,
    instrument=instruments,
    price=prices,
    equities=st.tuples(amounts, amounts).map(sorted),
)
def test_more_equity_never_makes_a_smaller_order(
    method: SizingMethod, amount: Decimal, instrument: Any, price: Decimal, equities: list[Decimal]
) -> None:
    small, large = (
        compute_quantity(
            build(method, amount),
            instrument,
            price=price,
            rate=ONE,
            equity=equity,
            volatility=Decimal("0.2"),
        ).quantity
        for equity in equities
    )

    assert (small or 0) <= (large or 0)


def test_each_method_gives_the_number_of_its_formula() -> None:
    facts: dict[str, Any] = {
        "price": Decimal("1.5"),
        "rate": ONE,
        "equity": Decimal(1_000_000),
        "volatility": Decimal("0.08"),
        "currency": "USD",
    }

    sized = {
        method: compute_quantity(build(method, amount), FX, **facts)
        for method, amount in (
            ("FIXED_QUANTITY", "12345.6"),
            ("FIXED_NOTIONAL", 100_000),
            ("PERCENT_OF_EQUITY", 5),
            ("VOLATILITY_TARGET", 10),
        )
    }

    assert {method: str(one.quantity) for method, one in sized.items()} == {
        "FIXED_QUANTITY": "12345",
        "FIXED_NOTIONAL": "66666",  # 100,000 / 1.5
        "PERCENT_OF_EQUITY": "33333",  # 1,000,000 * 5 % / 1.5
        "VOLATILITY_TARGET": "833333",  # 1,000,000 * 10 % / 8 % / 1.5
    }
    assert sized["PERCENT_OF_EQUITY"].notional == 50_000
    assert sized["VOLATILITY_TARGET"].notional == 1_250_000
    assert sized["VOLATILITY_TARGET"].currency == "USD"


def test_rate_turns_the_quote_currency_into_the_accounts() -> None:
    sizing = build("FIXED_NOTIONAL", 100_000)

    sized = compute_quantity(
        sizing, FX, price=Decimal(150), rate=ONE / 100, currency="EUR"
    )  # 100 quote a euro

    assert str(sized.quantity) == "66666"


def test_rate_that_is_no_decimal_costs_no_unit() -> None:
    sizing = build("FIXED_NOTIONAL", 10_000)

    sized = compute_quantity(sizing, FX, price=Decimal("76.031"), rate=1 / Fraction("76.031"))

    assert str(sized.quantity) == "10000"


def test_inverse_contract_is_worth_less_coins_at_a_higher_price() -> None:
    sizing = build("FIXED_NOTIONAL", "0.5")  # BTC

    sized = compute_quantity(sizing, INVERSE, price=Decimal(20_000), rate=ONE, currency="BTC")

    assert str(sized.quantity) == "10000"


@pytest.mark.parametrize("instrument", [FX, PERPETUAL, INVERSE])
def test_unit_is_worth_what_nautilus_says(instrument: Any) -> None:
    price = Price(1234.5, instrument.price_precision)

    worth = measure_unit(instrument, price.as_decimal())
    notional = instrument.notional_value(Quantity(1_000, instrument.size_precision), price)

    assert worth.currency == notional.currency
    assert abs(float(worth.amount * 1_000) - float(notional)) <= 10.0**-notional.currency.precision


@pytest.mark.parametrize("missing", ["price", "rate", "equity", "volatility"])
@pytest.mark.parametrize("value", [None, Decimal(0), Decimal(-1), Decimal("NaN")])
def test_without_what_it_needs_there_is_a_reason_and_no_guess(missing: str, value: Decimal | None) -> None:
    facts: dict[str, Any] = dict.fromkeys(("price", "rate", "equity", "volatility"), ONE)

    sized = compute_quantity(build("VOLATILITY_TARGET", 10), FX, **{**facts, missing: value})

    assert sized.quantity is None
    assert sized.reason.startswith(f"the {missing} is ")


def test_fixed_quantity_needs_nothing_else() -> None:
    assert str(compute_quantity(build("FIXED_QUANTITY", 7), FX).quantity) == "7"


def test_too_small_names_the_smallest_and_too_large_becomes_the_largest() -> None:
    small = compute_quantity(build("FIXED_QUANTITY", "0.0009"), PERPETUAL)
    large = compute_quantity(build("FIXED_QUANTITY", 5_000), PERPETUAL)
    own = compute_quantity(build("FIXED_QUANTITY", 500, max_quantity=Decimal(20)), PERPETUAL)

    assert small.quantity is None
    assert small.reason == f"0.0009 is less than 0.001, the smallest of {PERPETUAL.id}"
    assert (str(large.quantity), large.reason) == (
        "1000.000",
        "1,000 is the largest that the instrument allows",
    )
    assert (str(own.quantity), own.reason) == ("20.000", "20 is the largest that the sizing allows")


def test_context_of_the_thread_changes_nothing() -> None:
    sizing = build("FIXED_NOTIONAL", 100_000)
    closes = [Decimal(100), Decimal(101), Decimal(99), Decimal(102)]
    plain = compute_quantity(sizing, FX, price=Decimal("1.50371"), rate=ONE), measure_volatility(closes, 252)

    with localcontext() as context:
        context.prec = 2
        found = (
            compute_quantity(sizing, FX, price=Decimal("1.50371"), rate=ONE),
            measure_volatility(closes, 252),
        )

    assert found == plain


@given(st.lists(st.decimals("50", "150", places=2), min_size=3, max_size=40), st.integers(1, 500_000))
def test_volatility_is_the_sample_deviation_of_log_returns(closes: list[Decimal], periods: int) -> None:
    returns = [math.log(float(after) / float(before)) for before, after in pairwise(closes)]

    found = measure_volatility(closes, periods)

    assert found is not None
    assert float(found) == pytest.approx(
        statistics.stdev(returns) * math.sqrt(periods), rel=1e-9, abs=1e-9 * math.sqrt(periods)
    )


@pytest.mark.parametrize("closes", [[], [1, 2], [1, 2, 0], [1, -2, 3]])
def test_volatility_of_too_few_prices_or_none_is_none(closes: list[int]) -> None:
    assert measure_volatility([Decimal(one) for one in closes], 252) is None
