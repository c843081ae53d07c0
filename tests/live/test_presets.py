"""Presets make configurations that the engine takes, hold no secret, and say how far they were tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import ConfigError, NotFoundError
from workbench.live.config import EngineConfig
from workbench.live.config_checks import check_engine_config, find_references
from workbench.live.engine_directory import EngineDirectory
from workbench.live.presets import PRESETS, Trial, build_preset, find_preset

NEEDED = {
    "sandbox-replay": {"catalog_path": "/data/catalog", "venue": "SIM", "quotes": "GBP/USD.SIM"},
    "interactive-brokers": {"instrument_ids": "AAPL.NASDAQ, MSFT.NASDAQ"},
    "adapter": {
        "name": "BYBIT",
        "data_config": "nautilus_trader.adapters.bybit.config:BybitDataClientConfig",
        "data_factory": "nautilus_trader.adapters.bybit.factories:BybitLiveDataClientFactory",
    },
}


def build(name: str, **values: str) -> EngineConfig:
    return build_preset(name, {**NEEDED.get(name, {}), **values})


@pytest.mark.parametrize("name", [p.name for p in PRESETS])
def test_preset_makes_a_configuration_that_passes_every_check(name: str) -> None:
    config = build(name)

    check_engine_config(config)
    assert config.environment == find_preset(name).environment


def test_only_what_tests_run_is_called_tested() -> None:
    trials = {p.name: p.trial for p in PRESETS}

    assert trials == {
        "sandbox-replay": Trial.TESTED,  # tests/cli/test_engine.py
        "binance-testnet": Trial.PARSED,  # below
        "binance-live": Trial.UNTESTED,
        "interactive-brokers": Trial.UNTESTED,
        "adapter": Trial.UNTESTED,
    }


def test_secrets_are_references() -> None:
    found = find_references(build("binance-live"))

    assert set(found.values()) == {"env:BINANCE_API_KEY", "env:BINANCE_API_SECRET"}
    assert set(find_references(build("interactive-brokers")).values()) == {"env:TWS_ACCOUNT"}
    assert find_references(build("sandbox-replay")) == {}


@pytest.mark.parametrize("name", ["sandbox-replay", "binance-testnet"])
def test_configuration_is_taken_by_the_adapter(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.live.node import plan_node

    monkeypatch.setenv("BINANCE_TESTNET_API_KEY", "k")
    monkeypatch.setenv("BINANCE_TESTNET_API_SECRET", "s")
    plan = plan_node(build(name), EngineDirectory(tmp_path / "default"))

    (client,) = plan.clients.exec_clients.values()
    made = client.create() if hasattr(client, "create") else client
    if name == "binance-testnet":
        assert (made.environment.value, made.api_secret) == ("TESTNET", "s")
        assert [str(i) for i in made.instrument_provider.load_ids] == ["BTCUSDT.BINANCE"]
    else:
        assert (made.venue, list(made.quotes)) == ("SIM", ["GBP/USD.SIM"])


@pytest.mark.parametrize(
    ("name", "values", "field"),
    [
        ("sandbox-replay", {"venue": " "}, "venue"),
        ("sandbox-replay", {"speed": "fast"}, "speed"),
        ("sandbox-replay", {"speed": "0"}, "speed"),
        ("sandbox-replay", {"oms_type": "BOTH"}, "oms_type"),
        ("sandbox-replay", {"colour": "red"}, "colour"),
        ("interactive-brokers", {"port": "door"}, "port"),
        ("adapter", {"data_factory": ""}, "data_factory"),
        ("adapter", {"exec_factory": "a.b:F"}, "exec_config"),
        ("adapter", {"data_config": "", "data_factory": ""}, "data_config"),
    ],
)
def test_wrong_parameter_is_refused_at_its_field(name: str, values: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, **values)

    assert caught.value.field == field


def test_any_adapter_becomes_the_clients_of_its_venue() -> None:
    node = build("adapter", instrument_ids="BTCUSDT-LINEAR.BYBIT").node

    assert list(node) == ["data_clients"]
    client = node["data_clients"]["BYBIT"]
    assert client["factory"] == {
        "path": "nautilus_trader.adapters.bybit.factories:BybitLiveDataClientFactory"
    }
    assert client["config"] == {"instrument_provider": {"load_ids": ["BTCUSDT-LINEAR.BYBIT"]}}


def test_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(NotFoundError, match="sandbox-replay"):
        build_preset("nothing", {})


def test_every_missing_parameter_is_told() -> None:
    with pytest.raises(ConfigError) as caught:
        build_preset("sandbox-replay", {})

    assert [e.field for e in caught.value.errors] == ["catalog_path", "venue"]
