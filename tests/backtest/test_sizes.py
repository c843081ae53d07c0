"""A size that is computed before a run: from what was known when it starts, and nothing later."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from tests.backtest.configs import ema_cross, quotes_config, write_quotes
from tests.backtest.tiny import ASK, NAME, build_catalog, prices, tiny_config
from workbench.backtest.sizes import size_run
from workbench.errors import InputError
from workbench.sizing.rules import measure_volatility

MIDDLE = Decimal("0.00005")  # From a bid to the middle
YEAR = 252 * 1_440


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("sizes") / "catalog")


def ask(config: Any, **sizing: Any) -> dict[str, Any]:
    instrument_id = sizing.pop("instrument_id", None)
    plain = config if isinstance(config, dict) else msgspec.json.decode(config.json())
    return size_run({"config": plain, "sizing": sizing, "instrument_id": instrument_id}, None)  # type: ignore[arg-type]


def test_price_is_the_last_that_was_known_before_the_start(catalog: Path) -> None:
    start = prices().index[200]

    found = ask(tiny_config(catalog, start=start.isoformat()), method="PERCENT_OF_EQUITY", amount="5")

    price = prices()["close"].iloc[199] + MIDDLE
    assert Decimal(found["price"]) == price
    assert found["price_ts"].startswith(prices().index[199].isoformat()[:19])
    assert found["price_basis"] == f"{NAME}, the middle of bid and ask, the last before the run starts"
    assert (found["equity"], found["currency"], found["rate"]) == ("1000000", "USD", "1")
    assert Decimal(found["notional"]) == 50_000
    assert found["quantity"] == str(50_000 // price)
    assert found["reason"] == ""


def test_without_data_before_the_start_it_is_the_first_of_the_run(catalog: Path) -> None:
    found = ask(tiny_config(catalog), method="FIXED_NOTIONAL", amount="100000")

    price = prices()["open"].iloc[0] + MIDDLE
    assert Decimal(found["price"]) == price
    assert found["price_basis"] == f"{NAME}, the middle of bid and ask, the first of the run"
    assert found["quantity"] == str(100_000 // price)
    assert (found["equity"], found["volatility"]) == (None, None)


def test_volatility_is_that_of_the_bars_before_the_start(catalog: Path) -> None:
    start = prices().index[160]  # The bars before lie in two files
    config = tiny_config(catalog, ema_cross(bar_type=ASK), start=start.isoformat())

    found = ask(config, method="VOLATILITY_TARGET", amount="10", lookback=20, periods_per_year=YEAR)

    closes = list(prices(shift="0.00010")["close"].iloc[139:160])
    volatility = measure_volatility(closes, YEAR)
    assert volatility is not None
    assert Decimal(found["volatility"]) == volatility
    assert (found["bars"], found["bar_type"]) == (21, ASK)
    price = prices()["close"].iloc[159] + MIDDLE
    assert found["quantity"] == str(100_000 / volatility // price)


def test_too_few_bars_before_the_start_are_no_guess_and_say_when_there_are_enough(catalog: Path) -> None:
    sizing = {"method": "VOLATILITY_TARGET", "amount": "10", "lookback": 20, "periods_per_year": YEAR}

    found = ask(tiny_config(catalog), **sizing)

    assert found["quantity"] is None
    assert found["reason"] == (
        "volatility needs 21 bars before the run starts, and there are 0: start it at 2012-02-01 00:22:00 UTC or later"
    )
    later = ask(tiny_config(catalog, start="2012-02-01 00:22:00"), **sizing)
    assert later["quantity"] is not None
    assert later["bars"] == 21


def test_more_bars_than_there_are_is_said(catalog: Path) -> None:
    found = ask(
        tiny_config(catalog), method="VOLATILITY_TARGET", amount="1", lookback=500, periods_per_year=YEAR
    )

    assert found["reason"] == "volatility needs 501 bars before the run starts, and there are 0"


def test_rates_come_from_the_data_of_the_run_or_there_is_no_number(tmp_path: Path) -> None:
    pair = TestInstrumentProvider.default_fx_ccy("USD/JPY", Venue("SIM"))
    write_quotes(tmp_path, pair, [("2024-01-01", "149.000", "151.000")])
    venue = {"name": "SIM", "oms_type": "NETTING", "account_type": "MARGIN"}

    dollars, euros = (
        ask(
            quotes_config(
                tmp_path,
                [str(pair.id)],
                venue={**venue, "base_currency": code, "starting_balances": [f"1000000 {code}"]},
            ),
            method="PERCENT_OF_EQUITY",
            amount="10",
        )
        for code in ("USD", "EUR")
    )

    assert dollars["quantity"] == "100000"
    assert dollars["rate_basis"] == f"{pair.id}, the middle of bid and ask, the first of the run, inverted"
    assert euros["quantity"] is None
    assert euros["reason"] == "there is no rate from JPY to EUR in the data of the run"


def test_too_small_a_size_is_none_with_the_reason(catalog: Path) -> None:
    found = ask(tiny_config(catalog), method="FIXED_NOTIONAL", amount="0.5")

    assert found["quantity"] is None
    assert "is less than" in found["reason"]


def test_fixed_quantity_asks_for_no_price(catalog: Path) -> None:
    found = ask(tiny_config(catalog), method="FIXED_QUANTITY", amount="12345.9")

    assert (found["quantity"], found["price"]) == ("12345", None)


@pytest.mark.parametrize(
    ("sizing", "field"),
    [
        ({"method": "FIXED_NOTIONAL", "amount": "much"}, "sizing.amount"),
        ({"method": "HALF", "amount": "1"}, "sizing.method"),
        ({"method": "FIXED_NOTIONAL", "amount": "1", "instrument_id": "X.SIM"}, "instrument_id"),
    ],
)
def test_what_is_wrong_is_named(catalog: Path, sizing: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(tiny_config(catalog), **sizing)

    assert caught.value.field == field


def test_wrong_configuration_is_named(catalog: Path) -> None:
    config = msgspec.json.decode(tiny_config(catalog).json())
    config["venues"][0]["starting_balances"] = ["much"]

    with pytest.raises(InputError) as caught:
        ask(config, method="PERCENT_OF_EQUITY", amount="5")

    assert caught.value.field.startswith("venues.0.starting_balances")
    assert NAME in config["data"][0]["bar_types"][0]
