"""The sizing in a configuration: what it refuses, and that it goes through JSON as it was written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.sizing.sized_strategies import SwingConfig
from workbench.backtest.decoding import decode_config
from workbench.backtest.faults import find_faults
from workbench.sizing.config import Sizing, SizingMethod

BASE = {"instrument_id": "GBP/USD.SIM", "bar_type": "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"}


def test_sizing_of_a_strategy_comes_back_from_json_as_it_was() -> None:
    sizing = {
        "method": "VOLATILITY_TARGET",
        "amount": "10.50",
        "lookback": 30,
        "periods_per_year": 252,
        "max_quantity": "1E+5",
    }

    config = decode_config(SwingConfig, msgspec.json.encode({**BASE, "sizing": sizing}))
    again = decode_config(SwingConfig, config.json())

    assert again == config
    assert again.sizing.method is SizingMethod.VOLATILITY_TARGET
    assert str(again.sizing.amount) == "10.50"
    assert again.sizing.max_quantity == Decimal(100_000)


@pytest.mark.parametrize(
    ("sizing", "field", "words"),
    [
        ({"method": "HALF", "amount": "1"}, "sizing.method", "FIXED_QUANTITY"),
        ({"method": "FIXED_QUANTITY"}, "sizing.amount", "missing"),
        ({"method": "FIXED_QUANTITY", "amount": "much"}, "sizing.amount", "decimal number"),
        ({"method": "FIXED_QUANTITY", "amount": "0"}, "sizing", "amount is 0"),
        ({"method": "FIXED_QUANTITY", "amount": "-1"}, "sizing", "amount is -1"),
        ({"method": "FIXED_QUANTITY", "amount": "Infinity"}, "sizing", "amount is"),
        ({"method": "FIXED_QUANTITY", "amount": "1E+999999"}, "sizing", "amount is"),
        ({"method": "FIXED_QUANTITY", "amount": "1", "max_quantity": "0"}, "sizing", "max_quantity is 0"),
        ({"method": "FIXED_QUANTITY", "amount": "1", "lookback": 1}, "sizing", "lookback is 1"),
        ({"method": "VOLATILITY_TARGET", "amount": "1"}, "sizing", "periods_per_year"),
        (
            {"method": "VOLATILITY_TARGET", "amount": "1", "periods_per_year": 0},
            "sizing",
            "periods_per_year is 0",
        ),
        ({"method": "FIXED_QUANTITY", "amount": "1", "size": 1}, "sizing.size", "no field"),
    ],
)
def test_sizing_that_makes_no_sense_is_refused_at_its_place(
    sizing: dict[str, Any], field: str, words: str
) -> None:
    faults = list(find_faults(SwingConfig, {**BASE, "sizing": sizing}))

    assert [fault.field for fault in faults] == [field]
    assert words in str(faults[0])


@pytest.mark.parametrize("amount", [1, "1", Decimal("NaN")])
def test_amount_that_is_no_decimal_is_refused_in_python_too(amount: Any) -> None:
    with pytest.raises(ValueError, match="amount"):
        Sizing(method=SizingMethod.FIXED_QUANTITY, amount=amount)
