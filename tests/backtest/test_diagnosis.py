"""A run that cannot be made is refused with everything that is wrong with it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.backtest.tiny import ASK, BID, NAME, build_catalog, tiny_config
from workbench.backtest.diagnosis import diagnose
from workbench.backtest.preparation import prepare
from workbench.backtest.sweep_tasks import prepare as prepare_sweep
from workbench.errors import InputError
from workbench.jobs.control import Control
from workbench.jobs.failures import build_error, build_failure

CONTROL = Control(lambda _: None)
EMA = "nautilus_trader.examples.strategies.ema_cross:EMACross"
FILL = {
    "fill_model_path": "nautilus_trader.backtest.models:FillModel",
    "config_path": "nautilus_trader.backtest.config:FillModelConfig",
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("diagnosis") / "catalog")


@pytest.fixture
def config(catalog: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(tiny_config(catalog).json())
    plain["engine"]["strategies"] = [build_strategy()]
    return plain


def build_strategy(**changes: Any) -> dict[str, Any]:
    values = {"instrument_id": NAME, "bar_type": BID, "trade_size": "1000"}
    return {"strategy_path": EMA, "config_path": f"{EMA}Config", "config": {**values, **changes}}


def refuse(config: Any, runs: Path, **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        prepare({"config": config, "runs": str(runs), **more}, CONTROL)
    return caught.value


def fields(error: InputError) -> list[str]:
    return [e.field for e in error.errors]


def test_run_that_can_be_made_has_nothing_wrong(config: dict[str, Any], runs: Path) -> None:
    assert diagnose(json.dumps(config), {}, runs) == []
    assert prepare({"config": config, "runs": str(runs)}, CONTROL)["rows"] == 480


def test_three_wrong_parameters_are_named_at_once(config: dict[str, Any], runs: Path) -> None:
    config["engine"]["strategies"] = [
        build_strategy(),
        build_strategy(trade_size="much", fast_ema_period=0, slow_ema_period="x"),
    ]

    error = refuse(config, runs)

    place = "engine.strategies.1.config"
    assert error.field == error.errors[0].field
    assert set(fields(error)) == {
        f"{place}.{n}" for n in ("trade_size", "fast_ema_period", "slow_ema_period")
    }
    assert all(e.message and e.expected for e in error.errors)


def test_wrong_places_of_every_part_are_named_at_once(config: dict[str, Any], runs: Path) -> None:
    config["start"] = "soon"
    config["data"][0]["bar_types"] = [BID, ASK.replace("1-MIN", "5-MIN")]
    config["venues"][0] |= {
        "starting_balances": ["-1 USD"],
        "default_leverage": 0.5,
        "oms_type": "MANY",
        "fill_model": {**FILL, "config": {"prob_slippage": "x", "random_seed": "y"}},
    }
    config["engine"]["strategies"] = [
        build_strategy(fast_ema_period=30, slow_ema_period=20),  # The constructor refuses that
        build_strategy(bar_type="x"),
        {**build_strategy(), "strategy_path": "no.where:Nobody"},
    ]

    error = refuse(config, runs)

    assert set(fields(error)) == {
        "start",
        "data.0.bar_types",
        "venues.0.starting_balances.0",
        "venues.0.default_leverage",
        "venues.0.oms_type",
        "venues.0.fill_model.config.prob_slippage",
        "venues.0.fill_model.config.random_seed",
        "engine.strategies.0.config",
        "engine.strategies.1.config.bar_type",
        "engine.strategies.2.strategy_path",
    }
    assert len(fields(error)) == len(set(fields(error)))


def test_part_that_is_unreadable_hides_no_other(config: dict[str, Any], runs: Path) -> None:
    config["venues"].append({"name": "OTHER"})
    config["chunk_size"] = "many"
    config["end"] = "2011-01-01"
    config["engine"]["strategies"] = [build_strategy(trade_size="much")]
    config["engine"]["logging"] = {"log_level": "LOUD"}

    error = refuse(config, runs)

    assert {
        "venues.1.oms_type",
        "venues.1.account_type",
        "venues.1.starting_balances",
        "chunk_size",
        "end",
        "engine.strategies.0.config.trade_size",
        "engine.logging.log_level",
    } <= set(fields(error))


def test_wrong_overrides_are_named_beside_what_the_others_make_wrong(
    config: dict[str, Any], runs: Path
) -> None:
    overrides = {
        "nothing.x": 1,
        "chunk_size": -1,
        "engine.strategies.0.config.fast_ema_period": 0,
        "engine.strategies.0.config.slow_ema_period": 50,
    }

    error = refuse(config, runs, overrides=overrides)

    assert fields(error) == ["nothing.x", "chunk_size", "engine.strategies.0.config.fast_ema_period"]


def test_one_error_is_the_only_one(config: dict[str, Any], runs: Path) -> None:
    config["data"] = []

    assert fields(refuse(config, runs)) == ["data"]


@pytest.mark.parametrize("text", ["{", "[]", "7"])
def test_text_that_is_no_configuration_is_one_error(runs: Path, text: str) -> None:
    error = refuse(text, runs)

    assert fields(error) == [error.field] == ["config"]


def test_all_errors_cross_the_edges_of_processes(config: dict[str, Any], runs: Path) -> None:
    config["engine"]["strategies"] = [build_strategy(trade_size="much", fast_ema_period=0)]
    error = refuse(config, runs)

    rebuilt = build_error(build_failure(error))

    for copy in (rebuilt, pickle.loads(pickle.dumps(error))):
        assert [(type(e), str(e), e.field) for e in copy.errors] == [
            (type(e), str(e), e.field) for e in error.errors
        ]
        assert len(copy.errors) == 2


def test_errors_of_a_sweep_stand_below_its_backtest(config: dict[str, Any], runs: Path) -> None:
    config["engine"]["strategies"] = [build_strategy(trade_size="much", fast_ema_period=0)]
    path = "engine.strategies.0.config.slow_ema_period"
    search = {"space": {"kind": "grid", "grid": {path: [20, 30]}}}

    with pytest.raises(InputError) as caught:
        prepare_sweep({"backtest": {"config": config}, "search": search, "runs": str(runs)}, CONTROL)

    place = "backtest.engine.strategies.0.config"
    assert caught.value.field.startswith(place)
    assert set(fields(caught.value)) == {f"{place}.trade_size", f"{place}.fast_ema_period"}
