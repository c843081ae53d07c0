"""Strategies by import path, file or class, checked while the user is still looking."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.config import ImportableStrategyConfig
from nautilus_trader.examples.strategies.ema_cross import EMACross, EMACrossConfig
from nautilus_trader.model.data import BarType
from nautilus_trader.model.identifiers import InstrumentId

from tests.backtest.tiny import BID, MARKER, NAME, build_catalog, tiny_config
from workbench.backtest.run import load_run, run_backtest
from workbench.backtest.sources import (
    MODULE_PREFIX,
    SourceModule,
    build_strategy_config,
    capture_config_files,
    check_strategies,
    find_captured,
    restore_sources,
    sources_path,
)
from workbench.errors import ConfigError, NotFoundError, RunError
from workbench.jobs.worker import Worker

EMA = "nautilus_trader.examples.strategies.ema_cross"
EMA_VALUES = {"instrument_id": NAME, "bar_type": BID, "trade_size": "1000"}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    path = tmp_path / "my strategy.py"
    path.write_text(MARKER)
    return path


def test_import_path_needs_no_capture(runs: Path) -> None:
    built = build_strategy_config(f"{EMA}:EMACross", EMA_VALUES, runs=runs)
    assert (built.strategy_path, built.config_path) == (f"{EMA}:EMACross", f"{EMA}:EMACrossConfig")
    assert built.config == EMA_VALUES
    assert not runs.exists()


def test_class_of_a_module_is_named_by_its_module(runs: Path) -> None:
    config = EMACrossConfig(
        instrument_id=InstrumentId.from_str(NAME),
        bar_type=BarType.from_str(BID),
        trade_size=Decimal("1000.0"),
    )
    built = build_strategy_config(EMACross, config, runs=runs)
    assert (built.strategy_path, built.config_path) == (f"{EMA}:EMACross", f"{EMA}:EMACrossConfig")
    assert built.config["bar_type"] == BID
    assert built.config["trade_size"] == "1000.0"  # Never through a float


def test_file_is_captured_and_named_by_its_content(marker: Path, runs: Path) -> None:
    built = build_strategy_config(f"{marker}:Marker", {"mark": "x"}, runs=runs)
    (path,) = sources_path(runs).iterdir()
    assert path.read_text() == MARKER
    assert path.stem.startswith(MODULE_PREFIX)
    assert built.strategy_path == f"{path.stem}:Marker"
    assert built.config_path == f"{path.stem}:MarkerConfig"
    assert build_strategy_config(f"{marker}:Marker", {"mark": "x"}, runs=runs) == built
    assert find_captured(tiny_config(runs, built)) == {path.stem}


def test_config_class_may_be_named(marker: Path, runs: Path) -> None:
    marker.write_text(MARKER.replace("MarkerConfig", "Settings"))
    with pytest.raises(NotFoundError, match="MarkerConfig"):
        build_strategy_config(f"{marker}:Marker", {}, runs=runs)
    built = build_strategy_config(f"{marker}:Marker", {}, runs=runs, config_class="Settings")
    assert built.config_path.endswith(":Settings")
    assert built.config_path.partition(":")[0] == built.strategy_path.partition(":")[0]


@pytest.mark.parametrize(
    "name",
    [
        f"{EMA}:Nothing",
        "no_such_package.module:Class",
        "/no/such/file.py:Class",
    ],
)
def test_unknown_strategy_is_not_found(name: str, runs: Path) -> None:
    with pytest.raises(NotFoundError, match=r"expected.*path/to/file\.py:Class") as caught:
        build_strategy_config(name, {}, runs=runs)
    assert name.partition(":")[0] in str(caught.value)


def test_class_that_a_file_does_not_hold_is_not_found(marker: Path, runs: Path) -> None:
    with pytest.raises(NotFoundError, match="Other"):
        build_strategy_config(f"{marker}:Other", {}, runs=runs)


@pytest.mark.parametrize("name", ["EMACross", "package:", ":Class", "a.b:c d", ""])
def test_text_that_names_no_strategy_is_refused(name: str, runs: Path) -> None:
    with pytest.raises(ConfigError, match="does not name a strategy"):
        build_strategy_config(name, {}, runs=runs)


def test_what_is_no_strategy_or_no_configuration_is_refused(runs: Path) -> None:
    with pytest.raises(ConfigError, match="is not a strategy"):
        build_strategy_config(int, {}, runs=runs)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"{EMA}:EMACrossConfig is not a strategy"):
        build_strategy_config(f"{EMA}:EMACrossConfig", {}, runs=runs, config_class=EMACrossConfig)
    with pytest.raises(ConfigError, match="EMACross is not a configuration"):
        build_strategy_config(f"{EMA}:EMACross", {}, runs=runs, config_class=f"{EMA}:EMACross")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fast_ema_perod": 10}, "fast_ema_perod"),
        ({"fast_ema_period": "ten"}, "fast_ema_period"),
        ({"fast_ema_period": 30, "slow_ema_period": -1}, "slow_ema_period"),
        ({"bar_type": "nonsense"}, "nonsense"),
        ({"trade_size": "much"}, "EMACrossConfig"),
    ],
)
def test_wrong_field_is_named(runs: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_strategy_config(f"{EMA}:EMACross", {**EMA_VALUES, **change}, runs=runs)
    config = ImportableStrategyConfig(
        strategy_path=f"{EMA}:EMACross", config_path=f"{EMA}:EMACrossConfig", config={**EMA_VALUES, **change}
    )
    with pytest.raises(ConfigError, match=message):
        check_strategies(tiny_config(runs, config), runs)


def test_missing_field_is_named(runs: Path) -> None:
    with pytest.raises(ConfigError, match="trade_size"):
        build_strategy_config(f"{EMA}:EMACross", {"instrument_id": NAME, "bar_type": BID}, runs=runs)


def test_module_that_raises_while_it_is_imported_is_one_line(marker: Path, runs: Path) -> None:
    marker.write_text(MARKER + "\nraise RuntimeError('first line\\nsecond line')\n")
    with pytest.raises(NotFoundError, match="RuntimeError: first line") as caught:
        build_strategy_config(f"{marker}:Marker", {}, runs=runs)
    assert "\n" not in str(caught.value)


def test_files_named_in_a_configuration_are_captured(marker: Path, runs: Path) -> None:
    config = tiny_config(
        runs,
        ImportableStrategyConfig(
            strategy_path=f"{marker}:Marker", config_path=f"{marker}:MarkerConfig", config={"mark": "f"}
        ),
        ImportableStrategyConfig(
            strategy_path=f"{EMA}:EMACross", config_path=f"{EMA}:EMACrossConfig", config=EMA_VALUES
        ),
    )
    captured = capture_config_files(config, runs)
    one, two = captured.engine.strategies
    assert one == build_strategy_config(f"{marker}:Marker", {"mark": "f"}, runs=runs)
    assert two == config.engine.strategies[1]
    check_strategies(captured, runs)
    assert capture_config_files(captured, runs).json() == captured.json()
    marker.unlink()
    with pytest.raises(NotFoundError, match="there is no strategy file"):
        capture_config_files(config, runs)


def test_captured_module_that_was_changed_is_refused_until_it_is_captured_again(
    marker: Path, runs: Path, tmp_path: Path
) -> None:
    built = build_strategy_config(f"{marker}:Marker", {"mark": "x"}, runs=runs)
    (path,) = sources_path(runs).iterdir()
    path.write_text(MARKER + "# changed\n")
    with pytest.raises(ConfigError, match="was changed after it was captured"):
        SourceModule.from_captured(path)
    # What the advice says puts it right.
    assert build_strategy_config(f"{marker}:Marker", {"mark": "x"}, runs=runs) == built
    assert SourceModule.from_captured(path).text == MARKER
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="was changed"):
        SourceModule.from_captured(path)
    path.unlink()
    with pytest.raises(NotFoundError, match="cannot be read: No such file"):
        SourceModule.from_captured(path)


def test_module_that_cannot_be_written_is_a_run_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        SourceModule.from_text("A = 1\n").write(tmp_path / "file")


def test_run_repeats_from_its_directory_alone(marker: Path, tmp_path: Path, worker: Worker) -> None:
    catalog = build_catalog(tmp_path / "catalog")
    first, second = tmp_path / "first", tmp_path / "second"
    strategy = build_strategy_config(f"{marker}:Marker", {"mark": "again"}, runs=first)
    run = run_backtest(tiny_config(catalog, strategy), runs=first, worker=worker)
    # All that remains is a copy of the run directory.
    kept = Path(shutil.copytree(run.path, tmp_path / "kept" / run.path.name))
    shutil.rmtree(first)
    marker.unlink()
    copy = load_run(kept)
    assert copy.verify() == []
    repeated = run_backtest(copy.restore_config(second), runs=second, worker=worker)
    assert repeated.record.identity is not None
    assert repeated.record.identity == run.record.identity
    assert repeated.config == copy.config
    (source,) = (repeated.path / "strategies").glob("*.py")
    assert source.read_text() == MARKER
    assert f"strategies/{source.name}" in repeated.record.files
    assert json.loads((repeated.path / "config.json").read_bytes()) == copy.config


def test_changed_source_of_a_run_directory_is_not_restored(tmp_path: Path) -> None:
    module = SourceModule.from_text(MARKER)
    path = module.write(tmp_path / "run" / "strategies")
    restore_sources(tmp_path / "run", tmp_path / "runs")
    assert SourceModule.from_captured(sources_path(tmp_path / "runs") / path.name) == module
    path.write_text(MARKER.replace("50", "51"))
    with pytest.raises(ConfigError, match="was changed"):
        restore_sources(tmp_path / "run", tmp_path / "other")
    assert msgspec.structs.asdict(module)["text"] == MARKER
