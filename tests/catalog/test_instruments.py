from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.instruments import CryptoPerpetual, CurrencyPair, Equity, FuturesContract
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from workbench.catalog.definitions import (
    compare_instruments,
    find_instruments,
    load_instrument,
    save_instrument,
)
from workbench.catalog.instruments import (
    DEFAULTS,
    InstrumentKind,
    build_instrument,
    describe_instrument,
    instrument_from_dict,
    instrument_to_dict,
    load_instrument_json,
)
from workbench.errors import CatalogError, ExistsError, InputError, NotFoundError

CASES: list[tuple[InstrumentKind, str, dict[str, Any], type]] = [
    ("fx_pair", "GBP/USD.FXCM", {}, CurrencyPair),
    ("fx_pair", "USDJPY.X", {}, CurrencyPair),
    ("equity", "AAPL.XNAS", {}, Equity),
    ("crypto_spot", "BTCUSDT.BINANCE", {"price_precision": 2, "size_precision": 6}, CurrencyPair),
    ("crypto_perpetual", "BTCUSD-PERP.X", {"price_precision": 1, "size_precision": 4}, CryptoPerpetual),
    (
        "future",
        "ESH4.GLBX",
        {"price_increment": "0.25", "price_precision": 2, "multiplier": "50", "expiration": "2024-03-15"},
        FuturesContract,
    ),
]


@pytest.mark.parametrize(("kind", "instrument_id", "options", "cls"), CASES)
def test_built_instrument_survives_json_and_the_catalog(
    catalog: Path, kind: InstrumentKind, instrument_id: str, options: dict[str, Any], cls: type
) -> None:
    instrument = build_instrument(kind, instrument_id, **options)
    assert type(instrument) is cls
    assert str(instrument.taker_fee) == DEFAULTS[kind].taker_fee
    assert str(instrument.margin_init) == DEFAULTS[kind].margin_init
    again = instrument_from_dict(json.loads(json.dumps(instrument_to_dict(instrument))))
    assert instrument_to_dict(again) == instrument_to_dict(instrument)
    assert save_instrument(catalog, instrument)
    [stored] = ParquetDataCatalog(str(catalog)).instruments()
    assert compare_instruments(stored, instrument) == []
    assert type(stored) is cls
    assert not save_instrument(catalog, instrument)


def test_currencies_and_precisions_come_from_the_symbol() -> None:
    yen = build_instrument("fx_pair", "USD/JPY.X")
    assert (yen.base_currency.code, yen.quote_currency.code, yen.price_precision) == ("USD", "JPY", 3)
    coin = build_instrument("crypto_spot", "PEPEUSDT.X", price_precision=10, size_precision=0)
    assert (coin.base_currency.code, coin.quote_currency.code) == ("PEPE", "USDT")
    inverse = build_instrument(
        "crypto_perpetual", "BTCUSD-PERP.X", price_precision=1, size_precision=0, settlement_currency="BTC"
    )
    assert inverse.is_inverse
    assert str(inverse.price_increment) == "0.1"


def test_future_has_its_expiration_increment_and_multiplier() -> None:
    future = build_instrument(
        "future", "ESH4.GLBX", price_increment="0.25", multiplier="50", expiration="2024-03-15T14:30:00+01:00"
    )
    assert future.expiration_ns == 1_710_509_400 * 10**9
    assert (str(future.price_increment), future.price_precision, str(future.multiplier)) == ("0.25", 2, "50")


@pytest.mark.parametrize(
    ("kind", "instrument_id", "options", "message"),
    [
        ("bond", "A.B", {}, "no kind of instrument"),
        ("fx_pair", "GBPUSD", {}, "no instrument id"),
        ("fx_pair", "GBP USD.X", {}, "no instrument id"),
        ("fx_pair", "GBPÉUSD.X", {}, "no instrument id"),
        ("fx_pair", "GBP/XXQ.X", {}, "no currency"),
        (
            "crypto_spot",
            "ABCDEF.X",
            {"price_precision": 1, "size_precision": 1},
            "does not tell its currencies",
        ),
        ("crypto_spot", "BTCUSDT.X", {"size_precision": 1}, "--price-precision"),
        ("crypto_spot", "BTCUSDT.X", {"price_precision": 1}, "--size-precision"),
        ("fx_pair", "GBP/USD.X", {"price_precision": 17}, "impossible"),
        ("fx_pair", "GBP/USD.X", {"taker_fee": "5%"}, "no number"),
        ("fx_pair", "GBP/USD.X", {"taker_fee": "5"}, "no fraction"),
        ("fx_pair", "GBP/USD.X", {"lot_size": "-1"}, "GBP/USD.X is no valid CurrencyPair"),
        ("equity", "AAPL.X", {"size_precision": 2}, "expected 0 for kind equity"),
        ("future", "ESH4.X", {"price_precision": 2, "multiplier": "50"}, "--expiration"),
        ("future", "ESH4.X", {"price_precision": 2, "expiration": "2024-03-15"}, "--multiplier"),
        ("future", "ESH4.X", {"price_precision": 2, "multiplier": "5", "expiration": "March"}, "is no date"),
        (
            "future",
            "ESH4.X",
            {"price_precision": 2, "multiplier": "5", "expiration": "2024-03-15", "asset_class": "X"},
            "no asset class",
        ),
    ],
)
def test_facts_that_make_no_instrument_are_refused_with_one_line(
    kind: InstrumentKind, instrument_id: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build_instrument(kind, instrument_id, **options)
    assert "\n" not in str(caught.value)


def test_json_of_nautilus_own_instruments_is_taken(tmp_path: Path) -> None:
    for instrument in (TestInstrumentProvider.btcusdt_perp_binance(), TestInstrumentProvider.equity()):
        path = tmp_path / "i.json"
        path.write_text(json.dumps(instrument_to_dict(instrument)))
        assert instrument_to_dict(load_instrument_json(path)) == instrument_to_dict(instrument)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "holds no JSON object"),
        ("[]", "holds no JSON object"),
        ("{}", "no type of instrument"),
        ('{"type": "CurrencyPair", "id": "A.B"}', "has no "),
        ('{"type": "CurrencyPair"}', "no instrument id"),
    ],
)
def test_json_that_is_no_instrument_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "i.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_instrument_json(path)
    with pytest.raises(NotFoundError):
        load_instrument_json(tmp_path / "no.json")


def test_definition_that_differs_is_named_and_replaced_on_request_even_as_another_type(catalog: Path) -> None:
    save_instrument(catalog, build_instrument("fx_pair", "GBP/USD.X"))
    other = build_instrument("fx_pair", "GBP/USD.X", margin_init="0.05", price_precision=4)
    with pytest.raises(ExistsError, match=r"margin_init 0\.0333 is now 0\.05; .*price_precision 5 is now 4"):
        save_instrument(catalog, other)
    assert save_instrument(catalog, other, replace=True)
    third = build_instrument("crypto_perpetual", "GBP/USD.X", price_precision=1, size_precision=0)
    assert save_instrument(catalog, third, replace=True)
    [stored] = ParquetDataCatalog(str(catalog)).instruments()
    assert type(stored) is CryptoPerpetual
    assert load_instrument(catalog, "GBP/USD.X") is not None
    assert load_instrument(catalog, "GBPUSD.X") is None


def test_damaged_definition_is_named(catalog: Path) -> None:
    save_instrument(catalog, build_instrument("fx_pair", "GBP/USD.X"))
    [path] = catalog.rglob("*.parquet")
    path.write_bytes(b"junk")
    with pytest.raises(CatalogError, match="holds no readable instrument"):
        find_instruments(catalog)


def test_description_shows_what_a_backtest_costs(gbpusd: Any) -> None:
    facts = describe_instrument(gbpusd)
    assert facts["taker fee"] == "0.00002"
    assert facts["margin"] == "0.0333 / 0.0333"
