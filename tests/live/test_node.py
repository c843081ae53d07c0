"""The configuration of a node: what is made of an engine's, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.engines import build_config, build_strategy
from workbench.engine_records import HostMode
from workbench.errors import ConfigError
from workbench.live.config import EngineConfig, parse_engine_config
from workbench.live.engine_directory import EngineDirectory
from workbench.live.node import plan_node


@pytest.fixture
def directory(tmp_path: Path) -> EngineDirectory:
    return EngineDirectory(tmp_path / "my-engine")


def _change(config: EngineConfig, **node: Any) -> EngineConfig:
    return parse_engine_config({"node": {**config.node, **node}})


def test_plan_takes_the_components_out_and_names_what_is_ours(
    directory: EngineDirectory, tmp_path: Path
) -> None:
    plan = plan_node(build_config(tmp_path, build_strategy()), directory)
    assert plan.config.trader_id.value == "MY_ENGINE-001"
    assert plan.config.environment.value == "sandbox"
    assert plan.config.strategies == []
    assert [s.strategy_path for s in plan.components["strategies"]] == [
        "tests.live.host_strategies:QuoteTrader"
    ]
    assert plan.config.logging is not None
    assert (plan.config.logging.log_level, plan.config.logging.log_file_format) == ("OFF", "json")
    assert plan.config.logging.log_directory == str(directory.path)
    assert plan.config.controller is not None
    assert (
        plan_node(build_config(tmp_path, build_strategy()), directory, HostMode.LIQUIDATE).components[
            "strategies"
        ]
        == []
    )


def test_plan_keeps_secrets_out_of_what_the_kernel_may_write(
    directory: EngineDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENUE_KEY", "s3cr3t")
    config = build_config(tmp_path)
    clients = {"X": {"path": "a:B", "config": {"api_key": "env:VENUE_KEY"}}}
    plan = plan_node(_change(config, data_clients=clients), directory)
    assert b"s3cr3t" not in plan.config.json()
    assert plan.clients.data_clients["X"].config == {"api_key": "s3cr3t"}


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ({"strategys": []}, "node.strategys"),
        ({"trader_id": "NOTAG"}, "node.trader_id"),
        ({"strategies": [{"strategy_path": "a:B"}]}, "node.strategies.0.config_path"),
        ({"exec_engine": {"reconciliation": "perhaps"}}, "node.exec_engine.reconciliation"),
        (
            {"data_clients": {"X": {"path": "a:B", "config": {"key": "env:NOT_THERE"}}}},
            "node.data_clients.X.config.key",
        ),
    ],
)
def test_plan_refuses_what_nautilus_does_not_know(
    directory: EngineDirectory, tmp_path: Path, node: dict[str, Any], field: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_node(_change(build_config(tmp_path), **node), directory)
    assert caught.value.field == field


def test_plan_refuses_a_sandbox_that_trades_elsewhere(directory: EngineDirectory, tmp_path: Path) -> None:
    client = {"path": "nautilus_trader.live.config:LiveExecClientConfig", "config": {}}
    with pytest.raises(ConfigError, match="sends orders to a venue") as caught:
        plan_node(_change(build_config(tmp_path), exec_clients={"VENUE": client}), directory)
    assert caught.value.field == "node.exec_clients.VENUE"
