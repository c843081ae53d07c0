"""Equal code, configuration and data have one identity, and every change of one of them shows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec
import pytest
from nautilus_trader.backtest.config import BacktestRunConfig
from nautilus_trader.config import ImportableStrategyConfig, LoggingConfig

from tests.backtest.tiny import BID, MARKER, add_bars, build_catalog, entry, prices, tiny_config
from workbench.backtest.configuration import build_fill_model
from workbench.backtest.datasets import find_run_data
from workbench.backtest.identity import build_identity, collect_versions
from workbench.backtest.sources import build_strategy_config, sources_path
from workbench.records import Identity

VERSIONS = collect_versions()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_catalog(tmp_path_factory.mktemp("identity") / "catalog")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where runs are kept, with its captured strategies importable as in the child."""
    runs = tmp_path / "runs"
    monkeypatch.syspath_prepend(str(sources_path(runs)))
    return runs


@pytest.fixture
def strategy(tmp_path: Path, runs: Path) -> ImportableStrategyConfig:
    return _capture(tmp_path, runs, MARKER)


def _capture(directory: Path, runs: Path, text: str) -> ImportableStrategyConfig:
    path = directory / "marker.py"
    path.write_text(text)
    return build_strategy_config(f"{path}:Marker", {"mark": "x"}, runs=runs)


def _identify(config: BacktestRunConfig) -> Identity:
    return build_identity(config, find_run_data(config), VERSIONS)


def _differing(a: Identity, b: Identity) -> set[str]:
    return {name for name in a.__struct_fields__ if getattr(a, name) != getattr(b, name)}


def test_identity_is_the_same_for_the_same_inputs(catalog: Path, strategy: ImportableStrategyConfig) -> None:
    one, two = _identify(tiny_config(catalog, strategy)), _identify(tiny_config(catalog, strategy))
    assert one == two
    hashes = msgspec.structs.astuple(one)
    assert len(set(hashes)) == 4
    assert all(len(h) == 64 for h in hashes)


def test_identity_does_not_depend_on_where_and_how_it_runs(
    catalog: Path, tmp_path: Path, strategy: ImportableStrategyConfig
) -> None:
    expected = _identify(tiny_config(catalog, strategy))
    copy = Path(shutil.copytree(catalog, tmp_path / "elsewhere"))
    assert _identify(tiny_config(copy, strategy)) == expected
    assert _identify(tiny_config(catalog, strategy, chunk_size=17)) == expected
    logging = LoggingConfig(log_level="DEBUG", log_level_file="DEBUG")
    assert _identify(tiny_config(catalog, strategy, logging=logging)) == expected


def test_one_character_of_a_captured_file_changes_the_code(
    catalog: Path, tmp_path: Path, runs: Path, strategy: ImportableStrategyConfig
) -> None:
    before = _identify(tiny_config(catalog, strategy))
    changed = _capture(tmp_path, runs, MARKER.replace("self.bars += 1", "self.bars += 2"))
    # The name of a captured module is a hash of its text, so the configuration tells it too.
    assert _differing(before, _identify(tiny_config(catalog, changed))) == {"run", "code", "config"}
    again = _capture(tmp_path, runs, MARKER)
    assert _identify(tiny_config(catalog, again)) == before


def test_one_character_of_an_imported_module_changes_the_code_alone(
    catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity_marker.py"
    path.write_text(MARKER)
    monkeypatch.syspath_prepend(str(tmp_path))
    named = ImportableStrategyConfig(
        strategy_path="identity_marker:Marker", config_path="identity_marker:MarkerConfig", config={}
    )
    before = _identify(tiny_config(catalog, named))
    path.write_text(MARKER.replace("self.bars += 1", "self.bars += 2"))
    assert _differing(before, _identify(tiny_config(catalog, named))) == {"run", "code"}
    sys.modules.pop("identity_marker")


def test_one_value_of_the_configuration_changes_the_configuration_alone(
    catalog: Path, strategy: ImportableStrategyConfig
) -> None:
    config = tiny_config(catalog, strategy)
    before = _identify(config)
    other = msgspec.structs.replace(strategy, config={"mark": "y"})
    assert _differing(before, _identify(tiny_config(catalog, other))) == {"run", "config"}
    venue = msgspec.structs.replace(config.venues[0], starting_balances=["1000001 USD"])
    assert _differing(before, _identify(msgspec.structs.replace(config, venues=[venue]))) == {"run", "config"}


def test_fill_model_belongs_to_code_and_configuration(
    catalog: Path, strategy: ImportableStrategyConfig
) -> None:
    config = tiny_config(catalog, strategy)
    (venue,) = config.venues
    one, two = (
        _identify(
            msgspec.structs.replace(
                config,
                venues=[msgspec.structs.replace(venue, fill_model=build_fill_model(random_seed=seed))],
            )
        )
        for seed in (1, 2)
    )
    assert _differing(one, two) == {"run", "config"}
    assert _differing(_identify(config), one) == {"run", "code", "config"}


def test_one_price_changes_the_data_alone(
    catalog: Path, tmp_path: Path, strategy: ImportableStrategyConfig
) -> None:
    before = _identify(tiny_config(catalog, strategy))
    copy = Path(shutil.copytree(catalog, tmp_path / "elsewhere"))
    frame = prices().iloc[:150]
    frame.iloc[3, 3] = frame.iloc[3, 2]
    add_bars(copy, frame, "BID")
    assert _differing(before, _identify(tiny_config(copy, strategy))) == {"run", "data"}


def test_range_changes_configuration_and_data(catalog: Path, strategy: ImportableStrategyConfig) -> None:
    before = _identify(tiny_config(catalog, strategy))
    shorter = _identify(tiny_config(catalog, strategy, end="2012-02-01T03:00:00Z"))
    assert _differing(before, shorter) == {"run", "config", "data"}
    one_side = _identify(tiny_config(catalog, strategy, data=[entry(catalog, BID)]))
    assert _differing(before, one_side) == {"run", "config", "data"}


def test_another_nautilus_is_another_run_of_the_same_inputs(
    catalog: Path, strategy: ImportableStrategyConfig
) -> None:
    config = tiny_config(catalog, strategy)
    other = build_identity(config, find_run_data(config), {**VERSIONS, "nautilus_trader": "0.0.0"})
    assert _differing(_identify(config), other) == {"run"}


def test_versions_name_what_a_result_may_depend_on() -> None:
    assert set(VERSIONS) == {"python", "nautilus_trader", "nautilus-workbench", "numpy", "pandas", "pyarrow"}
