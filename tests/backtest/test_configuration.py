"""Configurations are read with errors that name the field, and written without secrets."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig
from nautilus_trader.persistence.config import DataCatalogConfig

from tests.backtest.tiny import ASK, BID, NAME, entry, tiny_config
from workbench.backtest.configuration import (
    build_fill_model,
    build_run_config,
    load_run_config,
    normalise_run_config,
    override_run_config,
    parse_run_config,
    redact_run_config,
)
from workbench.errors import ConfigError, NotFoundError

STRATEGY = ImportableStrategyConfig(
    strategy_path="somewhere:One",
    config_path="somewhere:OneConfig",
    config={"fast": 10, "nested": {"a": [1]}},
)
CATALOG = Path("/nowhere/catalog")


@pytest.fixture
def config() -> BacktestRunConfig:
    return build_run_config([STRATEGY], catalog=CATALOG, bar_types=[BID, ASK], start="2012-02-01")


def test_configuration_survives_its_json(config: BacktestRunConfig, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(config.json())
    assert load_run_config(path).json() == config.json()
    path.write_bytes(b"\xef\xbb\xbf" + config.json())  # As some editors save it
    assert load_run_config(path).json() == config.json()


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=f"there is no file {tmp_path}/none.json"):
        load_run_config(tmp_path / "none.json")
    with pytest.raises(ConfigError, match=f"{tmp_path} is a directory"):
        load_run_config(tmp_path)


def _change(config: BacktestRunConfig, path: str, value: Any) -> str:
    plain = json.loads(config.json())
    *parents, last = path.split(".")
    place = plain
    for name in parents:
        place = place[int(name) if isinstance(place, list) else name]
    place[last] = value
    return json.dumps(plain)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("venues.0.oms_type", None, r"\$\.venues\[0\]\.oms_type"),
        ("venues.0.starting_balances", "1000 USD", r"\$\.venues\[0\]\.starting_balances"),
        ("venues.0.leverage", 3, "leverage"),
        ("data.0.catalog_path", 7, r"\$\.data\[0\]\.catalog_path"),
        ("engine.strategies", {"a": 1}, r"\$\.engine\.strategies"),
        ("engine.strategies.0.config_path", None, r"\$\.engine\.strategies\[0\]\.config_path"),
        ("chunk_size", "many", r"\$\.chunk_size"),
        ("unknown_field", 1, "unknown_field"),
    ],
)
def test_wrong_value_is_one_line_that_names_the_field(
    config: BacktestRunConfig, path: str, value: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_run_config(_change(config, path, value), origin="run.json")
    assert str(caught.value).startswith("run.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe{", '{"venues": [}', b"\x00"])
def test_text_that_is_no_configuration_is_one_line(text: bytes | str) -> None:
    with pytest.raises(ConfigError, match=r"^run\.json") as caught:
        parse_run_config(text, origin="run.json")
    assert "\n" not in str(caught.value)


def test_override_changes_what_its_path_names_and_nothing_else(config: BacktestRunConfig) -> None:
    overrides = {
        "engine.strategies.0.config.fast": 20,
        "engine.strategies.0.config.nested.a.0": 5,
        "engine.strategies.0.config.new": "added",
        "venues.0.starting_balances.0": "5000 USD",
        "end": "2012-02-03",
    }
    changed = override_run_config(config, overrides)
    assert changed.engine.strategies[0].config == {"fast": 20, "nested": {"a": [5]}, "new": "added"}
    assert changed.venues[0].starting_balances == ["5000 USD"]
    assert changed.end == "2012-02-03"
    before, after = json.loads(config.json()), json.loads(changed.json())
    for plain in (before, after):
        plain["engine"].pop("strategies")
        plain["venues"][0].pop("starting_balances")
        plain.pop("end")
    assert before == after
    assert config.engine.strategies[0].config["fast"] == 10
    assert override_run_config(config, {}).json() == config.json()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("engine.strategy.0.config", "leads nowhere at 'strategy'; expected .*strategies"),
        ("engine.strategies.1.config.fast", "leads nowhere at '1'; expected an index of the list"),
        ("engine.strategies.-1.config.fast", "leads nowhere at '-1'"),
        ("engine.strategies.first", "leads nowhere at 'first'"),
        ("venues.7", "leads nowhere at '7'"),
        ("start.year", "leads nowhere at 'year'"),
        ("", "the overrides: .*"),
        ("venues.0.nonsense", "the overrides: .*nonsense"),
    ],
)
def test_override_that_leads_nowhere_says_where(config: BacktestRunConfig, path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override_run_config(config, {path: 1})


def test_override_with_a_wrong_value_names_the_field(config: BacktestRunConfig) -> None:
    with pytest.raises(ConfigError, match=r"^the overrides: .*chunk_size"):
        override_run_config(config, {"chunk_size": "many"})


def test_redacted_configuration_holds_no_secret_and_still_reads(config: BacktestRunConfig) -> None:
    secret = {"key": "AKIA-secret", "secret": "wJalr-secret"}
    data = [
        msgspec.structs.replace(d, catalog_fs_storage_options=secret, catalog_fs_rust_storage_options=secret)
        for d in config.data
    ]
    catalogs = [
        DataCatalogConfig(path="s3://bucket", fs_storage_options=secret, fs_rust_storage_options=secret)
    ]
    engine = msgspec.structs.replace(config.engine, catalogs=catalogs)
    with_secrets = msgspec.structs.replace(config, data=data, engine=engine)
    assert b"secret" in with_secrets.json()
    plain = redact_run_config(with_secrets)
    assert "secret" not in json.dumps(plain)
    assert "secret" not in json.dumps(normalise_run_config(with_secrets))
    assert plain["data"][0]["catalog_fs_storage_options"] == {"redacted": True}
    assert plain["engine"]["catalogs"][0]["fs_rust_storage_options"] == {"redacted": True}
    parse_run_config(json.dumps(plain))
    untouched = redact_run_config(config)
    assert untouched == json.loads(config.json())


def test_normalised_configuration_leaves_out_where_and_how() -> None:
    base = normalise_run_config(tiny_config(CATALOG, STRATEGY))
    same = [
        tiny_config(Path("/elsewhere"), STRATEGY),
        tiny_config(CATALOG, STRATEGY, chunk_size=500),
        tiny_config(CATALOG, STRATEGY, logging=LoggingConfig(log_level_file="DEBUG")),
        tiny_config(CATALOG, STRATEGY, data=[entry(CATALOG, optimize_file_loading=True)]),
        tiny_config(CATALOG, STRATEGY, raise_exception=True, dispose_on_completion=False),
    ]
    assert all(normalise_run_config(c) == base for c in same)
    other = [
        tiny_config(CATALOG),
        tiny_config(CATALOG, STRATEGY, start="2012-02-01"),
        tiny_config(CATALOG, STRATEGY, data=[entry(CATALOG, BID)]),
    ]
    assert all(normalise_run_config(c) != base for c in other)


def test_built_configuration_shows_its_careful_defaults() -> None:
    built = build_run_config([STRATEGY], catalog=CATALOG, bar_types=[BID, ASK], quotes=["EUR/USD.OTHER"])
    assert [v.name for v in built.venues] == ["OTHER", "SIM"]
    for venue in json.loads(built.json())["venues"]:
        assert venue["liquidity_consumption"] is True
        assert venue["fill_model"]["fill_model_path"] == "nautilus_trader.backtest.models:FillModel"
        assert venue["fill_model"]["config"] == {
            "prob_fill_on_limit": 0.0,
            "prob_slippage": 1.0,
            "random_seed": 42,
        }
        assert (venue["oms_type"], venue["account_type"]) == ("NETTING", "MARGIN")
        assert venue["default_leverage"] == 1.0
        assert venue["starting_balances"] == ["1000000.00 USD"]
        assert venue["base_currency"] == "USD"
    assert [d.data_cls for d in built.data] == [
        "nautilus_trader.model.data:Bar",
        "nautilus_trader.model.data:QuoteTick",
    ]
    assert built.data[1].instrument_ids == ["EUR/USD.OTHER"]


def test_built_configuration_takes_what_it_is_given() -> None:
    built = build_run_config(
        [STRATEGY],
        catalog=str(CATALOG),
        trades=[NAME],
        start="2012-02-01",
        end="2012-02-02",
        starting_balance="2_500.50 GBP",
        account_type="CASH",
        oms_type="HEDGING",
        leverage=Decimal(30),
        fill_model=build_fill_model(prob_slippage=0.5),
    )
    (venue,) = built.venues
    assert venue.starting_balances == ["2500.50 GBP"]
    assert (venue.base_currency, venue.account_type, venue.oms_type) == ("GBP", "CASH", "HEDGING")
    assert venue.default_leverage == 30.0
    assert venue.fill_model.config["prob_slippage"] == 0.5
    assert (built.start, built.end) == ("2012-02-01", "2012-02-02")
    assert built.data[0].data_cls == "nautilus_trader.model.data:TradeTick"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bar_types": None}, "no data are named"),
        ({"bar_types": ["GBP/USD-1-MINUTE"]}, "expected for example GBP/USD.SIM-1-MINUTE-BID-EXTERNAL"),
        ({"quotes": ["GBPUSD"]}, "GBPUSD"),
        ({"starting_balance": "a lot"}, "starting balance is 'a lot'; expected for example 1000000 USD"),
        ({"starting_balance": "1000"}, "starting balance is '1000'"),
        ({"starting_balance": "much USD"}, "starting balance is 'much USD'"),
        ({"leverage": "high"}, "leverage is 'high'"),
    ],
)
def test_built_configuration_refuses_what_nautilus_does_not_know(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build_run_config([STRATEGY], **{"catalog": CATALOG, "bar_types": [BID], **change})
    assert "\n" not in str(caught.value)
