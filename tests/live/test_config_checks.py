"""What is refused in a configuration before anything is built of it."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.errors import ConfigError
from workbench.live.config import parse_engine_config
from workbench.live.config_checks import check_engine_config, find_references


def check(**values: Any) -> list[str]:
    try:
        check_engine_config(parse_engine_config(values))
    except ConfigError as e:
        return [one.field for one in e.errors]
    return []


@pytest.mark.parametrize(
    "risk",
    [
        {},
        {"max_exposure": "5", "max_position": {"*": "1"}, "max_orders_per_sec": 3},
        {"day_start": "17:00", "day_zone": "America/New_York", "on_breach": "CANCEL"},
    ],
)
def test_good_limits_pass(risk: dict[str, Any]) -> None:
    assert check(risk=risk) == []


@pytest.mark.parametrize(
    ("risk", "fields"),
    [
        ({"max_luck": "5"}, ["risk.max_luck"]),
        ({"max_exposure": "-5"}, ["risk.max_exposure"]),
        ({"max_position": ["5"]}, ["risk.max_position"]),
        ({"max_position": {"A.B": "x"}}, ["risk.max_position.A.B"]),
        ({"day_zone": 7}, ["risk.day_zone"]),
        ({"max_exposure": "x", "on_breach": "LAUGH"}, ["risk.max_exposure", "risk.on_breach"]),
    ],
)
def test_wrong_limits_are_told_at_their_fields(risk: dict[str, Any], fields: list[str]) -> None:
    assert check(risk=risk) == fields


@pytest.mark.parametrize(
    "name", ["api_secret", "password", "api_key", "passphrase", "apiSecret", "private_key"]
)
def test_secret_in_the_clear_is_refused_without_showing_it(name: str) -> None:
    config = parse_engine_config({"node": {"exec_clients": {"B": {"config": {name: "hush-hush"}}}}})

    with pytest.raises(ConfigError) as caught:
        check_engine_config(config)
    assert caught.value.field == f"node.exec_clients.B.config.{name}"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("value", ["env:KEY", "keyring:binance/me", "", None])
def test_reference_is_no_secret(value: str | None) -> None:
    assert check(node={"exec_clients": {"B": {"config": {"api_secret": value}}}}) == []


@pytest.mark.parametrize("value", ["redis://me:hush@host", "-----BEGIN PRIVATE KEY-----hush"])
def test_secret_is_refused_wherever_it_stands(value: str) -> None:
    config = parse_engine_config({"node": {"exec_clients": {"B": {"config": {"base_url": value}}}}})

    with pytest.raises(ConfigError) as caught:
        check_engine_config(config)
    assert caught.value.field == "node.exec_clients.B.config.base_url"
    assert "hush" not in str(caught.value)


def test_references_are_found_by_place() -> None:
    config = parse_engine_config({"node": {"a": {"x": "env:ONE"}, "b": ["keyring:s/u", "plain"]}})

    assert find_references(config) == {"node.a.x": "env:ONE", "node.b.0": "keyring:s/u"}


def test_import_path_that_is_none_is_told() -> None:
    strategies = [{"strategy_path": "a.b:C"}, {"strategy_path": "rm -rf: x"}]

    assert check(node={"strategies": strategies}) == ["node.strategies.1.strategy_path"]
