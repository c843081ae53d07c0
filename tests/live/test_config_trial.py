"""What a configuration is found to be before it is used: everything at once, without a venue."""

from __future__ import annotations

import copy
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.live.engines import INSTRUMENT, build_catalog, build_config, build_strategy
from workbench.jobs.control import Control
from workbench.live.adapters import AdapterKind, list_adapters
from workbench.live.config_schemas import describe_client
from workbench.live.config_trial import try_config
from workbench.live.presets import build_preset

CONTROL = Control(lambda _: None)
REPLAY = "node.data_clients.REPLAY"
SIM = "node.exec_clients.SIM"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("trial") / "catalog", count=10)


@pytest.fixture
def config(catalog: Path) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(build_config(catalog, build_strategy()))
    return copy.deepcopy(plain)


def look(config: Any, tmp_path: Path) -> list[dict[str, str]]:
    spec = {
        "config": config,
        "engine": str(tmp_path / "default"),
        "runs": str(tmp_path / "runs"),
        "place_file": str(tmp_path / "place"),
    }
    found: list[dict[str, str]] = try_config(spec, CONTROL)["checks"]
    return found


def pick(checks: list[dict[str, str]], outcome: str) -> dict[str, str]:
    return {one["field"]: one["message"] for one in checks if one["outcome"] == outcome}


def test_sound_configuration_is_found_sound_and_writes_nothing(
    config: dict[str, Any], tmp_path: Path
) -> None:
    checks = look(config, tmp_path)

    assert {one["outcome"] for one in checks} == {"OK"}
    assert {one["subject"] for one in checks} == {"adapter", "instrument", "limits", "node", "strategy"}
    assert not (tmp_path / "default").exists()


def test_every_wrong_field_of_every_part_is_told_at_once(config: dict[str, Any], tmp_path: Path) -> None:
    node = config["node"]
    node["data_clients"]["REPLAY"]["config"] |= {"speed": -1, "venues": [], "colour": "red"}
    del node["exec_clients"]["SIM"]["config"]["venue"]
    node["strategies"][0]["config"] |= {"order_id_tag": 7, "shape": "round"}
    node["strategies"].append({"strategy_path": "no.such:Thing", "config_path": "no.such:Config"})

    wrong = pick(look(config, tmp_path), "WRONG")

    assert set(wrong) == {
        *(f"{REPLAY}.config.{name}" for name in ("speed", "venues", "colour")),
        f"{SIM}.config.venue",
        *(f"node.strategies.0.config.{name}" for name in ("order_id_tag", "shape")),
        "node.strategies.1.strategy_path",
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"factory": None}, f"{SIM}.factory"),
        ({"factory": {"path": "workbench.live.sandbox:Nothing"}}, f"{SIM}.factory.path"),
        ({"path": "workbench.live.config:Environment"}, f"{SIM}.path"),
        ({"path": "nautilus_trader.adapters.binance.config:BinanceExecClientConfig", "config": {}}, SIM),
    ],
)
def test_client_that_cannot_be_used_is_told(
    config: dict[str, Any], tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    config["node"]["exec_clients"]["SIM"] |= change

    assert field in pick(look(config, tmp_path), "WRONG")


def test_strategy_that_cannot_be_made_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    config["node"]["strategies"][0]["config"]["strategy_id"] = "S-1"

    assert "node.strategies.0" in pick(look(config, tmp_path), "WRONG")


def test_two_strategies_with_one_id_are_told(config: dict[str, Any], tmp_path: Path) -> None:
    config["node"]["strategies"] *= 2

    assert list(pick(look(config, tmp_path), "WRONG")) == ["node.strategies.1.config.order_id_tag"]


def test_missing_credentials_are_told_and_those_there_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_TESTNET_API_KEY", "k-hush")
    monkeypatch.delenv("BINANCE_TESTNET_API_SECRET", raising=False)
    config = msgspec.to_builtins(build_preset("binance-testnet", {}))

    checks = look(config, tmp_path)

    clients = [f"node.{kind}_clients.BINANCE.config" for kind in ("data", "exec")]
    assert set(pick(checks, "MISSING")) == {f"{place}.api_secret" for place in clients}
    assert {f"{place}.api_key" for place in clients} <= set(pick(checks, "OK"))
    assert pick(checks, "WRONG") == {}
    assert "hush" not in str(checks)


def test_secret_is_not_shown_by_the_error_that_it_causes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD", "hush-hush")
    config = msgspec.to_builtins(build_preset("binance-testnet", {}))
    config["node"]["exec_clients"]["BINANCE"]["config"]["environment"] = "env:ODD"

    checks = look(config, tmp_path)

    assert "node.exec_clients.BINANCE.config.environment" in pick(checks, "WRONG")
    assert "hush" not in str(checks)


def test_adapter_whose_package_is_not_installed_is_missing_not_wrong(tmp_path: Path) -> None:
    config = msgspec.to_builtins(build_preset("interactive-brokers", {"instrument_ids": "AAPL.NASDAQ"}))

    checks = look(config, tmp_path)

    assert "node.exec_clients.INTERACTIVE_BROKERS.path" in pick(checks, "MISSING")
    assert pick(checks, "WRONG") == {}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("instrument_id", "EUR/USD.SIM", "no instrument EUR/USD.SIM"),
        ("instrument_id", "BTCUSDT.BINANCE", "no data client"),
    ],
)
def test_instrument_that_the_replay_has_not_is_told(
    config: dict[str, Any], tmp_path: Path, name: str, value: str, words: str
) -> None:
    config["node"]["strategies"][0]["config"][name] = value

    missing = [one for one in look(config, tmp_path) if one["outcome"] == "MISSING"]

    assert {one["field"] for one in missing} == {f"node.strategies.0.config.{name}"}
    assert any(words in one["message"] for one in missing)


def test_instrument_of_a_venue_is_known_when_it_connects(tmp_path: Path) -> None:
    config = msgspec.to_builtins(build_preset("binance-testnet", {"instrument_ids": "BTCUSDT.BINANCE"}))
    config["node"]["strategies"] = [build_strategy(instrument_id="BTCUSDT.BINANCE")]
    field = "node.strategies.0.config.instrument_id"
    assert field in pick(look(config, tmp_path), "UNKNOWN")

    config["node"]["strategies"] = [build_strategy(instrument_id="ETHUSDT.BINANCE")]
    assert "none of the instruments" in pick(look(config, tmp_path), "MISSING")[field]


def test_catalog_that_is_not_there_is_told(config: dict[str, Any], tmp_path: Path) -> None:
    config["node"]["data_clients"]["REPLAY"]["config"]["catalog_path"] = str(tmp_path / "nowhere")

    assert list(pick(look(config, tmp_path), "MISSING")) == [f"{REPLAY}.config.catalog_path"]


def test_redis_is_asked(config: dict[str, Any], tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        config["node"]["cache"] = {"database": {"type": "redis", "host": "127.0.0.1", "port": port}}
        missing = pick(look(config, tmp_path), "MISSING")
    assert "does not answer" in missing["node.cache.database"]


def test_adapters_of_nautilus_are_listed_without_their_packages() -> None:
    found = {(one.name, one.kind): one for one in list_adapters()}

    assert found["INTERACTIVE_BROKERS", AdapterKind.EXEC].trial == "untested"
    assert found["BINANCE", AdapterKind.DATA].trial == "configuration only"
    assert found["REPLAY", AdapterKind.DATA].trial == "tested"
    assert len(found) > 20


def test_client_is_described_field_by_field() -> None:
    found = describe_client(
        {"path": "nautilus_trader.adapters.binance.config:BinanceExecClientConfig"}, CONTROL
    )

    properties = found["schema"]["properties"]
    assert properties["venue"]["default"] == "BINANCE"
    assert properties["recv_window_ms"]["exclusiveMinimum"] == 0
    assert "override" in found["help"]["base_url_http"]
    assert INSTRUMENT not in str(found)
