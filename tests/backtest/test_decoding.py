"""What would end the process in nautilus's compiled code is refused before it gets there."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.config import BacktestRunConfig, StrategyConfig
from nautilus_trader.model.data import BarSpecification, BarType
from nautilus_trader.model.identifiers import AccountId, ClientId, InstrumentId, TraderId, Venue
from nautilus_trader.model.objects import Price

from workbench.backtest.decoding import DECODE_ERRORS, decode_config, find_field


class ManyConfig(StrategyConfig, frozen=True):
    trader: TraderId | None = None
    account: AccountId | None = None
    client: ClientId | None = None
    venue: Venue | None = None
    instrument: InstrumentId | None = None
    bars: BarType | None = None
    specification: BarSpecification | None = None
    price: Price | None = None


_GOOD = {
    "trader": "TRADER-001",
    "account": "SIM-001",
    "client": "SIM",
    "venue": "SIM",
    "instrument": "GBP/USD.SIM",
    "bars": "GBP/USD.SIM-1-MINUTE-BID-EXTERNAL",
    "specification": "5-MINUTE-MID",
    "price": "1.5",
    "strategy_id": "MINE-A-1",
}


def test_decode_good_values_is_what_nautilus_parses() -> None:
    text = msgspec.json.encode(_GOOD)
    config = decode_config(ManyConfig, text)
    assert config == ManyConfig.parse(text)
    assert str(config.strategy_id) == "MINE-A-1"
    assert decode_config(ManyConfig, b'{"strategy_id": "EXTERNAL"}').strategy_id is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trader", "X"),
        ("trader", "A-"),
        ("trader", "-A"),
        ("trader", "--"),
        ("account", "X"),
        ("account", "é-1"),
        ("strategy_id", "X"),
        ("strategy_id", "A-"),
        ("client", "é"),
        ("venue", "é"),
        ("venue", ""),
        ("instrument", "GBP"),
        ("bars", "nonsense"),
        ("specification", "1-NOPE-BID"),
        ("specification", "1-MINUTE-NOPE"),
        ("specification", "x"),
        ("price", "much"),
    ],
)
def test_decode_bad_value_raises_and_the_process_lives(field: str, value: str) -> None:
    with pytest.raises(DECODE_ERRORS):
        decode_config(ManyConfig, msgspec.json.encode({field: value}))


@settings(max_examples=100, deadline=None)
@given(
    field=st.sampled_from(sorted(_GOOD)), value=st.text(max_size=8) | st.sampled_from(sorted(_GOOD.values()))
)
def test_decode_any_text_raises_or_decodes(field: str, value: str) -> None:
    """The process itself is the assertion: an abort would end the tests."""
    try:
        decode_config(ManyConfig, msgspec.json.encode({field: value}))
    except DECODE_ERRORS:
        return


def test_decode_run_config_with_a_trader_that_is_none_is_refused() -> None:
    text = '{"venues": [], "data": [], "engine": {"trader_id": "X"}}'
    with pytest.raises(msgspec.ValidationError, match="NAME-TAG"):
        decode_config(BacktestRunConfig, text)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (
            "Expected `str`, got `int` - at `$.venues[0].starting_balances[12]`",
            "at.venues.0.starting_balances.12",
        ),
        ("Object contains unknown field `leverage` - at `$.venues[0]`", "at.venues.0.leverage"),
        ("Object missing required field `name`", "at.name"),
        ("Expected `float`, got `str` - at `$.leverages[...]`", "at.leverages"),
        ("Expected `float`, got `str` - at `$.a[...].b`", "at.a.b"),
        (
            "invalid `InstrumentId` value 'x': why - at `key` in `$.venues[0].leverages`",
            "at.venues.0.leverages",
        ),
        ("invalid value '- at `$.no`' - at `$.yes`", "at.yes"),
        ("something else", "at"),
    ],
)
def test_field_is_where_the_message_points(message: str, field: str) -> None:
    assert find_field(ValueError(message), "at") == field
    assert find_field(ValueError(message)) == field.removeprefix("at").removeprefix(".")
